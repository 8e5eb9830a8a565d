"""This browser's last results, known by a signed cookie and nowhere else."""

import logging
import re
from datetime import timedelta

from flask import Blueprint, Flask, Request, Response, redirect, render_template, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from itsdangerous import BadSignature

from inkling.access import signing_key
from inkling.web import inkling

log = logging.getLogger("inkling.history")
blueprint = Blueprint("history", __name__)

LAST = 50  # results remembered: 1.7 kB of the 4 kB that a cookie may have
KEPT = timedelta(days=365)


BLANKS = re.compile(r"[ \t]+")
LONGEST = 8192  # letters of all cookies: a browser sends ours, of 2,000 at most, and those of neighbours


class Cookie(SecureCookieSessionInterface):
    """Flask's signed cookie, whose key is made when the first one is written; sent by HTTPS alone where it came so.

    Its age is the browser's affair: a server whose clock was set back must not take a cookie for one of the future.
    """

    def get_signing_serializer(self, app: Flask):
        """None where the key cannot be had: then nothing is remembered."""
        try:
            app.secret_key = app.secret_key or signing_key(app.extensions["inkling"].settings)
        except OSError as error:
            log.warning("no key to sign the history with: %s", error.strerror)
            return None
        return super().get_signing_serializer(app)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        # Before anybody reads them: of blanks in a row werkzeug takes a second for thousands, of names much memory.
        said = BLANKS.sub(" ", request.environ.get("HTTP_COOKIE", ""))
        request.environ["HTTP_COOKIE"] = said if len(said) <= LONGEST else ""
        said = request.cookies.get(self.get_cookie_name(app))
        serializer = said and self.get_signing_serializer(app)
        try:
            return self.session_class(serializer.loads(said)) if serializer else self.session_class()
        except BadSignature:
            return self.session_class()

    def save_session(self, app: Flask, session: SecureCookieSession, response: Response) -> None:
        if not session.modified or self.get_signing_serializer(app):
            super().save_session(app, session, response)

    def get_cookie_secure(self, app: Flask) -> bool:
        return request.is_secure


def init_app(app: Flask) -> None:
    app.session_interface = Cookie()
    app.config.update(
        SESSION_COOKIE_NAME="inkling-history",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=KEPT,
    )


def remember(*ids: str) -> None:
    """Puts new results, oldest first, on top of this browser's history."""
    session.permanent = True
    session["results"] = [*reversed(ids), *remembered()][:LAST]


def remembered() -> list[str]:
    """The ids in this browser's cookie, newest first; some may be gone."""
    return session.get("results", [])


def forget(*ids: str) -> None:
    """Takes results out of the history; the cookie goes with the last one."""
    left = [id for id in remembered() if id not in ids]
    if left:
        session["results"] = left
    else:
        session.clear()


@blueprint.get("/history")
def page():
    """This browser's last results, newest first."""
    return render_template("history.html", results=inkling().store.get_all(remembered()), most=LAST)


@blueprint.post("/history/delete")
def delete():
    """Removes all results in this browser's history, with their pictures."""
    inkling().batches.remove(*remembered())
    forget(*remembered())
    return redirect(url_for("history.page", deleted=""), 303)
