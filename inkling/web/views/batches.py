"""Several pictures that were sent together: one page with all their answers, and the same as a table."""

import io
from collections.abc import Callable

from flask import Blueprint, Response, abort, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from inkling import problems
from inkling.csvreport import Report
from inkling.storage import Batch, Entry, Result
from inkling.web import render, service
from inkling.web.edge import auditing, language
from inkling.web.edge.access import open_to
from inkling.web.ownership import may_delete, require

blueprint = Blueprint("batches", __name__)

RANKS = {"sure": 0, "probably": 1, "not sure": 2}
# Orders of a page; pictures without an answer come last. An unfamiliar picture counts as "not sure" at any confidence.
ORDERS: dict[str, Callable[[Result], tuple[float | str, float]] | None] = {
    "sent": None,
    "answer": lambda result: (language.label(result.label), -result.confidence),
    "sure": lambda result: (RANKS[result.wording], -result.confidence),
    "unsure": lambda result: (-RANKS[result.wording], result.confidence),
}


@blueprint.get("/batches/<id>")
def batch(id: str) -> str:
    """The answers of a batch."""
    found = _batch(id)
    order = request.args.get("sort", "sent")
    if order not in ORDERS:
        abort(400, gettext("The order must be one of %(orders)s.", orders=", ".join(ORDERS)))
    return render.batch_page(found, _sorted(_entries(found), order), order)


@blueprint.get("/batches/<id>.csv")
def table(id: str) -> Response:
    """The answers as a CSV table, in the order sent and in the visitor's language."""
    file = io.StringIO()
    report = Report(file)
    for entry, result in _entries(_batch(id)):
        if result:
            ranked = [(language.label(name), probability) for name, probability in result.predictions]
            report.answer(entry.name, result, ranked, language.translated(result.wording))
        elif entry.reason:
            report.problem(entry.name, entry.reason, problems.advice(entry.reason, service().settings, gettext))
        else:
            report.problem(entry.name, "deleted", gettext("This picture was deleted."))
    # Spreadsheets need a byte order mark to recognize UTF-8.
    response = Response(file.getvalue().encode("utf-8-sig"), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="inkling.csv"'
    return response


@blueprint.post("/batches/<id>/delete")
@open_to("the browser that made them; scope `admin`")
def delete(id: str) -> ResponseReturnValue:
    """Deletes a batch with all its pictures and answers."""
    found = _batch(id)
    require(may_delete(found))
    service().storage.delete(*found.results)
    auditing.about(results=found.results)
    return redirect(url_for("history.page"), 303)


def _batch(id: str) -> Batch:
    return service().storage.batch(id) or abort(404, gettext("These pictures are not here, or no longer."))


def _entries(batch: Batch) -> list[tuple[Entry, Result | None]]:
    """Each picture of a batch with its result, or None if it has none or the result was deleted."""
    results = {result.id: result for result in service().storage.get_all(batch.results)}
    return [(entry, results.get(entry.result or "")) for entry in batch.entries]


def _sorted(entries: list[tuple[Entry, Result | None]], order: str) -> list[tuple[Entry, Result | None]]:
    key = ORDERS[order]
    return sorted(entries, key=lambda pair: (pair[1] is None, pair[1] and key(pair[1]))) if key else entries
