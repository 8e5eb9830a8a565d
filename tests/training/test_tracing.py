"""Bitmaps become strokes that look like them."""

import math

import cv2
import numpy as np
import pytest

from training.redraw import Hand
from training.tracing import paint, trace

SHAPES = {  # polylines in bitmap pixels
    "line": [[(5, 6), (22, 20)]],
    "cross": [[(4, 14), (24, 14)], [(14, 4), (14, 24)]],
    "circle": [[(14 + 9 * math.cos(turn / 9 * math.pi), 14 + 9 * math.sin(turn / 9 * math.pi)) for turn in range(19)]],
    "corner": [[(6, 6), (6, 22), (22, 22)]],
    "far apart": [[(5, 5), (5, 22)], [(20, 5), (20, 16)]],
    "dot": [[(13, 15)]],
}


def bitmap(lines):
    """A drawing as Quick, Draw! makes it, uint8 [28, 28]."""
    large = np.zeros((280, 280), np.uint8)
    for line in lines:
        points = np.rint((np.array(line) + 0.5) * 10 - 0.5).astype(np.int32)
        cv2.polylines(large, [np.vstack([points, points[-1:]])], False, 255, 17)
    return cv2.resize(large, (28, 28), interpolation=cv2.INTER_AREA)


def reach(line, other):
    """The largest distance of a point of `line` from the polyline `other`."""
    starts, ends = (other[:-1], other[1:]) if len(other) > 1 else (other, other)
    along = ends - starts
    share = np.einsum("pse,se->ps", line[:, None] - starts, along) / np.maximum((along**2).sum(axis=1), 1e-9)
    nearest = starts + np.clip(share, 0, 1)[..., None] * along
    return float(np.linalg.norm(line[:, None] - nearest, axis=2).min(axis=1).max())


@pytest.mark.parametrize("name", SHAPES)
def test_strokes_are_those_that_were_drawn(name):
    drawn = [np.array(line, np.float32) for line in SHAPES[name]]
    traced = trace(bitmap(SHAPES[name]))
    assert len(traced) == len(drawn)
    assert all(line.dtype == np.float32 and line.ndim == 2 and line.shape[1] == 2 for line in traced)
    for line in traced:
        assert min(reach(line, other) for other in drawn) < 1
    for line in drawn:
        assert min(reach(line, other) for other in traced) < 1.5  # thinning shortens ends by half a line's width


def test_closed_strokes_end_where_they_begin():
    (circle,) = trace(bitmap(SHAPES["circle"]))
    assert np.array_equal(circle[0], circle[-1])


def test_longest_stroke_comes_first_and_begins_at_its_upper_left_end():
    first, second = trace(bitmap(SHAPES["far apart"]))
    assert first[:, 0].mean() < second[:, 0].mean()
    assert first[0, 1] < first[-1, 1]
    assert second[0, 1] < second[-1, 1]


@pytest.mark.parametrize(
    "hand", [Hand(), Hand(pen=8, size=0.5, shift=(1, -1)), Hand(ink=(255, 255, 0), paper=(0, 0, 90))]
)
def test_painted_strokes_have_the_hand_s_size_place_and_colors(hand):
    picture = np.asarray(paint(trace(bitmap(SHAPES["cross"])), hand)).astype(int)
    assert tuple(picture[0, 0]) == hand.paper
    rows, columns = np.nonzero(np.abs(picture - hand.paper).max(axis=2) > 99)
    center = 199.5 + (1 - hand.size) * 200 * np.array(hand.shift)
    assert (columns.min() + columns.max()) / 2 == pytest.approx(center[0], abs=6)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(center[1], abs=6)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == pytest.approx(hand.size * 400, abs=3)
    assert tuple(picture[round(center[1]), round(center[0])]) == hand.ink
