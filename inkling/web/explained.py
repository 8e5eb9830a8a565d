"""Explanations: of the picture in a request, as `schemas.Explanation` describes them, and of saved results."""

from base64 import b64encode
from io import BytesIO

from flask import abort, request

from inkling.problems import Problem
from inkling.recognition import explain
from inkling.recognition.catalog import Model
from inkling.storage import Result
from inkling.web import jsonbodies, service, turns
from inkling.web.edge import admission
from inkling.web.responses import original_or_404


def of_request(model: str | Model | None) -> dict:
    """How much each part of the picture supports a model's answer.

    Args:
        model: the model, or its name; None for the one that answers in Auto.

    Raises:
        Problem: the model or the picture is not accepted, "too-many" for several pictures, or "busy".
    """
    overlay = request.args.get("overlay", "0")
    if overlay not in ("0", "1"):
        abort(400, f"`overlay` must be 0 or 1. Received: {overlay[:40]!r}.")
    chosen = service().chosen(model)  # an unknown model is refused before the picture is read
    enough = service().enough(chosen)
    sources = jsonbodies.sources()
    if len(sources) > 1:
        raise Problem(
            "too-many", f"One picture is explained at a time. Received: {len(sources)}.", f"{len(sources)} pictures"
        )
    # The turn covers reading only: explanations are admitted separately, and answers do not wait for them.
    with turns.turn() as budget:
        image, decode = service().read(sources[0], budget, enough)
    with admission.turn(budget.left, admission.EXPLANATIONS):
        found = service().explain(image, chosen)
    card = (chosen or service().predictor.catalog.model(found.model)).card
    answer = {
        "model": found.model,
        "task": card.task,
        "label": found.label,
        "confidence": round(found.confidence, 6),
        "where": found.where,
        "drops": found.drops,
        "field": found.field,
        "enough": found.enough,
        "milliseconds": {"decode": decode, "explain": found.milliseconds},
    }
    if overlay == "1":
        png = found.png(*image.size) if found.decides else None
        answer["overlay"] = png and f"data:image/png;base64,{b64encode(png).decode()}"
    return answer


def of_result(result: Result) -> explain.Explanation:
    """The explanation of a saved result, which is made once and saved.

    Raises:
        As `heatmap`.
    """
    return explain.read(BytesIO(heatmap(result))) or abort(404)


def heatmap(result: Result) -> bytes:
    """The same as a PNG file, which `inkling.recognition.explain.read` reads.

    Raises:
        Problem: "unknown-model", "model-unavailable", "blank" or "busy".
        NotFound: the result was deleted in the meantime.
    """
    saved = service().storage.heatmap(result.id)
    if saved and explain.read(BytesIO(saved)):
        return saved
    # This turn is for decoding only. Explanations take turns of their own, so that answers do not wait for them.
    with turns.turn() as budget:
        picture = original_or_404(result)
    with admission.turn(budget.left, admission.EXPLANATIONS):
        made = service().make_heatmap(result, picture, keep=request.method != "HEAD")  # HEAD changes nothing
    return made or abort(404)
