"""The shared loop: Keras `fit` over augmented pictures, with warm-up, cosine schedule and weight averaging."""

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

from inkling.recognition import catalog, inputs, runtimes
from inkling.recognition.card import InputSpec, read_card
from training import quick
from training.data import Dataset, Split, folder
from training.recipe import Recipe, Run
from training.redraw import through_canvas

AHEAD = 8  # batches that are made while others are trained on


@dataclass(frozen=True)
class Fitted:
    """A trained network and how it got there."""

    model: keras.Model
    history: dict[str, list[float]]  # per epoch: loss, accuracy, val_loss, val_accuracy
    epochs: int
    seconds: float
    corrections: int = 0  # of visitors, that it learned from


class Teacher:
    """A model of `models/` that labels what its student is about to see (distillation, Hinton et al. 2015).

    Call it with uint8 [n, side, side, 3]; it returns float32 [n, labels], softened by `temperature`.
    """

    def __init__(self, folder: Path, temperature: float):
        model = catalog.Model(read_card(folder), folder)
        self.side, self._scaling = model.card.input.width, model.card.input.scaling
        self._network, self._temperature = runtimes.open_openvino(model), temperature

    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        return runtimes.tempered(self._network(inputs.scale(pictures, self._scaling)), self._temperature)


class Batches:
    """Shuffled, augmented batches of (float32 pictures, targets); each epoch draws anew.

    Args:
        sources: uint8 arrays of the same pictures, each in another form; a batch takes each picture from
            the first, or from the second with the recipe's chance.
        teacher: gives the targets, where there is one, from the very views that the student sees. These are drawn
            ahead, once for each of the recipe's sides: a teacher that answers while TensorFlow trains crashes both.
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
        """An epoch."""
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
        """The places of a batch's pictures."""
        return self.indices[step * self.recipe.batch : (step + 1) * self.recipe.batch]

    def drawn(self, picked: np.ndarray) -> np.ndarray:
        """The pictures at these places, each in one of its forms."""
        pictures = self.sources[0][picked]
        if len(self.sources) > 1:
            swap = self.rng.random(len(picked)) < self.recipe.redrawn
            pictures[swap] = self.sources[1][picked[swap]]
        return pictures

    def turned(self, pictures: np.ndarray, picked: np.ndarray) -> np.ndarray:
        """The pictures at these places, half of them mirrored."""
        if self.recipe.flip:
            flip = self.mirrored[picked]
            pictures[flip] = pictures[flip, :, ::-1]
        return pictures

    def shuffle(self) -> None:
        """Makes ready for the next epoch."""
        self.rng.shuffle(self.indices)
        # The other half's turn: each picture is seen both ways in two epochs (alternating flip, Jordan 2024).
        self.mirrored = ~self.mirrored

    def begin(self, side: int) -> None:
        """Goes on with pictures of this side; a teacher looks at a new view of each."""
        self.side, self.lesson = side, None
        if self.teacher:
            parts = np.array_split(np.arange(len(self.y)), len(self))
            self.lesson = tuple(np.concatenate(part) for part in zip(*map(self.taught, parts), strict=True))

    def taught(self, picked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Views of the pictures at these places, uint8 [n, side, side, 3], and what the teacher says of them."""
        views = self.recipe.augment(self.drawn(picked), self.rng, self.teacher.side)
        return resized(views, self.side), self.teacher(views)

    def stream(self) -> tf.data.Dataset:
        """Epochs as TensorFlow takes them, some batches ahead.

        Without autotune, whose thread keeps each epoch's end waiting for up to a minute.
        """
        x, y = self[0]
        kinds = tuple(tf.TensorSpec((None, *part.shape[1:]), part.dtype) for part in (x, y))
        options = tf.data.Options()
        options.autotune.enabled = False
        epochs = tf.data.Dataset.from_generator(lambda: self, output_signature=kinds)
        return epochs.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(AHEAD).with_options(options)


@lru_cache(maxsize=1)
def redrawn(split: Split, layout: str) -> np.ndarray:
    """Drawings as the canvas would send them, uint8 [n, 28, 28]; the same for every seed, for they take minutes."""
    return through_canvas(split.x, layout, seed=0)


def resized(pictures: np.ndarray, side: int) -> np.ndarray:
    """uint8 [n, h, w, 3] -> uint8 [n, side, side, 3]; the same where they are that size."""
    if pictures.shape[1:3] == (side, side):
        return pictures
    return np.stack([cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA) for picture in pictures])


def balanced(y: np.ndarray, fewest: int) -> np.ndarray:
    """Indices of all pictures, those of rare classes repeated until each has `fewest`."""
    extra = []
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        extra.append(np.resize(members, max(0, fewest - len(members))))
    return np.concatenate([np.arange(len(y)), *extra])


def targets(y: np.ndarray, labels: int) -> np.ndarray:
    """One-hot float32 targets [n, labels]; smoothed by the loss."""
    return np.eye(labels, dtype=np.float32)[y]


def arrange(x: np.ndarray, spec: InputSpec) -> np.ndarray:
    """A data set's pictures as the model takes them: uint8 [n, height, width, channels].

    Ink sets are laid out already; photos go through the pipeline that serves.
    """
    if spec.kind == "ink":
        return x[..., None]
    if x.shape[1:3] == (spec.height, spec.width):
        return x
    return np.stack([inputs.photo(Image.fromarray(picture), spec.width, spec.height) for picture in x])


def validation(recipe: Recipe, split: Split, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """The held-out pictures as Keras takes them."""
    x = inputs.scale(arrange(split.x, recipe.input), recipe.input.scaling)
    return x, targets(split.y, labels)


def compile_model(model: keras.Model, recipe: Recipe, steps: int) -> None:
    """The recipe's optimizer with warm-up and cosine schedule, on cross-entropy."""
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
    sources = [dataset.train.x]
    if recipe.redrawn:
        sources.append(redrawn(dataset.train, recipe.input.layout))
    teacher = Teacher(run.models / recipe.teacher, recipe.softness) if recipe.teacher else None
    batches = Batches(recipe, sources, dataset.train.y, labels, run.seed, teacher)
    model = recipe.build(labels)
    if recipe.initialise:
        recipe.initialise(model, inputs.scale(arrange(dataset.train.x[:5000], recipe.input), recipe.input.scaling))
    if recipe.load_backbone:
        recipe.load_backbone(model, run.weights or pretrained(recipe.weights))
    learner = quick.twin(model) if recipe.quick else model
    compile_model(learner, recipe, len(batches) * run.epochs)
    start = time.perf_counter()
    history = grow(learner, batches, validation(recipe, dataset.held_out, labels), recipe, run.epochs)
    model.set_weights(learner.get_weights())
    return Fitted(model, history, run.epochs, time.perf_counter() - start)


def grow(model: keras.Model, batches: Batches, held_out: tuple, recipe: Recipe, epochs: int) -> dict[str, list[float]]:
    """Trains a compiled model on pictures of the recipe's sides, one after the other; returns its history."""
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
    """Raises KeyboardInterrupt after the batch in which it was asked to."""

    asked = False

    def ask(self, *_) -> None:
        self.asked = True

    def on_batch_end(self, batch, logs=None) -> None:
        if self.asked:
            raise KeyboardInterrupt

    on_test_batch_end = on_batch_end


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Around a training: Ctrl-C ends it between two batches, for in the middle of one TensorFlow aborts at times."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
        yield stop
        return
    before = signal.signal(signal.SIGINT, stop.ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
    if stop.asked:  # after the last batch
        raise KeyboardInterrupt


def pretrained(name: str) -> str:
    """The path of a file in the folder of data, or "imagenet" where it is not there."""
    path = folder() / name
    return str(path) if path.exists() else "imagenet"
