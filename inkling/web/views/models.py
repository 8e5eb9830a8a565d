"""The pages about the models: all, one, and those of a task side by side."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flask import Blueprint, abort, render_template, request, send_file, url_for
from flask_babel import gettext

from inkling.recognition.card import Metrics, Mistake, ModelCard
from inkling.recognition.catalog import NETWORK_FILES, Model, task_title
from inkling.web import charts, inkling
from inkling.web.edge import language

blueprint = Blueprint("models", __name__)

FIGURES = {".svg": "image/svg+xml", ".png": "image/png"}  # what of a model's folder is shown to visitors
SHEET, TILE, ACROSS = "mistakes.png", 28, 20  # tiles of 28 x 28 pixels, 20 a row
TOP_PAIRS = 10
SHADES = 6  # of a confusion matrix's cells
YEAR = 365 * 24 * 3600


@dataclass(frozen=True)
class Row:
    """A model's line in a list: its card, and what is known of it on this machine."""

    card: ModelCard
    size: int | None  # bytes of the network's file
    milliseconds: float | None

    @property
    def errors(self) -> int | None:
        """How many test pictures it got wrong."""
        matrix = self.card.metrics.confusion if self.card.metrics else ()
        return sum(map(sum, matrix)) - sum(row[i] for i, row in enumerate(matrix)) if matrix else None


@dataclass(frozen=True)
class Tile:
    """A wrongly answered test picture: its place in the sheet, where there is one, and how sure the model was."""

    x: int
    y: int
    confidence: float


@dataclass(frozen=True)
class Pair:
    """Test pictures of one label that were taken for another."""

    id: str  # "4-9": the labels' places
    true: str
    predicted: str
    count: int
    total: int  # test pictures of the true label
    tiles: tuple[Tile, ...]  # most confident first; of the mistakes that the card lists


# ---- Pages ----


@blueprint.get("/models")
def overview():
    """All models by task with their figures."""
    catalog = inkling().classifier.catalog
    groups = [
        (cards[0].task, title, [_row(catalog.models[card.name]) for card in cards])
        for title, cards in catalog.by_task()
    ]
    return render_template("models.html", groups=groups, broken=sorted(catalog.broken.items()))


@blueprint.get("/models/<name>")
def model(name: str):
    """One model: network, training, figures, what it confuses."""
    catalog = inkling().classifier.catalog
    found, why = catalog.models.get(name), catalog.broken.get(name)
    if found is None:
        if why is None:
            abort(404, gettext("There is no model %(name)s.", name=repr(name[:64])))
        return render_template("model-off.html", name=name, why=why)
    card, metrics = found.card, found.card.metrics
    every = _pairs(card.labels, metrics) if metrics else {}
    return render_template(
        "model.html",
        card=card,
        why=why,
        row=_row(found),
        task=task_title(card.task),
        pairs=every,
        shown=_shown(every, request.args.get("pair")),
        matrix=_shaded(metrics) if metrics else (),
        sheet=_sheet(found),
        calibration=charts.calibration(metrics.bins) if metrics else None,
        curves=_figure_url(card, "curves.svg"),
        trials=_trials(card),
        tile=TILE,
    )


@blueprint.get("/models/<name>/<file>")
def figure(name: str, file: str):
    """A picture of a model's folder that its card lists; nothing else of the folder is served."""
    found = inkling().classifier.catalog.models.get(name)
    digest = found and found.card.files.get(file)
    kind = FIGURES.get(Path(file).suffix)
    if not (digest and kind and (found.folder / file).is_file()):
        abort(404, "This model has no such picture.")
    # The address with the card's checksum means these very bytes; any other may change.
    for_good = request.args.get("v") == digest[:12]
    response = send_file(found.folder / file, kind, max_age=YEAR if for_good else 0)
    response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if for_good else "no-cache"
    return response


@blueprint.get("/compare/<task>")
def compare(task: str):
    """The task's models side by side, in a table for each group that has labels in common."""
    catalog = inkling().classifier.catalog
    groups = [[_row(catalog.models[card.name]) for card in cards] for cards in catalog.comparable(task)]
    if not groups:
        abort(404, "There are no models to compare for this task.")
    tables = [(rows, _speed_chart(rows)) for rows in groups]
    return render_template("compare.html", title=task_title(task), tables=tables)


