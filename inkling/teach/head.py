"""Writes a head as an ONNX file: features float32 [n, d] -> probabilities [n, labels], familiarity [n, 1]."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inkling.teach.learn import Learned

OPSET, IR = 17, 8  # what OpenVINO and ONNX Runtime have read for years


def write(learned: Learned, path: Path) -> None:
    """Writes a head to a file. The same head gives the same bytes."""
    size, count = learned.weights.shape
    graph = helper.make_graph(
        nodes(learned),
        "head",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", size])],
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", count]),
            helper.make_tensor_value_info("familiarity", TensorProto.FLOAT, ["n", 1]),
        ],
        initializers(learned),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="inkling")
    model.ir_version = IR
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def nodes(learned: Learned) -> list[onnx.NodeProto]:
    """The operations that lead from `features` to `probabilities` and `familiarity`, to build them into a graph."""
    make = helper.make_node
    return [
        make("Relu", ["features"], ["head.positive"]),
        make("Sqrt", ["head.positive"], ["head.roots"]),
        make("ReduceL2", ["head.roots"], ["head.length"], axes=[1], keepdims=1),
        make("Max", ["head.length", "head.least"], ["head.divisor"]),
        make("Div", ["head.roots", "head.divisor"], ["head.direction"]),
        make("MatMul", ["head.direction", "head.weights"], ["head.product"]),
        make("Add", ["head.product", "head.bias"], ["head.logits"]),
        make("Softmax", ["head.logits"], ["probabilities"], axis=1),
        make("MatMul", ["head.direction", "head.subspace"], ["head.projection"]),
        make("ReduceL2", ["head.projection"], ["head.within"], axes=[1], keepdims=1),
        make("Mul", ["head.within", "head.within"], ["head.share"]),
        make("Sub", ["head.share", "head.share_mean"], ["head.share_centered"]),
        make("Div", ["head.share_centered", "head.share_spread"], ["head.share_standard"]),
        make("ReduceMax", ["head.logits"], ["head.largest"], axes=[1], keepdims=1),
        make("Sub", ["head.largest", "head.logit_mean"], ["head.logit_centered"]),
        make("Div", ["head.logit_centered", "head.logit_spread"], ["head.logit_standard"]),
        make("Add", ["head.share_standard", "head.logit_standard"], ["familiarity"]),
    ]


def initializers(learned: Learned) -> list[onnx.TensorProto]:
    """The constants of `nodes`."""
    constants = {
        "least": np.float32(1e-6).reshape(1, 1),
        "weights": learned.weights,
        "bias": learned.bias,
        "subspace": learned.subspace,
    }
    constants |= {name: np.float32(value).reshape(1, 1) for name, value in learned.scale._asdict().items()}
    return [numpy_helper.from_array(value, f"head.{name}") for name, value in constants.items()]
