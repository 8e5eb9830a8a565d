"""Measures the answers to test photos, with one condition of a visitor's camera changed at a time.

    python -m benchmarks.photos [--limit 2500] [--model NAME]… [--models models] [--condition NAME]…

Pictures are answered as the server answers them. The test photos have been resized to squares by their publisher. For
another shape, the benchmark crops the middle of the square to it, and the pipeline resizes that as it would a phone's
picture. The JPEG condition encodes and decodes a file. A photo that is small in the frame is pasted into a drawn scene
three times as large as it, on which nothing is to be recognized. Two labels in one picture have no right answer: the
benchmark counts how many are called sure. Milliseconds are the time of the network for one photo.

For each data set there are two tables: the accuracy with the points gained or lost against plain photos, and the share
of answers that are called sure with the share that is called sure but wrong. All models of a data set are asked about
the same pictures.
"""

import argparse
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps
from tqdm import tqdm

from inkling.config import Settings
from inkling.recognition.catalog import Model, read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Prediction, Predictor, classify_one
from inkling.recognition.subject import Subject
from training import data, scenes
from training.data import Split
from training.redraw import through_jpeg

BATCH = 64
DARKEST, DARK = 1 / 4, 1 / 3  # share of the light that is left; eight photos in turn cover the range
TIMED = 50  # photos that are timed one by one
FRAME = 3  # sides of a photo in the side of the scene that it is pasted into
VARIANTS = 6  # drawings of each scene
BARS = (0.15, 0.6)  # both bars together, as a share of the photo's side
BAR_COLORS = ((0, 0, 0), (255, 255, 255), (24, 24, 27), (236, 229, 221))
NOISE, DARK_NOISE = 25, 10  # standard deviations of noise, of 255; the second one on a dark photo
CLOSE = 0.55  # share of the photo's side that a close-up shows
AWAY = 0.65  # share of the frame that an off-center photo fills, in one of its corners
VEHICLES = ("automobile", "truck", "car")

Change = Callable[[Image.Image, int], Image.Image]  # (photo, its number, which seeds what is random) -> photo


@dataclass(frozen=True)
class Condition:
    """How photos are changed, and the labels whose photos are; no labels means all."""

    change: Change
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shares:
    """Shares of the pictures: right answers, answers called sure, and answers called sure but wrong."""

    right: float
    sure: float
    sure_and_wrong: float


# ---- Conditions ----


