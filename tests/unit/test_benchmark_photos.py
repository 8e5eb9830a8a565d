"""Each condition of the photo benchmark changes only what its name says."""

import re

import numpy as np
import pytest
from PIL import Image

from benchmarks import photos
from training.data import Split

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8))
RED, GREEN = (Image.new("RGB", (160, 160), color) for color in ((255, 0, 0), (0, 255, 0)))


def changed(name, number=4, photo=PHOTO):
    return photos.CONDITIONS[name].change(photo, number)


def share_of(color, picture):
    """The share of a picture that has exactly this color."""
    return np.mean((np.asarray(picture) == color).all(axis=2))


@pytest.mark.parametrize(
    "name, size", [("3:4", (120, 160)), ("9:16", (90, 160)), ("16:9", (160, 90)), ("close-up", (88, 88))]
)
def test_another_shape_is_the_middle_of_the_photo(name, size):
    left, top = (PHOTO.width - size[0]) // 2, (PHOTO.height - size[1]) // 2
    middle = PHOTO.crop((left, top, left + size[0], top + size[1]))
    assert changed(name).tobytes() == middle.tobytes()


def test_dark_keeps_a_quarter_to_a_third_of_the_light():
    light = np.mean(PHOTO)
    assert [np.mean(changed("dark", number)) / light for number in (0, 7)] == pytest.approx([1 / 4, 1 / 3], abs=0.01)


def test_the_rest_does_what_its_name_says():
    assert changed("plain").tobytes() == PHOTO.tobytes()
    assert changed("small, 64 px").size == (64, 64)
    assert np.ptp(np.asarray(changed("gray")), axis=2).max() == 0
    assert changed("sideways").rotate(-90).tobytes() == PHOTO.tobytes()
    assert changed("JPEG 30").size == PHOTO.size
    assert changed("JPEG 30").tobytes() != PHOTO.tobytes()


@pytest.mark.parametrize(
    "name, share",
    [
        ("1/2 of the frame", 1 / 2),
        ("1/3 of the frame", 1 / 3),
        ("1/4 of the frame", 1 / 4),
        ("off-center", 0.65),
        ("on a road", 1 / 2),
    ],
)
def test_a_photo_fills_its_share_of_a_scene(name, share):
    for number in range(6):
        picture = changed(name, number, RED)
        assert picture.size == (480, 480)
        assert share_of((255, 0, 0), picture) == pytest.approx(share**2, rel=0.02)


def test_an_off_center_photo_lies_in_a_corner():
    for number in range(6):
        pixels = np.asarray(changed("off-center", number, RED))
        assert sum((pixels[y, x] == (255, 0, 0)).all() for y in (0, -1) for x in (0, -1)) == 1


def test_bars_are_flat_and_the_photo_stays_whole():
    sizes = set()
    for number in range(16):
        picture = changed("flat bars", number, RED)
        sizes.add(picture.size)
        assert share_of((255, 0, 0), picture) * picture.width * picture.height == pytest.approx(160 * 160)
        assert len(np.unique(np.asarray(picture).reshape(-1, 3), axis=0)) == 2
    assert {(width > 160, height > 160) for width, height in sizes} == {(True, False), (False, True)}


@pytest.mark.parametrize("name", ["noise", "dark with noise"])
def test_noise_keeps_the_mean_of_the_photo(name):
    gray = Image.new("RGB", (160, 160), (120, 120, 120))
    pixels = np.asarray(changed(name, 0, gray), float)
    assert pixels.mean() == pytest.approx(120 if name == "noise" else 120 / 4, abs=1)
    assert pixels.std() > 5


@pytest.mark.parametrize("make", photos.PAIRS.values(), ids=photos.PAIRS)
@pytest.mark.parametrize("number", range(4))
def test_a_pair_shows_both_photos_alike(make, number):
    picture = make(RED, GREEN, number)
    red, green = (share_of(color, picture) for color in ((255, 0, 0), (0, 255, 0)))
    assert red == green > 0.15


def test_pairs_have_different_labels():
    test = Split(
        np.stack([np.full((8, 8, 3), value, np.uint8) for value in (0, 0, 0, 255, 255, 255)]),
        np.array([0, 0, 0, 1, 1, 1]),
    )
    seen = [np.unique(np.asarray(picture)).tolist() for picture in photos.pairs(test, photos.beside)]
    assert seen == [[0, 255]] * 3


def test_the_same_number_gives_the_same_picture():
    for name in photos.CONDITIONS:
        assert changed(name, 3).tobytes() == changed(name, 3).tobytes()


def test_models_of_photos_are_measured_under_each_condition(capsys, monkeypatch, models_folder):
    test = Split(np.repeat(np.asarray(PHOTO)[None], 4, axis=0), np.array([0, 1, 0, 1]))
    found = type("Set", (), {"test": test, "labels": ("cat", "dog")})
    monkeypatch.setattr(photos.data, "load", lambda name, limit: found)
    monkeypatch.setattr(
        "sys.argv",
        ["photos", "--limit=4", "--model=cats-dogs-cnn", "--model=cats-dogs-mobilenet", f"--models={models_folder}"],
    )
    photos.main()
    out = capsys.readouterr().out
    accuracy, sure = out.split("Called sure")
    assert "4 test photos" in accuracy
    assert rows(accuracy) == set(photos.CONDITIONS) - {"on a road"}  # it has no vehicles
    assert rows(sure) == {*photos.CONDITIONS, *photos.PAIRS} - {"on a road"}


def rows(printed):
    """The conditions that have a row in a table with the columns of two models."""
    found = re.findall(r"^\| (.*?) \| [\d.%() +-]+ \| [\d.%() +-]+ \|$", printed, re.MULTILINE)
    return set(found) - {"---"}


def test_a_missing_model_is_reported(monkeypatch, models_folder):
    monkeypatch.setattr("sys.argv", ["photos", "--model", "nope", "--models", str(models_folder)])
    with pytest.raises(SystemExit) as stop:
        photos.main()
    assert stop.value.code == 2
