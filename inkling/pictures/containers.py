"""Parsers that cut a PNG or JPEG file down to its still picture, and tell which files are cheap to decode.

Pillow parses both formats in Python, one chunk or segment at a time, so a crafted file can keep it busy for seconds.
These parsers read each file once, drop everything that decoding does not need, and refuse files that no encoder writes.
What they call plain is decoded in the serving process; everything else goes to a decoder process (`sandbox`).
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from inkling.pictures.color import LARGE

CHUNKS = 2**16  # most chunks of a PNG or segments of a JPEG; encoders write far fewer
PNG_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"}  # all that decoding needs
PNG_EXIF_BYTES = 2**16  # most that a JPEG can hold, too; Pillow makes a Python object of each value
JPEG_TABLE_BYTES = 2**12  # of quantization tables, which Pillow reads in Python; encoders write below 600
JPEG_SCANS = 50  # most scans of a progressive JPEG: encoders write about ten, and each is a pass over all pixels
JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
JPEG_SEQUENTIAL = {0xC0, 0xC1}  # frames with Huffman codes in one pass, as cameras write them
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # each says how a picture is coded, and its components
JPEG_HEAD = {*range(0xC0, 0xD0), *range(0xDA, 0xDE), *range(0xE0, 0xF0), 0xFE} - {0xC8}  # all that encoders write
JPEG_DROPPED = {*range(0xE1, 0xEE), 0xEF, 0xFE}  # comments and APPn segments but JFIF and Adobe's color transform
SOI, EOI, SOS, DQT, APP1 = 0xD8, 0xD9, 0xDA, 0xDB, 0xE1


class Still(NamedTuple):
    """A file reduced to what decoding its first frame needs.

    Attributes:
        data: the reduced file.
        frames: number of frames that the container announces; None if only decoding can tell.
        plain: whether decoding is so cheap that the serving process may do it.
    """

    data: bytes
    frames: int | None = None
    plain: bool = False


def strip(format: str, data: bytes) -> Still:
    """Reduces a PNG or JPEG file to its still picture; files of other formats stay as they are.

    Raises:
        ValueError: the chunks or segments are malformed, too many, or do not reach the end.
    """
    parser = PARSERS.get(format)
    return parser(data) if parser else Still(data)


def _png(data: bytes) -> Still:
    at, frames, has_data, needed = 8, 1, False, [data[:8]]
    for _ in range(CHUNKS):
        name, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data) or (name == b"IHDR") != (at == 8):  # one header, and first: the decoder must see its size
            break
        has_data = has_data or name == b"IDAT"
        if name in PNG_CHUNKS and not (name == b"eXIf" and end - at > PNG_EXIF_BYTES):
            needed.append(data[at:end])
        elif name == b"acTL":
            frames = int.from_bytes(data[at + 8 : at + 12], "big")
        if name == b"IEND" and has_data:
            pixels = int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big")
            return Still(b"".join(needed), frames, plain=pixels <= LARGE)
        at = end
    raise ValueError("the chunks do not reach the end of the PNG, or are too many")


def _jpeg(data: bytes) -> Still:
    """The first JPEG of the file (phones append others), without comments and makers' segments."""
    at, has_exif, scans, table_bytes, plain = 2, False, 0, 0, False
    frames: list[int | None] = []  # number of components of each sequential frame, None for the other kinds
    needed = [data[:2]]
    for _ in range(CHUNKS):
        marker = JPEG_MARKER.search(data, at)
        if marker is None:
            break
        start, code = marker.start(), data[marker.start() + 1]
        if code == EOI:
            needed.append(data[at : start + 2])
            return Still(b"".join(needed), 1, plain=plain and table_bytes <= JPEG_TABLE_BYTES)
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        in_head = not scans
        # A length includes its own two bytes. Decoders read no length after other codes, and would go on elsewhere.
        if end < start + 4 or (in_head and code not in JPEG_HEAD):
            break
        table_bytes += (end - start) * (code == DQT)
        if code == SOS:
            plain = in_head and frames == [data[start + 4]]  # one scan with all components is decoded row by row
            scans += 1
        elif code in JPEG_FRAMES:
            plain = False
            frames.append(data[start + 9] if code in JPEG_SEQUENTIAL else None)
        if not in_head:
            needed.append(data[at:end])
        elif code == APP1 and not has_exif and data[start + 4 : end].startswith(b"Exif\0\0"):
            has_exif = True
            needed.append(data[start:end])
        elif code not in JPEG_DROPPED:
            needed.append(data[start:end])
        at = end
        if scans > JPEG_SCANS:
            break
    raise ValueError("the segments do not reach the end of the JPEG, or are too many")


PARSERS: dict[str, Callable[[bytes], Still]] = {"PNG": _png, "JPEG": _jpeg}
