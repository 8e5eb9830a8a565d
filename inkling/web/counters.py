"""Numbers that a worker counts in files of its own, from which any worker can add up those of all.

This takes the place of prometheus_client's `MultiProcessValue`, which lets counting stop the server: it maps sparse
files, so that the kernel kills the worker (SIGBUS) where their folder has no room left. Here a number that finds no
room waits in the process until there is some, a folder that was removed is made again, and nothing raises.
"""

import logging
import os
import struct
import threading
import time
from contextlib import suppress
from functools import partial
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict, mmap_key

log = logging.getLogger("inkling.metrics")

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the variable by which prometheus_client's collector finds the files
SIZE = 2**16  # bytes of a new file
LOOK_SECONDS = 1.0  # between two looks whether a file is still there
# What opening, growing and reading such files raise.
UNUSABLE = (OSError, ValueError, RuntimeError, LookupError, struct.error)

_lock = threading.Lock()
_files: "dict[str, Numbers]" = {}  # kind of metric -> its numbers


def use(worker: int) -> None:
    """Makes all metrics that are created from now on count in files of this worker. Call it after the fork.

    Args:
        worker: its number; a worker continues the files of a dead one with the same number.
    """
    values.ValueClass = partial(Number, worker)


def flush() -> bool:
    """Writes the numbers that wait for room; returns whether the files hold all of this worker's now."""
    with _lock:
        return all([numbers.flush() for numbers in _files.values()])


def is_first(event: str) -> bool:
    """Whether this worker is the server's first to report an event. Each is, where no file can tell."""
    if FOLDER not in os.environ:
        return True
    try:
        open(os.path.join(os.environ[FOLDER], event), "x").close()
    except FileExistsError:
        return False
    except OSError:
        pass
    return True


class Number:
    """A number of this worker, with the interface of prometheus_client's values."""

    def __init__(
        self,
        worker: int,
        kind: str,
        metric: str,
        name: str,
        labels: Any,
        labeled: Any,
        about: str,
        multiprocess_mode: str = "",
        **_: Any,
    ):
        prefix = f"{kind}_{multiprocess_mode}" if kind == "gauge" else kind
        self._key = mmap_key(metric, name, labels, labeled, about)
        with _lock:
            if prefix not in _files:
                _files[prefix] = Numbers(os.path.join(os.environ[FOLDER], f"{prefix}_{worker}.db"))
            self._numbers = _files[prefix]
            self._value = self._numbers.read(self._key)

    def inc(self, amount: float) -> None:
        with _lock:
            self._value += amount
            self._numbers.write(self._key, self._value, 0.0)

    def set(self, value: float, timestamp: float | None = None) -> None:
        with _lock:
            self._value = value
            self._numbers.write(self._key, value, timestamp or 0.0)

    def get(self) -> float:
        return self._value

    def set_exemplar(self, _exemplar: Any) -> None:
        """Does nothing: the files have no room for exemplars."""

    def get_exemplar(self) -> None:
        """None: see `set_exemplar`."""


class Numbers:
    """The numbers of one kind of metric. Hold the lock to read and write them."""

    def __init__(self, path: str):
        self._waiting: dict[str, tuple[float, float]] = {}  # numbers for the file, with their times, by key
        self._path, self._next_look, self._told = path, 0.0, False
        self._file: AllocatedDict | None = None

    def read(self, key: str) -> float:
        """The number as a dead worker may have left it, else 0."""
        try:
            return self._opened().read_value(key)[0]
        except UNUSABLE as error:
            self._waiting[key] = 0.0, 0.0
            self._tell(error)
            return 0.0

    def write(self, key: str, value: float, timestamp: float) -> None:
        """Writes the number into the file, or keeps it until it can be written."""
        self._waiting[key] = value, timestamp
        self.flush()

    def flush(self) -> bool:
        """Writes what waits into the file; returns whether nothing waits any longer."""
        try:
            file = self._opened()
            for key, number in list(self._waiting.items()):
                file.write_value(key, *number)
                del self._waiting[key]
            self._told = False
        except UNUSABLE as error:
            self._tell(error)
        return not self._waiting

    def _tell(self, error: Exception) -> None:
        """Logs an error, but not again before writing has succeeded."""
        if not self._told:
            log.warning("this worker's metrics stay in its process, because they cannot be written: %s", error)
        self._told = True

    def _opened(self) -> "AllocatedDict":
        """The file, created if it is missing."""
        if self._file and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + LOOK_SECONDS
            if not os.path.exists(self._path):
                written = {key: (value, timestamp) for key, value, timestamp in self._file.read_all_values()}
                self._waiting = written | self._waiting
                self._file.close()
                self._file = None
        if self._file is None:
            self._file = AllocatedDict(self._path)
        return self._file


class AllocatedDict(MmapedDict):
    """prometheus_client's file of numbers, with its bytes allocated before they are used.

    Raises:
        OSError: there is no room for the file, or for another number in it.
    """

    def __init__(self, path: str):
        if not os.path.exists(path):
            _create(path)
        super().__init__(path)

    def _init_value(self, key: str) -> None:
        size = self._capacity
        while self._used + len(key.encode()) + 32 > size:  # 32: length, padding, value and timestamp, as the base class
            size *= 2
        if size > self._capacity:
            _allocate(self._f.fileno(), size)
        super()._init_value(key)


def _create(path: str) -> None:
    """Creates a file of zeros and, if need be, its folder. Readers never see it without its bytes."""
    os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
    draft = f"{path}.new"
    try:
        with open(draft, "wb") as file:
            _allocate(file.fileno(), SIZE)
        os.rename(draft, path)
    except OSError:
        with suppress(OSError):
            os.unlink(draft)
        raise


def _allocate(file: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:  # macOS
        os.truncate(file, size)
