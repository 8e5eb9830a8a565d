"""Models that continue another model's network: their `head.onnx` takes its features instead of pictures."""

import json

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition.card import sha256
from inkling.recognition.catalog import read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Prepared

SIDE = 8
COLORS = ("red", "green", "blue")


def network(path, names, nodes, weights):
    """Writes an ONNX file; `names` are its input with its shape and its outputs with their sizes."""
    (given, shape), *outputs = names
    tensors = [numpy_helper.from_array(np.float32(values), name) for name, values in weights.items()]
    graph = helper.make_graph(
        [helper.make_node(kind, inputs, output, **attributes) for kind, inputs, output, attributes in nodes],
        "toy",
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in outputs],
        tensors,
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def write_card(folder, **values):
    spec = {"kind": "photo", "width": SIDE, "height": SIDE, "channels": 3, "scaling": "unit"}
    files = {path.name: sha256(path) for path in folder.glob("*.onnx")}
    card = {"name": folder.name, "task": folder.name, "title": folder.name, "input": spec, "files": files}
    (folder / "card.json").write_text(json.dumps(card | values))


@pytest.fixture
def root(tmp_path):
    """A folder with a backbone, whose features are the mean color, and the heads "warm" and "cold" on it."""
    folder = tmp_path / "backbone"
    folder.mkdir()
    network(
        folder / "model.onnx",
        [("x", ["n", SIDE, SIDE, 3]), ("features", 3), ("probabilities", 3)],
        [
            ("ReduceMean", ["x"], ["features"], {"axes": [1, 2], "keepdims": 0}),
            ("Softmax", ["features"], ["probabilities"], {"axis": 1}),
        ],
        {},
    )
    write_card(folder, labels=COLORS)
    for name, sign in (("warm", 1), ("cold", -1)):
        head = tmp_path / name
        head.mkdir()
        network(
            head / "head.onnx",
            [("features", ["n", 3]), ("probabilities", 2)],
            [("MatMul", ["features", "w"], ["logits"], {}), ("Softmax", ["logits"], ["probabilities"], {"axis": 1})],
            {"w": sign * np.array([[9, -9], [0, 0], [-9, 9]])},
        )
        checksum = sha256(folder / "model.onnx")
        write_card(head, labels=("yes", "no"), backbone={"model": "backbone", "checksum": checksum})
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
    network(
        root / "backbone" / "model.onnx",
        [("x", ["n", SIDE, SIDE, 3]), ("probabilities", 3)],
        [
            ("ReduceMean", ["x"], ["means"], {"axes": [1, 2], "keepdims": 0}),
            ("Softmax", ["means"], ["probabilities"], {"axis": 1}),
        ],
        {},
    )
    write_card(root / "backbone", labels=COLORS)
    checksum = sha256(root / "backbone" / "model.onnx")
    write_card(root / "warm", labels=("yes", "no"), backbone={"model": "backbone", "checksum": checksum})
    predictor = LocalPredictor(read_catalog(root), Settings.from_env({}))
    predictor.warm()
    assert predictor.catalog.broken["warm"] == "its backbone has no output named features"
    assert "backbone" not in predictor.catalog.broken
