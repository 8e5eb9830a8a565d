"""Folders and files that nobody but the user who runs Inkling may read."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

FOLDER, FILE = 0o700, 0o600
PLACEHOLDERS = {".gitkeep", ".gitignore", "lost+found"}  # may be in a folder that counts as empty


def make_folder(folder: Path) -> None:
    """Makes a folder private, if it is new or empty, and each new one above it.

    One that holds something may belong to other programs, too.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.parent.exists():  # `mkdir` would let others read it
        make_folder(folder.parent)
    folder.mkdir(mode=FOLDER, exist_ok=True)
    if folder.stat().st_mode & 0o077 and not any(entry.name not in PLACEHOLDERS for entry in os.scandir(folder)):
        with suppress(PermissionError):  # it is somebody else's
            folder.chmod(FOLDER)


def make_file(path: Path) -> None:
    """Makes a file private; an empty one if there is none.

    Raises:
        OSError: it cannot be made.
    """
    if not path.exists():
        # Not opened under its own name: closing a database's file would end the locks that this process has on it.
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        write(draft, b"")
        try:
            os.link(draft, path)
        except FileExistsError:  # another process was faster
            pass
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:  # from before version 0.2
        with suppress(PermissionError):
            path.chmod(FILE)


def write(path: Path, data: bytes) -> None:
    """Writes a new private file.

    Raises:
        OSError: it cannot be written, or is there already.
    """
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE), "wb") as file:
        file.write(data)
