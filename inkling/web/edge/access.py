"""Access: who sends a request, and the scope that a view needs."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import abort, current_app, g, request
from flask_babel import gettext
from werkzeug.datastructures import WWWAuthenticate

from inkling.access import OWNER, VISITOR, Principal
from inkling.config import Settings
from inkling.web.edge import crosssite, proxies

LOCAL_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?", re.IGNORECASE)
FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")  # headers that only proxies add


def principal() -> Principal:
    """Who sends this request: the owner at this machine, or a visitor."""
    if "principal" not in g:
        g.principal = OWNER if _is_local() else VISITOR
    return g.principal


def needs(scope: str) -> Callable[[Callable], Callable]:
    """A view that only answers requests with this scope.

    Raises:
        Unauthorized: the request is a visitor's.
        Forbidden: the request is somebody's who may not.
    """

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def checked(*args: Any, **kwargs: Any) -> Any:
            require(scope)
            return view(*args, **kwargs)

        checked.access = f"scope `{scope}`"  # type: ignore[attr-defined]
        return checked

    return decorate


def require(scope: str) -> None:
    """Answers 401 or 403 unless this request has a scope. The response says how to get in."""
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
            www_authenticate=WWWAuthenticate("bearer"),
        )
    abort(
        403,
        gettext(
            "You are signed in, but may not do this. It takes a token of scope “%(scope)s”: "
            "ask the operator of this server.",
            scope=scope,
        ),
    )


def _is_local() -> bool:
    """Whether the owner sends this request from the machine itself, and needs no token.

    The server must be bound to loopback and the peer be loopback. A page of another site whose name was made to lead
    here (DNS rebinding) is told by its Host. A proxy or tunnel that the settings do not name is told by its headers, or
    by HTTP/1.0, which nginx speaks by default and no browser does.
    """
    environ, settings = request.environ, _settings()
    server, peer = proxies.parse(environ.get("SERVER_NAME")), proxies.parse(environ.get(proxies.PEER))
    origin = environ.get("HTTP_ORIGIN")
    return bool(
        server
        and peer
        and server.is_loopback
        and peer.is_loopback
        and not proxies.among(str(peer), settings.trusted_proxies)
        and LOCAL_HOST.fullmatch(environ.get("HTTP_HOST", ""))
        and not any(name.startswith(FORWARDED) for name in environ)
        and environ.get("SERVER_PROTOCOL") != "HTTP/1.0"
        and (origin is None or crosssite.host(origin) == environ["HTTP_HOST"])
    )


def _settings() -> Settings:
    return current_app.extensions["inkling"].settings
