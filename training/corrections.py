"""Trains on pictures that visitors corrected, as exported by `inkling corrections export DIR`.

An existing network is fine-tuned for a few epochs at a low learning rate. Each correction is repeated many times, and a
part of the original data is rehearsed so that the network does not forget it (rehearsal, Robins 1995). A model whose
recipe has its own training function (`Recipe.fit`) is trained from scratch.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from inkling.recognition import inputs
from inkling.recognition.card import ModelCard, read_card
from inkling.recognition.catalog import Model, check_file
from inkling.storage.corrections import label_of
from training import familiar, mirror
from training.data import Dataset, Split, stratified
from training.fit import Fitted, balanced
from training.recipe import Recipe

# Chosen by the loss on MNIST's held-out digits after 50 mirrored 3s; shorter or gentler training was worse.
REHEARSED = 5_000  # pictures of the original training data
SHARE = 0.05  # share of corrections among all pictures; each correction is repeated
REPEATED = 40  # at most this many times an epoch
EPOCHS = 4
GENTLER = 4  # divisor of the recipe's learning rate
FURTHER = 10  # the same for more epochs on the whole data set: the rate at which a recipe's last fifth begins
# Chosen on MNIST's held-out digits and on rare digits of other seeds: 99.68% of the former before, 99.60% with no share
# kept, 99.70% with a quarter or a half. With a half, only 72% of ones with a long upstroke are read, else 100%.
KEEP = 0.25


@dataclass(frozen=True)
class Lesson:
    """A recipe and the data set it is trained on."""

    recipe: Recipe
    dataset: Dataset
    count: int = 0  # corrections in the data set
    before: ModelCard | None = None  # card of the network that is fine-tuned

    def learned(self, fitted: Fitted) -> Fitted:
        """The trained network, with the history of its earlier training in front."""
        fitted = replace(fitted, corrections=self.count)
        if self.before is None:
            return fitted
        history = {key: [*self.before.history.get(key, ()), *values] for key, values in fitted.history.items()}
        return replace(
            fitted,
            history=history,
            epochs=self.before.training.epochs + fitted.epochs,
            seconds=self.before.training.seconds + fitted.seconds,
        )


def lesson(folder: Path, recipe: Recipe, dataset: Dataset, models: Path, seed: int) -> Lesson:
    """The recipe and data set that train a model on the corrections in a folder.

    Raises:
        ValueError: see `read` and `trained`.
    """
    taught = read(folder, recipe, dataset)
    mixture = mixed(recipe, dataset, taught, seed)
    if recipe.fit:
        return Lesson(recipe, mixture, len(taught.y))
    model = trained(models / recipe.name, dataset)
    return Lesson(going_on(recipe, model), mixture, len(taught.y), model.card)


def trained(folder: Path, dataset: Dataset) -> Model:
    """The model in a folder; raises ValueError unless it was trained here on this data set."""
    try:
        card = read_card(folder)
    except ValueError as error:
        raise ValueError(f"{folder} must be there to be taught: {error}") from error
    if card.training is None or card.labels != dataset.labels:
        raise ValueError(f"{folder} must be trained on {dataset.name} to be taught. Received: another model")
    return Model(card, folder)


def read(folder: Path, recipe: Recipe, dataset: Dataset) -> Split:
    """The corrections for a recipe's task, in the format of its data set.

    Raises:
        ValueError: there are no corrections or only blank ones, a label is not in the data set, or a file is not a
            picture.
    """
    files = sorted((folder / recipe.task).glob("*/*.*"))
    if not files:
        raise ValueError(
            f"{folder / recipe.task} must hold LABEL/*.png or *.jpg, as `inkling corrections export` writes "
            "them. Received: no file"
        )
    x, y = [], []
    for file in files:
        label = label_of(file.parent.name)
        if label not in dataset.labels:
            raise ValueError(
                f"{file.parent} must be named by a label of {dataset.name}: {', '.join(dataset.labels)}. "
                f"Received: {label}"
            )
        try:
            x.append(arranged(file, recipe, dataset.train.x.shape[1:3]))
            y.append(dataset.labels.index(label))
        except inputs.BlankDrawing:
            print(f"{file} is left out: nothing is drawn in it.", flush=True)
    if not x:
        raise ValueError(f"{folder / recipe.task} must hold drawings. Received: blank drawings only")
    return Split(np.stack(x), np.array(y, np.int64))


def arranged(file: Path, recipe: Recipe, size: tuple[int, int]) -> np.ndarray:
    """A picture preprocessed as in serving: uint8 [28, 28] for ink, [height, width, 3] for photos.

    Raises:
        ValueError: the file is not a picture.
        BlankDrawing: the picture has no ink.
    """
    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise ValueError(f"{file} must be a picture. Received: {error}") from error
    if recipe.input.kind == "ink":
        return inputs.ink(image, recipe.input.layout)[..., 0]
    height, width = size
    return inputs.photo(image, width, height)


def mixed(recipe: Recipe, dataset: Dataset, taught: Split, seed: int) -> Dataset:
    """The data set with its training part replaced by repeated corrections and rehearsed pictures."""
    train = dataset.train
    rehearsed = np.arange(len(train.y))
    if recipe.fit is None:
        rehearsed = balanced(train.y, recipe.fewest)
        rehearsed = rehearsed[stratified(train.y[rehearsed], REHEARSED, seed)]
    room = len(rehearsed) * SHARE / (1 - SHARE)
    times = int(np.clip(room // len(taught.y), 1, REPEATED))
    x = np.concatenate([train.x[rehearsed], np.repeat(taught.x, times, axis=0)])
    y = np.concatenate([train.y[rehearsed], np.repeat(taught.y, times)])
    return replace(dataset, train=Split(x, y))


def further(recipe: Recipe, dataset: Dataset, models: Path) -> Lesson:
    """The recipe's own lesson for the network in a folder instead of a new one, at a low learning rate.

    Raises:
        ValueError: see `trained`; or the recipe has its own training function.
    """
    if recipe.fit:
        raise ValueError(f"{recipe.name} cannot be trained further: it is solved from scratch")
    model = trained(models / recipe.name, dataset)
    slow = replace(own(recipe, model), learning_rate=recipe.learning_rate / FURTHER, keep=KEEP)
    return Lesson(slow, dataset, before=model.card)


def going_on(recipe: Recipe, model: Model) -> Recipe:
    """A recipe that fine-tunes a model's own network on few pictures, at a low learning rate.

    Raises:
        ValueError: see `own`.
    """
    return replace(
        own(recipe, model),
        more=None,
        average=None,
        fewest=0,
        epochs=EPOCHS,
        learning_rate=recipe.learning_rate / GENTLER,
    )


def own(recipe: Recipe, model: Model) -> Recipe:
    """The recipe, starting from a model's own network.

    Raises:
        ValueError: `model.keras` is missing or does not match its checksum.
    """
    path = check_file(model, "model.keras")

    def build(_labels: int) -> keras.Model:
        network = familiar.plain(mirror.plain(keras.saving.load_model(path, compile=False, safe_mode=True)))
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False  # its statistics come from many more pictures
        return network

    return replace(
        recipe,
        build=build,
        initialise=None,
        load_backbone=None,
        teacher=None,
        sides=(),
    )
