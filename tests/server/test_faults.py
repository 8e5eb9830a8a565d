"""Faults of running servers: a worker, a model file, the database, the disk, the clock."""

import http.client
import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.pictures import form
from inkling.config import ROOT, Settings
from inkling.service import Service
from tests.support.command import Runner
from tests.support.server import WORKERS, classify, log_lines, metrics, running, wait_for_workers
from tests.support.waiting import wait_until

MODEL = "digits-logistic"  # the smallest model
NOT_SAVED = b"Inkling cannot save pictures right now"
MANY = 3 * WORKERS  # requests, enough to reach each worker
DISK = 24 * 2**20  # bytes of the small disk; saving stops with less than 16 MiB free
LIMIT = 20  # posts per minute and worker


# ---- Servers and requests ----


@pytest.fixture(scope="module")
def models(tmp_path_factory, models_folder):
    """One intact model, and one for each way in which a file can be damaged."""
    folder = tmp_path_factory.mktemp("models")

    def copy(name):
        (folder / name).mkdir()
        card = json.loads((models_folder / MODEL / "card.json").read_text())
        (folder / name / "card.json").write_text(json.dumps(card | {"name": name}))
        return shutil.copy(models_folder / MODEL / "model.onnx", folder / name)

    copy(MODEL)
    os.unlink(copy("removed"))
    os.truncate(copy("truncated"), 9999)
    with open(copy("changed"), "r+b") as file:
        file.seek(5000)
        file.write(b"\xff\x00\xff")
    return folder


@contextmanager
def serving(folder, models, **changes):
    """A server that trusts its clients' X-Forwarded-For."""
    changes = {"INKLING_MODELS": str(models), "INKLING_TRUSTED_PROXIES": "127.0.0.1"} | changes
    with running(folder, **changes) as server:
        wait_for_workers(server)
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder, models):
    with serving(folder, models) as server:
        yield server


@pytest.fixture(scope="module")
def fragile(tmp_path_factory, models):
    """A server on a small disk, if this machine allows a mount, with a clock that a test can set."""
    folder = tmp_path_factory.mktemp("fragile")
    with ExitStack() as stack:
        problem = stack.enter_context(mounted(folder / "pictures"))
        server = stack.enter_context(
            serving(
                folder,
                models,
                INKLING_RATE_LIMIT=str(LIMIT),
                PYTHONPATH=str(ROOT / "tests" / "support" / "clock"),
                CLOCK=str(folder / "clock"),
            )
        )
        server.pictures, server.clock, server.problem = folder / "pictures", folder / "clock", problem
        yield server


@contextmanager
def mounted(place, options="", what=("-t", "tmpfs", "none")):
    """Mounts a small empty disk, or another folder, at a path; yields the reason if it cannot."""
    place.mkdir(exist_ok=True)
    options = ",".join(filter(None, [f"size={DISK}" if "tmpfs" in what else "", options]))
    done = subprocess.run(["mount", "-o", options, *what, place], capture_output=True, text=True)
    try:
        yield f"this machine lets nobody mount: {done.stderr.strip()}" if done.returncode else None
    finally:
        if not done.returncode:
            subprocess.run(["umount", "-l", place], check=True)


addresses = itertools.count(1)


def new_client():
    """The header of a client with a new address."""
    number = next(addresses)
    return {"X-Forwarded-For": f"198.18.{number // 250}.{number % 250}"}


def upload(server, data, model=MODEL, headers=None):
    """Sends a picture as a browser does, from a new address."""
    body, kind = form(data, "a.png", model=model)
    return server.request("POST", "/predict", body, {"Content-Type": kind} | (headers or new_client()))


def is_saved(answer):
    status, headers, _ = answer
    return status == 303 and headers["Location"].startswith("/results/")


def is_shown_unsaved(answer):
    """Whether the picture is answered although it was not stored."""
    status, _, page = answer
    return status == 200 and NOT_SAVED in page and b"data:image/jpeg;base64," in page


