"""Splits examples into folds so that each is answered by a classifier that saw neither it nor a near-duplicate."""

import numpy as np

ALIKE = 0.97  # cosine similarity of the features of two pictures that are nearly the same
BLOCK = 1024  # rows that are compared in one product
SEED = 17


def groups(directions: np.ndarray, limit: float = ALIKE) -> np.ndarray:
    """The group of each example, int [n]: examples are in one group if a chain of near-duplicates connects them.

    Args:
        directions: features of length 1, float32 [n, d].
        limit: the least cosine similarity of near-duplicates.
    """
    parent = np.arange(len(directions))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for one, other in near_pairs(directions, limit):
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return np.array([root(i) for i in range(len(parent))], int)


def near_pairs(directions: np.ndarray, limit: float) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, whose cosine similarity is at least `limit`."""
    found: list[tuple[int, int]] = []
    for start in range(0, len(directions), BLOCK):
        rows, columns = np.nonzero(directions[start : start + BLOCK] @ directions[start:].T >= limit)
        later = rows < columns
        found += zip((rows[later] + start).tolist(), (columns[later] + start).tolist(), strict=True)
    return found


def folds(y: np.ndarray, group: np.ndarray) -> np.ndarray:
    """The fold of each example, int [n], 20 for up to 100 examples, then 10, and 5 from 2,000 on.

    Each label's groups are dealt out evenly. A label whose examples are all one group is split all the same: nothing
    else can be held out.
    """
    count = min(len(y), 20 if len(y) <= 100 else 10 if len(y) < 2000 else 5)
    rng = np.random.RandomState(SEED)
    own = group.copy()
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        if len(np.unique(group[members])) == 1:
            own[members] = members
    fold = np.empty(len(y), int)
    first = {g: i for i, g in reversed(list(enumerate(own.tolist())))}
    dealt = 0
    for label in np.unique(y):
        mine = [g for g, i in first.items() if y[i] == label]
        for g in rng.permutation(sorted(mine)):
            fold[own == g] = dealt % count
            dealt += 1
    return fold
