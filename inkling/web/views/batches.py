"""Several pictures sent at once: a page with all their answers, and the same as a table."""

import io
from datetime import UTC, datetime

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.datastructures import FileStorage

from inkling import problems
from inkling.batches import Batch, Entry
from inkling.csvtable import Sheet
from inkling.pictures import reading
from inkling.storage.store import THUMBNAIL, Result, data_url, unkept
from inkling.web import inkling, kept
from inkling.web.edge import language, metrics
from inkling.web.views import history

blueprint = Blueprint("many", __name__)

RANKS = {"sure": 0, "probably": 1, "not sure": 2}
# How the pictures may be sorted; those without an answer come last. A strange picture is not sure, however confident.
SORTS = {
    "sent": None,
    "sure": lambda result: (RANKS[result.wording], -result.confidence),
    "unsure": lambda result: (-RANKS[result.wording], result.confidence),
}


def answer(files: list[FileStorage], model: str, deadline: reading.Deadline) -> Response | str:
    """Classifies several pictures, keeps them, and answers 303 to the page of them all; or with that page itself,
    where nothing can be kept, or none was answered."""
    answered = inkling().batches.answer(
        [(file.filename, file.stream) for file in files], model, inkling().classifier, deadline
    )
    for each in answered:
        if isinstance(each.answer, problems.Problem):
            metrics.of(metrics.REJECTIONS, each.answer.reason).inc()
        else:
            metrics.answered(each.answer, each.milliseconds)
    sent = any(each.kept for each in answered) and kept.attempt(lambda: inkling().batches.keep(answered, model))
    if not sent:
        return _page(
            Batch("", datetime.now(UTC), model, [each.entry for each in answered]),
            [(each.entry, each.kept and unkept(each.answer, "photo", each.milliseconds)) for each in answered],
            thumbnails=[each.kept and data_url(each.kept, "photo", THUMBNAIL) for each in answered],
        )
    history.remember(*sent.results)
    return redirect(url_for("many.batch", id=sent.id), 303)


@blueprint.get("/batches/<id>")
def batch(id: str):
    """All answers of a batch."""
    found = _batch(id)
    sort = request.args.get("sort", "sent")
    if sort not in SORTS:
        abort(400, gettext("The order must be one of %(orders)s.", orders=", ".join(SORTS)))
    return _page(found, _sorted(_entries(found), sort), sort)


@blueprint.get("/batches/<id>.csv")
def table(id: str):
    """The same as a table, as the pictures were sent, in the visitor's language."""
    file = io.StringIO()
    sheet = Sheet(file)
    for entry, result in _entries(_batch(id)):
        if result:
            ranked = [(language.label(name), probability) for name, probability in result.predictions]
            sheet.answer(entry.name, ranked, language.translated(result.wording))
        elif entry.reason:
            sheet.problem(entry.name, entry.reason, problems.advice(entry.reason, inkling().settings, gettext))
        else:
            sheet.problem(entry.name, "deleted", gettext("This picture was deleted."))
    # The mark at the start tells spreadsheets that the letters are UTF-8.
    response = Response(file.getvalue().encode("utf-8-sig"), mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="inkling.csv"'
    return kept.private(response)


@blueprint.post("/batches/<id>/delete")
def delete(id: str):
    """Removes all pictures and answers of a batch, and its page."""
    found = _batch(id)
    inkling().batches.delete(found)
    history.forget(*found.results)
    return redirect(url_for("pages.index", deleted=""), 303)


def _page(
    batch: Batch,
    entries: list[tuple[Entry, Result | None]],
    sort: str = "sent",
    thumbnails: list[str | None] | None = None,
) -> str:
    """The page of a batch; `thumbnails` are those of pictures that could not be kept."""
    card = inkling().classifier.catalog.models.get(batch.model)
    notices = {
        entry.reason: (
            gettext(problems.REASONS[entry.reason].title),
            problems.advice(entry.reason, inkling().settings, gettext),
        )
        for entry, _ in entries
        if entry.reason
    }
    return render_template(
        "batch.html",
        batch=batch,
        entries=entries,
        sort=sort,
        problems=notices,
        thumbnails=thumbnails,
        card=card and card.card,
    )


def _batch(id: str) -> Batch:
    return inkling().batches.get(id) or abort(404, gettext("These pictures are not here, or no longer."))


def _entries(batch: Batch) -> list[tuple[Entry, Result | None]]:
    """Each picture with its result, where it has one that is still there."""
    results = {result.id: result for result in inkling().store.get_all(batch.results)}
    return [(entry, results.get(entry.result)) for entry in batch.entries]


def _sorted(entries: list[tuple[Entry, Result | None]], sort: str) -> list[tuple[Entry, Result | None]]:
    key = SORTS[sort]
    return sorted(entries, key=lambda pair: (pair[1] is None, pair[1] and key(pair[1]))) if key else entries
