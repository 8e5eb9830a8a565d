"""Doing without what failed, for a while: a second after the first failure, twice as long after each further one."""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("inkling.pause")

FIRST, LONGEST = 1.0, 8.0  # seconds


class Pause:
    """Who tries what may fail, fails at once while it pauses; then one at a time finds out whether it works again."""

    def __init__(self, what: str, failure: type[Exception]):
        self._what, self._failure = what, failure
        self.why: str | None = None  # it pauses
        self._lock = threading.Lock()
        self._count, self._seconds, self._until = 0, 0.0, 0.0

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Around a try; a `failure` in it begins a pause or makes it longer.

        Raises:
            failure: as the last one, while it pauses.
        """
        count = self._begin()
        try:
            yield
        except self._failure as error:
            self._failed(str(error), count)
            raise
        self._worked()

    def _begin(self) -> int:
        with self._lock:
            if self.why:
                if time.monotonic() < self._until:
                    raise self._failure(self.why)
                self._until = time.monotonic() + self._seconds  # the others wait for this one
            return self._count

    def _failed(self, why: str, count: int) -> None:
        with self._lock:
            if not self.why:
                log.warning("%s is off: %s", self._what, why)
            if count == self._count:  # of those that failed together, only the first makes it longer
                self._seconds = min(2 * self._seconds or FIRST, LONGEST)
                self._count += 1
            self.why, self._until = why, time.monotonic() + self._seconds

    def _worked(self) -> None:
        with self._lock:
            if self.why:
                log.warning("%s is on again", self._what)
            self.why, self._seconds = None, 0.0
