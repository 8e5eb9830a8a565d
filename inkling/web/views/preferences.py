"""The switches in the header: the language and the theme of the pages, each remembered in a cookie."""

from flask import Blueprint, abort, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from inkling.web import cookies
from inkling.web.edge import clients, language
from inkling.web.edge.access import open_to

THEMES = ("system", "light", "dark")
blueprint = Blueprint("preferences", __name__)


@blueprint.post("/language")
@open_to("anyone, for their own browser")
def choose_language() -> ResponseReturnValue:
    """Stores the visitor's language in a cookie and redirects to the page they came from."""
    return _store(language.COOKIE, request.form.get("language", ""), language.LANGUAGES)


@blueprint.post("/theme")
@open_to("anyone, for their own browser")
def choose_theme() -> ResponseReturnValue:
    """Stores the visitor's theme in a cookie and redirects to the page they came from."""
    return _store(cookies.THEME, request.form.get("theme", ""), {name: name for name in THEMES})


blueprint.add_app_template_global(cookies.theme)


def _store(cookie: str, chosen: str, offered: dict[str, str]) -> ResponseReturnValue:
    """Stores a choice; 400 if it is not a key of what is offered."""
    if chosen not in offered:
        abort(400, gettext("Choose one of %(names)s.", names=", ".join(offered.values())))
    response = redirect(clients.previous_page(), 303)
    response.set_cookie(
        cookie, chosen, max_age=cookies.LIFETIME, httponly=True, samesite="Lax", secure=request.is_secure
    )
    return response
