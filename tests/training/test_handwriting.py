"""Rare digits have the shape that they are made for."""

import math

import numpy as np
import pytest

from training import handwriting
from training.data import Split


@pytest.mark.parametrize("seed", range(20))
def test_a_one_has_an_upstroke_of_the_angle_and_length_that_were_asked_for(seed):
    ((begin, *_, foot),) = handwriting.one(np.random.default_rng(seed), rises=(20, 45), shares=(0.5, 0.9))
    assert 0.5 - 1e-3 <= math.hypot(*begin) <= 0.9 + 1e-3  # the top is at (0, 0)
    assert 20 - 1e-3 <= math.degrees(math.atan2(begin[1], -begin[0])) <= 45 + 1e-3
    assert math.hypot(*foot) == pytest.approx(1)


def test_a_crossed_seven_has_a_second_stroke_through_its_stem():
    for seed in range(20):
        seven, bar = handwriting.crossed_seven(np.random.default_rng(seed))
        assert 0.2 < bar[:, 1].mean() < 0.8
        at = np.interp(bar[:, 1].mean(), seven[:, 1], seven[:, 0])
        assert bar[0, 0] < at < bar[-1, 0]


def test_a_wavy_seven_rises_and_falls_along_its_bar():
    for seed in range(20):
        (line,) = handwriting.wavy_seven(np.random.default_rng(seed))
        bar = line[: line[:, 0].argmax() + 1]
        straight = np.interp(bar[:, 0], bar[[0, -1], 0], bar[[0, -1], 1])
        assert (bar[:, 1] - straight).min() < -0.03
        assert (bar[:, 1] - straight).max() > 0.03


def test_rare_digits_are_inputs_with_their_labels(monkeypatch):
    monkeypatch.setattr(handwriting, "SHAPES", {handwriting.one: (1, 3), handwriting.wavy_seven: (7, 2)})
    monkeypatch.setattr(handwriting, "NOISY", 2)
    monkeypatch.setattr(handwriting, "AMONG", 4)
    x = np.zeros((4, 28, 28), np.uint8)
    x[:, 4:24, 13:15] = 255
    train = Split(x, np.array([1, 1, 1, 1]))
    seen = handwriting.rare(train)
    assert seen.x.shape == (7, 28, 28)
    assert seen.x.dtype == np.uint8
    assert seen.y.tolist() == [1, 1, 1, 7, 7, 1, 1]
    assert (seen.x.max(axis=(1, 2)) > 100).all()
    assert handwriting.rare(train) is seen
    assert np.array_equal(handwriting.rare(Split(x, train.y)).x, seen.x)
    some = handwriting.some_rare(train, 3 / 7)
    assert len(some.y) == 3
    assert all(any(np.array_equal(one, other) for other in seen.x) for one in some.x)
