"""The common training loop: Keras `fit` with augmentation, warm-up, cosine schedule and weight averaging."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from inkling.recognition import catalog, inputs
from inkling.recognition.card import InputSpec, read_card
from inkling.recognition.runtimes import base, openvino
from training import quick
from training.data import Dataset, Split, folder, joined
from training.recipe import Recipe, Run
from training.redraw import through_canvas

AHEAD = 8  # batches prepared ahead of training


@dataclass(frozen=True)
class Fitted:
    """A trained network and its training history."""

    model: keras.Model
    history: dict[str, list[float]]  # per epoch: loss, accuracy, val_loss, val_accuracy
    epochs: int
    seconds: float
    corrections: int = 0  # number of visitors' corrections it was trained on


class Teacher:
    """A model whose answers are the targets of a student (distillation, Hinton et al. 2015).

    Call it with uint8 [n, side, side, 3]; it returns float32 [n, labels], softened by `temperature`.
    """

    def __init__(self, folder: Path, temperature: float):
        model = catalog.Model(read_card(folder), folder)
        self.side, self._scaling = model.card.input.width, model.card.input.scaling
        self._network, self._temperature = openvino.open_model(model), temperature

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        return base.tempered(self._network(inputs.scale(pictures, self._scaling)), self._temperature)


class Batches:
    """Shuffled, augmented batches of (float32 pictures, targets), drawn anew in each epoch.

    Args:
        sources: uint8 arrays of the same pictures in one or two forms; each picture comes from the second form with
            probability `recipe.redrawn`.
        teacher: source of the targets. It answers before training begins, once for each of the recipe's sides,
            because running OpenVINO while TensorFlow trains crashes the process.
    """

    def __init__(
        self,
        recipe: Recipe,
        sources: list[np.ndarray],
        y: np.ndarray,
        labels: int,
        seed: int,
        teacher: Teacher | None = None,
    ):
        self.recipe, self.sources, self.y, self.labels, self.teacher = recipe, sources, y, labels, teacher
        self.rng = np.random.default_rng(seed)
        self.indices = balanced(y, recipe.fewest)
        self.mirrored = self.rng.random(len(y)) < 0.5
        self.side, self.lesson = recipe.input.width, None
        self.shuffle()

    def __len__(self) -> int:
        return math.ceil(len(self.indices) / self.recipe.batch)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The batches of one epoch."""
        for step in range(len(self)):
            yield self[step]
        self.shuffle()

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        picked = self.picked(step)
        if self.lesson:
            pictures, y = (part[picked] for part in self.lesson)
            pictures = self.turned(pictures, picked)
        else:
            pictures = self.recipe.augment(self.turned(self.drawn(picked), picked), self.rng, self.side)
            y = targets(self.y[picked], self.labels)
        return inputs.scale(pictures, self.recipe.input.scaling), y

    def picked(self, step: int) -> np.ndarray:
        """The indices of a batch's pictures."""
        return self.indices[step * self.recipe.batch : (step + 1) * self.recipe.batch]

    def drawn(self, picked: np.ndarray) -> np.ndarray:
        """The pictures at these indices, each from one of its sources."""
        pictures = self.sources[0][picked]
        if len(self.sources) > 1:
            swap = self.rng.random(len(picked)) < self.recipe.redrawn
            pictures[swap] = self.sources[1][picked[swap]]
        return pictures

    def turned(self, pictures: np.ndarray, picked: np.ndarray) -> np.ndarray:
        """The pictures at these indices, half of them mirrored if the recipe says so."""
        if self.recipe.flip:
            flip = self.mirrored[picked]
            pictures[flip] = pictures[flip, :, ::-1]
        return pictures

    def shuffle(self) -> None:
        """Shuffles for the next epoch and flips which half is mirrored."""
        self.rng.shuffle(self.indices)
        # Alternating flip (Jordan 2024): each picture is seen both ways within two epochs.
        self.mirrored = ~self.mirrored

    def begin(self, side: int) -> None:
        """Switches to pictures of this side; a teacher labels a new view of each."""
        self.side, self.lesson = side, None
        if self.teacher:
            parts = np.array_split(np.arange(len(self.y)), len(self))
            self.lesson = tuple(np.concatenate(part) for part in zip(*map(self.taught, parts), strict=True))

    def taught(self, picked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Augmented views at these indices, uint8 [n, side, side, 3], and the teacher's answers."""
        views = self.recipe.augment(self.drawn(picked), self.rng, self.teacher.side)
        return resized(views, self.side), self.teacher(views)

    def stream(self) -> tf.data.Dataset:
        """The epochs as a `tf.data.Dataset` with prefetching.

        Autotune is off because its thread delays the end of each epoch by up to a minute.
        """
        x, y = self[0]
        kinds = tuple(tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in (x, y))
        options = tf.data.Options()
        options.autotune.enabled = False
        epochs = tf.data.Dataset.from_generator(lambda: self, output_signature=kinds)
        return epochs.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(AHEAD).with_options(options)


@lru_cache(maxsize=1)
def redrawn(split: Split, layout: str) -> np.ndarray:
    """Drawings redrawn on the canvas, uint8 [n, 28, 28]; cached and independent of the seed, as they take minutes."""
    return through_canvas(split.x, layout, seed=0)


def resized(pictures: np.ndarray, side: int) -> np.ndarray:
    """Resizes uint8 [n, h, w, 3] to uint8 [n, side, side, 3]."""
    if pictures.shape[1:3] == (side, side):
        return pictures
    return np.stack([cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) for picture in pictures])


