"""The features that classifiers are taught on: what a backbone's network computes before its last layer."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from inkling.problems import Problem
from inkling.recognition.catalog import Catalog, Model
from inkling.recognition.inputs import Picture
from inkling.recognition.predictor import Predictor, Prepared, prepare

BACKBONES = {"photo": "things", "ink": "doodles-cnn"}

Kind = Literal["photo", "ink"]


def backbone(catalog: Catalog, kind: Kind) -> Model:
    """The model whose features classifiers of this kind build on.

    Raises:
        Problem: "unknown-model" or "model-unavailable".
    """
    return catalog.model(BACKBONES[kind])


def of(predictor: Predictor, pictures: Sequence[Picture], kind: Kind) -> np.ndarray:
    """The features of pictures, float32 [n, d].

    Args:
        pictures: upright and RGB, or drawings as strokes.

    Raises:
        Problem: "blank" for a drawing without ink; "unknown-model" or "model-unavailable".
    """
    model = backbone(predictor.catalog, kind)
    return of_prepared(predictor, [prepare(picture, model.card) for picture in pictures], model)


def of_prepared(predictor: Predictor, pictures: Sequence[Prepared], model: Model) -> np.ndarray:
    """The features of pictures that were prepared for the backbone `model`, float32 [n, d].

    Raises:
        Problem: "model-unavailable".
    """
    predictor.answer(pictures, model)  # which keeps the network's answers with the pictures
    found = [picture.answers[model].features for picture in pictures]
    if any(rows is None for rows in found):
        raise Problem("model-unavailable", f"The model {model.card.name!r} has no output named features.")
    return np.concatenate([rows for rows in found if rows is not None])
