"""A model's evaluation, arranged for pages: its row in a table, what it confuses, and the spread of its trainings."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from flask import url_for

from inkling.recognition import figures
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import Model
from inkling.recognition.confusions import Pair

SHEET = "mistakes.png"  # a figure of a model's folder
TOP_PAIRS = 10  # pairs of confused labels that a page lists
SHADES = 6  # of a confusion matrix's cells


@dataclass(frozen=True)
class Row:
    """A model's row in a table."""

    card: ModelCard
    size: int | None  # bytes of the network's file
    milliseconds: float | None  # for one picture on this machine

    @property
    def errors(self) -> int | None:
        """The number of test pictures that it got wrong; None if nothing was measured."""
        metrics = self.card.metrics
        return round((1 - metrics.accuracy) * metrics.test_size) if metrics else None


@dataclass(frozen=True)
class Sheet:
    """The address of mistakes.png, and its size in pixels."""

    url: str
    width: int
    height: int


@dataclass(frozen=True)
class Spread:
    """The accuracies of several trainings of one recipe."""

    count: int
    mean: float
    deviation: float
    low: float
    high: float
    median_shipped: bool  # whether the card's training is the median by accuracy on held-out pictures


def listed_pairs(pairs: list[Pair], requested: str | None) -> list[tuple[Pair, bool]]:
    """The pairs that a page lists, each with whether it is open: the requested one, then the most often confused."""
    opened = [pair for pair in pairs if pair.id == requested]
    closed = [pair for pair in pairs if pair.id != requested][: TOP_PAIRS - len(opened)]
    return [(pair, True) for pair in opened] + [(pair, False) for pair in closed]


def shaded(confusion: Sequence[Sequence[int]]) -> list[list[tuple[int, int]]]:
    """The counts of a confusion matrix, each with a shade from 0 to `SHADES` for its share of the row."""
    return [[(count, -(-count * SHADES // max(sum(row), 1))) for count in row] for row in confusion]


def spread(card: ModelCard) -> Spread | None:
    """The spread of the recipe's trainings; None if there were fewer than two."""
    accuracies = [trial.accuracy for trial in card.trials]
    if len(accuracies) < 2:
        return None
    median = statistics.median_low(trial.held_out for trial in card.trials)
    medians = {trial.seed for trial in card.trials if trial.held_out == median}
    return Spread(
        len(accuracies),
        statistics.mean(accuracies),
        statistics.stdev(accuracies),
        min(accuracies),
        max(accuracies),
        bool(card.training and card.training.seed in medians),
    )


def sheet(model: Model) -> Sheet | None:
    """The sheet with the pictures of a model's mistakes, if it has one."""
    figure = figures.read_figure(model, SHEET)
    if figure is None or figure.size is None:
        return None
    checksum = model.card.files[SHEET][:12]
    return Sheet(url_for("models.figure", name=model.card.name, file=SHEET, v=checksum), *figure.size)
