"""A circuit breaker: stops calls to something that fails, and probes for its recovery.

See Michael Nygard, "Release It!" (2007), and https://martinfowler.com/bliki/CircuitBreaker.html.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("inkling.breaker")

FIRST_DELAY, LONGEST_DELAY = 1.0, 8.0  # seconds that the circuit stays open; doubled after each failed probe


class CircuitBreaker:
    """Guards calls that may fail.

    The circuit opens at the first failure. While it is open, calls fail at once. After a delay, one caller at a time
    may probe: its success closes the circuit, its failure doubles the delay.

    Args:
        name: names the guarded operation in the log.
        failure: the exception that counts as a failure.
    """

    def __init__(self, name: str, failure: type[Exception]):
        self._name, self._failure = name, failure
        self.last_failure: str | None = None  # message of the last failure while the circuit is open, else None
        self._lock = threading.Lock()
        self._failures, self._delay, self._probe_at = 0, 0.0, 0.0

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Wraps one call; a `failure` raised inside opens the circuit or keeps it open.

        Raises:
            failure: with the last failure's message, while the circuit is open.
        """
        failures = self._admit()
        try:
            yield
        except self._failure as error:
            self._open(str(error), failures)
            raise
        self._close()

    def _admit(self) -> int:
        """Lets a call pass; returns the number of failures so far."""
        with self._lock:
            if self.last_failure:
                if time.monotonic() < self._probe_at:
                    raise self._failure(self.last_failure)
                self._probe_at = time.monotonic() + self._delay  # this call is the probe; others keep failing
            return self._failures

    def _open(self, message: str, failures: int) -> None:
        with self._lock:
            if not self.last_failure:
                log.warning("%s is off: %s", self._name, message)
            if failures == self._failures:  # calls that fail together double the delay only once
                self._delay = min(2 * self._delay or FIRST_DELAY, LONGEST_DELAY)
                self._failures += 1
            self.last_failure, self._probe_at = message, time.monotonic() + self._delay

    def _close(self) -> None:
        with self._lock:
            if self.last_failure:
                log.warning("%s is on again", self._name)
            self.last_failure, self._delay = None, 0.0
