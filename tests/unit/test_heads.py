"""Models that continue another model's network: their `head.onnx` takes its features instead of pictures."""

import numpy as np
import pytest

from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition.card import sha256
from inkling.recognition.catalog import read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Prepared
from inkling.recognition.runtimes import openvino
from tests.support.backbones import COLORS, SIDE, network, write_backbone, write_card


def write_head(folder, weights, **card):
    """Writes the model folder of a linear head with labels yes and no; `card` adds to its card."""
    folder.mkdir(exist_ok=True)
    network(
        folder / "head.onnx",
        [("features", ["n", 3]), ("probabilities", 2)],
        [("MatMul", ["features", "w"], ["logits"], {}), ("Softmax", ["logits"], ["probabilities"], {"axis": 1})],
        {"w": weights},
    )
    checksum = sha256(folder.with_name("backbone") / "model.onnx")
    write_card(folder, labels=("yes", "no"), backbone={"model": "backbone", "checksum": checksum}, **card)


@pytest.fixture
def root(tmp_path):
    """A folder with a backbone and the heads "warm" and "cold" on it."""
    write_backbone(tmp_path)
    for name, sign in (("warm", 1), ("cold", -1)):
        write_head(tmp_path / name, sign * np.array([[9, -9], [0, 0], [-9, 9]]))
    return tmp_path


@pytest.fixture
def predictor(root):
    return LocalPredictor(read_catalog(root), Settings.from_env({"INKLING_THREADS": "1"}))


def plain(color):
    return Prepared(np.full((SIDE, SIDE, 3), color, np.uint8))


def labels(predictor, pictures, name):
    return [answer.label for answer in predictor.answer(pictures, predictor.catalog.model(name))]


def test_a_head_answers_from_the_features_of_its_backbone(predictor):
    pictures = [plain((255, 0, 0)), plain((0, 0, 255)), plain((200, 90, 10))]
    assert labels(predictor, pictures, "warm") == ["yes", "no", "yes"]
    assert labels(predictor, pictures, "cold") == ["no", "yes", "no"]


def test_models_on_one_backbone_ask_it_once_about_a_picture(predictor, monkeypatch):
    predictor.warm()
    runtime, asked = predictor._open(predictor.catalog.model("backbone")), []
    compute = runtime._network

    def network(batch):
        asked.append(len(batch))
        return compute(batch)

    network.outputs = compute.outputs
    monkeypatch.setattr(runtime, "_network", network)
    picture = plain((255, 0, 0))
    for name, label in (("warm", "yes"), ("backbone", "red"), ("cold", "no")):
        assert labels(predictor, [picture], name) == [label]
    assert asked == [1]


@pytest.mark.parametrize(
    "card, precisions",
    [({}, ["bf16"]), ({"taught": {"classifier": "one", "version": 1, "owner": "somebody"}}, ["bf16", "f32"])],
)
def test_a_taught_head_alone_continues_features_in_float32(root, monkeypatch, card, precisions):
    """As its exported file does, wherever the processor has bfloat16."""
    asked, right = [], openvino.open_model

    def note(model, threads, precision="", backbone=None):
        if not backbone:
            asked.append(precision)
        return right(model, threads, "f32", backbone)

    monkeypatch.setattr(openvino, "has_bfloat16", lambda: True)
    monkeypatch.setattr(openvino, "open_model", note)
    write_head(root / "warm", np.array([[9, -9], [0, 0], [-9, 9]]), **card)
    predictor = LocalPredictor(read_catalog(root), Settings.from_env({}))
    assert labels(predictor, [plain((255, 0, 0))], "warm") == ["yes"]
    assert asked == precisions


@pytest.mark.parametrize(
    "spoil, reason",
    [
        (lambda folder: (folder / "model.onnx").unlink(), "model.onnx is missing"),
        (lambda folder: write_card(folder, labels=COLORS, files={}), "it needs the version"),
        (lambda folder: (folder / "card.json").unlink(), "it needs the version"),
    ],
)
def test_a_head_without_its_backbone_is_switched_off_with_the_reason(root, spoil, reason):
    spoil(root / "backbone")
    predictor = LocalPredictor(read_catalog(root), Settings.from_env({}))
    predictor.warm()
    assert reason in predictor.catalog.broken["warm"]
    with pytest.raises(Problem) as problem:
        predictor.catalog.model("warm")
    assert problem.value.reason == "model-unavailable"


def test_a_backbone_without_features_is_refused(root):
    """A network trained here names its outputs by their order."""
    write_backbone(root, outputs=[("probabilities", 3)])
    write_head(root / "warm", np.zeros((3, 2)))
    predictor = LocalPredictor(read_catalog(root), Settings.from_env({}))
    predictor.warm()
    assert predictor.catalog.broken["warm"] == "its backbone has no output named features"
    assert "backbone" not in predictor.catalog.broken
