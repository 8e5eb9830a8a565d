"""Starts the process that trains, and makes sure that a machine has one at most.

`inkling.teach.worker` is the program that it runs.
"""

import fcntl
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inkling.config import Settings
from inkling.storage.blobs import EXAMPLES

IMPORT_FOLDER = Path(__file__).resolve().parents[2]  # where `inkling` lies
log = logging.getLogger("inkling.teach")


class Helper:
    """Starts the process that trains, unless one runs.

    Args:
        settings: those that the process gets.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._process: subprocess.Popen | None = None

    def wake(self) -> None:
        """Starts the process, unless one runs on this machine. It looks for work by itself."""
        if self._process:
            self._process.poll()  # lets the kernel forget one that has ended
        with _locked(self._settings, fcntl.LOCK_SH) as free:
            if not free:
                return  # that process looks for work once more after it has released the lock
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "inkling.teach.worker"],
                env=os.environ | _environment(self._settings),
                stdin=subprocess.PIPE,  # is closed when this process ends, and so ends that one
                process_group=0,
            )
        except OSError as error:
            log.warning("the process that trains cannot be started: %s", error)


@contextmanager
def only_one(settings: Settings) -> Iterator[bool]:
    """Yields whether no other process of this machine trains."""
    with _locked(settings, fcntl.LOCK_EX) as free:
        yield free


@contextmanager
def _locked(settings: Settings, kind: int) -> Iterator[bool]:
    """Yields whether the lock was free. The folder itself is locked: a full disk takes no lock file."""
    folder = settings.pictures / EXAMPLES
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def _environment(settings: Settings) -> dict[str, str]:
    """The settings that matter to training, as environment variables."""
    path = [str(IMPORT_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(path),
        "INKLING_MODELS": str(settings.models),
        "INKLING_PICTURES": str(settings.pictures),
        "INKLING_DATABASE_URL": settings.database_url,
        "INKLING_PRECISION": settings.precision,
        "INKLING_THREADS": str(settings.threads),
        "INKLING_RUNTIME": "openvino",  # TensorFlow takes seconds to start
        "WEB_CONCURRENCY": "1",  # it takes all cores that the workers leave it
    }
