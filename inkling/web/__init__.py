"""Blueprints: they parse the request, call a room of `inkling`, and render. No pixel is touched here."""

from typing import TYPE_CHECKING

from flask import current_app

if TYPE_CHECKING:
    from inkling.web.app import Inkling


def inkling() -> "Inkling":
    """Settings, classifier and store of the app that serves this request."""
    return current_app.extensions["inkling"]
