"""Color spaces as ICC profiles: which of them are sRGB already, and profiles for what other files say in numbers.

A decoder process imports this, so it does without NumPy, which would take its time and memory.
"""

import itertools
import math
import re
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache

# Of white, red, green and blue, as CIE x and y: ITU-T H.273 gives each set of primaries a number.
PRIMARIES = {
    1: (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),  # sRGB, BT.709
    4: (0.31, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # BT.470 M
    5: (0.3127, 0.329, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),  # BT.601, 625 lines
    6: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),  # BT.601, 525 lines
    7: (0.3127, 0.329, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),  # SMPTE 240M
    9: (0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),  # BT.2020
    11: (0.314, 0.351, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # DCI-P3
    12: (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),  # Display P3
}
# Curves: a power, or what ICC calls type 3: exponent, a, b, slope near black, and the level where that ends.
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1
VIDEO_CURVE = (2.4,)  # BT.1886, by which screens show BT.709, BT.601 and BT.2020
CURVES: dict[int, Sequence[float]] = {4: (2.2,), 5: (2.8,), 8: (1.0,), 13: SRGB_CURVE}
CURVES |= dict.fromkeys((1, 6, 14, 15), VIDEO_CURVE)
# HDR, as Chromium 156 shows it on a screen without HDR.
HDR_WHITE, HDR_PEAK = 203, 1000  # nits: white by BT.2408, and the brightest light of a picture that does not say it
HDR_GRID, HDR_STEPS = 17, 1024  # sides of the table by which HDR is converted, and steps of the curve behind it
HDR_LUMINANCE = (0.2627, 0.678, 0.0593)  # of BT.2020's red, green and blue
PQ, HLG = 16, 18
D50 = (0.9642, 1.0, 0.8249)  # the white of profiles, as XYZ
KNOWN = {  # red, green, blue as XYZ
    1: ((0.436, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)),
    12: ((0.5151, 0.2412, -0.0011), (0.292, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841)),
}
TO_CONES = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))  # by Bradford
NCLX = re.compile(rb"colrnclx(....)", re.DOTALL)  # the box of HEIC and AVIF files with two of these numbers
TOLERANCE = 0.002  # of linear light and of XYZ
SAMPLES = 64  # of a curve that is given as a table

Matrix = Sequence[Sequence[float]]


def of_numbers(primaries: Sequence[float], curve: Sequence[float]) -> bytes:
    """The ICC profile of a color space.

    Args:
        primaries: x and y of white, red, green and blue.
        curve: the exponent of a power, or the five parameters of a curve such as `SRGB_CURVE`.

    Raises:
        ValueError: no color space is like that.
    """
    kind = {1: 0, 5: 3}[len(curve)]
    shape = struct.pack(">4sIHH", b"para", 0, kind, 0) + _fixed(curve)
    tags = {b"wtpt": b"XYZ \0\0\0\0" + _fixed(D50)}
    for name, column in zip((b"r", b"g", b"b"), _columns(primaries), strict=True):
        tags |= {name + b"XYZ": b"XYZ \0\0\0\0" + _fixed(column), name + b"TRC": shape}
    return _profile(tags)


def _profile(tags: dict[bytes, bytes], version: int = 4) -> bytes:
    """An ICC profile of RGB with these tags."""
    at, table, contents = 128 + 4 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, at + len(contents), len(content))
        contents += content
    words = (at + len(contents), version << 24, b"mntr", b"RGB ", b"XYZ ", b"acsp", _fixed(D50))
    header = struct.pack(">I4xI4s4s4s12x4s28x12s48x", *words)
    return header + struct.pack(">I", len(tags)) + table + contents


def of_codes(primaries: int, transfer: int, peak: int = HDR_PEAK) -> bytes | None:
    """The ICC profile of two numbers of H.273; None for sRGB, and for unknown color spaces.

    Args:
        peak: nits of the brightest light in an HDR picture.
    """
    if primaries in PRIMARIES and transfer in HDR_LIGHT:
        return _of_hdr(primaries, transfer, min(max(peak, HDR_WHITE + 1), 10_000))
    if primaries not in PRIMARIES or transfer not in CURVES or (primaries, transfer) == (1, 13):
        return None
    return of_numbers(PRIMARIES[primaries], CURVES[transfer])


