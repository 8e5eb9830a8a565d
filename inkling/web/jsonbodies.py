"""JSON bodies, and the pictures in a request of the API."""

import json
import re
from typing import TypeVar

from flask import abort, request
from pydantic import BaseModel, ValidationError

from inkling import problems
from inkling.problems import Problem
from inkling.recognition.strokes import MOST_BYTES, Strokes
from inkling.service import Base64, Decoded, Source
from inkling.web import uploads
from inkling.web.edge.bodies import LARGE

SHAPE = 'The JSON must be {"image": "<data URL or base64>"} or {"strokes": [[[x…],[y…]], …]}.'
MOST_VALUES = 100  # values in a JSON body that is longer than a drawing; this also limits its nesting
MOST_JSON = 2**20  # bytes of a JSON body without a picture
WIDE_ESCAPE = re.compile(rb"\\u(?!00)")  # a JSON escape for a character beyond Latin-1

Shape = TypeVar("Shape", bound=BaseModel)


def sources() -> list[Source]:
    """The pictures in the request: one as JSON, or one or more as form files.

    Raises:
        Problem: "missing", "too-many", "too-large" or "strokes".
    """
    if request.is_json:
        return [source(read())]
    found: list[Source] = [*uploads.from_form()]
    if not found:
        raise Problem(
            "missing",
            'Send a picture as the form field `image`, or as JSON {"image": …}. '
            f"Received: {request.content_type or 'no body'}.",
        )
    return found


def source(body: object) -> Source:
    """The picture or the drawing in a parsed JSON body.

    Raises:
        Problem: "missing" or "strokes".
    """
    if isinstance(body, dict) and "strokes" in body:
        return Decoded(Strokes.from_body(body), "drawing")
    if not isinstance(body, dict) or not isinstance(body.get("image"), str):
        got = ", ".join(map(repr, body))[:40] or "{}" if isinstance(body, dict) else type(body).__name__
        raise Problem("missing", f"{SHAPE} Received: {got}.")
    return Base64(body["image"])


def read() -> object:
    """The parsed JSON body of a request with a picture.

    Raises:
        BadRequest: it is not JSON.
        BadRequest, Problem: see `check`.
    """
    text = request.get_data(cache=False)  # a cached body would stay in memory as long as the request
    check(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        abort(400, f"{SHAPE} Received: something else.")


def check(text: bytes) -> None:
    """Refuses a JSON body with pictures whose parsing would take many times its size in memory.

    Raises:
        BadRequest: it holds letters that base64 has not.
        Problem: "too-large": more values than pictures have, and more bytes than a drawing may have.
    """
    values = sum(map(text.count, b"[{,"))
    if len(text) > MOST_BYTES and values > MOST_VALUES:
        received = f"{len(text)} bytes"
        most = f"JSON with more than {MOST_VALUES} values, such as strokes, may have at most {MOST_BYTES} bytes"
        raise Problem("too-large", f"{most}. Received: {received}.", received)
    # One character beyond Latin-1 makes Python store all others in four bytes each.
    if len(text) > LARGE and (not text.isascii() or WIDE_ESCAPE.search(text)):
        abort(400, "A picture in JSON is base64. Received: letters that base64 has not.")


def as_shape(shape: type[Shape]) -> Shape:
    """The JSON body of a request without a picture.

    Raises:
        UnsupportedMediaType: it is not announced as JSON.
        RequestEntityTooLarge: it has more than `MOST_JSON` bytes.
        BadRequest: it does not have that shape.
    """
    if not request.is_json:
        abort(415, "Send JSON, with the header `Content-Type: application/json`.")
    request.max_content_length = MOST_JSON
    return parsed(shape, request.get_data(cache=False))


def parsed(shape: type[Shape], text: bytes) -> Shape:
    """The JSON text in that shape.

    Raises:
        BadRequest: it does not have that shape.
    """
    try:
        return shape.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        abort(400, f"{problems.shorten(where)}: {first['msg']}. Received: {problems.shorten(repr(first['input']))}")
