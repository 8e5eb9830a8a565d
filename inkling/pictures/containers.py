"""Parsers that cut a PNG or JPEG file down to its still picture, and tell which files are cheap to decode.

Pillow parses both formats in Python, one chunk or segment at a time, so a crafted file can keep it busy for seconds.
These parsers read each file once, drop everything that decoding does not need, and refuse files that no encoder writes.
What they call plain is decoded in the serving process; everything else goes to a decoder process (`sandbox`).
"""

import re
import struct
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

from inkling.pictures import profiles
from inkling.pictures.color import LARGE

CHUNKS = 2**16  # most chunks of a PNG or segments of a JPEG; encoders write far fewer
PNG_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"}  # all that decoding needs
PNG_COLORS = {b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cLLI", b"mDCV"}  # which colors the levels are
USUAL_GAMMA = 45455  # that many encoders write for sRGB, in units of 1/100,000
PNG_PROFILE_BYTES = 2**20 - 1  # Pillow refuses a file whose profile is longer
PNG_EXIF_BYTES = 2**16  # most that a JPEG can hold, too; Pillow makes a Python object of each value
JPEG_TABLE_BYTES = 2**12  # of quantization tables, which Pillow reads in Python; encoders write below 600
JPEG_SCANS = 50  # most scans of a progressive JPEG: encoders write about ten, and each is a pass over all pixels
JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
JPEG_SEQUENTIAL = {0xC0, 0xC1}  # frames with Huffman codes in one pass, as cameras write them
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # each says how a picture is coded, and its components
JPEG_HEAD = {*range(0xC0, 0xD0), *range(0xDA, 0xDE), *range(0xE0, 0xF0), 0xFE} - {0xC8}  # all that encoders write
JPEG_DROPPED = {*range(0xE1, 0xEE), 0xEF, 0xFE}  # comments and APPn segments but JFIF and Adobe's color transform
EOI, SOS, DQT, APP1, APP2 = 0xD9, 0xDA, 0xDB, 0xE1, 0xE2
SOI = b"\xff\xd8"


class Still(NamedTuple):
    """A file reduced to what decoding its first frame needs.

    Attributes:
        data: the reduced file.
        frames: number of frames that the container announces; None if only decoding can tell.
        plain: whether decoding is so cheap and harmless that the serving process may do it. A profile that a stranger
            wrote is neither.
        ended: whether `data` has the mark of its end. Without it, pixels may be missing.
    """

    data: bytes
    frames: int | None = None
    plain: bool = False
    ended: bool = True


def strip(format: str, data: bytes) -> Still:
    """Reduces a PNG or JPEG file to its still picture; files of other formats stay as they are.

    Raises:
        ValueError: the chunks or segments are malformed, too many, or do not reach the end.
    """
    parser = PARSERS.get(format)
    return parser(data) if parser else Still(data)


def _png(data: bytes) -> Still:
    """The still picture of a PNG, which ends with its data: a decoder notices if pixels are missing."""
    at, frames, has_data = 8, 1, False
    needed: list[bytes] = []
    colors: dict[bytes, bytes] = {}
    for _ in range(CHUNKS):
        name, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if has_data and (name == b"IEND" or end > len(data)):
            pixels = int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big")
            profile, is_ours = _png_profile(colors)
            described = [_chunk(b"iCCP", b"icc\0\0" + zlib.compress(profile, 1))] if profile else []
            file = b"".join([data[:8], needed[0], *described, *needed[1:], _chunk(b"IEND", b"")])
            return Still(file, frames, plain=is_ours and pixels <= LARGE)
        if end > len(data) or (name == b"IHDR") != (at == 8):  # one header, and first: the decoder must see its size
            break
        has_data = has_data or name == b"IDAT"
        content = data[at + 8 : end - 4]
        if name == b"tRNS":
            needed.append(_chunk(name, _transparent_levels(data[24], data[25], content)))
        elif name in PNG_CHUNKS and not (name == b"eXIf" and end - at > PNG_EXIF_BYTES):
            needed.append(data[at:end])
        elif name == b"acTL":
            frames = int.from_bytes(content[:4], "big")
        elif name in PNG_COLORS and not has_data:
            colors.setdefault(name, content)
        at = end
    raise ValueError("the chunks do not reach the data of the PNG, or are too many")


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content).to_bytes(4, "big")
    return len(content).to_bytes(4, "big") + name + content + checksum


