"""What is kept of each request: a count, a time, and a line of the log with the id that its answer carries."""

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request

from inkling.web.edge import logs, metrics

log = logging.getLogger("inkling.requests")

HARMLESS = re.compile(r"[A-Za-z0-9_-]{8,64}")
METHODS = {"GET", "HEAD", "OPTIONS", "POST"}
# Asked every few seconds by machines, or with every page.
QUIET = {"/healthz", "/readyz", "/metrics", "/static/<path:filename>"}


def init_app(app: Flask) -> None:
    app.before_request(begin)
    app.after_request(end)
    app.teardown_request(forget)
    app.log_exception = lambda exc_info: app.logger.error(  # Flask's own names the path, which may open a result
        "Exception in %s", _route(), exc_info=exc_info
    )


def begin() -> None:
    said = request.headers.get("X-Request-ID", "")
    g.request_id = said if HARMLESS.fullmatch(said) else secrets.token_hex(16)
    g.began = time.perf_counter()
    logs.request_id.set(g.request_id)


def end(response: Response) -> Response:
    """Counts and logs: the route but not the path, whose id opens a result; the address only of who posts too much."""
    response.headers["X-Request-ID"] = g.request_id
    seconds, route = time.perf_counter() - g.began, _route()
    method = request.method if request.method in METHODS else "other"
    status = response.status_code
    metrics.of(metrics.REQUESTS, method, route, str(status)).inc()
    metrics.of(metrics.SECONDS, route).observe(seconds)
    if log.isEnabledFor(logging.INFO) and (route not in QUIET or status >= 400):
        fields = {"method": method, "route": route, "status": status, "milliseconds": round(seconds * 1e3, 1)}
        if reason := g.get("reason"):
            fields["reason"] = reason
        if reason == "rate-limited":
            fields["client"] = request.remote_addr
        # Not `log.info`, which looks for who called it, and takes as long again.
        log.handle(log.makeRecord(log.name, logging.INFO, "", 0, "request", (), None, extra={"fields": fields}))
    return response


def forget(_error: BaseException | None) -> None:
    logs.request_id.set(None)


def _route() -> str:
    return request.url_rule.rule if request.url_rule else "none"
