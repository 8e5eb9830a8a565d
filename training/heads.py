"""Trains a head: the last layers of a network, on the features that another model (its backbone) has for pictures.

The backbone stays as it is. Its features of each view of a picture are computed once, which takes most of the time,
and kept in the data folder.
"""

import hashlib
import math
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import keras
import numpy as np
from keras import layers
from tqdm import tqdm

from inkling.recognition import inputs
from inkling.recognition.card import Backbone, ModelCard
from inkling.recognition.catalog import Model, read_catalog
from inkling.recognition.runtimes import base, openvino
from training import fit
from training.data import Dataset, Split, folder
from training.fit import Fitted
from training.recipe import Recipe, Run

KERAS_FILE = "head.keras"
BATCH = 8  # pictures in one call of the backbone
PARITY_PICTURES = 64
PARITY = 1e-4  # largest allowed difference of a probability between Keras and ONNX

View = Callable[[np.ndarray, np.random.Generator, int], np.ndarray]  # as `recipe.Augment`


@dataclass(frozen=True)
class Views:
    """Which views of the training pictures a head learns from.

    Attributes:
        view: makes a batch of views.
        every: only every n-th picture is seen in this view.
    """

    view: View
    every: int = 1


def enlarged(pictures: np.ndarray, rng: np.random.Generator, side: int) -> np.ndarray:
    """The pictures themselves, resized to the backbone's side: uint8 [n, side, side, 3]."""
    return np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_CUBIC) for one in pictures])


def network(labels: int, features: int = 1280) -> keras.Model:
    """Softmax regression on features, with dropout."""
    inputs = keras.Input((features,), name="features")
    x = layers.Dropout(0.2, name="dropout")(inputs)
    return keras.Model(inputs, layers.Dense(labels, activation="softmax", name="probabilities")(x), name="head")


def train(recipe: Recipe, dataset: Dataset, run: Run, views: Sequence[Views]) -> Fitted:
    """Trains a head on several views of the training pictures."""
    keras.utils.set_random_seed(run.seed)
    start = time.perf_counter()
    backbone = backbone_of(recipe, run.models)
    seen = [features(backbone, dataset.train.x[:: one.every], one.view) for one in views]
    y = np.concatenate([dataset.train.y[:: one.every] for one in views])
    held_out = features(backbone, dataset.held_out.x, enlarged)
    labels = len(dataset.labels)
    model = recipe.build(labels)
    fit.compile_model(model, recipe, math.ceil(len(y) / recipe.batch) * run.epochs)
    done = model.fit(
        np.concatenate(seen),
        fit.targets(y, labels),
        validation_data=(held_out, fit.targets(dataset.held_out.y, labels)),
        batch_size=recipe.batch,
        epochs=run.epochs,
        callbacks=[keras.callbacks.SwapEMAWeights()] if recipe.average is not None else [],
        verbose=2,
    )
    return Fitted(model, done.history, run.epochs, time.perf_counter() - start)


def on(*views: Views) -> Callable[[Recipe, Dataset, Run], Fitted]:
    """The `fit` of a recipe that learns from these views."""
    return partial(train, views=views)


def backbone_of(recipe: Recipe, models: Path) -> Model:
    """The model that a recipe's head continues.

    Raises:
        ValueError: it is not there, or its network is not built.
    """
    found = read_catalog(models)
    name = recipe.backbone
    if name in found.broken or name not in found.models:
        raise ValueError(f"{recipe.name} needs the model {name!r}: {found.broken.get(name, 'it is missing')}")
    return found.models[name]


def features(backbone: Model, pictures: np.ndarray, view: View, seed: int = 0) -> np.ndarray:
    """The backbone's features of views of uint8 pictures [n, h, w, 3]: float32 [n, d]. Computed once."""
    digest = hashlib.sha256(pictures.tobytes())
    digest.update(f"{backbone.card.files[openvino.FILE]} {view.__name__} {seed}".encode())
    path = folder() / "features" / f"{digest.hexdigest()[:32]}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft.npy")
        np.save(draft, _computed(backbone, pictures, view, seed))
        draft.replace(path)
    return np.load(path).astype(np.float32)


def _computed(backbone: Model, pictures: np.ndarray, view: View, seed: int) -> np.ndarray:
    """The features as float16, which halves the file."""
    runtime, spec, seen = openvino.open_model(backbone), backbone.card.input, []
    for batch, start in enumerate(tqdm(range(0, len(pictures), BATCH), view.__name__, mininterval=30), 1):
        views = view(pictures[start : start + BATCH], np.random.default_rng([seed, batch]), spec.width)
        answer = runtime.answer(inputs.scale(views, spec.scaling))
        seen.append(answer.features.astype(np.float16))
    return np.concatenate(seen)


def write(
    model: keras.Model, folder: Path, backbone: Model, split: Split, mirror_below: float | None = None
) -> base.Answering:
    """Writes `head.keras` and `head.onnx`; returns the latter on its backbone, as it is served.

    Args:
        split: pictures on whose features the two are compared.
        mirror_below: see `base.Answering`.

    Raises:
        ValueError: the two differ by more than `PARITY`.
    """
    x = features(backbone, split.x[:PARITY_PICTURES], enlarged)
    wanted = model.predict(x, verbose=0)  # Keras can only export a model that was called once
    model.save(folder / KERAS_FILE)
    with warnings.catch_warnings(action="ignore"):  # tf2onnx warns about names that NumPy has deprecated
        model.export(folder / openvino.HEAD_FILE, format="onnx", verbose=False)
    head, runtime = openvino.compile_onnx(folder / openvino.HEAD_FILE), openvino.open_model(backbone)
    gap = float(np.abs(head(x)[0] - wanted).max())
    if not gap <= PARITY:  # also refuses NaN
        raise ValueError(f"ONNX must give what Keras gives, to {PARITY}. Received: a difference of {gap:.2g}")
    return base.Answering(lambda batch: head(runtime.answer(batch).features), mirror_below)


def on_backbone(card: ModelCard, backbone: Model) -> ModelCard:
    """The card of a head with the backbone that it needs: its layers come first, and its origin is credited."""
    source = backbone.card
    features = [row.name for row in source.network].index("features")
    network = (*source.network[: features + 1], *card.network[1:])
    return card.model_copy(
        update={
            "backbone": Backbone(model=source.name, checksum=source.files[openvino.FILE]),
            "network": network,
            "parameters": sum(row.parameters for row in network),
            "attribution": f"{card.attribution} Features: {source.attribution}",
        }
    )
