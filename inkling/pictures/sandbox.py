"""Processes that decode for this one: started when needed, held to a memory limit, killed when one takes too long."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from functools import cache
from multiprocessing.connection import Connection, Pipe

from inkling.config import ROOT

OVERRUN = (-signal.SIGPROF, -signal.SIGKILL)  # by the kernel: for its time, where memory is short
WORDS = 2**16  # bytes of an answer beside its pixels, at most
LOG = logging.getLogger(__name__)


class Ended(Exception):
    """The process has ended without an answer.

    Attributes:
        status: 0 when it went because it had nothing to do, else its exit status, or minus the signal that ended it.
        late: whether its time was over on the clock, while others had the processor.
        overrun: whether it took too much of its own.
    """

    def __init__(self, status: int, late: bool = False):
        super().__init__(f"the process has ended with status {status}")
        self.status = status
        self.late = late
        self.overrun = status in OVERRUN and not late


def send(line: Connection, words: dict, data: bytes) -> None:
    """One message: words as JSON, and bytes."""
    line.send_bytes(json.dumps(words).encode() + b"\n" + data)


def receive(line: Connection, most: int | None = None) -> tuple[dict, memoryview]:
    """The next message's words and bytes.

    Raises:
        EOFError: the line's other end is closed.
        OSError: the message has more than `most` bytes.
    """
    message = line.recv_bytes(most)
    end = message.index(b"\n")
    return json.loads(message[:end]), memoryview(message)[end + 1 :]


class Helper:
    """A process that runs `inkling.pictures.sandboxed`, with a line to it."""

    def __init__(self, megabytes: int):
        self._line, theirs = Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "inkling.pictures.sandboxed", str(theirs.fileno()), str(megabytes)],
                cwd=ROOT,
                env=_environment(),
                pass_fds=[theirs.fileno()],
                process_group=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def lives(self) -> bool:
        return self.process.poll() is None

    def ask(self, job: dict, data: bytes) -> tuple[dict, memoryview]:
        """What it answers: words and bytes.

        Args:
            job: the fields of an `intake.Job`.

        Raises:
            Ended: it took more time or memory than it may, or has crashed.
        """
        late = threading.Event()
        watch = threading.Timer(job["clock"], lambda: (late.set(), self.process.kill()))
        watch.daemon = True
        watch.start()
        try:
            send(self._line, job, data)
            return receive(self._line, WORDS + 3 * job["max_pixels"])
        except (EOFError, OSError, ValueError) as error:  # the last where what came is no message
            self._line.close()  # so that it goes if it is still there
            raise Ended(self.process.wait(), late=late.is_set()) from error
        finally:
            watch.cancel()


class Pool:
    """As many helpers as there are requests at once, kept for the next ones; each goes when it has had none for long.

    Args:
        megabytes: memory that one may take.
    """

    def __init__(self, megabytes: int):
        self._megabytes = megabytes
        self._idle: list[Helper] = []
        self._lock = threading.Lock()

    def ask(self, job: dict, data: bytes) -> tuple[dict, memoryview]:
        """A helper's answer.

        Raises:
            Ended: it took more time or memory than it may, or has crashed.
        """
        while (waiting := self._waiting()) is not None:
            try:
                return self._ask(waiting, job, data)
            except Ended as error:
                if error.status:  # else it went while it was asked
                    raise
        return self._ask(Helper(self._megabytes), job, data)

    def _waiting(self) -> Helper | None:
        """One that has nothing to do and is still there."""
        with self._lock:
            while self._idle:
                if (waiting := self._idle.pop()).lives():
                    return waiting
        return None

    def _ask(self, helper: Helper, job: dict, data: bytes) -> tuple[dict, memoryview]:
        try:
            answer = helper.ask(job, data)
        except Ended as error:
            if error.status:
                LOG.warning("A decoder of %s has ended with status %d.", job["kind"], error.status)
            raise
        self._idle.append(helper)
        return answer


@cache
def pool(megabytes: int) -> Pool:
    """This process's helpers of this limit; none is started before it is asked, which is after a fork."""
    return Pool(megabytes)


def _environment() -> dict[str, str]:
    """Ours without the settings, some of which are secret; with one heap for all threads, which saves memory."""
    return {name: value for name, value in os.environ.items() if not name.startswith("INKLING_")} | {
        "MALLOC_ARENA_MAX": "1"
    }
