"""Augmentation of photos: the changes that a recipe can switch on."""

import numpy as np
import pytest

from training import augment, scenes

PHOTO = np.random.default_rng(0).integers(60, 196, (64, 64, 3), np.uint8)
SHARES = [(augment.framed, 0.2**2, 0.75**2), (augment.bars, 0.4, 0.95)]
changes = pytest.mark.parametrize(
    "change", [change for change, _ in augment.UNUSUAL], ids=lambda change: change.__name__
)


@changes
def test_a_change_keeps_size_and_type_and_is_seeded(change):
    before = PHOTO.copy()
    first, again, other = (change(PHOTO, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert (first.shape, first.dtype) == (PHOTO.shape, np.uint8)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert np.array_equal(PHOTO, before)


@pytest.mark.parametrize(("change", "least", "most"), SHARES, ids=["framed", "bars"])
def test_the_photo_keeps_its_share_of_the_picture(change, least, most, monkeypatch):
    monkeypatch.setattr(scenes, "backdrop", lambda rng, side: np.zeros((side, side, 3), np.uint8))
    red = np.full((64, 64, 3), (255, 1, 1), np.uint8)
    for seed in range(40):
        picture = change(red, np.random.default_rng(seed))
        share = np.mean((picture[..., 0] == 255) & (picture[..., 1] == 1))
        assert least * 0.8 <= share <= most * 1.1


def test_a_quarter_turn_turns_either_way():
    turned = {augment.quarter(PHOTO, np.random.default_rng(seed)).tobytes() for seed in range(12)}
    assert turned == {np.rot90(PHOTO, times).tobytes() for times in (1, 3)}


def test_only_a_share_of_the_photos_is_changed():
    photos = np.repeat(PHOTO[None], 200, axis=0)
    out = augment.unusual(photos, np.random.default_rng(0), ((lambda photo, rng: photo * 0, 0.25),))
    assert np.mean(~out.any(axis=(1, 2, 3))) == pytest.approx(0.25, abs=0.1)
    assert photos.any(axis=(1, 2, 3)).all()  # the data set is not changed


@pytest.mark.parametrize("pattern", scenes.PATTERNS, ids=lambda pattern: pattern.__name__)
def test_backdrops_vary(pattern, monkeypatch):
    monkeypatch.setattr(scenes, "PATTERNS", (pattern,))
    drawn = [scenes.backdrop(np.random.default_rng(seed), 48) for seed in range(5)]
    assert {(one.shape, one.dtype) for one in drawn} == {((48, 48, 3), np.dtype(np.uint8))}
    assert len({one.tobytes() for one in drawn}) == 5


@pytest.mark.parametrize("name", scenes.SCENES)
def test_scenes_vary_and_are_seeded(name):
    first, again, other = (scenes.SCENES[name](np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert first.size == (scenes.SIDE, scenes.SIDE)
    assert first.tobytes() == again.tobytes() != other.tobytes()
