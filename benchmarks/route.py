"""Measures how often Auto asks the right models, and what it costs.

    python -m benchmarks.route [--share 1.0] [--models models]
    python -m benchmarks.route --fit
    python -m benchmarks.route --ten

The pictures are of test sets: photos of cats and dogs, of CIFAR-10's objects, of flowers, and of ImageNet's validation
set; doodles and digits redrawn on a canvas by random hands; and photographs of such drawings on paper, which arrive as
uploads. A photo's route is right if a model for photos answers. A drawing's route is right if the model of its data set
answers, or if the answer names labels of both, because a circle is a zero, too.

The cost is the processor time of Auto, divided by that of asking the same models about the same decoded picture by
name.

`--fit` fits `router.INK_LOGITS` on drawings of the training sets.

`--ten` prints Auto's answers to ten photos of ten things: seven that come with scikit-image, and three of ImageNet's
validation photos. Milliseconds are those of the fastest of `TRIES` times, without decoding.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import skimage.data
from PIL import Image
from sklearn.linear_model import LogisticRegression

from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition.catalog import read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Prediction, prepare
from inkling.recognition.router import INK, Router
from inkling.recognition.subject import Subject
from training import data
from training.paper import photographed
from training.redraw import random_hand, redraw

FITTED = 250  # drawings of each training set that `--fit` uses, and a sixth of them photographed
PHOTO = ("photo", "specialist")
TIMED = 60  # pictures of each kind whose cost is measured
TRIES = 30  # times that each of the ten photos is answered
TEN = {  # file of scikit-image, or of imagenet-val -> what it shows
    "astronaut.png": "an astronaut beside a flag and a model of a shuttle",
    "chelsea.png": "a cat",
    "coffee.png": "a cup of coffee",
    "motorcycle_left.png": "a motorcycle in a garage",
    "rocket.jpg": "a rocket on its launch pad",
    "camera.png": "a man with a camera on a tripod, in gray",
    "coins.png": "coins, in gray",
    "ILSVRC2012_val_00023220.JPEG": "bananas",
    "ILSVRC2012_val_00013009.JPEG": "a school bus",
    "ILSVRC2012_val_00005757.JPEG": "a strawberry",
}


class Kind(NamedTuple):
    """One kind of pictures in the mixture."""

    name: str
    count: int
    make: Callable[[int], Iterator[Image.Image]]  # number -> pictures
    routes: tuple[str, ...]  # those that are right
    from_canvas: bool = False


def photos(name: str) -> Callable[[int], Iterator[Image.Image]]:
    """Test photos of a data set."""

    def make(count: int) -> Iterator[Image.Image]:
        return map(Image.fromarray, data.load(name, limit=count).test.x)

    return make


def flowers(count: int) -> Iterator[Image.Image]:
    """Test photos of flowers."""
    files = sorted((data.folder() / "flowers" / "test").rglob("*.jpg"))
    order = np.random.default_rng(0).permutation(len(files))[:count]
    return (Image.open(files[i]).convert("RGB") for i in order)


def drawings(name: str, on_paper: bool, part: str = "test") -> Callable[[int], Iterator[Image.Image]]:
    """Drawings of a data set: redrawn on a canvas by random hands, or photographed on paper."""

    def make(count: int) -> Iterator[Image.Image]:
        rng = np.random.default_rng(0)
        for bitmap in getattr(data.load(name, limit=count), part).x[:count]:
            yield photographed(bitmap, rng) if on_paper else redraw(bitmap, random_hand(rng))

    return make


MIXTURE = (
    Kind("cats and dogs", 250, photos("cats-dogs"), PHOTO),
    Kind("CIFAR-10", 250, photos("cifar10"), PHOTO),
    Kind("ImageNet", 300, photos("imagenet-val"), PHOTO),
    Kind("flowers", 200, flowers, PHOTO),
    Kind("doodles on a canvas", 1000, drawings("doodles", False), ("doodle",), True),
    Kind("digits on a canvas", 500, drawings("mnist", False), ("digit",), True),
    Kind("doodles on paper", 100, drawings("doodles", True), ("doodle",)),
    Kind("digits on paper", 100, drawings("mnist", True), ("digit",)),
)


def ask(router: Router, image: Image.Image, from_canvas: bool) -> Prediction | Problem:
    """Auto's answer to one picture."""
    subject = Subject(image, from_canvas)
    try:
        router.prepare(subject, None)
        return router.answer([subject], None)[0]
    except Problem as problem:
        return problem


