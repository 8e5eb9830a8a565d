"""Cross-site request protection, as OWASP's cheat sheet describes it under "Fetch Metadata headers"."""

from urllib.parse import urlsplit

from flask import Flask, abort, request
from flask_babel import gettext

from inkling.web.edge import cors

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def init_app(app: Flask) -> None:
    app.before_request(refuse_cross_site)


def refuse_cross_site() -> None:
    """Refuses a post with 403 where the page of another site makes a browser send it.

    Browsers say where a request comes from in Sec-Fetch-Site, older ones in Origin. Programs send neither and may post.
    `cors` names the exceptions.
    """
    site, origin = request.environ.get("HTTP_SEC_FETCH_SITE"), request.environ.get("HTTP_ORIGIN")
    if (not site and origin is None) or request.method in SAFE_METHODS or cors.allowed():
        return
    allowed = site in ("same-origin", "none") if site else origin is None or host(origin) == request.host
    if not allowed:
        abort(
            403,
            gettext("Posts must come from this site's own pages. Received: a post from %(site)s.", site=origin or site),
        )


def host(origin: str) -> str | None:
    """The host and port of an origin; None if it is not one, or opaque."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:  # such as "http://["
        return None
