"""Whether one client can crowd another one out, on a real server with the default share of each client; fails if so.

    python -m benchmarks.fair [--share 50] [--seconds 8]

Turns: sixteen connections of one address send photos that take long to decode, while a visitor with another address
sends a drawing every tenth of a second. Quota: the visitor saves and corrects a result. Then one address sends eight
posts, each with as many pictures as a post may have, which are more than a quota of 100 MiB holds.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from benchmarks import pictures, servers
from benchmarks.load import DIGITS, PHOTOS
from inkling.config import Settings

DEFAULTS = Settings.from_env({})
CONNECTIONS, EVERY = 16, 0.1  # of the flood; seconds between two drawings of the visitor
POSTS, QUOTA, SIDE = 8, 100, 1024  # QUOTA in MiB, SIDE in pixels
SWEPT = 60  # seconds within which housekeeping must have enforced the quota
FLOODER, VISITOR = "203.0.113.1", "203.0.113.2"
DRAWING = servers.post(DIGITS, *pictures.form(pictures.digit()))


class Row(NamedTuple):
    """A promise, what was measured, and whether it was kept."""

    promise: str
    measured: str
    kept: bool


def turns(server: servers.Server, seconds: float) -> list[Row]:
    """A visitor asks while a flood of slow photos takes all turns that its client may have."""
    flood = servers.forwarded(servers.post(PHOTOS, *pictures.form(pictures.webp(), "photo.webp")), FLOODER)
    drawing = servers.forwarded(DRAWING, VISITOR)
    over, flooded, visited, took = threading.Event(), Counter[int](), Counter[int](), []

    def attack() -> None:
        while not over.is_set():
            flooded[server.send(flood)[0]] += 1

    threads = [threading.Thread(target=attack) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        while not flooded:  # the first photos are decoded
            time.sleep(EVERY)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            start = time.monotonic()
            visited[server.send(drawing)[0]] += 1
            took.append(time.monotonic() - start)
            time.sleep(EVERY)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    median, slowest = statistics.median(took) * 1e3, max(took) * 1e3
    return [
        Row(
            f"turns: none of a visitor's drawings is refused beside {CONNECTIONS} connections of another client",
            f"{visited.total() - visited[200]} of {visited.total()} refused; median {median:.0f} ms, "
            f"slowest {slowest:.0f} ms; the flood: {by_status(flooded)}",
            set(visited) == {200},
        ),
        Row("turns: the flood is refused what exceeds its share", f"{flooded[503]} answers 503", flooded[503] > 0),
    ]


def quota(server: servers.Server, folder: Path, share: int) -> list[Row]:
    """A visitor's corrected result, and eight posts of another client that exceed the quota."""
    saved = server.send(
        servers.forwarded(servers.post("/predict", *pictures.form(pictures.digit(), model="digits-cnn")), VISITOR)
    )
    result, cookie = saved[1]["Location"], saved[1]["Set-Cookie"].partition(";")[0]
    correction = servers.post(f"{result}/correction", b"label=7", "application/x-www-form-urlencoded")
    corrected = server.send(servers.forwarded(correction, VISITOR, Cookie=cookie))[0]
    posts = servers.post("/predict", *many_photos(DEFAULTS.max_batch))
    start, statuses, sizes = time.monotonic(), Counter[int](), []
    for _ in range(POSTS):
        statuses[server.send(servers.forwarded(posts, FLOODER))[0]] += 1
        sizes.append(megabytes(folder))
    sent = time.monotonic() - start
    limit = QUOTA * share / 100 + 1  # MiB; 1 for the visitor's result and the database
    while megabytes(folder) > limit and time.monotonic() - start < sent + SWEPT:
        time.sleep(1)
    left = megabytes(folder)
    page = server.send(servers.forwarded(servers.get(result), VISITOR, Cookie=cookie))
    there = page[0] == 200 and corrected == 303 and f'{result}/correction/undo"'.encode() in page[2]
    return [
        Row(
            f"quota: a visitor's corrected result outlives {POSTS} posts of {DEFAULTS.max_batch} pictures",
            f"{'kept' if there else 'gone'} after {sent:.0f} s; the posts: {by_status(statuses)}",
            there,
        ),
        Row(
            f"quota: the other client holds at most {share}% of {QUOTA} MiB",
            f"{left:.0f} MiB of {POSTS} x {sizes[0]:.0f}",
            left <= limit and POSTS * sizes[0] > QUOTA,
        ),
    ]


def many_photos(count: int) -> tuple[bytes, str]:
    """(body, content type) of a form with pictures of noise, whose kept copies are as large as copies can be."""
    rng, end = np.random.default_rng(0), f"--{pictures.EDGE}--\r\n".encode()
    noise = (Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)) for _ in range(count))
    photos = [pictures.encoded(image, "JPEG", quality=pictures.QUALITY) for image in noise]
    forms = [pictures.form(photo, f"{i}.jpg", model="cats-dogs-mobilenet") for i, photo in enumerate(photos)]
    return b"".join(body.removesuffix(end) for body, _ in forms) + end, forms[0][1]


def megabytes(folder: Path) -> float:
    """The size of all files in a folder, in MiB."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # it has just been deleted
            total += path.stat().st_size
    return total / 2**20


def by_status(counts: Counter[int]) -> str:
    return ", ".join(f"{count} x {status}" for status, count in sorted(counts.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=int, default=DEFAULTS.client_share, help="INKLING_CLIENT_SHARE (its default)")
    parser.add_argument("--seconds", type=float, default=8, help="length of the flood (default 8)")
    arguments = parser.parse_args()
    usual = {"INKLING_CLIENT_SHARE": str(arguments.share), "INKLING_TRUSTED_PROXIES": "127.0.0.1"}
    usual["WEB_CONCURRENCY"] = "1"  # each worker shares its own turns
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        with servers.running(servers.INKLING, Path(scratch, "turns"), DRAWING, **usual) as server:
            rows += turns(server, arguments.seconds)
        usual |= {"INKLING_QUOTA_MB": str(QUOTA), "INKLING_RATE_LIMIT": str(DEFAULTS.rate_limit)}
        with servers.running(servers.INKLING, Path(scratch, "quota"), DRAWING, **usual) as server:
            rows += quota(server, Path(scratch, "quota", "pictures"), arguments.share)
    print("| promise | measured | kept |\n| --- | --- | --- |")
    for promise, measured, kept in rows:
        print(f"| {promise} | {measured} | {'yes' if kept else 'missed'} |")
    return 0 if all(row.kept for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
