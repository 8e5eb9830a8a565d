"""Compares drawings sent as strokes with the same drawings sent as pictures of a canvas.

    python -m benchmarks.strokes [--limit 1000] [--models models]

The strokes are traced from test bitmaps (`training.tracing`), so they approximate what was drawn. The canvas draws the
same strokes with the plain hand of `benchmarks.ink` and encodes a PNG. Both are timed in one process, in turns: from
the body of a request to the model's input.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.ink import DATASETS, PLAIN, measure
from inkling.recognition import inputs
from inkling.recognition.catalog import Model, read_catalog
from inkling.recognition.runtimes import openvino
from inkling.recognition.strokes import Strokes
from training import data
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


if __name__ == "__main__":
    main()
