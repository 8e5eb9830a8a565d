"""Measures a server that teaches: the page of a large classifier, and drawings that are asked while a training runs.

    python -m benchmarks.lesson [--each 6000] [--rounds 3] [--seconds 8]

The server is gunicorn as the Procfile starts it. A classifier of drawings with two classes is taught `--each` examples
of each, and its page is opened in Chromium, where nothing is cached. Then four clients ask `digits-cnn` about drawings
one after the other, `--seconds` long without and as long with a training; the rounds alternate. Cancelling ends each
training. The variable CHROMIUM names the browser's program.
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from benchmarks import pictures, servers
from benchmarks.stage import browser
from inkling.access import LOCAL
from inkling.config import Settings
from inkling.service import Service
from inkling.storage.taught import NewExample, Quota
from inkling.teach.teaching import Teaching
from inkling.teach.training import run_until_done

CLIENTS = 4
VISITS = 5
SIDE = 64  # pixels of a drawing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=6000, help="examples of each class (default 6000)")
    parser.add_argument("--rounds", type=int, default=3, help="pairs of measurements (default 3)")
    parser.add_argument("--seconds", type=float, default=8, help="seconds of each measurement (default 8)")
    chosen = parser.parse_args()
    print(f"load average before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        id = filled(folder / "pictures", chosen.each)
        with servers.running(servers.INKLING, folder, servers.get("/healthz")) as server:
            visits = opened(server, f"/teach/{id}")
            print(
                f"page of 2 x {chosen.each} examples: median {statistics.median(visits):.2f} s, "
                f"slowest of {len(visits)} {max(visits):.2f} s",
                flush=True,
            )
            alone, beside = [], []
            for _ in range(chosen.rounds):
                alone += asked(server, chosen.seconds)
                with training(server, f"/api/classifiers/{id}/train"):
                    beside += asked(server, chosen.seconds)
    for what, waits in (("alone", alone), ("while a training runs", beside)):
        print(
            f"drawings {what}: median {np.median(waits) * 1e3:.0f} ms, "
            f"99th percentile {np.percentile(waits, 99) * 1e3:.0f} ms of {len(waits)}"
        )
    print(f"99th percentiles: {np.percentile(beside, 99) / np.percentile(alone, 99):.2f} times")
    print(f"load average after: {os.getloadavg()[0]:.1f}")


def filled(folder: Path, each: int) -> str:
    """The id of a classifier that learned from `each` drawings of two kinds of signs, no two of them the same."""
    settings = Settings.from_env({"INKLING_PICTURES": str(folder)})
    teaching = Teaching(settings, Service.from_settings(settings), wake=lambda: None)
    made = teaching.create("Signs", "ink", LOCAL)
    rng = np.random.default_rng(0)
    corners = {"three": 3, "five": 5}
    for name, count in corners.items():
        new = [NewExample(polygon(rng, count), "drawing", f"{i}.png", name, "file") for i in range(each)]
        teaching.storage.add(made.id, new, Quota(0, 0, 0))
    start = time.perf_counter()
    if failed := run_until_done(teaching, made.id):
        raise RuntimeError(failed.reason)
    print(f"learning from 2 x {each} new examples: {time.perf_counter() - start:.1f} s", flush=True)
    return made.id


def polygon(rng: np.random.Generator, corners: int) -> bytes:
    """A crooked polygon as a PNG file."""
    turns = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.2, 0.2, corners)) / corners + rng.uniform(0, 2 * np.pi)
    radii = rng.uniform(16, 28, corners)
    points = [(SIDE / 2 + r * np.cos(t), SIDE / 2 + r * np.sin(t)) for r, t in zip(radii, turns, strict=True)]
    image = Image.new("L", (SIDE, SIDE), 255)
    ImageDraw.Draw(image).line([*points, points[0]], fill=0, width=int(rng.integers(3, 6)))
    return pictures.encoded(image, "PNG")


@contextmanager
def training(server: servers.Server, path: str) -> Iterator[None]:
    """A training that runs from the start of the context to its end, where it is cancelled.

    Raises:
        RuntimeError: it was done before the end.
    """
    server.send(servers.post(path, b"", "application/json"))

    def stage() -> str | None:
        return (json.loads(server.send(servers.get(path))[2]) or {}).get("stage")

    while stage() == "waiting":
        time.sleep(0.1)
    yield
    if stage() is None:
        raise RuntimeError("the training was too short: raise --each, or lower --seconds")
    server.send(servers.get(path).replace(b"GET", b"DELETE", 1))


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


if __name__ == "__main__":
    main()
