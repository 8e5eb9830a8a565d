"""Security headers of every response, and checks of request headers."""

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from flask_babel import gettext
from werkzeug.http import parse_date
from werkzeug.sansio.utils import get_current_url

from inkling.config import Settings
from inkling.web.edge import clients

DATES = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")
NEGOTIATION = ("HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT_ENCODING", "HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH", "HTTP_RANGE")
LONGEST = 1000  # characters; browsers send far less, and Werkzeug takes a second to parse much longer ones
# Endpoints that search engines may list. Every other page is for the visitor who has its address.
INDEXED = {"recognize.index", "help.page", "about.privacy", "models.overview", "models.compare"}
HEADERS = {
    # The preview of a chosen photo has a blob: address; everything else comes from this server.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
}


def init_app(app: Flask, settings: Settings) -> None:
    app.before_request(check_request)
    if settings.hosts:
        app.before_request(partial(check_host, frozenset(settings.hosts)))
    app.after_request(add_headers)
    app.wsgi_app = partial(with_security, app.wsgi_app)  # type: ignore[method-assign]
    app.jinja_env.globals["indexed"] = indexed


def with_security(app: Callable, environ: dict, start_response: Callable) -> Iterable[bytes]:
    """WSGI middleware that adds the security headers, which no view sets itself. Werkzeug would check each of them."""

    def start(status: str, headers: list[tuple[str, str]], *error: Any) -> Any:
        return start_response(status, headers + [*HEADERS.items()], *error)

    return app(environ, start)


def check_request() -> Response | None:
    """Rejects an invalid Host with 400; drops over-long negotiation headers and invalid dates."""
    environ = request.environ
    for name in NEGOTIATION:
        if len(environ.get(name, "")) > LONGEST:
            del environ[name]
    for name in DATES:
        try:
            parse_date(environ.get(name))
        except (ValueError, OverflowError):
            del environ[name]
    if not is_host(request.host):
        return Response("Host must be the name of a host.\n", 400, mimetype="text/plain")
    return None


@lru_cache(256)
def is_host(name: str) -> bool:
    """Whether a URL may have this host and port."""
    try:
        urlsplit(get_current_url("http", name))
    except ValueError:
        return False
    return True


def check_host(hosts: frozenset[str]) -> None:
    """Refuses a Host that the settings do not name: such a request was made for another server."""
    name = urlsplit(request.host_url).hostname or ""
    if name.removesuffix(".") not in hosts and request.path not in clients.PROBES:
        abort(
            400,
            gettext(
                "This server does not answer to the name “%(host)s”. Its operator lists the names that it answers to "
                "in INKLING_HOSTS.",
                host=name,
            ),
        )


def indexed(status: int = 200) -> bool:
    """Whether search engines may list the response to this request."""
    return request.endpoint in INDEXED and status < 400


def add_headers(response: Response) -> Response:
    """Keeps private pages from caches and search engines."""
    if not indexed(response.status_code):
        response.headers.add("X-Robots-Tag", "noindex")
        response.headers.setdefault("Cache-Control", "private, no-cache")
    return response
