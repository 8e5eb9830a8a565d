"""Fifty corrections of a habit that the shipped model misreads teach it that habit.

The habit is a mirrored 3, drawn a little differently each time. `python -m benchmarks.corrections` measures this and
other habits on all of MNIST.
"""

import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.corrections import COUNT, HABITS, drawing
from inkling.recognition import catalog, inputs
from inkling.recognition.card import read_card
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import classify
from inkling.recognition.runtimes import openvino
from training import __main__ as cli
from training import data, strangers

MODEL = "digits-cnn"
TRAINED, TESTED = 400, 200  # of scikit-learn's digits
LOSS = 0.002  # accuracy on the test pictures that may be lost


def of_sklearn(folder):
    """Writes scikit-learn's digits (8 x 8 pixels) as a prepared MNIST, preprocessed as in serving."""
    digits = load_digits()
    pictures = (
        Image.fromarray((255 - 15.9 * image).astype(np.uint8)).convert("RGB")
        for image in digits.images[: TESTED + TRAINED]
    )
    x, y = np.stack([inputs.ink(picture, "mnist")[..., 0] for picture in pictures]), digits.target[: TESTED + TRAINED]
    np.savez(folder / "mnist.npz", x_train=x[TESTED:], y_train=y[TESTED:], x_test=x[:TESTED], y_test=y[:TESTED])


@pytest.fixture(params=["scikit-learn's digits", "MNIST"])
def prepared(request, tmp_path, monkeypatch):
    """Prepares digits to rehearse and to test with: scikit-learn's, and MNIST's if they are here.

    Returns the options of the training, small enough for a slow processor. Fewer pictures take more epochs.
    """
    if request.param == "MNIST":
        if not (data.folder() / "mnist.npz").exists():
            pytest.skip("MNIST is not here")
        return ["--limit", "3000", "--epochs", "6"]
    monkeypatch.setenv("INKLING_DATA", str(tmp_path))
    of_sklearn(tmp_path)
    return ["--limit", str(TRAINED), "--epochs", "12"]


@pytest.fixture
def models(tmp_path, models_folder):
    """A model folder with a copy of the shipped model."""
    shutil.copytree(models_folder / MODEL, tmp_path / "models" / MODEL)
    return tmp_path / "models"


def share_read(models, drawings, label, settings):
    predictor = LocalPredictor(catalog.read_catalog(models), settings)
    answers = classify(predictor, drawings, predictor.catalog.model(MODEL))
    return np.mean([answer.label == label for answer in answers])


def accuracy(models, limit):
    """The accuracy of the model in a folder on the test pictures."""
    model, test = catalog.read_catalog(models).models[MODEL], data.load("mnist", limit=limit).test
    x = inputs.scale(test.x[..., None], model.card.input.scaling)
    return np.mean(openvino.open_model(model)(x).argmax(axis=1) == test.y)


@pytest.mark.timeout(1800)  # about a minute of computing on an idle processor without bfloat16
def test_fifty_corrections_teach_a_habit_and_cost_nothing(
    client, runner, prepared, models, settings, encode, data_url, tmp_path, monkeypatch
):
    monkeypatch.setattr(strangers, "COUNT", 50)  # other tests measure how well unfamiliar pictures are noticed
    label, habit = HABITS["a mirrored 3"]
    rng = np.random.default_rng(0)
    taught, others = ([drawing(habit, rng) for _ in range(COUNT)] for _ in range(2))
    limit = int(prepared[1])
    before = accuracy(models, limit)
    assert share_read(models, others, label, settings) < 0.1

    for image in taught:
        result = client.post("/predict", data={"model": MODEL, "drawing": data_url(encode(image))}).location
        assert client.post(f"{result}/correction", data={"label": label}).status_code == 303
    told = tmp_path / "told"
    assert runner.invoke(args=["corrections", "export", str(told)]).stdout == f"{told}: {COUNT} pictures\n"
    options = ["--corrections", str(told), "--models", str(models), *prepared]
    assert cli.main(["train", MODEL, *options]) == 0

    assert read_card(models / MODEL).training.corrections == COUNT
    read, after = share_read(models, others, label, settings), accuracy(models, limit)
    print(f"\nof the habit's other drawings {read:.0%} are read; of the test pictures {before:.2%}, then {after:.2%}")
    assert read > 0.9
    assert after >= before - LOSS
