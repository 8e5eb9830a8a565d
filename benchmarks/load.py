"""Load test of a real server with many clients at once; fails if one of its promises is broken.

    python -m benchmarks.load [--minutes 10] [--clients 64] [--pause 2]

Each client has its own address. It sends drawings, photos of 12 megapixels (a fifth of them as WebP, which a decoder
process decodes) and bad files, and views pages and results with their heat maps, with random pauses between. One client
in sixteen makes pauses that are 40 times shorter, and so exceeds the rate limit. The server is gunicorn as the Procfile
starts it, except that it never recycles a worker, which could hide a leak. The promises are:

- Each request gets a status that is expected for it. 429 and 503 always come with Retry-After.
- No worker ends.
- After the first fifth of the time, the private memory of each worker and its decoder processes grows by less than
  1 MB per minute, and its number of open files stays the same.
- 99% of small drawings are answered within 10 times the median without load.
- 99% of the requests within the rate limit are not answered 503.
"""

import argparse
import os
import random
import re
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from benchmarks import pictures, servers

LIMIT = 120  # points a minute that each worker lets one client use; a drawing costs one
GREEDY, HASTE = 16, 40  # one client in 16 makes pauses 40 times shorter; without any it would use up the processor
SETTLED = 0.2  # share of the time that passes before growth counts
GROWTH, FILES, SLOWER = 1.0, 5, 10  # MB per minute, additional open files, multiple of the median without load
BUSY = 0.01  # share of the answers that are not 429
WEBP = 0.2  # share of the photos
UNLOADED = 100  # drawings that are timed before the load
EVERY = 1.0  # seconds between two samples of the workers
LATER = {429, 503}  # allowed for every request, with Retry-After
DIGITS = "/api/predict?model=digits-cnn"
PHOTOS = "/api/predict?model=cats-dogs-mobilenet"
PAGES = ("/", "/help", "/models", "/models/digits-cnn", "/compare/digits", "/api/models", "/static/style.css")
BAD = {  # name -> bytes
    "empty.png": b"",
    "notes.txt": b"hello",
    "text.jpg": b"hello, this is a text",
    "cut.png": pictures.digit()[:500],
}


class Answer(NamedTuple):
    """The answer to one request."""

    kind: str
    status: int
    milliseconds: float
    location: str
    broken: str  # the promise that it breaks, or ""


class Client:
    """One visitor or program with an address of its own."""

    def __init__(self, server: servers.Server, address: str, rng: random.Random):
        self._server, self._address, self._rng = server, address, rng

    def ask(self, kind: str, request: bytes, expected: set[int]) -> Answer:
        """Sends a request.

        Args:
            expected: statuses that the answer may have, besides `LATER`.
        """
        start = time.perf_counter()
        try:
            status, headers, _ = self._server.send(servers.forwarded(request, self._address))
        except Exception as error:  # of any kind: no answer came
            return Answer(kind, 0, 0.0, "", f"no answer: {type(error).__name__}")
        took = (time.perf_counter() - start) * 1e3
        broken = ""
        if status in LATER and not headers["Retry-After"]:
            broken = f"{status} without Retry-After"
        elif status not in expected | LATER:
            broken = f"status {status}"
        return Answer(kind, status, took, headers["Location"] or "", broken)

    def drawing(self) -> Answer:
        return self.ask("drawing", servers.post(DIGITS, *pictures.form(pictures.digit())), {200})

    def act(self) -> Iterator[Answer]:
        """Does one thing at random that a visitor would do, and yields the answers."""
        (action,) = self._rng.choices(
            (self.draw, self.send_photo, self.send_bad_file, self.look, self.ask_why), (50, 5, 15, 25, 5)
        )
        yield from action()

    def draw(self) -> Iterator[Answer]:
        yield self.drawing()

    def send_photo(self) -> Iterator[Answer]:
        if self._rng.random() < WEBP:
            yield self.ask("photo, WebP", servers.post(PHOTOS, *pictures.form(pictures.webp(), "photo.webp")), {200})
        else:
            yield self.ask("photo", servers.post(PHOTOS, *pictures.form(pictures.photo(), "photo.jpg")), {200})

    def send_bad_file(self) -> Iterator[Answer]:
        name = self._rng.choice(list(BAD))
        yield self.ask("bad file", servers.post(DIGITS, *pictures.form(BAD[name], name)), {400, 415, 422})

    def look(self) -> Iterator[Answer]:
        yield self.ask("page", servers.get(self._rng.choice(PAGES)), {200})

    def ask_why(self) -> Iterator[Answer]:
        form = pictures.form(pictures.digit(), model="digits-cnn")
        saved = self.ask("kept drawing", servers.post("/predict", *form), {303})
        yield saved
        if saved.location.startswith("/results/"):
            yield self.ask("result", servers.get(saved.location), {200})
            yield self.ask("heat map", servers.get(f"{saved.location}/heatmap.png"), {200})


class Sample(NamedTuple):
    """The figures of one worker at one time, with its decoder processes."""

    minute: float
    megabytes: float  # private memory
    files: int


def sample(pid: int, minute: float) -> Sample:
    """Samples a worker."""
    return Sample(minute, sum(map(private_megabytes, family(pid))), len(os.listdir(f"/proc/{pid}/fd")))


def private_megabytes(pid: int) -> float:
    """The private memory of a process; 0 if it has just ended."""
    try:
        found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = []
    with suppress(OSError):  # the process or one of its threads has just ended
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += map(int, (task / "children").read_text().split())
    return [pid, *(one for child in children for one in family(child))]


