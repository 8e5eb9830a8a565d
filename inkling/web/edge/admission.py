"""Admission control: how many requests a worker works on at once, how many wait, and when one is refused as `busy`."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Flask, current_app

from inkling.config import Settings
from inkling.problems import Problem
from inkling.web.edge import metrics

ANSWERS = "answers"  # whatever decodes a picture or asks a model
EXPLANATIONS = "explanations"
EXAMPLES = "examples"  # pictures to teach from, up to thousands in one request, and exports
LARGE_BODIES = "large bodies"  # text that a worker holds in memory as a whole


@dataclass(frozen=True)
class Share:
    """How many requests of one kind of work a worker runs, and how many wait for a turn."""

    running: int
    waiting: int


def shares(settings: Settings) -> dict[str, Share]:
    """The share of each kind of work. Each has its own, so that answers never wait for explanations."""
    return {
        ANSWERS: Share(settings.concurrent, settings.queue),
        # An explanation takes about half a second. A fourth waiting request would exceed its time budget.
        EXPLANATIONS: Share(1, min(3, settings.queue)),
        # These take a core for as long as they run.
        EXAMPLES: Share(1, min(3, settings.queue)),
        # No request waits here: its client may still take a minute to send the body.
        LARGE_BODIES: Share(settings.concurrent, 0),
    }


class Admission:
    """Admits as many requests for each kind of work as its share says."""

    def __init__(self, settings: Settings):
        self._running = {work: threading.Semaphore(share.running) for work, share in shares(settings).items()}
        self._admitted = {
            work: threading.Semaphore(share.running + share.waiting) for work, share in shares(settings).items()
        }

    @contextmanager
    def turn(self, seconds: float, work: str) -> Iterator[None]:
        """Waits for a turn and holds it.

        Args:
            seconds: how long to wait at most.
            work: a key of `shares`.

        Raises:
            Problem: "busy", when too many wait already or no turn comes in time.
        """
        if not self._admitted[work].acquire(blocking=False):
            raise _busy()
        try:
            self._wait(seconds, self._running[work])
            try:
                yield
            finally:
                self._running[work].release()
        finally:
            self._admitted[work].release()

    def _wait(self, seconds: float, running: threading.Semaphore) -> None:
        if running.acquire(blocking=False):
            return
        with metrics.WAITING.track_inprogress():
            if not running.acquire(timeout=seconds):
                raise _busy()


def init_app(app: Flask, settings: Settings) -> None:
    app.extensions["admission"] = Admission(settings)


@contextmanager
def turn(seconds: float, work: str = ANSWERS) -> Iterator[None]:
    """A turn of this app's admission control, as `Admission.turn`."""
    with current_app.extensions["admission"].turn(seconds, work):
        yield


def _busy() -> Problem:
    return Problem("busy", "The server is working on as many requests as it can. Try again in a few seconds.")
