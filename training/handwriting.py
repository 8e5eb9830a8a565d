"""Digits as many people write them and MNIST's writers hardly did: ones with an upstroke, and crossed or wavy sevens.

Each is a list of strokes, float32 [n, 2]: (x, y) in units of the digit's height, y pointing down.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from inkling.recognition import inputs
from training.data import Split
from training.redraw import in_noise, in_processes, random_hand
from training.tracing import Lines, paint

Range = tuple[float, float]

RISES, SHARES = (15.0, 75.0), (0.4, 0.95)  # of ones to train on: see `one`
AMONG = 55_000  # training digits to which `rare` adds so many of each kind; fewer to fewer
NOISY = 4_000  # training digits that are also learned in noise


def one(rng: np.random.Generator, rises: Range = RISES, shares: Range = SHARES) -> Lines:
    """A one: an upstroke, then a stem.

    Args:
        rises: bounds of the angle between the upstroke and the horizontal, in degrees.
        shares: bounds of the upstroke's length as a share of the stem's.
    """
    slant, rise = math.radians(rng.normal(0, 6)), math.radians(rng.uniform(*rises))
    begin = rng.uniform(*shares) * np.array([-math.cos(rise), math.sin(rise)])
    return [bent([begin, np.zeros(2), np.array([-math.sin(slant), math.cos(slant)])], rng)]


def crossed_seven(rng: np.random.Generator) -> Lines:
    """A seven with a bar through its stem."""
    left, right, foot = seven(rng)
    middle = right + rng.uniform(0.35, 0.6) * (foot - right)
    half = rng.uniform(0.12, 0.25) * np.array([1.0, rng.normal(0, 0.15)])
    return [bent([left, right, foot], rng), bent([middle - half, middle + half], rng)]


def wavy_seven(rng: np.random.Generator) -> Lines:
    """A seven whose upper bar is a wave."""
    left, right, foot = seven(rng)
    along = np.linspace(0, 1, 12)[:, None]
    wave = rng.uniform(0.05, 0.1) * np.sin(2 * math.pi * along) * np.array([0.0, -1.0])
    return [bent([*(left + along * (right - left) + wave), foot], rng)]


def seven(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The left and right end of a seven's bar, and the foot of its stem."""
    wide = rng.uniform(0.4, 0.7)
    foot = np.array([wide - rng.uniform(0.05, 0.45), 1.0])
    return np.array([0.0, rng.normal(0, 0.04)]), np.array([wide, 0.0]), foot


def bent(points: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """A stroke through these points whose parts are slightly bent."""
    line = [points[0]]
    for start, end in zip(points, points[1:], strict=False):
        along = np.linspace(0, 1, 9)[1:, None]
        across = np.array([start[1] - end[1], end[0] - start[0]])
        line.extend(start + along * (end - start) + rng.normal(0, 0.03) * np.sin(math.pi * along) * across)
    return np.asarray(line, np.float32)


SHAPES: dict[Callable[..., Lines], tuple[int, int]] = {  # shape -> its digit, and how many are made
    one: (1, 6_000),
    crossed_seven: (7, 1_500),
    wavy_seven: (7, 1_500),
}


@lru_cache(maxsize=1)
def rare(train: Split) -> Split:
    """Rare digits to train on: `SHAPES` in random hands, and some of the training digits, thin and faint in noise.

    They are prepared as in serving. They are cached and the same for every seed, because drawing them takes minutes.
    """
    rng, share = np.random.default_rng(0), len(train.y) / AMONG
    noisy = rng.permutation(len(train.y))[: round(share * NOISY)]
    shapes = [(shape, digit) for shape, (digit, count) in SHAPES.items() for _ in range(round(share * count))]
    jobs = [*((shape, None) for shape, _ in shapes), *((None, train.x[i]) for i in noisy)]
    seeds = rng.integers(0, 2**32, len(jobs))
    x = in_processes(_seen, jobs, seeds, "rare digits")
    return Split(x, np.concatenate([[digit for _, digit in shapes], train.y[noisy]]).astype(np.int64))


def some_rare(train: Split, share: float) -> Split:
    """This share of `rare`, drawn at random."""
    everything = rare(train)
    some = np.random.default_rng(1).permutation(len(everything.y))[: round(share * len(everything.y))]
    return Split(everything.x[some], everything.y[some])


def _seen(job: tuple[Callable[..., Lines] | None, np.ndarray | None], seed: int) -> np.ndarray:
    shape, bitmap = job
    rng = np.random.default_rng(seed)
    picture = paint(shape(rng), random_hand(rng)) if shape else in_noise(bitmap, rng)
    return inputs.ink(picture, "mnist")[..., 0]
