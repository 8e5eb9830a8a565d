"""Explanations, preprocessing steps and feature maps of a result, computed on request."""

from typing import NoReturn

from flask import Blueprint, Response, abort, render_template
from flask_babel import gettext

from inkling.ask import grounded
from inkling.problems import REASONS, Problem
from inkling.recognition import explain, inputs, stages
from inkling.recognition.catalog import Model
from inkling.storage import Result
from inkling.web import asked, explained, service, turns
from inkling.web.edge import errors
from inkling.web.responses import file_or_404, original_or_404, result_or_404

blueprint = Blueprint("explanations", __name__, url_prefix="/results/<id>")


@blueprint.get("/why")
def page(id: str) -> str:
    """Which parts of the picture the answer depends on, and which are enough: in words and as overlays."""
    result = result_or_404(id)
    explanation = _explanation(result)
    where, *cost = map(asked.words, grounded.what_decides(explanation, result))
    return render_template(
        "explanation.html",
        result=result,
        explanation=explanation,
        where=where,
        cost=cost,
        enough=asked.words(grounded.what_is_enough(explanation)),
        size=service().picture_size(result),
    )


@blueprint.get("/heatmap.png")
def heatmap(id: str) -> Response:
    """The overlay alone. The first request computes it, and it is saved for later ones."""
    try:
        return file_or_404(explained.heatmap(result_or_404(id)), "image/png")
    except Problem as problem:
        _abort(problem)


@blueprint.get("/enough.png")
def enough(id: str) -> Response:
    """An overlay that hides all of the picture but the smallest part that is enough for the answer."""
    result = result_or_404(id)
    explanation = _explanation(result)
    with turns.turn():
        return file_or_404(service().veil(result, explanation), "image/png")


@blueprint.get("/steps/<step>.png")
@turns.in_turn
def step(id: str, step: str) -> Response:
    """One step of preparing the picture for the model."""
    result = result_or_404(id)
    card = _model(result).card
    if step not in stages.names(card):
        abort(404)
    try:
        return file_or_404(stages.render(original_or_404(result), card, step), "image/png")
    except inputs.BlankDrawing:
        abort(404)


@blueprint.get("/layers")
def layers_page(id: str) -> str:
    """The feature maps of the network's first layers, with an introduction."""
    result = result_or_404(id)
    if not stages.has_layers(_model(result).card):
        abort(404)
    original_or_404(result)
    return render_template("layers.html", result=result, by_keras=service().settings.runtime == "keras")


@blueprint.get("/layers.png")
@turns.in_turn
def layers(id: str) -> Response:
    """The feature maps alone."""
    result = result_or_404(id)
    try:
        maps = stages.layers(service().predictor, original_or_404(result), _model(result))
    except Problem as problem:
        _abort(problem)
    return file_or_404(maps, "image/png")


def _model(result: Result) -> Model:
    """The model that a result came from.

    Raises:
        HTTPException: it is switched off or no longer installed.
    """
    try:
        return service().predictor.catalog.model(result.model)
    except Problem as problem:
        _abort(problem)


def _explanation(result: Result) -> explain.Explanation:
    try:
        return explained.of_result(result)
    except Problem as problem:
        _abort(problem)


def _abort(problem: Problem) -> NoReturn:
    """Answers with an error page: there is nothing that the visitor could correct and send again."""
    if problem.reason in errors.TEMPORARY:
        raise problem
    reason = REASONS[problem.reason]
    abort(reason.status, gettext(reason.title))
