"""The features that classifiers are taught on: what a backbone's network computes before its last layer."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from inkling.recognition.catalog import Catalog, Model
from inkling.recognition.inputs import Picture
from inkling.recognition.predictor import Predictor, prepare

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
    return predictor.features([prepare(picture, model.card) for picture in pictures], model)
