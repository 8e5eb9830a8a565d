"""Results as the pages take and make them."""

import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TypeVar

from flask import Response, abort, send_file
from flask_babel import gettext

from inkling.storage.store import Result, StoreError, unkept
from inkling.web import inkling
from inkling.web.edge import metrics
from inkling.web.views import history

Kept = TypeVar("Kept")


def keep(image, model: str, kind: str, start: float) -> Result:
    """Asks a model of an upright RGB picture, and keeps both; where that cannot be done, the result has no id.

    Args:
        start: when its reading began, by `time.perf_counter`.

    Raises:
        Problem: "blank", "unknown-model" or "model-unavailable".
    """
    decode = round((time.perf_counter() - start) * 1e3, 3)
    prediction = inkling().classifier.classify_one(image, model)
    milliseconds = {"decode": decode} | prediction.milliseconds
    metrics.answered(prediction, milliseconds)
    answer = unkept(prediction, kind, milliseconds)
    id = attempt(lambda: inkling().store.add(image, prediction, kind, milliseconds))
    if not id:
        return answer
    history.remember(id)
    return replace(answer, id=id)


def attempt(keep: Callable[[], Kept]) -> Kept | None:
    """What `keep` gives, or None where nothing can be kept: answers go on."""
    try:
        return keep()
    except StoreError:
        return None
    finally:
        metrics.saving(inkling().store)


def result(id: str) -> Result:
    """A kept result, or 404."""
    return inkling().store.get(id) or abort(404, gettext("This result is not here, or no longer."))


def picture(found: Result):
    """A result's picture as a PIL image, or 404."""
    return inkling().store.open(found) or abort(404, gettext("This picture is not here, or no longer."))


def file(what: Path | BytesIO, mimetype: str | None = None) -> Response:
    """A file of a result, or 404 where that was deleted meanwhile."""
    try:
        return private(send_file(what, mimetype, max_age=0))
    except FileNotFoundError:
        abort(404, gettext("This picture is not here, or no longer."))


def private(response: Response) -> Response:
    """For this browser alone, which asks each time whether it is still there."""
    response.headers["Cache-Control"] = "private, no-cache"
    return response
