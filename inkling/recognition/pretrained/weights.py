"""Reads the weights in a PyTorch checkpoint (`.pth`) without PyTorch.

This is the only module of `inkling` that unpickles anything. A pickle can call any function by its name, so the reader
checks the file's SHA-256 first, and then resolves no name that is not listed here.

The format is the one that `torch.save` wrote before version 1.6 (`_legacy_save` in
https://github.com/pytorch/pytorch/blob/main/torch/serialization.py): five pickles, and then the bytes of each storage.
"""

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from inkling.recognition.card import open_regular, sha256

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
COUNT_BYTES = 8  # a storage's number of elements, which precedes its bytes

Weights = dict[str, np.ndarray]


class _Storage:
    """A block of numbers that tensors refer to before it is read."""

    def __init__(self, dtype: np.dtype):
        self.dtype = dtype
        self.values = np.empty(0, dtype)


class _Tensor:
    """A tensor as a view into a storage, in elements."""

    def __init__(self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object):
        self._storage, self._offset, self._shape, self._strides = storage, offset, shape, strides

    @property
    def array(self) -> np.ndarray:
        """A copy of its numbers.

        Raises:
            ValueError: it reaches beyond its storage.
        """
        values, size = self._storage.values[self._offset :], self._storage.dtype.itemsize
        reach = 1 + sum((side - 1) * step for side, step in zip(self._shape, self._strides, strict=True))
        if min((*self._shape, *self._strides, self._offset, 1)) < 0 or reach > len(values):
            raise ValueError("a tensor reaches beyond its storage")
        return np.lib.stride_tricks.as_strided(
            values, self._shape, [step * size for step in self._strides], writeable=False
        ).copy()


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    """Resolves the names in `ALLOWED` and no others."""

    def __init__(self, file: io.BufferedReader):
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a file of weights")
        return ALLOWED[module, name]

    def persistent_load(self, id: Any) -> _Storage:
        _, dtype, key, *_ = id
        return self.storages.setdefault(key, _Storage(dtype))


def read_weights(path: Path, checksum: str) -> Weights:
    """The tensors of a checkpoint by name: float32 or int64 arrays.

    Args:
        checksum: the hex SHA-256 that the file must have.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file has another checksum, or is not such a checkpoint.
    """
    actual = sha256(path)
    if actual != checksum:
        raise ValueError(f"{path.name} is not the expected file. Received: SHA-256 {actual[:12]}…")
    with open_regular(path) as file:
        try:
            return _read(file)
        except (pickle.UnpicklingError, EOFError, AttributeError, IndexError, KeyError, TypeError) as error:
            raise ValueError(f"{path.name} is not a checkpoint of weights alone: {error}") from error


def _read(file: io.BufferedReader) -> Weights:
    if (_Unpickler(file).load(), _Unpickler(file).load()) != (MAGIC, PROTOCOL):
        raise ValueError("the file is not in the format of torch.save before version 1.6")
    _Unpickler(file).load()  # the writer's integer sizes
    tensors = _Unpickler(file)
    named = tensors.load()
    for key in _Unpickler(file).load():
        storage = tensors.storages[key]
        count = int.from_bytes(file.read(COUNT_BYTES), "little")
        content = file.read(count * storage.dtype.itemsize)
        if len(content) < count * storage.dtype.itemsize:
            raise EOFError("the file ends within a storage")
        storage.values = np.frombuffer(content, storage.dtype)
    return {name: tensor.array for name, tensor in named.items()}
