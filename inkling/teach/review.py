"""What to look at next: doubtful labels, near-duplicates, the learning curve, and what to label next."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from inkling.teach import calibration
from inkling.teach.heldout import Method, Task, sample

if TYPE_CHECKING:
    from inkling.teach.learn import Report

DOUBTFUL = 0.5  # a label with a held-out probability below 1 minus this is listed
SIZES = (2, 5, 10, 20, 50, 100, 200)  # examples of each label, of the learning curve
PARTS = 5  # of the folds, which are held out together for a learning curve
MOST = 500  # examples of which a learning curve is made
GAIN = 0.005  # of accuracy by the last step of the curve, below which more examples are not worth the work
LEFT = 2  # examples of a label, below which nothing can be learned while the others are held out


def suspicion(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How suspicious each label is, [n]: the probability of the others by the held-out answer."""
    return np.asarray(1 - probabilities[np.arange(len(y)), y])


def doubtful(probabilities: np.ndarray, y: np.ndarray) -> tuple[tuple[int, int, float], ...]:
    """Examples whose label looks wrong, most suspicious first: (index, suggested label, suspicion)."""
    found = suspicion(probabilities, y)
    suggested = probabilities.argmax(axis=1)
    order = np.argsort(-found, kind="stable")
    return tuple(
        (int(i), int(suggested[i]), round(float(found[i]), 4))
        for i in order
        if found[i] > DOUBTFUL and suggested[i] != y[i]
    )


def uniform(group: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which examples are near-duplicates of nearly all others of their label: bool [n].

    While they are held out, little is known of their label. That the answer is another one says nothing against it.
    """
    _, place, sizes = np.unique(np.stack([group, y]), axis=1, return_inverse=True, return_counts=True)
    own = sizes[place]
    return np.asarray((own > 1) & (np.bincount(y)[y] - own < LEFT))


def duplicates(group: np.ndarray) -> tuple[tuple[int, ...], ...]:
    """The groups of more than one example, by index."""
    names, counts = np.unique(group, return_counts=True)
    return tuple(tuple(np.flatnonzero(group == name).tolist()) for name in names[counts > 1])


def curve(
    task: Task, method: Method, penalty: float, progress: Callable[[float], None]
) -> tuple[tuple[int, float], ...]:
    """Accuracy by examples of each label: [(count, accuracy)], from heads that saw at most so many of each.

    The mean over labels, so that a large one does not hide the others.
    """
    if len(task.y) > MOST:
        task = task.part(sample(task.y, MOST))
    largest = int(np.bincount(task.y, minlength=task.classes).max())
    sizes = [size for size in SIZES if size < 0.9 * largest] + [largest]
    rng = np.random.RandomState(0)
    order = rng.permutation(len(task.y))
    found = []
    for step, size in enumerate(sizes, 1):
        right = np.zeros(len(task.y), bool)
        for name in range(PARTS):
            within = task.fold % PARTS == name
            outside = order[~within[order]]
            rows = np.concatenate([outside[task.y[outside] == label][:size] for label in range(task.classes)])
            matrix = task.fit(method, penalty, np.sort(rows))
            right[within] = (task.z[within] @ matrix[:-1] + matrix[-1]).argmax(axis=1) == task.y[within]
        share = np.mean([right[task.y == label].mean() for label in range(task.classes)])
        found.append((size, round(float(share), 4)))
        progress(step / len(sizes))
    return tuple(found)


def label_next(probabilities: np.ndarray) -> list[int]:
    """The order in which to label pictures, [n] indexes: those first whose two most likely labels are closest."""
    top = np.sort(probabilities, axis=1)
    return np.argsort(top[:, -1] - top[:, -2], kind="stable").tolist()


def advice(report: "Report") -> tuple[bool, int | None]:
    """Whether more examples would help, and of which label (its index) most.

    They would if the last step of the curve still raised the accuracy. They are of most use to the label with the
    smallest share of right answers, or of these to the one with the fewest examples; None where all are alike.
    """
    rows = report.confusion
    needs = [(row[i] / max(1, sum(row)), count) for i, (row, count) in enumerate(zip(rows, report.counts, strict=True))]
    needed = needs.index(min(needs)) if len(set(needs)) > 1 else None
    rising = len(report.curve) > 1 and report.curve[-1][1] > report.curve[-2][1] + GAIN
    return rising or min(report.counts) < calibration.FEWEST, needed
