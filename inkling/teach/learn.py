"""Learns a classifier from the features of a few pictures: a linear head, calibrated by held-out answers.

The head is multinomial logistic regression or ridge regression on features of length 1, whichever has the better
cross-validated log-likelihood; so is its penalty chosen. Every number that a report states comes from answers to
examples by heads that saw neither them nor near-duplicates of them.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from inkling.recognition.measures import calibration_error, confusion
from inkling.recognition.runtimes.base import Answer
from inkling.teach import calibration, familiarity, folds, review
from inkling.teach.heldout import Method, Space, Task, choose, ignore, sample

FEWEST = 2  # examples of each label: one to learn from while the other is held out


class Figures(BaseModel):
    """How good a training is, from held-out answers.

    Attributes:
        counts: examples of each label.
        accuracy: share of right answers, with its 95% interval from `low` to `high`.
        calibration_error: expected calibration error of the held-out answers.
        sure_share: share of answers that are sure; `sure_accuracy` is the accuracy among them, 0 without any.
        seconds: how long learning took, features not included.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    counts: tuple[int, ...]
    accuracy: float
    low: float
    high: float
    calibration_error: float
    sure_share: float
    sure_accuracy: float
    seconds: float


class Report(Figures):
    """What is known about a training, all of it from held-out answers. Indexes are those of the examples.

    Attributes:
        confusion: answers, [true][predicted].
        held_out: calibrated probabilities of each example.
        calibration_error_before: the calibration error at temperature 1.
        curve: accuracy by examples of each label.
        doubtful: examples whose label looks wrong, most suspicious first: index, suggested label, and suspicion, the
            probability that it is wrong by the held-out answer.
        duplicates: groups of near-duplicates, by index.
        uniform: examples that are near-duplicates of nearly all others of their label.
        familiar: the share of the held-out examples that are familiar.
        method: "logistic" or "ridge"; `penalty` is relative to the mean variance of the features.
        temperature: by which the logits were divided.
    """

    labels: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    held_out: tuple[tuple[float, ...], ...]
    calibration_error_before: float
    curve: tuple[tuple[int, float], ...]
    doubtful: tuple[tuple[int, int, float], ...]
    duplicates: tuple[tuple[int, ...], ...]
    uniform: tuple[int, ...] = ()
    familiar: float
    method: Method
    penalty: float
    temperature: float


@dataclass(frozen=True, eq=False)
class Learned:
    """A head: what it takes to answer features.

    Attributes:
        labels: in the order of the answers.
        weights: float32 [d, labels], of features of length 1; the temperature is part of them.
        bias: float32 [labels].
        subspace: float32 [d, r], and `scale`: see `familiarity`.
        threshold: the confidence from which on an answer is sure; 1, which no answer reaches, with too few examples.
        familiar: the least familiarity of a picture that is like the examples.
        report: see `Report`.
    """

    labels: tuple[str, ...]
    weights: np.ndarray
    bias: np.ndarray
    subspace: np.ndarray
    scale: familiarity.Scale
    threshold: float
    familiar: float
    report: Report

    def answer(self, features: np.ndarray) -> Answer:
        """Calibrated probabilities and familiarity of features float32 [n, d]."""
        seen = directions(features)
        logits = seen @ self.weights + self.bias
        shares = familiarity.shares(seen, self.subspace)
        return Answer(calibration.softmax(logits), self.scale.familiarity(shares, logits.max(axis=1)))


def learn(
    features: np.ndarray, y: np.ndarray, labels: Sequence[str], progress: Callable[[float], None] = ignore
) -> Learned:
    """Learns a head from examples. The same arrays give the same bits.

    Args:
        features: float32 [n, d].
        y: the label of each example, integers [n].
        labels: their names.
        progress: is told the share that is done. What it raises ends the training.

    Raises:
        ValueError: fewer than two labels, or fewer than `FEWEST` examples of one.
    """
    began = time.perf_counter()
    y, labels = np.asarray(y, int), tuple(labels)
    counts = np.bincount(y, minlength=len(labels))
    if len(labels) < 2:
        raise ValueError(f"a classifier needs two labels. Received: {', '.join(labels) or 'none'}")
    if counts.min() < FEWEST:
        few = labels[int(counts.argmin())]
        raise ValueError(f"each label needs {FEWEST} examples. Received: {counts.min()} of {few!r}")
    seen = directions(features)
    space = Space.of(seen)
    group = folds.groups(space.z)
    task = Task(space.z, y, folds.folds(y, group), len(labels))
    progress(0.1)
    method, penalty, logits = choose(task, lambda share: progress(0.1 + 0.6 * share))
    temperature, _ = calibration.temperature(logits, y, task.weights)
    probabilities = calibration.softmax(logits, temperature).astype(np.float32)
    matrix = task.fit(method, penalty, np.arange(len(y)))
    weights, bias = space.outside(matrix / temperature)
    progress(0.8)
    threshold = calibration.threshold(probabilities, y, counts)
    kept = sample(y, min(len(y), familiarity.MOST))
    held_out_shares, largest = familiarity.held_out(seen[kept], task.fold[kept]), logits[kept].max(axis=1) / temperature
    scale = familiarity.Scale.of(held_out_shares, largest)
    familiar_scores = scale.familiarity(held_out_shares, largest)
    limit = familiarity.limit(familiar_scores)
    right = probabilities.argmax(axis=1) == y
    known = np.ones(len(y), bool)
    known[kept] = familiar_scores >= limit
    sure = known & (probabilities.max(axis=1) >= threshold)
    low, high = calibration.interval(float(right.mean()), len(np.unique(group)))
    curve = review.curve(task, method, penalty, lambda share: progress(0.8 + 0.2 * share))
    report = Report(
        labels=labels,
        counts=tuple(counts.tolist()),
        accuracy=float(right.mean()),
        low=low,
        high=high,
        confusion=tuple(map(tuple, confusion(probabilities, y).tolist())),
        held_out=tuple(tuple(round(float(value), 4) for value in row) for row in probabilities),
        calibration_error=calibration_error(probabilities, y),
        calibration_error_before=calibration_error(calibration.softmax(logits), y),
        sure_share=float(sure.mean()),
        sure_accuracy=float(right[sure].mean()) if sure.any() else 0.0,
        curve=curve,
        doubtful=review.doubtful(probabilities, y),
        duplicates=review.duplicates(group),
        uniform=tuple(np.flatnonzero(review.uniform(group, y)).tolist()),
        familiar=float(known[kept].mean()),
        method=method,
        penalty=penalty,
        temperature=temperature,
        seconds=round(time.perf_counter() - began, 3),
    )
    progress(1.0)
    return Learned(
        labels,
        weights.astype(np.float32),
        bias.astype(np.float32),
        familiarity.subspace(seen[kept]),
        scale,
        threshold,
        limit,
        report,
    )


def directions(features: np.ndarray) -> np.ndarray:
    """The square roots of features, scaled to length 1: float32 [n, d].

    The root keeps a few large features from deciding alone, as in the Hellinger kernel. Negative features count as 0;
    those of both backbones come from a ReLU.
    """
    roots = np.sqrt(np.maximum(np.asarray(features, np.float32), 0))
    return roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), np.float32(1e-6))
