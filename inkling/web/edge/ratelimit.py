"""The rate limit: how much work one client may cause in a minute, counted in points.

A request that changes something, takes a turn or renders a page that is not cached costs one point. Each further
picture, each MiB of its body and each tenth of a second of its turns cost one more. The price is known when the work is
done. So a client with a point left is served, and pays what its request turns out to cost.
"""

import logging
import math
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

from flask import Flask, current_app, g, request
from limits import RateLimitItemPerMinute
from limits.errors import StorageError
from limits.storage import Storage, storage_from_string

from inkling import access
from inkling.access import Credential
from inkling.config import Settings
from inkling.problems import Problem
from inkling.web.edge import metrics, proxies
from inkling.web.edge.crosssite import SAFE_METHODS

log = logging.getLogger("inkling.rate")

REDIS_TIMEOUT = 1  # seconds
REDIS_RETRY = 30  # seconds until a Redis that did not answer is asked again
MINUTE, DAY = 60, 24 * 60 * 60  # seconds
MIB = 2**20  # bytes that cost a point
SECOND = 10.0  # points that a second of a turn costs
RECEIVED = "inkling.received"  # in the environment: bytes received of a body of unknown length


@dataclass(frozen=True)
class Used:
    """What a client has used in the current period, such as a minute.

    Attributes:
        points: before the charge that this is the answer to.
        seconds: until the next period begins.
    """

    points: int
    seconds: int


class Memory:
    """Counts points by client in this process, in periods that begin for all clients at once.

    `limits` has storage in memory too, but starts a thread a hundred times a second to expire clients one by one.
    """

    def __init__(self, period: int) -> None:
        self._period = period
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._end = 0.0

    def charge(self, client: str, points: int) -> Used:
        """As `Limiter.charge`."""
        now = time.monotonic()
        with self._lock:
            if now >= self._end:
                self._counts, self._end = Counter(), now + self._period
            before = self._counts[client]
            self._counts[client] += points
            return Used(before, int(self._end - now) + 1)


class Limiter:
    """Counts points by client: in Redis where one is set and answers, else in this worker's memory.

    Args:
        most: points that a client may use in a period.
        name: keeps counts apart in Redis.
        period: seconds, whole minutes.
    """

    def __init__(self, settings: Settings, most: int, name: str = "LIMITER", period: int = MINUTE):
        self.most = most
        self._period = period
        self._item = RateLimitItemPerMinute(most, period // MINUTE, namespace=name)
        self._memory = Memory(period)
        self._redis: Storage | None = None
        if settings.rate_storage:
            timeouts: dict[str, Any] = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), REDIS_TIMEOUT)
            redis = storage_from_string(settings.rate_storage, wrap_exceptions=True, **timeouts)
            self._redis = cast(Storage, redis)  # not its asynchronous twin
        self._retry_at = 0.0  # by time.monotonic

    def exceeded(self, client: str, points: int = 0, most: int | None = None) -> Used | None:
        """Charges points; returns what the client had used before if that is all it may use, else None.

        Args:
            most: what it may use, if that is not `self.most`.
        """
        used = self.charge(client, points)
        return used if used.points >= (most or self.most) else None

    def charge(self, client: str, points: int) -> Used:
        """Charges points, however many the client has left; returns what it had used before."""
        if self._redis and time.monotonic() >= self._retry_at:
            try:
                # Not a strategy's `hit`, which says whether a cost is within the limit, but not how much was used.
                key = self._item.key_for(client)
                before = self._redis.incr(key, self._period, points) - points
                seconds = self._redis.get_expiry(key) - time.time() if before >= self.most else 0
                return Used(before, max(1, int(seconds) + 1))
            except StorageError as error:  # without Redis the service goes on
                self._retry_at = time.monotonic() + REDIS_RETRY
                log.warning("INKLING_RATE_STORAGE does not answer, so each worker counts by itself: %s", error)
        return self._memory.charge(client, points)


def init_app(app: Flask, settings: Settings) -> None:
    app.extensions["points"] = Limiter(settings, settings.rate_limit) if settings.rate_limit else None
    app.extensions["token points"] = Limiter(settings, 1, "tokens")
    app.before_request(admit_change)
    app.teardown_request(settle)


def admit_change() -> None:
    """Admits or refuses a request that changes something, before its body is read."""
    if request.method not in SAFE_METHODS:
        admit()


@dataclass(frozen=True)
class Payer:
    """What the points of a request count for: its client, or a limit of its token, and the token's day.

    Attributes:
        limiter: of the minute; None without a limit.
        most: points of the minute.
        credential: the token or session of the request; None without one.
    """

    limiter: Limiter | None
    name: str
    most: int
    credential: Credential | None

    def pay(self, points: int) -> None:
        """Charges points.

        Raises:
            Problem: "rate-limited", when there was none left. They are charged all the same.
        """
        token = self.credential
        if token:
            metrics.labeled(metrics.TOKEN_POINTS, *metrics.token(token.payer, token.owner)).inc(points)
        if token and token.quota.day:
            used, seconds = access.use_today(_tokens(), token.payer, points)
            if used >= token.quota.day:
                raise _refusal("This token may use", token.quota.day, "a day", Used(used, seconds))
        if self.limiter and (now := self.limiter.exceeded(self.name, points, self.most)):
            raise _refusal(
                f"{'This token' if self.name != client() else 'One client'} may use", self.most, "a minute", now
            )


def admit() -> None:
    """Charges the request its first point, unless it was charged before.

    A token with a limit of its own pays by that; other requests by their client's.

    Raises:
        Problem: "rate-limited", when its client or its token has no point left.
        Unauthorized, StoreError: it has a token that is not valid, or that cannot be read.
    """
    if "points" in g:
        return
    credential: Credential | None = current_app.extensions["credential"]()
    if credential and credential.quota.minute:
        limiter = current_app.extensions["token points"]
        g.payer = Payer(limiter, f"token {credential.payer}", credential.quota.minute, credential)
    else:
        limiter = current_app.extensions["points"]
        g.payer = Payer(limiter, client(), limiter.most if limiter else 0, credential)
    g.payer.pay(1)
    g.points = 0.0


def _refusal(who: str, most: int, span: str, used: Used) -> Problem:
    return Problem(
        "rate-limited",
        f"{who} {_count(most, 'point')} {span}. Used: {used.points}. Try again in {_count(used.seconds, 'second')}.",
        retry_after=used.seconds,
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def charge(points: float) -> None:
    """Adds to what this request costs beyond its first point."""
    if "points" in g:
        g.points += points


def waive() -> None:
    """Makes this request cost its first point only: limits of its own bound what it does."""
    if "points" in g:
        g.points = -math.inf


def settle(_error: BaseException | None) -> None:
    """Charges what an admitted request has cost beyond its first point."""
    if "points" not in g:
        return
    size = request.content_length or request.environ.get(RECEIVED, 0)
    if (points := g.pop("points") + size / MIB) >= 1:
        with suppress(Problem):  # it was admitted; the next one is refused
            g.payer.pay(int(points))


def _tokens() -> Any:
    """The storage's tokens; the edge does not import storage."""
    return current_app.extensions["inkling"].storage.tokens


def client() -> str:
    """The client that a request is counted for: its IPv4 address, or the network of its IPv6 address."""
    return proxies.client(request.remote_addr)
