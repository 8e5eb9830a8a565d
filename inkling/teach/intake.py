"""What people bring to teach from, as (source, class name) pairs: uploads, a zip, or a folder with a folder per class.

A picture that is refused costs only itself: its source raises the reason when it is read, and so the answer names it.
A zip is never unpacked to disk. Python's `zipfile` trusts what a zip says about itself, so this module bounds what it
makes `zipfile` read: its table of contents, the number of its files, and their sizes. "A better zip bomb" (Fifield
2019, https://www.bamsoftware.com/hacks/zipbomb/) describes the attacks.
"""

import io
import os
import shutil
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from inkling.config import Settings
from inkling.pictures.budget import Budget
from inkling.pictures.formats import ACCEPTED_EXTENSIONS, extension_of
from inkling.problems import Problem, shorten
from inkling.recognition.inputs import Picture
from inkling.service import File, Source, Upload

Pair = tuple[Source, str | None]  # a picture, and the name of its class if it has one
Folders = tuple[str, ...]  # the folders that lead to a file, outermost first

JUNK = ("__macosx", "thumbs.db", "desktop.ini")  # what systems add to folders, in lower case
SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")  # how data sets name their parts
BYTES_OF_ENTRY = 400  # of a zip's table of contents for each file that it may hold
DEEPEST = 32  # folders on the way to a file
METHODS = (ZIP_STORED, ZIP_DEFLATED)  # LZMA's dictionary alone may take gigabytes
UTF_8 = 0x800  # the flag of an entry whose name is in UTF-8
DAMAGED = (BadZipFile, zlib.error, struct.error, EOFError, OSError, OverflowError, ValueError)  # what `zipfile` raises
CHUNK = 2**16  # bytes


# ---- Sources ----


@dataclass(frozen=True)
class Member:
    """A picture in a zip."""

    archive: ZipFile
    info: ZipInfo
    path: str
    kind: str = "photo"

    @property
    def name(self) -> str:
        return Upload(None, self.path).name

    def read(self, settings: Settings, budget: Budget, at_least: int) -> Picture:
        return Upload(io.BytesIO(self._content(settings)), self.path).read(settings, budget, at_least)

    def _content(self, settings: Settings) -> bytes:
        """The unpacked file, which is never longer than the table of contents says."""
        if self.info.file_size > settings.max_bytes:
            size = f"{self.info.file_size} bytes"
            raise Problem("too-large", f"A picture may have at most {settings.max_bytes} bytes. Received: {size}", size)
        if self.info.compress_type not in METHODS:
            raise _bad_zip(f"{self.name} is packed by a method that few programs know.")
        content = io.BytesIO()
        try:
            with self.archive.open(self.info) as file:
                shutil.copyfileobj(file, content, CHUNK)  # reading all at once would unpack beyond the stated size
        except RuntimeError as error:  # NotImplementedError for other kinds of encryption
            raise _bad_zip(f"{self.name} is locked with a password.") from error
        except DAMAGED as error:
            raise _bad_zip(f"{self.name} is damaged in the zip.") from error
        return content.getvalue()


@dataclass(frozen=True)
class Refused:
    """A file that is refused without reading it."""

    path: str
    problem: Problem
    kind: str = "photo"

    @property
    def name(self) -> str:
        return Upload(None, self.path).name

    def read(self, settings: Settings, budget: Budget, at_least: int) -> Picture:
        raise self.problem


# ---- Uploads, zips and folders ----


def from_uploads(uploads: Sequence[Upload], name: str | None = None) -> list[Pair]:
    """Uploaded files with their classes.

    Args:
        name: the class of all of them. Without it, the folders that browsers put before the names of the files of a
            folder name the classes.
    """
    if name is not None:
        return [(upload, name) for upload in uploads]
    return _classified((upload.filename or "", upload) for upload in uploads)


def from_zip(file: IO[bytes], settings: Settings, kind: str = "photo", name: str | None = None) -> list[Pair]:
    """The pictures in a zip with their classes. The sources read from `file`, which must stay open.

    Args:
        kind: the kind of the sources, "photo" or "drawing".
        name: the class of all pictures. Without it, folders name the classes.

    Raises:
        Problem: "zip" if it cannot be read, "zip-too-large" beyond the settings' limits, "missing" if it holds no file.
    """
    archive = _open(file, settings)
    members = [Member(archive, info, _path(info), kind) for info in archive.infolist() if not info.is_dir()]
    members = [member for member in members if not _is_junk(member.path)]
    if not members:
        raise Problem("missing", "The zip holds no file. Put pictures into it.")
    if len(members) > settings.zip_files:
        raise _too_much(f"{settings.zip_files} files", f"{len(members)} files")
    readable = (member.info.file_size for member in members if member.info.file_size <= settings.max_bytes)
    unpacked = sum(readable)
    if unpacked > settings.zip_mb * 2**20:
        raise _too_much(f"{settings.zip_mb} MB of unpacked files", f"{unpacked} bytes")
    if name is not None:
        return [(member, name) for member in members]
    return _classified((member.path, member) for member in members)


