"""An answer as JSON, as `schemas.Result` describes it: for the API, and for a saved result."""

import re
from collections.abc import Mapping, Sequence

from flask import abort, g, request

from inkling.problems import Problem
from inkling.recognition.predictor import Prediction
from inkling.service import Outcome
from inkling.storage import Result
from inkling.web.edge import errors

TOP = 5  # labels of an answer that asks for no other number


def as_json(answer: Prediction | Result, milliseconds: Mapping[str, float], format: str | None, top: int) -> dict:
    """The answer, with its `top` most likely labels, to a picture that came in this format."""
    ranked = [{"label": label, "probability": round(probability, 6)} for label, probability in answer.ranked(top)]
    return {
        "model": answer.model,
        "task": answer.task,
        "label": answer.label,
        "confidence": ranked[0]["probability"],
        "sure": answer.sure,
        "wording": answer.wording,
        "familiar": answer.familiar,
        "group": answer.group,
        **({"route": answer.route, "asked": list(answer.asked)} if answer.route else {}),
        "format": format,
        "predictions": ranked,
        "milliseconds": milliseconds,
    }


def told(outcome: Outcome, answer: Prediction) -> dict:
    """An answer as webhooks and MQTT tell it."""
    return as_json(answer, outcome.milliseconds, outcome.format, TOP)


def of_outcomes(outcomes: Sequence[Outcome], top: int) -> dict:
    """The answer to one picture, or `{"results": [...]}` for several, with a problem in the place of a refused one.

    Raises:
        Problem: the only picture was refused.
    """
    if len(outcomes) > 1:
        return {"results": [_entry(outcome, top) for outcome in outcomes]}
    (outcome,) = outcomes
    return as_json(outcome.prediction, outcome.milliseconds, outcome.format, top)


def top() -> int:
    """The number of labels that the request asks for.

    Raises:
        BadRequest: it is no number.
    """
    text = request.args.get("top", str(TOP))
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        abort(400, f"`top` must be a whole number from 1. Received: {text[:40]!r}.")
    return int(text)


def _entry(outcome: Outcome, top: int) -> dict:
    """One picture's place in the answer for several."""
    if isinstance(outcome.answer, Problem):
        g.reason = outcome.answer.reason  # for the access log
        return {"error": errors.problem(outcome.answer)}
    return as_json(outcome.answer, outcome.milliseconds, outcome.format, top)