@lru_cache(16)
def _of_hdr(primaries: int, transfer: int, peak: int) -> bytes:
    """The ICC profile of an HDR color space for a screen without HDR, as a table of cube roots of XYZ.

    As in Chromium, colors keep their hue: their brightest part in BT.2020 is mapped, and the others with it.
    """
    from_2020 = _columns(PRIMARIES[9])
    to_2020 = _product(_columns(PRIMARIES[primaries]), _inverse(from_2020))
    levels = [HDR_LIGHT[transfer](step / (HDR_GRID - 1)) for step in range(HDR_GRID)]
    table: list[int] = []
    for light in itertools.product(levels, repeat=3):
        (rgb,) = _product([light], to_2020)
        if transfer == HLG:  # of the scene, in parts of the brightest; screens show it with more contrast
            luminance = sum(map(math.prod, zip(rgb, HDR_LUMINANCE, strict=True)))
            rgb = [value * HDR_PEAK / HDR_WHITE * max(luminance, 0) ** 0.2 for value in rgb]
        brightest = max(*rgb, 1e-9)
        (xyz,) = _product([rgb], from_2020)
        table += [
            round(65535 * min(1, max(0, value * _toned(brightest, peak / HDR_WHITE) / brightest) ** (1 / 3)))
            for value in xyz
        ]
    shape = struct.pack(
        ">4s4x3Bx9iHH", b"mft2", 3, 3, HDR_GRID, *(65536 * (i % 4 == 0) for i in range(9)), 2, HDR_STEPS
    )
    cubes = [round(32768 * (step / (HDR_STEPS - 1)) ** 3) for step in range(HDR_STEPS)]  # 32768 is 1 in a table of XYZ
    words = [0, 65535] * 3 + table + cubes * 3
    tags = {b"wtpt": b"XYZ \0\0\0\0" + _fixed(D50), b"A2B0": shape + struct.pack(f">{len(words)}H", *words)}
    return _profile(tags, version=2)  # in version 4, black would stand for that of paper


def _toned(light: float, peak: float) -> float:
    """HDR light, where 1 is white, to that of a screen, 0 to 1.

    Up to white, it is scaled: to half where the peak is 1,000 nits or more, to more where it is lower. Above, a
    quadratic Bézier curve ends at the peak.
    """
    white = 1 - 0.5 * min(1, math.log(peak) / math.log(HDR_PEAK / HDR_WHITE))
    if light <= 1:
        return light * white
    middle, level = 0.35 + 0.65 / white, 0.35 * white + 0.65  # the curve's point between (1, white) and (peak, 1)
    bend, slope = peak - 2 * middle + 1, middle - 1
    at = min(1, (math.sqrt(slope * slope + bend * (light - 1)) - slope) / bend)
    return white + 2 * at * (level - white) + at * at * (1 - 2 * level + white)


