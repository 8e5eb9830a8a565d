"""Compares numbers of workers and OpenVINO's performance hints by the speed of `POST /api/predict`, in turns.

    python -m benchmarks.workers [--rounds 5] [--seconds 5] [--connections 8] [--workers 1,2,4]

Workers share the cores as usual: the number of workers times the number of OpenVINO threads is the number of cores.
Each setup is a server of its own, started as the Procfile does. A client loads one server at a time, first with
drawings of 280 x 280 for digits-cnn and then with photos of 640 x 480 for cats-dogs-mobilenet. Figures are medians of
the rounds.
"""

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from benchmarks import pictures, servers
from benchmarks.bench import DRAWING, PHOTO_MODEL, Round, drive

HINTS = {"latency": "app:app", "throughput": "benchmarks.peers.throughput:app"}
PHOTO = servers.post(f"/api/predict?model={PHOTO_MODEL}", *pictures.form(pictures.photo(640, 480), "photo.jpg"))
Setup = tuple[int, str]  # workers, hint


def measure(setups: list[Setup], rounds: int, connections: int, seconds: float) -> dict[Setup, list[list[Round]]]:
    """The rounds of each setup: one list for drawings and one for photos."""
    found = {setup: [[], []] for setup in setups}
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        ports = {}
        for workers, hint in tqdm(setups, "starting", leave=False):
            command = [sys.executable, "-m", "gunicorn", HINTS[hint]]
            ports[workers, hint] = stack.enter_context(
                servers.running(command, Path(scratch, f"{workers}-{hint}"), DRAWING, WEB_CONCURRENCY=str(workers))
            ).port
        for _ in tqdm(range(rounds), "rounds", leave=False):
            for setup in setups:
                for turns, request in zip(found[setup], (DRAWING, PHOTO), strict=True):
                    turns.append(drive(ports[setup], request, connections, seconds))
    return found


def cells(turns: list[Round]) -> str:
    """Three cells of the table: requests per second, p50 and p99."""
    speed, median, slow, *_ = map(statistics.median, zip(*turns, strict=True))
    return f"{speed:,.0f} | {median:.1f} | {slow:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default 5)")
    parser.add_argument(
        "--seconds", type=float, default=5, help="length of a turn with each kind of picture (default 5)"
    )
    parser.add_argument("--connections", type=int, default=8, help="connections that the client keeps busy (default 8)")
    parser.add_argument("--workers", default="1,2,4", help="numbers of workers, separated by commas (default 1,2,4)")
    arguments = parser.parse_args()
    setups = [(int(workers), hint) for workers in arguments.workers.split(",") for hint in HINTS]
    found = measure(setups, arguments.rounds, arguments.connections, arguments.seconds)
    print(
        f"{arguments.rounds} rounds of {arguments.seconds:g} s in turns, {arguments.connections} connections kept "
        f"open by one client process on the same {os.cpu_count()} cores\n"
    )
    print(
        "| workers | hint | drawings/s | p50, ms | p99, ms | photos/s | p50, ms | p99, ms |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for (workers, hint), (drawings, photos) in found.items():
        print(f"| {workers} | {hint} | {cells(drawings)} | {cells(photos)} |")


if __name__ == "__main__":
    main()
