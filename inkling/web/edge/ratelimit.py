"""How many posts a minute one client may send, and other requests that compute."""

import ipaddress
import logging
import threading
import time
from collections import Counter

from flask import Flask, current_app, request
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from inkling.config import Settings
from inkling.problems import Problem
from inkling.web.edge import errors, proxies

log = logging.getLogger("inkling.rate")

HOME = 64  # bits of an IPv6 address that a client is given; the rest are its own to choose
PATIENCE = 1  # seconds to wait for a Redis
AWAY = 30  # seconds for which one that did not answer is not asked again
MINUTE = 60.0  # in seconds


class Memory:
    """Counts posts by client in minutes that are the same for all, so that each is forgotten as a whole.

    The memory of `limits` starts a thread a hundred times a second to forget clients one by one.
    """

    def __init__(self, most: int):
        self._most, self._posts, self._end, self._lock = most, Counter(), 0.0, threading.Lock()

    def wait(self, client: str) -> int | None:
        """As `Posts.wait`."""
        now = time.monotonic()
        with self._lock:
            if now >= self._end:
                self._posts, self._end = Counter(), now + MINUTE
            self._posts[client] += 1
            return None if self._posts[client] <= self._most else int(self._end - now) + 1


class Posts:
    """Counts posts by client, in a Redis if there is one that answers, else in this worker's memory."""

    def __init__(self, settings: Settings):
        self._most = RateLimitItemPerMinute(settings.rate_limit)
        self._memory = Memory(settings.rate_limit)
        self._shared = (
            FixedWindowRateLimiter(
                storage_from_string(
                    settings.rate_storage,
                    wrap_exceptions=True,
                    socket_timeout=PATIENCE,
                    socket_connect_timeout=PATIENCE,
                )
            )
            if settings.rate_storage
            else None
        )
        self._back = 0.0  # when to ask the Redis again

    def wait(self, client: str) -> int | None:
        """Counts a post; the seconds after which the client may post again, None where it may now."""
        if self._shared and time.monotonic() >= self._back:
            try:
                return self._ask(client)
            except StorageError as error:  # a Redis that is away stops nobody
                self._back = time.monotonic() + AWAY
                log.warning("INKLING_RATE_STORAGE does not answer, each worker counts by itself: %s", error)
        return self._memory.wait(client)

    def _ask(self, client: str) -> int | None:
        """As `wait`, of the Redis."""
        if self._shared.hit(self._most, client):
            return None
        return max(1, int(self._shared.get_window_stats(self._most, client).reset_time - time.time()) + 1)


def init_app(app: Flask, settings: Settings) -> None:
    if not settings.rate_limit:
        return
    posts = Posts(settings)

    def refuse():
        """429 beyond the limit, before anything of the post is read."""
        if not _counts() or (seconds := posts.wait(_client())) is None:
            return None
        error = Problem(
            "rate-limited", f"One client may post {settings.rate_limit} times a minute. Try again in {seconds} seconds."
        )
        return errors.rejected(error, retry_after=seconds)

    app.before_request(refuse)


def _counts() -> bool:
    """Whether a request changes or computes something."""
    view = current_app.view_functions.get(request.endpoint)
    return request.method not in ("GET", "HEAD", "OPTIONS") or hasattr(view, "computes")


def _client() -> str:
    """Whom a post is counted for: an IPv4 address, or the network of an IPv6 one."""
    address = proxies.parsed((request.remote_addr or "").partition("%")[0])
    if address is None:
        return ""  # a socket that is a file has no addresses
    return str(address if address.version == 4 else ipaddress.ip_network((address, HOME), strict=False))
