"""Layout of charts: turns numbers into coordinates of an SVG drawing, which templates draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inkling.recognition.card import Bin

WIDTH, HEIGHT = 360, 310
LEFT, RIGHT, TOP, BOTTOM = 46, 344, 32, 264  # of the plot area
LINE_HEIGHT = 15  # between the baselines of two names
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # between two ticks of an accuracy axis, in thousandths
MOST_STEPS = 5
HISTOGRAM = (LEFT, TOP, RIGHT, 142)


@dataclass(frozen=True)
class Tick:
    """A grid line and its label."""

    at: float
    text: str


@dataclass(frozen=True)
class Dot:
    """A point with its name. The name's position is that of its `anchor`, "start" or "end", as in SVG."""

    x: float
    y: float
    name: str
    name_x: float
    name_y: float
    anchor: str


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Chart:
    """Ticks and marks. `frame` is the plot area: left, top, right, bottom."""

    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    dots: tuple[Dot, ...] = ()
    bars: tuple[Bar, ...] = ()
    frame: tuple[int, int, int, int] = (LEFT, TOP, RIGHT, BOTTOM)
    size: tuple[int, int] = (WIDTH, HEIGHT)


def speed(models: Sequence[tuple[str, float, float]]) -> Chart | None:
    """Accuracy against milliseconds, the latter on a logarithmic axis; None without a model.

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
    """A reliability diagram: accuracy against confidence, a bar for each bin with answers; None without any."""
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
    """A histogram of brightness, from 0 to 255.

    Args:
        shares: the share of the pixels in each range of brightness, from dark to light.
    """
    left, top, right, bottom = HISTOGRAM
    full = next(mark for mark in (0.02, 0.05, 0.1, 0.2, 0.5, 1) if mark >= min(1, round(max(shares), 6)))
    width = (right - left) / len(shares)
    # Even a single pixel is visible.
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
    """Bottom, top and step of an axis that covers all values, in thousandths."""
    for step in STEPS:
        bottom, top = math.floor(min(values) * 1000 / step), math.ceil(round(max(values) * 1000 / step, 6))
        bottom -= bottom == top
        if top - bottom <= MOST_STEPS:
            break
    return bottom * step, top * step, step


def _named(places: Sequence[tuple[float, float, str]]) -> tuple[Dot, ...]:
    """Dots with their names on the side toward the center.

    Names that would overlap move down; if that moves the last one out of the plot, all move up.
    """
    dots, last = [], -math.inf
    for x, y, name in sorted(places, key=lambda place: place[1]):
        last = max(y + 4, last + LINE_HEIGHT)
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
