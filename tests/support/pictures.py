"""The formats and quirks of picture files, in one table.

`tests/unit/test_quirks.py` reads each file, `tests/browser/test_colors.py` compares most with Chromium, and
`tools/reference.py` writes the table into the documentation.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

from inkling.pictures import profiles
from inkling.pictures.formats import PICTURE_EXTENSIONS
from tests.hostile.build import bmp, chunk, encode, heif_of_codes

ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
GRAY, RGB, PALETTE, GRAY_ALPHA, RGBA = 0, 2, 3, 4, 6  # color types of a PNG
SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # x and y of white, red, green, blue
SWAPPED = (0.3127, 0.329, 0.3, 0.6, 0.64, 0.33, 0.15, 0.06)  # red is green, and green red
P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
D50 = struct.pack(">3i", 63190, 65536, 54061)  # the white of profiles
NOT_SHOWN = "does not show it"
CONTAINER_TURNS = (
    "the container says how to turn it (`irot`, `imir`), and EXIF repeats it",
    "turned once, by the container",
)
SHARP = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}, "AVIF": {"quality": 95}, "HEIF": {}}


class Quirk(NamedTuple):
    """A kind of file.

    Attributes:
        format: as the documentation names it.
        name: what is special about the file.
        does: what Inkling does with it.
        files: builds examples, by name.
        shows: what is to be seen; None where only Chromium is asked.
        reason: why Inkling refuses it, or None.
        differs: what Chromium does otherwise.
        levels: the mean difference to what Chromium shows, where that is a figure to tell; of 255 levels, to 1.
        names: the names that each file is sent with.
        compared: whether it matters what Chromium shows.
    """

    format: str
    name: str
    does: str
    files: Mapping[str, Callable[[], bytes]]
    shows: Callable[[], Image.Image] | None = None
    reason: str | None = None
    differs: str = ""
    levels: int | None = None
    names: tuple[str, ...] = ("picture",)
    compared: bool = True


def scene(width=96, height=64):
    """A picture with all hues, dark and light: red left of blue, brighter at the top."""
    x, y = np.linspace(0, 1, width), np.linspace(1, 0, height)[:, None]
    channels = [(1 - x) * y, 0.5 * y + 0.4 * np.sin(6 * x) ** 2, x * y + 0.1]
    return Image.fromarray(np.stack([255 * np.clip(one, 0, 1) for one in channels], axis=-1).astype("uint8"))


def swapped():
    """The scene with red and green exchanged."""
    red, green, blue = scene().split()
    return Image.merge("RGB", [green, red, blue])


def power(exponent):
    """The scene if its levels are a power of light."""
    light = (np.asarray(scene()) / 255) ** exponent
    srgb = np.where(light < 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.round(255 * srgb).astype("uint8"))


def see_through():
    """The scene, which is transparent to the left."""
    image = scene()
    image.putalpha(Image.linear_gradient("L").rotate(90).resize(image.size))
    return image


def on_paper():
    """That picture on white paper."""
    paper = Image.new("RGBA", scene().size, "white")
    return Image.alpha_composite(paper, see_through()).convert("RGB")


# ---- PNG ----


def levels(color, bits):
    """The scene as samples of a PNG, H x W x channels, from 0 to 2**bits - 1."""
    rgb = np.asarray(scene(), float)
    gray = rgb.mean(axis=-1, keepdims=True)
    alpha = np.broadcast_to(np.linspace(0, 255, rgb.shape[1])[None, :, None], gray.shape)
    parts = {GRAY: [gray], RGB: [rgb], PALETTE: [gray], GRAY_ALPHA: [gray, alpha], RGBA: [rgb, alpha]}[color]
    return np.round(np.concatenate(parts, axis=-1) * (2**bits - 1) / 255).astype(int)


def png(color, bits, *chunks, interlaced=False, end=True):
    """The scene as a PNG with these chunks before its data."""
    samples = levels(color, bits)
    height, width, _ = samples.shape
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    rows = (row for x, y, dx, dy in passes for row in samples[y::dy, x::dx] if row.size)
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + _packed(row, bits) for row in rows)))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, interlaced))
    early = [one for one in chunks if one[4:8] != b"tRNS"]
    late = [_palette(bits)] * (color == PALETTE) + [one for one in chunks if one[4:8] == b"tRNS"]
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(early + late) + data + chunk(b"IEND") * end


def _packed(row, bits):
    if bits == 16:
        return row.astype(">u2").tobytes()
    each = np.unpackbits(row.astype("u1").reshape(-1, 1), axis=1)[:, 8 - bits :]
    return np.packbits(each.reshape(-1)).tobytes()


def _palette(bits):
    colors = [(255 * at // (2**bits - 1), 37 * at % 256, 91 * at % 256) for at in range(2**bits)]
    return chunk(b"PLTE", bytes(level for color in colors for level in color))


def transparent(color, bits):
    """The chunk that makes one level transparent: that of a pixel; or of a palette, several colors in part."""
    if color == PALETTE:
        return chunk(b"tRNS", bytes([0, 128, 200, 255][: 2**bits]))
    key = [1] if bits == 1 else levels(color, bits)[20, 30]
    return chunk(b"tRNS", b"".join(struct.pack(">H", level) for level in key))


def gamma(value):
    return chunk(b"gAMA", struct.pack(">I", round(value * 1e5)))


def primaries(values):
    return chunk(b"cHRM", struct.pack(">8I", *(round(value * 1e5) for value in values)))


def embedded(profile):
    return chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile))


def codes(primaries, transfer):
    return chunk(b"cICP", bytes([primaries, transfer, 0, 1]))


def brightest(content, screen):
    """Chunks that say how many nits the brightest light has, in the picture and of the screen that it was made on."""
    chunks = [] if content is None else [chunk(b"cLLI", struct.pack(">II", content * 10_000, 0))]
    if screen is not None:
        chromaticities = (35400, 14600, 8500, 39850, 6550, 2300, 15635, 16450)
        chunks.append(chunk(b"mDCV", struct.pack(">8H2I", *chromaticities, screen * 10_000, 50)))
    return chunks


# ---- Profiles ----


def profile(values, curve=profiles.SRGB_CURVE):
    return profiles.of_numbers(values, curve)


def srgb_profile():
    """The profile that littleCMS writes for sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def srgb_table():
    """sRGB as older profiles have it: its curve as a table of 1024 numbers."""
    level = np.linspace(0, 1, 1024)
    light = np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    table = struct.pack(">4s4xI", b"curv", 1024) + np.round(65535 * light).astype(">u2").tobytes()
    columns = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
    tags = {b"wtpt": b"XYZ \0\0\0\0" + D50}
    for name, column in zip((b"r", b"g", b"b"), columns, strict=True):
        tags[name + b"XYZ"] = b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(65536 * value) for value in column))
        tags[name + b"TRC"] = table
    return icc(b"RGB ", b"XYZ ", tags)


