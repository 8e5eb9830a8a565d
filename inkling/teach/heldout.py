"""Linear heads on examples that are held out fold by fold, and the choice between them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from inkling.teach import calibration, folds, solvers

Method = Literal["logistic", "ridge"]

# Relative to the features' mean variance, each path from strong to weak.
PENALTIES: dict[Method, tuple[float, ...]] = {
    "logistic": (1e-1, 1e-2, 1e-3, 1e-4),
    "ridge": (1e-1, 3e-2, 1e-2, 3e-3, 1e-3, 1e-4),
}
CHOOSING = 1000  # examples that method and penalty are chosen on


def ignore(share: float) -> None:
    """Takes the progress of a training, from 0 to 1, and does nothing."""


@dataclass(frozen=True, eq=False)
class Space:
    """The subspace that examples span, in which a head with an L2 penalty has the same solution as in all of it.

    Attributes:
        z: the examples in it, float64 [n, r].
        basis: orthonormal, [d, r].
        middle: the mean of the examples, [d].
    """

    z: np.ndarray
    basis: np.ndarray
    middle: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Space":
        """The space of features [n, d]."""
        wide = features.astype(np.float64)
        middle = wide.mean(axis=0)
        wide -= middle
        n, d = wide.shape
        if n <= d:
            squares, left = np.linalg.eigh(wide @ wide.T)
            kept = squares > 1e-10 * max(float(squares[-1]), 1e-30)
            lengths = np.sqrt(squares[kept])
            return cls(left[:, kept] * lengths, wide.T @ left[:, kept] / lengths, middle)
        squares, right = np.linalg.eigh(wide.T @ wide)
        right = right[:, squares > 1e-10 * max(float(squares[-1]), 1e-30)]
        return cls(wide @ right, right, middle)

    def outside(self, matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights [d, labels] and bias [labels] of features, from a solution [r + 1, labels] in this space."""
        weights = self.basis @ matrix[:-1]
        return weights, matrix[-1] - self.middle @ weights


@dataclass(frozen=True, eq=False)
class Task:
    """Examples in their space, and how they are held out.

    Attributes:
        z: float64 [n, r].
        y: int [n].
        fold: int [n].
        classes: the number of labels.
    """

    z: np.ndarray
    y: np.ndarray
    fold: np.ndarray
    classes: int

    @property
    def weights(self) -> np.ndarray:
        """The weight of each example: labels weigh the same, and the mean is 1."""
        return balanced(self.y)

    @property
    def variance(self) -> float:
        """The mean squared length of the examples in their space."""
        return float(np.einsum("ij,ij->", self.z, self.z)) / len(self.z)

    def part(self, picked: np.ndarray) -> "Task":
        """The same with some of the examples."""
        return Task(self.z[picked], self.y[picked], self.fold[picked], self.classes)

    def fit(self, method: Method, penalty: float, rows: np.ndarray) -> np.ndarray:
        """The solution from some examples, [r + 1, classes]."""
        return next(self.path(method, (penalty,), rows, solvers.CONVERGED))

    def path(
        self, method: Method, penalties: Sequence[float], rows: np.ndarray, converged: float
    ) -> Iterator[np.ndarray]:
        """The solution for each penalty; each of logistic regression begins at the one before."""
        z, y, weights = self.z[rows], self.y[rows], balanced(self.y[rows])
        absolute = tuple(penalty * self.variance for penalty in penalties)
        if method == "ridge":
            yield from solvers.ridge(z, y, weights, self.classes, absolute)
            return
        solution = None
        for one in absolute:
            solution = solvers.logistic(z, y, weights, self.classes, one, solution, converged)
            yield solution

    def held_out(
        self, method: Method, penalties: Sequence[float], progress: Callable[[float], None] = ignore
    ) -> np.ndarray:
        """Logits of each example by the solution without its fold, for each penalty: [penalties, n, classes]."""
        logits = np.empty((len(penalties), len(self.y), self.classes))
        names = np.unique(self.fold)
        for done, name in enumerate(names, 1):
            within = self.fold == name
            for i, matrix in enumerate(self.path(method, penalties, np.flatnonzero(~within), solvers.NEARLY)):
                logits[i, within] = self.z[within] @ matrix[:-1] + matrix[-1]
            progress(done / len(names))
        return logits


def balanced(y: np.ndarray) -> np.ndarray:
    """Weights of examples with which labels weigh the same, and whose mean is 1."""
    present, place, counts = np.unique(y, return_inverse=True, return_counts=True)
    return np.asarray(len(y) / (len(present) * counts[place]))


def choose(task: Task, progress: Callable[[float], None] = ignore) -> tuple[Method, float, np.ndarray]:
    """The method and penalty with the best held-out log-likelihood at their best temperature, and held-out logits."""
    n = len(task.y)
    small = task if n <= CHOOSING else task.part(sample(task.y, CHOOSING))
    tried: list[tuple[float, Method, float, np.ndarray]] = []
    for method, penalties in PENALTIES.items():
        logits = small.held_out(method, penalties, lambda share: progress((bool(tried) + share) / len(PENALTIES)))
        for penalty, found in zip(penalties, logits, strict=True):
            _, loss = calibration.temperature(found, small.y, small.weights)
            tried.append((loss, method, penalty, found))
    _, method, penalty, found = min(tried, key=lambda one: one[0])
    return method, penalty, found if small is task else task.held_out(method, (penalty,))[0]


def sample(y: np.ndarray, count: int) -> np.ndarray:
    """About `count` examples, evenly of each label: int [count], ascending."""
    rng = np.random.RandomState(folds.SEED)
    turn = np.empty(len(y))
    for label in np.unique(y):
        members = rng.permutation(np.flatnonzero(y == label))
        turn[members] = np.arange(len(members))
    return np.sort(np.argsort(turn, kind="stable")[:count])
