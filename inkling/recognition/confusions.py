"""Which labels a model confuses on its test pictures, by its card."""

from collections.abc import Iterable
from dataclasses import dataclass

from inkling.recognition.card import Metrics, Mistake

TILE, ACROSS = 28, 20  # mistakes.png: tiles of 28 x 28 pixels, 20 in a row


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


def _tile(position: int, mistake: Mistake) -> Tile:
    return Tile(position % ACROSS * TILE, position // ACROSS * TILE, mistake.confidence)


def _most_confident_first(tiles: Iterable[Tile]) -> tuple[Tile, ...]:
    return tuple(sorted(tiles, key=lambda tile: -tile.confidence))
