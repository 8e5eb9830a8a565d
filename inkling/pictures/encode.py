"""Pictures to files without metadata, and back: JPEG for photos, PNG for drawings and small photos."""

import base64
import io
from typing import Literal

from PIL import Image

Format = Literal["JPEG", "PNG"]

LARGEST = 1024  # pixels, longer side of a picture that is stored
AT_LEAST = 960  # and of a larger one; phones take 4000 or 4032, which a quarter of the work decodes to 1000 or 1008
SMALL = 256  # pixels: a photo whose longer side is shorter is stored without loss
THUMBNAIL = 256  # pixels, longer side of a picture in a list
JPEG_QUALITY = 88
PNG_LEVEL = 2  # of zlib: a photo's input takes a fifth of the time of level 6, and 13% more space


def format_of(image: Image.Image, kind: str) -> Format:
    """The file format for a "photo" or a "drawing". JPEG would blur the few pixels of a small photo."""
    return "JPEG" if kind == "photo" and max(image.size) >= SMALL else "PNG"


def at_most(image: Image.Image, side: int) -> Image.Image:
    """The picture, scaled down if its longer side has more than `side` pixels, by the mean of the pixels in between."""
    longest = max(image.size)
    if longest <= side:
        return image
    size = [max(1, round(edge * side / longest)) for edge in image.size]
    return image.resize(size, Image.Resampling.BOX)


def encode(image: Image.Image, format: Format, side: int = LARGEST) -> bytes:
    """A file of the picture, with its longer side at most `side` pixels, without metadata."""
    bare = at_most(image, side).copy()
    bare.info = {}  # Pillow would write the comments and color profiles in it
    file = io.BytesIO()
    bare.save(file, format, quality=JPEG_QUALITY, compress_level=PNG_LEVEL)
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
    format = format_of(image, kind)
    text = base64.b64encode(encode(image, format, side)).decode("ascii")
    return f"data:image/{format.lower()};base64,{text}"


def thumbnail(file: bytes, side: int = THUMBNAIL) -> bytes:
    """A small version of a stored JPEG or PNG file, in the same format.

    A JPEG is decoded at a fraction of its size, which takes a few milliseconds.
    """
    with Image.open(io.BytesIO(file), formats=["JPEG", "PNG"]) as image:
        format: Format = "JPEG" if image.format == "JPEG" else "PNG"
        image.draft("RGB", (side, side))
        return encode(image.convert("RGB"), format, side)
