"""Runs small ONNX graphs in NumPy: the heads of taught classifiers, of which a worker may have hundreds.

Compiled by OpenVINO, each head takes memory of its own in each worker: `python -m benchmarks.heads` compares. Here the
constants stay in the file, which is mapped into memory, so that all workers share it and the kernel can drop it.

Operators: https://onnx.ai/onnx/operators/. A graph with any other than those of `OPERATORS` is refused.
"""

import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from inkling.recognition.card import open_regular
from inkling.recognition.runtimes.base import OUTPUTS
from inkling.recognition.runtimes.onnxfile import BYTES, fields, varints

TYPES: dict[int, type] = {1: np.float32, 7: np.int64}  # TensorProto.DataType

Attributes = Mapping[str, Any]
Operator = Callable[[list[np.ndarray], Attributes], "np.ndarray | tuple[np.ndarray, ...]"]


class Node(NamedTuple):
    """An operation of a graph."""

    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes


class SmallGraph:
    """An ONNX file as a function of float32 [n, d].

    Attributes:
        outputs: the names of its outputs, or what they are by their order, as `Answering` reads them.
    """

    def __init__(self, path: Path):
        """Maps the file.

        Raises:
            ValueError: it is not an ONNX file, keeps weights elsewhere, or needs an operator that is not here.
            OSError: it cannot be read.
        """
        with open_regular(path) as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        try:
            graph = next(value for number, value in fields(data) if number == 7 and isinstance(value, memoryview))
            self._read(graph)
        except (StopIteration, IndexError, KeyError, UnicodeDecodeError) as error:
            raise ValueError("the file is not an ONNX file of known operators") from error

    def _read(self, graph: memoryview) -> None:
        self._constants: dict[str, np.ndarray] = {}
        self._nodes: list[Node] = []
        inputs: list[str] = []
        outputs: list[str] = []
        for number, value in fields(graph):
            if not isinstance(value, memoryview):
                continue
            if number == 1:
                self._nodes.append(_node(value))
            elif number == 5:
                name, tensor = _tensor(value)
                self._constants[name] = tensor
            elif number in (11, 12):
                (inputs if number == 11 else outputs).append(_text(value, 1))
        given = [name for name in inputs if name not in self._constants]
        if len(given) != 1:
            raise ValueError(f"a head has one input. Received: {len(given)}")
        self._input, self._outputs = given[0], tuple(outputs)
        self.outputs = self._outputs if OUTPUTS[0] in outputs else OUTPUTS[: len(outputs)]
        unknown = {node.operator for node in self._nodes} - OPERATORS.keys()
        if unknown:
            raise ValueError(f"operators that NumPy does not run here: {', '.join(sorted(unknown))}")

    def __call__(self, batch: np.ndarray) -> list[np.ndarray]:
        values = {**self._constants, self._input: batch}
        for node in self._nodes:
            found = OPERATORS[node.operator]([values[name] for name in node.inputs], node.attributes)
            values.update(zip(node.outputs, found if isinstance(found, tuple) else (found,), strict=False))
        return [values[name] for name in self._outputs]


# ---- Operators ----


def _axes(attributes: Attributes) -> dict[str, Any]:
    return {"axis": tuple(attributes["axes"]), "keepdims": bool(attributes.get("keepdims", 1))}


def _softmax(inputs: list[np.ndarray], attributes: Attributes) -> np.ndarray:
    axis = attributes.get("axis", -1)
    powers = np.exp(inputs[0] - inputs[0].max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def _largest(inputs: list[np.ndarray], attributes: Attributes) -> tuple[np.ndarray, np.ndarray]:
    """TopK: the largest values, descending, and where they are."""
    values, count = inputs
    axis = attributes.get("axis", -1)
    if not (attributes.get("largest", 1) and attributes.get("sorted", 1)):
        raise ValueError("TopK must ask for the largest values in order")
    order = np.argsort(-values, axis=axis, kind="stable").take(range(int(count[0])), axis=axis)
    return np.take_along_axis(values, order, axis=axis), order


OPERATORS: dict[str, Operator] = {
    "Add": lambda inputs, _: inputs[0] + inputs[1],
    "Div": lambda inputs, _: inputs[0] / inputs[1],
    "Exp": lambda inputs, _: np.exp(inputs[0]),
    "Identity": lambda inputs, _: inputs[0],
    "Log": lambda inputs, _: np.log(inputs[0]),
    "MatMul": lambda inputs, _: inputs[0] @ inputs[1],
    "Max": lambda inputs, _: np.maximum.reduce(np.broadcast_arrays(*inputs)),
    "Min": lambda inputs, _: np.minimum.reduce(np.broadcast_arrays(*inputs)),
    "Mul": lambda inputs, _: inputs[0] * inputs[1],
    "Neg": lambda inputs, _: -inputs[0],
    "ReduceL2": lambda inputs, attributes: np.sqrt(np.square(inputs[0]).sum(**_axes(attributes))),
    "ReduceMax": lambda inputs, attributes: inputs[0].max(**_axes(attributes)),
    "ReduceMean": lambda inputs, attributes: inputs[0].mean(**_axes(attributes)),
    "ReduceMin": lambda inputs, attributes: inputs[0].min(**_axes(attributes)),
    "Relu": lambda inputs, _: np.maximum(inputs[0], 0),
    "Softmax": _softmax,
    "Sqrt": lambda inputs, _: np.sqrt(inputs[0]),
    "Sub": lambda inputs, _: inputs[0] - inputs[1],
    "TopK": _largest,
}


# ---- The file ----


def _node(message: memoryview) -> Node:
    inputs, outputs, operator, attributes = [], [], "", {}
    for number, value in fields(message):
        if number == 1:
            inputs.append(_decoded(value))
        elif number == 2:
            outputs.append(_decoded(value))
        elif number == 4:
            operator = _decoded(value)
        elif number == 5 and isinstance(value, memoryview):
            name, content = _attribute(value)
            attributes[name] = content
    return Node(operator, tuple(inputs), tuple(outputs), attributes)


def _attribute(message: memoryview) -> tuple[str, Any]:
    """The name of an attribute and its integer or integers; no operator here takes another type."""
    content: Any = None
    for number, value in fields(message):
        if number == 3:
            content = _signed(value)
        elif number == 8:
            more = [_signed(one) for one in (varints(value) if isinstance(value, memoryview) else [value])]
            content = [*(content or []), *more]
    return _text(message, 1), content


def _tensor(message: memoryview) -> tuple[str, np.ndarray]:
    """The name of a tensor and its values, which stay in the file."""
    shape: list[int] = []
    kind, raw = 0, None
    for number, value in fields(message):
        if number == 1:
            shape += varints(value) if isinstance(value, memoryview) else [value]
        elif number == 2:
            kind = int(value)
        elif number == 9:
            raw = value
    if kind not in TYPES or not isinstance(raw, memoryview):
        raise ValueError("a constant has another type than float32 or int64, or is kept in another file")
    return _text(message, 8), np.frombuffer(raw, TYPES[kind]).reshape(shape)


def _signed(value: Any) -> int:
    """A varint as the signed number that it stands for."""
    return value - 2**64 if value >= 2**63 else value


def _text(message: memoryview, wanted: int) -> str:
    return next(_decoded(value) for number, value in fields(message) if number == wanted)


def _decoded(value: int | memoryview) -> str:
    if not isinstance(value, memoryview):
        raise ValueError(f"wire type {BYTES} expected")
    return bytes(value).decode()