def names_both(answer: Prediction, predictor: LocalPredictor) -> bool:
    """Whether an answer has the labels of all models for drawings."""
    cards = [predictor.catalog.best(task) for task in INK]
    return all(card and set(card.labels) <= set(answer.labels) for card in cards)


def cost(router: Router, predictor: LocalPredictor, image: Image.Image, from_canvas: bool) -> tuple[float, float]:
    """Seconds of processor time that Auto takes, and that asking the same models by name takes."""
    start = time.process_time()
    answer = ask(router, image, from_canvas)
    auto = time.process_time() - start
    if isinstance(answer, Problem):
        return 0.0, 0.0
    start = time.process_time()
    for name in answer.asked:
        model = predictor.catalog.model(name)
        predictor.answer([prepare(image, model.card)], model)
    return auto, time.process_time() - start


def report(predictor: LocalPredictor, share: float) -> None:
    """Prints the table of routes, and the cost of Auto."""
    router = Router(predictor)
    print("| pictures | number | route right | of these, both named | cost of Auto |\n| --- | --- | --- | --- | --- |")
    total = right = 0
    for kind in MIXTURE:
        count = max(1, round(kind.count * share))
        good = both = 0
        spent = np.zeros(2)
        for i, image in enumerate(kind.make(count)):
            answer = ask(router, image, kind.from_canvas)
            if i < TIMED:
                spent += cost(router, predictor, image, kind.from_canvas)
            if isinstance(answer, Prediction):
                named = answer.route in INK.values() and names_both(answer, predictor)
                fits = answer.route in kind.routes
                good += fits or (named and kind.routes != PHOTO)
                both += named and kind.routes != PHOTO
        total, right = total + count, right + good
        print(f"| {kind.name} | {count} | {good / count:.1%} | {both} | {spent[0] / spent[1]:.2f} |", flush=True)
    print(f"| all | {total} | {right / total:.1%} | | |")


def fit(predictor: LocalPredictor) -> None:
    """Prints the logits of `router.INK_LOGITS`, fitted by logistic regression on drawings of the training sets."""
    models = [predictor.catalog.model(card.name) for task in INK if (card := predictor.catalog.best(task))]
    rows, truth = [], []
    for number, name in enumerate(("mnist", "doodles")):
        pictures = chain(
            drawings(name, False, "train")(FITTED),
            drawings(name, True, "train")(FITTED // 6),
        )
        for image in pictures:
            answers = [predictor.answer([prepare(image, model.card)], model)[0] for model in models]
            rows.append([(one.familiarity or 0) - (one.familiar_limit or 0) for one in answers])
            truth.append(number)
    found = LogisticRegression().fit(rows, truth)
    digits, doodles = found.coef_[0]
    print(f"digits: {-digits:.2f} * margin + {-found.intercept_[0]:.2f}; doodles: {doodles:.2f} * margin")
    wrong = found.predict(rows) != truth
    print(f"{wrong.sum()} of {len(truth)} training drawings are on the wrong side")


def ten() -> Iterator[tuple[str, Image.Image]]:
    """The ten photos of `TEN`, with their files' names."""
    for name in TEN:
        folder = data.folder() / "imagenet-val" if name.startswith("ILSVRC") else Path(skimage.data.data_dir)
        with Image.open(folder / name) as photo:
            yield name, photo.convert("RGB")


def show(predictor: LocalPredictor, pictures: Iterable[tuple[str, Image.Image]]) -> None:
    """Prints Auto's answers to photos."""
    router = Router(predictor)
    print("| file | it shows | Auto's answer | how sure | models asked | ms |\n| --- | --- | --- | --- | --- | --- |")
    for name, photo in pictures:
        answers = [answer for _ in range(TRIES) if isinstance(answer := ask(router, photo, False), Prediction)]
        answer, took = answers[0], min(sum(answer.milliseconds.values()) for answer in answers)
        label = answer.label if answer.group in (None, answer.label) else f"{answer.label} ({answer.group})"
        asked = ", ".join(f"`{model}`" for model in answer.asked)
        print(
            f"| `{name}` | {TEN[name]} | {label} | {answer.wording}, {answer.confidence:.0%} | {asked} | {took:.1f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="share of the mixture to measure (default 1)")
    parser.add_argument("--fit", action="store_true", help="fit the logits of drawings instead")
    parser.add_argument("--ten", action="store_true", help="show the answers to ten photos instead")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models (default models)")
    arguments = parser.parse_args()
    predictor = LocalPredictor(read_catalog(arguments.models), Settings.from_env({}))
    if arguments.fit:
        fit(predictor)
    elif arguments.ten:
        show(predictor, ten())
    else:
        report(predictor, arguments.share)


if __name__ == "__main__":
    main()
