"""Blobs: named files of bytes, behind an interface that a folder or an object store can implement."""

import errno
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from inkling.storage import private
from inkling.storage.errors import StoreError

ID = r"[\w-]{21}[AQgw]"  # 16 bytes in URL-safe base64: the last letter carries two bits
PNG = b"\x89PNG"  # how a stored picture begins that is no JPEG
SUFFIXES = ("jpg", "png", "seen.png", "heat.png")
KEY = re.compile(rf"({ID})\.({'|'.join(map(re.escape, SUFFIXES))})", re.ASCII)
# Temporary files of a crashed `put`, and of a crashed attempt to write the signing key or the list of blocked clients.
TEMPORARY = re.compile(rf"\.(?:{KEY.pattern}\.[0-9a-f]{{8}}\.part|(?:secret-key|blocked)\.[0-9a-f]{{16}})", re.ASCII)
QUARANTINE = "quarantine/"  # prefix of the keys of files that are kept for a while before they are deleted
EXAMPLES = "examples"  # folder of the pictures of taught classifiers in the data folder; retention never visits it
# Files in the data folder that are no blobs, but part of a backup.
SIGNING_KEY = ".secret-key"
BLOCKED = ".blocked"

MIN_FREE_BYTES = 2**24  # of the disk; reserved for the database, for deletions and for the log
MIN_FREE_FILES = 1000


class Blob(NamedTuple):
    """An entry of `Blobs.iterate`."""

    key: str
    size: int  # bytes
    modified: datetime  # UTC


class Opened(NamedTuple):
    """A blob to read from."""

    file: BinaryIO  # can seek; whoever opened it closes it
    size: int  # bytes
    tag: str  # is another one once the blob was replaced


class Blobs(Protocol):
    """Whole files of bytes by key. All methods may raise OSError or StoreError."""

    def check(self) -> None:
        """Raises an error if nothing can be written now."""

    def put(self, key: str, data: bytes) -> None:
        """Writes a blob; readers see all of it or nothing."""

    def put_all(self, files: Mapping[str, bytes]) -> None:
        """Writes blobs by key. After an error, some of them may be there."""

    def get(self, key: str) -> bytes | None:
        """A blob's bytes; None if it is missing or empty."""

    def open(self, key: str) -> Opened | None:
        """A blob to read from; None if it is missing or empty."""

    def size(self, key: str) -> int | None:
        """A blob's size in bytes; None if it is missing."""

    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """The sizes in bytes of those of the blobs that are there."""

    def move(self, key: str, to: str) -> None:
        """Renames a blob and sets its modification date to now; does nothing if it is missing."""

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes blobs; ignores missing ones."""

    def iterate(self) -> Iterator[Blob]:
        """Yields all blobs in any order. Blobs written or deleted meanwhile may or may not be among them."""


class FolderBlobs:
    """Blobs as files in one folder.

    The folder may hold other files: `iterate` yields only names that match `KEY` or `TEMPORARY`, in the folder itself
    and in its subfolder `quarantine`. Files are readable by their owner only.
    """

    def __init__(self, folder: Path):
        self._folder = folder

    def check(self) -> None:
        """Raises an error if nothing can be written now.

        Raises:
            OSError: the folder cannot be created or written.
            StoreError: the disk is full.
        """
        private.make_folder(self._folder)
        disk = os.statvfs(self._folder)
        if disk.f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        if disk.f_blocks and disk.f_bavail * disk.f_frsize < MIN_FREE_BYTES:  # some filesystems report zero blocks
            raise StoreError(f"the disk is full: less than {MIN_FREE_BYTES >> 20} MiB are free")
        if disk.f_files and disk.f_favail < MIN_FREE_FILES:
            raise StoreError(f"the disk is full: it has room for fewer than {MIN_FREE_FILES} files")

    def put(self, key: str, data: bytes) -> None:
        """Writes a blob under a temporary name, then renames it.

        There is no fsync: like the database's last commits, a file may be lost in a power cut. An empty file left
        behind counts as missing.
        """
        path = self._path(key)
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            private.write(temporary, data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)

    def put_all(self, files: Mapping[str, bytes]) -> None:
        """Writes blobs one after the other."""
        for key, data in files.items():
            self.put(key, data)

    def get(self, key: str) -> bytes | None:
        """A blob's bytes; None if it is missing or empty."""
        try:
            return self._path(key).read_bytes() or None
        except FileNotFoundError:
            return None

    def open(self, key: str) -> Opened | None:
        """A blob to read from; None if it is missing or empty."""
        try:
            file = self._path(key).open("rb")
        except FileNotFoundError:
            return None
        stat = os.fstat(file.fileno())
        if stat.st_size:
            return Opened(file, stat.st_size, f"{stat.st_mtime_ns:x}-{stat.st_size:x}")
        file.close()
        return None

    def size(self, key: str) -> int | None:
        """A blob's size in bytes; None if it is missing."""
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError:
            return None

    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """The sizes in bytes of those of the blobs that are there."""
        return {key: size for key in keys if (size := self.size(key)) is not None}

    def move(self, key: str, to: str) -> None:
        """Renames a blob and sets its modification date to now; does nothing if it is missing."""
        source, target = self._path(key), self._path(to)
        private.make_folder(target.parent)
        with suppress(FileNotFoundError):
            os.utime(source)  # first: after a crash in between, the file only looks newer than it is
            os.replace(source, target)

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes blobs; ignores missing ones."""
        for key in keys:
            self._path(key).unlink(missing_ok=True)

    def iterate(self) -> Iterator[Blob]:
        """Yields all blobs in any order."""
        yield from self._scan("")
        with suppress(FileNotFoundError):
            yield from self._scan(QUARANTINE)

    def _scan(self, prefix: str) -> Iterator[Blob]:
        with os.scandir(self._folder / prefix) as entries:
            for entry in entries:
                if KEY.fullmatch(entry.name) or TEMPORARY.fullmatch(entry.name):
                    with suppress(FileNotFoundError):  # deleted meanwhile
                        stat = entry.stat(follow_symlinks=False)
                        yield Blob(prefix + entry.name, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))

    def _path(self, key: str) -> Path:
        name = key.removeprefix(QUARANTINE)
        if not (KEY.fullmatch(name) or TEMPORARY.fullmatch(name)):
            raise ValueError(f"not the key of a blob: {key!r}")
        return self._folder / key
