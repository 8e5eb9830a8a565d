"""The time that one request, or one file of the command line, has for waiting and for decoding."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from inkling.problems import Problem

RESERVE = 0.5  # seconds that a request needs after its last picture, to answer and to store the results


class Budget:
    """Seconds that run from now on, shared by everything that one request waits for and decodes.

    The first picture is read even if the time is over, provided that decoding it is cheap ("plain"): a visitor who has
    waited in the queue still gets an answer. Further pictures are read while more than `RESERVE` is left.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._has_read_one = False

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self._end - time.monotonic())

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Context in which one picture is read.

        Raises:
            Problem: "late", when this request has read a picture before and too little time is left for another.
        """
        if self._has_read_one and self.left < RESERVE:
            raise late()
        yield
        self._has_read_one = True


def late() -> Problem:
    """The refusal of a picture for which the request has no time left."""
    return Problem(
        "late",
        "Waiting in the queue and the pictures before this one used up the time of the request. "
        "Send this picture again in a request of its own.",
    )
