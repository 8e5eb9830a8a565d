"""All pictures of a request share its time budget, but the first cheap picture is always read."""

import pytest

from inkling.pictures import budget, reading
from inkling.pictures.budget import RESERVE, Budget
from inkling.problems import Problem
from tests.hostile.build import encode, scene

SECONDS = 4
PNG, DAMAGED, WEBP = encode(scene(), "PNG"), encode(scene(), "PNG")[:-20], encode(scene(), "WEBP")


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(budget, "time", clock)
    return clock


@pytest.fixture
def read(settings):
    """Reads files with one budget. Returns one word for each file: "read", or the reason of the refusal."""

    def read(shared, *files):
        outcomes = []
        for data in files:
            extension = "webp" if data is WEBP else "png"
            try:
                reading.read_file(data, f"a.{extension}", settings, shared)
                outcomes.append("read")
            except Problem as problem:
                outcomes.append(problem.reason)
        return outcomes

    return read


def test_it_runs_down_to_zero(clock):
    shared = Budget(SECONDS)
    assert shared.left == SECONDS
    clock.now = 3
    assert shared.left == SECONDS - 3
    clock.now = 60
    assert shared.left == 0


@pytest.mark.parametrize("left", [0, RESERVE / 2, RESERVE])
def test_the_first_plain_picture_is_always_read(clock, read, left):
    shared = Budget(SECONDS)
    clock.now = SECONDS - left
    assert read(shared, PNG, PNG) == ["read", "read" if left >= RESERVE else "late"]


def test_a_refused_picture_does_not_count_as_the_first(clock, read):
    """The lab shows the previous picture when it refuses a new one."""
    shared = Budget(SECONDS)
    clock.now = SECONDS
    assert read(shared, DAMAGED, PNG, PNG) == ["truncated", "read", "late"]


def test_a_costly_picture_needs_time(clock, read):
    shared = Budget(SECONDS)
    clock.now = SECONDS
    assert read(shared, WEBP, PNG) == ["late", "read"]
