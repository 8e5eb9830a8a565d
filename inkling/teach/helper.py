"""Starts the process that trains, and makes sure that a machine has one at most.

`inkling.teach.worker` is the program that it runs. The lock is taken before the process starts, which inherits it: so a
second one is not even started while the first is still loading its libraries.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inkling.config import Settings
from inkling.storage import private
from inkling.storage.blobs import EXAMPLES
from inkling.storage.errors import StoreError, store_errors
from inkling.storage.locks import only_one

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
        """Starts the process, unless one runs on this machine. It looks for work by itself.

        One that is about to end releases the lock first, and then looks for work once more.
        """
        try:
            with lock(self._settings) as descriptor:
                if descriptor is not None:
                    self._start(descriptor)
        except (OSError, StoreError) as error:
            log.warning("the process that trains cannot be started: %s", error)

    def _start(self, descriptor: int) -> None:
        if self._process:
            self._process.poll()  # lets the kernel forget the one before
        self._process = subprocess.Popen(
            [sys.executable, "-m", "inkling.teach.worker", str(descriptor)],
            env=os.environ | _environment(self._settings),
            stdin=subprocess.PIPE,  # is closed when this process ends, and so ends that one
            pass_fds=[descriptor],
            process_group=0,
        )


@contextmanager
def lock(settings: Settings) -> Iterator[int | None]:
    """Yields a descriptor that holds the lock of whoever trains; None if another process has it.

    Raises:
        StoreError: the folder of the examples cannot be used.
    """
    folder = settings.pictures / EXAMPLES
    with store_errors():
        private.make_folder(settings.pictures)
        private.make_folder(folder)
    with only_one(folder) as descriptor:
        yield descriptor


def _environment(settings: Settings) -> dict[str, str]:
    """The settings that matter to training, as environment variables."""
    path = [str(IMPORT_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(path),
        "INKLING_MODELS": str(settings.models),
        "INKLING_PICTURES": str(settings.pictures),
        "INKLING_DATABASE_URL": settings.database_url,
        "INKLING_BLOBS": settings.blobs,
        "INKLING_PRECISION": settings.precision,
        "INKLING_THREADS": str(settings.threads),
        "INKLING_ENGINE": "local",  # a training's pictures would hold up the cluster's answers
        "INKLING_RUNTIME": "openvino",  # TensorFlow takes seconds to start
        "OPENBLAS_NUM_THREADS": "1",  # threads of low priority wait for each other: 60 s instead of 2 on a busy machine
        "WEB_CONCURRENCY": "1",  # it takes all cores that the workers leave it
    }
