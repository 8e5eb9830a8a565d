"""A gunicorn to test with, started as the Procfile does, and what to ask of it."""

import http.client
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from inkling.settings import ROOT
from tests.net import ask, free_port

WORKERS = 2
START = [sys.executable, "-m", "gunicorn", "app:app"]


class Server:
    """A running gunicorn and what it has written."""

    def __init__(self, process, port, log):
        self.process, self.port, self._log = process, port, log

    @property
    def log(self):
        return self._log.read_text()

    @property
    def workers(self):
        """Process ids of the workers."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body) of one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        return ask(connection, method, path, body, headers)

    def upload(self, data, name, model):
        """Sends the photo form, as a browser does."""
        body = multipart({"model": model}, name, data)
        return self.ask("POST", "/predict", body, {"Content-Type": "multipart/form-data; boundary=edge"})


def multipart(fields, name, data):
    parts = [f'--edge\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
             for key, value in fields.items()]
    head = f'--edge\r\nContent-Disposition: form-data; name="image"; filename="{name}"\r\n\r\n'.encode()
    return b"".join([*parts, head, data, b"\r\n--edge--\r\n"])


def environment(pictures, **changes):
    """The caller's environment with none of our variables but the models' folder."""
    env = {name: value for name, value in os.environ.items()
           if name == "INKLING_MODELS" or not name.startswith(("INKLING_", "WEB_CONCURRENCY", "PORT", "GUNICORN"))}
    return env | {"INKLING_PICTURES": str(pictures)} | changes


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
        process = subprocess.Popen(START, cwd=ROOT, stdout=output, stderr=output, env=environment(
            folder / "pictures", **{"PORT": str(port), "WEB_CONCURRENCY": str(WORKERS)} | changes))
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
        return "openvino" in Path(f"/proc/{pid}/maps").read_text()
    except OSError:  # it has just ended
        return False


def api(server, data, model, headers=None):
    headers = {"Content-Type": "multipart/form-data; boundary=edge"} | (headers or {})
    return server.ask("POST", f"/api/predict?model={model}", multipart({}, "private-name.png", data), headers)


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
