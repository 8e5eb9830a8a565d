"""The front page, and the form that it sends."""

from collections.abc import Sequence

from flask import Blueprint, Response, jsonify, make_response, render_template, request
from flask.typing import ResponseReturnValue

from inkling.recognition.strokes import Strokes
from inkling.service import Canvas, Decoded, Source, Upload
from inkling.web import outcomes, service, turns, uploads
from inkling.web.edge import language, session
from inkling.web.edge.access import open_to
from inkling.web.responses import private

blueprint = Blueprint("recognize", __name__)

WAYS = ("photo", "draw", "camera")
PHOTO_EXAMPLES = {  # label -> file in static/examples/, which tools/examples.py draws
    "hot air balloon": "hot-air-balloon",
    "soccer ball": "soccer-ball",
    "lighthouse": "lighthouse",
    "traffic light": "traffic-light",
    "jack-o'-lantern": "jack-o-lantern",
}
REFUSED_BEFORE_SENDING = ("extension", "too-large", "too-many")  # reasons that the browser can find by itself


@blueprint.get("/")
def index() -> Response:
    """The stage: a photo, a drawing or the camera. The address may name the way and a model; else Auto answers."""
    session.begin()
    catalog = service().predictor.catalog
    photo_groups, ink_groups = catalog.by_task(), catalog.by_task("ink")
    known, way = _labels(photo_groups), request.args.get("way")
    page = render_template(
        "index.html",
        way=way if way in WAYS else WAYS[0],
        photo_groups=photo_groups,
        ink_groups=ink_groups,
        ink_labels=_labels(ink_groups, auto=True),
        photo_examples={label: name for label, name in PHOTO_EXAMPLES.items() if label in known},
        limits=uploads.limits(),
        refusals={code: uploads.refusal(code) for code in REFUSED_BEFORE_SENDING},
        chosen_photo=_chosen(photo_groups),
        chosen_draw=_chosen(ink_groups),
    )
    return private(make_response(page))


@blueprint.get("/labels")
def labels() -> Response:
    """The names of all labels in the visitor's language, as JSON: `{label: [name, name within a sentence], …}`."""
    known = _labels(service().predictor.catalog.by_task())
    response = jsonify({label: (language.label(label), language.named(label)) for label in known})
    response.vary.update(("Accept-Language", "Cookie"))
    return response


@blueprint.post("/predict")
@open_to("anyone; a result belongs to the browser that made it")
def predict() -> ResponseReturnValue:
    """Recognizes the photos or the drawing of a form, and answers 303 to their page."""
    uploads.allow_batch()
    model = request.form.get("model") or None
    service().chosen(model)  # an unknown model is refused before any picture is read
    sources = _sources()
    with turns.turn(turns.work_of(sources, model)) as budget:
        return outcomes.respond(service().look(sources, model, budget, for_saving=True), model)


def _sources() -> Sequence[Source]:
    """The drawing or the photos of the form. A form without any counts as an upload that is missing."""
    if request.form.get("strokes"):
        return [Decoded(Strokes.from_json(request.form["strokes"]), "drawing")]
    if "drawing" in request.form:
        return [Canvas(request.form["drawing"])]
    return uploads.from_form() or [Upload(None, None)]


def _labels(groups: list, auto: bool = False) -> list[str]:
    """All that these models know, each thing once; with `auto`, only what those know that Auto may ask."""
    cards = [card for _, cards in groups for card in cards if not (auto and card.taught and not card.taught.auto)]
    return list(dict.fromkeys(label for card in cards for label in card.labels))


def _chosen(groups: list) -> str | None:
    """The model that the address asks for, if it is one of these; None for Auto."""
    names = [card.name for _, cards in groups for card in cards]
    asked = service().predictor.catalog.current(request.args.get("model", ""))
    return asked if asked in names else None
