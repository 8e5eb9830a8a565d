"""Lets a general model tell whether photos are familiar to a specialist, and measures the answers as they are served.

It also fits the limit of `elsewhere`: the probability of another label in a part of the picture from which an answer is
not sure. A specialist that continues the general model's network looks at the parts itself; for others, one that does.

The general model's calibrated probability of some of its groups (`things`: cat and dog) tells photos of the
specialist's labels from others. A blurred picture, or one much smaller than the network's input, is unfamiliar, too.
The limits are fitted on held-out photos of the specialist's own data set, of which a share stays below them. No
unfamiliar picture is looked at for that.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
from PIL import Image

from inkling.config import Settings
from inkling.recognition import inputs
from inkling.recognition.card import FamiliarBy, Metrics, ModelCard
from inkling.recognition.catalog import Catalog, Model, read_catalog
from inkling.recognition.groups import groups_of
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Prediction, Prepared, classify
from inkling.recognition.runtimes import openvino
from inkling.recognition.runtimes.base import Answer, Runtime
from training import evaluate, export, strangers
from training.data import Dataset, Split, folder

BATCH = 64
DIVIDED = 0.05  # share of photos of one label that may be taken for photos of two
BLURRED = 0.002  # share of photos that may be taken for blurred ones


class Remembering(LocalPredictor):
    """Keeps the networks' answers in the data folder: several models have the same judge, and look at the same photos.

    Features are kept as float16, which halves the files.
    """

    def _run(self, pictures: Sequence[Prepared], model: Model, runtime: Runtime) -> Answer:
        if model.card.backbone:  # a head takes no time, and its backbone's answer is kept
            return super()._run(pictures, model, runtime)
        digest = hashlib.sha256(f"{model.card.files[openvino.FILE]} {model.card.mirror_below}".encode())
        for picture in pictures:
            digest.update(picture.seen.tobytes())
        path = folder() / "answers" / f"{digest.hexdigest()[:32]}.npz"
        if path.exists():
            with np.load(path) as kept:
                return Answer(**{name: values.astype(np.float32) for name, values in kept.items()})
        answer = super()._run(pictures, model, runtime)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft.npz")
        np.savez(
            draft,
            **{
                name: values.astype(np.float16) if name in ("features", "parts") else values
                for name, values in answer._asdict().items()
                if values is not None
            },
        )
        draft.replace(path)
        return answer


def judged(
    model: Model, dataset: Dataset, groups: tuple[str, ...], general: str, share: float, parts_by: str | None = None
) -> ModelCard:
    """Writes `familiar_by` and `elsewhere` into a model's card, with the metrics that depend on them.

    Args:
        dataset: the model's own; the limits are fitted on its held-out part.
        groups: names of the general model's groups that hold the model's labels.
        general: the name of the general model, in the same folder of models.
        share: share of the held-out photos below the limit.
        parts_by: the name of a model that continues the general one's network, and looks at the parts of a picture;
            None: the model itself, if it continues that network.

    Returns:
        the card.

    Raises:
        Problem: "unknown-model" or "model-unavailable": the general model cannot be asked.
    """
    found = read_catalog(model.folder.parent)
    predictor = Remembering(found, Settings.from_env())
    judge = predictor.catalog.model(general)
    known = groups_of(judge)
    seen = answers(predictor, photos(dataset.held_out), judge)
    sums = [known.probability(answer.probabilities, *groups) for answer in seen]
    details = [inputs.detail(answer.seen) for answer in seen]
    by = FamiliarBy(
        model=judge.card.name,
        groups=groups,
        limit=round(float(np.quantile(sums, share)), 4),
        detail=round(float(np.quantile(details, BLURRED)), 4),
    )
    # Without a limit, parts are not looked at.
    card = model.card.model_copy(update={"familiar_by": by, "elsewhere": 1.0, "elsewhere_by": parts_by})
    limit = elsewhere(replace(model, card=card), found, dataset)
    card = card.model_copy(update={"elsewhere": limit})
    metrics = measured(replace(model, card=card), found, dataset)
    card = card.model_copy(update={"metrics": metrics})
    (model.folder / "card.json").write_text(export.as_json(card), "utf-8")
    return card


def elsewhere(model: Model, found: Catalog, dataset: Dataset) -> float | None:
    """The probability of another label in a part that all but a share `DIVIDED` of the sure held-out photos stay below.

    None for a model of whose pictures nobody looks at the parts.
    """
    own = answers(serving(model, found), photos(dataset.held_out), model)
    certain = [answer for answer in own if answer.familiar and answer.confidence >= answer.threshold]
    seen = [answer.elsewhere for answer in certain if answer.elsewhere is not None]
    return round(float(np.quantile(seen, 1 - DIVIDED)), 4) if seen else None


def serving(model: Model, found: Catalog) -> LocalPredictor:
    """A predictor with a model whose card may differ from the one in its folder."""
    return Remembering(replace(found, models={**found.models, model.card.name: model}), Settings.from_env())


def measured(model: Model, found: Catalog, dataset: Dataset) -> Metrics:
    """The card's metrics of a model, with those measured again that depend on familiarity: sure and unfamiliar.

    Args:
        model: with a card that may differ from the one in its folder.
        found: the catalog that holds its judge.
    """
    predictor = serving(model, found)
    own = answers(predictor, photos(dataset.test), model)
    right = np.array([answer.probabilities.argmax() for answer in own]) == dataset.test.y
    sure = np.array([answer.sure for answer in own])
    count = min(strangers.COUNT, len(own))
    others = {
        kind: answers(predictor, some, model) for kind, some in strangers.pictures(model.card.task, count).items()
    }
    return model.card.metrics.model_copy(
        update={
            "sure_share": evaluate.rounded(sure.mean()),
            "sure_accuracy": evaluate.rounded(right[sure].mean() if sure.any() else 1),
            "strangers": {
                kind: evaluate.rounded(evaluate.auroc(scores(own), scores(some))) for kind, some in others.items()
            },
            "not_sure": {
                kind: evaluate.rounded(np.mean([answer.wording == "not sure" for answer in some]))
                for kind, some in others.items()
            },
            "wrongly_sure": {
                kind: evaluate.rounded(np.mean([answer.sure for answer in some])) for kind, some in others.items()
            },
            "strangers_count": {kind: len(some) for kind, some in others.items()},
        }
    )


def photos(split: Split) -> Iterator[Image.Image]:
    """The photos of a split, one after the other."""
    return (Image.fromarray(picture) for picture in split.x)


def answers(predictor: LocalPredictor, pictures: Iterable[Image.Image], model: Model) -> list[Prediction]:
    """The answers to pictures, as they are served."""
    found: list[Prediction] = []
    waiting = iter(pictures)
    while batch := list(islice(waiting, BATCH)):
        found += classify(predictor, batch, model)
    return found


def scores(found: list[Prediction]) -> np.ndarray:
    """The familiarity of the pictures that were answered: float [n]."""
    return np.array([answer.familiarity for answer in found])
