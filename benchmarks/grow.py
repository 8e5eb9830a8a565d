"""Measures how throughput grows with workers, connections and pictures in a request, and where it stops.

    python -m benchmarks.grow [--seconds 2] [--plot docs/images/speed.svg]

Inkling answers a drawing as strokes, kept busy by 8 to 256 connections, with 1, 2 and 4 workers. With a worker for each
core, it answers 1 to 20 PNGs of a drawing in a request. Beyond saturation, throughput must not collapse: the
table says what it keeps of its best.
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from benchmarks import pictures, servers
from benchmarks.bench import drive, processor

WORKERS = (1, 2, 4)
CONNECTIONS = (8, 32, 64, 128, 256)
PICTURES = (1, 5, 10, 20)
WARM_UP = 1.5  # seconds
STROKES = servers.post("/api/predict?model=digits-cnn", *pictures.strokes())
ROOM = {"INKLING_QUEUE": "300"}  # every connection may wait: none is refused


class Row(NamedTuple):
    """What one load measured.

    Attributes:
        speed: answers per second: one for each picture.
        slow: milliseconds, the 99th percentile of a request.
    """

    workers: int
    connections: int
    pictures: int
    speed: float
    slow: float


def of_pictures(count: int) -> bytes:
    """A request with several drawings."""
    edge, file = pictures.EDGE, pictures.digit()
    head = f'--{edge}\r\nContent-Disposition: form-data; name="image"; filename="drawing.png"\r\n\r\n'.encode()
    body = (head + file + b"\r\n") * count + f"--{edge}--\r\n".encode()
    return servers.post("/api/predict?model=digits-cnn", body, f"multipart/form-data; boundary={edge}")


def measured(workers: int, loads: Sequence[tuple[int, int]], seconds: float) -> list[Row]:
    """A row for each load (connections, pictures in a request) of a server with so many workers."""
    rows = []
    with (
        tempfile.TemporaryDirectory() as scratch,
        servers.running(servers.INKLING, Path(scratch), STROKES, WEB_CONCURRENCY=str(workers), **ROOM) as server,
    ):
        drive(server.port, STROKES, 8, WARM_UP)
        for connections, count in tqdm(loads, f"{workers} workers", leave=False):
            found = drive(server.port, of_pictures(count) if count else STROKES, connections, seconds)
            rows.append(Row(workers, connections, max(1, count), found.speed * max(1, count), found.slow))
    return rows


def print_rows(rows: Sequence[Row]) -> None:
    best = {workers: max(row.speed for row in rows if row.workers == workers) for workers in {row[0] for row in rows}}
    print("| workers | connections | pictures a request | answers/s | of the best | p99, ms |\n" + "| --- " * 6 + "|")
    for row in rows:
        print(
            f"| {row.workers} | {row.connections} | {row.pictures} | {row.speed:,.0f} | "
            f"{row.speed / best[row.workers]:.0%} | {row.slow:.0f} |"
        )


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draws answers per second and the 99th percentile by connections, a line for each number of workers."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "inkling"
    from matplotlib import pyplot

    figure, (speed, slow) = pyplot.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    for workers in dict.fromkeys(row.workers for row in rows):
        own = [row for row in rows if row.workers == workers]
        label = f"{workers} worker{'s' if workers > 1 else ''}"
        speed.plot([row.connections for row in own], [row.speed for row in own], marker="o", label=label)
        slow.plot([row.connections for row in own], [row.slow for row in own], marker="o", label=label)
    speed.set(title="drawings as strokes a second", ylim=(0, None))
    slow.set(title="99th percentile, ms", ylim=(0, None))
    for axes in (speed, slow):
        axes.set_xscale("log", base=2)
        axes.set_xticks(CONNECTIONS, [str(each) for each in CONNECTIONS])
        axes.set_xlabel("connections")
        axes.legend()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2, help="length of one load (default 2)")
    parser.add_argument("--plot", type=Path, help="SVG file to draw the first table into")
    arguments = parser.parse_args()
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    rows = [row for workers in WORKERS for row in measured(workers, [(n, 0) for n in CONNECTIONS], arguments.seconds)]
    print_rows(rows)
    if arguments.plot:
        plot(rows, arguments.plot)
    print(f"\nPNGs of a drawing, {os.cpu_count()} workers\n")
    print_rows(measured(os.cpu_count() or 1, [(8, count) for count in PICTURES], arguments.seconds))


if __name__ == "__main__":
    main()
