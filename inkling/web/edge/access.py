"""Access: who sends a request, and the scope that a view needs.

A request is somebody's by the first of these that it has: a token, the cookie of a sign-in, a user that a trusted proxy
names, or the place of the owner at the machine itself. Everybody else is a visitor.
"""

import logging
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Flask, abort, current_app, g, request
from flask_babel import gettext
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.wrappers import Response

from inkling import access
from inkling.access import OWNER, VISITOR, Credential, Principal
from inkling.config import Settings
from inkling.problems import Problem
from inkling.web.edge import auditing, crosssite, proxies, ratelimit

log = logging.getLogger("inkling.access")

COOKIE = "inkling-sign-in"
ATTRIBUTES: dict[str, Any] = {"httponly": True, "samesite": "Strict"}
LOCAL_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
GUESSES = 10  # wrong tokens that one client may send in a minute


def init_app(app: Flask, settings: Settings) -> None:
    app.extensions["guesses"] = ratelimit.Limiter(settings, GUESSES, "guesses")
    app.extensions["credential"] = credential
    app.before_request(refuse_unknown_proxy)
    app.jinja_env.globals["signed_in"] = lambda: COOKIE in request.cookies


# ---- What views use ----


def principal() -> Principal:
    """Who sends this request.

    Raises:
        Unauthorized: it has a token that is not valid.
        Problem: "rate-limited", when its client sent too many wrong tokens.
        StoreError: the tokens cannot be read.
    """
    if "principal" not in g:
        g.principal = VISITOR  # for the page that tells of an error
        g.principal = _by_token() or _by_cookie() or _by_proxy() or (OWNER if _is_local() else VISITOR)
    return g.principal


def credential() -> Credential | None:
    """The token or the session that this request comes with; None without one.

    Raises:
        Unauthorized, Problem, StoreError: as `principal`.
    """
    return principal().credential if "Authorization" in request.headers or COOKIE in request.cookies else None


def needs(scope: str) -> Callable[[Callable], Callable]:
    """A view that only answers requests with this scope."""

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            require(scope)
            return view(*args, **kwargs)

        return open_to(f"scope `{scope}`")(checked)

    return decorate


def open_to(whom: str) -> Callable[[Callable], Callable]:
    """Says who may send a request to a view that needs no scope, or checks by itself: for the table of routes.

    Every route that changes something says so, or has `needs`.
    """

    def decorate(view: Callable) -> Callable:
        view.open_to = whom  # type: ignore[attr-defined]
        return view

    return decorate


def require(scope: str) -> None:
    """Answers 401 or 403 unless this request has a scope. The response says how to get in.

    Raises:
        Unauthorized: it is a visitor's.
        Forbidden: it is somebody's who may not do this.
    """
    if scope in principal().scopes:
        return
    if not principal().owner:
        abort(
            401,
            gettext(
                "You need to sign in at /sign-in with a token. The operator of this server makes one with "
                "“inkling tokens add --scope %(scope)s”. Programs send it in the header "
                "“Authorization: Bearer TOKEN”.",
                scope=scope,
            ),
            www_authenticate=WWWAuthenticate("bearer", {"realm": "Inkling"}),
        )
    abort(
        403,
        gettext(
            "You are signed in, but may not do this. It takes a token of scope “%(scope)s”: "
            "ask the operator of this server.",
            scope=scope,
        ),
    )


# ---- Sign in and out ----


def sign_in(secret: str, response: Response) -> bool:
    """Signs this browser in with a token or the secret of a link; returns whether it is valid.

    The session is a new one, whatever cookie the browser had, so that nobody can prepare one for somebody else.

    Raises:
        Problem: "rate-limited", when its client sent too many wrong ones.
        OSError: the signing key can be neither read nor made.
        StoreError: the session cannot be stored.
    """
    _check_guesses()
    made = access.sign_in(_tokens(), secret)
    if not made:
        _count_guess()
        return False
    _end_session()
    session, credential = made
    auditing.about(owner=credential.owner)
    cookie = access.signed(_settings(), session)
    response.set_cookie(COOKIE, cookie, expires=credential.expires, secure=request.is_secure, **ATTRIBUTES)
    return True


