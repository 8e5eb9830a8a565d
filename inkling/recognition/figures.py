"""The figures in a model's folder, for pages about the model."""

import os
from dataclasses import dataclass
from pathlib import PurePosixPath

from inkling.recognition.card import open_regular
from inkling.recognition.catalog import NETWORK_FILES, Model, check_file

MIMETYPES = {".svg": "image/svg+xml", ".png": "image/png"}
FIGURE_BYTES = 2**22  # the largest shipped one has 150 kB
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Figure:
    """A figure as a file."""

    data: bytes
    mimetype: str

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels, read from the header of a PNG file; None for other files."""
        if len(self.data) < 24 or not self.data.startswith(PNG_SIGNATURE):
            return None
        return int.from_bytes(self.data[16:20]), int.from_bytes(self.data[20:24])


def read_figure(model: Model, name: str) -> Figure | None:
    """An SVG or PNG file that the model's card lists; None if there is no such file, or if its checksum differs."""
    mimetype = MIMETYPES.get(PurePosixPath(name).suffix)
    if mimetype is None:
        return None
    try:
        with open_regular(check_file(model, name), FIGURE_BYTES) as file:
            return Figure(file.read(), mimetype)
    except (OSError, ValueError):
        return None


def network_size(model: Model) -> int | None:
    """The size of the network's file in bytes; None if there is none."""
    for name in NETWORK_FILES:
        try:
            with open_regular(model.folder / name) as file:
                return os.fstat(file.fileno()).st_size
        except OSError:
            continue
    return None
