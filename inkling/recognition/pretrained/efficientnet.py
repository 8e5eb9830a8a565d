"""EfficientNet-Lite as an ONNX graph, with the weights of its PyTorch port.

EfficientNet (Tan and Le 2019, https://arxiv.org/abs/1905.11946) without squeeze-and-excitation and with ReLU6, as in
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite. Batch normalization is folded into the
convolutions.

The same weights give the same file, byte for byte: names and order are fixed, and nothing depends on the time, the
machine or a random number.
"""

import math
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from inkling.recognition.card import Layer
from inkling.recognition.pretrained.weights import Weights

PART = 4  # cells a side of the last map (9 x 9 for lite2) in one part of the picture
EPSILON = 1e-3  # of batch normalization
OPSET, IR_VERSION = 17, 9
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # of batch normalization, which are not trained


class Stage(NamedTuple):
    """Blocks that follow each other at one size."""

    repeats: int  # before the network's depth multiplies it
    kernel: int
    stride: int  # of the first block
    expansion: int


STAGES = (
    Stage(1, 3, 1, 1),
    Stage(2, 3, 2, 6),
    Stage(2, 5, 2, 6),
    Stage(3, 3, 2, 6),
    Stage(3, 5, 1, 6),
    Stage(4, 5, 2, 6),
    Stage(1, 3, 1, 6),
)


class Variant(NamedTuple):
    """One of the published networks."""

    side: int  # pixels a side of the input
    depth: float


VARIANTS = {"efficientnet-lite2": Variant(260, 1.2)}


class Network(NamedTuple):
    """A network that was built.

    Attributes:
        file: the ONNX file. Its input `pictures` is float32 [n, side, side, 3] in -1..1; its outputs are
            `probabilities` [n, labels], `features` [n, 1280], the pooled features before the last layer, and `parts`
            [n, h, w, 1280], the same pooled over overlapping parts of the picture only.
        layers: the table of layers for the model's card, as Keras would list them.
        parameters: the number of trained parameters before batch normalization was folded.
    """

    file: bytes
    layers: tuple[Layer, ...]
    parameters: int


def build(weights: Weights, name: str) -> Network:
    """The network of that name.

    Args:
        weights: arrays under the names of the PyTorch port, see `weights.read_weights`.
        name: a key of `VARIANTS`.

    Raises:
        ValueError: a tensor is missing, or has the wrong shape.
    """
    variant = VARIANTS[name]
    try:
        graph = _Graph(weights, variant.side)
        x = graph.conv("input", "_conv_stem", "_bn0", kernel=3, stride=2)
        number = 0
        for position, stage in enumerate(STAGES):
            fixed = position in (0, len(STAGES) - 1)  # the first and the last stage are as deep in every variant
            for repeat in range(stage.repeats if fixed else math.ceil(stage.repeats * variant.depth)):
                stride = stage.stride if repeat == 0 else 1
                x = graph.block(x, f"_blocks.{number}", stage.kernel, stride, stage.expansion)
                number += 1
        x = graph.conv(x, "_conv_head", "_bn1", kernel=1)
        graph.head(x, "_fc")
        parameters = sum(array.size for key, array in weights.items() if key.rpartition(".")[2] not in STATISTICS)
        return Network(graph.file(name), tuple(graph.layers), parameters)
    except (KeyError, ValueError, onnx.checker.ValidationError) as error:
        raise ValueError(f"these are not the weights of {name}: {error}") from error