def being_read(server):
    """How many connections a worker has accepted and read all that has arrived so far.

    A connection that waits to be accepted has no inode in /proc/net/tcp.
    """
    count = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state, queues, _, _, _, _, inode, *_ = line.split()
        established, unread = state == "01", int(queues.partition(":")[2], 16)
        count += local.endswith(f":{server.port:04X}") and established and inode != "0" and not unread
    return count


def saving(server):
    """The values of `saving` in /readyz, from several requests that reach both workers."""
    return {json.loads(server.request("GET", "/readyz")[2])["saving"] for _ in range(MANY)}


def wait_for_status(server, words):
    """Waits until /readyz of every worker contains these words."""
    wait_until(lambda: all(words in said for said in saving(server)))


def wait_until_saving(server):
    """Waits until every worker stores pictures again."""
    wait_until(lambda: metrics(server)["inkling_saving"] == 1)


def other_responses(server, png):
    """The responses to several uploads, except answers that are shown without being stored."""
    return [answer for answer in (upload(server, png) for _ in range(MANY)) if not is_shown_unsaved(answer)]


# ---- Workers ----


def test_a_killed_worker_loses_only_its_own_requests_and_is_replaced(tmp_path, models_folder, png):
    """Requests in flight in the killed worker may be lost, but no others. All shipped models are loaded."""
    stop, clients = threading.Event(), 6

    def send():
        """Sends requests until the test stops. Returns the start and the outcome of each."""
        found = []
        while not stop.is_set():
            began = time.monotonic()
            try:
                found.append((began, classify(server, png, MODEL, new_client())[0]))
            except (OSError, http.client.HTTPException) as error:
                found.append((began, error))
        return found

    def answering():
        return {line["pid"] for line in log_lines(server) if line["message"] == "request"}

    with serving(tmp_path, models_folder) as server, ThreadPoolExecutor(clients) as threads:
        sent = [threads.submit(send) for _ in range(clients)]
        try:
            wait_until(lambda: len(answering()) == WORKERS)
            before = answering()
            os.kill(server.workers[0], signal.SIGKILL)
            killed = time.monotonic()
            wait_until(lambda: answering() - before)
            print(f"\na killed worker was replaced after {time.monotonic() - killed:.2f} s, with all models loaded")
        finally:
            stop.set()
    answers = [answer for one in sent for answer in one.result()]
    lost = [(began, answer) for began, answer in answers if answer != 200]
    assert len(answers) > 2 * clients
    assert len(lost) <= clients
    assert all(isinstance(answer, Exception) and began <= killed for began, answer in lost)


def test_two_servers_start_on_one_new_database_and_one_stops_during_uploads(tmp_path, models, png):
    pictures = {"INKLING_PICTURES": str(tmp_path / "pictures")}
    for name in "ab":
        (tmp_path / name).mkdir()
    with ExitStack() as stack:
        with ThreadPoolExecutor(2) as threads:
            one, other = threads.map(
                lambda name: stack.enter_context(serving(tmp_path / name, models, **pictures)), "ab"
            )
        kept = [upload(server, png) for server in (one, other) * WORKERS]
        assert all(map(is_saved, kept))
        for server in (one, other):
            assert {server.request("GET", headers["Location"])[0] for _, headers, _ in kept} == {200}
            assert "Traceback" not in server.log

        body, kind = form(png, "a.png", model=MODEL)
        uploads = [http.client.HTTPConnection("127.0.0.1", one.port, timeout=60) for _ in range(2 * WORKERS)]
        for connection in uploads:
            connection.putrequest("POST", "/predict")
            for name, value in {"Content-Type": kind, **new_client(), "Content-Length": str(len(body))}.items():
                connection.putheader(name, value)
            connection.endheaders(body[:100])
        wait_until(lambda: being_read(one) == len(uploads))
        one.process.send_signal(signal.SIGTERM)
        wait_until(lambda: "Handling signal: term" in one.log)
        for connection in uploads:
            connection.send(body[100:])
        answers = [connection.getresponse() for connection in uploads]
        finished = [(answer.status, answer.headers, answer.read()) for answer in answers]
        for connection in uploads:
            connection.close()
        assert all(map(is_saved, finished))
        assert one.process.wait(30) == 0
        assert {other.request("GET", headers["Location"])[0] for _, headers, _ in finished} == {200}


