"""Compares the speed of `POST /api/predict` with other ways to serve the same network, in turns within one run.

    python -m benchmarks.bench [--rounds 5] [--seconds 2] [--connections 8] [--drawings 500] [--beside litserve,keras]

All servers answer the same drawing of a test set, 400 x 400, as a PNG or as strokes, with digits-cnn and then with
doodles-cnn; two more answer a photo of 640 x 480 with things. The floor is a Flask route that reads the upload and does
nothing else. The floor and Flask with Keras run under Inkling's gunicorn settings, LitServe with as many workers.
All servers of a part stay up, and one client process (benchmarks/client.py) loads one of them at a time. Requests per
second are medians of the rounds, with the slowest and the fastest in brackets. A ratio is the median of the ratios of
the rounds, with the quartiles in brackets. The processor time is that of all processes of a server for each answer,
which depends less on other work on the machine. The accuracy is that of the server's own answers to 500 test drawings
on a canvas, one by one. benchmarks/peers holds the other servers; Gradio and LitServe have an environment of their own,
`.venv-bench`, which `make bench` creates.
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
from collections.abc import Callable, Mapping, Sequence
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
LITSERVE = [*OTHERS, "benchmarks.peers.litserve_app"]
SIZE = "640 x 480"
PHOTO_MODEL = "cats-dogs-mobilenet"
NOT_LOADED = "cats-dogs-vgg16"  # left out when the memory of a worker is measured
EACH = 60  # drawings and as many photos that a worker answers before its memory is measured
TIMED = 15  # phone photos that are timed, in turns with decoding and network alone
STARTS = 3  # starts of a worker that are timed
WARM_UP = 2  # seconds
DATASETS = {"digits-cnn": "mnist", "doodles-cnn": "doodles"}


# ---- What is sent ----


class Sent(NamedTuple):
    """A picture in the forms in which it may be sent."""

    png: bytes
    strokes: bytes = b""
    name: str = "drawing.png"


def api(sent: Sent, model: str) -> bytes:
    return servers.post(f"/api/predict?model={model}" if model else "/api/predict", *pictures.form(sent.png, sent.name))


DRAWING = api(Sent(pictures.digit()), "digits-cnn")  # which other benchmarks send too


def strokes(sent: Sent, model: str) -> bytes:
    return servers.post(f"/api/predict?model={model}", sent.strokes, "application/json")


def form(sent: Sent, _model: str) -> bytes:
    return servers.post("/predict", *pictures.form(sent.png, sent.name))


def body(sent: Sent, _model: str) -> bytes:
    return servers.post("/body", sent.strokes, "application/json")


def gradio(sent: Sent, _model: str) -> bytes:
    url = "data:image/png;base64," + base64.b64encode(sent.png).decode()
    return servers.post("/gradio_api/run/predict", json.dumps({"data": [{"url": url}]}).encode(), "application/json")


class Contender(NamedTuple):
    """A server and the request that it answers.

    Attributes:
        server: contenders with the same one ask the same server.
        request: (picture, model) -> the request.
        answers: whether it answers with a label.
        settings: its environment.
    """

    title: str
    server: str
    command: list[str]
    request: Callable[[Sent, str], bytes]
    answers: bool = True
    settings: Mapping[str, str] = {}


DRAWN = {
    "floor": Contender("empty Flask route, PNG", "floor", [*PEERS, "benchmarks.peers.floor:app"], form, False),
    "floor-strokes": Contender(
        "empty Flask route, strokes", "floor", [*PEERS, "benchmarks.peers.floor:app"], body, False
    ),
    "strokes": Contender("Inkling, strokes", "inkling", servers.INKLING, strokes),
    "png": Contender("Inkling, PNG", "inkling", servers.INKLING, api),
    "litserve": Contender("LitServe, squeezing", "litserve", LITSERVE, form),
    "litserve-ink": Contender(
        "LitServe, our old pipeline", "litserve-ink", LITSERVE, form, settings={"PEER_PIPELINE": "ink"}
    ),
    "gradio": Contender("Gradio, squeezing", "gradio", [*OTHERS, "benchmarks.peers.gradio_app"], gradio),
    "keras": Contender("Flask, `model.predict`", "keras", [*PEERS, "benchmarks.peers.keras_loaded:app"], form),
    "keras-each": Contender(
        "the same, loaded by each request", "keras-each", [*PEERS, "benchmarks.peers.keras_each:app"], form, False
    ),
}
PHOTOGRAPHED = {
    "things": Contender(f"Inkling, `things`, {SIZE}", "inkling", servers.INKLING, api, False),
    "auto": Contender(f"Inkling, Auto, {SIZE}", "inkling", servers.INKLING, lambda sent, _: api(sent, ""), False),
    "litserve-photo": Contender(
        f"LitServe, the same network, {SIZE}", "litserve", LITSERVE, form, False, {"PEER_PIPELINE": "photo"}
    ),
}
CONTENDERS = DRAWN | PHOTOGRAPHED
NEEDED = ("floor", "floor-strokes", "strokes", "png")  # of the drawings' contenders
AIMS = (  # contender, beside which other one, at least this many times its requests per second
    ("strokes", "litserve", 2.0),
    ("png", "litserve-ink", 1.5),
    ("png", "litserve", 1.1),
    ("png", "keras", 20.0),
    ("strokes", "floor-strokes", 0.4),
    ("things", "litserve-photo", 1.2),
)


# ---- Requests per second ----


class Round(NamedTuple):
    """The figures of one contender in one round."""

    speed: float  # requests per second
    median: float  # milliseconds
    slow: float  # milliseconds, the 99th percentile
    client: float  # share of a core that the client used
    answers: int  # all of them, also those that came when the time was over
    cost: float = 0.0  # milliseconds of processor time of the server for each answer


Rounds = dict[str, list[Round]]


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
        len(took) + done["late"],
    )


def side_by_side(
    names: Sequence[str], model: str, sent: Sent, arguments: argparse.Namespace, drawings: Sequence[tuple[Sent, str]]
) -> tuple[Rounds, dict[str, float]]:
    """The rounds of each contender, which take turns, and the accuracy of those that answer drawings."""
    found: Rounds = {name: [] for name in names}
    accuracy: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        running: dict[str, servers.Server] = {}
        requests = {name: CONTENDERS[name].request(sent, model) for name in names}
        for name in tqdm(names, "starting", leave=False):
            contender = CONTENDERS[name]
            if contender.server not in running:
                settings = {"PEER_MODEL": model, **contender.settings}
                running[contender.server] = stack.enter_context(
                    servers.running(contender.command, Path(scratch, contender.server), requests[name], **settings)
                )
            drive(running[contender.server].port, requests[name], arguments.connections, WARM_UP)
        for _ in tqdm(range(arguments.rounds), "rounds", leave=False):
            for name in names:
                server = running[CONTENDERS[name].server]
                before = server.processor_seconds()
                turn = drive(server.port, requests[name], arguments.connections, arguments.seconds)
                spent = server.processor_seconds() - before
                found[name].append(turn._replace(cost=spent * 1e3 / turn.answers))
        for name in (name for name in names if CONTENDERS[name].answers and drawings):
            contender = CONTENDERS[name]
            right = [
                label_of(running[contender.server].send(contender.request(one, model))[2]) == label
                for one, label in tqdm(drawings, f"accuracy of {name}", leave=False)
            ]
            accuracy[name] = statistics.mean(right)
    return found, accuracy


def label_of(answer: bytes) -> str:
    """The label in an answer; Gradio wraps its answer in a list."""
    parsed = json.loads(answer)
    return str((parsed["data"][0] if "data" in parsed else parsed).get("label"))


def canvas_drawings(model: str, count: int) -> list[tuple[Sent, str]]:
    """Test drawings of a model's data set on a canvas of 400 x 400, with their labels."""
    if not count:
        return []
    from benchmarks.strokes import as_json, as_png
    from training import data
    from training.tracing import trace

    test, labels = data.load(DATASETS[model], limit=count).test, read_catalog(ROOT / "models").models[model].card.labels
    lines = [trace(bitmap) for bitmap in test.x]
    return [(Sent(as_png(one), as_json(one).encode()), labels[label]) for one, label in zip(lines, test.y, strict=True)]


