"""This browser's last results."""

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from inkling.web import service
from inkling.web.edge import session

blueprint = Blueprint("history", __name__)


@blueprint.get("/history")
def page() -> str:
    """This browser's last results, newest first."""
    results = service().storage.get_all(session.remembered())
    return render_template("history.html", results=results, most=session.MOST)


@blueprint.post("/history/delete")
def delete() -> ResponseReturnValue:
    """Deletes all results in this browser's history."""
    service().storage.delete(*session.remembered())
    session.forget(*session.remembered())
    return redirect(url_for("history.page", deleted=""), 303)
