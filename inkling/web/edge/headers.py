"""What every answer carries and every post must pass."""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request
from flask_babel import gettext
from werkzeug.http import parse_date

DATES = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_UNMODIFIED_SINCE", "HTTP_IF_RANGE")
WISHES = ("HTTP_ACCEPT_LANGUAGE", "HTTP_ACCEPT_ENCODING", "HTTP_IF_NONE_MATCH", "HTTP_IF_MATCH", "HTTP_RANGE")
LONGEST = 1000  # letters of a wish: no browser's is as long as one that takes a second to read
# What search engines may list; every other page is for the one who has its address.
INDEXED = {"recognize.index", "help.page", "models.overview", "models.compare"}
HEADERS = {
    # Previews of a chosen photo are blob: addresses; all else is ours.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def init_app(app: Flask) -> None:
    app.before_request(refuse_odd_headers)
    app.before_request(refuse_cross_site)
    app.after_request(add_headers)
    app.jinja_env.globals["indexed"] = indexed


def refuse_odd_headers() -> Response | None:
    """400 for a host that is none, which no page could name; long wishes, and dates of no calendar, are passed over."""
    for name in WISHES:
        if len(request.environ.get(name, "")) > LONGEST:
            del request.environ[name]
    for name in DATES:
        try:
            parse_date(request.environ.get(name))
        except (ValueError, OverflowError):
            del request.environ[name]
    try:
        urlsplit(request.host_url)
    except ValueError:
        return Response("Host must be the name of a host.\n", 400, mimetype="text/plain")
    return None


def refuse_cross_site() -> None:
    """403 for a post that another site's page makes a browser send.

    Browsers say so in Sec-Fetch-Site, older ones in Origin; programs send neither and may post.
    See OWASP's cheat sheet on cross-site request forgery, "Fetch Metadata headers".
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    allowed = site in ("same-origin", "none") if site else origin is None or _host(origin) == request.host
    if not allowed:
        abort(
            403,
            gettext("Posts must come from this site's own pages. Received: a post from %(site)s.", site=origin or site),
        )


def _host(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # such as "http://["
        return None


def indexed(status: int = 200) -> bool:
    """Whether search engines may list the page that is being answered."""
    return request.endpoint in INDEXED and status < 400


def add_headers(response: Response) -> Response:
    response.headers.extend(HEADERS)  # which no view sets
    if not indexed(response.status_code):
        response.headers.add("X-Robots-Tag", "noindex")
    return response
