"""Moves `time.time` ahead by the seconds written in the file that the variable CLOCK names.

Python imports this module at its start if PYTHONPATH names this folder: a test can set a server's clock.
"""

import os
import time

_system_time = time.time


def _shifted_time() -> float:
    try:
        with open(os.environ["CLOCK"]) as file:
            return _system_time() + float(file.read() or 0)
    except FileNotFoundError:
        return _system_time()


time.time = _shifted_time
