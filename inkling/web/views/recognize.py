"""The front page, and the form that it sends."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from inkling.recognition.strokes import Strokes
from inkling.service import Canvas, Decoded, Source, Upload
from inkling.web import outcomes, service, turns, uploads

blueprint = Blueprint("recognize", __name__)


@blueprint.get("/")
def index() -> str:
    """The photo form and the drawing canvas. Auto is preselected, unless the address names a model."""
    catalog = service().predictor.catalog
    photo_groups, ink_groups = catalog.by_task(), catalog.by_task("ink")
    return render_template(
        "index.html",
        photo_groups=photo_groups,
        ink_groups=ink_groups,
        labels=_labels(photo_groups),
        ink_labels=_labels(ink_groups),
        limits=uploads.limits(),
        chosen_photo=_chosen("photo", photo_groups),
        chosen_draw=_chosen("draw", ink_groups),
    )


@blueprint.post("/predict")
def predict() -> ResponseReturnValue:
    """Recognizes the photos or the drawing of a form, and answers 303 to their page."""
    uploads.allow_batch()
    model = request.form.get("model") or None
    service().chosen(model)  # an unknown model is refused before any picture is read
    sources = _sources()
    with turns.turn() as budget:
        return outcomes.respond(service().look(sources, model, budget, for_saving=True), model)


def _sources() -> list[Source]:
    """The drawing or the photos of the form. A form without any counts as an upload that is missing."""
    if request.form.get("strokes"):
        return [Decoded(Strokes.from_json(request.form["strokes"]), "drawing")]
    if "drawing" in request.form:
        return [Canvas(request.form["drawing"])]
    return uploads.from_form() or [Upload(None, None)]


def _labels(groups: list) -> list[str]:
    """All that these models know, each thing once."""
    return list(dict.fromkeys(label for _, cards in groups for card in cards for label in card.labels))


def _chosen(field: str, groups: list) -> str | None:
    """The model that the address asks for; None for Auto."""
    names = [card.name for _, cards in groups for card in cards]
    asked = service().predictor.catalog.current(request.args.get(field, ""))
    return asked if asked in names else None