def from_folder(folder: Path, settings: Settings, kind: str = "photo") -> list[Pair]:
    """The files below a folder with their classes.

    Args:
        kind: the kind of the sources, "photo" or "drawing".

    Raises:
        Problem: "zip-too-large" beyond the settings' limit, "missing" if there is no file.
    """
    files: list[Path] = []
    for file in files_below(folder):
        if not _is_junk(file.name):
            files.append(file)
        if len(files) > settings.zip_files:
            raise _too_much(f"{settings.zip_files} files", "more")
    if not files:
        raise Problem("missing", f"There is no file in {folder}.")
    return _classified((file.relative_to(folder).as_posix(), File(file, kind)) for file in files)


def files_below(folder: Path) -> Iterator[Path]:
    """Regular files below a folder; names that begin with a dot and links to folders are left out."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (file for name in sorted(names) if not name.startswith(".") and (file := Path(root, name)).is_file())


# ---- Names of classes ----


def classes(paths: Sequence[Folders], clear: Sequence[bool] | None = None) -> list[str | None]:
    """For each file the folder that names its class; None for a file outside all folders.

    The outermost folder does, except one around all classes (a data set's own name) and one that names a part of a data
    set, such as "train".

    Args:
        paths: the folders that lead to each file.
        clear: whether each file is a picture by its name, by default all are. Others, such as a README, do not tell
            where the classes are, unless there is nothing else.
    """
    found = list(paths)
    leading = [i for i in range(len(found)) if clear and clear[i]] or range(len(found))
    while found and _is_wrapper([found[i] for i in leading]):
        found = [folders[1:] for folders in found]
    found = [folders[1:] if len(folders) > 1 and folders[0].lower() in SPLITS else folders for folders in found]
    return [folders[0] if folders else None for folders in found]


def _is_wrapper(paths: Sequence[Folders]) -> bool:
    """Whether all files are in one folder that holds classes: several folders, or nothing but a folder."""
    if not all(paths) or len({folders[0] for folders in paths}) > 1:
        return False
    return len({folders[1] for folders in paths if len(folders) > 1}) > 1 or all(len(folders) > 1 for folders in paths)


def _classified(files: Iterable[tuple[str, Source]]) -> list[Pair]:
    """Files with the classes that their paths name; a file whose path is not accepted is refused by its reason."""
    accepted: list[tuple[int, Source, Folders, bool]] = []
    pairs: list[Pair] = []
    for path, source in files:
        try:
            folders = _folders(path)
            extension = extension_of(path)
            if extension in ("", *ACCEPTED_EXTENSIONS):  # without one, the bytes decide
                accepted.append((len(pairs), source, folders, extension != ""))
            pairs.append((source, None))
        except Problem as problem:
            pairs.append((Refused(path, problem, source.kind), None))
    named = classes([folders for _, _, folders, _ in accepted], [clear for *_, clear in accepted])
    for (place, source, *_), name in zip(accepted, named, strict=True):
        pairs[place] = source, name
    return pairs


def _folders(path: str) -> Folders:
    """The folders of a path, with either kind of slash.

    Raises:
        Problem: "path" if it leads out of the folder that it starts from, is too deep, or holds a NUL.
    """
    parts = path.replace("\\", "/").split("/")
    absolute = len(parts) > 1 and (parts[0] == "" or parts[0].endswith(":"))
    if absolute or ".." in parts or "\0" in path or len(parts) > DEEPEST:
        raise Problem(
            "path",
            f"A path must stay inside its folder, without .. and drives, in at most {DEEPEST - 1} folders. "
            f"Received: {shorten(path)}",
            path,
        )
    return tuple(part for part in parts[:-1] if part not in ("", "."))


def _is_junk(path: str) -> bool:
    """Whether a file is hidden, or one that systems add to folders."""
    parts = path.replace("\\", "/").lower().split("/")
    return any(part in JUNK or (part.startswith(".") and part not in (".", "..")) for part in parts)


# ---- Zips ----


class _Bounded:
    """A file that refuses long reads: `ZipFile` reads its table of contents at once, as long as the zip says it is."""

    def __init__(self, file: IO[bytes], most: int):
        self._file, self._most = file, most
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:  # without a size, `ZipFile` reads the last 64 KB
        if size > self._most:
            raise _too_much(f"{self._most} bytes of names of files", f"{size} bytes")
        return self._file.read(size)


def _open(file: IO[bytes], settings: Settings) -> ZipFile:
    """The zip, after its size and the length of its table of contents were compared with the limits."""
    size = file.seek(0, io.SEEK_END)
    if size > settings.zip_mb * 2**20:
        raise _too_much(f"{settings.zip_mb} MB", f"{size} bytes")
    try:
        most = max(settings.zip_files * BYTES_OF_ENTRY, 2 * CHUNK)
        return ZipFile(_Bounded(file, most))
    except (*DAMAGED, NotImplementedError) as error:
        raise _bad_zip("The file is not a zip, or a part of it is missing.") from error


def _path(info: ZipInfo) -> str:
    """The path of an entry. Some systems write UTF-8 without saying so, which `zipfile` takes for code page 437."""
    if not info.flag_bits & UTF_8:
        with suppress(UnicodeError):
            return info.filename.encode("cp437").decode("utf-8")
    return info.filename


def _bad_zip(message: str) -> Problem:
    return Problem("zip", message)


def _too_much(limit: str, received: str) -> Problem:
    return Problem("zip-too-large", f"At most {limit} are accepted at once. Received: {received}", received)
