"""Pixels of any mode to upright RGB on white."""

from PIL import Image

LARGE = 2**22  # pixels beyond which a picture is converted band by band and scaled down
BAND = 64  # rows of the smaller picture that are converted together
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


def upright_rgb(image: Image.Image, at_least: int) -> Image.Image:
    """An upright RGB copy of a decoded picture, without metadata.

    Args:
        at_least: pixels; a picture of more than `LARGE` pixels is scaled down by a whole factor that leaves its longer
            side at least this long.
    """
    turn = TURNS.get(_orientation(image))
    result = _rgb_scaled_down(image, at_least)
    result = result.transpose(turn) if turn is not None else result
    result.info = {}
    return result


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises errors of many types for broken EXIF; the picture is read without it
        return 1


def _rgb_scaled_down(image: Image.Image, at_least: int) -> Image.Image:
    """The picture in RGB. A large one is converted in bands: a converted copy of the whole would take much memory."""
    factor = max(image.size) // at_least if image.width * image.height > LARGE else 1
    if factor <= 1:
        return to_rgb(image)
    width, height = (-(-side // factor) for side in image.size)
    small = Image.new("RGB", (width, height))
    for row in range(0, height, BAND):
        top, bottom = row * factor, min((row + BAND) * factor, image.height)
        small.paste(to_rgb(image.crop((0, top, image.width, bottom))).reduce(factor), (0, row))
    return small


def to_rgb(image: Image.Image) -> Image.Image:
    """A picture of any of Pillow's modes in RGB; transparent pixels are blended with white."""
    if image.mode == "I;16":
        # Pillow's own conversion clips at 255 instead of keeping the high byte.
        return Image.frombytes("L", image.size, image.tobytes()[1::2]).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    opacity = layers.getchannel("A")
    if opacity.getextrema() == (255, 255):  # a drawing from the canvas is opaque; the paste would double its time
        return layers.convert("RGB")
    white = Image.new("RGB", image.size, "white")
    white.paste(layers, mask=opacity)
    return white
