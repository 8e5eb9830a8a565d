"""The corpus of bad files. Each has a name, a function that builds it, and the expected outcome."""

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from inkling.config import Settings
from tests.hostile.build import (
    GIF_FRAME,
    bmp,
    box,
    chunk,
    encode,
    gif,
    heif_of,
    jpeg_of,
    png,
    scene,
    segment,
    tiff,
)

MUCH = Settings.from_env({}).max_bytes - 2000
SCRIPT = b"<script>alert(1)</script>"
SAVERS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP", "heic": "HEIF", "avif": "AVIF"}


class File(NamedTuple):
    """One bad file; `reason` is the code of its refusal, or None if it is read."""

    name: str
    make: Callable[[], bytes]
    reason: str | None


@cache
def good(extension, **options):
    """A good picture in each format, to be damaged."""
    return encode(scene(), SAVERS[extension], **options)


def cut(extension, tenth):
    data = good(extension)
    return data[: len(data) * tenth // 10]


def zipped(name, data):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def gray(width, height):
    """The pixel data of a black gray-scale PNG."""
    return chunk(b"IDAT", zlib.compress(bytes((width + 1) * height), 1))


def one_bit(width, height):
    """The pixel data of a black PNG with one bit per pixel."""
    return chunk(b"IDAT", zlib.compress(bytes((-(-width // 8) + 1) * height), 1))


def with_exif(extension, contents):
    return good(extension, exif=b"Exif\0\0" + contents)


def with_profile(extension, profile):
    return good(extension, icc_profile=profile)


def scans(count, which=0):
    """A progressive JPEG that repeats one of its scans: the first, or with `which` -1 the last."""
    data = encode(Image.new("RGB", (9, 9)), "JPEG", progressive=True)
    start = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)][which]
    end = next(at for at in range(start + 2, len(data)) if data[at] == 0xFF and data[at + 1])
    return data[:end] + data[start:end] * count + data[end:]


def after_start(data, *segments):
    """A JPEG with additional segments at its start."""
    return data[:2] + b"".join(segments) + data[2:]


WRONG_BYTES = {
    "text": b"just text",
    "text that begins as a BMP does": b"BM but text all the same, long enough",
    "HTML": b"<!doctype html>" + SCRIPT,
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "PDF": b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog /OpenAction << /S /JavaScript /JS (app.alert(1)) >> >>",
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (r) file",
    "zip": zipped("a.png", b""),
    "program": b"\x7fELF\x02\x01\x01" + bytes(57),
    "Windows program": b"MZ" + bytes(62),
    "TIFF": encode(scene(), "TIFF"),
    "ICO": encode(scene(), "ICO"),
    "PPM": encode(scene(), "PPM"),
    "MP4": b"\0\0\0\x18ftypisom\0\0\0\0isommp41",
    "WAV": b"RIFF\0\0\0\0WAVEfmt ",
    "pickle": b"\x80\x04\x95\x0b\0\0\0\0\0\0\0\x8c\x07os\x94.",
    "zeros": bytes(64),
}
KNOWN_FORMATS = {"SVG", "PDF", "TIFF", "ICO"}

FILES = {
    # ---- Not what the name says ----
    **{
        f"{kind} named .jpg": File(
            "a.jpg", lambda data=data: data, "unsupported" if kind in KNOWN_FORMATS else "not-an-image"
        )
        for kind, data in WRONG_BYTES.items()
    },
    **{
        f"a file named {name}": File(name, lambda: good("png"), "extension")
        for name in (
            "a.eps",
            "a.zip",
            "a.html",
            "a.php",
            "a.png.exe",
            "a.png ",
        )
    },
    "PNG named .jpg": File("a.jpg", lambda: good("png"), None),
    "JPEG named .png": File("a.png", lambda: good("jpg"), None),
    "AVIF named .heic": File("a.heic", lambda: good("avif"), None),
    "HEIC named .avif": File("a.avif", lambda: good("heic"), None),
    **{
        f"PNG named {name}": File(name, lambda: good("png"), None)
        for name in ("a", "png", "a.", "..", "a.svg", "a.pdf", "a.tiff", "a.png?x=.exe")
    },
    "nothing": File("a.png", lambda: b"", "empty"),
    # ---- Cut and damaged ----
    **{
        f"{extension}, {tenth}0%": File(
            f"a.{extension}", lambda extension=extension, tenth=tenth: cut(extension, tenth), "truncated"
        )
        for extension in SAVERS
        for tenth in range(1, 10)
    },
    "PNG without data": File("a.png", lambda: png(9, 9), "truncated"),
    "PNG with empty data": File("a.png", lambda: png(9, 9, chunk(b"IDAT")), "truncated"),
    "PNG of no size": File("a.png", lambda: png(0, 0, gray(0, 0)), "truncated"),
    "PNG with a wrong checksum": File(
        "a.png", lambda: png(9, 9, gray(9, 9)).replace(b"\0\0\0\x09", b"\0\0\0\x08", 1), "truncated"
    ),
    "GIF without a frame": File("a.gif", lambda: gif(width=9), "truncated"),
    "JPEG without a segment": File("a.jpg", lambda: b"\xff\xd8\xff\xd9", "truncated"),
    "BMP without pixels": File("a.bmp", lambda: bmp(9, 9), "truncated"),
    "WebP of another length than it says": File(
        "a.webp", lambda: good("webp")[:4] + b"\xff\xff\xff\x7f" + good("webp")[8:], "truncated"
    ),
    "AVIF that ends before its data": File("a.avif", lambda: good("avif").replace(b"mdat", b"free"), None),
    # ---- Also something else ----
    "JPEG and HTML": File("a.jpg", lambda: after_start(good("jpg"), segment(0xFE, SCRIPT)) + SCRIPT, None),
    "PNG and ZIP": File("a.png", lambda: good("png") + zipped("a.html", SCRIPT), None),
    "PNG and PHP in a chunk": File(
        "a.png", lambda: png(9, 9, chunk(b"tEXt", b"Comment\0<?php system($_GET[0]); ?>"), gray(9, 9)), None
    ),
    "GIF and JavaScript": File(
        "a.gif", lambda: gif(b"!\xfe" + bytes([len(SCRIPT)]) + SCRIPT + b"\0", GIF_FRAME, width=0x2A2F) + SCRIPT, None
    ),
    "BMP and JavaScript": File("a.bmp", lambda: b"BM/*" + bmp(9, 9, data=bytes(12 * 9))[4:] + b"*/=1;" + SCRIPT, None),
    "WebP and HTML": File("a.webp", lambda: good("webp") + SCRIPT, None),
    "HEIC and HTML": File("a.heic", lambda: good("heic") + box(b"free", SCRIPT), None),
    "AVIF and HTML": File("a.avif", lambda: good("avif") + box(b"free", SCRIPT), None),
    # ---- Bombs ----
    "PNG that claims to be huge": File("a.png", lambda: png(60_000, 60_000, chunk(b"IDAT")), "too-many-pixels"),
    "PNG that claims to be huge, with data": File(
        "a.png", lambda: png(60_000, 60_000, chunk(b"IDAT", zlib.compress(bytes(10**6)))), "too-many-pixels"
    ),
    "GIF that claims to be huge": File("a.gif", lambda: gif(GIF_FRAME, width=65_535, height=65_535), "too-many-pixels"),
    "BMP that claims to be huge": File("a.bmp", lambda: bmp(60_000, 60_000), "too-many-pixels"),
    "JPEG that claims to be huge": File("a.jpg", lambda: jpeg_of(good("jpg"), 65_500, 65_500), "too-many-pixels"),
    "WebP that claims to be huge": File(
        "a.webp", lambda: b"RIFF\x16\0\0\0WEBPVP8X\x0a" + bytes(7) + b"\xff" * 6, "too-many-pixels"
    ),
    "HEIC that claims to be huge": File("a.heic", lambda: heif_of(good("heic"), 60_000, 60_000), "too-many-pixels"),
    "AVIF that claims to be huge": File("a.avif", lambda: heif_of(good("avif"), 16_000, 16_000), "too-many-pixels"),
    "TIFF that claims to be huge": File(
        "a.png", lambda: tiff((256, 4, 1, 60_000), (257, 4, 1, 60_000), (273, 4, 1, 8)), "unsupported"
    ),
    "zip of much": File("a.png", lambda: zipped("a.png", bytes(10**7)), "not-an-image"),
    "PNG whose data is much more than its pixels": File(
        "a.png", lambda: png(1, 1, chunk(b"IDAT", zlib.compress(bytes(5 * 10**7), 1))), None
    ),
    "PNG of 49 million pixels behind a chunk that claims none": File(
        "a.png",
        lambda: png(1, 1)[:8] + chunk(b"teXt", bytes(16)) + png(7000, 7000, one_bit(7000, 7000), bits=1)[8:],
        "truncated",
    ),
    "PNG of two sizes": File(
        "a.png", lambda: png(1, 1, png(7000, 7000, one_bit(7000, 7000), bits=1)[8:-12]), "truncated"
    ),
    "PNG with EXIF of two million numbers": File(
        "a.png",
        lambda: png(1, 1, chunk(b"eXIf", tiff((0x0112, 5, 2_000_000, 26)) + bytes(MUCH - 10**6)), gray(1, 1)),
        None,
    ),
    "PNG of 20,000 chunks": File("a.png", lambda: png(9, 9, chunk(b"abCd") * 20_000, gray(9, 9)), None),
    "PNG of a million chunks": File("a.png", lambda: png(1, 1, chunk(b"abCd") * (MUCH // 12)), "truncated"),
    "PNG of 20,000 pieces of data": File("a.png", lambda: png(9, 9, chunk(b"IDAT") * 20_000, gray(9, 9)), None),
    "PNG with a huge packed text": File(
        "a.png", lambda: png(9, 9, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(5 * 10**7), 1)), gray(9, 9)), None
    ),
    "PNG with a huge packed profile": File(
        "a.png", lambda: png(9, 9, chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(5 * 10**7), 1)), gray(9, 9)), None
    ),
    "PNG that claims four billion frames": File(
        "a.png", lambda: png(9, 9, chunk(b"acTL", b"\xff" * 8), gray(9, 9)), "animated-too-long"
    ),
    "GIF of 100,000 frames": File("a.gif", lambda: gif(GIF_FRAME * 100_000), "animated-too-long"),
    "GIF of a million frames": File("a.gif", lambda: gif(GIF_FRAME * (MUCH // len(GIF_FRAME))), "too-large"),
    "GIF comment of single bytes": File(
        "a.gif", lambda: gif(b"!\xfe" + b"\1x" * (MUCH // 2) + b"\0", GIF_FRAME), "too-large"
    ),
    "GIF of empty comments": File("a.gif", lambda: gif(b"!\xfe\0" * (MUCH // 3), GIF_FRAME), "too-large"),
    "GIF of zeros": File("a.gif", lambda: gif(bytes(MUCH), GIF_FRAME), "too-large"),
    "GIF with a long comment": File(
        "a.gif", lambda: gif(b"!\xfe" + (b"\xff" + b"x" * 255) * (MUCH // 256) + b"\0", GIF_FRAME), None
    ),
    "BMP of short runs": File("a.bmp", lambda: bmp(1000, 1000, 1, b"\1\1" * (MUCH // 2)), "too-large"),
    "JPEG of empty comments": File(
        "a.jpg", lambda: after_start(good("jpg"), b"\xff\xfe\0\2" * (MUCH // 4)), "truncated"
    ),
    "JPEG of 60,000 EXIF segments": File(
        "a.jpg", lambda: after_start(good("jpg"), segment(0xE1, b"Exif\0\0" + bytes(246)) * 60_000), None
    ),
    **{
        f"JPEG that hides segments in {code:X}": File(
            "a.jpg",
            lambda code=code: after_start(good("jpg"), segment(code, segment(0xE1, b"Exif\0\0x") * 5000) * 100),
            "truncated",
        )
        for code in (0xF0, 0xFD, 0xC8, 0xDE, 0xDF, 0x02, 0xBF)
    },
    "JPEG with long padding before its scan": File(
        "a.jpg", lambda: good("jpg").replace(b"\xff\xda", b"\xff" * MUCH + b"\xff\xda", 1), None
    ),
    "JPEG with long padding": File("a.jpg", lambda: after_start(good("jpg"), b"\xff" * MUCH), None),
    "JPEG of many scans": File("a.jpg", lambda: scans(99), "truncated"),
    "JPEG of no more scans than an encoder may write": File("a.jpg", lambda: scans(30), None),
    "JPEG of many scans that its pixels do not need": File("a.jpg", lambda: scans(99, which=-1), None),
    # ---- Shapes ----
    "PNG of 50 million pixels": File("a.png", lambda: png(10_000, 5_000, one_bit(10_000, 5_000), bits=1), None),
    "PNG of 50 million pixels and a line": File(
        "a.png", lambda: png(10_000, 5_001, one_bit(10_000, 5_001), bits=1), "too-many-pixels"
    ),
    "JPEG of 50 million pixels": File("a.jpg", lambda: encode(Image.new("L", (10_000, 5_000)), "JPEG"), None),
    "JPEG of 50 million pixels and a line": File(
        "a.jpg", lambda: jpeg_of(good("jpg"), 10_000, 5_001), "too-many-pixels"
    ),
    "PNG one pixel wide": File("a.png", lambda: png(1, 100_000, gray(1, 100_000)), None),
    "PNG one pixel high": File("a.png", lambda: png(100_000, 1, gray(100_000, 1)), None),
    "PNG one pixel wide, five million high": File(
        "a.png", lambda: png(1, 5_000_000, one_bit(1, 5_000_000), bits=1), None
    ),
    "JPEG one pixel wide": File("a.jpg", lambda: encode(Image.new("L", (1, 65_500)), "JPEG"), None),
    "WebP one pixel high": File("a.webp", lambda: encode(Image.new("RGB", (16_383, 1)), "WEBP"), None),
    "GIF one pixel wide": File("a.gif", lambda: gif(GIF_FRAME, height=65_535), None),
    # ---- Depths and colors ----
    "PNG of 16 bits": File(
        "a.png", lambda: encode(Image.fromarray(np.arange(6400, dtype="uint16").reshape(80, 80)), "PNG"), None
    ),
    "PNG of 16 bits a color": File(
        "a.png", lambda: png(9, 9, chunk(b"IDAT", zlib.compress(bytes((6 * 9 + 1) * 9))), bits=16, color=2), None
    ),
    "PNG of 3 bits": File("a.png", lambda: png(9, 9, gray(9, 9), bits=3), "truncated"),
    "PNG of a palette with transparency": File(
        "a.png", lambda: encode(scene().quantize(8), "PNG", transparency=bytes(range(8))), None
    ),
    "PNG of a palette that is not there": File("a.png", lambda: png(9, 9, gray(9, 9), color=3), "truncated"),
    "JPEG in CMYK": File("a.jpg", lambda: encode(scene().convert("CMYK"), "JPEG"), None),
    # ---- Profiles and EXIF ----
    **{
        f"{extension} with a broken profile": File(
            f"a.{extension}", lambda extension=extension: with_profile(extension, b"not a profile" * 9), None
        )
        for extension in ("jpg", "png", "webp", "avif")
    },
    "JPEG with one part of many of a profile": File(
        "a.jpg", lambda: after_start(good("jpg"), segment(0xE2, b"ICC_PROFILE\0\xff\xff" + bytes(99))), None
    ),
    **{
        f"{extension} with {what}": File(
            f"a.{extension}", lambda extension=extension, contents=contents: with_exif(extension, contents), None
        )
        for extension in ("jpg", "png", "webp", "avif", "heic")
        for what, contents in {
            "EXIF that goes round": tiff((0x8769, 4, 1, 8), (0x8825, 4, 1, 8), following=8),
            "EXIF that counts four billion": tiff((0x0112, 3, 2**32 - 1, 8), (0x010F, 2, 2**32 - 1, 8)),
            "EXIF that ends at once": b"II*\0" + struct.pack("<I", 2**32 - 1),
        }.items()
    },
}
