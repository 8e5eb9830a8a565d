"""The time budget of one request, or of one file of the command line, for waiting and decoding."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from inkling.problems import Problem

RESERVE = 0.5  # seconds that a request needs after its last picture, to answer and to store the results


class Budget:
    """A number of seconds from now, shared by all waiting and decoding of one request.

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
        """Returns a context manager for reading one picture.

        Raises:
            Problem: "late", when this request has read a picture before and too little time is left for another.
        """
        if self._has_read_one and self.left < RESERVE:
            raise late()
        yield
        self._has_read_one = True


def late() -> Problem:
    """The refusal of a picture because the request's time is over."""
    return Problem(
        "late",
        "Waiting in the queue and the pictures before this one used up the time of the request. "
        "Send this picture again in a request of its own.",
    )