def gray_profile(exponent=1):
    """A profile of gray whose levels are a power of light."""
    curve = struct.pack(">4s4xIHH", b"curv", 1, exponent << 8, 0)
    return icc(b"GRAY", b"XYZ ", {b"wtpt": b"XYZ \0\0\0\0" + D50, b"kTRC": curve})


def ink_profile():
    """A profile of printing inks: CMYK to CIE Lab, by a table of the 16 mixtures of full inks."""
    table = []
    for c, m, y, k in np.ndindex(2, 2, 2, 2):
        lightness = (100 - 35 * c - 45 * m - 8 * y) * (1 - 0.9 * k)
        a, b = (65 * m - 30 * c - 5 * y) * (1 - k), (80 * y - 45 * c - 5 * m) * (1 - k)
        table += [round(lightness * 2.55), a + 128, b + 128]
    ramp = bytes(range(256))
    one = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    mixtures = b"mft1\0\0\0\0\4\3\2\0" + one + ramp * 4 + bytes(table) + ramp * 3
    return icc(b"CMYK", b"Lab ", {b"A2B0": mixtures, b"wtpt": b"XYZ \0\0\0\0" + D50})


def icc(space, connection, tags):
    """An ICC profile with these tags."""
    at, table, contents = 132 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, at + len(contents), len(content))
        contents += content
    words = (at + len(contents), 0x02400000, b"mntr", space, connection, b"acsp", D50)
    return struct.pack(">I4xI4s4s4s12x4s28x12s48x", *words) + struct.pack(">I", len(tags)) + table + contents


