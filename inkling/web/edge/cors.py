"""Cross-origin resource sharing: pages of the origins in INKLING_CORS may ask the models, and do nothing else.

Responses never allow credentials, so a browser shows another origin's page nothing that depends on a visitor's cookies.
"""

from flask import Flask, Response, current_app, request

from inkling.config import Settings

METHODS = {"/api/models": "GET", "/api/predict": "POST"}  # of each route that is open to other origins
EXPOSED = "Retry-After, X-Request-ID"  # headers that a script of another origin may read
PREFLIGHT_AGE = 3600  # seconds that a browser remembers the answer to a preflight request


def init_app(app: Flask, settings: Settings) -> None:
    app.config["CORS_ORIGINS"] = frozenset(settings.cors)
    if settings.cors:
        app.after_request(add_headers)


def allowed() -> bool:
    """Whether a page of an origin in INKLING_CORS asks a route that is open to it."""
    return request.path in METHODS and request.headers.get("Origin") in current_app.config["CORS_ORIGINS"]


def add_headers(response: Response) -> Response:
    """Lets the asking page read the response, and answers a preflight request."""
    if request.path not in METHODS:
        return response
    response.vary.add("Origin")
    if not allowed():
        return response
    response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
    response.headers["Access-Control-Expose-Headers"] = EXPOSED
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = METHODS[request.path]
        response.headers["Access-Control-Allow-Headers"] = "Content-Type"
        response.headers["Access-Control-Max-Age"] = str(PREFLIGHT_AGE)
    return response
