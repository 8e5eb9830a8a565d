"""Blueprints: they parse the request, call a room of `inkling`, and render. No pixel is touched here."""

from typing import TYPE_CHECKING

from flask import current_app, request

if TYPE_CHECKING:
    from inkling.web.app import Inkling


def inkling() -> "Inkling":
    """Settings, classifier and store of the app that serves this request."""
    return current_app.extensions["inkling"]


def allow_batch() -> None:
    """Lets this request hold as many pictures as a batch may have; the parser keeps large ones on disk."""
    settings = inkling().settings
    request.max_content_length = max(request.max_content_length, settings.max_batch * settings.max_bytes + 65536)
