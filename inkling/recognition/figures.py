"""The figures in a model's folder, for pages about the model."""

from dataclasses import dataclass
from pathlib import PurePosixPath

from inkling.recognition.catalog import NETWORK_FILES, Model, check_file

MIMETYPES = {".svg": "image/svg+xml", ".png": "image/png"}
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
        return Figure(check_file(model, name).read_bytes(), mimetype)
    except (OSError, ValueError):
        return None


def network_size(model: Model) -> int | None:
    """The size of the network's file in bytes; None if there is none."""
    paths = (model.folder / name for name in NETWORK_FILES)
    return next((path.stat().st_size for path in paths if path.is_file()), None)
