"""The recipe of a model: its network and how it is trained. Each task's module defines its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inkling.recognition.card import InputSpec
from training.data import Split

Augment = Callable[[np.ndarray, np.random.Generator, int], np.ndarray]


@dataclass(frozen=True)
class Run:
    """The options of one training from the command line."""

    epochs: int  # passes over the training data
    seed: int = 0  # seed of the weights, the order and the augmentation
    weights: str | None = None  # pretrained weights: "imagenet", or a file
    models: Path = Path("models")  # folder of the teacher's model


@dataclass(frozen=True)
class Recipe:
    """A model's description, network and training."""

    name: str
    task: str
    title: str
    summary: str
    strengths: str  # for visitors
    limitations: str  # for visitors
    dataset: str
    input: InputSpec
    build: Callable[[int], object]  # number of labels -> keras.Model that outputs probabilities
    augment: Augment | None  # (uint8 [n, ...], generator, side) -> uint8 [n, side, side, channels]
    epochs: int
    batch: int = 128
    learning_rate: float = 1e-3  # peak, after warm-up over the first 5% of steps, before a cosine decay to zero
    momentum: float | None = None  # uses SGD with Nesterov momentum instead of AdamW
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    average: float | None = None  # momentum of the exponential moving average of the weights, which is saved
    keep: float = 0.0  # share of the initial weights in the result: for a network that is trained further
    quick: bool = False  # train the faster copy from training/quick.py, in bfloat16
    flip: bool = False  # mirror each picture in every other epoch
    redrawn: float = 0.0  # share of drawings redrawn on the canvas (training/redraw.py)
    more: Callable[[Split], Split] | None = None  # training part -> more pictures to train on
    fewest: int = 0  # classes with fewer drawings are repeated up to this number
    sides: tuple[int, ...] = ()  # sides for progressive resizing, in equal parts of the epochs; empty: the input's side
    backbone: str | None = None  # model whose features the network takes instead of pictures (training/heads.py)
    teacher: str | None = None  # model whose answers replace the labels (distillation)
    softness: float = 1.0  # temperature of the teacher's answers
    initialise: Callable[[object, np.ndarray], None] | None = None  # initializes a network from scaled pictures
    load_backbone: Callable[[object, str], None] | None = None  # copies pretrained weights into a network
    weights: str | None = None  # file in the data folder; "imagenet" if it does not exist
    credit: str = ""  # whose pretrained weights these are, under which license, for the card
    fit: Callable[..., object] | None = None  # (recipe, data set, run) -> fit.Fitted; None uses training.fit
    mirror: bool = False  # serve the mean over the picture and its mirror image
    mirror_below: float | None = None  # instead of `mirror`: only where the answer has a lower probability
    nudge: int = 0  # also over copies shifted by this many pixels
    spare: int = 3  # bits of float16's mantissa cleared in the weights; files compress better
    moments: tuple[float, ...] = ()  # shares of the line after which drawings are judged, too (training/prefixes.py)
    strange: float = 0.025  # share of held-out pictures below the limit of familiarity
    centred: bool = False  # familiarity is the energy of mean-centered logits (training/familiar.py)
    teachable: bool = False  # the ONNX file has the features that people teach classifiers on (training/teachable.py)
    exact: bool = False  # always computed in float32, because bfloat16 costs accuracy
    groups: dict[str, int] | None = None  # name -> number of first labels whose accuracy among themselves is measured
