"""Tiny model folders: a backbone whose features are a photo's mean color, and networks that continue it."""

import json

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from inkling.recognition.card import sha256

SIDE = 8
COLORS = ("red", "green", "blue")
MEAN_COLOR = ("ReduceMean", ["x"], ["features"], {"axes": [1, 2], "keepdims": 0})
SOFTMAX = ("Softmax", ["features"], ["probabilities"], {"axis": 1})


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


def write_backbone(root, outputs=(("features", 3), ("probabilities", 3)), name="backbone"):
    """Writes a model folder, and returns it."""
    folder = root / name
    folder.mkdir(parents=True, exist_ok=True)
    network(folder / "model.onnx", [("x", ["n", SIDE, SIDE, 3]), *outputs], [MEAN_COLOR, SOFTMAX], {})
    layers = [
        {"name": "x", "kind": "Input", "output": [None, SIDE, SIDE, 3], "parameters": 0},
        {"name": "features", "kind": "ReduceMean", "output": [None, 3], "parameters": 0},
        {"name": "probabilities", "kind": "Softmax", "output": [None, 3], "parameters": 0},
    ]
    write_card(folder, labels=COLORS, network=layers, attribution="Drawn here.")
    return folder
