"""The clients that the operator of the server has blocked: the lines of a file in the data folder.

Every request asks whether its client is one of them. A file answers that without the database, also while the database
fails, and in every process as soon as the file changes.
"""

import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from inkling.storage import private
from inkling.storage.blobs import BLOCKED


class Blocks:
    """The list of blocked clients."""

    def __init__(self, folder: Path):
        self._path = folder / BLOCKED
        self._state: tuple[int, ...] | None = None  # of the file when it was read
        self._clients: frozenset[str] = frozenset()

    def all(self) -> frozenset[str]:
        """The blocked clients. While the file cannot be read, those that were blocked before."""
        with suppress(OSError):
            state = self._stat()
            if state != self._state:
                self._clients = frozenset(self._path.read_text("ascii").split()) if state else frozenset()
                self._state = state
        return self._clients

    def add(self, client: str) -> None:
        """Blocks a client.

        Raises:
            OSError: the file cannot be written.
        """
        self._write({*self.all(), client})

    def remove(self, client: str) -> bool:
        """Lets a client in again; returns whether it was blocked.

        Raises:
            OSError: the file cannot be written.
        """
        if client not in self.all():
            return False
        self._write(self.all() - {client})
        return True

    def _stat(self) -> tuple[int, ...] | None:
        """The state of the file, which is another one once it was written; None if there is none."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size

    def _write(self, clients: Iterable[str]) -> None:
        """Replaces the file, so that readers see all of it."""
        private.make_folder(self._path.parent)
        draft = self._path.with_name(f"{BLOCKED}.{secrets.token_hex(8)}")
        try:
            private.write(draft, "".join(f"{client}\n" for client in sorted(clients)).encode())
            os.replace(draft, self._path)
        finally:
            draft.unlink(missing_ok=True)
