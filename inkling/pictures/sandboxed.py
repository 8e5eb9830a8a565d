"""The program of a decoder process: `python -m inkling.pictures.sandboxed FD MEGABYTES` decodes pictures for `sandbox`.

It may write no file, knows no setting, and is the first process that the kernel ends when the machine is out of memory.
"""

import resource
import signal
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

from pi_heif import options, register_heif_opener
from PIL import AvifImagePlugin

from inkling.pictures import sandbox
from inkling.pictures.decode import Job, decode
from inkling.problems import Problem

IDLE = 60.0  # seconds without work after which the process ends
THREADS = 2  # of the AVIF and HEIF decoders: each takes memory, and by default there is one per core


def main(connection: Connection, megabytes: int) -> None:
    """Decodes one picture after the other, until the connection is closed or nothing has come for `IDLE` seconds."""
    _confine(megabytes)
    while connection.poll(IDLE):
        header, data = sandbox.receive(connection)
        job = Job(**header)
        signal.setitimer(signal.ITIMER_PROF, job.cpu_seconds)  # the kernel ends the process when it runs out
        header, pixels = _answer(data, job)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sandbox.send(connection, header, pixels)


def _confine(megabytes: int) -> None:
    with suppress(OSError):  # the file is Linux's, and a container may forbid writing it
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
    """The header and the pixels of the answer: the picture, or the refusal."""
    try:
        image = decode(data, job)
        return {"size": image.size}, image.tobytes()
    except Problem as error:
        return {"refused": [error.reason, error.message, error.received]}, b""


if __name__ == "__main__":
    with suppress(EOFError, OSError):  # the process that asks is gone
        main(Connection(int(sys.argv[1])), int(sys.argv[2]))
