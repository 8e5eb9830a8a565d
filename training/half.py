"""Files of half the size: weights as float16, computed with as float32."""

import zipfile
from pathlib import Path

import keras
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEWEST = 1024  # numbers of a tensor that is worth a cast
LARGEST = 65280.0  # the largest float16 of that kind


def round_weights(model: keras.Model, spare: int) -> None:
    """Rounds a network's large weights to what float16 can hold, so that a packed file of them is half as large.

    Args:
        spare: bits of mantissa that become zero.
    """
    for weight in model.weights:
        values = keras.ops.convert_to_numpy(weight)
        if fits(values):
            weight.assign(rounded(values, spare).astype(np.float32))


def rounded(weights: np.ndarray, spare: int) -> np.ndarray:
    """float32 -> the nearest float16 whose last `spare` bits are zero."""
    bits = weights.astype(np.float16).view(np.uint16)
    return ((bits + (1 << spare >> 1)) >> spare << spare).astype(np.uint16).view(np.float16)


def pack(path: Path) -> None:
    """Rewrites a `.keras` file, which is a zip that stores, as one that compresses."""
    with zipfile.ZipFile(path) as file:
        members = {info: file.read(info) for info in file.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for info, content in members.items():
            file.writestr(info.filename, content)


def fits(weights: np.ndarray) -> bool:
    """Whether a tensor is worth a cast, and float16 can hold it."""
    return weights.size >= FEWEST and bool(np.abs(weights).max() <= LARGEST)


def halve(path: Path) -> None:
    """Rewrites an ONNX file: each large float32 initializer as float16, with a Cast to float32 before its use.

    Casts of constants are done once, when the network is compiled. What float16 cannot hold stays as it is.
    """
    model = onnx.load(path)
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        weights = numpy_helper.to_array(tensor)
        if not fits(weights):
            continue
        name, stored = tensor.name, f"{tensor.name}/float16"
        tensor.CopyFrom(numpy_helper.from_array(weights.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], name=f"{name}/float32", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]  # in the order of their use, as ONNX demands
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)
