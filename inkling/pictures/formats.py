"""The accepted formats: file extensions, media types, and the first bytes of a file."""

import re

from inkling.problems import Problem, shorten

EXTENSIONS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "heic", "heif", "avif")
PILLOW_NAMES = {"jpg": "JPEG", "heic": "HEIF", "heif": "HEIF"}  # where they are not the extension in upper case
MEDIA_TYPES = {f"image/{name}": PILLOW_NAMES.get(name, name.upper()) for name in EXTENSIONS}
FORMATS = sorted(set(MEDIA_TYPES.values()))
CANVAS_TYPES = {name: MEDIA_TYPES[name] for name in ("image/png", "image/jpeg", "image/webp")}

SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
)
BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes
AVIF_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
FTYP_BYTES = 256  # of a HEIC or AVIF file's first box that are searched for a brand


def extension_of(filename: str | None) -> str:
    """The extension of a file's name, in lower case and without its dot.

    Raises:
        Problem: "missing" without a name, "extension" if it is not one of `EXTENSIONS`.
    """
    if not filename:
        raise Problem("missing", "No file was received. Send a picture together with its file name.")
    base = re.split(r"[/\\]", filename)[-1]
    extension = base.rpartition(".")[2].lower() if "." in base else ""
    if extension not in EXTENSIONS:
        raise Problem(
            "extension",
            f"The file name must end in one of {', '.join(EXTENSIONS)}. Received: {shorten(base)}",
            base,
        )
    return extension


def sniff(data: bytes) -> str | None:
    """Pillow's name of the format that the first bytes of a file announce, or None if it is not accepted."""
    for signature, name in SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in BMP_HEADER_SIZES:
        return "BMP"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] != b"ftyp":
        return None
    box = data[8 : min(int.from_bytes(data[:4], "big"), FTYP_BYTES)]
    brands = {box[at : at + 4] for at in range(0, len(box), 4) if at != 4}  # the second word is a version
    if brands & AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & HEIF_BRANDS else None
