"""A head learns from the features of another model, and is exported beside it."""

from functools import partial

import numpy as np
import pytest

from inkling.recognition.card import InputSpec
from inkling.recognition.catalog import read_catalog
from inkling.recognition.runtimes import openvino
from tests.support.backbones import SIDE, write_backbone
from tests.support.recipes import toy_recipe
from training import export, heads, strangers, trials
from training.data import Dataset, Split
from training.recipe import Run

LABELS = ("warm", "cold")


def brightened(pictures, rng, side):
    return np.clip(heads.enlarged(pictures, rng, side).astype(int) + rng.integers(5, 20), 0, 255).astype(np.uint8)


RECIPE = toy_recipe(
    task="toy",
    input=InputSpec(kind="photo", width=SIDE, height=SIDE, channels=3, scaling="unit"),
    build=partial(heads.network, features=3),
    fit=heads.on(heads.Views(heads.enlarged), heads.Views(brightened, every=2)),
    backbone="backbone",
    epochs=10,
    batch=16,
    learning_rate=0.3,
)


def split(seed, count):
    """Photos of one color each: warm ones have more red than blue."""
    rng = np.random.default_rng(seed)
    colors = rng.integers(0, 256, (count, 1, 1, 3), np.uint8)
    colors = colors[np.abs(colors[:, 0, 0, 0].astype(int) - colors[:, 0, 0, 2]) > 40]
    return Split(np.tile(colors, (1, 6, 6, 1)), (colors[:, 0, 0, 0] < colors[:, 0, 0, 2]).astype(np.int64))


DATASET = Dataset("toy", LABELS, split(0, 300), split(1, 150), split(2, 150), "made here")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder with the backbone, and an empty data folder."""
    monkeypatch.setenv("INKLING_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(strangers, "gather", lambda *arguments: {})
    models = tmp_path / "models"
    models.mkdir()
    write_backbone(models)
    return models


@pytest.fixture
def run(root):
    return Run(epochs=10, models=root)


def test_a_head_is_trained_exported_and_exported_again(root, run):
    card = export.save(RECIPE, DATASET, heads_fitted(run), root, "make toy", 0)
    assert card.metrics.accuracy > 0.95
    assert card.parameters == 8
    assert [row.name for row in card.network] == ["x", "features", "dropout", "probabilities"]
    assert card.attribution == "made here Features: Drawn here."
    model = read_catalog(root).models["toy"]
    assert {"head.onnx", "head.keras"} < set(model.card.files)
    network = openvino.open_model(model)
    photos = np.zeros((2, SIDE, SIDE, 3), np.float32)
    photos[0, ..., 0] = photos[1, ..., 2] = 1  # a red one and a blue one
    assert network(photos).argmax(axis=1).tolist() == [0, 1]
    again = export.again(model, None, DATASET)
    assert (again.metrics, again.backbone, again.threshold) == (card.metrics, card.backbone, card.threshold)


def heads_fitted(run):
    return RECIPE.fit(RECIPE, DATASET, run)


def test_features_are_computed_once(root, run, monkeypatch):
    first = heads_fitted(run)
    monkeypatch.setattr(heads, "_computed", None)  # raises an error if called
    again = heads_fitted(run)
    for one, other in zip(first.model.get_weights(), again.model.get_weights(), strict=True):
        assert one.tolist() == other.tolist()


def test_seeds_are_compared_on_features(root, run):
    trained = trials.train(RECIPE, DATASET, run, seeds=2)
    assert [one.trial.seed for one in trained] == [0, 1]
    assert min(one.trial.held_out for one in trained) > 0.9


def test_a_missing_backbone_is_named(root, run):
    (root / "backbone" / "card.json").unlink()
    with pytest.raises(ValueError, match="toy needs the model 'backbone'"):
        heads_fitted(run)


def test_an_onnx_file_that_differs_from_keras_is_refused(root, run, monkeypatch):
    monkeypatch.setattr(heads, "PARITY", -1.0)
    with pytest.raises(ValueError, match="ONNX must give what Keras gives"):
        export.save(RECIPE, DATASET, heads_fitted(run), root, "make toy", 0)
    assert not (root / "toy").exists()
