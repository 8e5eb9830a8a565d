"""What a helper process runs (inkling/helper.py): `python -m inkling.decoder LINE MEGABYTES` decodes pictures.

It is the first to be ended where the machine runs short of memory, may write no file, and knows no setting.
"""

import resource
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from PIL import AvifImagePlugin
from pillow_heif import options, register_heif_opener

from inkling.pictures import reading, sandbox
from inkling.pictures.reading import Job
from inkling.problems import Problem

IDLE = 60.0  # seconds without a picture after which it goes
THREADS = 2  # of a decoder that uses several: each takes memory, whatever the number of cores


def main(line: Connection, megabytes: int) -> None:
    """Answers one picture after the other, until the line is closed or nothing comes for long."""
    _confine(megabytes)
    while line.poll(IDLE):
        words, data = sandbox.receive(line)
        job = Job(**words)
        signal.setitimer(signal.ITIMER_PROF, job.seconds)  # at its end the kernel ends this process
        words, pixels = _answer(data, job)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sandbox.send(line, words, pixels)


def _confine(megabytes: int) -> None:
    with suppress(OSError):  # where there is no such file, or it may not be written
        Path("/proc/self/oom_score_adj").write_text("1000")
    for limit, most in (
        (resource.RLIMIT_DATA, megabytes * 2**20),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        allowed = resource.getrlimit(limit)[1]
        most = most if allowed == resource.RLIM_INFINITY else min(most, allowed)
        resource.setrlimit(limit, (most, most))
    AvifImagePlugin.DEFAULT_MAX_THREADS = options.DECODE_THREADS = THREADS
    register_heif_opener()


def _answer(data: memoryview, job: Job) -> tuple[dict, bytes]:
    """The picture's size and pixels, or why not."""
    try:
        image = reading.decode(data, job)
        return {"size": image.size}, image.tobytes()
    except Problem as error:
        return {"rejected": [error.reason, error.message, error.received]}, b""


if __name__ == "__main__":
    with suppress(EOFError, OSError):  # whoever asked is gone
        main(Connection(int(sys.argv[1])), int(sys.argv[2]))
