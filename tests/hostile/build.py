"""Builders of files that no encoder would write."""

import io
import struct
import zlib

from PIL import Image
from pillow_heif import register_heif_opener

register_heif_opener()  # for writing: Inkling reads them with pi-heif, in a decoder process

GIF_FRAME = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"


def encode(image, kind, **options):
    """A picture as a file of Pillow's format `kind`."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(name, data=b""):
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, *chunks, bits=8, color=0):
    """A PNG of a header, the given chunks and the end; gray if `color` is 0."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND")


def gif(*blocks, width=1, height=1):
    """A GIF with two colors and the given blocks."""
    header = b"GIF89a" + struct.pack("<HH", width, height) + b"\x80\0\0" + b"\0\0\0\xff\xff\xff"
    return header + b"".join(blocks) + b";"


def bmp(width, height, compression=0, data=b""):
    """A BMP with 256 gray levels."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, len(data), 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 1078 + len(data), 0, 0, 1078) + header + bytes(1024) + data


def segment(code, data):
    """A segment of a JPEG."""
    return bytes([0xFF, code]) + struct.pack(">H", len(data) + 2) + data


def box(name, data):
    """A box of a HEIC or AVIF file."""
    return struct.pack(">I", len(data) + 8) + name + data


def tiff(*entries, following=0):
    """The contents of EXIF: one directory of (tag, type, count, value) entries, and the offset of the next."""
    rows = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + struct.pack("<I", following)


def jpeg_of(data, width, height):
    """A JPEG whose header claims another size."""
    at = next(at for at in range(len(data)) if data[at] == 0xFF and data[at + 1] in (0xC0, 0xC2)) + 5
    return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]


def heif_of(data, width, height):
    """A HEIC or AVIF file whose `ispe` box claims another size."""
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


def heif_of_codes(data, primaries, transfer):
    """A HEIC or AVIF file whose `nclx` box has other numbers for its color space."""
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def scene(width=120, height=80):
    """A picture whose edges differ in color."""
    return Image.merge(
        "RGB", [Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L").rotate(90)]
    ).resize((width, height))
