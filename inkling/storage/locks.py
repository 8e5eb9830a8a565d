"""A lock that one process of a machine holds at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inkling.storage.errors import store_errors


@contextmanager
def only_one(folder: Path) -> Iterator[int | None]:
    """Yields a descriptor that holds the lock of a folder; None if another process holds it.

    The lock lasts until every copy of the descriptor is closed. The folder itself is locked: a full disk takes no lock
    file.

    Raises:
        StoreError: the folder cannot be opened.
    """
    with store_errors():
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        held: int | None = descriptor
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held = None
        yield held
    finally:
        os.close(descriptor)
