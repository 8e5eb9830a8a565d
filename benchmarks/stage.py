"""Measures what a visitor of the first page waits for, in Chromium, against the budget; fails where it is exceeded.

    python -m benchmarks.stage [--rounds 10]

The server is gunicorn as the Procfile starts it. Nothing is cached in the browser. The figures are

- the bytes of a first visit, headers included,
- the layout shift from the first visit to the answer of a photo, without what follows the visitor's input at once,
- the time from choosing a photo of 12 megapixels to its answer on the screen, which includes the upload,
- the time from lifting the pen to the new answer beside the drawing.

The times are medians. The variable CHROMIUM names the browser's program; the default is the one on the PATH.
"""

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from playwright.sync_api import Browser, FilePayload, Page, sync_playwright

from benchmarks import pictures, servers

SIZE = {"width": 1366, "height": 650}
STROKES = 20
# Notes the layout shifts, and when the answer is on the screen: two frames after its page is in place.
WATCH = """() => {
    window.shift = 0;
    new PerformanceObserver((list) => {
        for (const {value, hadRecentInput} of list.getEntries()) if (!hadRecentInput) shift += value;
    }).observe({type: "layout-shift", buffered: true});
    let chosen = 0;
    document.addEventListener("change", () => { chosen = performance.now(); }, true);
    new MutationObserver(() => {
        if (!chosen || !location.pathname.startsWith("/results/")) return;
        requestAnimationFrame(() => requestAnimationFrame(() => { window.answered ??= performance.now() - chosen; }));
    }).observe(document.body, {childList: true, subtree: true});
}"""
# Notes the time from each end of a stroke to the change of the bars.
CLOCK = """() => {
    window.waits = [];
    let lifted = 0;
    document.querySelector("#canvas").addEventListener("pointerup", () => { lifted = performance.now(); }, true);
    new MutationObserver(() => { if (lifted) waits.push(performance.now() - lifted); lifted = 0; })
        .observe(document.querySelector("#draw .bars"), {childList: true, subtree: true, attributes: true});
}"""


class Figure(NamedTuple):
    """One line of the table."""

    name: str
    value: float
    most: float
    unit: str


def main() -> int:
    """Prints the table; returns 1 if a figure exceeds its budget, else 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as scratch, browser() as chromium:
        first = servers.post("/api/predict", *pictures.form(pictures.photo(640, 480), "photo.jpg"))
        with servers.running(servers.INKLING, Path(scratch), first) as server:
            figures = measure(chromium, f"http://127.0.0.1:{server.port}", rounds)
    print("| | measured | budget |\n| --- | --- | --- |")
    for name, value, most, unit in figures:
        print(f"| {name} | {value:,.{3 if most < 1 else 0}f}{unit} | {most:,}{unit} |")
    return any(value >= most for _, value, most, _ in figures)


@contextmanager
def browser() -> Iterator[Browser]:
    """A Chromium."""
    with sync_playwright() as playwright:
        program = os.environ.get("CHROMIUM") or shutil.which("chromium")
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


def measure(chromium: Browser, address: str, rounds: int) -> list[Figure]:
    """All figures, each from pages that have nothing in their cache."""
    photo: FilePayload = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": pictures.photo()}
    visits = []
    for _ in range(rounds):
        page = chromium.new_page(viewport=SIZE)
        visits.append((visit(page, address), *answer(page, photo)))
        page.close()
    sizes, shifts, times = zip(*visits, strict=True)
    page = chromium.new_page(viewport=SIZE)
    page.goto(f"{address}/?way=draw")
    return [
        Figure("bytes of a first visit", max(sizes), 60_000, ""),
        Figure("layout shift", max(shifts), 0.05, ""),
        Figure("answer to a photo of 12 megapixels", statistics.median(times), 400, " ms"),
        Figure("answer to a stroke", statistics.median(draw(page)), 60, " ms"),
    ]


def visit(page: Page, address: str) -> int:
    """Opens the first page; returns the bytes that it transferred."""
    loaded: list[int] = []
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.on("Network.loadingFinished", lambda event: loaded.append(event["encodedDataLength"]))
    page.goto(address, wait_until="networkidle")
    return int(sum(loaded))


def answer(page: Page, photo: FilePayload) -> tuple[float, float]:
    """Chooses a photo; returns the layout shift so far and the milliseconds until the answer."""
    page.evaluate(WATCH)
    page.set_input_files("#image", photo)
    page.wait_for_function("() => window.answered")
    return page.evaluate("[shift, answered]")


def draw(page: Page) -> list[float]:
    """Draws strokes; returns the milliseconds from the end of each to the new answer."""
    page.evaluate(CLOCK)
    box = page.locator("#canvas").bounding_box()
    assert box
    side = box["width"] / 400
    for i in range(STROKES):
        page.mouse.move(box["x"] + (60 + 14 * i) * side, box["y"] + 60 * side)
        page.mouse.down()
        for x, y in ((90 + 12 * i, 200), (340 - 14 * i, 340)):
            page.mouse.move(box["x"] + x * side, box["y"] + y * side, steps=5)
        page.mouse.up()
        page.wait_for_function("count => waits.length === count", arg=i + 1)
    return page.evaluate("waits")


if __name__ == "__main__":
    sys.exit(main())
