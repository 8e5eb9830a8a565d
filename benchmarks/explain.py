"""Measures whether "Why?" marks the parts that matter, by hiding them in test pictures that are answered correctly.

    python -m benchmarks.explain [--limit 200] [--model NAME] [--models models]

The benchmark hides the hottest tenth of the model's input and, for comparison, a random tenth: the same shape in a
random place. Deletion hides more and more, hottest first; insertion reveals more and more of a picture that starts
hidden. Both give the mean confidence along the way (area under the curve, https://arxiv.org/abs/1806.07421): lower is
better for deletion, higher for insertion. Figures in brackets use the map moved to a random place. Confidence is the
calibrated probability of the correct label.

"Enough" is the median of the smallest share of the picture whose hottest parts alone get the same answer (a sure one if
the answer is sure); in brackets, that of a random place. Pictures that need all of their parts count as 1. "Decides" is
the share of pictures in which hiding one part costs at least 0.05. Milliseconds are the median time of a whole
explanation.
"""

import argparse
import statistics
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from inkling.config import Settings
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import Model, read_catalog
from inkling.recognition.explain import SHARES, Explainer, cover, hottest, showing
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Predictor, Prepared, prepare
from training import data

TENTH = 0.1
STEPS = np.linspace(0, 1, 11)  # shares of the picture that are hidden or revealed
RANDOM = 3  # random tenths that are hidden in each picture


def tested_on(card: ModelCard) -> str | None:
    """The data set whose test pictures a model was measured on; None for a model that was not."""
    if card.training:
        return card.training.dataset
    return card.calibration.dataset if card.calibration else None  # trained by others


def as_input(image: Image.Image, card: ModelCard) -> Prepared:
    """The model input for a test picture: a drawing is one already, and a photo is prepared as usual."""
    if card.input.kind == "photo":
        return prepare(image, card)
    return Prepared(np.asarray(image.convert("L"))[..., None])


def confidence(predictor: Predictor, pictures: list[np.ndarray], model: Model, label: int) -> np.ndarray:
    """The probability of a label for each input."""
    answers = predictor.answer([Prepared(seen) for seen in pictures], model)
    return np.array([answer.probabilities[label] for answer in answers])


def moved(heat: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A map shifted to a random place; it wraps around at the edges."""
    return np.roll(heat, rng.integers(0, heat.shape), axis=(0, 1))


def measure(
    predictor: Predictor, explainer: Explainer, image: Image.Image, model: Model, rng: np.random.Generator
) -> dict[str, float]:
    """The figures for one picture."""
    prepared = as_input(image, model.card)
    why, seen = explainer.explain_input(predictor, prepared, model), prepared.seen
    hiding = np.rint(cover(seen, model.card.input.kind)).astype(np.uint8)
    hot = why.heat(*seen.shape[:2])
    elsewhere = [moved(hot, rng) for _ in range(RANDOM)]
    some = [np.where(hottest(heat, TENTH)[..., None], hiding, seen) for heat in (hot, *elsewhere)]
    for heat in (hot, elsewhere[0]):
        masks = [hottest(heat, share)[..., None] for share in STEPS]
        some += [np.where(mask, hiding, seen) for mask in masks] + [np.where(mask, seen, hiding) for mask in masks]
    shares = confidence(predictor, some, model, model.card.labels.index(why.label))
    tenths, curves = shares[: 1 + RANDOM], shares[1 + RANDOM :].reshape(2, 2, len(STEPS))
    at_random = [hottest(elsewhere[0], share) for share in SHARES]
    answers = predictor.answer([Prepared(one) for one in showing(seen, at_random, model.card.input.kind)], model)
    least = model.card.threshold if why.confidence >= model.card.threshold else 0.0
    same = [answer.label == why.label and answer.confidence >= least for answer in answers]
    (deletion, insertion), (deletion_moved, insertion_moved) = np.trapezoid(curves, STEPS)
    return {
        "hottest": why.confidence - tenths[0],
        "random": why.confidence - tenths[1:].mean(),
        "deletion": deletion,
        "insertion": insertion,
        "deletion moved": deletion_moved,
        "insertion moved": insertion_moved,
        "milliseconds": prepared.milliseconds + why.milliseconds,
        "grid": len(why.drops),
        "enough": 1.0 if why.enough is None else why.enough,
        "enough moved": next((share for share, one in zip(SHARES, same, strict=True) if one), 1.0),
        "decides": why.decides,
    }


def answered_correctly(predictor: Predictor, model: Model, limit: int) -> list[Image.Image]:
    """At most `limit` test pictures that the model answers correctly."""
    dataset = tested_on(model.card)
    assert dataset
    test = data.load(dataset, limit=2 * limit).test
    found = []
    for picture, label in zip(test.x, test.y, strict=True):
        image = Image.fromarray(picture).convert("RGB")
        (answer,) = predictor.answer([as_input(image, model.card)], model)
        if answer.label == model.card.labels[label]:
            found.append(image)
    return [found[i] for i in np.random.default_rng(0).permutation(len(found))[:limit]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--limit", type=int, default=200, help="pictures for each model (default 200)")
    parser.add_argument("--model", help="one model only (default: all that were measured here)")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the models (default models)")
    arguments = parser.parse_args()
    catalog = read_catalog(arguments.models)  # whole: one model may continue the network of another
    found = {
        name: model
        for name, model in catalog.models.items()
        if tested_on(model.card) and arguments.model in (None, name)
    }
    if not found:
        parser.error(f"--model must be a measured model in {arguments.models}. Received: {arguments.model}")
    predictor = LocalPredictor(catalog, Settings.from_env())
    columns = ("model", "pictures", "hottest tenth", "random tenth", "times", "deletion", "insertion", "enough")
    print(f"| {' | '.join(columns)} | decides | grid | milliseconds |")
    print("| --- " * 11 + "|")
    for name, model in found.items():
        explainer, rng, rows = Explainer(), np.random.default_rng(0), []
        for image in tqdm(answered_correctly(predictor, model, arguments.limit), name, leave=False):
            rows.append(measure(predictor, explainer, image, model, rng))
        mean = {key: statistics.fmean(row[key] for row in rows) for key in rows[0]}
        median = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        print(
            f"| `{name}` | {len(rows)} | {mean['hottest']:.3f} | {mean['random']:.3f} "
            f"| {mean['hottest'] / mean['random']:.1f} | {mean['deletion']:.2f} ({mean['deletion moved']:.2f}) "
            f"| {mean['insertion']:.2f} ({mean['insertion moved']:.2f}) "
            f"| {median['enough']:.0%} ({median['enough moved']:.0%}) | {mean['decides']:.0%} "
            f"| {mean['grid']:.0f} | {median['milliseconds']:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
