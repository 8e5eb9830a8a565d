"""A gunicorn to test with, started as the Procfile does, and what to ask of it."""

import http.client
import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import servers
from benchmarks.pictures import form
from benchmarks.servers import INKLING as START
from benchmarks.servers import free_port
from inkling.config import ROOT
from tests.net import ask

WORKERS = 2
PLUGIN = "openvino_intel_cpu_plugin"  # of OpenVINO, which is loaded to open a model


class Server(servers.Server):
    """A running gunicorn and what it has written."""

    @property
    def log(self):
        return self._log.read_text()

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return ask(connection, method, path, body, headers)

    def upload(self, data, name, model):
        """Sends the photo form, as a browser does."""
        body, kind = form(data, name, model=model)
        return self.ask("POST", "/predict", body, {"Content-Type": kind})


def environment(pictures, **changes):
    """The caller's environment with none of our variables but the models' folder, and time for a busy machine."""
    env = {
        name: value
        for name, value in os.environ.items()
        if name == "INKLING_MODELS" or not name.startswith(("INKLING_", "WEB_CONCURRENCY", "PORT", "GUNICORN"))
    }
    return env | {"INKLING_PICTURES": str(pictures), "INKLING_REQUEST_SECONDS": "60"} | changes


def wait_for_answer(server, path="/healthz", seconds=60):
    end = time.monotonic() + seconds
    while True:
        try:
            return server.ask("GET", path)
        except OSError:
            if server.process.poll() is not None or time.monotonic() > end:
                pytest.fail(f"gunicorn does not answer:\n{server.log[-3000:]}")
            time.sleep(0.02)


@contextmanager
def running(folder, **changes):
    """Starts gunicorn, waits for its first answer, and ends it however the test goes."""
    port = free_port()
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            START,
            cwd=ROOT,
            stdout=output,
            stderr=output,
            env=environment(folder / "pictures", **{"PORT": str(port), "WEB_CONCURRENCY": str(WORKERS)} | changes),
        )
    try:
        server = Server(process, port, log)
        start = time.monotonic()
        wait_for_answer(server)
        server.seconds = time.monotonic() - start
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for_workers(server, without=(), seconds=120):
    """Until all serve, and those that are dead are replaced."""
    end = time.monotonic() + seconds
    while len(server.workers) < WORKERS or set(without) & set(server.workers) or not all(map(_serves, server.workers)):
        assert time.monotonic() < end, server.log[-3000:]
        time.sleep(0.02)


def _serves(pid):
    try:
        return PLUGIN in Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # it has just ended
        return False


def api(server, data, model, headers=None):
    body, kind = form(data, "private-name.png")
    return server.ask("POST", f"/api/predict?model={model}", body, {"Content-Type": kind} | (headers or {}))


def figures(server):
    """Every figure of /metrics: name and labels as written -> number."""
    lines = server.ask("GET", "/metrics")[2].decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def log_lines(server):
    return [json.loads(line) for line in server.log.splitlines()]


def together(count, ask):
    """The answers to requests sent eight at a time."""
    with ThreadPoolExecutor(8) as threads:
        return list(threads.map(lambda _: ask(), range(count)))
