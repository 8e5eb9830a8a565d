"""The web app: pages and the JSON API on top of the service."""

from flask import current_app

from inkling.service import Service
from inkling.teach.teaching import Teaching


def service() -> Service:
    """The service of the app that handles this request, with the models that whoever sends it may ask."""
    from inkling.web.edge import access  # its metrics must not exist before workers are forked

    found: Service = current_app.extensions["inkling"]
    return found.seen_by(access.principal().owner) if found.predictor.catalog.has_unlisted else found


def teaching() -> Teaching:
    """The taught classifiers of the app that handles this request."""
    return current_app.extensions["teaching"]
