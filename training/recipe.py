"""What a training needs to know about one model; each task's file holds its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inkling.recognition.card import InputSpec

Augment = Callable[[np.ndarray, np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Run:
    """What one training was asked for on the command line."""

    epochs: int  # how often each picture is seen
    seed: int = 0  # of the weights, the order and the augmentation
    weights: str | None = None  # pretrained ones: "imagenet", or a file
    models: Path = Path("models")  # where a teacher lies


@dataclass(frozen=True)
class Recipe:
    """One model: what it is, its network, and how it is trained."""

    name: str
    task: str
    title: str
    summary: str
    strengths: str  # what it is good at, for the visitor
    limitations: str  # and what not
    dataset: str
    input: InputSpec
    build: Callable[[int], object]  # number of labels -> keras.Model that ends in probabilities
    augment: Augment | None  # uint8 [n, ...] of the data set, and a side -> uint8 [n, side, side, channels]
    epochs: int
    batch: int = 128
    learning_rate: float = 1e-3  # the peak; warm-up over the first twentieth, then a cosine to zero
    momentum: float | None = None  # SGD with Nesterov's, where it is given, in place of AdamW
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    average: float | None = None  # momentum of the weights' moving average (EMA), which is what is kept
    quick: bool = False  # trained as its twin of training/quick.py: bfloat16, for processors that have it
    flip: bool = False  # mirror each picture every other epoch
    redrawn: float = 0.0  # share of the drawings that come from the canvas (training/redraw.py)
    fewest: int = 0  # a class with fewer drawings is repeated up to this many
    sides: tuple[int, ...] = ()  # of the pictures, in equal parts of the epochs; the input's if empty
    teacher: str | None = None  # the model whose answers are learned, in place of the labels
    softness: float = 1.0  # temperature of those answers
    initialise: Callable[[object, np.ndarray], None] | None = None  # adapts a fresh network to scaled pictures
    load_backbone: Callable[[object, str], None] | None = None  # fills a fresh network with pretrained weights
    weights: str | None = None  # where those are: a file in the folder of data, where it exists, else "imagenet"
    fit: Callable[..., object] | None = None  # (recipe, data set, run) -> fit.Fitted; training.fit's loop if None
    mirror: bool = False  # what is served asks the network about the mirror image too, and takes the mean
    nudge: int = 0  # and about both moved by so many pixels
    spare: int = 3  # of float16's bits of mantissa, that its weights do without: files compress by a quarter more
    strange: float = 0.025  # share of held-out pictures given up as unfamiliar: more notices more strangers
    centred: bool = False  # its familiarity is the energy of logits counted from their mean (training/familiar.py)
    exact: bool = False  # in bfloat16 it would answer worse
    groups: dict[str, int] | None = None  # name -> the first so many labels, measured among themselves
