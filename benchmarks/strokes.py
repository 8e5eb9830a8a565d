"""Compares drawings sent as strokes with the same drawings sent as pictures of a canvas.

    python -m benchmarks.strokes [--limit 1000] [--models models]

The strokes are traced from test bitmaps (`training.tracing`), so they approximate what was drawn. The canvas draws the
same strokes with the plain hand of `benchmarks.ink` and encodes a PNG. Both are timed in one process, in turns: from
the body of a request to the model's input. A second table has the drawings that enclose an area, before and after a
further pen colored in all such areas.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.ink import DATASETS, PLAIN, enclosed, measure
from inkling.recognition import inputs
from inkling.recognition.catalog import Model, read_catalog
from inkling.recognition.runtimes import openvino
from inkling.recognition.strokes import Strokes
from training import data
from training.redraw import CANVAS
from training.tracing import paint, trace

UNITS = 140  # of the strokes in a pixel of the bitmap: whole numbers, as fine as the page sends them


def as_json(lines: Sequence[np.ndarray]) -> str:
    """Strokes as `training.tracing.trace` returns them, as the body of a request."""
    return json.dumps({"strokes": [np.rint(line * UNITS).astype(int).T.tolist() for line in lines]})


def as_png(lines: Sequence[np.ndarray]) -> bytes:
    """The strokes on a canvas, as a PNG file."""
    file = io.BytesIO()
    paint(lines, PLAIN).save(file, "PNG")
    return file.getvalue()


def from_json(text: str, layout: str) -> np.ndarray:
    """A model's input from strokes: uint8 [28, 28, 1]."""
    return inputs.ink(Strokes.from_json(text), layout)


def from_png(file: bytes, layout: str) -> np.ndarray:
    """A model's input from a picture: uint8 [28, 28, 1]."""
    with Image.open(io.BytesIO(file)) as picture:
        return inputs.ink(picture.convert("RGB"), layout)


