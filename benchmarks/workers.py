"""How many workers, and which of OpenVINO's hints? `POST /api/predict` under each, in turns.

    python -m benchmarks.workers [--rounds 5] [--seconds 5] [--connections 8] [--workers 1,2,4]

Workers divide the cores among them, as they always do: workers times OpenVINO's threads are the cores. Every setup is a
server of its own, started as the Procfile does it, and one after the other is kept busy, first by drawings of 280 x 280
for digits-cnn and then by photos of 640 x 480 for cats-dogs-mobilenet. Figures are medians of the rounds.
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
    """For drawings and for photos, the rounds of each setup."""
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
    """Three cells of the table."""
    speed, median, slow, _ = map(statistics.median, zip(*turns, strict=True))
    return f"{speed:,.0f} | {median:.1f} | {slow:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="turns of each setup (default 5)")
    parser.add_argument("--seconds", type=float, default=5, help="of a turn, drawings and photos each (default 5)")
    parser.add_argument("--connections", type=int, default=8, help="that the client keeps busy (default 8)")
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
