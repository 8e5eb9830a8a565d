"""Halves the size of model files: weights stored as float16, computed with as float32."""

import zipfile
from pathlib import Path

import keras
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEWEST = 1024  # smallest number of elements that is worth a cast
LARGEST = 65280.0  # the largest float16 with cleared low bits


def round_weights(model: keras.Model, spare: int) -> None:
    """Rounds a network's large weights to float16 values, which compress to half the size.

    Args:
        spare: bits of the mantissa to clear.
    """
    for weight in model.weights:
        values = keras.ops.convert_to_numpy(weight)
        if fits(values):
            weight.assign(rounded(values, spare).astype(np.float32))


def rounded(weights: np.ndarray, spare: int) -> np.ndarray:
    """Rounds float32 to the nearest float16 whose last `spare` bits are zero."""
    bits = weights.astype(np.float16).view(np.uint16)
    return ((bits + (1 << spare >> 1)) >> spare << spare).astype(np.uint16).view(np.float16)


def pack(path: Path) -> None:
    """Rewrites a `.keras` file, an uncompressed zip, with compression."""
    with zipfile.ZipFile(path) as file:
        members = {info: file.read(info) for info in file.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for info, content in members.items():
            file.writestr(info.filename, content)


def fits(weights: np.ndarray) -> bool:
    """Whether a tensor is large enough for a cast and within the range of float16."""
    return weights.size >= FEWEST and bool(np.abs(weights).max() <= LARGEST)


def halve(path: Path) -> None:
    """Rewrites an ONNX file with each large float32 initializer stored as float16 and cast back to float32.

    The runtime folds casts of constants when it compiles the network. Tensors beyond float16's range stay float32.
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
    nodes = [*casts, *graph.node]  # ONNX requires topological order
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)