def print_speeds(found: Rounds, accuracy: Mapping[str, float]) -> None:
    print("| contender | requests/s | processor time, ms | p50, ms | p99, ms | accuracy |\n" + "| --- " * 6 + "|")
    for name, turns in found.items():
        speeds = [turn.speed for turn in turns]
        right = f"{accuracy[name]:.1%}" if name in accuracy else "-"
        print(
            f"| {CONTENDERS[name].title} | {statistics.median(speeds):,.1f} ({min(speeds):,.1f} to "
            f"{max(speeds):,.1f}) | {statistics.median(turn.cost for turn in turns):.2f} | "
            f"{statistics.median(turn.median for turn in turns):.1f} | "
            f"{statistics.median(turn.slow for turn in turns):.1f} | {right} |"
        )
    busiest = max(turn.client for turns in found.values() for turn in turns)
    print(f"\nThe client used at most {busiest:.0%} of a core.\n", flush=True)


def ratios(found: Rounds, one: str, other: str) -> list[float]:
    """The speed of one contender as a multiple of the other's, in each round."""
    return [a.speed / b.speed for a, b in zip(found[one], found[other], strict=True)]


def aims(found: Rounds) -> list[tuple[str, str, str, bool]]:
    """The rows about requests per second in the table of aims: what, measured, aim, whether it is reached."""
    rows = []
    for one, other, least in AIMS:
        if one in found and other in found:
            each = ratios(found, one, other)
            middle = statistics.median(each)
            low, high = np.percentile(each, (25, 75))
            what = f"{CONTENDERS[one].title}, beside {CONTENDERS[other].title}"
            rows.append((what, f"{middle:.2f} times ({low:.2f} to {high:.2f})", f"{least:g} times", middle >= least))
    return rows


