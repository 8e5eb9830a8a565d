"""Error responses: pages for people, and RFC 9457 problem details for programs."""

import logging
import re
from functools import partial

from flask import Flask, Response, current_app, g, json, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from inkling.config import Settings
from inkling.problems import REASONS, Problem
from inkling.web.edge import clients, metrics

log = logging.getLogger("inkling.errors")

TEMPORARY = ("busy", "late", "rate-limited")  # the same request may succeed later
WITH_RETRY_AFTER = (429, 503)  # statuses
RETRY_AFTER = 5  # seconds
MINUTE = 60
# The titles of the pages of these statuses, and what they say where nothing closer is known. Programs get HTTP's words.
WORDS: dict[int, tuple[str, str]] = {
    400: (
        "This didn't work",
        "The server doesn't understand what it received. Go back, reload the page and try again.",
    ),
    401: ("Please sign in", "Only those who sign in can open this page."),
    403: ("This isn't yours to open", "Another browser made this, or it needs a token that allows it."),
    404: ("There is no such page", "Check the address for typing errors. A result is deleted after a while."),
    405: ("This address is not a page", "It only takes what a form or a program sends."),
    408: (
        "The connection is too slow",
        "Your picture did not arrive in time. Try again on a faster connection, or send a smaller one.",
    ),
    414: ("The address is too long", "Shorten the address, or start again from the first page."),
    415: ("This kind of data is not accepted", "Send pictures with the form on the first page."),
    429: ("Too many requests", "Wait a minute, then try again."),
    500: (
        "Something went wrong on the server",
        "It is not your fault, and the error is in the server's log. Try again in a moment.",
    ),
    503: ("Not available right now", "The server is busy or being updated. Try again in a minute."),
}


def init_app(app: Flask, settings: Settings) -> None:
    app.register_error_handler(Problem, rejected)
    app.register_error_handler(RequestEntityTooLarge, partial(too_large, settings.max_bytes))
    app.register_error_handler(HTTPException, failed)


def rejected(error: Problem) -> ResponseReturnValue:
    """The response to a rejected request.

    Programs get problem details. Visitors are redirected to the help page, which names the reason. A temporary problem
    is answered with that page itself, whose link leads back to the page they asked for or came from.
    """
    count(error)
    retry_after = error.retry_after or RETRY_AFTER
    if clients.is_program():
        return respond(problem(error), retry_after)
    if error.reason in TEMPORARY:  # the form is not read: that may be just what there is no room for
        back = request.full_path.rstrip("?") if request.method == "GET" else clients.previous_page()
        page = str(current_app.view_functions["help.page"](error.reason, back))
        return page, REASONS[error.reason].status, {"Retry-After": str(retry_after)}
    way = "draw" if {"drawing", "strokes"} & request.form.keys() else None
    model = request.form.get("model", "")[:64] or None
    return redirect(url_for("help.page", reason=error.reason, got=error.received or None, way=way, model=model), 303)


def too_large(max_bytes: int, _error: RequestEntityTooLarge) -> ResponseReturnValue:
    """The response to a body that is too large, or to a form that holds too much outside its files."""
    length, most = request.content_length, current_app.config["MAX_FORM_MEMORY_SIZE"]
    received = f"{length} bytes" if length and length > most else "more"
    limit = f"A picture may have {max_bytes} bytes"
    if length and length <= (request.max_content_length or 0):
        limit = f"A form may have {most} bytes beside its files, in no more parts and lines than a browser writes"
    error = Problem("too-large", f"{limit}. Received: {received}.", "" if received == "more" else received)
    count(error)
    if clients.is_program():
        return respond(problem(error))
    # Not `rejected`, which would read the form.
    return redirect(url_for("help.page", reason=error.reason, got=error.received or None), 303)


def unavailable(error: Exception) -> ResponseReturnValue:
    """A 503 response to a request that needs what is stored while that cannot be read or changed."""
    log.warning("%s", error)
    if clients.is_program():
        return respond(problem(Problem("busy", "What is stored cannot be read or changed now. Try again.")), MINUTE)
    page = render_template(
        "error.html",
        status=503,
        title=gettext("Not available right now"),
        detail=gettext("Inkling cannot open its saved pictures at the moment. Try again in a minute."),
    )
    return page, 503, {"Retry-After": str(MINUTE)}


def count(error: Problem) -> None:
    """Counts a rejection, and puts its reason into the access log's line."""
    metrics.labeled(metrics.REJECTIONS, error.reason).inc()
    g.reason = error.reason


def failed(error: HTTPException) -> ResponseReturnValue:
    """The response to any other error: a page, or problem details whose reason is the name of the status."""
    if error.code is None or error.code < 400:
        return error
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}  # such as Allow
    if not clients.is_program():
        title, detail = WORDS.get(error.code, (error.name, error.description or ""))
        if error.description != type(error).description:
            detail = error.description or ""  # said by whoever refused
        page = render_template("error.html", status=error.code, title=gettext(title), detail=gettext(detail))
        return page, error.code, headers | ({"Retry-After": str(RETRY_AFTER)} if error.code in WITH_RETRY_AFTER else {})
    reason = re.sub(r"[^a-z]+", "-", error.name.lower())
    response = respond(_problem(reason, error.name, error.code, error.description, "about:blank"))
    response.headers.update(headers)
    return response


def problem(error: Problem) -> dict:
    """RFC 9457 problem details of a rejection, with our stable `reason`."""
    about, detail = REASONS[error.reason], str(error)
    if error.reason == "model-unavailable":  # its cause may hold paths; `/readyz` tells it operators
        detail = detail.partition(": ")[0].removesuffix(".") + "."
    return _problem(error.reason, about.title, about.status, detail, url_for("help.page", reason=error.reason))


def respond(details: dict, retry_after: int = RETRY_AFTER) -> Response:
    """A response with these problem details."""
    response = Response(json.dumps(details), details["status"], mimetype="application/problem+json")
    if details["status"] in WITH_RETRY_AFTER:
        response.headers["Retry-After"] = str(retry_after)
    return response


def _problem(reason: str, title: str, status: int, detail: str | None, type: str) -> dict:
    return {"type": type, "title": title, "status": status, "detail": detail, "reason": reason}
