"""Three machines serve as one: each in a network of its own, with PostgreSQL, an S3 store and Redis, behind nginx.

`pytest -s` prints a log of what happened.
"""

import http.client
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import NamedTuple

import pytest

from benchmarks.pictures import form
from benchmarks.servers import INKLING, free_port
from inkling.config import ROOT
from tests.support import postgres as postgres_server
from tests.support import s3
from tests.support.server import environment, request
from tests.support.waiting import wait_until

NAMES = ("first", "second", "third")
CLIENTS = 4  # that send pictures at once
ANSWERS = 12  # that the clients get before a machine is killed, and again afterwards
NET = f"10.213.{os.getpid() % 250}"
HUB = f"{NET}.1"  # where the database, the store and Redis listen
PORT = 8000

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make networks"),
    *(
        pytest.mark.skipif(not shutil.which(name), reason=f"{name} is not installed")
        for name in ("ip", "nginx", "redis-server")
    ),
]
started = time.monotonic()


def say(text):
    print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)


def ip(*arguments):
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout


class Machine(NamedTuple):
    """A network namespace in which one server runs."""

    name: str
    namespace: str
    address: str

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.address, PORT, timeout=60)
        return request(connection, method, path, body, headers)

    def answers(self):
        with suppress(OSError):
            return self.ask("GET", "/readyz")[0] == 200

    def kill(self):
        """Ends all of its processes at once, as a machine that crashes."""
        for pid in ip("netns", "pids", self.namespace).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


@contextmanager
def network():
    """Three machines that reach each other and this process over a bridge."""
    bridge = f"ink{os.getpid()}"
    machines = [Machine(name, f"{bridge}-{name}", f"{NET}.{i + 2}") for i, name in enumerate(NAMES)]
    with ExitStack() as stack:
        ip("link", "add", bridge, "type", "bridge")
        stack.callback(ip, "link", "del", bridge)
        ip("addr", "add", f"{HUB}/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for i, machine in enumerate(machines):
            ip("netns", "add", machine.namespace)
            stack.callback(ip, "netns", "del", machine.namespace)
            stack.callback(machine.kill)
            cable = f"{bridge}v{i}"
            ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", machine.namespace)
            ip("link", "set", cable, "master", bridge, "up")
            for command in (
                ("addr", "add", f"{machine.address}/24", "dev", "eth0"),
                ("link", "set", "eth0", "up"),
                ("link", "set", "lo", "up"),
            ):
                ip("-n", machine.namespace, *command)
        yield machines


@contextmanager
def process(command, **options):
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, **{"stderr": subprocess.DEVNULL} | options)
    try:
        yield running
    finally:
        running.kill()
        running.wait()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory, models_folder, ink_model):
    """Returns (machines, port of nginx, a function that starts a machine)."""
    root = tmp_path_factory.mktemp("fleet")
    shutil.copytree(models_folder / ink_model, root / "models" / ink_model)
    with ExitStack() as stack:
        machines = stack.enter_context(network())
        database = stack.enter_context(postgres_server.running(HUB))
        database.execute("CREATE DATABASE inkling")
        store = stack.enter_context(s3.running(HUB))
        redis = ["redis-server", "--bind", HUB, "--port", "6379", "--protected-mode", "no", "--save", ""]
        stack.enter_context(process(redis, cwd=root))

        def start(machine):
            given = environment(
                root / machine.name,
                INKLING_MODELS=str(root / "models"),
                INKLING_DATABASE_URL=database.url("inkling"),
                INKLING_BLOBS=f"s3://{s3.BUCKET}",
                INKLING_RATE_STORAGE=f"redis://{HUB}:6379/0",
                INKLING_RATE_LIMIT="1000000",
                INKLING_SECRET_KEY="the same on all machines",
                INKLING_TRUSTED_PROXIES=HUB,
                INKLING_METRICS_FROM=HUB,
                INKLING_HOST="0.0.0.0",
                PORT=str(PORT),
                WEB_CONCURRENCY="1",
            )
            command = ["ip", "netns", "exec", machine.namespace, *INKLING]
            log = stack.enter_context((root / f"{machine.name}.log").open("ab"))
            stack.enter_context(process(command, cwd=ROOT, env=given | store.environment, stderr=log))

        for machine in machines:
            start(machine)
        for machine in machines:
            wait_until(machine.answers, message=(root / f"{machine.name}.log").read_text)
            say(f"the {machine.name} machine, {machine.address}, serves")
        port = free_port()
        servers = "".join(f"server {machine.address}:{PORT} fail_timeout=2s; " for machine in machines)
        (root / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {root}/pid; error_log {root}/error.log; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {root}/body; proxy_temp_path {root}/proxy;\n"
            f"upstream inkling {{ {servers} }}\n"
            f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://inkling; proxy_connect_timeout 2s;\n"
            "proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; } } }\n"
        )
        stack.enter_context(process(["nginx", "-p", str(root), "-c", str(root / "nginx.conf")]))
        wait_until(partial(_listens, port))
        yield machines, port, start


