"""Tells pictures of none of the labels from those that a classifier was taught, without having seen any."""

from collections.abc import Callable

import numpy as np

NEIGHBORS = 3
MOST = 512  # examples that a classifier keeps to compare with
KNOWN = 0.95  # share of the held-out examples that are familiar

Score = Callable[[np.ndarray], np.ndarray]


def kept(y: np.ndarray) -> np.ndarray:
    """The examples to keep, int [at most `MOST`]: the same number of each label where there are enough."""
    rng = np.random.RandomState(0)
    turn = np.empty(len(y))
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        turn[members] = np.arange(len(members))
    return np.sort(np.argsort(turn, kind="stable")[:MOST])


def familiarity(similarities: np.ndarray) -> np.ndarray:
    """The mean cosine similarity to the nearest examples, [n], from those to all of them, [n, examples]."""
    count = min(NEIGHBORS, similarities.shape[1])
    return np.asarray(np.sort(similarities, axis=1)[:, -count:].mean(axis=1))


def held_out(directions: np.ndarray, fold: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """The familiarity of each example, float32 [n], compared with the kept examples of other folds only."""
    similarities = directions @ directions[examples].T
    similarities[fold[:, None] == fold[examples]] = -1
    return familiarity(similarities)


def limit(familiarity: np.ndarray) -> float:
    """The familiarity that a share `KNOWN` of the held-out examples reach."""
    return float(np.quantile(familiarity, 1 - KNOWN))
