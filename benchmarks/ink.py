"""Do drawings survive the canvas? Test drawings redrawn as a visitor would, and the accuracy of each condition.

    python -m benchmarks.ink [--limit 2000] [--models models]

Each condition changes one thing of a plain hand: pen 16 on a 400-pixel canvas, seven tenths of it large, in
the middle, black on white, PNG. The first row is the data set's own bitmap, which no pipeline touched. A
redrawn drawing has one pen width throughout, so what a digit's thick and thin strokes tell is lost.
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
COLOURS = {  # (ink, paper)
    "white on black": ((255, 255, 255), (0, 0, 0)),
    "blue on white": ((30, 60, 220), (255, 255, 255)),
    "yellow on white": ((255, 220, 40), (255, 255, 255)),
    "red on green": ((200, 30, 30), (60, 160, 60)),
    "grey on grey": ((130, 130, 130), (190, 190, 190)),
    "orange on navy": ((255, 150, 30), (15, 20, 70)),
}


def conditions() -> Iterator[tuple[str, Hand]]:
    """(name, hand): each differs from the plain hand in one thing."""
    yield "plain hand", PLAIN
    for pen in (6, 10, 24, 32, 40):
        yield f"pen {pen}", replace(PLAIN, pen=pen)
    for size in (0.3, 0.5, 0.85, 1.0):
        yield f"size {size:.0%}", replace(PLAIN, size=size)
    yield "off-centre", replace(PLAIN, size=0.5, shift=(0.9, -0.9))
    for name, (ink, paper) in COLOURS.items():
        yield name, replace(PLAIN, ink=ink, paper=paper)
    for quality in (75, 40):
        yield f"JPEG {quality}", replace(PLAIN, jpeg=quality)


def accuracy(model: Model, batch: np.ndarray, y: np.ndarray, network: base.Runtime) -> float:
    """Share of uint8 [n, 28, 28, 1] read right."""
    return float(np.mean(network(inputs.scale(batch, model.card.input.scaling)).argmax(axis=1) == y))


def measure(model: Model, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[str, float]]:
    """(condition, accuracy) of a model on drawings uint8 [n, 28, 28]."""
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
    parser.add_argument("--limit", type=int, default=2000, help="test drawings of each set (default 2000)")
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
