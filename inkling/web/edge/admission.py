"""How many requests a worker works on at once: some do, a few wait, the rest are told to come back."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps

from flask import g, request

from inkling.config import Settings
from inkling.pictures.budget import Budget
from inkling.problems import Problem
from inkling.web import inkling
from inkling.web.edge import metrics


class Gate:
    """Lets `concurrent` requests through at once, and `queue` more wait."""

    def __init__(self, settings: Settings):
        self._turns = threading.Semaphore(settings.concurrent)
        self._places = threading.Semaphore(settings.concurrent + settings.queue)

    @contextmanager
    def turn(self, budget: Budget) -> Iterator[None]:
        """Waits for a turn and holds it; whoever enters has read the request, which a client may send slowly.

        Raises:
            Problem: "busy", when the queue is full or does not move.
        """
        if not self._places.acquire(blocking=False):
            raise _busy()
        try:
            self._wait(budget)
            try:
                yield
            finally:
                self._turns.release()
        finally:
            self._places.release()

    def _wait(self, budget: Budget) -> None:
        if self._turns.acquire(blocking=False):
            return
        with metrics.WAITING.track_inprogress():
            if not self._turns.acquire(timeout=budget.left):
                raise _busy()


@contextmanager
def turn() -> Iterator[Budget]:
    """A turn at this app's gate, and the time that the request has from now on, also as `g.budget`."""
    g.budget = Budget(inkling().settings.request_seconds)
    with inkling().gate.turn(g.budget):
        yield g.budget


def in_turn(view: Callable) -> Callable:
    """A view that works on a picture, as a whole, once its form is read."""

    @wraps(view)
    def waiting(*args, **kwargs):
        request.form  # noqa: B018  it is read here, for a client may send it slowly
        with turn():
            return view(*args, **kwargs)

    waiting.computes = True  # so that it counts as a post does
    return waiting


def _busy() -> Problem:
    return Problem("busy", "As many pictures as can be worked on are being worked on. Try again in a few seconds.")
