"""How good a model is: accuracy, confusion, calibration, when to be sure; and the figures of its page.

Everything takes probabilities float32 [n, labels] and true labels int64 [n], and does not care where they
come from.
"""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from scipy.optimize import minimize_scalar
from scipy.stats import rankdata

from inkling.recognition import inputs
from inkling.recognition.card import Bin, ClassMetrics, InputSpec, Metrics, Mistake
from inkling.recognition.predictor import PROBABLY
from inkling.recognition.runtimes import Answer, Answering, tempered
from training.data import Dataset
from training.fit import arrange

BATCH = 128  # pictures at a time: 2,500 photos as floats are 700 MB
BINS = 15  # of the calibration error, as in Guo et al.
TEMPERATURES = (0.2, 5.0)
FEWEST = 100  # pictures that a threshold is decided by, where there are as many
LEAST_SURE = 0.9  # an answer that is wrong one time in ten by its own word is not sure, however right the others are
PLACES = 6  # of a metric, after the point

WORST, AT_MOST = 3, 1000  # mistakes shown of one pair of labels, and altogether
TILES = 20  # in a row of the sheet of mistakes

CROWDED = 12  # a confusion matrix of more labels has no numbers in its cells

Predict = Callable[[np.ndarray], np.ndarray]  # float32 [n, h, w, c] -> probabilities [n, labels]


# ---- Numbers ----


def predict(probabilities_of: Predict, x: np.ndarray, spec: InputSpec) -> np.ndarray:
    """A data set's pictures (uint8) -> float32 [n, labels], through the pipeline that serves, in batches."""
    parts = (arrange(part, spec) for part in np.split(x, range(BATCH, len(x), BATCH)))
    return np.concatenate([probabilities_of(inputs.scale(part, spec.scaling)) for part in parts])


def answers(network: Answering, x: np.ndarray, spec: InputSpec) -> Answer:
    """A data set's pictures (uint8) -> probabilities and familiarity, as `predict`."""
    outputs = []

    def note(batch: np.ndarray) -> np.ndarray:
        outputs.append(network.answer(batch))
        return outputs[-1].probabilities

    probabilities = predict(note, x, spec)
    familiarity = [one.familiarity for one in outputs]
    return Answer(probabilities, None if familiarity[0] is None else np.concatenate(familiarity))


def known(answer: Answer, familiar: float | None) -> np.ndarray:
    """bool [n]: which pictures are familiar enough to be sure of."""
    return np.ones(len(answer.probabilities), bool) if familiar is None else answer.familiarity >= familiar


