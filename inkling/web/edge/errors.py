"""One place for what goes wrong: pages get a page, the API gets RFC 9457 problem details."""

import logging
import re

from flask import Flask, Response, current_app, g, json, redirect, render_template, request, url_for
from flask_babel import gettext
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from inkling.problems import REASONS, Problem
from inkling.storage.store import StoreError
from inkling.web import inkling
from inkling.web.edge import language, metrics

log = logging.getLogger("inkling.errors")

COME_BACK = ("busy", "late", "rate-limited")  # nothing is wrong with what was sent
RETRIED = (429, 503)  # statuses that say when to come back
RETRY_AFTER = 5  # seconds
MINUTE = 60


def init_app(app: Flask) -> None:
    app.register_error_handler(Problem, rejected)
    app.register_error_handler(RequestEntityTooLarge, too_large)
    app.register_error_handler(StoreError, unreachable)
    app.register_error_handler(HTTPException, failed)


def rejected(error: Problem, retry_after: int = RETRY_AFTER):
    """The API's problem; for pages 303 to the help page with the reason on top, or that page where it may pass, which
    leads back to what was asked for, or to where the form was."""
    count(error)
    if for_programs():
        return respond(problem(error), retry_after)
    if error.reason in COME_BACK:  # without reading what was sent
        back = request.full_path.rstrip("?") if request.method == "GET" else language.back()
        page = current_app.view_functions["help.page"](error.reason, back)
        return page, REASONS[error.reason].status, {"Retry-After": str(retry_after)}
    field = "draw" if "drawing" in request.form else "photo"
    model = request.form.get("model", "")
    choice = {field: model} if 0 < len(model) <= 64 else {}
    return redirect(url_for("help.page", reason=error.reason, got=error.received or None, **choice), 303)


def too_large(_error: RequestEntityTooLarge):
    """The body is, or what a form has beside its files."""
    length, most = request.content_length, current_app.config["MAX_FORM_MEMORY_SIZE"]
    received = f"{length} bytes" if length and length > most else "more"
    limit = f"A picture may have {inkling().settings.max_bytes} bytes"
    if length and length <= request.max_content_length:
        limit = f"A form may have {most} bytes beside its files, in no more parts and lines than a browser writes"
    error = Problem("too-large", f"{limit}. Received: {received}.", "" if received == "more" else received)
    count(error)
    if for_programs():
        return respond(problem(error))
    # The form cannot be read: it is what was too large.
    return redirect(url_for("help.page", reason=error.reason, got=error.received or None), 303)


def unreachable(error: StoreError):
    """503: what was asked for cannot be read, or cannot be changed."""
    log.warning("%s", error)
    page = render_template(
        "error.html",
        status=503,
        title=gettext("Not now"),
        detail=gettext("What Inkling keeps cannot be read or changed at the moment. Try again in a minute."),
    )
    return page, 503, {"Retry-After": str(MINUTE)}


def count(error: Problem) -> None:
    """Notes a rejection for the metrics and for the request's line in the log."""
    metrics.of(metrics.REJECTIONS, error.reason).inc()
    g.reason = error.reason


def failed(error: HTTPException):
    """Any other error: a page in the app's style, or a problem whose reason is the status's name."""
    if error.code < 400:
        return error
    if not for_programs():
        page = render_template(
            "error.html", status=error.code, title=gettext(error.name), detail=gettext(error.description)
        )
        return page, error.code, {"Retry-After": str(RETRY_AFTER)} if error.code in RETRIED else {}
    reason = re.sub(r"[^a-z]+", "-", error.name.lower())
    response = respond(_problem(reason, error.name, error.code, error.description, "about:blank"))
    for name, value in error.get_headers():  # such as Allow
        if name != "Content-Type":
            response.headers[name] = value
    return response


def problem(error: Problem) -> dict:
    """RFC 9457 problem details of a rejection, with our stable `reason`."""
    about = REASONS[error.reason]
    return _problem(error.reason, about.title, about.status, str(error), url_for("help.page", reason=error.reason))


def respond(details: dict, retry_after: int = RETRY_AFTER) -> Response:
    """Problem details as a response."""
    response = Response(json.dumps(details), details["status"], mimetype="application/problem+json")
    if details["status"] in RETRIED:
        response.headers["Retry-After"] = str(retry_after)
    return response


def for_programs() -> bool:
    """Whether the one who asks is a program."""
    return request.path.startswith("/api/") or request.path in ("/healthz", "/readyz", "/metrics")


def _problem(reason: str, title: str, status: int, detail: str, type: str) -> dict:
    return {"type": type, "title": title, "status": status, "detail": detail, "reason": reason}