def growth(samples: list[Sample]) -> tuple[float, float]:
    """(MB per minute, additional open files) of a worker after the first fifth of the time."""
    settled = [sample for sample in samples if sample.minute >= SETTLED * samples[-1].minute]
    slope = float(np.polyfit([one.minute for one in settled], [one.megabytes for one in settled], 1)[0])
    part = max(1, len(settled) // 4)
    return slope, (
        statistics.median(one.files for one in settled[-part:]) - statistics.median(one.files for one in settled[:part])
    )


def run(server: servers.Server, clients: int, seconds: float, pause: float) -> tuple[list[Answer], dict]:
    """Runs the clients, and returns (all answers, samples of each worker by its PID)."""
    answers, samples, end = [], defaultdict(list), time.monotonic() + seconds

    def visit(number: int) -> None:
        rng = random.Random(number)
        client = Client(server, f"203.0.113.{number % 250 + 1}", rng)
        while time.monotonic() < end:
            answers.extend(client.act())
            wait = rng.expovariate(1 / pause) / (1 if number % GREEDY else HASTE)
            time.sleep(min(wait, max(0.0, end - time.monotonic())))

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    with tqdm(total=round(seconds), unit="s", leave=False) as bar:
        while (left := end - time.monotonic()) > 0:
            for pid in server.workers:
                with suppress(OSError):  # the worker has just ended; `check` reports it
                    samples[pid].append(sample(pid, (seconds - left) / 60))
            bar.update(round(seconds - left) - bar.n)
            time.sleep(min(EVERY, left))
    for thread in threads:
        thread.join()
    return answers, samples


def print_answers(answers: list[Answer]) -> None:
    print("| request | answers | by status | p50, ms | p99, ms |\n| --- | --- | --- | --- | --- |")
    for kind in dict.fromkeys(answer.kind for answer in answers):
        of_kind = [answer for answer in answers if answer.kind == kind]
        statuses = Counter(answer.status for answer in of_kind)
        took = served(of_kind) or [float("nan")]
        print(
            f"| {kind} | {len(of_kind)} | {', '.join(f'{count} x {one}' for one, count in sorted(statuses.items()))} "
            f"| {np.percentile(took, 50):.1f} | {np.percentile(took, 99):.1f} |"
        )
    print()


def served(answers: list[Answer]) -> list[float]:
    """Milliseconds of the answers that did not send the client away with 429 or 503."""
    return [answer.milliseconds for answer in answers if answer.status not in LATER | {0}]


def check(answers: list[Answer], samples: dict[int, list[Sample]], unloaded: float) -> bool:
    """Prints the table of promises, and returns whether all were kept."""
    broken = Counter(f"{answer.kind}: {answer.broken}" for answer in answers if answer.broken)
    drawings = served([answer for answer in answers if answer.kind == "drawing"])
    times = float(np.percentile(drawings, 99)) / unloaded
    within = [answer.status for answer in answers if answer.status != 429]
    busy = within.count(503) / len(within)
    whole = max(len(one) for one in samples.values())
    grown = [growth(one) for one in samples.values() if len(one) == whole]
    ended = len(samples) - len(grown)
    rows = [
        (
            "unexpected answers",
            ", ".join(f"{n} x {what}" for what, n in broken.items()) or "0",
            "0",
            not broken,
        ),
        ("workers that ended or started", f"{ended}", "0", not ended),
        (
            "growth of a worker, MB per minute",
            ", ".join(f"{slope:.2f}" for slope, _ in grown),
            f"< {GROWTH:g}",
            all(slope < GROWTH for slope, _ in grown),
        ),
        (
            "additional open files of a worker",
            ", ".join(f"{more:g}" for _, more in grown),
            f"<= {FILES}",
            all(more <= FILES for _, more in grown),
        ),
        (
            f"p99 of small drawings, multiple of {unloaded:.1f} ms without load",
            f"{times:.1f}",
            f"< {SLOWER}",
            times < SLOWER,
        ),
        ("answers 503 within the rate limit", f"{busy:.2%}", f"< {BUSY:.0%}", busy < BUSY),
    ]
    print("| promise | measured | aim | kept |\n| --- | --- | --- | --- |")
    for what, measured, aim, kept in rows:
        print(f"| {what} | {measured} | {aim} | {'yes' if kept else 'NO'} |")
    return all(kept for *_, kept in rows)


def unloaded_median(client: Client) -> float:
    """Median milliseconds of a drawing without load."""
    return statistics.median(client.drawing().milliseconds for _ in range(UNLOADED))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10, help="length of the test (default 10)")
    parser.add_argument("--clients", type=int, default=64, help="clients at once (default 64)")
    parser.add_argument("--pause", type=float, default=2, help="mean seconds between a client's actions (default 2)")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as scratch,
        servers.running(
            servers.INKLING,
            Path(scratch),
            servers.get("/readyz"),
            INKLING_RATE_LIMIT=str(LIMIT),
            INKLING_TRUSTED_PROXIES="127.0.0.1",
            GUNICORN_CMD_ARGS="--max-requests 0",
        ) as server,
    ):
        pictures.photo(), pictures.webp()  # generated before the clock runs
        unloaded = unloaded_median(Client(server, "198.51.100.1", random.Random(0)))
        answers, samples = run(server, arguments.clients, arguments.minutes * 60, arguments.pause)
    print(
        f"{arguments.clients} clients, {arguments.minutes:g} minutes, pauses of {arguments.pause:g} s, "
        f"{len(samples)} workers, {len(answers) / arguments.minutes / 60:.0f} answers per second\n"
    )
    print_answers(answers)
    return 0 if check(answers, samples, unloaded) else 1


if __name__ == "__main__":
    sys.exit(main())