# ---- Other aims ----


def first_answer(scratch: Path, command: list[str], request: bytes) -> float:
    """Median seconds from the start of one worker to its first answer."""
    seconds = []
    for _ in range(STARTS):
        with servers.running(command, scratch, request, WEB_CONCURRENCY="1") as server:
            seconds.append(server.seconds)
    return statistics.median(seconds)


def worker_memory(scratch: Path, sent: Sent) -> tuple[float, float]:
    """(private MB, proportional set size in MB) of one worker after it has answered `EACH` drawings and photos."""
    models = scratch / "models"
    for folder in Settings.from_env().models.glob("*/"):
        if folder.name != NOT_LOADED:
            shutil.copytree(folder, models / folder.name)
    drawing, photo = api(sent, "digits-cnn"), api(Sent(pictures.photo(), name="photo.jpg"), PHOTO_MODEL)
    with servers.running(servers.INKLING, scratch, drawing, INKLING_MODELS=str(models)) as server:
        for _ in range(EACH * len(server.workers)):
            server.answer(drawing)
            server.answer(photo)
        each = [servers.memory(pid) for pid in server.workers]
    return (
        statistics.mean(one["Private_Clean"] + one["Private_Dirty"] for one in each),
        statistics.mean(one["Pss"] for one in each),
    )


