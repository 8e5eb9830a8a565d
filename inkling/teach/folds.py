"""Splits examples into folds so that each is answered by a classifier that saw neither it nor a near-duplicate."""

import numpy as np

ALIKE = 0.97  # cosine similarity of the features of two pictures that are nearly the same
FIRST = 128  # dimensions in which examples are compared first
BLOCK = 1024  # rows that are compared in one product
SEED = 17


def groups(z: np.ndarray) -> np.ndarray:
    """The group of each example, int [n]: examples are in one group if a chain of near-duplicates connects them.

    Args:
        z: features of length 1 in the subspace that they span, float64 [n, r], as `heldout.Space` has them.
    """
    parent = np.arange(len(z))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = int(parent[i])
        return i

    for one, other in near_pairs(z):
        first, second = sorted((root(one), root(other)))
        parent[second] = first
    return np.array([root(i) for i in range(len(parent))], int)


def near_pairs(z: np.ndarray) -> list[tuple[int, int]]:
    """All pairs (i, j), i < j, of near-duplicates.

    The last columns of z, in which examples vary most, give a distance that is never too long. So only pairs that are
    near by it are compared in full.
    """
    farthest = 2 - 2 * ALIKE  # the squared distance of two directions of that similarity
    small = np.ascontiguousarray(z[:, -FIRST:], np.float32)
    squares = np.square(small).sum(axis=1)
    found: list[tuple[int, int]] = []
    for start in range(0, len(z), BLOCK):
        block = slice(start, start + BLOCK)
        distances = squares[block, None] + squares[None, start:] - 2 * small[block] @ small[start:].T
        rows, columns = np.nonzero(distances <= farthest + 1e-4)
        later = rows < columns
        for part in np.array_split(np.flatnonzero(later), 1 + later.sum() // BLOCK):
            i, j = rows[part] + start, columns[part] + start
            close = np.square(z[i] - z[j]).sum(axis=1) <= farthest
            found += zip(i[close].tolist(), j[close].tolist(), strict=True)
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
