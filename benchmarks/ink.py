"""Measures the accuracy on test drawings that are redrawn on a canvas, with one condition changed at a time.

    python -m benchmarks.ink [--limit 2000] [--models models]

The plain hand draws with a pen of 16 pixels on a canvas of 400 pixels, 280 pixels large, in the middle, black on white,
as PNG. Each condition changes one of these. The first row uses the bitmaps of the data set without the pipeline.
Redrawn drawings have a single pen width, so the information in thick and thin strokes is lost.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from inkling.recognition import inputs
from inkling.recognition.catalog import Model, read_catalog
from inkling.recognition.runtimes import base, openvino
from training import data
from training.redraw import Hand, redraw

DATASETS = {"digits-cnn": "mnist", "doodles-cnn": "doodles"}
PLAIN = Hand()
COLORS = {  # (ink, paper)
    "white on black": ((255, 255, 255), (0, 0, 0)),
    "blue on white": ((30, 60, 220), (255, 255, 255)),
    "yellow on white": ((255, 220, 40), (255, 255, 255)),
    "red on green": ((200, 30, 30), (60, 160, 60)),
    "grey on grey": ((130, 130, 130), (190, 190, 190)),
    "orange on navy": ((255, 150, 30), (15, 20, 70)),
}


def conditions() -> Iterator[tuple[str, Hand]]:
    """(name, hand) of each condition, which differs from the plain hand in one thing."""
    yield "plain hand", PLAIN
    for pen in (6, 10, 24, 32, 40):
        yield f"pen {pen}", replace(PLAIN, pen=pen)
    for size in (0.3, 0.5, 0.85, 1.0):
        yield f"size {size:.0%}", replace(PLAIN, size=size)
    yield "off-centre", replace(PLAIN, size=0.5, shift=(0.9, -0.9))
    for name, (ink, paper) in COLORS.items():
        yield name, replace(PLAIN, ink=ink, paper=paper)
    for quality in (75, 40):
        yield f"JPEG {quality}", replace(PLAIN, jpeg=quality)


def accuracy(model: Model, batch: np.ndarray, y: np.ndarray, network: base.Runtime) -> float:
    """The share of drawings, uint8 [n, 28, 28, 1], that are recognized correctly."""
    return float(np.mean(network(inputs.scale(batch, model.card.input.scaling)).argmax(axis=1) == y))


def measure(model: Model, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[str, float]]:
    """(condition, accuracy) of a model on bitmaps, uint8 [n, 28, 28]."""
    network = openvino.open_model(model)
    yield "data set's bitmap", accuracy(model, x[..., None], y, network)
    for name, hand in conditions():
        drawn = (redraw(bitmap, hand) for bitmap in x)
        batch = np.stack(
            [inputs.ink(picture, model.card.input.layout) for picture in tqdm(drawn, name, len(x), leave=False)]
        )
        yield name, accuracy(model, batch, y, network)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=2000, help="test drawings per data set (default 2000)")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models (default models)")
    arguments = parser.parse_args()
    models = read_catalog(arguments.models).models
    for name, dataset in DATASETS.items():
        test = data.load(dataset, limit=arguments.limit).test
        print(f"\n{name}, {len(test.y)} test drawings\n")
        print("| condition | accuracy | against bitmap |\n| --- | --- | --- |")
        bitmap = None
        for condition, share in measure(models[name], test.x, test.y):
            bitmap = share if bitmap is None else bitmap
            print(f"| {condition} | {share:.1%} | {100 * (share - bitmap):+.1f} |", flush=True)


if __name__ == "__main__":
    main()
