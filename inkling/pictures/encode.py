"""Pictures to files without metadata, and back: JPEG for photos, PNG for drawings."""

import base64
import io
from typing import Literal

from PIL import Image

Format = Literal["JPEG", "PNG"]

LARGEST = 1024  # pixels, longer side of a picture that is stored
THUMBNAIL = 256  # pixels, longer side of a picture in a list
JPEG_QUALITY = 88


def format_of(kind: str) -> Format:
    """The file format for a "photo" or a "drawing"."""
    return "JPEG" if kind == "photo" else "PNG"


def at_most(image: Image.Image, side: int) -> Image.Image:
    """The picture, scaled down if its longer side has more than `side` pixels."""
    if max(image.size) <= side:
        return image
    smaller = image.copy()
    smaller.thumbnail((side, side), reducing_gap=2.0)
    return smaller


def encode(image: Image.Image, format: Format, side: int = LARGEST) -> bytes:
    """A file of the picture, with its longer side at most `side` pixels, without metadata."""
    bare = at_most(image, side).copy()
    bare.info = {}  # Pillow would write the comments and color profiles in it
    file = io.BytesIO()
    bare.save(file, format, quality=JPEG_QUALITY)
    return file.getvalue()


def decode(file: bytes) -> Image.Image:
    """The picture in a stored JPEG or PNG file, in RGB.

    Raises:
        OSError: the file is damaged.
    """
    with Image.open(io.BytesIO(file), formats=["JPEG", "PNG"]) as image:
        return image.convert("RGB")


def size_of(file: bytes) -> tuple[int, int]:
    """Width and height of a stored JPEG or PNG file, from its header.

    Raises:
        OSError: the file is damaged.
    """
    with Image.open(io.BytesIO(file), formats=["JPEG", "PNG"]) as image:
        return image.size


def data_url(image: Image.Image, kind: str, side: int = LARGEST) -> str:
    """The file of a "photo" or "drawing" as a data URL, to show a picture that is not stored."""
    format = format_of(kind)
    text = base64.b64encode(encode(image, format, side)).decode("ascii")
    return f"data:image/{format.lower()};base64,{text}"


def thumbnail(file: bytes, side: int = THUMBNAIL) -> bytes:
    """A small version of a stored JPEG or PNG file, in the same format.

    A JPEG is decoded at a fraction of its size, which takes a few milliseconds.
    """
    with Image.open(io.BytesIO(file), formats=["JPEG", "PNG"]) as image:
        format = format_of("photo" if image.format == "JPEG" else "drawing")
        image.draft("RGB", (side, side))
        return encode(image.convert("RGB"), format, side)
