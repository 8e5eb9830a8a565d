"""What visitors said is right, as files that `training` learns from: `DIR/<task>/<label>/<id>.png` or `.jpg`."""

import shutil
from pathlib import Path
from urllib.parse import quote, unquote

from inkling.storage.store import NONE_OF_THESE, Store


def export(store: Store, target: Path) -> tuple[int, int]:
    """Writes every corrected picture as it was kept; whole or not at all.

    Args:
        target: a folder that is not there yet, or empty.

    Returns:
        how many were written, and how many were left out: none of the labels fits, or the file is gone.

    Raises:
        ValueError: `target` holds something, or is no folder.
        OSError: it cannot be written.
        StoreError: what is kept cannot be read.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ValueError(f"{target} must be a new or an empty folder")
    corrected = store.corrected()
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)  # a killed run may have left one
    draft.mkdir(parents=True)
    written = 0
    try:
        for result in corrected:
            picture = store.picture(result)
            if result.correction == NONE_OF_THESE or not picture.exists():
                continue
            folder = draft / result.task / folder_of(result.correction)
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(picture, folder / picture.name)
            written += 1
        draft.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return written, len(corrected) - written


def folder_of(label: str) -> str:
    """A label as the name of a folder; `label_of` gives it back."""
    return quote(label, safe=" ").replace(".", "%2E")  # ".." is no name


def label_of(folder: str) -> str:
    return unquote(folder)
