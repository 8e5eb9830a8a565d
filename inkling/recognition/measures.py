"""What answers to pictures of known labels say about a model, as its card states it.

Functions take probabilities float32 [n, labels] and true labels int64 [n].
"""

from collections.abc import Sequence

import numpy as np

from inkling.recognition.card import Bin, ClassMetrics

BINS = 15  # bins of the calibration error, as in Guo et al. 2017
PLACES = 6  # decimal places of a metric


def confusion(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The confusion matrix, int64 [true, predicted]."""
    labels = probabilities.shape[1]
    pairs = y * labels + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=labels**2).reshape(labels, labels)


def class_metrics(matrix: np.ndarray, labels: Sequence[str]) -> tuple[ClassMetrics, ...]:
    """Precision, recall and support of each label; 0 instead of a division by zero."""
    right, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(support, 1)
    return tuple(
        ClassMetrics(label=label, precision=rounded(precision[i]), recall=rounded(recall[i]), support=int(support[i]))
        for i, label in enumerate(labels)
    )


def calibration_error(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Expected calibration error (Guo et al. 2017) with 15 bins."""
    return sum(one.count * abs(one.confidence - one.accuracy) for one in bins(probabilities, y)) / len(y)


def bins(probabilities: np.ndarray, y: np.ndarray) -> tuple[Bin, ...]:
    """Mean confidence and accuracy in 15 equal bins of confidence, lowest first; 0 in empty bins."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    places = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    sums = (np.bincount(places, weights=values, minlength=BINS) for values in (confidence, right))
    sure_of, right_in = (values / np.maximum(counts, 1) for values in sums)
    return tuple(
        Bin(count=int(counts[i]), confidence=rounded(sure_of[i]), accuracy=rounded(right_in[i])) for i in range(BINS)
    )


def rounded(value: float) -> float:
    """A metric as a card states it."""
    return round(float(value), PLACES)