def _listens(port):
    with suppress(OSError):
        return send(port, "GET", "/healthz")[0] == 200


def send(port, method, path, body=None, headers=None):
    return request(http.client.HTTPConnection("127.0.0.1", port, timeout=60), method, path, body, headers)


def upload(ask, png):
    body, kind = form(png, "a.png")
    return ask("POST", "/predict", body, {"Content-Type": kind})


def test_what_one_machine_keeps_another_shows_explains_and_deletes(fleet, png):
    (first, second, third), _, _ = fleet
    status, headers, _ = upload(first.ask, png)
    assert status == 303
    page, cookie = headers["Location"], {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    say(f"first: kept {page}")
    assert second.ask("GET", page)[0] == 200
    picture = second.ask("GET", f"{page}/picture")
    assert picture[:1] + picture[2:] == (200, first.ask("GET", f"{page}/picture")[2])
    say(f"second: shown, with its picture of {len(picture[2])} bytes")
    status, headers, heatmap = second.ask("GET", f"{page}/heatmap.png")
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert third.ask("GET", f"{page}/heatmap.png")[2] == heatmap
    say(f"second: explained, by a heat map of {len(heatmap)} bytes")
    assert third.ask("POST", f"{page}/delete")[0] in (401, 403), "it is another browser's"
    assert third.ask("POST", f"{page}/delete", headers=cookie)[0] == 303
    say("third: deleted, for the browser that made it")
    assert [machine.ask("GET", page)[0] for machine in (first, second, third)] == [404, 404, 404]
    say("first, second, third: gone")


def test_nothing_that_was_answered_is_lost_when_a_machine_is_killed_under_load(fleet, png):
    (first, second, third), port, start = fleet
    kept, others, killed, done = [], Counter(), threading.Event(), threading.Event()
    after = []

    def load():
        while not done.is_set():
            late = killed.is_set()
            try:
                status, headers, _ = upload(partial(send, port), png)
            except OSError:
                status = "no answer"
            if status == 303:
                (after if late else kept).append(headers["Location"])
            else:
                others[status] += 1

    threads = [threading.Thread(target=load) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(kept) >= ANSWERS)
        first.kill()
        killed.set()
        say(f"first: killed, after {len(kept)} pictures were kept")
        wait_until(lambda: len(after) >= ANSWERS)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    say(f"second, third: kept {len(after)} more; no result: {dict(others) or 'none'}")
    assert not first.answers()
    assert others.keys() <= {502, "no answer"}, "what the killed machine was at"
    assert sum(others.values()) <= CLIENTS
    pages = [*kept, *after]
    assert len(set(pages)) == len(pages)
    for page in pages:
        for machine in (second, third):
            assert machine.ask("GET", page)[0] == 200
            assert machine.ask("GET", f"{page}/picture")[0] == 200
    say(f"second, third: show all {len(pages)} of them, with their pictures")
    start(first)
    wait_until(first.answers)
    assert {first.ask("GET", page)[0] for page in pages} == {200}
    say("first: started again, and shows all of them")
