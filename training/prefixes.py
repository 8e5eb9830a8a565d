"""Half-finished drawings, made from bitmaps whose strokes are traced.

The order of the strokes is unknown. As people mostly draw the outline first, long strokes come first, with some chance
left. A prefix is a share of the whole line's length, so that it can also end within a stroke.
"""

from collections.abc import Sequence
from functools import lru_cache, partial

import cv2
import numpy as np

from training.data import Split
from training.redraw import in_processes
from training.tracing import Lines, trace

FIELD, EXTENT, PEN = 304, 255, 16  # Quick, Draw! draws a 16-wide line on a 255 box in a field of 304
CHANCE = 0.5  # standard deviation of the logarithm by which a stroke's place in the order differs from its length
SHIFT = 4  # OpenCV draws at sixteenths of a pixel

BEGUN = 0.4  # share of the training drawings that are also shown half-finished
LEAST, MOST = 0.4, 0.9  # shares of the line after which these are shown


@lru_cache(maxsize=1)
def begun(train: Split) -> Split:
    """Some training drawings, half-finished; cached, as tracing takes half a minute, and the same for every seed."""
    some = np.random.default_rng(0).permutation(len(train.y))[: round(BEGUN * len(train.y))]
    return Split(half_drawn(train.x[some], LEAST, MOST, seed=0), train.y[some])


def half_drawn(x: np.ndarray, low: float, high: float, seed: int) -> np.ndarray:
    """Drawings uint8 [n, 28, 28], each after a random share between `low` and `high` of its line, laid out anew."""
    function = partial(_half_drawn, low=low, high=high)
    return in_processes(function, x, seed * len(x) + np.arange(len(x)), "half drawing")


def _half_drawn(bitmap: np.ndarray, seed: int, low: float, high: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return bitmap_of(prefix(in_order(trace(bitmap), rng), rng.uniform(low, high)))


def in_order(lines: Lines, rng: np.random.Generator) -> Lines:
    """The strokes in a likely order, each drawn from either end."""
    weights = [length(line) * np.exp(rng.normal(0, CHANCE)) for line in lines]
    return [lines[i][:: rng.choice((-1, 1))] for i in np.argsort(weights)[::-1]]


def prefix(lines: Sequence[np.ndarray], share: float) -> Lines:
    """The first `share` of the whole line: strokes float32 [n, 2], the last of them cut where the share ends."""
    left = share * sum(map(length, lines))
    begun: Lines = []
    for line in lines:
        if begun and left <= 0:
            break
        begun.append(cut(line, left))
        left -= length(line)
    return begun


def cut(line: np.ndarray, upto: float) -> np.ndarray:
    """The first `upto` pixels of a stroke float32 [n, 2], or all of a shorter one."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    if upto >= along[-1]:
        return line
    end = [np.interp(upto, along, axis) for axis in line.T]
    return np.concatenate([line[along < max(upto, 1e-6)], [end]]).astype(np.float32)


def length(line: np.ndarray) -> float:
    """The length of a stroke float32 [n, 2]."""
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def bitmap_of(lines: Sequence[np.ndarray]) -> np.ndarray:
    """Strokes drawn as Quick, Draw! draws them: uint8 [28, 28], ink 255 on 0."""
    points = np.concatenate(lines)
    low, high = points.min(axis=0), points.max(axis=0)
    zoom = EXTENT / max(*(high - low), 1)
    field = np.zeros((FIELD, FIELD), np.uint8)
    for line in lines:
        at = np.rint(((line - (low + high) / 2) * zoom + (FIELD - 1) / 2) * 2**SHIFT).astype(np.int32)
        at = at if len(at) > 1 else np.repeat(at, 2, axis=0)  # a line without length is a dot
        cv2.polylines(field, [at], False, 255, PEN, cv2.LINE_AA, SHIFT)
    return cv2.resize(field, (28, 28), interpolation=cv2.INTER_AREA)
