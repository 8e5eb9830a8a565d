"""Generated pictures and the multipart forms in which the benchmarks send them."""

import io
import json
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

THREE = [(80, 70), (180, 60), (200, 110), (150, 140), (200, 190), (170, 230), (80, 220)]  # points on a 280 x 280 canvas
QUALITY, GRAIN, TILE = 90, 7, 512
EDGE = "benchmark-edge"


@cache
def digit() -> bytes:
    """A drawn 3 as the canvas sends it: a PNG."""
    return encoded(three(), "PNG")


@cache
def photo(width: int = 4000, height: int = 3000) -> bytes:
    """A photo as a phone sends it: a JPEG, by default of 12 megapixels."""
    return encoded(scene(width, height), "JPEG", quality=QUALITY)


@cache
def webp(width: int = 4000, height: int = 3000) -> bytes:
    """The same photo as WebP, which a decoder process decodes."""
    return encoded(scene(width, height), "WEBP", quality=80, method=0)


@cache
def strokes() -> tuple[bytes, str]:
    """(body, content type) of the same 3 as the page sends it: strokes as JSON, in tenths of a pixel."""
    page = {"side": 2800, "paper": "#ffffff", "pens": [{"width": 160, "ink": "#000000"}]}
    axes = [[10 * point[axis] for point in THREE] for axis in (0, 1)]
    return json.dumps({"strokes": [axes], "page": page}).encode(), "application/json"


def three() -> Image.Image:
    """A 3 drawn on a canvas of 280 x 280."""
    image = Image.new("RGB", (280, 280), "white")
    ImageDraw.Draw(image).line(THREE, "black", 16, joint="curve")
    return image


def scene(width: int, height: int) -> Image.Image:
    """Soft colors with the grain of a camera."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    soft = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = rng.normal(0, GRAIN, (TILE, TILE, 3)).astype(np.int16)
    grainy = soft + np.tile(grain, (-(-height // TILE), -(-width // TILE), 1))[:height, :width]
    return Image.fromarray(np.clip(grainy, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    """A picture as a file of Pillow's format `kind`."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def form(data: bytes, name: str = "drawing.png", **fields: str) -> tuple[bytes, str]:
    """(body, content type) of a multipart form with the file in its field `image`."""
    parts = [
        f'--{EDGE}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in fields.items()
    ]
    head = f'--{EDGE}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + data + f"\r\n--{EDGE}--\r\n".encode()
    return body, f"multipart/form-data; boundary={EDGE}"
