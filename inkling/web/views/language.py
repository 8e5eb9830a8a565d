"""The switch between languages."""

from flask import Blueprint, abort, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from inkling.web.edge import clients
from inkling.web.edge.language import COOKIE, LANGUAGES

blueprint = Blueprint("language", __name__)

YEAR = 365 * 24 * 3600  # seconds


@blueprint.post("/language")
def choose() -> ResponseReturnValue:
    """Stores the visitor's language in a cookie and redirects to the page they came from."""
    chosen = request.form.get("language", "")
    if chosen not in LANGUAGES:
        abort(400, gettext("Choose one of %(languages)s.", languages=", ".join(LANGUAGES.values())))
    response = redirect(clients.previous_page(), 303)
    response.set_cookie(COOKIE, chosen, max_age=YEAR, httponly=True, samesite="Lax", secure=request.is_secure)
    return response
