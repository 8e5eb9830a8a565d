"""Facts about a request's client: whether it is a program or a browser, and the page it came from."""

from urllib.parse import urlsplit

from flask import current_app, request

PROBES = ("/healthz", "/readyz", "/v2/health/live", "/v2/health/ready")  # load balancers ask them by address
FOR_OPERATORS = (*PROBES, "/metrics")
FOR_PROGRAMS = ("/api/", "/v2/", "/hf/")


def is_program() -> bool:
    """Whether the request is for a program, which gets JSON in English instead of a page."""
    return request.path.startswith(FOR_PROGRAMS) or request.path.endswith(".json") or request.path in FOR_OPERATORS


def previous_page() -> str:
    """The path and query of the page that sent this post; "/" where that is unknown, another site's, or took a post."""
    host, _, rest = (request.referrer or "").partition("://")[2].partition("/")
    # A path that starts with two slashes would lead to another host.
    page = "/" + rest.lstrip("/\\") if host == request.host else "/"
    try:
        adapter = current_app.create_url_adapter(request)
        methods = adapter.allowed_methods(urlsplit(page).path) if adapter else ()
    except ValueError:  # urlsplit rejects unbalanced brackets
        return "/"
    return page if "GET" in methods or not methods else "/"