def accuracy(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Share of the pictures whose likeliest label is the true one."""
    return float(np.mean(probabilities.argmax(axis=1) == y))


def confusion(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """int64 [labels, labels]: how many pictures of [true] were taken for [predicted]."""
    labels = probabilities.shape[1]
    pairs = y * labels + probabilities.argmax(axis=1)
    return np.bincount(pairs, minlength=labels**2).reshape(labels, labels)


def class_metrics(matrix: np.ndarray, labels: Sequence[str]) -> tuple[ClassMetrics, ...]:
    """Precision, recall and support of each label of a confusion matrix; 0 where nothing can be divided."""
    right, support, predicted = np.diag(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(support, 1)
    return tuple(
        ClassMetrics(label=label, precision=_rounded(precision[i]), recall=_rounded(recall[i]), support=int(support[i]))
        for i, label in enumerate(labels)
    )


def calibration_error(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Expected calibration error (Guo et al. 2017): how far confidence is from accuracy, in 15 bins."""
    return sum(one.count * abs(one.confidence - one.accuracy) for one in bins(probabilities, y)) / len(y)


def bins(probabilities: np.ndarray, y: np.ndarray) -> tuple[Bin, ...]:
    """Mean confidence and accuracy in each of 15 equal ranges of confidence, least sure first; 0 where none is."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    places = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(places, minlength=BINS)
    sums = (np.bincount(places, weights=values, minlength=BINS) for values in (confidence, right))
    sure_of, right_in = (values / np.maximum(counts, 1) for values in sums)
    return tuple(
        Bin(count=int(counts[i]), confidence=_rounded(sure_of[i]), accuracy=_rounded(right_in[i])) for i in range(BINS)
    )


def fit_temperature(probabilities: np.ndarray, y: np.ndarray) -> float:
    """The temperature within `TEMPERATURES` that makes held-out labels likeliest (Guo et al. 2017)."""

    def surprise(log_temperature: float) -> float:
        of_truth = tempered(probabilities, np.exp(log_temperature))[np.arange(len(y)), y]
        return -float(np.mean(np.log(np.maximum(of_truth, 1e-30))))

    found = minimize_scalar(surprise, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def choose_threshold(probabilities: np.ndarray, y: np.ndarray, target: float = 0.99) -> float:
    """The smallest confidence from which on held-out answers are right as often as `target`.

    It rests on at least `FEWEST` pictures (all, where there are fewer), and is never below `LEAST_SURE`.
    Where no confidence reaches the target, it is the one whose answers are right most often.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    order = np.argsort(-confidence, kind="stable")
    confidence = confidence[order]
    rightness = np.cumsum(right[order]) / np.arange(1, len(y) + 1)
    # Only whole groups of equal confidence can be told from the next.
    possible = np.append(confidence[:-1] > confidence[1:], True)
    possible[: min(FEWEST, len(y)) - 1] = False
    goal = min(target, rightness[possible].max())
    last = np.flatnonzero(possible & (rightness >= goal))[-1]
    return max(LEAST_SURE, _floored(confidence[last]))


def choose_familiar(familiarity: np.ndarray, strange: float) -> float:
    """What all held-out pictures reach but a share, `strange`."""
    return _floored(np.quantile(familiarity, strange))


def sure(
    probabilities: np.ndarray,
    y: np.ndarray,
    threshold: float,
    known: np.ndarray | bool = True,
) -> tuple[float, float]:
    """Share of known pictures answered with at least `threshold` confidence; accuracy among them (0 if none)."""
    certain = known & (probabilities.max(axis=1) >= threshold)
    return float(certain.mean()), accuracy(probabilities[certain], y[certain]) if certain.any() else 0.0


def group_accuracy(probabilities: np.ndarray, y: np.ndarray, count: int) -> float:
    """Accuracy among the first `count` labels: on their pictures, when only they can be the answer."""
    members = y < count
    return accuracy(probabilities[members, :count], y[members])


def not_sure(answer: Answer, temperature: float, threshold: float, familiar: float | None) -> float:
    """Share of pictures that are answered "not sure", as `inkling.recognition.predictor.wording` says it."""
    confidence = tempered(answer.probabilities, temperature).max(axis=1)
    return float(np.mean(~known(answer, familiar) | (confidence < min(threshold, PROBABLY))))


def auroc(familiar: np.ndarray, strange: np.ndarray) -> float:
    """Chance that a familiar picture scores above a strange one: the area under the ROC curve, ties half."""
    ranks = rankdata(np.concatenate([familiar, strange]))[: len(familiar)]
    return float((ranks.mean() - (len(familiar) + 1) / 2) / len(strange))


def mistakes(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which pictures, int64 [n], show what is confused: the commonest pairs first, of each the surest mistakes."""
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    matrix = confusion(probabilities, y) * (1 - np.eye(probabilities.shape[1], dtype=int))
    chosen = []
    for pair in np.argsort(-matrix.ravel(), kind="stable")[: np.count_nonzero(matrix)]:
        true, taken_for = np.unravel_index(pair, matrix.shape)
        members = np.flatnonzero((y == true) & (predicted == taken_for))
        chosen.extend(members[np.argsort(-confidence[members], kind="stable")][:WORST])
    return np.array(chosen[:AT_MOST], int)


def measure(
    network: Answering,
    dataset: Dataset,
    spec: InputSpec,
    temperature: float,
    threshold: float,
    groups: dict[str, int] | None = None,
    familiar: float | None = None,
    strangers: dict[str, np.ndarray] | None = None,
    sheet: Path | None = None,
) -> Metrics:
    """Everything that a card says about the test pictures of a data set.

    Args:
        network: the one that is served, at temperature 1.
        groups: as `Recipe.groups`.
        familiar: as the card's.
        strangers: other pictures, as `strangers.gather` gives them; told apart only where `familiar` is given.
        sheet: where to draw the mistakes, if the data set's licence lets them be shown.
    """
    y = dataset.test.y
    answer = answers(network, dataset.test.x, spec)
    raw = answer.probabilities
    calibrated = tempered(raw, temperature)
    matrix = confusion(raw, y)
    sure_share, sure_accuracy = sure(calibrated, y, threshold, known(answer, familiar))
    worst = mistakes(calibrated, y)
    if sheet and dataset.shown and len(worst):
        draw_mistakes(dataset.test.x[worst], sheet)
    others = {
        kind: answers(network, pictures, spec) for kind, pictures in (strangers or {}).items() if familiar is not None
    }
    return Metrics(
        split=f"{dataset.name} test",
        test_size=len(y),
        accuracy=_rounded(accuracy(raw, y)),
        calibration_error_before=_rounded(calibration_error(raw, y)),
        calibration_error=_rounded(calibration_error(calibrated, y)),
        sure_share=_rounded(sure_share),
        sure_accuracy=_rounded(sure_accuracy),
        classes=class_metrics(matrix, dataset.labels),
        confusion=matrix.tolist(),
        groups={name: _rounded(group_accuracy(raw, y, count)) for name, count in (groups or {}).items()},
        bins=bins(calibrated, y),
        mistakes=tuple(_mistake(dataset.labels, y[i], calibrated[i]) for i in worst),
        strangers={kind: _rounded(auroc(answer.familiarity, one.familiarity)) for kind, one in others.items()},
        not_sure={kind: _rounded(not_sure(one, temperature, threshold, familiar)) for kind, one in others.items()},
    )


def _mistake(labels: Sequence[str], true: int, probabilities: np.ndarray) -> Mistake:
    return Mistake(
        true=labels[true], predicted=labels[probabilities.argmax()], confidence=_rounded(probabilities.max())
    )


def _rounded(value: float) -> float:
    return round(float(value), PLACES)


def _floored(value: float) -> float:
    """Rounded down, so that the picture of that very confidence stays at or above it."""
    return float(np.floor(float(value) * 10**PLACES) / 10**PLACES)


# ---- Figures ----


def draw_confusion(matrix: np.ndarray, labels: Sequence[str], path: Path) -> None:
    """Writes a confusion matrix [true][predicted] as an SVG heat map of each row's shares."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    few = len(labels) <= CROWDED
    side = max(3.2, 1.6 + len(labels) * (0.42 if few else 0.14))
    figure = Figure((side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="none")
    small = 9 if few else 6
    axes.set_xticks(range(len(labels)), labels, rotation=90, fontsize=small)
    axes.set_yticks(range(len(labels)), labels, fontsize=small)
    axes.set(xlabel="predicted", ylabel="true")
    if few:
        for (row, column), count in np.ndenumerate(matrix):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    _write(figure, path)


def draw_mistakes(pictures: np.ndarray, path: Path) -> None:
    """Writes uint8 [n, 28, 28] as one grey PNG, row by row."""
    count, side, _ = pictures.shape
    sheet = np.zeros((math.ceil(count / TILES), TILES, side, side), np.uint8)
    sheet.reshape(-1, side, side)[:count] = pictures
    Image.fromarray(sheet.swapaxes(1, 2).reshape(-1, TILES * side)).save(path, optimize=True)


def draw_curves(history: dict[str, Sequence[float]], path: Path) -> None:
    """Writes loss and accuracy per epoch as SVG, training against validation; keys as Keras has them."""
    figure = Figure((7, 2.8), layout="constrained")
    for axes, name in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for key, label, style in ((name, "training", "--"), (f"val_{name}", "validation", "-")):
            epochs = range(1, len(history[key]) + 1)
            axes.plot(epochs, history[key], style, label=label, marker="." if len(epochs) < 30 else None)
        axes.set(xlabel="epoch", title=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(color="0.9")
    axes.legend()
    _write(figure, path)


def _write(figure: Figure, path: Path) -> None:
    """Saves a figure the same way each time: no date, text as text, styles that no page's policy refuses."""
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": "inkling", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata=nothing)
    path.write_text(_without_css(path.read_text("utf-8")), "utf-8")


def _without_css(svg: str) -> str:
    """The same picture with attributes in place of CSS, which a Content-Security-Policy would drop."""
    svg = re.sub(r"font-family: [^;\"]*", "font-family: sans-serif", svg)
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r' style="([^"]*)"', lambda match: _attributes(match[1]), svg)
    return svg.replace("<svg ", '<svg stroke-linejoin="round" stroke-linecap="butt" ', 1)


def _attributes(style: str) -> str:
    """CSS declarations as attributes; the last of a property holds."""
    pairs = dict(declaration.split(":", 1) for declaration in style.split(";") if declaration.strip())
    values = {name.strip(): value.strip() for name, value in pairs.items()}
    return "".join(f' {name}="{value}"' for name, value in values.items())
