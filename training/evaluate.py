"""Accuracy, confusion, calibration and thresholds of a model, and the figures on its page.

Functions take probabilities float32 [n, labels] and true labels int64 [n].
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
from inkling.recognition.card import InputSpec, Metrics, Mistake
from inkling.recognition.measures import PLACES, bins, calibration_error, class_metrics, confusion, rounded
from inkling.recognition.predictor import PROBABLY
from inkling.recognition.runtimes.base import Answer, Answering, tempered
from training.data import Dataset, halves
from training.fit import arrange

BATCH = 128  # pictures per call: 2,500 photos as floats take 700 MB
TEMPERATURES = (0.2, 5.0)
FEWEST = 100  # minimum number of pictures that support a threshold
LEAST_SURE_SHARE = 0.4  # the same as a share of the pictures, for a data set of few
LEAST_SURE = 0.9  # lower bound of every threshold: an answer below 90% is never called sure

WORST, AT_MOST = 3, 1000  # mistakes shown per pair of labels, and in total
TILES = 20  # tiles in a row of the sheet of mistakes

MOST_TABLED = 100  # labels of a model whose card has a row for each label, and a column for each in the confusion
CROWDED = 12  # a confusion matrix with more labels shows no numbers

Predict = Callable[[np.ndarray], np.ndarray]  # float32 [n, h, w, c] -> probabilities [n, labels]


# ---- Metrics ----


def predict(probabilities_of: Predict, x: np.ndarray, spec: InputSpec) -> np.ndarray:
    """Probabilities float32 [n, labels] of uint8 pictures, preprocessed as in serving, in batches."""
    parts = (arrange(part, spec) for part in np.split(x, range(BATCH, len(x), BATCH)))
    return np.concatenate([probabilities_of(inputs.scale(part, spec.scaling)) for part in parts])


def answers(network: Answering, x: np.ndarray, spec: InputSpec) -> Answer:
    """Like `predict`, with familiarity."""
    outputs = []

    def note(batch: np.ndarray) -> np.ndarray:
        outputs.append(network.answer(batch))
        return outputs[-1].probabilities

    probabilities = predict(note, x, spec)
    familiarity = [one.familiarity for one in outputs]
    return Answer(probabilities, None if familiarity[0] is None else np.concatenate(familiarity))


def known(answer: Answer, familiar: float | None) -> np.ndarray:
    """bool [n]: whether each picture is familiar enough to be called sure."""
    return np.ones(len(answer.probabilities), bool) if familiar is None else answer.familiarity >= familiar


def accuracy(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Share of pictures whose most likely label is correct."""
    return float(np.mean(probabilities.argmax(axis=1) == y))


