"""Why an answer is what it is, and what the model saw on its way there: pages and pictures, made when asked for."""

from contextlib import suppress
from io import BytesIO

from flask import Blueprint, Response, abort, render_template
from flask_babel import gettext

from inkling import problems
from inkling.recognition import explain, inputs, stages
from inkling.recognition.catalog import Model
from inkling.storage import Result, StoreError
from inkling.web import inkling, turns
from inkling.web.edge import admission
from inkling.web.responses import file_or_404, picture_or_404, private, result_or_404

blueprint = Blueprint("explanations", __name__, url_prefix="/results/<id>")


@blueprint.get("/why")
def page(id: str):
    """Where the model looked, in words and as an overlay on the picture."""
    found = result_or_404(id)
    why = explain.read(BytesIO(_heatmap(found)))
    return render_template("why.html", result=found, why=why)


@blueprint.get("/heatmap.png")
def heatmap(id: str):
    """What the answer hangs on, as an overlay for the picture; computed at the first request, then kept."""
    return file_or_404(_heatmap(result_or_404(id)), "image/png")


@blueprint.get("/steps/<step>.png")
@turns.in_turn
def step(id: str, step: str):
    """One step from the picture to what the model saw, made anew."""
    found = result_or_404(id)
    card = _model(found).card
    if step not in stages.names(card):
        abort(404)
    try:
        return _png(stages.render(picture_or_404(found), card, step))
    except inputs.BlankDrawing:
        abort(404)


@blueprint.get("/layers")
def layers_page(id: str):
    """What the first layers of the network find, with a word on it."""
    found = result_or_404(id)
    if not stages.has_layers(_model(found).card):
        abort(404)
    picture_or_404(found)
    return render_template("layers.html", result=found, by_keras=inkling().settings.runtime == "keras")


@blueprint.get("/layers.png")
@turns.in_turn
def layers(id: str):
    """The same as a picture, computed now."""
    found = result_or_404(id)
    try:
        return _png(stages.layers(inkling().classifier, picture_or_404(found), _model(found)) or abort(404))
    except problems.Problem as error:
        _abort(error)


def _model(found: Result) -> Model:
    try:
        return inkling().classifier.catalog.model(found.model)
    except problems.Problem as error:
        _abort(error)


def _heatmap(found: Result) -> bytes:
    """A result's heat map as a PNG file; computed if there is none yet, and saved if possible."""
    if saved := inkling().store.heatmap(found.id):
        return saved
    # A turn for decoding alone: answers do not wait for explanations, which take turns of their own.
    with turns.turn() as budget:
        picture = picture_or_404(found)
    model = _model(found)
    try:
        with admission.turn(budget.left, admission.EXPLANATIONS):
            why = inkling().explainer.explain(inkling().classifier, picture, model, found.label)
    except problems.Problem as error:
        _abort(error)
    png = why.png(*picture.size)
    with suppress(StoreError):
        inkling().store.save_heatmap(found.id, png) or abort(404)
    return png


def _abort(error: problems.Problem):
    """An error page in the picture's place: the visitor sent nothing that could be mended."""
    about = problems.REASONS[error.reason]
    abort(about.status, gettext(about.title))


def _png(data: bytes) -> Response:
    return private(Response(data, mimetype="image/png"))