def sign_out(response: Response) -> None:
    """Ends this browser's session, and deletes its cookie in a response.

    Raises:
        StoreError: the session cannot be deleted.
    """
    _end_session()
    response.delete_cookie(COOKIE, secure=request.is_secure, **ATTRIBUTES)


def _end_session() -> None:
    if secret := _cookie():
        access.sign_out(_tokens(), secret)


# ---- Who it is ----


def _by_token() -> Principal | None:
    """The principal of the request's token; None if it has none, or one that is for another service.

    Clients of other services' protocols may send a token of theirs to routes that are open to anyone.
    """
    authorization = request.authorization
    token = authorization.token if authorization and authorization.type == "bearer" else None
    if not token or not token.startswith(access.PREFIX):
        return None
    _check_guesses()
    found = access.bearer(_tokens(), token)
    if not found:
        _count_guess()
        challenge = WWWAuthenticate("bearer", {"error": "invalid_token"})
        abort(401, gettext("This token is not valid, or no longer."), www_authenticate=challenge)
    return found


def _by_cookie() -> Principal | None:
    secret = _cookie()
    return access.session(_tokens(), secret) if secret else None


def _cookie() -> str | None:
    """The secret of this browser's session; None if it has none that this server signed."""
    cookie = request.cookies.get(COOKIE)
    try:
        return access.unsigned(_settings(), cookie) if cookie else None
    except OSError as error:
        log.warning("the key that signs cookies cannot be read: %s", error.strerror)
        return None


def _by_proxy() -> Principal | None:
    name = _settings().user_header
    value = request.headers.get(name, "") if name else ""
    return access.user(value.strip()) if value else None


def refuse_unknown_proxy() -> None:
    """Refuses a request with the header of INKLING_USER_HEADER unless a trusted proxy sends it."""
    settings = _settings()
    if not settings.user_header or settings.user_header not in request.headers:
        return
    if not proxies.among(request.environ.get(proxies.PEER), settings.trusted_proxies):
        abort(
            403,
            gettext(
                "Only a proxy that INKLING_TRUSTED_PROXIES names may send the header “%(name)s”.",
                name=settings.user_header,
            ),
        )


def _is_local() -> bool:
    """Whether the owner sends this request from the machine itself, and needs no token.

    The server must be bound to loopback and the peer be loopback. A page of another site whose name was made to lead
    here (DNS rebinding) is told by its Host.
    """
    environ, trusted = request.environ, _settings().trusted_proxies
    server, peer = proxies.parse(environ.get("SERVER_NAME")), proxies.parse(environ.get(proxies.PEER))
    origin = environ.get("HTTP_ORIGIN")
    return bool(
        server
        and peer
        and server.is_loopback
        and peer.is_loopback
        and not proxies.among(str(peer), trusted)
        and not proxies.hides_client(environ, trusted)
        and LOCAL_HOST.fullmatch(environ.get("HTTP_HOST", ""))
        and (origin is None or crosssite.host(origin) == environ["HTTP_HOST"])
    )


# ---- Guessing ----


def _check_guesses() -> None:
    if used := _guesses().exceeded(ratelimit.client()):
        raise Problem(
            "rate-limited",
            f"Too many wrong tokens came from here. Try again in {used.seconds} seconds.",
            retry_after=used.seconds,
        )


def _count_guess() -> None:
    _guesses().charge(ratelimit.client(), 1)


def _guesses() -> ratelimit.Limiter:
    return current_app.extensions["guesses"]


def _settings() -> Settings:
    return current_app.extensions["inkling"].settings


def _tokens() -> Any:
    """The storage's tokens; the edge does not import storage."""
    return current_app.extensions["inkling"].storage.tokens
