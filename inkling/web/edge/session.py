"""The session: a signed cookie with this browser's key.

The key makes this browser the owner of its results. It is not recorded anywhere else: of the key, a result keeps only a
hash (`inkling.storage.Result.owner`). The cookie does not list the results, because of several that are made at once
each would write its own list.
"""

import hashlib
import hmac
import logging
import re
import secrets
import time
from datetime import timedelta
from typing import cast

from flask import Flask, Request, Response, current_app, request, session
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from itsdangerous import BadSignature, URLSafeTimedSerializer

from inkling.access import signing_key
from inkling.config import Settings
from inkling.web.edge import ratelimit

log = logging.getLogger("inkling.session")

MOST = 50  # ids in the cookie: they take 1.7 kB of the 4 kB that it may have
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

    def key(self, app: Flask) -> str | None:
        """The key, or None if it cannot be read."""
        try:
            app.secret_key = app.secret_key or signing_key(self._settings)
        except OSError as error:
            log.warning("the key that signs the session cannot be read: %s", error.strerror)
            return None
        return str(app.secret_key)

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Flask's serializer, or None if the key cannot be read. Without it there is no history."""
        return super().get_signing_serializer(app) if self.key(app) else None

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        if "HTTP_COOKIE" not in request.environ:
            return self.session_class()
        # Werkzeug takes a second to parse thousands of blanks in a row, and much memory for thousands of names.
        cookies = BLANKS.sub(" ", request.environ["HTTP_COOKIE"])
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


def begin() -> None:
    """Gives a browser its key before it sends anything.

    Otherwise each of several first uploads at once would bring a key of its own, and the browser would keep the last.
    """
    if "owner" not in session and request.method != "HEAD":
        remember(owner())


def remember(owner: str) -> None:
    """Makes this browser the owner of what was saved with the key."""
    session.permanent = True
    session["owner"] = owner


def list_also(id: str) -> None:
    """Lists a result in this browser's history that another one made."""
    session.permanent = True
    session["results"] = [id, *(other for other in listed_also() if other != id)][:MOST]


def listed_also() -> list[str]:
    """The ids that the cookie lists: of results from before owners were noted, and of others that this browser deleted.

    Some of these results may be gone.
    """
    return session.get("results", [])


def client() -> str | None:
    """A pseudonym of this request's client, the same in all workers; None if the key or the address is not known.

    It is made with the key that signs the cookie. Without that key, nobody can try addresses to find out whose it is.
    """
    address, key = ratelimit.client(), cast(SignedCookie, current_app.session_interface).key(current_app)
    if not address or not key:
        return None
    return hmac.new(key.encode(), f"client {address}".encode(), hashlib.sha256).hexdigest()


def clear() -> None:
    """Deletes the cookie, and with it the history and this browser's key."""
    session.clear()