# ---- What stands on them ----


def _row(model: Model) -> Row:
    files = (model.folder / name for name in NETWORK_FILES)
    size = next((path.stat().st_size for path in files if path.is_file()), None)
    return Row(model.card, size, inkling().classifier.milliseconds.get(model))


def _speed_chart(rows: list[Row]) -> charts.Chart | None:
    """Accuracy against time of the models that have both figures."""
    return charts.speed(
        [
            (language.translated(row.card.title), row.milliseconds, row.card.metrics.accuracy)
            for row in rows
            if row.milliseconds and row.card.metrics
        ]
    )


def _pairs(labels: tuple[str, ...], metrics: Metrics) -> dict[tuple[int, int], Pair]:
    """All pairs of labels that were confused, most often first."""
    tiles: dict[tuple[str, str], list[Tile]] = {}
    for i, mistake in enumerate(metrics.mistakes):
        tiles.setdefault((mistake.true, mistake.predicted), []).append(_tile(i, mistake))
    confused = [
        (count, i, j) for i, row in enumerate(metrics.confusion) for j, count in enumerate(row) if count and i != j
    ]
    return {
        (i, j): Pair(
            f"{i}-{j}",
            labels[i],
            labels[j],
            count,
            sum(metrics.confusion[i]),
            _surest(tiles.get((labels[i], labels[j]), ())),
        )
        for count, i, j in sorted(confused, key=lambda pair: -pair[0])
    }


def _tile(place: int, mistake: Mistake) -> Tile:
    return Tile(place % ACROSS * TILE, place // ACROSS * TILE, mistake.confidence)


def _surest(tiles: Iterable[Tile]) -> tuple[Tile, ...]:
    return tuple(sorted(tiles, key=lambda tile: -tile.confidence))


def _shown(pairs: dict[tuple[int, int], Pair], asked: str | None) -> list[tuple[Pair, bool]]:
    """The pairs to list, each with whether it is open: the one asked for, then those most often confused."""
    chosen = [pair for pair in pairs.values() if pair.id == asked]
    rest = [pair for pair in pairs.values() if pair.id != asked][: TOP_PAIRS - len(chosen)]
    return [(pair, True) for pair in chosen] + [(pair, False) for pair in rest]


def _shaded(metrics: Metrics) -> list[list[tuple[int, int]]]:
    """The confusion matrix's counts, each with the shade of its share of the row."""
    return [[(count, -(-count * SHADES // max(sum(row), 1))) for count in row] for row in metrics.confusion]


def _sheet(found: Model) -> dict | None:
    """Address and size of the sheet of mistakes, where the folder has one that the card lists."""
    address = _figure_url(found.card, SHEET)
    size = address and _png_size(found.folder / SHEET)
    return {"url": address, "width": size[0], "height": size[1]} if size else None


def _figure_url(card: ModelCard, file: str) -> str | None:
    digest = card.files.get(file)
    return digest and url_for("models.figure", name=card.name, file=file, v=digest[:12])


def _png_size(path: Path) -> tuple[int, int] | None:
    """Width and height, as a PNG's first bytes tell; None for what is no PNG."""
    try:
        with path.open("rb") as file:
            head = file.read(24)
    except OSError:
        return None
    whole = len(head) == 24 and head.startswith(b"\x89PNG\r\n\x1a\n")
    return (int.from_bytes(head[16:20]), int.from_bytes(head[20:24])) if whole else None


def _trials(card: ModelCard) -> dict | None:
    """Mean and spread of the accuracies of a recipe's trainings, where there were several, and whether the card's is in
    the middle by held-out pictures."""
    accuracies = [trial.accuracy for trial in card.trials]
    if len(accuracies) < 2:
        return None
    held_out = statistics.median_low(trial.held_out for trial in card.trials)
    middle = card.training and (card.training.seed, held_out) in {(trial.seed, trial.held_out) for trial in card.trials}
    return {
        "count": len(accuracies),
        "mean": statistics.mean(accuracies),
        "spread": statistics.stdev(accuracies),
        "low": min(accuracies),
        "high": max(accuracies),
        "middle": bool(middle),
    }