class _Graph:
    """An ONNX graph in the making. Values carry the names of the nodes that make them."""

    def __init__(self, weights: Weights, side: int):
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._channels, self._side = 3, side
        self._parts: list[str | int] = []  # the shape of the output `parts`
        self.layers: list[Layer] = []
        self._layer("pictures", "InputLayer", 0)
        # The weights expect (x - 127) / 128 for x in 0..255; the input is x / 127.5 - 1.
        self._constant("scale", np.float32(127.5 / 128))
        self._constant("shift", np.float32(0.5 / 128))
        self._constant("zero", np.float32(0))
        self._constant("six", np.float32(6))
        self._node("Transpose", ["pictures"], "planes", perm=[0, 3, 1, 2])
        self._node("Mul", ["planes", "scale"], "scaled")
        self._node("Add", ["scaled", "shift"], "input")

    def conv(
        self, x: str, key: str, norm: str, kernel: int, stride: int = 1, depthwise: bool = False, active: bool = True
    ) -> str:
        """A convolution with batch normalization, and ReLU6 if `active`."""
        weight = self._weights[f"{key}.weight"].astype(np.float64)
        out = self._channels if depthwise else len(weight)
        expected = (out, 1 if depthwise else self._channels, kernel, kernel)
        if weight.shape != expected:
            raise ValueError(f"{key} must be {expected}. Received: {weight.shape}")
        scale, bias, mean, variance = (
            self._weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / np.sqrt(variance + EPSILON)
        self._constant(f"{key}.kernel", weight * factor[:, None, None, None])
        self._constant(f"{key}.bias", bias - factor * mean)
        y = self._node(
            "Conv",
            [x, f"{key}.kernel", f"{key}.bias"],
            f"{key}.output",
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            group=out if depthwise else 1,
            auto_pad="SAME_UPPER",  # as TensorFlow pads
        )
        self._channels, self._side = out, -(-self._side // stride)
        self._layer(key, "DepthwiseConv2D" if depthwise else "Conv2D", weight.size + 2 * out)
        return self._node("Clip", [y, "zero", "six"], f"{key}.active") if active else y

    def block(self, x: str, key: str, kernel: int, stride: int, expansion: int) -> str:
        """An inverted residual block (MBConv): expand, depthwise convolution, project."""
        before, y = self._channels, x
        if expansion > 1:
            y = self.conv(y, f"{key}._expand_conv", f"{key}._bn0", kernel=1)
        y = self.conv(y, f"{key}._depthwise_conv", f"{key}._bn1", kernel, stride, depthwise=True)
        y = self.conv(y, f"{key}._project_conv", f"{key}._bn2", kernel=1, active=False)
        if stride > 1 or self._channels != before:
            return y
        self._layer(f"{key}.sum", "Add", 0)
        return self._node("Add", [x, y], f"{key}.sum")

    def head(self, x: str, key: str) -> None:
        """Pooled features, and probabilities from one dense layer."""
        weight, bias = self._weights[f"{key}.weight"], self._weights[f"{key}.bias"]
        if weight.shape != (len(bias), self._channels):
            raise ValueError(f"{key} must be {(len(bias), self._channels)}. Received: {weight.shape}")
        self._constant(f"{key}.kernel", weight)
        self._constant(f"{key}.bias", bias)
        self._node("GlobalAveragePool", [x], "pooled")
        self._node("Flatten", ["pooled"], "features", axis=1)
        self._node("AveragePool", [x], "windows", kernel_shape=[PART, PART])
        self._node("Transpose", ["windows"], "parts", perm=[0, 2, 3, 1])
        self._node("Gemm", ["features", f"{key}.kernel", f"{key}.bias"], "logits", transB=1)
        self._node("Softmax", ["logits"], "probabilities", axis=1)
        labels, features = weight.shape
        self._parts = ["n", self._side - PART + 1, self._side - PART + 1, features]
        self._layer("features", "GlobalAveragePooling2D", 0, (None, features))
        self._layer("probabilities", "Dense", weight.size + bias.size, (None, labels))

    def file(self, name: str) -> bytes:
        """The finished graph as a checked ONNX file."""

        def value(name: str) -> onnx.ValueInfoProto:
            (layer,) = (layer for layer in self.layers if layer.name == name)
            return helper.make_tensor_value_info(name, TensorProto.FLOAT, [side or "n" for side in layer.output])

        graph = helper.make_graph(
            self._nodes,
            name,
            [value("pictures")],
            [
                value("probabilities"),
                value("features"),
                helper.make_tensor_value_info("parts", TensorProto.FLOAT, self._parts),
            ],
            self._constants,
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        return model.SerializeToString(deterministic=True)

    def _constant(self, name: str, values: np.ndarray | np.float32) -> None:
        self._constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))

    def _node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], output, **attributes))
        return output

    def _layer(self, name: str, kind: str, parameters: int, output: tuple[int | None, ...] | None = None) -> None:
        """Notes a row of the table; without `output`, its output is a map of the current size."""
        output = output or (None, self._side, self._side, self._channels)
        self.layers.append(Layer(name=name, kind=kind, output=output, parameters=parameters))
