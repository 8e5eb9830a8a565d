"""Each condition of the photo benchmark changes only what its name says."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import photos

PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8)).resize((160, 160))


def changed(name, much=0.5):
    return photos.CONDITIONS[name](PHOTO, much)


@pytest.mark.parametrize("name, size", [("3:4", (120, 160)), ("9:16", (90, 160)), ("16:9", (160, 90))])
def test_another_shape_is_the_middle_of_the_photo(name, size):
    left, top = (PHOTO.width - size[0]) // 2, (PHOTO.height - size[1]) // 2
    middle = PHOTO.crop((left, top, left + size[0], top + size[1]))
    assert changed(name).tobytes() == middle.tobytes()


def test_dark_keeps_a_quarter_to_a_third_of_the_light():
    light = np.mean(PHOTO)
    assert [np.mean(changed("dark", much)) / light for much in (0, 1)] == pytest.approx([1 / 4, 1 / 3], abs=0.01)


def test_the_rest_does_what_its_name_says():
    assert changed("plain").tobytes() == PHOTO.tobytes()
    assert changed("small, 64 px").size == (64, 64)
    assert np.ptp(np.asarray(changed("grey")), axis=2).max() == 0
    assert changed("sideways").rotate(-90).tobytes() == PHOTO.tobytes()
    assert changed("JPEG 30").size == PHOTO.size
    assert changed("JPEG 30").tobytes() != PHOTO.tobytes()


def test_a_model_of_photos_is_measured_under_each_condition(capsys, monkeypatch, models_folder):
    x = np.repeat(np.asarray(PHOTO)[None], 3, axis=0)
    test = type("Part", (), {"x": x, "y": np.zeros(3, int)})
    monkeypatch.setattr(photos.data, "load", lambda name, limit: type("Set", (), {"test": test}))
    monkeypatch.setattr(
        "sys.argv", ["photos", "--limit", "3", "--model", "cats-dogs-cnn", "--models", str(models_folder)]
    )
    photos.main()
    out = capsys.readouterr().out
    assert all(f"| {name} | " in out for name in photos.CONDITIONS)
    assert "3 test photos" in out


def test_a_missing_model_is_reported(monkeypatch, models_folder):
    monkeypatch.setattr("sys.argv", ["photos", "--model", "nope", "--models", str(models_folder)])
    with pytest.raises(SystemExit) as stop:
        photos.main()
    assert stop.value.code == 2
