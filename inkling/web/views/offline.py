"""What a browser keeps for the time without a connection: the service worker and the offline page."""

from flask import Blueprint, Response, current_app, render_template

blueprint = Blueprint("offline", __name__)


@blueprint.get("/worker.js")
def worker() -> Response:
    """The service worker, at the root because it may only handle addresses below its own."""
    return current_app.send_static_file("worker.js")


@blueprint.get("/offline")
def page() -> str:
    """The page that the service worker shows when the server can't be reached."""
    return render_template("offline.html")
