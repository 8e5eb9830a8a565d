"""Starts the servers that are measured, sends them requests, and always ends them."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inkling.config import ROOT

PATIENCE = 300  # seconds within which a server must answer
INKLING = [sys.executable, "-m", "gunicorn", "app:app"]


class Server:
    """A running server.

    Attributes:
        seconds: from its start to its first answer with status 200.
    """

    def __init__(self, process: subprocess.Popen, port: int, log: Path):
        self.process, self.port, self.seconds, self._log = process, port, 0.0, log

    @property
    def workers(self) -> list[int]:
        """The PIDs of the processes that it started."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def processor_seconds(self) -> float:
        """The processor time that it and all processes under it have used."""
        waiting, ticks = [self.process.pid], 0
        while waiting:
            pid = waiting.pop()
            with suppress(OSError):  # it has ended
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += map(int, (task / "children").read_text().split())
        return ticks / os.sysconf("SC_CLK_TCK")

    def send(self, request: bytes, patience: float = PATIENCE) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Sends the bytes of a request over a new connection, and returns (status, headers, body) of the answer.

        Args:
            patience: seconds to wait for each part of the answer.
        """
        with socket.create_connection(("127.0.0.1", self.port), timeout=patience) as connection:
            connection.sendall(request)
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            return answer.status, answer.headers, answer.read()

    def answer(self, request: bytes, patience: float = PATIENCE) -> None:
        """Sends a request that must be answered with 200.

        Raises:
            RuntimeError: the status was another one.
            TimeoutError: no answer came within `patience` seconds.
        """
        status, _, body = self.send(request, patience)
        if status != 200:
            raise RuntimeError(f"the answer must be 200. Received: {status}, {body[:200]!r}")

    def wait(self, request: bytes) -> None:
        """Repeats a request until the answer is 200.

        Raises:
            RuntimeError: the server ended, or did not answer within `PATIENCE` seconds.
        """
        start = time.perf_counter()
        while True:
            try:
                if self.send(request)[0] == 200:
                    break
            except (OSError, http.client.HTTPException):
                pass
            if self.process.poll() is not None or time.perf_counter() - start > PATIENCE:
                raise RuntimeError(f"{self.process.args} does not answer:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.01)
        self.seconds = time.perf_counter() - start


def free_port() -> int:
    """A TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def post(path: str, body: bytes, kind: str) -> bytes:
    """The bytes of a POST request."""
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


def get(path: str) -> bytes:
    """The bytes of a GET request."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def forwarded(request: bytes, address: str, **headers: str) -> bytes:
    """The request as a proxy passes it on for the client with this address, with more headers."""
    line, _, rest = request.partition(b"\r\n")
    more = {"X-Forwarded-For": address, "Connection": "close"} | headers
    return b"\r\n".join([line, *(f"{name}: {value}".encode() for name, value in more.items()), rest])


@contextmanager
def running(command: list[str], folder: Path, first: bytes, **settings: str) -> Iterator[Server]:
    """Runs a server on a free port; the context starts when it has answered `first` with 200.

    Args:
        folder: where its pictures and its log go.
    """
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("INKLING_")}
    env |= {
        "PORT": str(port),
        "INKLING_HOST": "127.0.0.1",
        "INKLING_PICTURES": str(folder / "pictures"),
        "INKLING_RATE_LIMIT": "0",
        "INKLING_CLIENT_SHARE": "100",  # all requests come from one client
        "WEB_CONCURRENCY": str(os.cpu_count()),
    } | settings
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        server = Server(process, port, folder / "log")
        server.wait(first)
        yield server
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(40)
        with suppress(ProcessLookupError):  # only some servers leave workers behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def memory(pid: int) -> dict[str, float]:
    """The rows of `/proc/PID/smaps_rollup` in MB; Pss includes its share of memory that other processes use too."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) * 1024 / 1e6 for line in lines}
