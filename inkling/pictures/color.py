"""Pixels of any mode and color space to upright sRGB on paper."""

import io
import struct
from functools import cache

from PIL import Image, ImageChops, ImageCms, ImageStat

LARGE = 2**22  # pixels beyond which a picture is converted band by band and scaled down
BAND = 64  # rows of the smaller picture that are converted together
FAINT = 16  # levels: ink that differs less from white paper cannot be seen on it
PROFILED = {
    "GRAY": "L",
    "RGB": "RGB",
    "CMYK": "CMYK",
}  # a profile's color space -> the mode of pixels that it describes
ORIENTATION = 0x0112  # EXIF tag
TURNS = {  # EXIF orientation -> what makes the picture upright
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright_rgb(image: Image.Image, at_least: int, profile: bytes | None = None) -> Image.Image:
    """An upright sRGB copy of a decoded picture, without metadata.

    Args:
        at_least: pixels; a picture of more than `LARGE` pixels is scaled down by a whole factor that leaves its longer
            side at least this long.
        profile: the ICC profile of its colors, if they are not sRGB. One that is broken is ignored.
    """
    turn = TURNS.get(_orientation(image))
    layers = _scaled_down(image, at_least)
    opacity = layers.getchannel("A") if layers.mode in ("LA", "RGBA") else None
    colors = layers.convert(layers.mode.removesuffix("A")) if opacity else layers
    result = _to_srgb(colors, profile)
    if opacity and opacity.getextrema() != (255, 255):  # a drawing from the canvas is opaque
        result = _on_paper(result, opacity)
    result = result.transpose(turn) if turn is not None else result
    result.info = {}
    return result


def _orientation(image: Image.Image) -> int:
    """What EXIF says; for AVIF, Pillow puts the container's own turn there, and pi-heif has done it already.

    Pillow's `getexif` would also ask XMP, which no browser does.
    """
    try:
        exif = Image.Exif()
        exif.load(image.info["exif"])
        return exif.get(ORIENTATION, 1)
    except Exception:  # Pillow raises errors of many types for broken EXIF; the picture is read without it
        return 1


def _scaled_down(image: Image.Image, at_least: int) -> Image.Image:
    """The picture's layers. A large one is converted in bands: a converted copy of the whole would take much memory."""
    factor = max(image.size) // at_least if image.width * image.height > LARGE else 1
    if factor <= 1:
        return _layers(image)
    width, height = (-(-side // factor) for side in image.size)
    small = None
    for row in range(0, height, BAND):
        top, bottom = row * factor, min((row + BAND) * factor, image.height)
        band = _layers(image.crop((0, top, image.width, bottom))).reduce(factor)
        small = small or Image.new(band.mode, (width, height))
        small.paste(band, (0, row))
    assert small is not None
    return small


def _layers(image: Image.Image) -> Image.Image:
    """A picture of any of Pillow's modes with 8 bits a channel: in L, RGB or CMYK, or in LA or RGBA."""
    if image.mode == "I;16":
        # Pillow's own conversion clips at 255 instead of keeping the high byte, and forgets what is transparent.
        low, high = (Image.frombytes("L", image.size, image.tobytes()[first::2]) for first in (0, 1))
        if "transparency" not in image.info:
            return high
        parts = zip((low, high), struct.pack("<H", image.info["transparency"]), strict=True)
        differs = (part.point([255 * (level != key) for level in range(256)]) for part, key in parts)
        return Image.merge("LA", [high, ImageChops.lighter(*differs)])
    if image.mode == "1":
        image = image.convert("L")
    if image.has_transparency_data:
        return image if image.mode == "LA" else image.convert("RGBA")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _to_srgb(colors: Image.Image, profile: bytes | None) -> Image.Image:
    """A copy in RGB of the pixels in L, RGB or CMYK that a profile describes.

    A profile that is broken, or for others, is ignored.
    """
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            mode = PROFILED[source.profile.xcolor_space.strip()]
            if mode == "RGB" and colors.mode == "L":
                colors = colors.convert("RGB")
            if mode == colors.mode:
                return ImageCms.ImageCmsTransform(source, _srgb(), mode, "RGB").apply(colors)
        except (KeyError, OSError, ValueError):
            pass
    return colors.convert("RGB")


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def _on_paper(colors: Image.Image, opacity: Image.Image) -> Image.Image:
    """The picture on white paper; on black, where all of its ink is so light that it would vanish on white."""
    sheets = []
    for paper in (255, 0):
        sheet = Image.new("RGB", colors.size, (paper, paper, paper))
        sheet.paste(colors, mask=opacity)
        contrast = max(abs(level - paper) for levels in ImageStat.Stat(sheet).extrema for level in levels)
        if contrast >= FAINT:
            return sheet
        sheets.append(sheet)
    return sheets[0]
