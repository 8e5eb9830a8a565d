"""The accepted formats, and those that are known but not read: file extensions, media types, first bytes."""

import re

from inkling.problems import Problem, shorten

EXTENSIONS = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "heic", "heif", "avif")
OTHER_EXTENSIONS = ("jfif", "jpe", "pjpeg", "pjp")  # of JPEG files: accepted, too
UNREAD_EXTENSIONS = ("tif", "tiff", "svg", "pdf", "jxl", "jp2", "ico", "psd")  # a better reason than `extension`
ACCEPTED_EXTENSIONS = EXTENSIONS + OTHER_EXTENSIONS
PICTURE_EXTENSIONS = ACCEPTED_EXTENSIONS + UNREAD_EXTENSIONS  # with these, or none, a file's bytes decide
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
UNREAD_SIGNATURES = (
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"%PDF-", "PDF"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\1\0", "icon"),
)
SVG_STARTS = (b"<svg", b"<?xml", b"<!--", b"<!DOCTYPE svg")
SVG_BYTES = 2**12  # that are searched for its first tag
BMP_HEADER_SIZES = (12, 16, 40, 52, 56, 64, 108, 124)  # bytes
AVIF_BRANDS = {b"avif", b"avis"}
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
FTYP_BYTES = 256  # of a HEIC or AVIF file's first box that are searched for a brand


def extension_of(filename: str) -> str:
    """The extension of a file's name, in lower case and without its dot; "" if it has none.

    A name that was cut out of a URL may go on with its query.
    """
    base = re.split(r"[/\\]", filename.partition("?")[0])[-1]
    return base.rpartition(".")[2].lower() if "." in base else ""


def check_name(filename: str | None) -> None:
    """Accepts names of pictures, and those that say nothing.

    Raises:
        Problem: "missing" without a name, "extension" if it is that of another kind of file.
    """
    if not filename:
        raise Problem("missing", "No file was received. Send a picture together with its file name.")
    extension = extension_of(filename)
    if extension and extension not in PICTURE_EXTENSIONS:
        base = re.split(r"[/\\]", filename)[-1]
        raise Problem(
            "extension",
            f"The file name must end in one of {', '.join(EXTENSIONS)}, or have no extension. "
            f"Received: {shorten(base)}",
            base,
        )


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


def unread(data: bytes) -> str | None:
    """The name of a format that Inkling knows but does not read, by the first bytes of a file; None for all others."""
    for signature, name in UNREAD_SIGNATURES:
        if data.startswith(signature):
            return name
    text = data[:SVG_BYTES].removeprefix(b"\xef\xbb\xbf").lstrip()
    return "SVG" if text.startswith(SVG_STARTS) and b"<svg" in text else None