def timed(function: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """What a function returns, and the milliseconds that it took."""
    start = time.perf_counter()
    result = function()
    return result, (time.perf_counter() - start) * 1e3


BLACK, YELLOW = "#000000", "#ffdc3c"
PEN = 16  # of the outlines, in pixels of the canvas
FILLINGS = {  # width and ink of the pen that colors in, and the distance of its lines in widths
    "another ink": (PEN, YELLOW, 0.8),
    "another ink, with gaps": (PEN, YELLOW, 1.4),
    "a wide pen in another ink": (2.5 * PEN, YELLOW, 0.8),
    "the same ink": (PEN, BLACK, 0.8),
    "the same ink, with gaps": (PEN, BLACK, 1.4),
}
SMALLEST = 1600  # of the areas to color in, in square pixels of the canvas


def zigzags(lines: Sequence[np.ndarray], step: int) -> list[np.ndarray]:
    """Strokes that color in all areas enclosed by `lines`, one or more an area, with rows `step` pixels apart."""
    cover = np.zeros((CANVAS, CANVAS), np.uint8)
    for line in lines:
        cv2.polylines(cover, [np.rint(line).astype(np.int32)], False, (255,), PEN)
    areas = enclosed(cover == 0)
    strokes = []
    for area in np.unique(areas[areas > 0]):
        inside = areas == area
        rows = [np.nonzero(row)[0][[0, -1]] for row in inside[::step] if row.any()]
        if inside.sum() >= SMALLEST and len(rows) > 1:
            first = next(i for i, row in enumerate(inside[::step]) if row.any())
            ends = [row[:: (-1) ** i] for i, row in enumerate(rows)]
            strokes.append(np.array([(x, (first + i) * step) for i, row in enumerate(ends) for x in row], float))
    return strokes


def colored(bitmap: np.ndarray) -> dict[str, Strokes] | None:
    """A drawing's outline and the same with its areas colored in, by name; None if it encloses no area."""
    lines = trace(bitmap)
    points = np.concatenate(lines)
    low, high = points.min(axis=0), points.max(axis=0)
    zoom = PLAIN.size * CANVAS / max(*(high - low), 1)
    lines = [(line - (low + high) / 2) * zoom + CANVAS / 2 for line in lines]
    outline = [(line, PEN, BLACK) for line in lines]
    drawings = {"outline": outline}
    for name, (width, ink, apart) in FILLINGS.items():
        strokes = zigzags(lines, round(width * apart))
        drawings[name] = outline + [(line, width, ink) for line in strokes]
    if not zigzags(lines, PEN):
        return None
    return {name: on_canvas(drawing) for name, drawing in drawings.items()}


def on_canvas(drawing: Sequence[tuple[np.ndarray, float, str]]) -> Strokes:
    """Lines in pixels of the canvas, each with the width and ink of its pen, as strokes."""
    pens = [{"width": width, "ink": ink} for _, width, ink in drawing]
    page = {"side": CANVAS, "paper": "#ffffff", "pens": pens}
    return Strokes.from_body({"strokes": [line.T.tolist() for line, *_ in drawing], "page": page})


def compare_colored(model: Model, x: np.ndarray, y: np.ndarray) -> None:
    """Prints the accuracy for drawings that are colored in, sent as strokes and as the picture of these strokes."""
    layout = model.card.input.layout
    found = [(drawings, label) for bitmap, label in zip(x, y, strict=True) if (drawings := colored(bitmap))]
    labels = np.array([label for _, label in found])
    network = openvino.open_model(model)
    print(f"\n{model.card.name}, {len(found)} test drawings that enclose an area\n")
    print("| colored in with | as strokes | as a picture |\n| --- | --- | --- |")
    for name in ("outline", *FILLINGS):
        as_strokes = np.stack([inputs.ink(drawings[name], layout) for drawings, _ in found])
        as_picture = np.stack([inputs.ink(drawings[name].picture(), layout) for drawings, _ in found])
        shares = [measure(network, model.card, (seen, labels)).accuracy for seen in (as_strokes, as_picture)]
        print(f"| {'nothing' if name == 'outline' else name} | {shares[0]:.1%} | {shares[1]:.1%} |", flush=True)


def compare(model: Model, x: np.ndarray, y: np.ndarray) -> None:
    """Prints accuracy and milliseconds of both ways, for bitmaps uint8 [n, 28, 28]."""
    layout = model.card.input.layout
    ways: dict[str, list[tuple[np.ndarray, float]]] = {"canvas": [], "strokes": []}
    for bitmap in tqdm(x, model.card.name, leave=False):
        lines = trace(bitmap)
        file, text = as_png(lines), as_json(lines)
        ways["canvas"].append(timed(lambda file=file: from_png(file, layout)))  # type: ignore[misc]
        ways["strokes"].append(timed(lambda text=text: from_json(text, layout)))  # type: ignore[misc]
    network = openvino.open_model(model)
    bitmaps = measure(network, model.card, (x[..., None], y)).accuracy
    print(f"\n{model.card.name}, {len(y)} test drawings (data set's bitmaps: {bitmaps:.1%})\n")
    print("| sent as | accuracy | median | 95% |\n| --- | --- | --- | --- |")
    for name, answers in ways.items():
        share = measure(network, model.card, (np.stack([seen for seen, _ in answers]), y)).accuracy
        times = [milliseconds for _, milliseconds in answers]
        late = statistics.quantiles(times, n=20)[-1]
        print(f"| {name} | {share:.1%} | {statistics.median(times):.2f} ms | {late:.2f} ms |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=1000, help="test drawings per data set (default 1000)")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models (default models)")
    arguments = parser.parse_args()
    inputs.use_one_thread()
    models = read_catalog(arguments.models).models
    for name, dataset in DATASETS.items():
        test = data.load(dataset, limit=arguments.limit).test
        compare(models[name], test.x, test.y)
    compare_colored(models[name], test.x, test.y)


if __name__ == "__main__":
    main()