def _pq_light(level: float) -> float:
    """SMPTE ST 2084: the light of a level, in parts of white."""
    power = level ** (32 / 2523)
    return 10000 / HDR_WHITE * (max(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (8192 / 1305)


def _hlg_light(level: float) -> float:
    """ARIB STD-B67: the light of a level, in parts of the brightest."""
    return level * level / 3 if level <= 0.5 else (math.exp((level - 0.55991073) / 0.17883277) + 0.28466892) / 12


HDR_LIGHT: dict[int, Callable[[float], float]] = {PQ: _pq_light, HLG: _hlg_light}


def of_boxes(data: bytes | memoryview) -> bytes | None:
    """The ICC profile of what a HEIC or AVIF file says in numbers; None where its pictures differ, or for sRGB.

    Browsers show pictures with a curve of video by sRGB's in these formats, but not in PNG.
    """
    codes = {struct.unpack(">HH", found[1]) for found in NCLX.finditer(data)}
    if len(codes) != 1:
        return None
    primaries, transfer = codes.pop()
    return of_codes(primaries, 13 if CURVES.get(transfer) is VIDEO_CURVE else transfer)


def is_profile(data: bytes) -> bool:
    """Whether these bytes begin as an ICC profile does."""
    return data[36:40] == b"acsp"


def is_srgb(profile: bytes) -> bool:
    """Whether a profile says the same as none at all. Most do, and need no conversion."""
    return known(profile) == 1


def known(profile: bytes) -> int | None:
    """The number of the primaries, where a profile means sRGB (1) or Display P3 (12) in other words; None otherwise.

    `of_codes(known, 13)` is a profile that says the same, and that no stranger wrote.
    """
    try:
        count = min(int.from_bytes(profile[128:132], "big"), 100)
        entries = [struct.unpack_from(">4sII", profile, 132 + 12 * at) for at in range(count)]
        tags = {name: profile[start : start + size] for name, start, size in entries}
        if profile[16:24] != b"RGB XYZ " or b"A2B0" in tags:
            return None
        columns = [struct.unpack_from(">3i", tags[name], 8) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
        matching = (code for code, right in KNOWN.items() if all(map(_are_close, columns, right)))
        primaries = next(matching, None)
        alike = primaries and all(_is_srgb_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
        return primaries if alike else None
    except (KeyError, struct.error):
        return None


def _is_srgb_curve(tag: bytes) -> bool:
    kind, count = struct.unpack_from(">4s4xI", tag)
    if kind == b"curv" and count > 1:
        places = range(0, count, -(-count // SAMPLES))
        table = [struct.unpack_from(">H", tag, 12 + 2 * at)[0] for at in places]
        light = [_light(at / (count - 1)) for at in places]
        return all(abs(value / 65535 - right) < TOLERANCE for value, right in zip(table, light, strict=True))
    if kind == b"para" and count >> 16 in (3, 4):  # 4 is the same with two more numbers, which are 0 here
        values = struct.unpack_from({3: ">5i", 4: ">7i"}[count >> 16], tag, 12)
        return _are_close(values, [*SRGB_CURVE, 0, 0][: len(values)])
    return False


def _are_close(values: Sequence[int], numbers: Sequence[float]) -> bool:
    """Whether values as profiles write them are these numbers."""
    return all(abs(value / 65536 - number) < TOLERANCE for value, number in zip(values, numbers, strict=True))


def _light(level: float) -> float:
    """Linear light of an sRGB level, both 0 to 1."""
    gamma, a, b, c, d = SRGB_CURVE
    return c * level if level < d else (a * level + b) ** gamma


def _columns(primaries: Sequence[float]) -> Matrix:
    """Red, green and blue as XYZ, adapted to the white of profiles."""
    if min(primaries[1::2]) <= 0:
        raise ValueError("a color without luminance")
    pairs = zip(primaries[::2], primaries[1::2], strict=True)
    white, *colors = ((x / y, 1.0, (1 - x - y) / y) for x, y in pairs)
    (strengths,) = _product([white], _inverse(colors))
    columns = [[value * strength for value in color] for color, strength in zip(colors, strengths, strict=True)]
    to_cones = list(zip(*TO_CONES, strict=True))  # transposed, because colors are rows here
    seen, wanted = _product([white, D50], to_cones)
    cones = [
        [value * to / was for value, to, was in zip(row, wanted, seen, strict=True)]
        for row in _product(columns, to_cones)
    ]
    return _product(cones, _inverse(to_cones))


def _product(rows: Matrix, matrix: Matrix) -> list[list[float]]:
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in zip(*matrix, strict=True)] for row in rows
    ]


def _inverse(matrix: Matrix) -> Matrix:
    """The inverse of a 3 x 3 matrix, by cross products of its rows.

    Raises:
        ValueError: it has none.
    """
    a, b, c = matrix
    columns = [_cross(b, c), _cross(c, a), _cross(a, b)]
    determinant = sum(x * y for x, y in zip(a, columns[0], strict=True))
    if abs(determinant) < 1e-9:
        raise ValueError("the primaries lie on a line")
    return [[column[at] / determinant for column in columns] for at in range(3)]


def _cross(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _fixed(values: Sequence[float]) -> bytes:
    """Numbers as profiles write them.

    Raises:
        ValueError: one is too large.
    """
    if max(map(abs, values)) >= 32767:
        raise ValueError("no profile holds such a number")
    return struct.pack(f">{len(values)}i", *(round(value * 65536) for value in values))
