"""Pictures that visitors corrected, as `flask corrections export DIR` writes them, mixed into a training.

A network that is there already goes on from its weights, for a few gentle epochs: it sees each correction many times,
and a part of what it learned from again, so that it does not forget (rehearsal, Robins 1995). A model whose
recipe brings its own training (`Recipe.fit`) is trained anew.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from inkling.corrections import label_of
from inkling.recognition import inputs
from inkling.recognition.card import ModelCard, read_card
from inkling.recognition.catalog import Model, check_file
from training import familiar, mirror
from training.data import Dataset, Split, stratified
from training.fit import Fitted, balanced
from training.recipe import Recipe

# By the loss on MNIST's held-out digits after 50 mirrored 3s: shorter or gentler it was higher.
REHEARSED = 5_000  # pictures of the training part that are seen again
SHARE = 0.05  # of what is seen is corrections: each is repeated,
REPEATED = 40  # so many times an epoch at most
EPOCHS = 4
GENTLER = 4  # times less is the learning rate


@dataclass(frozen=True)
class Lesson:
    """What is trained, and on what."""

    recipe: Recipe
    dataset: Dataset
    count: int = 0  # of the corrections in it
    before: ModelCard | None = None  # of the network that goes on

    def learned(self, fitted: Fitted) -> Fitted:
        """A network with all that it has behind it."""
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
    """What teaches a model the corrections of a folder.

    Raises:
        ValueError: as `read` and `trained` say.
    """
    taught = read(folder, recipe, dataset)
    mixture = mixed(recipe, dataset, taught, seed)
    if recipe.fit:
        return Lesson(recipe, mixture, len(taught.y))
    model = trained(models / recipe.name, dataset)
    return Lesson(going_on(recipe, model), mixture, len(taught.y), model.card)


def trained(folder: Path, dataset: Dataset) -> Model:
    """The model of a folder, if it was trained here on this data set; raises ValueError otherwise."""
    try:
        card = read_card(folder)
    except ValueError as error:
        raise ValueError(f"{folder} must be there to be taught: {error}") from error
    if card.training is None or card.labels != dataset.labels:
        raise ValueError(f"{folder} must be trained on {dataset.name} to be taught. Received: another model")
    return Model(card, folder)


def read(folder: Path, recipe: Recipe, dataset: Dataset) -> Split:
    """The corrections of a recipe's task, in the form of the data set's pictures.

    Raises:
        ValueError: there are none (or blank ones only), one has a label that the data set does not know, or a file is
            no picture.
    """
    files = sorted((folder / recipe.task).glob("*/*.*"))
    if not files:
        raise ValueError(
            f"{folder / recipe.task} must hold LABEL/*.png or *.jpg, as `flask corrections export` writes "
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
    """A picture through the pipeline that serves: uint8 [28, 28] (ink), or [height, width, 3] of the data set's size.

    Raises:
        ValueError: the file is no picture.
        BlankDrawing: there is no ink in it.
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
    """A data set whose training part is corrections, repeated, among what is to be rehearsed; the rest is as it was."""
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


def going_on(recipe: Recipe, model: Model) -> Recipe:
    """The recipe that trains a model's own network further, gently.

    Raises:
        ValueError: `model.keras` is missing or not the card's.
    """
    path = check_file(model, "model.keras")

    def build(_labels: int) -> keras.Model:
        network = familiar.plain(mirror.plain(keras.saving.load_model(path, compile=False, safe_mode=True)))
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False  # its means and variances are those of many more pictures
        return network

    return replace(
        recipe,
        build=build,
        initialise=None,
        load_backbone=None,
        teacher=None,
        sides=(),
        average=None,
        fewest=0,
        epochs=EPOCHS,
        learning_rate=recipe.learning_rate / GENTLER,
    )
