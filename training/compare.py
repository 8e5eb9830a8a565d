"""Compares all models with their targets, measured from their ONNX files on the test pictures."""

import statistics
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from inkling.recognition import catalog
from inkling.recognition.card import InputSpec, ModelCard
from inkling.recognition.catalog import Model
from inkling.recognition.runtimes import base, openvino
from training import data, evaluate
from training.data import Dataset
from training.targets import (
    ACCURACY,
    ANIMALS,
    ANIMALS_MEAN,
    ERROR,
    MISSED,
    RIGHT_WHEN_SURE,
    SURE,
    TARGETS,
    TOLERANCE,
    Target,
    largest_error,
    percent,
    stated,
)

HEADER = (
    "model",
    "task",
    "what it is",
    "accuracy",
    "card",
    "source",
    "at least",
    "aim",
    "met",
    "calibration error",
    "parameters",
    "MB",
    "ms",
)
TIMES = 30  # runs whose median is the time of one picture

Row = tuple[str, ...]


@dataclass(frozen=True)
class Measured:
    """The measurements of one model on its test pictures."""

    figures: dict[str, float]  # Target.figure -> share of the test pictures
    test_size: int
    milliseconds: float  # per picture, one picture at a time


def table(models: Path, limit: int | None) -> tuple[list[Row], list[str], list[str]]:
    """The table of all targets, header first, a sentence for each missed one, and one for each contradiction of a card.

    Args:
        limit: measure only this many test pictures per set and skip the check of cards; None measures all.
    """
    found = catalog.read_catalog(models)
    broken, wrong, measured = dict(found.broken), [], {}
    for name in dict.fromkeys(target.model for target in TARGETS if target.model in found.models):
        try:
            print(f"Measuring {name}.", flush=True)
            measured[name] = measure(found.models[name], limit)
            wrong += [] if limit else contradictions(found.models[name], measured[name])
        except ValueError as error:
            broken[name] = str(error)
    rows, misses, shown = [HEADER], [], set()
    for target in TARGETS:
        name = target.model
        if name in measured:
            rows.append(row(target, found.models[name], measured[name], first=name not in shown))
            misses += miss(target, measured[name].figures[target.figure])
            shown.add(name)
        else:
            rows.append(missing(target, "broken" if name in broken else "missing"))
    return rows, misses, [*(f"{name}: {why}" for name, why in broken.items()), *wrong]


def measure(model: Model, limit: int | None) -> Measured:
    """Measures a model on the test part of the set that its card names.

    Raises:
        ValueError: the file cannot be served, the card names no data set, or its labels differ from the data set's.
    """
    card = model.card
    if card.dataset is None:
        raise ValueError("it was imported, and cannot be measured here")
    dataset = load(card.dataset, limit, card.training.seed if limit and card.training else 0)
    if dataset.labels != card.labels:
        raise ValueError(f"{dataset.name} must have the labels of the card. Received: {', '.join(dataset.labels)}")
    network = openvino.open_model(model)
    answer, y = evaluate.answers(network, dataset.test.x, card.input), dataset.test.y
    probabilities, thresholds = evaluate.calibrated(answer.probabilities, dataset, card.temperature, card.threshold)
    sure, right = evaluate.sure(probabilities, y, thresholds, evaluate.known(answer, card.familiar))
    error = evaluate.calibration_error(probabilities, y)
    return Measured(
        figures=figures(answer.probabilities, dataset) | {SURE: sure, RIGHT_WHEN_SURE: right, ERROR: error},
        test_size=len(y),
        milliseconds=milliseconds(network, card.input),
    )


@lru_cache(maxsize=1)  # targets are sorted by data set, and the photos take 1.9 GB
def load(name: str, limit: int | None, seed: int) -> Dataset:
    return data.load(name, limit=limit, seed=seed)


def figures(raw: np.ndarray, dataset: Dataset) -> dict[str, float]:
    """Accuracy of float32 [n, labels] probabilities, and that among the six animals if the labels include them."""
    y, count = dataset.test.y, len(data.ANIMALS)
    shares = {ACCURACY: evaluate.accuracy(raw, y)}
    if dataset.labels[:count] == data.ANIMALS:
        shares[ANIMALS] = evaluate.group_accuracy(raw, y, count)
        shares[ANIMALS_MEAN] = float(
            np.mean([evaluate.accuracy(raw[y == i, :count], y[y == i]) for i in np.unique(y[y < count])])
        )
    return shares


def milliseconds(network: base.Runtime, spec: InputSpec) -> float:
    """The median time of one picture."""
    picture = np.zeros((1, spec.height, spec.width, spec.channels), np.float32)
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        network(picture)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def contradictions(model: Model, measured: Measured) -> list[str]:
    """One sentence for each figure of a card that the measurement contradicts."""
    name, metrics = model.card.name, model.card.metrics
    if metrics is None:
        return [f"{name}: the card states no accuracy."]
    if metrics.test_size != measured.test_size:
        return [f"{name}: the card was measured on {metrics.test_size:,} pictures, not {measured.test_size:,}."]
    # Metrics are rounded to 6 digits; an unrounded difference of exactly 0.1 points could exceed 0.1 points.
    return [
        f"{name}: {figure} is {measured.figures[figure]:.2%}, the card says {share:.2%}."
        for figure, share in stated(model.card).items()
        if figure in (ACCURACY, *metrics.groups)  # one picture more or less among the sure ones is a larger share
        and round(abs(measured.figures.get(figure, share) - share), evaluate.PLACES) > TOLERANCE
    ]


def miss(target: Target, share: float) -> list[str]:
    """A sentence about a target that is missed; none if it is met."""
    if target.is_met(share):
        return []
    known = MISSED.get((target.model, target.figure))
    reason = known.reason if known else "it is not among the known misses in training/targets.py."
    return [f"{target.model}: {target.figure} {percent(share)} instead of {target.bound}: {reason}"]


# ---- Rows ----


def row(target: Target, model: Model, measured: Measured, first: bool) -> Row:
    """One row of the table; columns that describe the model are filled in its first row only."""
    share, card = measured.figures[target.figure], stated(model.card).get(target.figure)
    return (
        *wanted(target, percent(share), "-" if card is None else percent(card)),
        "aim" if target.is_met(share, target.aim) else "yes" if target.is_met(share) else "missed",
        *(of_model(model, measured) if first else [""] * 4),
    )


def of_model(model: Model, measured: Measured) -> Row:
    error, largest = measured.figures[ERROR], largest_error(model.card.name)
    return (
        f"{error:.2%}" + (f", above {largest:.1%}" if error > largest else ""),
        f"{model.card.parameters:,}",
        f"{(model.folder / network_file(model.card)).stat().st_size / 1e6:.1f}",
        f"{measured.milliseconds:.2f}",
    )


def network_file(card: ModelCard) -> str:
    return openvino.HEAD_FILE if card.backbone else openvino.FILE


def missing(target: Target, why: str) -> Row:
    return (*wanted(target, why, "-"), *["-"] * 5)


def wanted(target: Target, accuracy: str, card: str) -> Row:
    return (
        target.model,
        target.task,
        target.what,
        accuracy,
        card,
        target.source,
        target.bound,
        percent(target.aim),
    )
