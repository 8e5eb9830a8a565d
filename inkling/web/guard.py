"""What every answer carries and every post must pass."""

from urllib.parse import urlsplit

from flask import Flask, Response, abort, request

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
    app.before_request(refuse_cross_site)
    app.after_request(add_headers)


def refuse_cross_site() -> None:
    """403 for a post that another site's page makes a browser send.

    Browsers say so in Sec-Fetch-Site, older ones in Origin; programs send neither and may post.
    See OWASP's cheat sheet on cross-site request forgery, "Fetch Metadata headers".
    """
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    allowed = site in ("same-origin", "none") if site else origin is None or urlsplit(origin).netloc == request.host
    if not allowed:
        abort(403, f"Posts must come from this site's own pages. Received: a post from {origin or site}.")


def add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
