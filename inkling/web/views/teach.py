"""The pages on which people teach their own classifiers. Their scripts call the JSON API in `classifiers`."""

from itertools import chain
from typing import get_args

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from inkling import problems
from inkling.pictures.formats import EXTENSIONS, PICTURE_EXTENSIONS
from inkling.problems import Problem
from inkling.storage.taught import KEPT, LONGEST_LABEL
from inkling.teach.types import Classifier, Example, Kind
from inkling.web import service, taught, teaching, uploads
from inkling.web.edge import admission, auditing
from inkling.web.edge.access import needs, principal
from inkling.web.responses import own_classifier

blueprint = Blueprint("teach", __name__, url_prefix="/teach")

SCOPE = "teach"
KINDS: tuple[Kind, ...] = get_args(Kind)
REFUSALS = [code for code in problems.REASONS if not code.startswith("chat-")]  # the page says them in its language


@blueprint.get("")
def overview() -> str:
    """The visitor's classifiers, and a form for a new one; for who may not teach, how to get in."""
    who = principal()
    may = SCOPE in who.scopes
    return render_template(
        "teach.html",
        may=may,
        cards=[taught.card(one) for one in teaching().all(who.owner)] if may else [],
        problem=_problem(),
        longest=LONGEST_LABEL,
    )


@blueprint.post("")
@needs(SCOPE)
def create() -> ResponseReturnValue:
    """Creates a classifier from the form, and answers 303 to its page."""
    kind = next((kind for kind in KINDS if kind == request.form.get("kind")), None)
    if kind is None:
        abort(400, gettext("A classifier looks at photos or at drawings."))
    try:
        made = teaching().create(request.form.get("title", ""), kind, principal().owner)
    except Problem as problem:
        return redirect(url_for("teach.overview", refused=problem.reason), 303)
    auditing.about(id=made.id)
    return redirect(url_for("teach.page", id=made.id), 303)


@blueprint.get("/<id>")
@needs(SCOPE)
def page(id: str) -> str:
    """A classifier: its examples, how good it is, what would make it better, and its versions.

    `?label=` and `?after=` show more examples of one class, `?errors=` the pictures of one kind of error.
    """
    one = own_classifier(id)
    newest = teaching().version(id, one.newest) if one.newest else None
    review = teaching().review(id)
    by_id = {str(label.id): label for label in one.labels}
    after = request.args.get("after")
    wanted = request.args.get("label", "")
    return render_template(
        "teach/classifier.html",
        one=one,
        columns=[taught.column(one, by_id.get(wanted), after)] if after else taught.columns(one),
        page=after,
        newest=newest,
        idle=taught.idle(one, newest),
        report=newest and taught.figures(newest),
        advice=taught.advice(one, newest, review) if newest else [],
        labels=newest.labels if newest else (),
        errors=newest and taught.errors(newest, review, request.args.get("errors", "")),
        doubtful=review.doubtful[: taught.DOUBTS],
        duplicates=review.duplicates[: taught.DOUBTS],
        waiting=review.next[: taught.DOUBTS],
        versions=[(version, taught.figures(version)) for version in teaching().versions(id)],
        shown=KEPT,
        accept=",".join(chain((f".{extension}" for extension in EXTENSIONS), ["image/*"])),
        extensions=" ".join(PICTURE_EXTENSIONS),
        most=service().settings.max_batch,
        longest=LONGEST_LABEL,
        problem=_problem(),
        refusals={code: (about.title, about.advice) for code in REFUSALS if (about := uploads.refusal(code))},
    )


@blueprint.post("/<id>/examples")
@needs(SCOPE)
def add(id: str) -> ResponseReturnValue:
    """Adds the files of a form to a class, and answers 303 to the classifier's page."""
    kind = "drawing" if own_classifier(id).kind == "ink" else "photo"
    uploads.allow_batch()
    label = request.form.get("label") or None
    sources = uploads.from_form(kind)
    with admission.turn(service().settings.request_seconds, admission.EXAMPLES):
        results = teaching().add(id, [(source, label) for source in sources])
    auditing.about(examples=[one.id for one in results if not isinstance(one, Problem)])
    refused = next((one.reason for one in results if isinstance(one, Problem)), None if sources else "missing")
    return redirect(url_for("teach.page", id=id, refused=refused), 303)


@blueprint.post("/<id>/train")
@needs(SCOPE)
def train(id: str) -> ResponseReturnValue:
    """Begins a training, and answers 303 to the classifier's page."""
    own_classifier(id)
    teaching().train(id)
    return redirect(url_for("teach.page", id=id), 303)


@blueprint.post("/<id>/cancel")
@needs(SCOPE)
def cancel(id: str) -> ResponseReturnValue:
    """Ends a training, and answers 303 to the classifier's page."""
    own_classifier(id)
    teaching().cancel(id)
    return redirect(url_for("teach.page", id=id), 303)


@blueprint.post("/<id>/publish")
@needs(SCOPE)
def publish(id: str) -> ResponseReturnValue:
    """Makes the form's version live, and answers 303 to the classifier's page."""
    own_classifier(id)
    number = request.form.get("version", "")
    if not number.isdecimal():
        abort(400, gettext("There is no such version."))
    teaching().publish(id, int(number))
    return redirect(url_for("teach.page", id=id), 303)


@blueprint.post("/<id>/unpublish")
@needs(SCOPE)
def unpublish(id: str) -> ResponseReturnValue:
    """Takes a classifier offline, and answers 303 to its page."""
    own_classifier(id)
    teaching().unpublish(id)
    return redirect(url_for("teach.page", id=id), 303)


@blueprint.post("/<id>/settings")
@needs(SCOPE)
def settings(id: str) -> ResponseReturnValue:
    """Saves the name of a classifier, and who finds it; answers 303 to its page."""
    own_classifier(id)
    form = request.form
    try:
        teaching().update(id, title=form.get("title", ""), listed="listed" in form, auto="auto" in form)
    except Problem as problem:
        return redirect(url_for("teach.page", id=id, refused=problem.reason), 303)
    return redirect(url_for("teach.page", id=id), 303)


@blueprint.post("/<id>/delete")
@needs(SCOPE)
def delete(id: str) -> ResponseReturnValue:
    """Deletes a classifier with all its pictures and versions, and answers 303 to the list."""
    own_classifier(id)
    teaching().delete(id)
    return redirect(url_for("teach.overview"), 303)


@blueprint.app_template_filter()
def thumbnail_of(example: Example, classifier: Classifier) -> str:
    """The address of an example's thumbnail."""
    return f"/api/classifiers/{classifier.id}/examples/{example.id}/thumbnail"


def _problem() -> object:
    """The title and the advice of the reason in the address, if the form before was refused."""
    reason = request.args.get("refused", "")
    return uploads.refusal(reason) if reason in problems.REASONS else None
