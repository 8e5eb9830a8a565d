"""Trains several seeds of a recipe, records all, and selects the median on held-out pictures."""

import statistics
from dataclasses import dataclass, replace

import keras
import numpy as np

from inkling.recognition.card import Trial
from inkling.recognition.runtimes import base
from training import evaluate, fit, heads
from training.data import Dataset, Split
from training.fit import Fitted
from training.recipe import Recipe, Run


@dataclass(frozen=True)
class Trained:
    """The network of one seed, and its results if several seeds were trained."""

    fitted: Fitted
    seed: int
    trial: Trial | None = None


def train(recipe: Recipe, dataset: Dataset, run: Run, seeds: int) -> list[Trained]:
    """Trains `seeds` networks with consecutive seeds; writes nothing."""
    trained = []
    for seed in range(run.seed, run.seed + seeds):
        fitted = (recipe.fit or fit.fit)(recipe, dataset, replace(run, seed=seed))
        trial = measured(recipe, dataset, fitted, replace(run, seed=seed)) if seeds > 1 else None
        trained.append(Trained(fitted, seed, trial))
    return trained


def measured(recipe: Recipe, dataset: Dataset, fitted: Fitted, run: Run) -> Trial:
    """The results of one seed."""
    shares = (share_right(fitted.model, split, recipe, run) for split in (dataset.held_out, dataset.test))
    held_out, test = (round(share, evaluate.PLACES) for share in shares)
    print(f"Seed {run.seed}: {held_out:.2%} of the held-out pictures.", flush=True)
    return Trial(seed=run.seed, held_out=held_out, accuracy=test)


def share_right(model: keras.Model, split: Split, recipe: Recipe, run: Run) -> float:
    """Accuracy of a network before export."""
    if recipe.backbone:
        x = heads.features(heads.backbone_of(recipe, run.models), split.x, heads.enlarged)
        return evaluate.accuracy(model.predict(x, verbose=0), split.y)

    def predict(batch: np.ndarray) -> np.ndarray:
        return base.probabilities(keras.ops.convert_to_numpy(model(batch, training=False)))

    return evaluate.accuracy(evaluate.predict(predict, split.x, recipe.input), split.y)


def median(trained: list[Trained]) -> Trained:
    """The median network on held-out pictures: the lower of two middle ones, and the first seed among equals."""
    if len(trained) == 1:
        return trained[0]
    middle = statistics.median_low(one.trial.held_out for one in trained)
    return next(one for one in trained if one.trial.held_out == middle)


def spread(shares: list[float]) -> tuple[float, float]:
    """The mean and the sample standard deviation."""
    return statistics.mean(shares), statistics.stdev(shares)