def fit_temperature(probabilities: np.ndarray, y: np.ndarray) -> float:
    """The temperature within `TEMPERATURES` that minimizes held-out log loss (Guo et al. 2017)."""

    def surprise(log_temperature: float) -> float:
        of_truth = tempered(probabilities, np.exp(log_temperature))[np.arange(len(y)), y]
        return -float(np.mean(np.log(np.maximum(of_truth, 1e-30))))

    found = minimize_scalar(surprise, bounds=np.log(TEMPERATURES), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def calibrated(
    raw: np.ndarray, dataset: Dataset, temperature: float, threshold: float
) -> tuple[np.ndarray, float | np.ndarray]:
    """Calibrated probabilities of the test pictures, float32 [n, labels], and the threshold of "sure" for each.

    They are those of the card, unless the data set is crossed. Then no picture is measured with a temperature and a
    threshold that were fitted on it: both come from the half that it is not in (`data.halves`).

    Args:
        raw: the network's probabilities.
    """
    if not dataset.crossed:
        return tempered(raw, temperature), threshold
    y, probabilities, thresholds = dataset.test.y, np.empty_like(raw), np.empty(len(raw))
    for fitted, measured in halves(y):
        temperature, thresholds[measured] = fit_few(raw[fitted], y[fitted])
        probabilities[measured] = tempered(raw[measured], temperature)
    return probabilities, thresholds


def fit_few(raw: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Temperature and threshold, fitted on few pictures: at least a share `LEAST_SURE_SHARE` of them is sure."""
    temperature = round(fit_temperature(raw, y), 4)
    return temperature, choose_threshold(tempered(raw, temperature), y, fewest=round(len(y) * LEAST_SURE_SHARE))


def choose_threshold(probabilities: np.ndarray, y: np.ndarray, target: float = 0.99, fewest: int = FEWEST) -> float:
    """The lowest confidence above which a share `target` of held-out answers is correct.

    At least `fewest` pictures (or all, if there are fewer) support it, and it is never below `LEAST_SURE`. If no
    confidence reaches the target, the one with the highest accuracy is returned.
    """
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == y
    order = np.argsort(-confidence, kind="stable")
    confidence = confidence[order]
    rightness = np.cumsum(right[order]) / np.arange(1, len(y) + 1)
    # Answers of equal confidence are on the same side of every threshold.
    possible = np.append(confidence[:-1] > confidence[1:], True)
    possible[: min(fewest, len(y)) - 1] = False
    goal = min(target, rightness[possible].max())
    last = np.flatnonzero(possible & (rightness >= goal))[-1]
    return max(LEAST_SURE, _floored(confidence[last]))


def choose_familiar(familiarity: np.ndarray, strange: float) -> float:
    """The familiarity that all but a share `strange` of the held-out pictures reach."""
    return _floored(np.quantile(familiarity, strange))


def sure(
    probabilities: np.ndarray,
    y: np.ndarray,
    threshold: float | np.ndarray,
    known: np.ndarray | bool = True,
) -> tuple[float, float]:
    """Share of pictures that are called sure, and the accuracy among them (0 if there are none)."""
    certain = known & (probabilities.max(axis=1) >= threshold)
    return float(certain.mean()), accuracy(probabilities[certain], y[certain]) if certain.any() else 0.0


def group_accuracy(probabilities: np.ndarray, y: np.ndarray, count: int) -> float:
    """Accuracy on pictures of the first `count` labels when only these can be the answer."""
    members = y < count
    return accuracy(probabilities[members, :count], y[members])


def not_sure(answer: Answer, temperature: float, threshold: float, familiar: float | None) -> float:
    """Share of pictures answered "not sure", by `inkling.recognition.predictor.wording`."""
    confidence = tempered(answer.probabilities, temperature).max(axis=1)
    return float(np.mean(~known(answer, familiar) | (confidence < min(threshold, PROBABLY))))


def called_sure(answer: Answer, temperature: float, threshold: float, familiar: float | None) -> float:
    """Share of pictures called sure."""
    confidence = tempered(answer.probabilities, temperature).max(axis=1)
    return float(np.mean(known(answer, familiar) & (confidence >= threshold)))


def auroc(familiar: np.ndarray, strange: np.ndarray) -> float:
    """Area under the ROC curve: the chance that a familiar picture scores above a strange one; ties count half."""
    ranks = rankdata(np.concatenate([familiar, strange]))[: len(familiar)]
    return float((ranks.mean() - (len(familiar) + 1) / 2) / len(strange))


def mistakes(probabilities: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Indices int64 [n] of mistakes to show: the most confident of each pair, most frequent pairs first."""
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
    """All metrics of a card, measured on the test pictures of a data set.

    With more than `MOST_TABLED` labels there are no figures for single labels, no confusion matrix and no mistakes.

    Args:
        network: the served network, at temperature 1.
        groups: see `Recipe.groups`.
        familiar: the card's limit of familiarity.
        strangers: unfamiliar pictures from `strangers.gather`; only used with `familiar`.
        sheet: path of the sheet of mistakes, which is drawn if the data set's license allows it.
    """
    y = dataset.test.y
    answer = answers(network, dataset.test.x, spec)
    raw = answer.probabilities
    probabilities, thresholds = calibrated(raw, dataset, temperature, threshold)
    tabled = len(dataset.labels) <= MOST_TABLED
    matrix = confusion(raw, y) if tabled else np.zeros((0, 0), int)
    sure_share, sure_accuracy = sure(probabilities, y, thresholds, known(answer, familiar))
    worst = mistakes(probabilities, y) if tabled else np.zeros(0, int)
    if sheet and dataset.shown and len(worst):
        draw_mistakes(dataset.test.x[worst], sheet)
    others = {
        kind: answers(network, pictures, spec) for kind, pictures in (strangers or {}).items() if familiar is not None
    }
    return Metrics(
        split=f"{dataset.name} test",
        test_size=len(y),
        accuracy=rounded(accuracy(raw, y)),
        calibration_error_before=rounded(calibration_error(raw, y)),
        calibration_error=rounded(calibration_error(probabilities, y)),
        sure_share=rounded(sure_share),
        sure_accuracy=rounded(sure_accuracy),
        classes=class_metrics(matrix, dataset.labels) if tabled else (),
        confusion=matrix.tolist(),
        groups={name: rounded(group_accuracy(raw, y, count)) for name, count in (groups or {}).items()},
        bins=bins(probabilities, y),
        mistakes=tuple(_mistake(dataset.labels, y[i], probabilities[i]) for i in worst),
        strangers={kind: rounded(auroc(answer.familiarity, one.familiarity)) for kind, one in others.items()},
        not_sure={kind: rounded(not_sure(one, temperature, threshold, familiar)) for kind, one in others.items()},
        wrongly_sure={
            kind: rounded(called_sure(one, temperature, threshold, familiar)) for kind, one in others.items()
        },
        strangers_count={kind: len(one.probabilities) for kind, one in others.items()},
    )


def _mistake(labels: Sequence[str], true: int, probabilities: np.ndarray) -> Mistake:
    return Mistake(true=labels[true], predicted=labels[probabilities.argmax()], confidence=rounded(probabilities.max()))


def _floored(value: float) -> float:
    """Rounds down, so that a picture of exactly this confidence still reaches the threshold."""
    return float(np.floor(float(value) * 10**PLACES) / 10**PLACES)


# ---- Figures ----


def draw_confusion(matrix: np.ndarray, labels: Sequence[str], path: Path) -> None:
    """Writes a row-normalized confusion matrix [true, predicted] as an SVG heat map."""
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
    """Writes uint8 [n, 28, 28] as one grayscale PNG, row by row."""
    count, side, _ = pictures.shape
    sheet = np.zeros((math.ceil(count / TILES), TILES, side, side), np.uint8)
    sheet.reshape(-1, side, side)[:count] = pictures
    Image.fromarray(sheet.swapaxes(1, 2).reshape(-1, TILES * side)).save(path, optimize=True)


def draw_curves(history: dict[str, Sequence[float]], path: Path) -> None:
    """Writes training and validation curves per epoch as SVG; keys are those of Keras' history."""
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
    """Saves a reproducible SVG: no date, text kept as text, attributes instead of inline styles."""
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.rc_context({"svg.hashsalt": "inkling", "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata=nothing)
    path.write_text(_without_css(path.read_text("utf-8")), "utf-8")


def _without_css(svg: str) -> str:
    """The SVG with CSS replaced by attributes, because the Content-Security-Policy blocks inline CSS."""
    svg = re.sub(r"font-family: [^;\"]*", "font-family: sans-serif", svg)
    svg = re.sub(r"\s*<defs>\s*<style.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r' style="([^"]*)"', lambda match: _attributes(match[1]), svg)
    return svg.replace("<svg ", '<svg stroke-linejoin="round" stroke-linecap="butt" ', 1)


def _attributes(style: str) -> str:
    """CSS declarations as attributes; the last declaration of a property wins."""
    pairs = dict(declaration.split(":", 1) for declaration in style.split(";") if declaration.strip())
    values = {name.strip(): value.strip() for name, value in pairs.items()}
    return "".join(f' {name}="{value}"' for name, value in values.items())
