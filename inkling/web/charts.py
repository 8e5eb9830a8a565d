"""Where the marks of a chart stand: numbers in, places in a drawing of `WIDTH` x `HEIGHT` out. Templates draw them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inkling.recognition.card import Bin

WIDTH, HEIGHT = 360, 310
LEFT, RIGHT, TOP, BOTTOM = 46, 344, 32, 264  # of the part between the axes
APART = 15  # between two names, from line to line
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # of an axis of accuracy, in thousandths
MOST_STEPS = 5
HISTOGRAM = (LEFT, TOP, RIGHT, 142)


@dataclass(frozen=True)
class Tick:
    """A line across the chart, and what it says."""

    at: float
    text: str


@dataclass(frozen=True)
class Dot:
    """A point, its name beside it, and where the name begins or (`anchor` "end") ends."""

    x: float
    y: float
    name: str
    name_x: float
    name_y: float
    anchor: str


@dataclass(frozen=True)
class Bar:
    """The answers of one range of confidence."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Chart:
    """Axes and marks; (x1, y1, x2, y2) is the part between the axes."""

    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    dots: tuple[Dot, ...] = ()
    bars: tuple[Bar, ...] = ()
    frame: tuple[int, int, int, int] = (LEFT, TOP, RIGHT, BOTTOM)
    size: tuple[int, int] = (WIDTH, HEIGHT)


def speed(models: Sequence[tuple[str, float, float]]) -> Chart | None:
    """Accuracy (up) against milliseconds (across, each line ten times the one before); None without a model.

    Args:
        models: (title, milliseconds, accuracy).
    """
    if not models:
        return None
    exponents = [math.log10(max(milliseconds, 1e-3)) for _, milliseconds, _ in models]
    low, high = math.floor(min(exponents) - 0.1), math.ceil(max(exponents) + 0.1)
    bottom, top, step = _accuracies([accuracy for *_, accuracy in models])
    places = [
        (_across((exponent - low) / (high - low)), _up((accuracy * 1000 - bottom) / (top - bottom)), title)
        for exponent, (title, _, accuracy) in zip(exponents, models, strict=True)
    ]
    return Chart(
        across=tuple(Tick(_across((power - low) / (high - low)), f"{10.0**power:g}") for power in range(low, high + 1)),
        up=tuple(
            Tick(_up((mark - bottom) / (top - bottom)), f"{mark / 10:.{int(step < 10)}f}%")
            for mark in range(bottom, top + 1, step)
        ),
        dots=_named(places),
    )


def calibration(bins: Sequence[Bin]) -> Chart | None:
    """How often right (up) against how sure (across), a bar for each range that has answers; None without any."""
    bars = tuple(
        Bar(
            round(_across(i / len(bins)) + 1, 1),
            _up(one.accuracy),
            round((RIGHT - LEFT) / len(bins) - 2, 1),
            round(BOTTOM - _up(one.accuracy), 1),
        )
        for i, one in enumerate(bins)
        if one.count
    )
    percents = [(share / 100, f"{share}%") for share in range(0, 101, 25)]
    return (
        Chart(
            across=tuple(Tick(_across(share), text) for share, text in percents),
            up=tuple(Tick(_up(share), text) for share, text in percents),
            bars=bars,
        )
        if bars
        else None
    )


def histogram(shares: Sequence[float]) -> Chart:
    """How many pixels (up) are how bright (across, from 0 to 255), a bar for each range of brightness.

    Args:
        shares: of the pixels, from dark to light.
    """
    left, top, right, bottom = HISTOGRAM
    full = next(mark for mark in (0.02, 0.05, 0.1, 0.2, 0.5, 1) if mark >= min(1, round(max(shares), 6)))
    width = (right - left) / len(shares)
    # A share of one pixel is still to be seen.
    heights = [max(1, share / full * (bottom - top)) if share else 0 for share in shares]
    return Chart(
        across=tuple(
            Tick(round(left + level / 255 * (right - left), 1), str(level)) for level in (0, 64, 128, 192, 255)
        ),
        up=tuple(Tick(round(bottom - part * (bottom - top), 1), f"{full * part * 100:g}%") for part in (0, 0.5, 1)),
        bars=tuple(
            Bar(round(left + i * width, 1), round(bottom - height, 1), round(width - 0.5, 1), round(height, 1))
            for i, height in enumerate(heights)
            if height
        ),
        frame=HISTOGRAM,
        size=(WIDTH, 186),
    )


def _accuracies(values: Sequence[float]) -> tuple[int, int, int]:
    """Bottom, top and step of an axis that holds all values, in thousandths."""
    for step in STEPS:
        bottom, top = math.floor(min(values) * 1000 / step), math.ceil(round(max(values) * 1000 / step, 6))
        bottom -= bottom == top
        if top - bottom <= MOST_STEPS:
            break
    return bottom * step, top * step, step


def _named(places: Sequence[tuple[float, float, str]]) -> tuple[Dot, ...]:
    """Dots with their names towards the middle; names that would overlap move down, and all up if too far."""
    dots, last = [], -math.inf
    for x, y, name in sorted(places, key=lambda place: place[1]):
        last = max(y + 4, last + APART)
        dots.append((x, y, name, last))
    excess = max(0, last - (BOTTOM - 4))
    left = (LEFT + RIGHT) / 2
    return tuple(
        Dot(x, y, name, x + 9 if x <= left else x - 9, round(name_y - excess, 1), "start" if x <= left else "end")
        for x, y, name, name_y in dots
    )


def _across(share: float) -> float:
    return round(LEFT + share * (RIGHT - LEFT), 1)


def _up(share: float) -> float:
    return round(BOTTOM - share * (BOTTOM - TOP), 1)
