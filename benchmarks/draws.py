"""The pictures that classifiers are taught in benchmarks, and seeded draws of examples from them.

The data are in `training.data.folder()`: cats and dogs, flowers, CIFAR-10, MNIST and doodles.
"""

import io
from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image

from training import data

POOL = {"cats": 500, "cifar": 150, "digits": 200}  # pictures of each class that draws are taken from
TESTED = {"cifar": 200, "digits": 200}  # test pictures of each class; of the others all
DOODLES = 25  # of each kind


class Set(NamedTuple):
    """Pictures by their features."""

    x: np.ndarray  # float32 [n, d]
    y: np.ndarray  # int [n]

    def of(self, classes: np.ndarray) -> "Set":
        """The pictures of some classes, which are numbered in this order."""
        places = np.full(int(self.y.max()) + 1, -1)
        places[classes] = np.arange(len(classes))
        kept = places[self.y] >= 0
        return Set(self.x[kept], places[self.y[kept]])


class Split(NamedTuple):
    """Pictures to draw examples from, and pictures to test on."""

    pool: Set
    test: Set


# ---- Data ----


class Pictures(NamedTuple):
    """Pictures to draw from and to test on, uint8 [n, ...], with their classes."""

    pool: np.ndarray
    pool_y: np.ndarray
    test: np.ndarray
    test_y: np.ndarray


@cache
def cats() -> Pictures:
    """Cats and dogs; all 2,500 test photos."""
    parts = data.DATASETS["cats-dogs"].read(data.prepare("cats-dogs"))
    picked, decode = evenly(parts.train.y, POOL["cats"], 1), data.DATASETS["cats-dogs"].pictures
    return Pictures(decode(parts.train.x[picked]), parts.train.y[picked], decode(parts.test.x), parts.test.y)


@cache
def cifar() -> Pictures:
    """CIFAR-10's ten kinds."""
    return sample("cifar10", "cifar", 1, 2)


@cache
def flowers() -> tuple[np.ndarray, np.ndarray]:
    """All photos of 12 flowers, uint8 [960, 224, 224, 3], and their species."""
    root = data.folder() / "flowers"
    species = sorted(folder.name for folder in (root / "train").iterdir())
    files = [
        (path, i)
        for i, name in enumerate(species)
        for part in ("train", "test")
        for path in sorted((root / part / name).glob("*.jpg"))
    ]
    photos = np.stack([np.asarray(Image.open(path).convert("RGB")) for path, _ in files])
    return photos, np.array([i for _, i in files])


@cache
def digits() -> Pictures:
    """Digits, which the network of drawings has never seen."""
    return sample("mnist", "digits", 3, 3)


def sample(dataset: str, pool: str, seed: int, tested_seed: int) -> Pictures:
    """As many pictures of each class of a data set as `POOL` and `TESTED` say."""
    parts = data.DATASETS[dataset].read(data.prepare(dataset))
    picked, tested = evenly(parts.train.y, POOL[pool], seed), evenly(parts.test.y, TESTED[pool], tested_seed)
    return Pictures(parts.train.x[picked], parts.train.y[picked], parts.test.x[tested], parts.test.y[tested])


@cache
def doodles() -> tuple[np.ndarray, np.ndarray]:
    """Doodles of the kinds that the backbone knows, to be strangers, uint8 [n, 28, 28], and their kinds."""
    parts = data.DATASETS["doodles"].read(data.prepare("doodles"))
    picked = evenly(parts.test.y, DOODLES, 3)
    return parts.test.x[picked], parts.test.y[picked]


# ---- Draws ----


def evenly(y: np.ndarray, each: int, seed: int) -> np.ndarray:
    """`each` pictures of each class at random, int [n]."""
    rng = np.random.RandomState(seed)
    return np.concatenate([np.sort(rng.permutation(np.flatnonzero(y == c))[:each]) for c in np.unique(y)])


def drawn(split: Split, each: int, seed: int) -> Set:
    """`each` examples of each class."""
    picked = evenly(split.pool.y, each, seed)
    return Set(split.pool.x[picked], split.pool.y[picked])


def flower_split(x: np.ndarray, y: np.ndarray, seed: int) -> Split:
    """60 photos of each species to draw from, and the other 20 to test on."""
    picked = evenly(y, 60, 1000 + seed)
    rest = np.setdiff1d(np.arange(len(y)), picked)
    return Split(Set(x[picked], y[picked]), Set(x[rest], y[rest]))


def jpeg(pixels: np.ndarray) -> bytes:
    """A photo uint8 [h, w, 3] as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()