# ---- Other formats ----


def file(kind, image=None, **options):
    """The scene, or another picture, as a file of Pillow's format `kind`, with little loss."""
    image = image or scene()
    usual = SHARP.get(kind, {})
    if kind == "JPEG" and image.mode in ("L", "CMYK"):
        usual = {"quality": 95}
    return encode(image, kind, **usual | options)


def inks():
    """The scene in CMYK, darker to the right by black ink."""
    levels = np.asarray(scene().convert("CMYK")).copy()
    levels[..., 3] = np.linspace(0, 200, levels.shape[1])
    return Image.frombytes("CMYK", scene().size, levels.tobytes())


def turned(kind, turn, **options):
    """The scene, stored so that EXIF, or the container, turns it back."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = turn
    return file(kind, scene().transpose(undo[turn]) if turn in undo else scene(), exif=exif.tobytes(), **options)


def with_xmp(kind):
    """A file whose XMP says that it lies on its side."""
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    )
    if kind == "PNG":
        text = chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)
        return png(RGB, 8, text)
    return file(kind, xmp=xmp)


def light_ink():
    """White lines on transparent paper."""
    image = Image.new("RGBA", (96, 64), (255, 255, 255, 0))
    image.paste((255, 255, 255, 255), (20, 20, 70, 30))
    return image


def light_ink_on_black():
    return Image.alpha_composite(Image.new("RGBA", (96, 64), "black"), light_ink()).convert("RGB")


def _code(names):
    """Names as the documentation writes them."""
    return ", ".join(f"`{name}`" for name in names if name.isprintable() and name == name.strip())


# ---- Names, and formats that are not read ----

WHOLE = {
    "JPEG": lambda: file("JPEG"),
    "PNG": lambda: file("PNG"),
    "WebP": lambda: file("WEBP"),
    "GIF": lambda: file("GIF", scene().quantize(64)),
    "BMP": lambda: file("BMP"),
    "HEIC": lambda: file("HEIF", quality=90),
    "AVIF": lambda: file("AVIF"),
}
NOT_UTF_8 = "\ud800"  # what Python makes of a byte that is not UTF-8
READ_NAMES = ("image", "blob", "a.", "..", "photo.jpg?v=2", "photo?format=.exe", "dir.exe/a", "Снимок.PNG")
READ_NAMES += (f"{NOT_UTF_8}.png",)
REFUSED_NAMES = ("a.txt", "a.png.exe", "a.html", "a.html?x=a.png", "a.png ", f"a.{NOT_UTF_8}")
UNREAD = (  # format, what is special, the name in the refusal, file
    ("TIFF", "little-endian", "TIFF", lambda: encode(scene(), "TIFF")),
    ("TIFF", "big-endian", "TIFF", lambda: b"MM\0*" + bytes(99)),
    ("SVG", "alone", "SVG", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    (
        *("SVG", "after a prolog", "SVG"),
        lambda: b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn by hand -->\n<svg/>',
    ),
    ("PDF", "any", "PDF", lambda: b"%PDF-1.7\n"),
    ("JPEG XL", "bare", "JPEG XL", lambda: b"\xff\x0a" + bytes(99)),
    ("JPEG XL", "in boxes", "JPEG XL", lambda: b"\0\0\0\x0cJXL \r\n\x87\n"),
    ("JPEG 2000", "any", "JPEG 2000", lambda: encode(scene(), "JPEG2000")),
    ("icon", "any", "icon", lambda: encode(scene(), "ICO")),
    ("Photoshop", "any", "Photoshop", lambda: b"8BPS" + bytes(99)),
    ("BMP", "with a JPEG inside", "unusual BMP", lambda: bmp(9, 9, compression=4)),
)

# ---- The table ----

HDR = {"PQ": 16, "HLG": 18}  # numbers of curves
TONED = "converted to sRGB: white is shown at half its light, so that there is room for what is brighter"
JPEG, WEBP, AVIF, HEIC = ("JPEG", "JPEG"), ("WebP", "WEBP"), ("AVIF", "AVIF"), ("HEIC", "HEIF")

QUIRKS = (
    # ---- PNG ----
    Quirk(
        "PNG",
        "gray, RGB and palette of 1 to 16 bits, with and without transparency, interlaced",
        "read; transparency on white paper",
        {
            f"{color}-{bits}-{way}": lambda color=color, bits=bits, way=way: png(
                color,
                bits,
                *([transparent(color, bits)] if way == "transparent" else []),
                interlaced=way == "interlaced",
            )
            for color, depths in {
                GRAY: (1, 2, 4, 8, 16),
                RGB: (8, 16),
                PALETTE: (1, 2, 4, 8),
                GRAY_ALPHA: (8, 16),
                RGBA: (8, 16),
            }.items()
            for bits in depths
            for way in ("plain", "transparent", "interlaced")
            if way != "transparent" or color in (GRAY, RGB, PALETTE)
        },
    ),
    Quirk(
        "PNG",
        "`gAMA`",
        "the levels are that power of light, in sRGB's colors; 0.45455 means sRGB",
        {
            f"{color}-{value}": lambda color=color, value=value: png(color, 8, gamma(value))
            for color in (GRAY, RGB, RGBA)
            for value in (0.3, 0.45455, 0.6, 1)
        },
    ),
    Quirk("PNG", "`gAMA` of light itself", "converted to sRGB", {"1": lambda: png(RGB, 8, gamma(1))}, lambda: power(1)),
    Quirk(
        "PNG",
        "`gAMA` and `cHRM`",
        "converted to sRGB",
        {
            f"{color}-{bits}-{value}": lambda color=color, bits=bits, value=value: png(
                color, bits, gamma(value), primaries(P3)
            )
            for color, bits in ((GRAY, 8), (GRAY, 16), (RGB, 8), (RGB, 16), (PALETTE, 8), (GRAY_ALPHA, 8), (RGBA, 8))
            for value in (0.45455, 1)
        },
    ),
    Quirk("PNG", "`cHRM` alone", "ignored", {"cHRM": lambda: png(RGB, 8, primaries(SWAPPED))}, scene),
    Quirk(
        "PNG",
        "`sRGB` beside `gAMA` and `cHRM`",
        "sRGB",
        {"sRGB": lambda: png(RGB, 8, chunk(b"sRGB", b"\0"), gamma(1), primaries(SWAPPED))},
        scene,
    ),
    Quirk(
        "PNG",
        "ICC profile (`iCCP`), also beside `sRGB`, `gAMA` or `cHRM`",
        "converted to sRGB",
        {
            "alone": lambda: png(RGB, 8, embedded(profile(SWAPPED))),
            "16 bits": lambda: png(RGB, 16, embedded(profile(SWAPPED))),
            "sRGB": lambda: png(RGB, 8, chunk(b"sRGB", b"\0"), embedded(profile(SWAPPED))),
            "gAMA": lambda: png(RGB, 8, gamma(1), primaries(P3), embedded(profile(SWAPPED))),
        },
        swapped,
    ),
    Quirk(
        "PNG",
        "ICC profile of a gray, palette or transparent picture",
        "converted to sRGB",
        {
            "RGB profile": lambda: png(GRAY, 8, embedded(profile(P3, [1.0]))),
            "gray profile": lambda: png(GRAY, 8, embedded(gray_profile())),
            "gray of 16 bits": lambda: png(GRAY, 16, embedded(gray_profile())),
            "gray, transparent": lambda: png(GRAY_ALPHA, 8, embedded(gray_profile())),
            "palette": lambda: png(PALETTE, 8, embedded(profile(SWAPPED))),
            "RGBA": lambda: png(RGBA, 8, embedded(profile(P3, [1.8]))),
        },
    ),
    Quirk(
        "PNG",
        "broken profile, or one for other colors",
        "ignored",
        {
            "text": lambda: png(RGB, 8, embedded(b"not a profile" * 20)),
            "cut": lambda: png(RGB, 8, embedded(profile(SWAPPED)[:150])),
            "not packed": lambda: png(RGB, 8, chunk(b"iCCP", b"icc\0\0" + profile(SWAPPED))),
            "gray": lambda: png(RGB, 8, embedded(gray_profile())),
            "CMYK": lambda: png(RGB, 8, embedded(ink_profile())),
        },
        scene,
    ),
    Quirk(
        "PNG",
        "`cICP` of a screen or a video",
        "converted to sRGB",
        {
            f"{color}-{curve}": lambda color=color, curve=curve: png(RGB, 8, codes(color, curve))
            for color in (1, 4, 5, 6, 7, 9, 11, 12)
            for curve in (1, 4, 5, 8, 13)
        },
    ),
    Quirk(
        "PNG",
        "HDR (PQ, HLG) in `cICP`, of 8 and 16 bits",
        TONED,
        {
            f"{name}-{color}-{bits}": lambda bits=bits, color=color, curve=curve: png(RGB, bits, codes(color, curve))
            for name, curve in HDR.items()
            for color in (1, 9, 12)
            for bits in (8, 16)
        },
    ),
    Quirk(
        "PNG",
        "HDR beside its brightest light (`cLLI`), or that of the screen it was made on (`mDCV`)",
        "that is shown as white, and what is darker the brighter for it",
        {
            f"{name}-{content}-{screen}": lambda curve=curve, content=content, screen=screen: png(
                RGB, 8, codes(9, curve), *brightest(content, screen)
            )
            for name, curve in HDR.items()
            for content, screen in ((400, None), (4000, None), (None, 400), (None, 4000), (400, 4000), (0, 400))
        },
    ),
    *(
        Quirk(
            title,
            "HDR (PQ, HLG) in `nclx`",
            TONED,
            {name: lambda kind=kind, curve=curve: heif_of_codes(file(kind), 9, curve) for name, curve in HDR.items()},
            differs=NOT_SHOWN if title == "HEIC" else "",
        )
        for title, kind in (AVIF, HEIC)
    ),
    Quirk("PNG", "no `IEND`", "read if all pixels are there", {"cut": lambda: png(RGB, 8)[:-12]}, scene),
    Quirk("PNG", "pixels are missing", "refused", {"cut": lambda: png(RGB, 8)[:-30]}, reason="truncated"),
    # ---- JPEG ----
    Quirk(
        "JPEG",
        "gray, YCbCr and CMYK without a profile, baseline and progressive",
        "read",
        {
            f"{name}-{progressive}": lambda make=make, progressive=progressive: file(
                "JPEG", make(), progressive=progressive
            )
            for name, make in {"gray": lambda: scene().convert("L"), "YCbCr": scene, "CMYK": inks}.items()
            for progressive in (False, True)
        },
    ),
    *(
        Quirk(
            title,
            "ICC profile",
            "converted to sRGB",
            {"swapped": lambda kind=kind: file(kind, icc_profile=profile(SWAPPED))},
            swapped,
            differs=NOT_SHOWN if title == "HEIC" else "",
        )
        for title, kind in (JPEG, WEBP, AVIF, HEIC)
    ),
    Quirk(
        "JPEG, WebP, AVIF",
        "ICC profile of Display P3",
        "converted to sRGB",
        {
            "JPEG": lambda: file("JPEG", icc_profile=profile(P3)),
            "progressive JPEG": lambda: file("JPEG", icc_profile=profile(P3), progressive=True),
            "WebP": lambda: file("WEBP", icc_profile=profile(P3)),
            "transparent WebP": lambda: file("WEBP", see_through(), icc_profile=profile(P3)),
            "AVIF": lambda: file("AVIF", icc_profile=profile(P3)),
        },
    ),
    Quirk(
        "JPEG",
        "ICC profile of sRGB",
        "read as without one",
        {
            "littleCMS": lambda: file("JPEG", icc_profile=srgb_profile()),
            "table": lambda: file("JPEG", icc_profile=srgb_table()),
        },
        scene,
    ),
    Quirk(
        "JPEG",
        "gray with a profile of gray or RGB",
        "converted to sRGB",
        {
            "gray": lambda: file("JPEG", scene().convert("L"), icc_profile=gray_profile()),
            "RGB": lambda: file("JPEG", scene().convert("L"), icc_profile=profile(P3, [1.0])),
        },
    ),
    Quirk(
        "JPEG, WebP",
        "broken profile, or one for other colors",
        "ignored",
        {
            "text": lambda: file("JPEG", icc_profile=b"not a profile" * 20),
            "cut": lambda: file("JPEG", icc_profile=profile(SWAPPED)[:150]),
            "gray": lambda: file("JPEG", icc_profile=gray_profile()),
            "CMYK": lambda: file("JPEG", icc_profile=ink_profile()),
            "WebP": lambda: file("WEBP", icc_profile=b"not a profile" * 20),
        },
        scene,
    ),
    Quirk(
        "AVIF, HEIC",
        "broken profile",
        "ignored",
        {
            "AVIF": lambda: file("AVIF", icc_profile=b"not a profile" * 20),
            "HEIC": lambda: file("HEIF", icc_profile=b"not a profile" * 20),
        },
        scene,
        differs=NOT_SHOWN,
    ),
    Quirk(
        "JPEG",
        "CMYK with its profile",
        "converted to sRGB by the table of all four inks",
        {"inks": lambda: file("JPEG", inks(), icc_profile=ink_profile())},
        differs="mixes black into the other inks first, and then applies the profile",
        levels=27,
    ),
    Quirk(
        "JPEG",
        "no end marker",
        "read if all pixels are there",
        {
            "cut": lambda: file("JPEG")[:-2],
            "restart markers": lambda: file("JPEG", restart_marker_blocks=4)[:-2],
        },
        scene,
        differs="leaves out the last pixels",
    ),
    Quirk(
        "JPEG",
        "bytes of the phone, or another picture, in place of the end marker; progressive without one",
        "read if all pixels are there",
        {
            "progressive": lambda: file("JPEG", progressive=True)[:-2],
            "trailer": lambda: file("JPEG")[:-2] + b"\0\0\1\x0a\x0e\0\0\0Image_UTC_Data16SEFHk\0\0\0SEFT",
            "another JPEG": lambda: file("JPEG")[:-2] + file("JPEG", swapped()),
        },
        scene,
    ),
    Quirk(
        "JPEG",
        "other pictures or bytes after the end",
        "read",
        {"two": lambda: file("JPEG") + file("JPEG", swapped()), "MPO": lambda: file("MPO", subsampling=0, quality=95)},
        scene,
    ),
    Quirk(
        "JPEG",
        "pixels are missing",
        "refused",
        {
            "cut": lambda: file("JPEG")[:-3],
            "at a restart marker": lambda: file("JPEG", restart_marker_blocks=4).rpartition(b"\xff\xd3")[0],
            "no last scan": lambda: file("JPEG", progressive=True).rpartition(b"\xff\xda")[0],
        },
        reason="truncated",
    ),
    # ---- WebP, AVIF, HEIC, GIF, BMP ----
    *(
        Quirk(
            title,
            "with and without transparency" if kind != "AVIF" else "without transparency",
            "read; transparency on white paper" if kind != "AVIF" else "read",
            {"opaque": lambda kind=kind: file(kind)}
            | ({"transparent": lambda kind=kind: file(kind, see_through())} if kind == "WEBP" else {}),
        )
        for title, kind in (WEBP, AVIF)
    ),
    Quirk(
        "AVIF",
        "with transparency",
        "read; transparency on white paper",
        {"transparent": lambda: file("AVIF", see_through())},
        on_paper,
        differs="takes opacity of libavif's files for video levels, so they look paler",
        levels=6,
    ),
    Quirk(
        "HEIC",
        "without transparency",
        "read",
        {"opaque": lambda: file("HEIF", quality=90)},
        scene,
        differs=NOT_SHOWN,
    ),
    Quirk(
        "HEIC",
        "with transparency",
        "read; transparency on white paper",
        {"transparent": lambda: file("HEIF", see_through(), quality=90)},
        on_paper,
        differs=NOT_SHOWN,
    ),
    Quirk(
        "AVIF",
        "color space in numbers (`nclx`)",
        "converted to sRGB; curves of video count as sRGB's",
        {
            f"{color}-{curve}": lambda color=color, curve=curve: heif_of_codes(file("AVIF"), color, curve)
            for color, curve in (
                (1, 1),
                (2, 2),
                (1, 4),
                (1, 8),
                (5, 1),
                (6, 6),
                (9, 1),
                (9, 13),
                (9, 14),
                (11, 8),
                (12, 13),
            )
        },
    ),
    Quirk(
        "HEIC",
        "color space in numbers (`nclx`)",
        "converted to sRGB; curves of video count as sRGB's",
        {"light": lambda: heif_of_codes(file("HEIF", quality=90), 1, 8)},
        lambda: power(1),
        differs=NOT_SHOWN,
    ),
    Quirk(
        "GIF",
        "first frame, with and without transparency",
        "read; transparency on white paper",
        {
            "opaque": lambda: file("GIF", scene().quantize(64)),
            "transparent": lambda: file("GIF", scene().quantize(64), transparency=5),
        },
    ),
    Quirk(
        "GIF",
        "no trailer",
        "read if all pixels are there",
        {"cut": lambda: file("GIF", scene().quantize(64))[:-1]},
        lambda: scene().quantize(64).convert("RGB"),
    ),
    Quirk(
        "GIF",
        "pixels are missing",
        "refused",
        {"cut": lambda: file("GIF", scene().quantize(64))[:-2]},
        reason="truncated",
    ),
    Quirk(
        "BMP",
        "1, 8, 24 and 32 bits",
        "read; 32 bits without transparency",
        {
            "1": lambda: file("BMP", scene().convert("1")),
            "gray": lambda: file("BMP", scene().convert("L")),
            "palette": lambda: file("BMP", scene().quantize(64)),
            "RGB": lambda: file("BMP"),
            "RGBA": lambda: file("BMP", see_through()),
        },
    ),
    # ---- Orientation and paper ----
    *(
        Quirk(
            formats,
            about,
            does,
            {f"{kind}-{turn}": lambda kind=kind, turn=turn: turned(kind, turn) for kind in kinds for turn in turns},
            scene,
            differs=differs,
        )
        for formats, kinds, turns, about, does, differs in (
            ("JPEG, PNG", ("JPEG", "PNG"), range(1, 9), "EXIF says how to turn it", "turned", ""),
            ("WebP", ("WEBP",), range(2, 9), "EXIF says how to turn it", "turned", "does not turn it"),
            ("AVIF", ("AVIF",), range(1, 9), *CONTAINER_TURNS, ""),
            ("HEIC", ("HEIF",), range(1, 9), *CONTAINER_TURNS, NOT_SHOWN),
        )
    ),
    Quirk(
        "JPEG, PNG, WebP, AVIF",
        "only XMP says how to turn it",
        "not turned",
        {kind: lambda kind=kind: with_xmp(kind) for kind in ("JPEG", "PNG", "WEBP", "AVIF")},
        scene,
    ),
    Quirk(
        "PNG, WebP, GIF, AVIF",
        "nothing but light ink on transparent paper",
        "on black paper",
        {kind: lambda kind=kind: file(kind, light_ink()) for kind in ("PNG", "WEBP", "GIF", "AVIF")},
        light_ink_on_black,
        differs="shows it on the page's background",
    ),
    Quirk(
        "HEIC",
        "nothing but light ink on transparent paper",
        "on black paper",
        {"HEIC": lambda: file("HEIF", light_ink(), quality=90)},
        light_ink_on_black,
        differs=NOT_SHOWN,
    ),
    # ---- Names, and formats that are not read ----
    Quirk(
        ", ".join(WHOLE),
        f"a name with any picture's extension, or with none: {_code(READ_NAMES)}",
        "read as what its bytes say",
        WHOLE,
        names=READ_NAMES + tuple(f"a.{extension}" for extension in PICTURE_EXTENSIONS),
        compared=False,
    ),
    Quirk(
        ", ".join(WHOLE),
        f"a name with another extension: {_code(REFUSED_NAMES)}",
        "refused",
        WHOLE,
        reason="extension",
        names=REFUSED_NAMES,
    ),
    *(
        Quirk(title, about, f"refused: the reason says “{received}”", {"": make}, reason="unsupported")
        for title, about, received, make in UNREAD
    ),
)
