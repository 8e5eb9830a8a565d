"""An ONNX file of half the size: weights stored as float16, computed with as float32."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FEWEST = 1024  # numbers of a tensor that is worth a cast
LARGEST = float(np.finfo(np.float16).max)


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
        if weights.size < FEWEST or not np.abs(weights).max() <= LARGEST:
            continue
        name, stored = tensor.name, f"{tensor.name}/float16"
        tensor.CopyFrom(numpy_helper.from_array(weights.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], name=f"{name}/float32", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]  # in the order of their use, as ONNX demands
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, path)
