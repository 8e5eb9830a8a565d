"""How fast is `POST /api/predict` beside what one would use instead? One run, all in turns, so that ratios count.

    python -m benchmarks.bench [--rounds 5] [--seconds 10] [--connections 8] [--beside litserve,keras]

Everybody answers the same drawing of 280 x 280, a 3 in a PNG, with the same network, digits-cnn. The floor is a Flask
route that reads the upload and does nothing; it and Flask with Keras run under Inkling's own gunicorn settings,
LitServe with as many workers. All servers run all the time, and one after the other is kept busy by one client process
(benchmarks/client.py). Requests a second are medians of the rounds, in brackets the slowest and the fastest round; the
share of the floor is the median of the rounds' shares. The peers are in benchmarks/peers, Gradio and LitServe in an
environment of their own, `.venv-bench`, which `make bench` makes.
"""

import argparse
import base64
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import pictures, servers
from inkling.config import ROOT, Settings
from inkling.recognition.catalog import read_catalog
from inkling.recognition.runtimes import openvino

PEERS = [sys.executable, "-m", "gunicorn", "-c", "benchmarks/peers/gunicorn.conf.py"]
OTHERS = [str(ROOT / ".venv-bench" / "bin" / "python"), "-m"]
FORM = pictures.form(pictures.digit())
DRAWING = servers.post("/api/predict?model=digits-cnn", *FORM)
UPLOAD = servers.post("/predict", *FORM)
GRADIO = servers.post(
    "/gradio_api/run/predict",
    json.dumps({"data": [{"url": "data:image/png;base64," + base64.b64encode(pictures.digit()).decode()}]}).encode(),
    "application/json",
)
PHOTO_MODEL = "cats-dogs-mobilenet"
NOT_LOADED = "cats-dogs-vgg16"  # the memory of a worker is measured without it
EACH = 60  # drawings, and photos, that a worker has answered when its memory is measured
TIMED = 15  # photos of a phone, in turns with the bare decoding
STARTS = 5  # of one worker


class Contender(NamedTuple):
    """A server, and what it is asked."""

    title: str
    command: list[str]
    request: bytes


CONTENDERS = {
    "floor": Contender("empty Flask route", [*PEERS, "benchmarks.peers.floor:app"], UPLOAD),
    "inkling": Contender("Inkling", servers.INKLING, DRAWING),
    "litserve": Contender("LitServe, ONNX Runtime", [*OTHERS, "benchmarks.peers.litserve_app"], UPLOAD),
    "gradio": Contender("Gradio, ONNX Runtime", [*OTHERS, "benchmarks.peers.gradio_app"], GRADIO),
    "keras": Contender("Flask, `model.predict`", [*PEERS, "benchmarks.peers.keras_loaded:app"], UPLOAD),
    "keras-each": Contender("the same, loaded by each request", [*PEERS, "benchmarks.peers.keras_each:app"], UPLOAD),
}
AIMS = {"floor": 0.45, "keras": 30, "litserve": 2}  # times as many requests a second


class Round(NamedTuple):
    """What one contender did in its turn."""

    speed: float  # requests a second
    median: float  # milliseconds
    slow: float  # milliseconds, the 99th percentile
    client: float  # share of a core that the client took


def drive(port: int, request: bytes, connections: int, seconds: float) -> Round:
    """One turn.

    Raises:
        RuntimeError: an answer was not 200.
    """
    command = [sys.executable, "-m", "benchmarks.client", str(port), str(connections), str(seconds)]
    done = json.loads(subprocess.run(command, input=request, capture_output=True, check=True, cwd=ROOT).stdout)
    if done["statuses"].keys() - {"200"}:
        raise RuntimeError(f"not all were answered: {done['statuses']}")
    took = done["milliseconds"]
    return Round(
        len(took) / done["seconds"],
        statistics.median(took),
        float(np.percentile(took, 99)),
        done["own"] / done["seconds"],
    )


def side_by_side(names: list[str], rounds: int, connections: int, seconds: float) -> dict[str, list[Round]]:
    """The rounds of each contender, in turns."""
    found = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        ports = {}
        for name in tqdm(names, "starting", leave=False):
            contender = CONTENDERS[name]
            ports[name] = stack.enter_context(
                servers.running(contender.command, Path(scratch, name), contender.request)
            ).port
            drive(ports[name], contender.request, connections, min(seconds, 3))  # every worker has answered
        for _ in tqdm(range(rounds), "rounds", leave=False):
            for name in names:
                found[name].append(drive(ports[name], CONTENDERS[name].request, connections, seconds))
    return found


def print_speeds(found: dict[str, list[Round]]) -> None:
    print("| contender | requests/s | p50, ms | p99, ms | of the floor |\n| --- | --- | --- | --- | --- |")
    for name, turns in found.items():
        speeds = [turn.speed for turn in turns]
        print(
            f"| {CONTENDERS[name].title} | {statistics.median(speeds):,.1f} ({min(speeds):,.1f} to "
            f"{max(speeds):,.1f}) | {statistics.median(turn.median for turn in turns):.1f} | "
            f"{statistics.median(turn.slow for turn in turns):.1f} | {ratio(found, name, 'floor'):.1%} |"
        )
    busiest = max(turn.client for turns in found.values() for turn in turns)
    print(f"\nThe client took {busiest:.0%} of a core at most.\n")


