"""Signing in with a token or with the link that the server prints when it starts, and signing out."""

import re

from flask import Blueprint, Response, make_response, redirect, render_template, request
from flask.typing import ResponseReturnValue

from inkling.access import LOCAL
from inkling.web.edge import access, errors
from inkling.web.edge.access import open_to

blueprint = Blueprint("sign_in", __name__)

COMMAND = "inkling tokens add --scope teach"  # by which an operator makes a token
# A path on this server: a second slash or a backslash would lead to another one.
PATH = re.compile(r"/(?![/\\])[^\s\\]{0,200}", re.ASCII)


@blueprint.get("/sign-in")
def page() -> Response:
    """A form for a token; with `?link=`, a button that uses the link; for somebody signed in, a button to sign out.

    A link is only used up by the button, so that a program that looks at it in advance does not spoil it.
    """
    return _page()


@blueprint.post("/sign-in")
@open_to("whoever has a token or a sign-in link")
def sign_in() -> ResponseReturnValue:
    """Exchanges a token or a link for a signed cookie, and redirects to the page that asked to sign in."""
    response = redirect(_back(), 303)
    try:
        known = access.sign_in(request.form.get("token", "").strip(), response)
    except OSError as error:
        return errors.unavailable(error)
    return response if known else _page(wrong=True)


@blueprint.post("/sign-out")
@open_to("anyone, for their own browser")
def sign_out() -> ResponseReturnValue:
    """Ends this browser's sign-in and deletes its cookie."""
    response = redirect("/sign-in", 303)
    access.sign_out(response)
    return response


def _page(wrong: bool = False) -> Response:
    link = None if wrong else request.args.get("link")
    html = render_template(
        "sign-in.html",
        owner="" if wrong or link else access.principal().owner,
        local=LOCAL,
        link=link,
        back=_back(),
        wrong=wrong,
        command=COMMAND,
    )
    response = make_response(html, 403 if wrong else 200)
    response.headers["Cache-Control"] = "no-store"  # the page may hold the secret of a link
    return response


def _back() -> str:
    """The page to return to: a path on this server."""
    back = request.values.get("to", "")
    return back if PATH.fullmatch(back) else "/"
