"""The audit log's lines about requests: each that changed something that is kept."""

from functools import partial

from flask import Flask, Response, g, request

from inkling import audit
from inkling.access import VISITOR
from inkling.config import Settings
from inkling.web.edge import ratelimit
from inkling.web.edge.crosssite import SAFE_METHODS

# Endpoints that change nothing that is kept, except when their view says what by `about`.
COMPUTE = {
    *("api.predict", "api.explain", "classifiers.look", "classifiers.explain", "recognize.predict", "lab.change"),
    *("ask.general", "ask.of_result", "ask.ask", "ask.chat", "protocols.classify", "protocols.infer"),
    *("preferences.choose_language", "preferences.choose_theme"),
}


def init_app(app: Flask, settings: Settings) -> None:
    if settings.audit_log:
        app.after_request(partial(note, settings))


def about(**what: object) -> None:
    """Says what this request changes, where its address does not: ids, not what they stand for."""
    g.changed = what


def note(settings: Settings, response: Response) -> Response:
    """Adds a line for a request that changed something."""
    endpoint, changed = request.endpoint, g.get("changed", {})
    if request.method in SAFE_METHODS or response.status_code >= 400 or not endpoint:
        return response
    if changed or endpoint not in COMPUTE:
        who = g.get("principal", VISITOR).owner or "visitor"
        ids = {**(request.view_args or {}), **changed}
        audit.note(settings, endpoint, who, client=ratelimit.client(), request_id=g.request_id, **ids)
    return response