def phone_photo(scratch: Path) -> tuple[float, float]:
    """Median milliseconds of a 12-megapixel JPEG: from upload to answer, and for decoding and network alone.

    `things` answers, because specialists ask it as well.
    """
    data, model = pictures.photo(), read_catalog(Settings.from_env().models).models["things"]
    precision = "bf16" if openvino.has_bfloat16() else "f32"  # as it is served
    network, spec = openvino.open_model(model, os.cpu_count(), precision), model.card.input
    ready = np.zeros((1, spec.height, spec.width, spec.channels), np.float32)
    request = api(Sent(data, name="photo.jpg"), "things")

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


def other_aims(sent: Sent) -> list[tuple[str, str, str, bool]]:
    """The rows of the table of aims that are not about requests per second."""
    with tempfile.TemporaryDirectory() as scratch:
        start = first_answer(Path(scratch, "start"), servers.INKLING, strokes(sent, "digits-cnn"))
        empty = first_answer(Path(scratch, "empty"), DRAWN["floor"].command, form(sent, ""))
        own, shared = worker_memory(Path(scratch, "memory"), sent)
        photo, bare = phone_photo(Path(scratch, "photo"))
    most = 1.5 / 0.4  # times the empty app's start
    return [
        (
            "start of one worker to its first answer",
            f"{start:.2f} s, where the empty Flask app takes {empty:.2f} s",
            f"{most:.2f} times",
            start <= most * empty,
        ),
        (
            "memory of a worker, all models but VGG16",
            f"{own:.0f} MB of its own, {shared:.0f} MB with its share of libraries",
            "180 MB",
            own <= 180,
        ),
        (
            "photo of 12 megapixels, upload to answer",
            f"{photo:.0f} ms, {photo / bare:.2f} times bare decoding and network ({bare:.0f} ms)",
            "1.4 times",
            photo <= 1.4 * bare,
        ),
    ]


def print_aims(rows: Sequence[tuple[str, str, str, bool]]) -> None:
    print("| what | measured | aim | reached |\n| --- | --- | --- | --- |")
    for what, measured, aim, reached in rows:
        print(f"| {what} | {measured} | {aim} | {'yes' if reached else 'missed'} |")


def processor() -> str:
    """The processor's name as Linux tells it."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--seconds", type=float, default=2, help="length of one turn (default 2)")
    parser.add_argument("--connections", type=int, default=8, help="connections that the client keeps busy (default 8)")
    parser.add_argument("--drawings", type=int, default=500, help="drawings that tell the accuracy (default 500)")
    parser.add_argument(
        "--beside",
        default="litserve,litserve-ink,gradio,keras,keras-each,photos",
        help="other servers, separated by commas, and photos (default all)",
    )
    arguments = parser.parse_args()
    beside = [*filter(None, arguments.beside.split(","))]
    if unknown := set(beside) - DRAWN.keys() - {"photos"}:
        parser.error(f"--beside must name some of {', '.join(DRAWN)}, photos. Received: {', '.join(sorted(unknown))}")
    names = [*NEEDED, *(name for name in beside if name != "photos")]
    cores = os.cpu_count()
    print(
        f"{processor()}, {cores} cores, load {os.getloadavg()[0]:.1f}. {arguments.rounds} rounds of "
        f"{arguments.seconds:g} s in turns, {arguments.connections} connections kept open by one client process on the "
        "same cores\n"
    )
    plain = Sent(pictures.digit(), pictures.strokes()[0])
    rows = []
    for model in DATASETS:
        drawings = canvas_drawings(model, arguments.drawings)
        found, accuracy = side_by_side(names, model, drawings[0][0] if drawings else plain, arguments, drawings)
        print(f"`{model}`\n")
        print_speeds(found, accuracy)
        rows += [(f"`{model}`: {what}", *rest) for what, *rest in aims(found)]
    if "photos" in beside:
        photo = Sent(pictures.photo(640, 480), name="photo.jpg")
        found, _ = side_by_side([*PHOTOGRAPHED], "things", photo, arguments, [])
        print_speeds(found, {})
        rows += aims(found)
    print_aims([*rows, *other_aims(plain)])


if __name__ == "__main__":
    main()
