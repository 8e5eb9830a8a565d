"""Layout of charts: turns numbers into coordinates of an SVG drawing, which templates draw."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from inkling.recognition.card import Bin

WIDTH, HEIGHT = 340, 290
LEFT, RIGHT, TOP, BOTTOM = 48, 320, 28, 240  # of the plot area
LETTER = 7.4  # width of a letter in style.css' size of text in a chart, at most
STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)  # between two ticks of an accuracy axis, in thousandths
MOST_STEPS = 5
HISTOGRAM = (LEFT, TOP, 290, 120)

Box = tuple[float, float, float, float]  # left, top, right, bottom
Height = Callable[[float], float]  # a value's place on the vertical axis


@dataclass(frozen=True)
class Tick:
    """A grid line and its label."""

    at: float
    text: str


@dataclass(frozen=True)
class Dot:
    """A point with its name. The name's position is that of its `anchor`: "start", "middle" or "end", as in SVG."""

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
class Line:
    """A curve as the points of an SVG polyline."""

    kind: str  # "training" or "held-out"
    points: str


@dataclass(frozen=True)
class Chart:
    """Ticks and marks. `frame` is the plot area: left, top, right, bottom."""

    across: tuple[Tick, ...]
    up: tuple[Tick, ...]
    dots: tuple[Dot, ...] = ()
    bars: tuple[Bar, ...] = ()
    lines: tuple[Line, ...] = ()
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
    up, at = _accuracies([accuracy for *_, accuracy in models])
    places = [
        (_across((exponent - low) / (high - low)), at(accuracy), title)
        for exponent, (title, _, accuracy) in zip(exponents, models, strict=True)
    ]
    return Chart(
        across=tuple(Tick(_across((power - low) / (high - low)), f"{10.0**power:g}") for power in range(low, high + 1)),
        up=up,
        dots=_named(places),
    )


def curves(history: Mapping[str, Sequence[float]], name: str) -> Chart | None:
    """The curves of one quantity over the epochs; None without at least two epochs.

    Args:
        history: values after each epoch by Keras' names; those of held-out pictures begin with "val_".
        name: "loss", which is drawn on a logarithmic axis, or "accuracy".
    """
    series = {kind: history.get(key, ()) for kind, key in (("training", name), ("held-out", f"val_{name}"))}
    values = [value for one in series.values() for value in one]
    epochs = max(map(len, series.values()))
    if epochs < 2:
        return None
    up, at = _losses(values) if name == "loss" else _accuracies(values)
    step = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if epochs <= MOST_STEPS * step)
    last = -(-epochs // step) * step

    def across(epoch: int) -> float:
        return _across((epoch - 1) / (last - 1))

    return Chart(
        across=tuple(Tick(across(epoch), str(epoch)) for epoch in (1, *range(step, last + 1, step)) if epoch <= last),
        up=up,
        lines=tuple(
            Line(kind, " ".join(f"{across(i)},{at(value)}" for i, value in enumerate(one, 1)))
            for kind, one in series.items()
            if one
        ),
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
        size=(304, 166),
    )


def _accuracies(values: Sequence[float]) -> tuple[tuple[Tick, ...], Height]:
    """The ticks of a linear axis that covers all values, and the function that places a value on it."""
    for step in STEPS:
        bottom, top = math.floor(min(values) * 1000 / step), math.ceil(round(max(values) * 1000 / step, 6))
        bottom -= bottom == top
        if top - bottom <= MOST_STEPS:
            break
    bottom, top = bottom * step, top * step

    def at(value: float) -> float:
        return _up((value * 1000 - bottom) / (top - bottom))

    marks = range(bottom, top + 1, step)
    return tuple(Tick(at(mark / 1000), f"{mark / 10:.{int(step < 10)}f}%") for mark in marks), at


def _losses(values: Sequence[float]) -> tuple[tuple[Tick, ...], Height]:
    """The ticks of a logarithmic axis that covers all values, and the function that places a value on it."""
    exponents = [math.log10(max(value, 1e-6)) for value in values]
    decades = range(math.floor(min(exponents)), math.ceil(max(exponents)) + 1)
    marks = [decade + math.log10(digit) for decade in decades for digit in (1, 2, 5)]
    low = max(mark for mark in marks if mark <= min(exponents) + 1e-9)
    high = min(mark for mark in marks if mark > max(exponents))

    def at(value: float) -> float:
        return _up((math.log10(max(value, 1e-6)) - low) / (high - low))

    inside = [mark for mark in marks if low <= mark <= high]
    if len(inside) > MOST_STEPS + 1:
        inside = [mark for mark in inside if mark in decades]
    return tuple(Tick(at(10**mark), f"{10**mark:.1g}") for mark in inside), at


def _named(places: Sequence[tuple[float, float, str]]) -> tuple[Dot, ...]:
    """Dots with their names, each at the nearest place within the plot where it covers neither a dot nor a name."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y, _ in places]
    dots = []
    for x, y, title in sorted(places, key=lambda place: place[1]):
        longest = int((RIGHT - LEFT) / LETTER)
        name = title if len(title) <= longest else title[: longest - 1] + "…"
        width = len(name) * LETTER
        middle = min(max(x, LEFT + width / 2), RIGHT - width / 2)
        candidates = []
        for away in range(0, BOTTOM - TOP, 4):
            for at in (y + 4 - away, y + 4 + away):
                candidates += [(x + 10, at, "start", x + 10), (x - 10, at, "end", x - 10 - width)]
            candidates += [(middle, at, "middle", middle - width / 2) for at in (y + 21 + away, y - 11 - away)]
        boxes = [(left, at - 12, left + width, at + 4) for _, at, _, left in candidates]
        free = (i for i, box in enumerate(boxes) if _inside(box) and not any(_overlap(box, other) for other in taken))
        chosen = next(free, 0)
        taken.append(boxes[chosen])
        name_x, name_y, anchor, _ = candidates[chosen]
        dots.append(Dot(x, y, name, round(name_x, 1), round(name_y, 1), anchor))
    return tuple(dots)


def _inside(box: Box) -> bool:
    return box[0] >= LEFT and box[1] >= TOP and box[2] <= RIGHT and box[3] <= BOTTOM


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _across(share: float) -> float:
    return round(LEFT + share * (RIGHT - LEFT), 1)


def _up(share: float) -> float:
    return round(BOTTOM - share * (BOTTOM - TOP), 1)
