"""Waits for other threads and processes."""

import time
from collections.abc import Callable

import pytest

POLL = 0.02  # seconds between two checks


def wait_until(condition: Callable[[], object], seconds: float = 120, message: Callable[[], str] = str) -> None:
    """Checks a condition until it holds, and fails the test if it never does.

    Args:
        seconds: how long to wait; generous, because the machine may be busy.
        message: returns the text of the failure, such as the end of a log.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            pytest.fail(f"still not true after {seconds} s: {message()}")
        time.sleep(POLL)