def _transparent_levels(bits: int, color: int, content: bytes) -> bytes:
    """The contents of `tRNS` as Pillow compares them: after it scaled pixels to 8 bits, but for gray of 16 bits."""
    if color == 0 and bits in (2, 4) and len(content) == 2:
        return bytes([0, content[1] * 255 // (2**bits - 1)])
    if color == 2 and bits == 16 and len(content) == 6:
        return bytes([0, content[0], 0, content[2], 0, content[4]])
    return content


def _png_profile(chunks: Mapping[bytes, bytes]) -> tuple[bytes | None, bool]:
    """The ICC profile of a PNG's colors, or None for sRGB; and whether it is one that Inkling made.

    Args:
        chunks: those of `PNG_COLORS`. The first that can be read counts, as in browsers.
    """
    with suppress(KeyError, struct.error):
        primaries, transfer, _ = struct.unpack(">BBH", chunks[b"cICP"])
        return profiles.of_codes(primaries, transfer, _png_peak(chunks)), True
    with suppress(KeyError, ValueError, zlib.error):
        packed = chunks[b"iCCP"].split(b"\0", 1)[1][1:]
        unpack = zlib.decompressobj()
        profile = unpack.decompress(packed, PNG_PROFILE_BYTES)
        if unpack.eof and profiles.is_profile(profile):
            known = profiles.known(profile)
            return (profiles.of_codes(known, 13), True) if known else (profile, False)
    with suppress(KeyError, ValueError, struct.error, ZeroDivisionError):
        if b"sRGB" not in chunks:
            (gamma,) = struct.unpack(">I", chunks[b"gAMA"])
            if b"cHRM" in chunks:
                primaries = [value / 1e5 for value in struct.unpack(">8I", chunks[b"cHRM"])]
                return profiles.of_numbers(primaries, [1e5 / gamma]), True
            if abs(gamma - USUAL_GAMMA) > 500:
                return profiles.of_numbers(profiles.PRIMARIES[1], [1e5 / gamma]), True
    return None, True


def _png_peak(chunks: Mapping[bytes, bytes]) -> int:
    """Nits of the brightest light in an HDR picture, or of the screen that it was made on."""
    for name, at in ((b"cLLI", 0), (b"mDCV", 16)):
        with suppress(KeyError, struct.error):
            if nits := struct.unpack_from(">I", chunks[name], at)[0] // 10_000:
                return int(nits)
    return profiles.HDR_PEAK


def _jpeg(data: bytes) -> Still:
    """The first JPEG of the file (phones append others), without comments and makers' segments.

    It ends with the scan that completes its pixels, because some phones write no end marker after it.
    """
    at, has_exif, scans, table_bytes, plain = 2, False, 0, 0, False
    components = sent = 0  # components of the frame; coefficients of a block that scans sent to their last bit
    frames: list[int | None] = []  # number of components of each sequential frame, None for the other kinds
    needed = [data[:2]]
    parts: list[bytes] = []  # segments of an ICC profile
    for _ in range(CHUNKS):
        marker = JPEG_MARKER.search(data, at)
        start, code = (marker.start(), data[marker.start() + 1]) if marker else (len(data), None)
        if code == EOI or (scans and sent >= 64 * components):
            if code == EOI:
                needed.append(data[at : start + 2])
            else:
                needed.append(data[at:start].partition(SOI)[0])  # another JPEG may follow at once
            profile = b"".join(part[18:] for part in sorted(parts))
            known = profiles.known(profile)
            if known or not profiles.is_profile(profile):
                made = profiles.of_codes(known, 13) if known else None
                parts = [_icc_segment(made)] if made else []
            file = b"".join([needed[0], *parts, *needed[1:]])
            plain = plain and table_bytes <= JPEG_TABLE_BYTES and code == EOI and (known is not None or not parts)
            return Still(file, 1, plain, ended=code == EOI)
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        in_head = not scans
        # A length includes its own two bytes. Decoders read no length after other codes, and would go on elsewhere.
        if code is None or end < start + 4 or (in_head and code not in JPEG_HEAD):
            break
        table_bytes += (end - start) * (code == DQT)
        if code == SOS:
            plain = in_head and frames == [data[start + 4]]  # one scan with all components is decoded row by row
            scans += 1
            first, last, bits = data[end - 3 : end]
            if not bits & 15:  # progressive scans send the higher bits before the last one
                sent += data[start + 4] * (last + 1 - first)
        elif code in JPEG_FRAMES:
            plain, components = False, data[start + 9]
            frames.append(components if code in JPEG_SEQUENTIAL else None)
        if not in_head:
            needed.append(data[at:end])
        elif code == APP1 and not has_exif and data[start + 4 : end].startswith(b"Exif\0\0"):
            has_exif = True
            needed.append(data[start:end])
        elif code == APP2 and data[start + 4 : end].startswith(b"ICC_PROFILE\0"):
            parts.append(data[start:end])
        elif code not in JPEG_DROPPED:
            needed.append(data[start:end])
        at = end
        if scans > JPEG_SCANS:
            break
    raise ValueError("the segments do not reach the end of the JPEG, or are too many")


def _icc_segment(profile: bytes) -> bytes:
    """A JPEG's segment with a profile that is short enough for one."""
    content = b"ICC_PROFILE\0\x01\x01" + profile
    return struct.pack(">BBH", 0xFF, APP2, 2 + len(content)) + content


PARSERS: dict[str, Callable[[bytes], Still]] = {"PNG": _png, "JPEG": _jpeg}
