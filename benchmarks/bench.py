"""Compares the speed of `POST /api/predict` with other ways to serve the same model, in turns within one run.

    python -m benchmarks.bench [--rounds 5] [--seconds 10] [--connections 8] [--beside litserve,keras]

All servers answer the same 280 x 280 drawing of a 3, a PNG, with the same network, digits-cnn. The floor is a Flask
route that reads the upload and does nothing else. The floor and Flask with Keras run under Inkling's gunicorn settings,
and LitServe with as many workers. All servers stay up during the run, and one client process (benchmarks/client.py)
loads one of them at a time. Requests per second are medians of the rounds, with the slowest and fastest round in
brackets. The share of the floor is the median of the shares of the rounds. benchmarks/peers holds the other servers;
Gradio and LitServe have an environment of their own, `.venv-bench`, which `make bench` creates.
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
NOT_LOADED = "cats-dogs-vgg16"  # left out when the memory of a worker is measured
EACH = 60  # drawings and as many photos that a worker answers before its memory is measured
TIMED = 15  # phone photos that are timed, in turns with decoding and network alone
STARTS = 5  # starts of a worker that are timed


class Contender(NamedTuple):
    """A server and the request that it answers."""

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
AIMS = {"floor": 0.45, "keras": 30, "litserve": 2}  # requests per second, as a multiple of the contender's


class Round(NamedTuple):
    """The figures of one contender in one round."""

    speed: float  # requests per second
    median: float  # milliseconds
    slow: float  # milliseconds, the 99th percentile
    client: float  # share of a core that the client used


def drive(port: int, request: bytes, connections: int, seconds: float) -> Round:
    """Loads one server for one round.

    Raises:
        RuntimeError: the status of an answer was not 200.
    """
    command = [sys.executable, "-m", "benchmarks.client", str(port), str(connections), str(seconds)]
    done = json.loads(subprocess.run(command, input=request, capture_output=True, check=True, cwd=ROOT).stdout)
    if done["statuses"].keys() - {"200"}:
        raise RuntimeError(f"all answers must have status 200. Received: {done['statuses']}")
    took = done["milliseconds"]
    return Round(
        len(took) / done["seconds"],
        statistics.median(took),
        float(np.percentile(took, 99)),
        done["own"] / done["seconds"],
    )


def side_by_side(names: list[str], rounds: int, connections: int, seconds: float) -> dict[str, list[Round]]:
    """The rounds of each contender; the contenders take turns."""
    found = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        ports = {}
        for name in tqdm(names, "starting", leave=False):
            contender = CONTENDERS[name]
            ports[name] = stack.enter_context(
                servers.running(contender.command, Path(scratch, name), contender.request)
            ).port
            drive(ports[name], contender.request, connections, min(seconds, 3))  # until every worker has answered
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
    print(f"\nThe client used at most {busiest:.0%} of a core.\n")


def ratio(found: dict[str, list[Round]], one: str, other: str) -> float:
    """Speed of one contender as a multiple of the other's: the median of the ratios of the rounds."""
    return statistics.median(a.speed / b.speed for a, b in zip(found[one], found[other], strict=True))


def first_answer(scratch: Path) -> float:
    """Median seconds from the start of one worker to its first answer."""
    seconds = []
    for _ in range(STARTS):
        with servers.running(servers.INKLING, scratch, DRAWING, WEB_CONCURRENCY="1") as server:
            seconds.append(server.seconds)
    return statistics.median(seconds)


def worker_memory(scratch: Path) -> tuple[float, float]:
    """(private MB, proportional set size in MB) of one worker after it has answered `EACH` drawings and photos."""
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
    """Median milliseconds of a 12-megapixel JPEG: from upload to answer, and for decoding and network alone."""
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
    """Milliseconds that a call takes."""
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
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=10, help="length of one turn (default 10)")
    parser.add_argument("--connections", type=int, default=8, help="connections that the client keeps busy (default 8)")
    parser.add_argument(
        "--beside", default="litserve,gradio,keras,keras-each", help="other servers, separated by commas (default all)"
    )
    arguments = parser.parse_args()
    names = ["floor", "inkling", *filter(None, arguments.beside.split(","))]
    if unknown := set(names) - CONTENDERS.keys():
        parser.error(f"--beside must name some of {', '.join(CONTENDERS)}. Received: {', '.join(sorted(unknown))}")
    found = side_by_side(names, arguments.rounds, arguments.connections, arguments.seconds)
    print(
        f"{arguments.rounds} rounds of {arguments.seconds:g} s in turns, {arguments.connections} connections kept "
        f"open by one client process on the same {os.cpu_count()} cores\n"
    )
    print_speeds(found)
    print_aims(found)


if __name__ == "__main__":
    main()
