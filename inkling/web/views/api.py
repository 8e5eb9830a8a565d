"""The JSON API. It keeps nothing."""

import json
import re
import time

from flask import Blueprint, abort, render_template, request

from inkling.pictures import reading
from inkling.problems import Problem
from inkling.recognition import inputs
from inkling.recognition.card import ModelCard
from inkling.recognition.predictor import Prediction
from inkling.web import allow_batch, inkling, openapi
from inkling.web.edge import admission, errors, metrics
from inkling.web.edge.bodies import LARGE

SHAPE = 'The JSON must be {"image": "<data URL or base64>"}.'
VALUES = 100  # of a JSON body, which holds one picture: how deep it may be, too
WIDE = re.compile(rb"\\u(?!00)")  # an escape for a letter beyond Latin
blueprint = Blueprint("api", __name__, url_prefix="/api")


@blueprint.get("/models")
def models():
    """Cards in short."""
    classifier = inkling().classifier
    groups = classifier.catalog.by_task(without=classifier.broken)
    return {"models": [_short(card) for _, cards in groups for card in cards]}


@blueprint.post("/predict")
def predict():
    """One picture answers one object, several answer `{"results": [...]}`."""
    classifier = inkling().classifier
    if not request.is_json:  # which holds one picture
        allow_batch()
    card = classifier.card(request.args.get("model", ""))
    top = _top(card)
    readers = _readers()
    with admission.turn() as deadline:
        pictures, decoded = zip(*(_read(reader, deadline, card) for reader in readers), strict=True)
        results = list(zip(classifier.answer(pictures, card.name), decoded, strict=True))
    if len(results) > 1:
        return {
            "results": [
                _failure(answer) if isinstance(answer, Problem) else _result(answer, decode, top)
                for answer, decode in results
            ]
        }
    ((answer, decode),) = results
    if isinstance(answer, Problem):
        raise answer
    return _result(answer, decode, top)


@blueprint.post("/explain")
def explain():
    """By how much each part of one picture carries its answer."""
    card = inkling().classifier.card(request.args.get("model", ""))
    readers = _readers()
    if len(readers) > 1:
        raise Problem(
            "too-many", f"One picture is explained at a time. Received: {len(readers)}.", f"{len(readers)} pictures"
        )
    # For opening it alone: answers do not wait for explanations, which have places of their own.
    with admission.turn() as deadline, deadline.share() as settings:
        start = time.perf_counter()
        image = readers[0](settings, inputs.enough(card.input))
        decode = round((time.perf_counter() - start) * 1e3, 3)
    why = inkling().explainer.explain(inkling().classifier, image, card.name, None, deadline.left)
    return {
        "model": why.model,
        "task": card.task,
        "label": why.label,
        "confidence": round(why.confidence, 6),
        "where": why.where,
        "drops": why.drops,
        "field": why.field,
        "milliseconds": {"decode": decode, "explain": why.milliseconds},
    }


@blueprint.get("/openapi.json")
def document():
    """OpenAPI 3.1, made from the code."""
    return openapi.document(inkling().settings)


@blueprint.get("/docs")
def docs():
    """A page that shows the above."""
    return render_template("docs.html", openapi=openapi.document(inkling().settings), base_url=request.host_url)


def _readers() -> list:
    """A function per picture sent that reads it: (settings, at_least) -> image."""
    if request.is_json:
        return [_json_reader()]
    files, most = request.files.getlist("image"), inkling().settings.max_batch
    if not files:
        raise Problem(
            "missing",
            'Send a picture as the form field `image`, or as JSON {"image": …}. '
            f"Received: {request.content_type or 'no body'}.",
        )
    if len(files) > most:
        raise Problem(
            "too-many", f"At most {most} pictures go in one request. Received: {len(files)}.", f"{len(files)} pictures"
        )
    return [
        lambda settings, at_least, file=file: reading.read_stream(file.stream, file.filename, settings, at_least)
        for file in files
    ]


def _json_reader():
    body = _json_body()
    if not isinstance(body, dict) or not isinstance(body.get("image"), str):
        got = ", ".join(map(repr, body))[:40] or "{}" if isinstance(body, dict) else type(body).__name__
        raise Problem("missing", f"{SHAPE} Received: {got}.")
    return lambda settings, at_least: reading.read_base64(body["image"], settings, at_least)


def _json_body():
    """What the JSON sent says; 400 for what is none, and for what would take many times the memory as objects."""
    text = request.get_data(cache=False)  # or it would be held as long as the picture
    values = sum(map(text.count, b"[{,"))
    if values > VALUES:
        abort(400, f"{SHAPE} Received: {values} values or more.")
    if len(text) > LARGE and (not text.isascii() or WIDE.search(text)):  # it makes all others take four bytes each
        abort(400, f"{SHAPE} Received: letters that base64 has not.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        abort(400, f"{SHAPE} Received: something else.")


def _read(reader, deadline: reading.Deadline, card: ModelCard) -> tuple:
    """(picture as the model sees it, or why not; milliseconds to decode it): a large one is not held any longer."""
    start, decode = time.perf_counter(), 0.0
    try:
        with deadline.share() as settings:
            image = reader(settings, inputs.enough(card.input))
        decode = round((time.perf_counter() - start) * 1e3, 3)
        return inkling().classifier.prepare(image, card.name), decode
    except Problem as error:
        return error, decode


def _top(card: ModelCard) -> int:
    text = request.args.get("top", "5")
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        abort(400, f"`top` must be a whole number from 1. Received: {text[:40]!r}.")
    return min(int(text), len(card.labels))


def _failure(error: Problem) -> dict:
    errors.count(error)
    return {"error": errors.problem(error)}


def _result(answer: Prediction, decode: float, top: int) -> dict:
    milliseconds = {"decode": decode} | answer.milliseconds
    metrics.answered(answer, milliseconds)
    ranked = [{"label": label, "probability": round(probability, 6)} for label, probability in answer.ranked(top)]
    return {
        "model": answer.model,
        "task": answer.task,
        "label": answer.label,
        "confidence": ranked[0]["probability"],
        "sure": answer.sure,
        "wording": answer.wording,
        "predictions": ranked,
        "milliseconds": milliseconds,
    }


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
