"""The session: a signed cookie with this browser's key and the ids of its last results.

The key makes this browser the owner of its results. Neither the list nor the key is recorded anywhere else: of the key,
a result keeps only a hash (`inkling.storage.Result.owner`).
"""

import logging
import re
import secrets
import time
from datetime import timedelta

from flask import Flask, Request, Response, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from itsdangerous import BadSignature, URLSafeTimedSerializer

from inkling.access import signing_key
from inkling.config import Settings

log = logging.getLogger("inkling.session")

MOST = 50  # results: their ids take 1.7 kB of the 4 kB that a cookie may have
LIFETIME = timedelta(days=365)
KEY_BYTES = 16  # of the owner's key
LONGEST = 8192  # characters of all cookies together; ours take 2,000 at most
BLANKS = re.compile(r"[ \t]+")


class SignedCookie(SecureCookieSessionInterface):
    """Flask's signed cookie, with a key that is created when the first cookie is written.

    A cookie older than `LIFETIME` is not accepted. One from the future is: it was signed before the server's clock was
    set back.
    """

    def __init__(self, settings: Settings):
        self._settings = settings

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Flask's serializer, or None if the key cannot be read. Without it there is no history."""
        try:
            app.secret_key = app.secret_key or signing_key(self._settings)
        except OSError as error:
            log.warning("the key that signs the session cannot be read: %s", error.strerror)
            return None
        return super().get_signing_serializer(app)

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        # Werkzeug takes a second to parse thousands of blanks in a row, and much memory for thousands of names.
        cookies = BLANKS.sub(" ", request.environ.get("HTTP_COOKIE", ""))
        request.environ["HTTP_COOKIE"] = cookies if len(cookies) <= LONGEST else ""
        cookie = request.cookies.get(self.get_cookie_name(app))
        serializer = self.get_signing_serializer(app) if cookie else None
        try:
            if serializer and cookie:
                content, signed = serializer.loads(cookie, return_timestamp=True)
                if time.time() - signed.timestamp() <= LIFETIME.total_seconds():
                    return self.session_class(content)
        except BadSignature:
            pass
        return self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if not session.modified or self.get_signing_serializer(app):
            super().save_session(app, session, response)

    def get_cookie_secure(self, app: Flask) -> bool:
        """Whether the cookie is restricted to HTTPS: true if this request came over HTTPS."""
        return request.is_secure


def init_app(app: Flask, settings: Settings) -> None:
    app.session_interface = SignedCookie(settings)
    app.config.update(
        SESSION_COOKIE_NAME="inkling-history",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=LIFETIME,
    )


def owner() -> str:
    """This browser's key; a new one, which `remember` writes into the cookie, if it has none."""
    return session.get("owner") or secrets.token_urlsafe(KEY_BYTES)


def remember(owner: str, *ids: str) -> None:
    """Adds new results, oldest first, to this browser's history, and makes it their owner."""
    session.permanent = True
    session["owner"] = owner
    session["results"] = [*reversed(ids), *(id for id in remembered() if id not in ids)][:MOST]


def remembered() -> list[str]:
    """The ids in this browser's history, newest first. Some of these results may be deleted."""
    return session.get("results", [])


def forget(*ids: str) -> None:
    """Removes deleted results from this browser's history."""
    session["results"] = [id for id in remembered() if id not in ids]


def clear() -> None:
    """Deletes the cookie, and with it the history and this browser's key."""
    session.clear()
