"""Measures a server that teaches: seconds to the first answer, a large classifier, and the memory of a hundred.

    python -m benchmarks.lesson [--draws 10] [--each 6000] [--rounds 6] [--seconds 4] [--heads 100]

Prints tables as Markdown, and exits with 1 where an aim is missed. `make teach` prints them among its own. The servers
are gunicorn as the Procfile starts it.

- Seconds: a classifier is created, its photos are uploaded, up to 20 in each request, and the newest version is asked
  as soon as it is there. It trains by itself. The process that trains is ended before each draw, so that its start
  counts. The photos are those of `benchmarks.draws`.
- A large classifier: one of drawings with two classes of `--each` examples is trained, and its page is opened in
  Chromium, where nothing is cached. Then four clients ask `digits-cnn` about drawings one after the other,
  `--seconds` long without and as long with a training; the rounds alternate. Cancelling ends each training.
- Memory: `--heads` classifiers of photos are published on a server with one worker, and each is asked. The worker's
  own memory is `Anonymous` of `/proc/PID/smaps_rollup`; all memory (`Rss`) also counts the mapped files of heads, which
  workers share and the kernel can drop.

The variable CHROMIUM names the browser's program.
"""

import argparse
import io
import json
import os
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from benchmarks import draws, pictures, servers
from benchmarks.bench import print_aims, processor
from benchmarks.stage import browser
from inkling.access import LOCAL
from inkling.config import Settings
from inkling.problems import Problem
from inkling.service import Service
from inkling.storage.database import portions
from inkling.storage.taught import NewExample, Quota
from inkling.teach import features
from inkling.teach.teaching import Teaching

CLIENTS = 4
VISITS = 5
SIDE = 64  # pixels of a drawing
POLL_SECONDS = 0.05
PATIENCE = 1200  # seconds within which a classifier must be trained, on a busy machine too
UNLIMITED = Quota(0, 0, 0)
AT_ONCE = 20  # files in one request, as the page sends them
JSON = "application/json"
PATH = "/api/classifiers"


