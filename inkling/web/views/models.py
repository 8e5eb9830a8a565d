"""Pages about the models: all, one, and those of a task side by side."""

import os.path

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from inkling.recognition import confusions, figures
from inkling.recognition.catalog import Model, task_title, title_of
from inkling.web import charts, evaluation, service
from inkling.web.cached import cached
from inkling.web.edge import language

blueprint = Blueprint("models", __name__)

YEAR = 365 * 24 * 3600  # seconds


@blueprint.get("/models")
@cached()
def overview() -> str:
    """All models by task, with the key figures of each."""
    catalog = service().predictor.catalog
    groups = [
        (cards[0].task, title, [_row(catalog.models[card.name]) for card in cards], _is_compared(cards[0].task))
        for title, cards in catalog.by_task()
    ]
    return render_template("models.html", groups=groups, broken=sorted(catalog.broken))


@blueprint.get("/models/<name>")
@cached("pair")
def model(name: str) -> ResponseReturnValue:
    """One model: its network, training and evaluation. The name of a model that it replaced redirects here."""
    catalog = service().predictor.catalog
    if catalog.current(name) != name:
        return redirect(url_for("models.model", name=catalog.current(name)), 301)
    found, is_off = catalog.models.get(name), name in catalog.broken
    if found is None:
        if not is_off:
            abort(404, gettext("There is no model %(name)s.", name=repr(name[:64])))
        return render_template("model-off.html", name=name)
    card, metrics = found.card, found.card.metrics
    pairs = confusions.confused_pairs(card.labels, metrics)
    return render_template(
        "model.html",
        card=card,
        is_off=is_off,
        row=_row(found),
        task=title_of(card),
        pairs=pairs,
        shown=evaluation.listed_pairs(pairs, request.args.get("pair")),
        matrix=evaluation.shaded(metrics.confusion if metrics else ()),
        sheet=evaluation.sheet(found),
        calibration=charts.calibration(metrics.bins) if metrics else None,
        curves=[(name, chart) for name in ("loss", "accuracy") if (chart := charts.curves(card.history, name))],
        compared=_is_compared(card.task, name),
        trials=evaluation.spread(card),
        tile=confusions.TILE,
    )


@blueprint.get("/models/<name>/<file>")
def figure(name: str, file: str) -> ResponseReturnValue:
    """A figure that the model's card lists; no other file of the folder is served."""
    found = service().predictor.catalog.find(name)
    shown = found and figures.read_figure(found, file)
    if not (found and shown):
        abort(404, "This model has no such picture.")
    checksum = found.card.files[file]
    response = Response(shown.data, mimetype=shown.mimetype)
    response.set_etag(checksum)
    # An address with the checksum always means the same bytes; without it the file may be replaced.
    immutable = request.args.get("v") == checksum[:12]
    response.headers["Cache-Control"] = f"public, max-age={YEAR}, immutable" if immutable else "no-cache"
    return response.make_conditional(request)


@blueprint.get("/compare/<task>")
@cached()
def compare(task: str) -> str:
    """The task's models side by side, in a table for each group that has labels in common."""
    catalog = service().predictor.catalog
    groups = [[_row(catalog.models[card.name]) for card in cards] for cards in catalog.comparable(task)]
    if not groups:
        abort(404, "There are no models to compare for this task.")
    tables = [(rows, _speed_chart(rows)) for rows in groups]
    return render_template("compare.html", title=task_title(task), tables=tables)


def _row(model: Model) -> evaluation.Row:
    return evaluation.Row(model.card, figures.network_size(model), service().predictor.milliseconds.get(model))


def _is_compared(task: str, name: str | None = None) -> bool:
    """Whether the task has two models to compare, one of them `name` if given."""
    groups = [[card.name for card in cards] for cards in service().predictor.catalog.comparable(task)]
    return any(len(names) > 1 and (name is None or name in names) for names in groups)


def _speed_chart(rows: list[evaluation.Row]) -> charts.Chart | None:
    """Accuracy against time of the models that have both figures, named without what all names begin with."""
    titles = [language.translated(row.card.title) for row in rows]
    task, comma, _ = os.path.commonprefix(titles if len(titles) > 1 else [""]).rpartition(", ")  # such as "Digits, "
    return charts.speed(
        [
            (title.removeprefix(task + comma), row.milliseconds, row.card.metrics.accuracy)
            for title, row in zip(titles, rows, strict=True)
            if row.milliseconds and row.card.metrics
        ]
    )