# ---- Models ----


def test_a_model_whose_file_is_damaged_is_off_and_the_others_serve(server, png):
    for _ in range(MANY):
        status, _, body = server.request("GET", "/readyz")
        said = json.loads(body)["models"]
        assert (status, said[MODEL], said["removed"]) == (200, "ready", "off: model.onnx is missing")
        for name in ("truncated", "changed"):
            assert said[name].startswith("off: model.onnx is not the file that the card describes")
        assert classify(server, png, MODEL, new_client())[0] == 200
    for name in ("removed", "truncated", "changed"):
        status, _, body = classify(server, png, name, new_client())
        assert (status, json.loads(body)["reason"]) == (503, "model-unavailable")
        assert metrics(server)[f'inkling_model_ready{{model="{name}"}}'] == 0
        assert upload(server, png, name)[1]["Location"].startswith("/help?reason=model-unavailable")


def test_an_open_model_still_serves_without_its_file(server, models, png):
    file = models / MODEL / "model.onnx"
    file.rename(models / "elsewhere")
    try:
        assert {classify(server, png, MODEL, new_client())[0] for _ in range(MANY)} == {200}
    finally:
        (models / "elsewhere").rename(file)


# ---- The database ----


def test_a_lock_on_the_database_and_a_crash_between_picture_and_row(server, folder, png):
    """Workers killed while the lock delays a row leave pictures without one; new workers start under the lock."""
    kept = upload(server, png)[1]["Location"]
    pictures = folder / "pictures"
    before = {path.name for path in pictures.glob("*.jpg")}
    with closing(sqlite3.connect(pictures / "inkling.sqlite3", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as threads:
            upload_ = threads.submit(upload, server, png)
            wait_until(lambda: {path.name for path in pictures.glob("*.jpg")} - before)
            strays = {path.name for path in pictures.glob("*.jpg")} - before
            dead = server.workers
            for pid in dead:
                os.kill(pid, signal.SIGKILL)
            assert isinstance(upload_.exception(), (OSError, http.client.HTTPException))
        assert {path.name for path in pictures.glob("*.jpg")} - before == strays
        for name in strays:
            assert server.request("GET", f"/results/{name[:22]}")[0] == 404
        wait_for_workers(server, without=dead)
        assert is_shown_unsaved(upload(server, png))
        wait_for_status(server, "off: the database cannot be used: database is locked")
        assert server.request("GET", kept)[0] == 200
        assert classify(server, png, MODEL, new_client())[0] == 200
        assert metrics(server)["inkling_saving"] == 0
        holder.execute("ROLLBACK")
    wait_until_saving(server)
    assert is_saved(upload(server, png))

    for path in pictures.iterdir():
        os.utime(path, (time.time() - 3600,) * 2)
    settings = Settings.from_env({"INKLING_PICTURES": str(pictures), "INKLING_MODELS": str(ROOT / "models")})
    done = Runner(Service.from_settings(settings)).invoke(["results", "prune"])
    assert done.exit_code == 0
    left = {path.name for path in pictures.glob("*.*g")}
    assert left & strays == set()
    with closing(sqlite3.connect(pictures / "inkling.sqlite3")) as connection:
        assert {name[:22] for name in left} == {id for (id,) in connection.execute("SELECT id FROM predictions")}
    assert server.request("GET", kept)[0] == 200


def test_an_invalid_database_file_at_the_start(tmp_path, models, png):
    """The file is left alone; once it is moved away, a new database is created without a restart."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    file = pictures / "inkling.sqlite3"
    file.write_bytes(b"this is no database" * 99)
    with serving(tmp_path, models) as server:
        assert other_responses(server, png) == []
        wait_for_status(server, "off: the database cannot be used: file is not a database")
        assert server.request("GET", "/results/AAAAAAAAAAAAAAAAAAAAAA")[0] == 503
        assert file.read_bytes() == b"this is no database" * 99
        file.rename(pictures / "aside")
        wait_until_saving(server)
        assert is_saved(upload(server, png))


def start_anew(server):
    before = server.workers
    server.process.send_signal(signal.SIGHUP)
    wait_for_workers(server, without=before)


# ---- The disk ----


@pytest.fixture
def disk(fragile):
    """The pictures folder, which is on a small disk."""
    if fragile.problem:
        pytest.skip(fragile.problem)
    wait_until_saving(fragile)
    return fragile.pictures


def test_a_disk_that_fills_and_is_cleared(fragile, disk, png):
    kept = upload(fragile, png)
    assert is_saved(kept)
    with (disk / "film.mp4").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, DISK - 2**24)
    assert other_responses(fragile, png) == []
    wait_for_status(fragile, "off: the disk is full: less than 16 MiB are free")
    wait_until(lambda: metrics(fragile)["inkling_saving"] == 0)
    assert fragile.request("GET", kept[1]["Location"])[0] == 200
    owner = new_client() | {"Cookie": kept[1]["Set-Cookie"].partition(";")[0]}
    assert fragile.request("POST", "/history/delete", headers=owner)[0] == 303
    assert list(disk.glob(f"{kept[1]['Location'][-22:]}*")) == []
    (disk / "film.mp4").unlink()
    wait_until_saving(fragile)
    assert is_saved(upload(fragile, png))


def test_a_disk_without_free_inodes(fragile, disk, png):
    """The disk is full between the two files of one result."""
    with mounted(disk, "nr_inodes=2"):
        # /readyz says "on" for a worker that has not tried to save yet.
        wait_until(lambda: other_responses(fragile, png) == [] and "on" not in saving(fragile))
        assert list(disk.iterdir()) == []
        assert classify(fragile, png, MODEL, new_client())[0] == 200
    wait_until_saving(fragile)


def test_a_disk_that_is_read_only_when_workers_start(fragile, disk, png):
    with mounted(disk, "ro"):
        assert other_responses(fragile, png) == []
        wait_for_status(fragile, "off: the pictures' folder cannot be used: Read-only file system")
        start_anew(fragile)
        assert other_responses(fragile, png) == []
        assert fragile.request("GET", "/readyz")[0] == 200
        assert fragile.request("GET", "/results/AAAAAAAAAAAAAAAAAAAAAA")[0] == 503
    wait_until_saving(fragile)


def test_a_database_that_is_read_only_at_the_start(tmp_path, models, png):
    """Nothing is added or lost, and once the database is writable, results are stored again."""
    pictures = tmp_path / "pictures"
    with serving(tmp_path, models) as server:
        kept = upload(server, png)[1]["Location"]
    with mounted(pictures, "ro", ("--bind", pictures)) as problem:
        if problem:
            pytest.skip(problem)
        with serving(tmp_path, models) as server:
            assert other_responses(server, png) == []
            wait_for_status(server, "off: ")
            assert server.request("GET", "/readyz")[0] == 200
            assert {server.request("GET", kept)[0] for _ in range(MANY)} <= {200, 503}
            assert "Traceback" not in server.log
    with serving(tmp_path, models) as server:
        assert server.request("GET", kept)[0] == 200
        assert is_saved(upload(server, png))


# ---- The folder in memory, for metrics and heartbeats ----

# What fills the folder before the server starts, and what makes room again.
NO_ROOM = {
    "no free bytes": ("size=8m", "head -c 9m /dev/zero > /dev/shm/filler; true"),
    "no free inodes": ("nr_inodes=2", "touch /dev/shm/filler"),
    "read-only": ("size=8m", "mount -o remount,ro /dev/shm"),
}


@contextmanager
def own_memory_folder(folder, models, options, prepare="true"):
    """A server with a /dev/shm of its own."""
    script = f'mount -t tmpfs -o {options} none /dev/shm && {{ {prepare}; }} && exec "$@"'
    before = ["unshare", "--mount", "sh", "-c", script, "sh"]
    tried = subprocess.run([*before, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this machine lets nobody mount: {tried.stderr.strip()}")
    with serving(folder, models, before=before) as server:
        yield server, Path(f"/proc/{server.process.pid}/root/dev/shm")


def counted(server):
    """The number of answers that any worker reports, which is the same if the metrics cover all workers."""
    found = {metrics(server).get(f'inkling_answers_total{{label="1",model="{MODEL}"}}', 0) for _ in range(MANY)}
    return found.pop() if len(found) == 1 else None


@pytest.mark.parametrize("case", NO_ROOM)
def test_no_room_for_metrics_at_the_start(tmp_path, models, png, case):
    """All requests are answered by the same workers, and each worker reports what it counted."""
    with own_memory_folder(tmp_path, models, *NO_ROOM[case]) as (server, memory):
        workers = server.workers
        assert {classify(server, png, MODEL, new_client())[0] for _ in range(MANY)} == {200}
        assert sum(count for name, count in metrics(server).items() if name.startswith("inkling_requests_total")) > 0
        assert metrics(server)[f'inkling_model_ready{{model="{MODEL}"}}'] == 1
        assert server.workers == workers
        assert "Traceback" not in server.log
        if case == "no free bytes":
            (memory / "filler").unlink()
            wait_until(lambda: counted(server) == MANY)


def test_the_room_for_metrics_ends_while_a_server_runs(tmp_path, models, png, app):
    """Metrics that are new need room in files that are full, and new workers need files."""
    with own_memory_folder(tmp_path, models, "size=8m") as (server, memory):
        workers = server.workers
        assert {classify(server, png, MODEL, new_client())[0] for _ in range(MANY)} == {200}
        with (memory / "filler").open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(4096))
        for rule in app.url_map.iter_rules():  # each route has a histogram of its own
            for _ in range(WORKERS):
                assert server.request("GET", re.sub("<.*?>", "x", rule.rule))[0] < 500
        wait_until(lambda: "metrics stay in its process" in server.log)
        assert {classify(server, png, MODEL, new_client())[0] for _ in range(MANY)} == {200}
        assert server.workers == workers
        start_anew(server)
        assert {classify(server, png, MODEL, new_client())[0] for _ in range(MANY)} == {200}
        assert "Traceback" not in server.log
        assert len(server.workers) == WORKERS


def test_the_folder_of_metrics_is_removed(tmp_path, models, png):
    """The workers make it again with what they had counted, and a new worker starts."""
    with own_memory_folder(tmp_path, models, "size=8m") as (server, memory):
        assert {classify(server, png, MODEL, new_client())[0] for _ in range(MANY)} == {200}
        assert counted(server) == MANY
        (metrics_folder,) = memory.glob("inkling-metrics-*")
        shutil.rmtree(metrics_folder)
        assert server.request("GET", "/metrics")[0] == 200
        # Before the folder is there again, each worker reports what it counted itself.
        wait_until(lambda: metrics_folder.is_dir() and counted(server) == MANY)
        metrics_folder.rename(metrics_folder.with_name("removed"))  # at once, also where a worker is writing a file
        dead = server.workers[0]
        os.kill(dead, signal.SIGKILL)
        wait_for_workers(server, without=[dead])
        assert {classify(server, png, MODEL, new_client())[0] for _ in range(MANY)} == {200}
        assert len(metrics(server)) > 10
        assert "Traceback" not in server.log


# ---- The clock ----


def test_a_clock_that_is_set_back_an_hour(fragile, png):
    """Nobody waits an hour for the next post, and the history lists what was sent before and after."""
    wait_until_saving(fragile)
    fragile.clock.write_text("3600")
    _, headers, _ = kept = upload(fragile, png)
    cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    eager = new_client()
    wait_until(lambda: fragile.request("POST", "/language", headers=eager)[0] == 429)
    fragile.clock.write_text("0")
    responses = [fragile.request("POST", "/language", headers=eager)[:2] for _ in range(MANY)]
    assert {status for status, _ in responses} <= {400, 429}
    assert all(int(headers["Retry-After"]) <= 61 for status, headers in responses if status == 429)
    status, headers, _ = later = upload(fragile, png, headers=cookie | new_client())
    assert is_saved(later)
    cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    page = fragile.request("GET", "/history", headers=cookie)[2].decode()
    listed = [f"/results/{id}" for id in re.findall(r'href="/results/([\w-]{22})"', page)]
    assert sorted(listed) == sorted([later[1]["Location"], kept[1]["Location"]])
    assert {fragile.request("GET", address)[0] for address in listed} == {200}