def cut(width: int, height: int) -> Change:
    """A change that crops the largest part of this shape from the middle of a photo."""

    def change(photo: Image.Image, number: int) -> Image.Image:
        longest = max(width, height)
        return ImageOps.fit(photo, (photo.width * width // longest, photo.height * height // longest))

    return change


def dark(photo: Image.Image, number: int) -> Image.Image:
    return ImageEnhance.Brightness(photo).enhance(DARKEST + number % 8 / 7 * (DARK - DARKEST))


def noise(sigma: float) -> Change:
    """A change that adds Gaussian noise."""
    return lambda photo, number: Image.fromarray(scenes.noisy(np.asarray(photo), sigma, np.random.default_rng(number)))


def close(photo: Image.Image, number: int) -> Image.Image:
    """The middle of a photo."""
    width, height = round(photo.width * CLOSE), round(photo.height * CLOSE)
    left, top = (photo.width - width) // 2, (photo.height - height) // 2
    return photo.crop((left, top, left + width, top + height))


@lru_cache
def scene(name: str, variant: int, side: int) -> np.ndarray:
    """One drawing of a scene: uint8 [side, side, 3]."""
    drawn = scenes.SCENES[name](np.random.default_rng(variant))
    return np.asarray(drawn.resize((side, side), Image.Resampling.BOX))


def in_scene(share: float, names: Sequence[str] = ("house", "lawn", "room"), corner: bool = False) -> Change:
    """A change that pastes a photo at this share of a scene's side, at a random place or in a random corner."""

    def change(photo: Image.Image, number: int) -> Image.Image:
        rng = np.random.default_rng(number)
        frame = scene(names[number % len(names)], int(rng.integers(VARIANTS)), FRAME * max(photo.size))
        place = rng.integers(0, 2, 2) if corner else rng.uniform(0, 1, 2)
        return Image.fromarray(scenes.pasted(np.asarray(photo), frame, share, tuple(place.tolist())))

    return change


def bars(photo: Image.Image, number: int) -> Image.Image:
    """A screenshot: the photo between two bars of one color, above and below or on the left and right."""
    rng = np.random.default_rng(number)
    room = round(rng.uniform(*BARS) * max(photo.size))
    before = round(room * rng.uniform(0.3, 0.7))
    color = BAR_COLORS[number // 2 % len(BAR_COLORS)]
    return Image.fromarray(scenes.barred(np.asarray(photo), before, room - before, number % 2 == 0, color))


CONDITIONS: dict[str, Condition] = {
    "plain": Condition(lambda photo, number: photo),
    "3:4": Condition(cut(3, 4)),
    "9:16": Condition(cut(9, 16)),
    "16:9": Condition(cut(16, 9)),
    "small, 64 px": Condition(lambda photo, number: photo.resize((64, 64), Image.Resampling.BOX)),
    "dark": Condition(dark),
    "noise": Condition(noise(NOISE)),
    "dark with noise": Condition(lambda photo, number: noise(DARK_NOISE)(dark(photo, number), number)),
    "gray": Condition(lambda photo, number: ImageOps.grayscale(photo).convert("RGB")),
    "JPEG 30": Condition(lambda photo, number: through_jpeg(photo, 30)),
    "sideways": Condition(lambda photo, number: photo.transpose(Image.Transpose.ROTATE_90)),
    "flat bars": Condition(bars),
    "close-up": Condition(close),
    "off-center": Condition(in_scene(AWAY, corner=True)),
    "1/2 of the frame": Condition(in_scene(1 / 2)),
    "1/3 of the frame": Condition(in_scene(1 / 3)),
    "1/4 of the frame": Condition(in_scene(1 / 4)),
    "on a road": Condition(in_scene(1 / 2, ("road",)), VEHICLES),
}


# ---- Two labels in one picture ----


def beside(first: Image.Image, second: Image.Image, number: int) -> Image.Image:
    """Two photos side by side, or one above the other."""
    pair = [np.asarray(first), np.asarray(second)]
    return Image.fromarray(np.concatenate(pair, axis=number % 2))


def in_one_scene(first: Image.Image, second: Image.Image, number: int) -> Image.Image:
    """Two photos in the left and right half of a scene, each at 0.4 of its side."""
    rng, names = np.random.default_rng(number), ("house", "lawn", "room")
    frame = scene(names[number % len(names)], int(rng.integers(VARIANTS)), FRAME * max(first.size))
    for photo, x in ((first, rng.uniform(0, 0.15)), (second, rng.uniform(0.85, 1))):
        frame = scenes.pasted(np.asarray(photo), frame, 0.4, (x, rng.uniform(0, 1)))
    return Image.fromarray(frame)


PAIRS: dict[str, Callable[[Image.Image, Image.Image, int], Image.Image]] = {
    "two labels, side by side": beside,
    "two labels, in one scene": in_one_scene,
}


# ---- Measuring ----


def changed(test: Split, condition: Condition, labels: Sequence[str]) -> tuple[Iterator[Image.Image], np.ndarray]:
    """The changed photos of a condition, and their labels int64 [n]."""
    wanted = [i for i, label in enumerate(labels) if not condition.labels or label in condition.labels]
    picked = np.flatnonzero(np.isin(test.y, wanted))
    return (condition.change(Image.fromarray(test.x[i]), int(i)) for i in picked), test.y[picked]


def pairs(test: Split, make: Callable[[Image.Image, Image.Image, int], Image.Image]) -> Iterator[Image.Image]:
    """Pictures made of two test photos of different labels; each photo of the first half of the set is in one."""
    rng = np.random.default_rng(0)
    for i in range(len(test.y) // 2):
        others = np.flatnonzero(test.y != test.y[i])
        if len(others):
            yield make(*(Image.fromarray(test.x[j]) for j in (i, rng.choice(others))), i)


def answers(
    asked: Predictor, models: Sequence[Model], pictures: Iterator[Image.Image], name: str
) -> dict[str, list[Prediction]]:
    """The answers of each model to pictures, as the server gives them. What models have in common is computed once."""
    found: dict[str, list[Prediction]] = {model.card.name: [] for model in models}
    for batch in batched(tqdm(pictures, name, leave=False), BATCH):
        subjects = [Subject(picture) for picture in batch]
        for model in models:
            judge = asked.catalog.judge(model.card)
            prepared = [subject.prepared(model.card, judge) for subject in subjects]
            found[model.card.name] += asked.answer(prepared, model)
    return found


def batched(pictures: Iterable[Image.Image], count: int) -> Iterator[list[Image.Image]]:
    """Lists of at most `count` pictures."""
    pictures = iter(pictures)
    while batch := list(islice(pictures, count)):
        yield batch


def shares(found: Sequence[Prediction], y: np.ndarray) -> Shares:
    """What the answers to pictures of the labels int64 [n] come to."""
    right = np.array([int(one.probabilities.argmax()) for one in found]) == y
    sure = np.array([one.sure for one in found])
    return Shares(float(right.mean()), float(sure.mean()), float((sure & ~right).mean()))


def milliseconds(asked: Predictor, model: Model, test: Split) -> float:
    """Median milliseconds of the network for one photo."""
    photos = [Image.fromarray(picture) for picture in test.x[:TIMED]]
    return statistics.median(classify_one(asked, photo, model).milliseconds["infer"] for photo in photos)


def report(asked: Predictor, models: Sequence[Model], limit: int, conditions: Sequence[str]) -> None:
    """Prints the tables of the models of one data set."""
    dataset = data.load(models[0].card.training.dataset, limit=limit)
    test, labels = dataset.test, dataset.labels
    names = [model.card.name for model in models]
    took = ", ".join(f"{model.card.name} {milliseconds(asked, model, test):.2f} ms" for model in models)
    print(f"\n{len(test.y)} test photos. The network takes {took} for one.\n")
    print(header(names))
    surely, plain = [header(names)], None
    for name in conditions:
        if name in PAIRS:
            found = answers(asked, models, pairs(test, PAIRS[name]), name)
            surely.append(row(name, [f"{np.mean([one.sure for one in found[model]]):.1%}" for model in names]))
            continue
        photos, y = changed(test, CONDITIONS[name], labels)
        if not len(y):
            continue
        found = answers(asked, models, photos, name)
        each = [shares(found[model], y) for model in names]
        lost = ["" if plain is None else f" ({100 * (one.right - plain[i]):+.1f})" for i, one in enumerate(each)]
        print(row(name, [f"{one.right:.1%}{points}" for one, points in zip(each, lost, strict=True)]), flush=True)
        surely.append(row(name, [f"{one.sure:.1%} ({one.sure_and_wrong:.1%})" for one in each]))
        plain = plain or [one.right for one in each]
    print("\nCalled sure, and in brackets called sure but wrong:\n", *surely, sep="\n", flush=True)


def header(names: Sequence[str]) -> str:
    """The first two lines of a table with a column for each model."""
    return row("condition", [f"`{name}`" for name in names]) + "\n" + row("---", ["---"] * len(names))


def row(name: str, cells: Sequence[str]) -> str:
    return f"| {' | '.join([name, *cells])} |"


def main() -> None:
    known = [*CONDITIONS, *PAIRS]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=2500, help="test photos for each model (default 2500)")
    parser.add_argument("--model", action="append", help="only this one, repeatable (default: all trained on photos)")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models (default models)")
    parser.add_argument("--condition", action="append", choices=known, help="only this one, repeatable (default: all)")
    arguments = parser.parse_args()
    catalog = read_catalog(arguments.models)
    found = [
        model
        for model in catalog.models.values()
        if model.card.input.kind == "photo"
        and model.card.training
        and (arguments.model is None or model.card.name in arguments.model)
    ]
    found.sort(key=lambda model: model.card.training.dataset)
    if not found:
        parser.error(
            f"--model must be a trained photo model in {arguments.models}. Received: {', '.join(arguments.model)}"
        )
    asked = LocalPredictor(catalog, Settings.from_env())
    for _, models in groupby(found, key=lambda model: model.card.training.dataset):
        report(asked, list(models), arguments.limit, arguments.condition or known)


if __name__ == "__main__":
    main()
