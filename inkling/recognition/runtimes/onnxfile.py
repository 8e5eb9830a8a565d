"""Looks into ONNX files, for weights that are kept in other files above all, without the `onnx` package.

An ONNX file is a protocol buffer (https://protobuf.dev/programming-guides/encoding/) whose fields are listed in
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # wire types
EXTERNAL = 1  # the value of TensorProto.data_location for a tensor kept in another file

# Message -> {field number: message in that field}, as far as tensors can be found below.
MESSAGES = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
EXTERNAL_DATA, DATA_LOCATION = 13, 14  # fields of a tensor


def has_external_data(data: bytes) -> bool:
    """Whether an ONNX file keeps some of its weights in another file.

    Raises:
        ValueError: the file is not a protocol buffer.
    """
    try:
        return _has_external_data(memoryview(data), "model")
    except (IndexError, ValueError, RecursionError) as error:
        raise ValueError("the file is not an ONNX file") from error


def _has_external_data(message: memoryview, kind: str) -> bool:
    for number, value in fields(message):
        if kind == "tensor" and (number == EXTERNAL_DATA or (number == DATA_LOCATION and value == EXTERNAL)):
            return True
        part = MESSAGES[kind].get(number)
        if part and isinstance(value, memoryview) and _has_external_data(value, part):
            return True
    return False


def fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a message: (number, integer or bytes)."""
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        wire = key & 7
        if wire == VARINT:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        if wire == BYTES:
            length, position = _varint(message, position)
        elif wire in (FIXED32, FIXED64):
            length = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"wire type {wire}")
        if position + length > len(message):
            raise ValueError("the message is truncated")
        yield key >> 3, message[position : position + length]
        position += length


def varints(message: memoryview) -> list[int]:
    """The integers of a packed repeated field."""
    found, position = [], 0
    while position < len(message):
        value, position = _varint(message, position)
        found.append(value)
    return found


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """An integer of variable length, and the position after it."""
    value = shift = 0
    while True:
        byte = message[position]
        value |= (byte & 0x7F) << shift
        position += 1
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("an integer is too long")
