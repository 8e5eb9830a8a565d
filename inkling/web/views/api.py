"""The JSON API. It saves nothing."""

import json
import re

from flask import Blueprint, abort, g, render_template, request
from markdown_it import MarkdownIt
from markupsafe import Markup

from inkling.problems import Problem
from inkling.recognition.card import ModelCard
from inkling.recognition.strokes import MOST_BYTES, Strokes
from inkling.service import Base64, Decoded, Outcome, Source
from inkling.web import answers, openapi, outcomes, service, turns, uploads
from inkling.web.edge import admission, errors
from inkling.web.edge.access import open_to
from inkling.web.edge.bodies import LARGE

SHAPE = 'The JSON must be {"image": "<data URL or base64>"} or {"strokes": [[[x…],[y…]], …]}.'
MOST_VALUES = 100  # values in a JSON body that is longer than a drawing; this also limits its nesting
WIDE_ESCAPE = re.compile(rb"\\u(?!00)")  # a JSON escape for a character beyond Latin-1
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
    top = _top()
    sources = _sources()
    with turns.turn() as budget:
        found = service().look(sources, model, budget)
    if len(found) == 1:
        (outcome,) = found
        answer = answers.as_json(outcome.prediction, outcome.milliseconds, top)
    else:
        answer = {"results": [_entry(outcome, top) for outcome in found]}
    outcomes.count(found)
    return answer


@blueprint.post("/explain")
@open_to("anyone; nothing is saved")
def explain() -> dict:
    """How much each part of one picture supports its answer."""
    model = request.args.get("model")
    enough = service().enough(model)  # an unknown model is refused before the picture is read
    sources = _sources()
    if len(sources) > 1:
        raise Problem(
            "too-many", f"One picture is explained at a time. Received: {len(sources)}.", f"{len(sources)} pictures"
        )
    # The turn covers reading only: explanations are admitted separately, and answers do not wait for them.
    with turns.turn() as budget:
        image, decode = service().read(sources[0], budget, enough)
    with admission.turn(budget.left, admission.EXPLANATIONS):
        explanation = service().explain(image, model)
    return {
        "model": explanation.model,
        "task": service().predictor.catalog.model(explanation.model).card.task,
        "label": explanation.label,
        "confidence": round(explanation.confidence, 6),
        "where": explanation.where,
        "drops": explanation.drops,
        "field": explanation.field,
        "enough": explanation.enough,
        "milliseconds": {"decode": decode, "explain": explanation.milliseconds},
    }


@blueprint.get("/openapi.json")
def document() -> dict:
    """The OpenAPI 3.1 document."""
    return openapi.document(service().settings, request.host_url.rstrip("/"))


@blueprint.get("/docs")
def docs() -> str:
    """The documentation page made from the OpenAPI document."""
    groups = service().predictor.catalog.by_task()
    return render_template("docs.html", openapi=document(), groups=groups, limits=uploads.limits())


@blueprint.app_template_filter()
def markdown(text: str, inline: bool = False) -> Markup:
    """Markdown of a description as HTML; HTML in the text itself is escaped."""
    return Markup(MARKDOWN.renderInline(text) if inline else MARKDOWN.render(text))


def _sources() -> list[Source]:
    """The pictures in the request: one as JSON, or one or more as form files."""
    if request.is_json:
        return [_json_source()]
    sources = uploads.from_form()
    if not sources:
        raise Problem(
            "missing",
            'Send a picture as the form field `image`, or as JSON {"image": …}. '
            f"Received: {request.content_type or 'no body'}.",
        )
    return sources


def _json_source() -> Source:
    """The picture or the drawing in a JSON body."""
    body = _json_body()
    if isinstance(body, dict) and "strokes" in body:
        return Decoded(Strokes.from_body(body), "drawing")
    if not isinstance(body, dict) or not isinstance(body.get("image"), str):
        got = ", ".join(map(repr, body))[:40] or "{}" if isinstance(body, dict) else type(body).__name__
        raise Problem("missing", f"{SHAPE} Received: {got}.")
    return Base64(body["image"])


def _json_body() -> object:
    """The parsed JSON body; 400 if it is not JSON, or if parsing it would take many times its size in memory.

    Raises:
        Problem: "too-large": more values than a picture has, and more bytes than a drawing may have.
    """
    text = request.get_data(cache=False)  # a cached body would stay in memory as long as the request
    values = sum(map(text.count, b"[{,"))
    if len(text) > MOST_BYTES and values > MOST_VALUES:
        received = f"{len(text)} bytes"
        raise Problem("too-large", f"Strokes may have at most {MOST_BYTES} bytes. Received: {received}.", received)
    # One character beyond Latin-1 makes Python store all others in four bytes each.
    if len(text) > LARGE and (not text.isascii() or WIDE_ESCAPE.search(text)):
        abort(400, f"{SHAPE} Received: letters that base64 has not.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        abort(400, f"{SHAPE} Received: something else.")


def _top() -> int:
    """The number of labels to answer."""
    text = request.args.get("top", "5")
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        abort(400, f"`top` must be a whole number from 1. Received: {text[:40]!r}.")
    return int(text)


def _entry(outcome: Outcome, top: int) -> dict:
    """One picture's place in the answer for several."""
    if isinstance(outcome.answer, Problem):
        g.reason = outcome.answer.reason  # for the access log
        return {"error": errors.problem(outcome.answer)}
    return answers.as_json(outcome.answer, outcome.milliseconds, top)


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
