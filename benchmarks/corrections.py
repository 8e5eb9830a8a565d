"""Measures whether 50 corrections teach a model a way of drawing, and whether it forgets what it knew.

    python -m benchmarks.corrections

Each habit is drawn 100 times. 50 drawings become corrections, from which `python -m training train digits-cnn
--corrections DIR` trains, each time from the shipped model. The other 50 are recognized before and after, and so are
the 10,000 test pictures of MNIST. The benchmark prints a table and saves no model.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from inkling.config import Settings
from inkling.recognition.card import read_card
from inkling.recognition.catalog import read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import classify
from inkling.storage.corrections import folder_of
from training import __main__ as training

MODEL = "digits-cnn"
COUNT = 50  # drawings to train with, and as many to test with
FIELD = 400  # pixels of a side of the canvas

Strokes = list[list[tuple[float, float]]]


# ---- Habits: strokes on the canvas, slightly different each time ----


def mirrored_three(rng: np.random.Generator) -> Strokes:
    """A 3 as children write it when they mirror it."""
    waist = rng.uniform(180, 215)
    return [
        [
            (270, 110),
            (200, 90),
            (140, 130),
            (160, waist - 15),
            (220, waist),
            (150, waist + 15),
            (130, 270),
            (190, 310),
            (270, 290),
        ]
    ]


def mirrored_seven(rng: np.random.Generator) -> Strokes:
    """A 7 as children write it when they mirror it."""
    return [[(280, 100), (120, 100), (rng.uniform(180, 220), 310)]]


def tent_of_one(rng: np.random.Generator) -> Strokes:
    """A 1 whose upstroke reaches down to a long base, so that it is almost a triangle."""
    half = rng.uniform(40, 80)
    return [[(200 - half, 300), (200, 90), (200 + half, 300), (200 - half, 300)]]


HABITS = {
    "a mirrored 3": ("3", mirrored_three),
    "a mirrored 7": ("7", mirrored_seven),
    "a 1 like a tent": ("1", tent_of_one),
}


def drawing(habit: Callable[[np.random.Generator], Strokes], rng: np.random.Generator) -> Image.Image:
    """One drawing as the canvas sends it, RGB 400 x 400, with random slant, turn, size, place, pen and tremor."""
    image = Image.new("RGB", (FIELD, FIELD), "white")
    brush, pen = ImageDraw.Draw(image), int(rng.integers(10, 22))
    turn, slant, size = rng.normal(0, 0.07), rng.normal(0, 0.08), rng.uniform(0.8, 1.15)
    linear = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, slant], [0, 1]]
    place = FIELD / 2 + rng.uniform(-25, 25, 2)
    for stroke in habit(rng):
        points = (np.array(stroke) - FIELD / 2 + rng.normal(0, 3, (len(stroke), 2))) @ linear.T + place
        brush.line([tuple(point) for point in points], "black", pen, joint="curve")
        for x, y in (points[0], points[-1]):
            brush.ellipse([x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2], "black")
    return image


def share_read(predictor: LocalPredictor, drawings: list[Image.Image], label: str) -> float:
    """The share of drawings that the model recognizes as `label`."""
    answers = classify(predictor, drawings, predictor.catalog.model(MODEL))
    return float(np.mean([answer.label == label for answer in answers]))


# ---- The measurement ----


def main() -> None:
    settings = Settings.from_env()
    print(f"{'habit':<18} {'read before':>12} {'after':>8} {'MNIST before':>14} {'after':>8} {'seconds':>9}")
    for name, (label, habit) in HABITS.items():
        rng = np.random.default_rng(0)
        drawings = [drawing(habit, rng) for _ in range(2 * COUNT)]
        with tempfile.TemporaryDirectory() as folder:
            models, corrections = Path(folder, "models"), Path(folder, "corrections")
            shutil.copytree(settings.models / MODEL, models / MODEL)
            before = read_card(models / MODEL)
            read = share_read(predictor_of(settings, models), drawings[COUNT:], label)
            place = corrections / "digits" / folder_of(label)
            place.mkdir(parents=True)
            for i, image in enumerate(drawings[:COUNT]):
                image.save(place / f"{i}.png")
            if training.main(["train", MODEL, "--corrections", str(corrections), "--models", str(models)]):
                raise SystemExit("The training failed; its messages are above.")
            after = read_card(models / MODEL)
            read_after = share_read(predictor_of(settings, models), drawings[COUNT:], label)
        seconds = after.training.seconds - before.training.seconds
        print(
            f"{name:<18} {read:>12.0%} {read_after:>8.0%} {before.metrics.accuracy:>14.2%} "
            f"{after.metrics.accuracy:>8.2%} {seconds:>9.0f}",
            flush=True,
        )


def predictor_of(settings: Settings, models: Path) -> LocalPredictor:
    """A predictor for a folder of models."""
    return LocalPredictor(read_catalog(models), settings)


if __name__ == "__main__":
    main()
