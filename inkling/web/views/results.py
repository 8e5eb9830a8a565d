"""One result: its page, its pictures, its correction and its deletion."""

from flask import Blueprint, Response, abort, g, jsonify, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from inkling.problems import Problem
from inkling.recognition.predictor import Prediction
from inkling.service import Decoded
from inkling.storage import NONE_OF_THESE, Result, unsaved_result
from inkling.web import answers, labels, render, service, teaching, turns
from inkling.web.edge import session
from inkling.web.edge.access import open_to
from inkling.web.ownership import CORRECT, may_change, may_teach, own_result, require
from inkling.web.responses import file_or_404, original_or_404, result_or_404, stored_or_404

blueprint = Blueprint("results", __name__, url_prefix="/results")

AUTO = "auto"  # asks Auto instead of a model
TOP_OTHERS = 3  # answers shown of each other model


@blueprint.get("/<id>")
def show(id: str) -> ResponseReturnValue:
    """The answer, as a page; as JSON for a client that prefers it.

    With `?model=`, another model or Auto is asked about the same picture, and nothing is saved.
    """
    if request.accept_mimetypes.best_match(["text/html", "application/json"]) == "application/json":
        return data(id)
    result, model = result_or_404(id), request.args.get("model")
    if not model or model == (AUTO if result.route else result.model):
        page = _page(result)
    else:
        picture = Decoded(original_or_404(result), result.kind)
        with turns.turn() as budget:
            (outcome,) = service().look([picture], None if model == AUTO else model, budget)
        page = _page(unsaved_result(outcome.prediction, result.kind, outcome.milliseconds, result.format), result)
    response = make_response(page)
    response.vary.add("Accept")
    return response


@blueprint.get("/<id>.json")
def data(id: str) -> Response:
    """The answer as JSON, as the API gives it: with its five most likely labels, or `?top=` of them."""
    result = result_or_404(id)
    top = request.args.get("top", render.TOP, type=int)
    response = jsonify(answers.as_json(result, result.milliseconds, result.format, max(1, top)))
    response.vary.add("Accept")
    return response


@blueprint.get("/<id>/others")
@turns.in_turn
def others(id: str) -> str:
    """The answers of the other models of the task to the same picture; computed now, not saved."""
    result = result_or_404(id)
    picture = Decoded(original_or_404(result), result.kind)
    found = [(card, _answer(picture, card.name)) for card in render.other_models(result)]
    found = [(card, answer) for card, answer in found if answer != "model-unavailable"]
    same = sum(getattr(answer, "label", None) == result.label for _, answer in found)
    return render_template("others.html", result=result, answers=found, same=same, top=TOP_OTHERS)


@blueprint.get("/<id>/picture")
def picture(id: str) -> Response:
    """The picture as it was saved."""
    result = result_or_404(id)
    return stored_or_404(service().storage.open_picture(result), result.mimetype)


@blueprint.get("/<id>/card.png")
@turns.in_turn
def card(id: str) -> Response:
    """The picture and its answer as one picture, in the visitor's language: for chats and link previews."""
    result = result_or_404(id)
    response = file_or_404(service().card(result, *render.in_words(result)), "image/png")
    response.vary.update(("Accept-Language", "Cookie"))
    return response


@blueprint.get("/<id>/thumbnail")
def thumbnail(id: str) -> ResponseReturnValue:
    """The picture at no more than 256 pixels a side, for lists."""
    result = result_or_404(id)
    response = Response(mimetype=result.mimetype)
    response.set_etag(result.id)  # a result's picture never changes
    if not request.if_none_match.contains(result.id):
        response.data = service().thumbnail(result) or abort(404, "This picture is not here, or no longer.")
    return response.make_conditional(request)


@blueprint.get("/<id>/seen.png")
def seen(id: str) -> Response:
    """The model's input."""
    return stored_or_404(service().storage.open_seen(result_or_404(id).id), "image/png")


@blueprint.get("/<id>/labels")
def searched(id: str) -> Response:
    """The labels to search for the right one, as JSON: `[[name, other words to find it by], …]`."""
    response = jsonify(labels.searched(result_or_404(id)))
    response.vary.update(("Accept-Language", "Cookie"))
    return response


@blueprint.post("/<id>/correction")
@open_to("the browser that made it; scope `correct`")
def correct(id: str) -> ResponseReturnValue:
    """Saves the label that the owner says is right: one of the answer's labels, or an empty one for none of them.

    A taught classifier learns it, if the request may teach it.
    """
    result, text = own_result(id, CORRECT), request.form["label"]
    label = text if text == NONE_OF_THESE else labels.find(result, text)
    if label is None:
        abort(400, gettext("There is no label “%(label)s”. Choose one of the labels of this answer.", label=text[:64]))
    service().correct(result, label)
    _teach(result, label)
    return redirect(url_for("results.show", id=id, _anchor="right"), 303)


@blueprint.post("/<id>/correction/undo")
@open_to("the browser that made it; scope `correct`")
def undo_correction(id: str) -> ResponseReturnValue:
    """Deletes the correction, and takes what it taught back."""
    result = own_result(id, CORRECT)
    service().storage.correct(result.id, None)
    _teach(result, None)
    return redirect(url_for("results.show", id=id, _anchor="right"), 303)


@blueprint.post("/<id>/delete")
@open_to("the browser that made it; scope `admin`")
def delete(id: str) -> ResponseReturnValue:
    """Hides the picture and its answer, and deletes them ten minutes later; the owner's history offers to undo it."""
    result = own_result(id)
    service().storage.hide(id)
    if not result.belongs_to(session.owner()):
        session.list_also(id)
    return redirect(url_for("history.page", _anchor=f"result-{id}"), 303)


@blueprint.post("/<id>/delete/undo")
@open_to("the browser that made it; scope `admin`")
def undo_deletion(id: str) -> ResponseReturnValue:
    """Brings a result back that was deleted less than ten minutes ago."""
    for result in service().storage.hidden([id]):
        require(may_change(result))
        service().storage.show(id)
        return redirect(url_for("history.page", _anchor=f"result-{id}"), 303)
    abort(404, gettext("This result is not here, or no longer."))


def _teach(result: Result, label: str | None) -> None:
    """Teaches the taught classifier that gave a result the right label, or takes that back, if the request may."""
    classifier = teaching().find(result.model)
    if classifier and may_teach(classifier):
        teaching().correct(result, label)


def _page(result: Result, saved: Result | None = None) -> str:
    return render.result_page(result, url_for("results.picture", id=(saved or result).id), saved)


def _answer(picture: Decoded, model: str) -> Prediction | str:
    """A model's answer, or the code of the reason why there is none."""
    try:
        (outcome,) = service().look([picture], model, g.budget)
        return outcome.prediction
    except Problem as problem:
        return problem.reason