class Aim(NamedTuple):
    """A row of the last table."""

    what: str
    measured: str
    aim: str
    met: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_options(parser)
    chosen = parser.parse_args()
    print(machine(), flush=True)
    aims: list[Aim] = []
    for table in TABLES.values():
        table(chosen, aims)
    print("\n## What was reached\n")
    print_aims(aims)
    return not all(aim.met for aim in aims)


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the tables."""
    parser.add_argument("--draws", type=int, default=10, help="draws of examples (default 10)")
    parser.add_argument("--each", type=int, default=6000, help="examples of each large class (default 6000)")
    parser.add_argument("--rounds", type=int, default=6, help="pairs of measurements of drawings (default 6)")
    parser.add_argument("--seconds", type=float, default=4, help="seconds of each of them (default 4)")
    parser.add_argument("--heads", type=int, default=100, help="taught classifiers in a worker (default 100)")


def machine() -> str:
    """The processor and how busy it is."""
    return f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


# ---- Seconds ----


def time_table(chosen: argparse.Namespace, aims: list[Aim]) -> None:
    """Seconds from the beginning of the upload to the first answer."""
    print("\n## Seconds to the first answer\n")
    print("| what | seconds, median | 95th percentile | slowest | processor seconds, median |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    animals, (photos, species) = draws.cats(), draws.flowers()
    with tempfile.TemporaryDirectory() as temporary, server_in(Path(temporary)) as server:
        lesson(server, files_of(animals.pool, animals.pool_y, 2, 20, 0))  # both workers are warm then
        for what, x, y, classes, each, most in (
            ("2 x 20 photos", animals.pool, animals.pool_y, 2, 20, 5),
            ("10 x 50 photos", photos, species, 10, 50, 20),
        ):
            wall, own = [], []
            for seed in range(chosen.draws):
                files = files_of(x, y, classes, each, seed)
                end_trainers(server)
                used = server.processor_seconds()
                wall.append(lesson(server, files))
                own.append(server.processor_seconds() - used)
            slow = float(np.percentile(wall, 95))
            print(
                f"| {what} | {np.median(wall):.1f} | {slow:.1f} | {max(wall):.1f} | {np.median(own):.1f} |", flush=True
            )
            aims.append(Aim(f"{what}, upload to first answer", f"{slow:.1f} s", f"{most} s at most", slow <= most))


def files_of(x: np.ndarray, y: np.ndarray, classes: int, each: int, seed: int) -> dict[str, list[bytes]]:
    """A draw of photos as files, by the names of their classes."""
    picked = draws.evenly(y, each, seed)
    return {f"class {c}": [draws.jpeg(x[i]) for i in picked[y[picked] == c]] for c in range(classes)}


def lesson(server: servers.Server, files: dict[str, list[bytes]]) -> float:
    """Teaches a new classifier over the API, asks it, and deletes it; seconds from the upload to the answer."""
    start = time.perf_counter()
    id = call(server, "POST", PATH, {"title": "A lesson", "kind": "photo"})["id"]
    for label, photos in files.items():
        for some in portions(photos, AT_ONCE):
            parts = [FileStorage(io.BytesIO(photo), f"{i}.jpg") for i, photo in enumerate(some)]
            boundary, body = encode_multipart({"label": label, "image": parts})
            server.answer(servers.post(f"{PATH}/{id}/examples", body, f"multipart/form-data; boundary={boundary}"))
    wait_until_trained(server, id)
    photo = next(iter(files.values()))[0]
    server.answer(servers.post(f"{PATH}/{id}/try", *pictures.form(photo, "photo.jpg")))
    seconds = time.perf_counter() - start
    call(server, "DELETE", f"{PATH}/{id}")
    return seconds


def wait_until_trained(server: servers.Server, id: str) -> None:
    """Waits until a classifier has learned all its examples.

    Raises:
        RuntimeError: the training failed, or took `PATIENCE` seconds.
    """
    end = time.monotonic() + PATIENCE
    while (found := call(server, "GET", f"{PATH}/{id}"))["newest"] is None or found["training"]:
        if (found["training"] or {}).get("stage") == "failed" or time.monotonic() > end:
            raise RuntimeError(f"the classifier was not trained: {found['training']}")
        time.sleep(POLL_SECONDS)


def call(server: servers.Server, method: str, path: str, body: dict | None = None):
    """What the API answers.

    Raises:
        RuntimeError: it answered with an error.
    """
    request = servers.post(path, b"" if body is None else json.dumps(body).encode(), JSON)
    status, _, answer = server.send(request.replace(b"POST", method.encode(), 1))
    if status >= 400:
        raise RuntimeError(f"{method} {path} must succeed. Received: {status}, {answer[:200]!r}")
    return json.loads(answer) if answer else None


def trainers(server: servers.Server) -> list[int]:
    """The PIDs of the processes that train for a server."""
    found = []
    for worker in server.workers:
        for children in Path(f"/proc/{worker}/task").glob("*/children"):
            with suppress(OSError):  # it has ended
                pids = map(int, children.read_text().split())
                found += [pid for pid in pids if b"inkling.teach.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    return found


def end_trainers(server: servers.Server) -> None:
    """Ends the processes that train, so that the next training has to start one."""
    for pid in trainers(server):
        os.kill(pid, signal.SIGKILL)
    while trainers(server):  # a process that has ended has no command line
        time.sleep(POLL_SECONDS)


# ---- A large classifier ----


def large_table(chosen: argparse.Namespace, aims: list[Aim]) -> None:
    """The page and the training of a classifier with many examples, and drawings that are asked meanwhile."""
    print(f"\n## {chosen.each:,} examples in each of two classes\n")
    print("| what | measured |\n| --- | --- |", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        id = filled(folder / "pictures", chosen.each)
        with server_in(folder) as server:
            for what in ("the first training, with the features of all examples", "a training after a change"):
                start = time.perf_counter()
                call(server, "POST", f"{PATH}/{id}/train")
                wait_until_trained(server, id)
                training_seconds = time.perf_counter() - start
                print(f"| {what} | {training_seconds:.1f} s |", flush=True)
            visits = opened(server, f"/teach/{id}")
            slowest = max(visits)
            print(f"| page, median of {VISITS} visits | {statistics.median(visits):.2f} s |")
            print(f"| page, slowest of them | {slowest:.2f} s |", flush=True)
            alone, beside = [], []
            for _ in range(chosen.rounds):
                alone += asked(server, chosen.seconds)
                with training(server, id):
                    beside += asked(server, chosen.seconds)
    for what, waits in (("alone", alone), ("while a training runs", beside)):
        median, slow = np.percentile(waits, (50, 99)) * 1e3
        print(f"| a drawing {what}, median of {len(waits):,} | {median:.0f} ms |")
        print(f"| a drawing {what}, 99th percentile | {slow:.0f} ms |", flush=True)
    times = float(np.percentile(beside, 99) / np.percentile(alone, 99))
    what = f"2 x {chosen.each:,} examples"
    aims += [
        Aim(f"training after a change, {what}", f"{training_seconds:.1f} s", "30 s at most", training_seconds <= 30),
        Aim(f"page, {what}, slowest visit", f"{slowest:.2f} s", "2 s at most", slowest <= 2),
        Aim("a drawing's 99th percentile while a training runs", f"{times:.2f} times", "under 2 times", times < 2),
    ]


def filled(folder: Path, each: int) -> str:
    """The id of a classifier with `each` drawings of two kinds of signs, no two of them the same; none is due."""
    teaching = teaching_in(folder)
    made = teaching.create("Signs", "ink", LOCAL)
    rng = np.random.default_rng(0)
    for name, corners in (("three", 3), ("five", 5)):
        new = [NewExample(polygon(rng, corners), "drawing", f"{i}.png", name, "file") for i in range(each)]
        teaching.storage.add(made.id, new, UNLIMITED)
    teaching.cancel(made.id)
    return made.id


def teaching_in(folder: Path) -> Teaching:
    """The classifiers in a folder, of which there may be any number."""
    settings = Settings.from_env({"INKLING_PICTURES": str(folder), "INKLING_TEACH_CLASSIFIERS": "0"})
    return Teaching(settings, Service.from_settings(settings))


def server_in(folder: Path, **settings: str):
    """A running server with the classifiers in the folder `pictures` of a folder."""
    return servers.running(servers.INKLING, folder, servers.get("/healthz"), **settings)


def polygon(rng: np.random.Generator, corners: int) -> bytes:
    """A crooked polygon as a PNG file."""
    turns = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.2, 0.2, corners)) / corners + rng.uniform(0, 2 * np.pi)
    radii = rng.uniform(16, 28, corners)
    points = [(SIDE / 2 + r * np.cos(t), SIDE / 2 + r * np.sin(t)) for r, t in zip(radii, turns, strict=True)]
    image = Image.new("L", (SIDE, SIDE), 255)
    ImageDraw.Draw(image).line([*points, points[0]], fill=0, width=int(rng.integers(3, 6)))
    return pictures.encoded(image, "PNG")


@contextmanager
def training(server: servers.Server, id: str) -> Iterator[None]:
    """A training that runs from the start of the context to its end, where it is cancelled.

    Raises:
        RuntimeError: it was done before the end.
    """
    path = f"{PATH}/{id}/train"

    def stage() -> str | None:
        return (call(server, "GET", path) or {}).get("stage")

    call(server, "POST", path)
    while stage() == "waiting":
        time.sleep(POLL_SECONDS)
    yield
    if stage() is None:
        raise RuntimeError("the training was too short: raise --each, or lower --seconds")
    call(server, "DELETE", path)


def opened(server: servers.Server, path: str) -> list[float]:
    """Seconds from the request of a page until its scripts have started, for each of some visits."""
    waits = []
    with browser() as chromium:
        for _ in range(VISITS):
            page = chromium.new_context(base_url=f"http://127.0.0.1:{server.port}").new_page()
            start = time.perf_counter()
            page.goto(path, wait_until="domcontentloaded")
            page.locator(".workshop[aria-busy=false]").wait_for()
            waits.append(time.perf_counter() - start)
            page.context.close()
    return waits


def asked(server: servers.Server, seconds: float) -> list[float]:
    """Seconds that each answer to a drawing took, within some time."""
    request = servers.post("/api/predict?model=digits-cnn", *pictures.form(pictures.digit()))
    waits: list[float] = []
    end = time.perf_counter() + seconds

    def ask() -> None:
        while time.perf_counter() < end:
            start = time.perf_counter()
            server.answer(request)
            waits.append(time.perf_counter() - start)

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return waits


# ---- Memory ----


def memory_table(chosen: argparse.Namespace, aims: list[Aim]) -> None:
    """What many taught classifiers on one backbone add to the memory of a worker."""
    print("\n## Memory of a worker\n")
    print("| what | own memory, MB | all memory, MB |\n| --- | --- | --- |", flush=True)
    photo = draws.jpeg(draws.cats().test[0])
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        first, *rest = taught_alike(teaching_in(folder / "pictures"), chosen.heads + 1)
        with server_in(folder, WEB_CONCURRENCY="1") as server:

            def serve(classifiers: Sequence[tuple[str, str]]) -> dict[str, float]:
                for id, _ in classifiers:
                    call(server, "POST", f"{PATH}/{id}/publish", {"version": 1})
                for _, name in classifiers:
                    server.wait(servers.post(f"/api/predict?model={name}", *pictures.form(photo, "photo.jpg")))
                (worker,) = server.workers
                return servers.memory(worker)

            serve([first] * chosen.heads)  # as many requests as follow
            before = serve([first])
            after = serve(rest)
    own, all = (after[row] - before[row] for row in ("Anonymous", "Rss"))
    what = f"{chosen.heads} taught classifiers, 2 x 20 photos each"
    print(f"| {what} | {own:.1f} | {all:.1f} |", flush=True)
    aims.append(Aim(f"{what}, own memory of a worker", f"{own:.1f} MB", "under 30 MB", own < 30))


def taught_alike(teaching: Teaching, count: int) -> list[tuple[str, str]]:
    """Classifiers that learned the same 2 x 20 photos: the id of each, and the name of its model."""
    backbone = features.backbone(teaching.service.predictor.catalog, "photo")
    files = files_of(draws.cats().pool, draws.cats().pool_y, 2, 20, 0)
    new = [NewExample(file, "photo", "a.jpg", label, "file") for label, some in files.items() for file in some]
    images = [Image.open(io.BytesIO(one.picture)).convert("RGB") for one in new]
    vectors = [row.tobytes() for row in features.of(teaching.service.predictor, images, "photo")]
    found = []
    for i in range(count):
        made = teaching.create(f"Lesson {i}", "photo", LOCAL)
        added = teaching.storage.add(made.id, new, UNLIMITED)
        ids = [one.id for one in added if not isinstance(one, Problem)]
        saved = dict(zip(ids, vectors, strict=True))  # computed once, which saves a minute
        teaching.storage.save_features(backbone.card.files["model.onnx"], saved)
        if failed := teaching.wait(made.id):
            raise RuntimeError(failed.reason)
        found.append((made.id, made.name))
    return found


TABLES = {"time": time_table, "large": large_table, "memory": memory_table}

if __name__ == "__main__":
    sys.exit(main())
