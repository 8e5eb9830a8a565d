"""The front page, and the form that it sends."""

from flask import Blueprint, Response, render_template, request

from inkling.service import Canvas, Upload
from inkling.web import inkling, outcomes, turns, uploads

blueprint = Blueprint("recognize", __name__)


@blueprint.get("/")
def index():
    """The photo form and the drawing canvas; the address may name a model for each."""
    catalog = inkling().classifier.catalog
    photo_groups, ink_groups = catalog.by_task(), catalog.by_task("ink")
    return render_template(
        "index.html",
        photo_groups=photo_groups,
        ink_groups=ink_groups,
        limits=uploads.limits(),
        chosen_photo=_chosen("photo", photo_groups),
        chosen_draw=_chosen("draw", ink_groups),
    )


@blueprint.post("/predict")
def predict() -> Response | str:
    """Recognizes the photos or the drawing of a form, and answers 303 to their page."""
    uploads.allow_batch()
    model = request.form.get("model", "")
    inkling().classifier.catalog.model(model)  # an unknown model is refused before any picture is read
    if "drawing" in request.form:
        sources = [Canvas(request.form["drawing"])]
    else:
        sources = uploads.uploads() or [Upload(None, None)]
    with turns.turn() as budget:
        return outcomes.respond(inkling().service.look(sources, model, budget, for_saving=True), model)


def _chosen(field: str, groups: list) -> str | None:
    """The model that the address asks for, else the first of the list."""
    names = [card.name for _, cards in groups for card in cards]
    asked = request.args.get(field)
    return asked if asked in names else next(iter(names), None)
