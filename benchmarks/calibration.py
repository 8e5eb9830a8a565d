"""Compares ways to calibrate `things`, which has few photos to fit on.

    python -m benchmarks.calibration [--model things] [--splits 10]

Each way is fitted on one half of the photos and measured on the other, and the reverse, for several random halves. The
last column is what a network would show whose confidences are exactly right: it answers rightly as often as it says.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from inkling.recognition.catalog import read_catalog
from inkling.recognition.groups import Groups, groups_of
from inkling.recognition.measures import calibration_error
from inkling.recognition.runtimes import openvino
from inkling.recognition.runtimes.base import tempered
from training import data, evaluate

BINS = 15
PENALTY = 0.05  # on the square of a group's bias
FEWEST, PRIOR = 20, 50  # photos that support a group's own temperature; the common one counts as this many
WIDE = (
    "dog", "bird", "mammal", "animal", "food", "structure", "vehicle", "piece of clothing", "container",
    "musical instrument", "electronic device",
)  # fmt: skip

Calibrate = Callable[[np.ndarray], np.ndarray]  # probabilities float32 [n, labels] -> calibrated ones
Fit = Callable[[np.ndarray, np.ndarray, np.ndarray], Calibrate]  # probabilities, labels, groups int64 [labels]


def temperature(raw: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Calibrate:
    """One temperature, as the card has it."""
    found = evaluate.fit_temperature(raw, y)
    return lambda raw: tempered(raw, found)


def with_bias(raw: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Calibrate:
    """One temperature, and a bias for the logits of each group."""
    logits, rows = np.log(np.maximum(raw, 1e-12)), np.arange(len(y))
    member = np.eye(groups.max() + 1)[groups]

    def calibrated(logits: np.ndarray, values: np.ndarray) -> np.ndarray:
        moved = logits * np.exp(values[0]) + values[1:][groups]
        powers = np.exp(moved - moved.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        probabilities = calibrated(logits, values)
        surprise = -np.log(probabilities[rows, y]).mean() + PENALTY * (values[1:] ** 2).sum()
        error = probabilities.copy()
        error[rows, y] -= 1
        slopes = (error @ member).mean(axis=0) + 2 * PENALTY * values[1:]
        return surprise, np.r_[(error * logits).sum(axis=1).mean() * np.exp(values[0]), slopes]

    found = minimize(loss, np.zeros(groups.max() + 2), jac=True).x
    return lambda raw: calibrated(np.log(np.maximum(raw, 1e-12)), found)


def by_group(raw: np.ndarray, y: np.ndarray, groups: np.ndarray) -> Calibrate:
    """A temperature for each group of the most likely label, drawn towards the common one."""
    common = evaluate.fit_temperature(raw, y)
    found, likely = np.full(groups.max() + 1, common), groups[raw.argmax(axis=1)]
    for group in range(len(found)):
        members = likely == group
        if (count := members.sum()) >= FEWEST:
            own = evaluate.fit_temperature(raw[members], y[members])
            found[group] = np.exp((np.log(own) * count + np.log(common) * PRIOR) / (count + PRIOR))
    return lambda raw: np.concatenate([tempered(row[None], found[groups[row.argmax()]]) for row in raw])


WAYS: dict[str, Fit] = {
    "one temperature": temperature,
    "and a bias for each group": with_bias,
    "a temperature for each group": by_group,
}


def equal_mass(confidence: np.ndarray, right: np.ndarray) -> float:
    """The calibration error over `BINS` bins of equally many answers."""
    bins = np.array_split(np.argsort(confidence), BINS)
    return float(sum(abs(right[one].mean() - confidence[one].mean()) * len(one) for one in bins) / len(right))


def errors(probabilities: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The calibration error over bins of equal width, and over bins of equally many answers."""
    right = probabilities.argmax(axis=1) == y
    return calibration_error(probabilities, y), equal_mass(probabilities.max(axis=1), right)


def exact(probabilities: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """`errors` of these confidences if they were exactly right."""
    confidence = probabilities.max(axis=1)
    wrong = rng.random(len(confidence)) >= confidence
    best = probabilities.argmax(axis=1)
    return errors(probabilities, np.where(wrong, (best + 1) % probabilities.shape[1], best))


def wide_groups(known: Groups, labels: int) -> np.ndarray:
    """The first of `WIDE` that holds each label, and one more number for all other labels: int64 [labels]."""
    found = np.full(labels, len(WIDE))
    for number, name in reversed(list(enumerate(WIDE))):
        found[next(list(one.labels) for one in known.groups if one.name == name)] = number
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="things")
    parser.add_argument("--models", type=Path, default=Path("models"))
    parser.add_argument("--splits", type=int, default=10, help="random halves (default 10)")
    arguments = parser.parse_args()
    model = read_catalog(arguments.models).models[arguments.model]
    found = data.load(model.card.dataset).test
    raw, y = evaluate.predict(openvino.open_model(model), found.x, model.card.input), found.y
    groups = wide_groups(groups_of(model), raw.shape[1])
    rng = np.random.default_rng(0)
    print("| fitted | equal width | equal mass | the same, were it exact | fitted on all, equal width | equal mass |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, fit in WAYS.items():
        rows = []
        for seed in range(arguments.splits):
            half = data.stratified(y, len(y) // 2, seed)
            other, measured = np.setdiff1d(np.arange(len(y)), half), np.empty_like(raw)
            for fitted, rest in ((half, other), (other, half)):
                measured[rest] = fit(raw[fitted], y[fitted], groups)(raw[rest])
            rows.append([*errors(measured, y), *exact(measured, rng)])
        width, mass, best, _ = np.mean(rows, axis=0)
        whole = errors(fit(raw, y, groups)(raw), y)
        print(f"| {name} | {width:.2%} | {mass:.2%} | {best:.2%} | {whole[0]:.2%} | {whole[1]:.2%} |", flush=True)


if __name__ == "__main__":
    main()
