"""Starts gunicorn as the Procfile does, and sends requests to it."""

import http.client
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import servers
from benchmarks.pictures import form
from benchmarks.servers import INKLING as START
from benchmarks.servers import free_port
from inkling.config import ROOT
from tests.support.waiting import wait_until

WORKERS = 2
PLUGIN = "openvino_intel_cpu_plugin"  # OpenVINO's library that is loaded when a model is open

Answer = tuple[int, http.client.HTTPMessage, bytes]


class Server(servers.Server):
    """A running gunicorn and its log."""

    @property
    def log(self) -> str:
        return self._log.read_text()

    def request(self, method: str, path: str, body=None, headers=None) -> Answer:
        """Sends one request on a connection of its own and returns (status, headers, body)."""
        return request(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60), method, path, body, headers)

    def upload(self, data: bytes, name: str, model: str) -> Answer:
        """Sends the photo form as a browser does."""
        body, kind = form(data, name, model=model)
        return self.request("POST", "/predict", body, {"Content-Type": kind})


def request(connection: http.client.HTTPConnection, method: str, path: str, body=None, headers=None) -> Answer:
    """Sends one request, closes the connection and returns (status, headers, body)."""
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def environment(pictures: Path, **changes: str) -> dict[str, str]:
    """The environment of this process without its settings, except for INKLING_MODELS.

    INKLING_REQUEST_SECONDS is long enough for a busy machine, and all requests of a test may come from one client.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if name == "INKLING_MODELS" or not name.startswith(("INKLING_", "WEB_CONCURRENCY", "PORT", "GUNICORN"))
    }
    ours = {"INKLING_PICTURES": str(pictures), "INKLING_REQUEST_SECONDS": "60", "INKLING_CLIENT_SHARE": "100"}
    return env | ours | changes


def wait_for_answer(server: Server, path: str = "/healthz") -> None:
    """Waits until the server answers. Fails the test as soon as its process has ended."""

    def answers() -> bool:
        try:
            server.request("GET", path)
        except OSError:
            if server.process.poll() is not None:
                pytest.fail(f"gunicorn has ended:\n{server.log[-3000:]}")
            return False
        return True

    wait_until(answers, message=lambda: server.log[-3000:])


@contextmanager
def running(folder: Path, terminal: int | None = None, before: Sequence[str] = (), **changes: str) -> Iterator[Server]:
    """Starts gunicorn, waits for its first answer, and stops it at the end.

    Args:
        folder: for the log and the pictures.
        terminal: descriptor of a terminal for what it prints; by default that goes to the log too.
        before: a command that runs the command after it.
        changes: variables of its environment.
    """
    port = free_port()
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*before, *START],
            cwd=ROOT,
            stdout=output if terminal is None else terminal,
            stderr=output,
            env=environment(folder / "pictures", **{"PORT": str(port), "WEB_CONCURRENCY": str(WORKERS)} | changes),
        )
    try:
        server = Server(process, port, log)
        wait_for_answer(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_workers(server: Server, without: tuple[int, ...] | list[int] = ()) -> None:
    """Waits until all workers serve and none of them is one of those given."""

    def all_serve() -> bool:
        workers = server.workers
        return len(workers) >= WORKERS and not set(without) & set(workers) and all(map(_serves, workers))

    wait_until(all_serve, message=lambda: server.log[-3000:])


def _serves(pid: int) -> bool:
    """Whether a worker waits for connections, which it does once all of its models are open."""
    process = Path(f"/proc/{pid}")
    try:
        files = [file.read_text() for file in process.glob("fdinfo/*")]
        watched = [number for file in files for number in re.findall(r"tfd:\s+(\d+)", file)]
        return any(os.readlink(process / "fd" / number).startswith("socket:") for number in watched)
    except OSError:  # the process has just ended, or closed one of its files
        return False


def classify(server: Server, data: bytes, model: str, headers: dict[str, str] | None = None) -> Answer:
    """Sends a picture to the API."""
    body, kind = form(data, "private-name.png")
    return server.request("POST", f"/api/predict?model={model}", body, {"Content-Type": kind} | (headers or {}))


def metrics(server: Server) -> dict[str, float]:
    """Returns the samples of /metrics: a mapping from name and labels, as written, to value."""
    lines = server.request("GET", "/metrics")[2].decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def log_lines(server: Server) -> list[dict]:
    """The lines of a server's log that are written to their end."""
    return [json.loads(line) for line in server.log.splitlines(keepends=True) if line.endswith("\n")]


def concurrently(count: int, call: Callable[[], Answer]) -> list[Answer]:
    """Calls a function several times, up to eight at a time, and returns the results."""
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda _: call(), range(count)))
