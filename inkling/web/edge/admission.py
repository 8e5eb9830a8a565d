"""Admission control: how many requests a worker works on at once, how many wait, and when one is refused as `busy`."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Flask, current_app

from inkling.config import Settings
from inkling.problems import Problem
from inkling.web.edge import metrics, ratelimit

ANSWERS = "answers"  # whatever decodes a picture or asks a model, except
DRAWINGS = "drawings"  # small requests that only models for drawings answer, in a few milliseconds
EXPLANATIONS = "explanations"
EXAMPLES = "examples"  # pictures to teach from, up to thousands in one request, and exports
LARGE_BODIES = "large bodies"  # text that a worker holds in memory as a whole
CHATS = "chats"  # answers of a language model that are passed on: they wait for its server and compute nothing here
BODIES = "bodies"  # all other bodies but small ones: a worker holds up to 11 MB of each, and the rest on disk


@dataclass(frozen=True)
class Share:
    """How many requests of one kind of work a worker runs, and how many wait for a turn."""

    running: int
    waiting: int


def shares(settings: Settings) -> dict[str, Share]:
    """The share of each kind of work. Each has its own, so that drawings never wait for photos or explanations."""
    return {
        ANSWERS: Share(settings.concurrent, settings.queue),
        DRAWINGS: Share(settings.concurrent, settings.queue),
        # An explanation takes about half a second. A fourth waiting request would exceed its time budget.
        EXPLANATIONS: Share(1, min(3, settings.queue)),
        # These take a core for as long as they run.
        EXAMPLES: Share(1, min(3, settings.queue)),
        # No request waits here: its client may still take a minute to send the body.
        LARGE_BODIES: Share(settings.concurrent, 0),
        CHATS: Share(settings.chat_streams, 0),
        BODIES: Share(64, 0),
    }


class Admission:
    """Admits as many requests for each kind of work as its share says, and of one client no more than its part."""

    def __init__(self, settings: Settings):
        self._turns = {work: Turns(share, settings.client_share) for work, share in shares(settings).items()}

    @contextmanager
    def turn(self, seconds: float, work: str, client: str = "") -> Iterator[None]:
        """Waits for a turn and holds it.

        Args:
            seconds: how long to wait at most.
            work: a key of `shares`.
            client: whose request it is; empty where nobody knows, and then without a limit of its own.

        Raises:
            Problem: "busy", when too many wait already or no turn comes in time.
        """
        turns = self._turns[work]
        turns.begin(seconds, client)
        try:
            yield
        finally:
            turns.end(client)


class Turns:
    """The turns of one kind of work. Nobody waits for a turn behind a client that holds its part of them.

    Args:
        share: how many run and wait.
        percent: the part of them that one client may hold.
    """

    def __init__(self, share: Share, percent: int):
        self._running_most, self._places = share.running, share.running + share.waiting
        self._client_running, self._client_places = (
            max(1, number * percent // 100) for number in (self._running_most, self._places)
        )
        self._running: Counter[str] = Counter()  # requests by client
        self._waiting: dict[threading.Event, str] = {}  # the client of each request, in the order of their arrival
        self._lock = threading.Lock()

    def begin(self, seconds: float, client: str) -> None:
        """Waits for a turn and takes it.

        Raises:
            Problem: "busy".
        """
        place = threading.Event()
        with self._lock:
            held = [*self._running.elements(), *self._waiting.values()]
            if len(held) >= self._places or (client and held.count(client) >= self._client_places):
                raise _busy()
            self._waiting[place] = client
            self._give()
        if not place.is_set():
            with metrics.WAITING.track_inprogress():
                place.wait(seconds)
            with self._lock:
                if self._waiting.pop(place, None) is not None:
                    raise _busy()

    def end(self, client: str) -> None:
        """Gives a turn back."""
        with self._lock:
            self._running[client] -= 1
            self._running += Counter()  # forgets clients that hold none
            self._give()

    def _give(self) -> None:
        """Gives the free turns to those who wait, and wakes nobody else."""
        while (place := self._next()) is not None:
            self._running[self._waiting.pop(place)] += 1
            place.set()

    def _next(self) -> threading.Event | None:
        """The place of the request that may run now: the first whose client does not hold its part already."""
        if self._running.total() >= self._running_most:
            return None
        for place, client in self._waiting.items():
            if not client or self._running[client] < self._client_running:
                return place
        return None


def init_app(app: Flask, settings: Settings) -> None:
    app.extensions["admission"] = Admission(settings)


@contextmanager
def turn(seconds: float, work: str = ANSWERS) -> Iterator[None]:
    """A turn of this app's admission control, as `Admission.turn`; the client pays for its time.

    Raises:
        Problem: "busy" as there; "rate-limited".
    """
    ratelimit.admit()
    with current_app.extensions["admission"].turn(seconds, work, ratelimit.client()):
        began = time.monotonic()
        try:
            yield
        finally:
            if work not in (LARGE_BODIES, BODIES, CHATS):  # their time is the network's
                ratelimit.charge((time.monotonic() - began) * ratelimit.SECOND)


def _busy() -> Problem:
    return Problem("busy", "The server is working on as many requests as it can. Try again in a few seconds.")
