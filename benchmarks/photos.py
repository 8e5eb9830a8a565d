"""Measures the accuracy on test photos, with one condition of a visitor's camera changed at a time.

    python -m benchmarks.photos [--limit 2500] [--model NAME] [--models models]

The test photos have been resized to squares by their publisher. For another shape, the benchmark crops the middle of
the square to it, and the pipeline resizes that as it would a phone's picture. The JPEG condition encodes and decodes a
file. Milliseconds are the time of the network for one photo.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from tqdm import tqdm

from inkling.recognition import inputs
from inkling.recognition.catalog import Model, read_catalog
from inkling.recognition.runtimes import base, openvino
from training import data
from training.redraw import through_jpeg

BATCH = 64
DARKEST, DARK = 1 / 4, 1 / 3  # share of the light that is left; eight photos in turn cover the range
TIMED = 50  # photos that are timed one by one

Change = Callable[[Image.Image, float], Image.Image]  # (photo, strength of the change from 0 to 1) -> photo


def cut(width: int, height: int) -> Change:
    """A change that crops the largest part of this shape from the middle of a photo."""

    def change(photo: Image.Image, strength: float) -> Image.Image:
        longest = max(width, height)
        return ImageOps.fit(photo, (photo.width * width // longest, photo.height * height // longest))

    return change


CONDITIONS: dict[str, Change] = {
    "plain": lambda photo, strength: photo,
    "3:4": cut(3, 4),
    "9:16": cut(9, 16),
    "16:9": cut(16, 9),
    "small, 64 px": lambda photo, strength: photo.resize((64, 64), Image.Resampling.BOX),
    "dark": lambda photo, strength: ImageEnhance.Brightness(photo).enhance(DARKEST + strength * (DARK - DARKEST)),
    "grey": lambda photo, strength: ImageOps.grayscale(photo).convert("RGB"),
    "JPEG 30": lambda photo, strength: through_jpeg(photo, 30),
    "sideways": lambda photo, strength: photo.transpose(Image.Transpose.ROTATE_90),
}


def prepared(x: np.ndarray, model: Model, change: Change) -> Iterator[np.ndarray]:
    """Batches of network input, made from changed photos uint8 [n, height, width, 3]."""
    for start in range(0, len(x), BATCH):
        photos = (change(Image.fromarray(x[i]), i % 8 / 7) for i in range(start, min(start + BATCH, len(x))))
        batch = np.stack([inputs.prepare(photo, model.card.input) for photo in photos])
        yield inputs.scale(batch, model.card.input.scaling)


def accuracy(network: base.Runtime, x: np.ndarray, y: np.ndarray, model: Model, name: str) -> float:
    """The share of changed photos that are recognized correctly."""
    batches = tqdm(prepared(x, model, CONDITIONS[name]), name, -(-len(x) // BATCH), leave=False)
    return float(np.mean(np.concatenate([network(batch).argmax(axis=1) for batch in batches]) == y))


def milliseconds(network: base.Runtime, x: np.ndarray, model: Model) -> float:
    """Median milliseconds of the network for one photo."""
    times = []
    for batch in prepared(x[:TIMED], model, CONDITIONS["plain"]):
        for i in range(len(batch)):
            start = time.perf_counter()
            network(batch[i : i + 1])
            times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def report(model: Model, limit: int) -> None:
    """Prints the table of one model."""
    test = data.load(model.card.training.dataset, limit=limit).test
    network = openvino.open_model(model)
    took = milliseconds(network, test.x, model)
    print(f"\n{model.card.name}, {len(test.y)} test photos, {took:.2f} ms each\n")
    print("| condition | accuracy | against plain |\n| --- | --- | --- |")
    plain = None
    for name in CONDITIONS:
        share = accuracy(network, test.x, test.y, model, name)
        plain = share if plain is None else plain
        print(f"| {name} | {share:.1%} | {100 * (share - plain):+.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=2500, help="test photos for each model (default 2500)")
    parser.add_argument("--model", help="one model only (default: all that were trained on photos)")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models (default models)")
    arguments = parser.parse_args()
    found = [
        model
        for model in read_catalog(arguments.models).models.values()
        if model.card.input.kind == "photo" and model.card.training and arguments.model in (None, model.card.name)
    ]
    if not found:
        parser.error(f"--model must be a trained photo model in {arguments.models}. Received: {arguments.model}")
    for model in found:
        report(model, arguments.limit)


if __name__ == "__main__":
    main()
