"""The JSON API. It saves nothing."""

from flask import Blueprint, abort, render_template, request
from markdown_it import MarkdownIt
from markupsafe import Markup

from inkling.notify.notifier import NAME
from inkling.recognition.card import ModelCard
from inkling.web import answers, explained, jsonbodies, openapi, outcomes, service, turns, uploads
from inkling.web.cached import cached
from inkling.web.edge.access import open_to, require

MARKDOWN = MarkdownIt("commonmark", {"html": False})
blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.get("/models")
def models() -> dict:
    """The models that can be asked."""
    groups = service().predictor.catalog.by_task()
    return {"models": [_short(card) for _, cards in groups for card in cards]}


@blueprint.post("/predict")
@open_to("anyone; nothing is saved")
def predict() -> dict:
    """The answer for one picture, or `{"results": [...]}` for several."""
    if not request.is_json:  # JSON holds one picture
        uploads.allow_batch()
    model = request.args.get("model")
    service().chosen(model)  # an unknown model is refused before any picture is read
    top, source = answers.top(), _source(model)
    sources = jsonbodies.sources()
    with_picture = bool(source) and service().settings.mqtt_pictures == "yes"
    with turns.turn(turns.work_of(sources, model)) as budget:
        found = service().look(sources, model, budget, for_saving=with_picture)
    answer = answers.of_outcomes(found, top)
    outcomes.count(found)
    outcomes.tell(found, source)
    return answer


@blueprint.post("/explain")
@open_to("anyone; nothing is saved")
def explain() -> dict:
    """How much each part of one picture supports its answer."""
    return explained.of_request(request.args.get("model"))


@blueprint.get("/openapi.json")
def document() -> dict:
    """The OpenAPI 3.1 document."""
    return openapi.document(service().settings, request.host_url.rstrip("/"))


@blueprint.get("/docs")
@cached()
def docs() -> str:
    """The documentation page made from the OpenAPI document."""
    groups = service().predictor.catalog.by_task()
    return render_template("docs.html", openapi=document(), groups=groups, limits=uploads.limits())


@blueprint.app_template_filter()
def markdown(text: str, inline: bool = False) -> Markup:
    """Markdown of a description as HTML; HTML in the text itself is escaped."""
    return Markup(MARKDOWN.renderInline(text) if inline else MARKDOWN.render(text))


def _source(model: str | None) -> str | None:
    """The name of what the pictures come from, which takes a token: others follow its state."""
    name = request.args.get("source")
    if name is None:
        return None
    require("read")
    if not NAME.fullmatch(name):
        abort(400, "`source` must be up to 32 lower-case letters, digits, hyphens and underscores.")
    if model is None:
        abort(400, "Name the `model` too: a source has a state for each model.")
    return name


def _short(card: ModelCard) -> dict:
    return {
        "name": card.name,
        "task": card.task,
        "title": card.title,
        "summary": card.summary,
        "kind": card.input.kind,
        "labels": card.labels,
        "parameters": card.parameters,
        "accuracy": card.metrics.accuracy if card.metrics else None,
        "threshold": card.threshold,
    }