def ratio(found: dict[str, list[Round]], one: str, other: str) -> float:
    """How many times as fast one is as the other: the median of the rounds' ratios."""
    return statistics.median(a.speed / b.speed for a, b in zip(found[one], found[other], strict=True))


def first_answer(scratch: Path) -> float:
    """Median seconds from the start of one worker to its first answer."""
    seconds = []
    for _ in range(STARTS):
        with servers.running(servers.INKLING, scratch, DRAWING, WEB_CONCURRENCY="1") as server:
            seconds.append(server.seconds)
    return statistics.median(seconds)


def worker_memory(scratch: Path) -> tuple[float, float]:
    """MB that one worker holds of its own, and with its share of what is shared (PSS), after it has worked."""
    models = scratch / "models"
    for folder in Settings.from_env().models.glob("*/"):
        if folder.name != NOT_LOADED:
            shutil.copytree(folder, models / folder.name)
    photo = servers.post(f"/api/predict?model={PHOTO_MODEL}", *pictures.form(pictures.photo(), "photo.jpg"))
    with servers.running(servers.INKLING, scratch, DRAWING, INKLING_MODELS=str(models)) as server:
        for _ in range(EACH * len(server.workers)):
            server.answer(DRAWING)
            server.answer(photo)
        each = [servers.memory(pid) for pid in server.workers]
    return (
        statistics.mean(one["Private_Clean"] + one["Private_Dirty"] for one in each),
        statistics.mean(one["Pss"] for one in each),
    )


def phone_photo(scratch: Path) -> tuple[float, float]:
    """Median milliseconds of a 12 megapixel JPEG from upload to answer, and of its bare decoding and answering."""
    data, model = pictures.photo(), read_catalog(Settings.from_env().models).models[PHOTO_MODEL]
    network, spec = openvino.open_model(model, os.cpu_count()), model.card.input
    ready = np.zeros((1, spec.height, spec.width, spec.channels), np.float32)
    request = servers.post(f"/api/predict?model={PHOTO_MODEL}", *pictures.form(data, "photo.jpg"))

    def bare() -> None:
        with Image.open(io.BytesIO(data)) as image:
            image.draft("RGB", (spec.width, spec.height))
            image.load()
        network(ready)

    ours, alone = [], []
    with servers.running(servers.INKLING, scratch, request, WEB_CONCURRENCY="1") as server:
        for _ in range(TIMED):
            ours.append(timed(lambda: server.answer(request)))
            alone.append(timed(bare))
    return statistics.median(ours), statistics.median(alone)


def timed(work) -> float:
    """Milliseconds that it takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3


def print_aims(found: dict[str, list[Round]]) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        start = first_answer(Path(scratch, "start"))
        own, shared = worker_memory(Path(scratch, "memory"))
        photo, bare = phone_photo(Path(scratch, "photo"))
    print("| what | measured | aim |\n| --- | --- | --- |")
    for other, aim in AIMS.items():
        if other in found:
            print(
                f"| requests/s, beside {CONTENDERS[other].title} | {ratio(found, 'inkling', other):.2f} times | "
                f"{aim} times |"
            )
    print(f"| start of one worker to its first answer | {start:.2f} s | 1.5 s |")
    print(
        f"| memory of a worker, all models but VGG16 | {own:.0f} MB of its own, {shared:.0f} MB with its share of "
        f"libraries | 150 MB |"
    )
    print(
        f"| photo of 12 megapixels, upload to answer | {photo:.0f} ms, {photo / bare:.2f} times bare decoding and "
        f"network ({bare:.0f} ms) | 1.6 times |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contender (default 5)")
    parser.add_argument("--seconds", type=float, default=10, help="of a turn (default 10)")
    parser.add_argument("--connections", type=int, default=8, help="that the client keeps busy (default 8)")
    parser.add_argument(
        "--beside", default="litserve,gradio,keras,keras-each", help="peers, separated by commas (default all)"
    )
    arguments = parser.parse_args()
    names = ["floor", "inkling", *filter(None, arguments.beside.split(","))]
    if unknown := set(names) - CONTENDERS.keys():
        parser.error(f"peers are {', '.join(CONTENDERS)}. Received: {', '.join(sorted(unknown))}")
    found = side_by_side(names, arguments.rounds, arguments.connections, arguments.seconds)
    print(
        f"{arguments.rounds} rounds of {arguments.seconds:g} s in turns, {arguments.connections} connections kept "
        f"open by one client process on the same {os.cpu_count()} cores\n"
    )
    print_speeds(found)
    print_aims(found)


if __name__ == "__main__":
    main()
