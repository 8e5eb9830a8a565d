"""A model's evaluation, arranged for pages: its row in a table, confused labels, and the spread of its trainings."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inkling.recognition.card import Metrics, Mistake, ModelCard

TILE, ACROSS = 28, 20  # mistakes.png: tiles of 28 x 28 pixels, 20 in a row
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
class Tile:
    """A test picture that was classified wrongly: its position in mistakes.png, and the model's confidence."""

    x: int
    y: int
    confidence: float


@dataclass(frozen=True)
class Pair:
    """Test pictures of one label that the model took for another."""

    id: str  # "4-9": the labels' positions
    true: str
    predicted: str
    count: int
    total: int  # test pictures of the true label
    tiles: tuple[Tile, ...]  # the mistakes that the card lists, most confident first


@dataclass(frozen=True)
class Spread:
    """The accuracies of several trainings of one recipe."""

    count: int
    mean: float
    deviation: float
    low: float
    high: float
    median_shipped: bool  # whether the card's training is the median by accuracy on held-out pictures


def confused_pairs(labels: tuple[str, ...], metrics: Metrics | None) -> list[Pair]:
    """All pairs of labels that were confused, most often confused first."""
    if metrics is None:
        return []
    tiles: dict[tuple[str, str], list[Tile]] = {}
    for position, mistake in enumerate(metrics.mistakes):
        tiles.setdefault((mistake.true, mistake.predicted), []).append(_tile(position, mistake))
    confused = [
        (count, i, j) for i, row in enumerate(metrics.confusion) for j, count in enumerate(row) if count and i != j
    ]
    return [
        Pair(
            f"{i}-{j}",
            labels[i],
            labels[j],
            count,
            sum(metrics.confusion[i]),
            _most_confident_first(tiles.get((labels[i], labels[j]), ())),
        )
        for count, i, j in sorted(confused, key=lambda pair: -pair[0])
    ]


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


def _tile(position: int, mistake: Mistake) -> Tile:
    return Tile(position % ACROSS * TILE, position // ACROSS * TILE, mistake.confidence)


def _most_confident_first(tiles: Iterable[Tile]) -> tuple[Tile, ...]:
    return tuple(sorted(tiles, key=lambda tile: -tile.confidence))
