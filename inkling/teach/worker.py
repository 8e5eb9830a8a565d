"""The process that trains: `python -m inkling.teach.worker`.

It runs one training after the other, at low priority, and ends when it has had nothing to do for a while, or
when the process that started it ends. Whenever it is killed, the training that it was at stays due, and the next
process does it again. Its libraries take seconds to load, so it first sees to it that it ends with its parent.
"""

import logging
import os
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inkling.teach.teaching import Teaching


NICE = 10  # answers come first, but a busy server still trains: it leaves about a tenth of a core
POLL_SECONDS = 0.1
IDLE_SECONDS = 30.0  # most changes follow another one sooner than that
log = logging.getLogger("inkling.teach")


def main() -> None:
    """Trains what is due, until nothing has been due for a while."""
    os.nice(NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from inkling.config import Settings
    from inkling.service import Service
    from inkling.teach import helper
    from inkling.teach.teaching import Teaching

    settings = Settings.from_env()
    teaching = Teaching(settings, Service.from_settings(settings), wake=lambda: None)
    _train(teaching)
    os.close(int(sys.argv[1]))  # the lock that the process which started this one had taken
    while teaching.storage.upcoming():  # whoever changed an example since saw the lock, and started no process
        with helper.lock(settings) as descriptor:
            if descriptor is None:
                return
            _train(teaching)


def _train(teaching: "Teaching") -> None:
    """Trains until nothing has been due for a while."""
    from inkling.storage import StoreError
    from inkling.teach.training import run_due

    since = time.monotonic()
    while time.monotonic() - since < IDLE_SECONDS:
        try:
            if teaching.storage.upcoming() and run_due(teaching):
                since = time.monotonic()
        except StoreError as error:
            log.warning("cannot train: %s", error)
            time.sleep(1)
        time.sleep(POLL_SECONDS)


def _end_with_parent() -> None:
    """Ends this process when the one that started it closes the pipe, which the kernel does when that ends."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
