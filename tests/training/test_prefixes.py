"""Half-finished drawings are the beginnings of traced drawings."""

import numpy as np
import pytest

from training import prefixes
from training.data import Split

CORNER = np.array([[0, 0], [10, 0], [10, 6]], np.float32)
LINES = [CORNER, np.array([[20, 20], [24, 20]], np.float32)]


@pytest.mark.parametrize("share", [0.1, 0.5, 0.75, 0.9, 1.0])
def test_a_prefix_has_its_share_of_the_length(share):
    begun = prefixes.prefix(LINES, share)
    assert sum(map(prefixes.length, begun)) == pytest.approx(share * 20, abs=1e-3)


def test_a_prefix_ends_within_a_stroke():
    (begun,) = prefixes.prefix(LINES, 0.6)
    assert begun.tolist() == [[0, 0], [10, 0], [10, 2]]


def test_a_dot_has_no_length_and_stays():
    assert [line.tolist() for line in prefixes.prefix([np.array([[3, 4]], np.float32)], 0.5)] == [[[3, 4]]]


def test_long_strokes_mostly_come_first():
    first = [prefixes.in_order(LINES, np.random.default_rng(seed))[0] for seed in range(200)]
    assert 0.9 < np.mean([prefixes.length(line) == 16 for line in first]) < 1


def test_strokes_fill_the_field_as_in_the_data_set():
    """A centerline of 255 of 304, and a line 16 wide."""
    seen = prefixes.bitmap_of([np.array([[3, 5], [4, 5]], np.float32)])
    assert seen.shape == (28, 28)
    assert seen.dtype == np.uint8
    rows, columns = np.nonzero(seen > 127)
    assert (columns.min(), columns.max()) == (2, 25)
    assert set(rows.tolist()) <= {13, 14}


def test_some_of_the_training_drawings_are_begun_and_keep_their_labels():
    x = np.zeros((10, 28, 28), np.uint8)
    for i in range(10):
        x[i, 4 : 10 + i, 6:8] = 255
    begun = prefixes.begun(Split(x, np.arange(10)))
    assert begun.x.shape == (4, 28, 28)
    assert len(set(begun.y.tolist())) == 4


def test_half_drawn_drawings_show_less_ink_the_less_is_drawn():
    x = np.zeros((3, 28, 28), np.uint8)
    for i in range(3):
        x[i, 4:24, 6:8] = x[i, 4:6, 6:22] = x[i, 22:24, 6:22] = x[i, 4 + 8 * i : 6 + 8 * i, 6:22] = 255
    whole, half = (prefixes.half_drawn(x, share, share, seed=0) for share in (1.0, 0.5))
    assert whole.shape == half.shape == x.shape
    assert (half.sum(axis=(1, 2)) < whole.sum(axis=(1, 2))).all()
