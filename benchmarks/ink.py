"""Measures the accuracy on test drawings that are redrawn on a canvas, with one condition changed at a time.

    python -m benchmarks.ink [--limit 2000] [--models models] [--conditions "half the line"]

The plain hand draws with a pen of 16 pixels on a canvas of 400 pixels, 280 pixels large, in the middle, black on white,
as PNG. Each condition changes one of these, or the drawing itself. The first row uses the bitmaps of the data set
without the pipeline. Redrawn drawings have a single pen width, so the information in thick and thin strokes is lost.

Half-finished drawings are approximations: `training/prefixes.py` traces the bitmaps, which do not tell the order of the
strokes. Ones with an upstroke and unusual sevens are made by `training/handwriting.py`: their labels are known, so that
their rows do not depend on the data set.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from inkling.recognition import inputs
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import read_catalog
from inkling.recognition.runtimes import base, openvino
from training import data, evaluate
from training.handwriting import crossed_seven, one, wavy_seven
from training.prefixes import half_drawn
from training.redraw import Hand, in_noise, redraw
from training.tracing import Lines, paint

DATASETS = {"digits-cnn": "mnist", "digits-hog": "mnist", "digits-logistic": "mnist", "doodles-cnn": "doodles"}
PLAIN = Hand()
COLORS = {  # (ink, paper)
    "white on black": ((255, 255, 255), (0, 0, 0)),
    "blue on white": ((30, 60, 220), (255, 255, 255)),
    "yellow on white": ((255, 220, 40), (255, 255, 255)),
    "red on green": ((200, 30, 30), (60, 160, 60)),
    "gray on gray": ((130, 130, 130), (190, 190, 190)),
    "orange on navy": ((255, 150, 30), (15, 20, 70)),
}
FILLS = {"colored in, yellow": (255, 220, 60), "colored in, red": (220, 40, 30), "colored in, same ink": (0, 0, 0)}
RISES = (20.0, 45.0)  # degrees between a one's upstroke and the horizontal, or its stem
SHARES = (0.5, 0.9)  # length of the upstroke as a share of the stem's

Drawings = tuple[np.ndarray, np.ndarray]  # what the model sees, uint8 [n, 28, 28, 1], and the labels, int64 [n]
Condition = Callable[[data.Split, str], Drawings]  # (bitmaps, layout) -> drawings


@dataclass(frozen=True)
class Row:
    """The results of one condition; the accuracy of sure answers is None where there are none."""

    count: int
    accuracy: float
    sure: float
    right_when_sure: float | None


def conditions(task: str) -> dict[str, Condition]:
    """The conditions of a task by name; those of a hand differ from the plain hand in one thing."""
    hands = {"plain hand": PLAIN}
    hands |= {f"pen {pen}": replace(PLAIN, pen=pen) for pen in (6, 10, 24, 32, 40)}
    hands |= {f"size {size:.0%}": replace(PLAIN, size=size) for size in (0.3, 0.5, 0.85, 1.0)}
    hands |= {"off-center": replace(PLAIN, size=0.5, shift=(0.9, -0.9))}
    hands |= {name: replace(PLAIN, ink=ink, paper=paper) for name, (ink, paper) in COLORS.items()}
    hands |= {f"JPEG {quality}": replace(PLAIN, jpeg=quality) for quality in (75, 40)}
    found: dict[str, Condition] = {"data set's bitmap": lambda split, layout: (split.x[..., None], split.y)}
    found |= {name: partial(drawn, hand=hand) for name, hand in hands.items()}
    if task == "digits":
        found["faint in noise, 32 x 32"] = faint
        steep = (90 - RISES[1], 90 - RISES[0])
        found["1, upstroke 20-45° above the horizontal"] = partial(
            made, shape=partial(one, rises=RISES, shares=SHARES), label=1
        )
        found["1, upstroke 20-45° from the stem"] = partial(
            made, shape=partial(one, rises=steep, shares=SHARES), label=1
        )
        found["7, crossed"] = partial(made, shape=crossed_seven, label=7)
        found["7, wavy bar"] = partial(made, shape=wavy_seven, label=7)
    else:
        found |= {name: partial(filled, color=color) for name, color in FILLS.items()}
        found |= {"half the line": partial(begun, share=0.5), "three quarters of the line": partial(begun, share=0.75)}
    return found


def drawn(split: data.Split, layout: str, hand: Hand) -> Drawings:
    """All drawings by one hand."""
    return seen((redraw(bitmap, hand) for bitmap in split.x), layout), split.y


def faint(split: data.Split, layout: str) -> Drawings:
    """All drawings thin and faint, in noise."""
    return seen((in_noise(bitmap, np.random.default_rng(i)) for i, bitmap in enumerate(split.x)), layout), split.y


def made(split: data.Split, layout: str, shape: Callable[[np.random.Generator], Lines], label: int) -> Drawings:
    """As many drawings of one shape as `split` has, by the plain hand."""
    count = len(split.y)
    pictures = (paint(shape(np.random.default_rng((label, i))), PLAIN) for i in range(count))
    return seen(pictures, layout), np.full(count, label)


def begun(split: data.Split, layout: str, share: float) -> Drawings:
    """All drawings after a share of their line."""
    return half_drawn(split.x, share, share, seed=1)[..., None], split.y


def filled(split: data.Split, layout: str, color: tuple[int, int, int]) -> Drawings:
    """The drawings that enclose an area, by the plain hand, with all such areas colored in."""
    pictures = [color_in(redraw(bitmap, PLAIN), color) for bitmap in split.x]
    kept = [i for i, picture in enumerate(pictures) if picture]
    return seen([pictures[i] for i in kept], layout), split.y[kept]


def color_in(picture: Image.Image, color: tuple[int, int, int]) -> Image.Image | None:
    """A black drawing on white with the areas that it encloses filled, or None if they are under 1% of the picture."""
    pixels = np.array(picture)
    light = pixels[..., 0]
    inside = enclosed(light > 200) > 0
    if inside.mean() < 0.01:
        return None
    edges = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    # Soft edges mix the color with the ink.
    ink = 1 - light[..., None] / 255.0
    mixed = np.rint((1 - ink) * np.array(color)).astype(np.uint8)
    pixels[edges] = mixed[edges]
    return Image.fromarray(pixels)


def enclosed(paper: np.ndarray) -> np.ndarray:
    """The areas of the paper, bool [h, w], that do not reach its rim: int32 [h, w], numbered from 1, 0 elsewhere."""
    _, areas = cv2.connectedComponents(paper.astype(np.uint8), connectivity=4)
    outside = np.unique(np.concatenate([areas[0], areas[-1], areas[:, 0], areas[:, -1]]))
    return np.where(np.isin(areas, outside), 0, areas)


def seen(pictures: Iterator[Image.Image] | list[Image.Image], layout: str) -> np.ndarray:
    """Pictures as the model sees them."""
    return np.stack([inputs.ink(picture, layout) for picture in tqdm(pictures, leave=False)])


def measure(network: base.Answering, card: ModelCard, drawings: Drawings) -> Row:
    """The results of a model on drawings."""
    x, y = drawings
    answer = evaluate.answers(network, x[..., 0], card.input)
    probabilities = base.tempered(answer.probabilities, card.temperature)
    sure, right = evaluate.sure(probabilities, y, card.threshold, evaluate.known(answer, card.familiar))
    return Row(len(y), evaluate.accuracy(probabilities, y), sure, right if sure else None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=2000, help="test drawings per data set (default 2000)")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models (default models)")
    parser.add_argument("--only", nargs="*", help="names of models (default: all that read ink)")
    parser.add_argument("--conditions", nargs="*", help="names of conditions (default: all)")
    arguments = parser.parse_args()
    models = read_catalog(arguments.models).models
    for name in arguments.only or DATASETS:
        card, network = models[name].card, openvino.open_model(models[name])
        test = data.load(DATASETS[name], limit=arguments.limit).test
        print(f"\n{name}\n")
        print("| condition | drawings | accuracy | against bitmap | sure | right when sure |")
        print("| --- | --- | --- | --- | --- | --- |")
        bitmap = None
        for condition, make in conditions(card.task).items():
            if arguments.conditions and condition not in arguments.conditions:
                continue
            row = measure(network, card, make(test, card.input.layout))
            bitmap = row.accuracy if bitmap is None else bitmap
            right = "-" if row.right_when_sure is None else f"{row.right_when_sure:.2%}"
            against = f"{100 * (row.accuracy - bitmap):+.1f}"
            print(
                f"| {condition} | {row.count:,} | {row.accuracy:.1%} | {against} | {row.sure:.1%} | {right} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
