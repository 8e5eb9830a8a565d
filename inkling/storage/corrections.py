"""Corrections as a folder of pictures to train on: `DIR/<task>/<label>/<id>.png` or `.jpg`."""

import shutil
from pathlib import Path
from urllib.parse import quote, unquote

from inkling.storage.store import Storage, picture_key


def export(storage: Storage, target: Path) -> tuple[int, int]:
    """Writes every corrected picture as it was stored: all of them, or nothing.

    Args:
        target: a folder that does not exist yet, or is empty.

    Returns:
        how many pictures were written, and how many were left out because no label fits or the picture is gone.

    Raises:
        ValueError: `target` is not empty, or not a folder.
        OSError: it cannot be written.
        StoreError: the results cannot be read.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} must be a new or an empty folder")
    results = storage.corrected()
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)  # a killed run may have left one
    draft.mkdir(parents=True)
    written = 0
    try:
        for result in results:
            picture = storage.picture(result)
            if not result.correction or not picture:
                continue
            folder = draft / result.task / folder_of(result.correction)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / picture_key(result.id, result.suffix)).write_bytes(picture)
            written += 1
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return written, len(results) - written


def folder_of(label: str) -> str:
    """A label as the name of a folder; `label_of` reverses it."""
    return quote(label, safe=" ").replace(".", "%2E")  # "." and ".." cannot name a folder


def label_of(folder: str) -> str:
    """The label that `folder_of` turned into the name of a folder."""
    return unquote(folder)
