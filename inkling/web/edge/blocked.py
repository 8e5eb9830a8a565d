"""Clients that the operator has blocked get 403, whatever they ask."""

from typing import Any

from flask import Flask, abort, current_app, request
from flask_babel import gettext

from inkling.web.edge import clients, ratelimit


def init_app(app: Flask) -> None:
    app.before_request(refuse_blocked)


def refuse_blocked() -> None:
    """Refuses a request of a blocked client, before its body is read."""
    open_to_all = request.path in clients.PROBES or request.endpoint == "static"  # the error page needs its style
    if not open_to_all and ratelimit.client() in _blocks().all():
        abort(403, gettext("The operator of this server has blocked your address."))


def _blocks() -> Any:
    """The storage's list; the edge does not import storage."""
    return current_app.extensions["inkling"].storage.blocks
