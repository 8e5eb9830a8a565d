"""The shipped models are as accurate as their cards say, and read handwriting of writers that are not in the training
data.

If a model is missing, its tests are skipped on a developer's machine and fail in CI.
"""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from inkling.config import ROOT, Settings
from inkling.recognition import inputs
from inkling.recognition.catalog import read_catalog
from inkling.recognition.predictor import classify
from inkling.recognition.runtimes import openvino
from training import data
from training.redraw import LINE, Hand, redraw

CI = bool(os.environ.get("CI"))
SHARED = ROOT.parent / "shared" / "data"
FOLDER = Settings.from_env().models
MODELS = read_catalog(FOLDER).models
NAMES = sorted({"cats-dogs-cnn", "digits-cnn", "doodles-cnn"} | MODELS.keys())

PICTURES = {"photo": 250, "ink": 2000}  # test pictures per kind; bitmaps of ink cost least
LARGE = 10_000_000  # networks with more parameters are tested on a quarter as many
TEXTS = ("title", "summary", "strengths", "limitations")
FOREIGN = 0.90  # share of scikit-learn's digits that must be read correctly


def the_model(name):
    """Returns a shipped model. Skips the test if it is missing outside CI."""
    if name not in MODELS and not (FOLDER / name).exists() and not CI:
        pytest.skip(f"{FOLDER / name} does not exist yet: python -m training train {name}")
    assert name in MODELS, f"{name} must be shipped with a card that can be read"
    return MODELS[name]


# ---- Digits of other writers: scikit-learn's, 8 x 8 pixels, from 43 writers (UCI, Alpaydin and Kaynak 1998) ----


@pytest.fixture(scope="module")
def digits():
    """Every sixth digit as float32 [n, 8, 8], with ink up to 16 on 0, and its label as int64 [n]."""
    all_of_them = load_digits()
    return all_of_them.images[::6].astype(np.float32), all_of_them.target[::6]


def share_right(classifier, name, pictures, truth):
    """Returns the accuracy from picture to label. A digit that is taken for a blank sheet counts as wrong."""
    answers = classify(classifier, pictures, classifier.catalog.model(name))
    return np.mean([getattr(answer, "label", None) == str(y) for answer, y in zip(answers, truth, strict=True)])


@pytest.mark.parametrize("side", [8, 280])
def test_enlarged_digits_are_read(classifier, digits, side):
    """The digits are enlarged smoothly, as dark ink on light paper."""
    the_model("digits-cnn")
    images, truth = digits
    grays = (Image.fromarray(np.rint(255 - image * 255 / 16).astype(np.uint8)).convert("RGB") for image in images)
    pictures = [gray.resize((side, side), Image.Resampling.BICUBIC) for gray in grays]
    assert share_right(classifier, "digits-cnn", pictures, truth) >= FOREIGN


@pytest.mark.parametrize("pen", [10, 20])
def test_redrawn_digits_are_read(classifier, digits, pen):
    """The digits are redrawn on the canvas along their center lines, where ink has more than half its strength."""
    the_model("digits-cnn")
    images, truth = digits
    pictures = []
    for image in images:
        # `redraw` takes 28 x 28 bitmaps and treats values above LINE as ink. LINE is half of full strength here.
        enlarged = cv2.resize(image * (2 * LINE / 16), (24, 24), interpolation=cv2.INTER_CUBIC)
        bitmap = np.pad(np.clip(enlarged, 0, 255).astype(np.uint8), 2)
        pictures.append(redraw(bitmap, Hand(pen=pen)))
    assert share_right(classifier, "digits-cnn", pictures, truth) >= FOREIGN


# ---- Test pictures of the data sets ----


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    """The folder with the data sets made from `../shared/data`, or None if that is missing."""
    if not (SHARED / "unpack.py").exists():
        return None
    folder = tmp_path_factory.mktemp("data")
    subprocess.run([sys.executable, SHARED / "unpack.py", folder], check=True)
    return folder


@pytest.fixture
def test_set(request, monkeypatch):
    """Returns a function that loads some of a data set's test pictures."""

    def load(name, count):
        prepared = data.folder() / data.DATASETS[name].file
        folder = prepared.parent if prepared.exists() else request.getfixturevalue("unpacked")
        if folder is None:
            pytest.skip(f"neither {prepared} nor {SHARED} is on this machine")
        monkeypatch.setenv("INKLING_DATA", str(folder))
        return data.load(name, limit=count)

    return load


def arranged(x, spec):
    """Returns test pictures as the model's input. Ink is already laid out."""
    if spec.kind == "ink":
        return x[..., None]
    return np.stack([inputs.prepare(Image.fromarray(picture), spec) for picture in x])


@pytest.mark.parametrize("name", NAMES)
def test_accuracy_is_that_of_the_card(name, test_set):
    model = the_model(name)
    spec = model.card.input
    count = PICTURES[spec.kind] // (4 if model.card.parameters > LARGE else 1)
    chosen = test_set(model.card.dataset, count)
    assert chosen.labels == model.card.labels
    network = openvino.open_model(model)
    batches = np.array_split(arranged(chosen.test.x, spec), 10)
    answers = np.concatenate([network(inputs.scale(batch, spec.scaling)) for batch in batches])
    stated, right = model.card.metrics.accuracy, answers.argmax(axis=1) == chosen.test.y
    error = 3 * np.sqrt(stated * (1 - stated) / len(right))
    assert abs(np.mean(right) - stated) <= error


# ---- Recipes ----


def test_every_recipe_is_shipped_as_it_is_written():
    """Training a model today would write the same texts and specifications into its card."""
    from training.registry import recipes  # imports Keras

    for name, recipe in recipes().items():
        card = the_model(name).card
        assert (card.task, card.training.dataset, card.input) == (recipe.task, recipe.dataset, recipe.input)
        if card.training.command.endswith("--further"):  # more epochs than the recipe's
            assert card.training.epochs > recipe.epochs
        elif recipe.fit is None:
            assert card.training.epochs == recipe.epochs
        assert [getattr(card, text) for text in TEXTS] == [getattr(recipe, text) for text in TEXTS]
