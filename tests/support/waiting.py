"""Waits for what other threads and processes do."""

import time
from collections.abc import Callable

import pytest

POLL = 0.02  # seconds between two looks


def wait_until(condition: Callable[[], object], seconds: float = 120, message: Callable[[], str] = str) -> None:
    """Looks until a condition holds that nothing announces, and fails the test if it never does.

    Args:
        seconds: how long to wait; generous, because the machine may be busy.
        message: makes the text of the failure, such as the end of a log.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"still not true after {seconds} s: {message()}")
        time.sleep(POLL)
