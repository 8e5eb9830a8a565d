"""Every format and quirk of the documentation's table is read, or refused, as the table says."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from inkling.config import Settings
from inkling.pictures import profiles, reading
from inkling.pictures.budget import Budget
from inkling.pictures.containers import strip
from inkling.problems import Problem
from tests.hostile.build import chunk
from tests.support.pictures import (
    P3,
    QUIRKS,
    RGB,
    SRGB,
    codes,
    embedded,
    file,
    gamma,
    gray_profile,
    ink_profile,
    png,
    primaries,
    profile,
    srgb_profile,
    srgb_table,
)

SETTINGS = Settings.from_env({})
SECONDS = 60  # for each picture; generous, because the machine may be busy
EACH = [
    pytest.param(quirk, make, id=f"{quirk.format}: {quirk.name}: {name}")
    for quirk in QUIRKS
    for name, make in quirk.files.items()
]


def read(data, name="picture"):
    """The picture in a file, by default of a name that says nothing."""
    return reading.read_file(data, name, SETTINGS, Budget(SECONDS))


@pytest.mark.parametrize(("quirk", "make"), EACH)
def test_each_quirk_is_read_as_the_table_says(quirk, make):
    for name in quirk.names:
        if quirk.reason:
            with pytest.raises(Problem) as refusal:
                read(make(), name)
            assert refusal.value.reason == quirk.reason
            assert quirk.reason != "unsupported" or f"“{refusal.value.received}”" in quirk.does
            continue
        picture = read(make(), name)
        assert picture.mode == "RGB"
        if quirk.shows:
            expected = quirk.shows()
            assert picture.size == expected.size
            assert np.abs(np.asarray(picture, int) - np.asarray(expected, int)).mean() < 2


@pytest.mark.parametrize(
    ("color", "curve", "levels"),
    [
        # Of a gray ramp, as Chromium 156 shows it: level -> shown.
        (9, 16, {0: 0, 64: 30, 128: 132, 148: 187, 160: 213, 224: 255}),  # 148 is white, of 203 nits
        (9, 18, {0: 0, 64: 43, 128: 99, 191: 187, 208: 212, 240: 243}),  # 191 is white
        (1, 16, {64: 30, 148: 187}),
    ],
    ids=["PQ", "HLG", "PQ in sRGB's colors"],
)
def test_hdr_keeps_room_for_what_is_brighter_than_white(color, curve, levels):
    """White has half of a screen's light, and what is brighter has the rest."""
    for level, shown in levels.items():
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, RGB, 0, 0, 0))
        data = chunk(b"IDAT", zlib.compress(bytes([0, level, level, level]))) + chunk(b"IEND")
        picture = read(b"\x89PNG\r\n\x1a\n" + header + codes(color, curve) + data)
        assert np.abs(np.subtract(picture.getpixel((0, 0)), shown)).max() <= 4, level


def test_a_png_of_hdr_is_plain():
    assert strip("PNG", png(RGB, 8, codes(9, 16))).plain


@pytest.mark.parametrize(
    ("ink", "color"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (0, 175, 238)),
        ((0, 255, 0, 0), (226, 70, 143)),
        ((0, 0, 255, 0), (255, 233, 59)),
        ((0, 0, 0, 255), (27, 27, 27)),  # the profile has CIE lightness 10, without a hue
    ],
)
def test_each_ink_has_the_color_of_its_profile(ink, color):
    """The first four as Chromium shows them, which does not apply profiles to black ink."""
    data = file("JPEG", Image.new("CMYK", (16, 16), ink), icc_profile=ink_profile())
    assert np.abs(np.subtract(read(data).getpixel((8, 8)), color)).max() <= 2


def test_sixteen_bits_are_compared_to_the_last_one_where_they_are_gray():
    """A level that differs from the transparent one in its low byte is opaque."""
    levels = np.arange(512).reshape(2, 256)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 256, 2, 16, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND")
    picture = read(b"\x89PNG\r\n\x1a\n" + header + chunk(b"tRNS", struct.pack(">H", 300)) + data)
    assert np.argwhere(np.asarray(picture)[..., 0] == 255).tolist() == [[1, 300 - 256]]


@pytest.mark.parametrize("make", [srgb_profile, srgb_table, lambda: profile(SRGB)])
def test_a_jpeg_with_a_profile_of_srgb_is_plain(make):
    still = strip("JPEG", file("JPEG", icc_profile=make()))
    assert still.plain
    assert b"ICC_PROFILE" not in still.data


def test_a_file_with_a_profile_of_display_p3_is_plain_and_holds_ours():
    theirs = profile(P3) + b"what a stranger wrote"
    still = strip("JPEG", file("JPEG", icc_profile=theirs))
    assert still.plain
    assert Image.open(io.BytesIO(still.data)).info["icc_profile"] == profiles.of_codes(12, 13)
    assert strip("PNG", png(RGB, 8, embedded(theirs))).plain


@pytest.mark.parametrize("make", [lambda: profile(P3, [1.8]), lambda: profile(SRGB, [2.2]), gray_profile, ink_profile])
def test_a_file_with_another_profile_is_for_a_decoder_process(make):
    assert not strip("JPEG", file("JPEG", icc_profile=make())).plain
    assert not strip("PNG", png(RGB, 8, embedded(make()))).plain


def test_a_png_whose_colors_are_told_in_numbers_is_plain():
    assert strip("PNG", png(RGB, 8, gamma(1), primaries(P3))).plain
