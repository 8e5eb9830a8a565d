"""The web app: pages and the JSON API on top of the service."""

from flask import current_app

from inkling.service import Service


def service() -> Service:
    """The service of the app that handles this request."""
    return current_app.extensions["inkling"]
