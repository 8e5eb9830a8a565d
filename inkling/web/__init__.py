"""The web app: pages and the JSON API on top of the service."""

from flask import current_app

from inkling.service import Service
from inkling.teach.teaching import Teaching


def service() -> Service:
    """The service of the app that handles this request."""
    return current_app.extensions["inkling"]


def teaching() -> Teaching:
    """The taught classifiers of the app that handles this request."""
    return current_app.extensions["teaching"]
