"""The access log: one line and one count for each request, and a request id that its response carries too."""

import logging
import random
import re
import time
from typing import Any

from flask import Flask, Response, current_app, g, request

from inkling.web import logs
from inkling.web.edge import clients, metrics

log = logging.getLogger("inkling.requests")

REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")  # ids accepted from a trusted proxy
METHODS = {"GET", "HEAD", "OPTIONS", "POST"}  # any other counts as "other": a client could invent more
# Machines ask for these every few seconds, or with every page.
QUIET = {*clients.FOR_OPERATORS, "/static/<path:filename>"}


def init_app(app: Flask) -> None:
    app.before_request(begin)
    app.after_request(end)
    app.teardown_request(forget)
    # Flask's own message has the path, and a path may hold the id that opens a result.
    app.log_exception = log_exception  # type: ignore[assignment, method-assign]


def log_exception(error: Any) -> None:
    """Logs a traceback with the route."""
    current_app.logger.error("Exception in %s", _route(), exc_info=error)


def begin() -> None:
    """Starts the clock and gives the request its id: a trusted proxy's, or a new one."""
    received = request.headers.get("X-Request-ID", "")
    g.request_id = received if REQUEST_ID.fullmatch(received) else f"{random.getrandbits(128):032x}"
    g.began = time.perf_counter()
    logs.request_id.set(g.request_id)


def end(response: Response) -> Response:
    """Counts the request and logs it.

    The line has the route instead of the path, whose id opens a result. It has the client's address only where the
    client is over a rate limit.
    """
    response.headers["X-Request-ID"] = g.request_id
    seconds, route = time.perf_counter() - g.began, _route()
    method = request.method if request.method in METHODS else "other"
    status = response.status_code
    metrics.labeled(metrics.REQUESTS, method, route, str(status)).inc()
    metrics.labeled(metrics.SECONDS, route).observe(seconds)
    if log.isEnabledFor(logging.INFO) and (route not in QUIET or status >= 400):
        fields = {"method": method, "route": route, "status": status, "milliseconds": round(seconds * 1e3, 1)}
        if reason := g.get("reason"):
            fields["reason"] = reason
        if reason == "rate-limited":
            fields["client"] = request.remote_addr
        # Not `log.info`: it looks for its caller, which doubles the time that a line takes.
        log.handle(log.makeRecord(log.name, logging.INFO, "", 0, "request", (), None, extra={"fields": fields}))
    return response


def forget(_error: BaseException | None) -> None:
    """Takes the id away from the thread, which serves other requests next."""
    logs.request_id.set(None)


def _route() -> str:
    return request.url_rule.rule if request.url_rule else "none"
