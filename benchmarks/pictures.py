"""What the benchmarks send: pictures made here, as a multipart form has them."""

import io
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

THREE = [(80, 70), (180, 60), (200, 110), (150, 140), (200, 190), (170, 230), (80, 220)]  # on 280 x 280
QUALITY, GRAIN, TILE = 90, 7, 512
EDGE = "benchmark-edge"


@cache
def digit() -> bytes:
    """A 3 drawn on a canvas of 280 x 280: a PNG."""
    image = Image.new("RGB", (280, 280), "white")
    ImageDraw.Draw(image).line(THREE, "black", 16, joint="curve")
    return _file(image, "PNG")


@cache
def photo(width: int = 4000, height: int = 3000) -> bytes:
    """A photo, by default of a phone's 12 megapixels, soft colours with a camera's grain: a JPEG."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
    soft = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = rng.normal(0, GRAIN, (TILE, TILE, 3)).astype(np.int16)
    grainy = soft + np.tile(grain, (-(-height // TILE), -(-width // TILE), 1))[:height, :width]
    return _file(Image.fromarray(np.clip(grainy, 0, 255).astype(np.uint8)), "JPEG", quality=QUALITY)


def form(data: bytes, name: str = "drawing.png", **fields: str) -> tuple[bytes, str]:
    """(body, Content-Type) of a multipart form with the file in the field `image`."""
    parts = [f'--{EDGE}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in
             fields.items()]
    head = f'--{EDGE}\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'
    body = "".join(parts).encode() + head.encode() + data + f"\r\n--{EDGE}--\r\n".encode()
    return body, f"multipart/form-data; boundary={EDGE}"


def _file(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
