"""Decodes pictures in separate processes that are limited in memory and time, and can crash without harm.

A decoder process is started when it is first needed, decodes one picture after the other, and ends when it has been
idle for a minute. `sandboxed` is the program that it runs.
"""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from functools import cache
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from PIL import Image

from inkling.pictures.budget import late
from inkling.pictures.decode import Job, too_costly
from inkling.problems import REASONS, Problem

IMPORT_FOLDER = Path(__file__).resolve().parents[2]  # where `inkling` lies
OVERRUN = (-signal.SIGPROF, -signal.SIGKILL)  # by the kernel: for processor time, or because memory is short
HEADER_BYTES = 2**16  # most that a message holds beside its pixels
LOG = logging.getLogger(__name__)


def decode(data: bytes, job: Job, megabytes: int, hurried: bool = False) -> Image.Image:
    """Decodes a file in a decoder process.

    Args:
        megabytes: memory that the process may use.
        hurried: whether the job has less processor time than a picture usually gets.

    Returns:
        An upright RGB picture without metadata.

    Raises:
        Problem: what the decoder process refused; "too-large" if it took too much time or memory; "late" if it was
            hurried, or did not answer in time; "busy" if no process could be started.
        DecoderEnded: the process crashed, as it does on a damaged file.
    """
    if not job.cpu_seconds:
        raise late()
    try:
        answer, pixels = pool(megabytes).ask(job._asdict(), data)
    except DecoderEnded as error:
        if error.timed_out:
            raise Problem(
                "late", "The server was too busy to decode this picture in time. Try again in a few seconds."
            ) from error
        if error.overran:
            raise (late() if hurried else too_costly(job.format)) from error
        raise
    except OSError as error:
        raise Problem(
            "busy", "The server has no room for another decoder process. Try again in a few seconds."
        ) from error
    return _image(answer, pixels)


def _image(answer: dict, pixels: bytes | memoryview) -> Image.Image:
    """The picture in an answer, which is not trusted: bytes that take over a decoder may answer anything.

    Raises:
        Problem: the answer is a refusal.
        Exception: the answer is malformed.
    """
    if "refused" in answer:
        reason, message, received = answer["refused"]
        if reason not in REASONS:
            raise ValueError(f"no such reason: {reason}")
        raise Problem(reason, message, received)
    return Image.frombytes("RGB", answer["size"], pixels)


class DecoderEnded(Exception):
    """A decoder process ended without an answer.

    Attributes:
        status: 0 if it ended because it was idle, else its exit status, or minus the signal that ended it.
        timed_out: whether it was killed because it did not answer in time; other processes may have had the processor.
        overran: whether the kernel ended it, for its processor time or its memory.
    """

    def __init__(self, status: int, timed_out: bool = False) -> None:
        super().__init__(status, timed_out)
        self.status = status
        self.timed_out = timed_out
        self.overran = status in OVERRUN and not timed_out

    def __str__(self) -> str:
        return f"the decoder process ended with status {self.status}"


def send(connection: Connection, header: dict, data: bytes) -> None:
    """Sends one message: a header as JSON, and bytes."""
    connection.send_bytes(json.dumps(header).encode() + b"\n" + data)


def receive(connection: Connection, most: int | None = None) -> tuple[dict, memoryview]:
    """The header and the bytes of the next message.

    Args:
        most: bytes of the message.

    Raises:
        EOFError: the other end is closed.
        OSError: the message is longer than `most`.
        ValueError: it has no header.
    """
    message = connection.recv_bytes(most)
    end = message.index(b"\n")
    return json.loads(message[:end]), memoryview(message)[end + 1 :]


class Decoder:
    """One decoder process and the connection to it.

    Args:
        megabytes: memory that it may use.
    """

    def __init__(self, megabytes: int) -> None:
        self._connection, theirs = Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "inkling.pictures.sandboxed", str(theirs.fileno()), str(megabytes)],
                cwd=IMPORT_FOLDER,
                env=_environment(),
                pass_fds=[theirs.fileno()],
                process_group=0,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def ask(self, job: dict, data: bytes) -> tuple[dict, memoryview]:
        """The header and the pixels that it answers.

        Args:
            job: the fields of a `Job`.

        Raises:
            DecoderEnded: it took too much time or memory, or crashed.
        """
        timed_out = threading.Event()

        def kill() -> None:
            timed_out.set()
            self.process.kill()

        timer = threading.Timer(job["wall_seconds"], kill)
        timer.daemon = True
        timer.start()
        try:
            send(self._connection, job, data)
            return receive(self._connection, HEADER_BYTES + 3 * job["max_pixels"])
        except (EOFError, OSError, ValueError) as error:
            self._connection.close()  # makes a process that still runs end itself
            raise DecoderEnded(self.process.wait(), timed_out.is_set()) from error
        finally:
            timer.cancel()


class Pool:
    """Decoder processes: as many as have been busy at once, reused until they end for lack of work.

    Args:
        megabytes: memory that each may use.
    """

    def __init__(self, megabytes: int) -> None:
        self._megabytes = megabytes
        self._idle: list[Decoder] = []
        self._lock = threading.Lock()

    def ask(self, job: dict, data: bytes) -> tuple[dict, memoryview]:
        """What an idle or a new decoder process answers.

        Raises:
            DecoderEnded: it took too much time or memory, or crashed.
            OSError: no process can be started.
        """
        while (idle := self._take_idle()) is not None:
            try:
                return self._ask(idle, job, data)
            except DecoderEnded as error:
                if error.status:  # 0: it ended, being idle, before it read the request
                    raise
        return self._ask(Decoder(self._megabytes), job, data)

    def _take_idle(self) -> Decoder | None:
        with self._lock:
            while self._idle:
                if (idle := self._idle.pop()).is_alive():
                    return idle
        return None

    def _ask(self, decoder: Decoder, job: dict, data: bytes) -> tuple[dict, memoryview]:
        try:
            answer = decoder.ask(job, data)
        except DecoderEnded as error:
            if error.status:
                LOG.warning("A decoder process for %s ended with status %d.", job["format"], error.status)
            raise
        self._idle.append(decoder)
        return answer


@cache
def pool(megabytes: int) -> Pool:
    """The decoder processes of this process with this memory limit. The first starts on demand, so after any fork."""
    return Pool(megabytes)


def _environment() -> dict[str, str]:
    """This environment without Inkling's settings, some of which are secret, and with one heap for all threads."""
    return {name: value for name, value in os.environ.items() if not name.startswith("INKLING_")} | {
        "MALLOC_ARENA_MAX": "1"  # each further heap would take memory
    }
