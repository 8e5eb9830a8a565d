"""The rate limit: how many posts, and other requests that compute something, one client may send in a minute."""

import logging
import threading
import time
from collections import Counter

from flask import Flask, current_app, request
from flask.typing import ResponseReturnValue
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import FixedWindowRateLimiter

from inkling.config import Settings
from inkling.problems import Problem
from inkling.web.edge import errors, proxies
from inkling.web.edge.crosssite import SAFE_METHODS

log = logging.getLogger("inkling.rate")

REDIS_TIMEOUT = 1  # seconds
REDIS_RETRY = 30  # seconds until a Redis that did not answer is asked again
MINUTE = 60.0  # seconds


class Memory:
    """Counts requests by client in this process, in minutes that begin for all clients at once.

    `limits` has storage in memory too, but starts a thread a hundred times a second to expire clients one by one.
    """

    def __init__(self, most: int):
        self._most, self._lock = most, threading.Lock()
        self._counts: Counter[str] = Counter()
        self._end = 0.0

    def wait(self, client: str, count: bool = True) -> int | None:
        """As `Limiter.wait`."""
        now = time.monotonic()
        with self._lock:
            if now >= self._end:
                self._counts, self._end = Counter(), now + MINUTE
            allowed = self._counts[client] < self._most
            self._counts[client] += count
            return None if allowed else int(self._end - now) + 1


class Limiter:
    """Counts requests by client: in Redis where one is set and answers, else in this worker's memory.

    Args:
        most: requests that a client may send in a minute.
        name: keeps counts apart in Redis.
    """

    def __init__(self, settings: Settings, most: int, name: str = "LIMITER"):
        self._most = RateLimitItemPerMinute(most, namespace=name)
        self._memory = Memory(most)
        self._redis = (
            FixedWindowRateLimiter(
                storage_from_string(
                    settings.rate_storage,
                    wrap_exceptions=True,
                    socket_timeout=REDIS_TIMEOUT,
                    socket_connect_timeout=REDIS_TIMEOUT,
                )
            )
            if settings.rate_storage
            else None
        )
        self._retry_at = 0.0  # by time.monotonic

    def wait(self, client: str, count: bool = True) -> int | None:
        """Returns the seconds until the client may send a request; None if it may now.

        Args:
            count: whether this request counts.
        """
        if self._redis and time.monotonic() >= self._retry_at:
            try:
                return self._ask(self._redis, client, count)
            except StorageError as error:  # without Redis the service goes on
                self._retry_at = time.monotonic() + REDIS_RETRY
                log.warning("INKLING_RATE_STORAGE does not answer, so each worker counts by itself: %s", error)
        return self._memory.wait(client, count)

    def _ask(self, redis: FixedWindowRateLimiter, client: str, count: bool) -> int | None:
        if redis.hit(self._most, client) if count else redis.test(self._most, client):
            return None
        return max(1, int(redis.get_window_stats(self._most, client).reset_time - time.time()) + 1)


def init_app(app: Flask, settings: Settings) -> None:
    if not settings.rate_limit:
        return
    limiter = Limiter(settings, settings.rate_limit)

    def refuse() -> ResponseReturnValue | None:
        """Refuses with 429 beyond the limit, before the body is read."""
        if not _counts() or (seconds := limiter.wait(client())) is None:
            return None
        error = Problem(
            "rate-limited", f"One client may post {settings.rate_limit} times a minute. Try again in {seconds} seconds."
        )
        return errors.rejected(error, retry_after=seconds)

    app.before_request(refuse)


def _counts() -> bool:
    """Whether this request changes something, or computes something as its view's `computes` says."""
    view = current_app.view_functions.get(request.endpoint or "")
    return request.method not in SAFE_METHODS or getattr(view, "computes", lambda: False)()


def client() -> str:
    """The client that a request is counted for: its IPv4 address, or the network of its IPv6 address."""
    return proxies.client(request.remote_addr)
