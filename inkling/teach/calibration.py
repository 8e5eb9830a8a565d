"""From held-out answers to honest ones: temperature, the threshold of "sure", and the interval of an accuracy."""

import math
from collections.abc import Callable

import numpy as np

FEWEST = 10  # examples of each label below which no answer is sure
NEVER = 1.0  # the threshold then, which no confidence reaches: `base.tempered` leaves each label 1e-7
LEAST_SURE = 0.9  # no answer below this confidence is sure
RIGHT = 0.98  # share of the sure answers that is to be right
COLDEST, HOTTEST = 0.02, 20.0


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of logits [n, labels]."""
    powers = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def temperature(logits: np.ndarray, y: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """The temperature with the least weighted log loss, and that loss.

    The targets are not 1 and 0, as Platt (1999) proposes: forty right answers out of forty would ask for a temperature
    of 0. Jeffreys' prior makes them 40.5 of 41. On training draws, the rule of succession (41 of 42) left answers too
    modest.

    Args:
        logits: of held-out answers, [n, labels].
    """
    n, classes = logits.shape
    right = (n + 0.5) / (n + 1)
    target = np.full((n, classes), (1 - right) / (classes - 1))
    target[np.arange(n), y] = right

    def loss(log_temperature: float) -> float:
        scaled = (logits - logits.max(axis=1, keepdims=True)) / math.exp(log_temperature)
        return float(weights @ (np.log(np.exp(scaled).sum(axis=1)) - (target * scaled).sum(axis=1)) / weights.sum())

    found = least(loss, math.log(COLDEST), math.log(HOTTEST))
    return math.exp(found), loss(found)


def least(function: Callable[[float], float], low: float, high: float, steps: int = 40) -> float:
    """Where a function with a single minimum between `low` and `high` has it, by golden section search."""
    share = (math.sqrt(5) - 1) / 2
    left, right = high - share * (high - low), low + share * (high - low)
    at_left, at_right = function(left), function(right)
    for _ in range(steps):
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - share * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + share * (high - low)
            at_right = function(right)
    return (low + high) / 2


def threshold(probabilities: np.ndarray, y: np.ndarray, counts: np.ndarray) -> float:
    """The confidence from which on an answer is sure.

    It is the lowest one, from `LEAST_SURE`, above which a share `RIGHT` of the held-out answers is right, where one
    more wrong answer is assumed than there are. With fewer than `FEWEST` examples of a label it is 1, which no
    answer reaches.

    Args:
        probabilities: held-out, calibrated, [n, labels].
        counts: the number of examples of each label.
    """
    if counts.min() < FEWEST:
        return NEVER
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    order = np.argsort(-confidence, kind="stable")
    confidence, right = confidence[order], right[order]
    count = np.arange(1, len(y) + 1)
    rightness = (np.cumsum(right) + 1) / (count + 2)
    goal = min(RIGHT, float(rightness.max()))
    last = int(np.flatnonzero(rightness >= goal)[-1])
    return max(LEAST_SURE, math.floor(float(confidence[last]) * 1e6) / 1e6)


def interval(right: float, count: float, z: float = 1.96) -> tuple[float, float]:
    """The 95% score interval of a share (Wilson 1927), which also holds near 0 and 1.

    Args:
        right: the share of answers that are right.
        count: the number of independent answers.
    """
    middle = (right + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(right * (1 - right) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)