def balanced(y: np.ndarray, fewest: int) -> np.ndarray:
    """Indices of all pictures, with those of rare classes repeated up to `fewest` each."""
    extra = []
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        extra.append(np.resize(members, max(0, fewest - len(members))))
    return np.concatenate([np.arange(len(y)), *extra])


def targets(y: np.ndarray, labels: int) -> np.ndarray:
    """One-hot targets, float32 [n, labels]; the loss applies label smoothing."""
    return np.eye(labels, dtype=np.float32)[y]


def arrange(x: np.ndarray, spec: InputSpec) -> np.ndarray:
    """A data set's pictures as model input: uint8 [n, height, width, channels].

    Ink is stored in its layout already; photos are preprocessed as in serving.
    """
    if spec.kind == "ink":
        return x[..., None]
    return np.stack([inputs.photo(Image.fromarray(picture), spec.width, spec.height) for picture in x])


def validation(recipe: Recipe, split: Split, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """The held-out pictures as validation data for Keras."""
    x = inputs.scale(arrange(split.x, recipe.input), recipe.input.scaling)
    return x, targets(split.y, labels)


def compile_model(model: keras.Model, recipe: Recipe, steps: int) -> None:
    """Compiles a model with the recipe's optimizer, warm-up, cosine schedule and cross-entropy."""
    schedule = keras.optimizers.schedules.CosineDecay(
        recipe.learning_rate / 20,
        decay_steps=max(1, steps - steps // 20),
        warmup_target=recipe.learning_rate,
        warmup_steps=steps // 20,
    )
    shared = {
        "weight_decay": recipe.weight_decay,
        "use_ema": recipe.average is not None,
        "ema_momentum": recipe.average or 0.99,
    }
    if recipe.momentum is None:
        optimizer = keras.optimizers.AdamW(schedule, **shared)
    else:
        optimizer = keras.optimizers.SGD(schedule, recipe.momentum, nesterov=True, **shared)
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)
    model.compile(optimizer, loss, metrics=["accuracy"])


def fit(recipe: Recipe, dataset: Dataset, run: Run) -> Fitted:
    """Trains a recipe's network on a data set's training part."""
    keras.utils.set_random_seed(run.seed)
    labels = len(dataset.labels)
    more = recipe.more(dataset.train) if recipe.more else Split(dataset.train.x[:0], dataset.train.y[:0])
    train = joined(dataset.train, more)
    sources = [train.x]
    if recipe.redrawn:  # more pictures are as drawn on the canvas already
        sources.append(np.concatenate([redrawn(dataset.train, recipe.input.layout), more.x]))
    teacher = Teacher(run.models / recipe.teacher, recipe.softness) if recipe.teacher else None
    batches = Batches(recipe, sources, train.y, labels, run.seed, teacher)
    model = recipe.build(labels)
    if recipe.initialise:
        recipe.initialise(model, inputs.scale(arrange(dataset.train.x[:5000], recipe.input), recipe.input.scaling))
    if recipe.load_backbone:
        recipe.load_backbone(model, run.weights or pretrained(recipe.weights))
    first = model.get_weights()
    # Without bfloat16 in hardware the copy is a dozen times slower than the network: 105 ms a digit against 8.
    learner = quick.twin(model) if recipe.quick and openvino.has_bfloat16() else model
    compile_model(learner, recipe, len(batches) * run.epochs)
    start = time.perf_counter()
    history = grow(learner, batches, validation(recipe, dataset.held_out, labels), recipe, run.epochs)
    model.set_weights(between(first, learner.get_weights(), recipe.keep))
    return Fitted(model, history, run.epochs, time.perf_counter() - start)


def between(first: list[np.ndarray], last: list[np.ndarray], keep: float) -> list[np.ndarray]:
    """The weights between those before and after a training, `keep` being the share of the former.

    A network keeps more of what it could do before than with the last weights (WiSE-FT, Wortsman et al. 2022,
    https://arxiv.org/abs/2109.01903).
    """
    return [keep * before + (1 - keep) * after for before, after in zip(first, last, strict=True)]


def grow(model: keras.Model, batches: Batches, held_out: tuple, recipe: Recipe, epochs: int) -> dict[str, list[float]]:
    """Trains a compiled model at each of the recipe's sides in turn; returns the history."""
    callbacks = [keras.callbacks.SwapEMAWeights()] if recipe.average is not None else []
    history, sides = {}, recipe.sides or (recipe.input.width,)
    for i, side in enumerate(sides):
        first, last = (epochs * part // len(sides) for part in (i, i + 1))
        if first == last:
            continue
        batches.begin(side)
        with stoppable() as stop:
            done = model.fit(
                batches.stream(),
                validation_data=held_out,
                initial_epoch=first,
                epochs=last,
                callbacks=[*callbacks, stop],
                shuffle=False,
                verbose=2,
            )
        for key, values in done.history.items():
            history.setdefault(key, []).extend(values)
    return history


class Stop(keras.callbacks.Callback):
    """Raises KeyboardInterrupt at the end of the batch in which `ask` was called."""

    asked = False

    def ask(self, *_) -> None:
        self.asked = True

    def on_batch_end(self, batch, logs=None) -> None:
        if self.asked:
            raise KeyboardInterrupt

    on_test_batch_end = on_batch_end


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Lets Ctrl-C end a training between two batches; within one, TensorFlow can abort the process."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may set signal handlers
        yield stop
        return
    before = signal.signal(signal.SIGINT, stop.ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
    if stop.asked:  # asked after the last batch
        raise KeyboardInterrupt


def pretrained(name: str) -> str:
    """The path of a file in the data folder, or "imagenet" if it does not exist."""
    path = folder() / name
    return str(path) if path.exists() else "imagenet"
