"""Logistic regression on 784 pixels, fitted with scikit-learn and converted to Keras."""

import time

import cv2
import keras
import numpy as np
from keras import layers, ops
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score

from inkling.recognition.card import InputSpec
from training.data import Dataset
from training.fit import Fitted
from training.recipe import Recipe, Run

STRENGTHS = (0.05, 0.1, 0.2)  # candidates for scikit-learn's C, the inverse of the L2 penalty
FOLDS = 3
BLUR = np.outer(*[cv2.getGaussianKernel(3, 0.5, cv2.CV_32F)] * 2)  # makes a shift by one pixel matter less
UNSEEN = -100.0  # logit of a label that has no training picture


def logistic(labels: int) -> keras.Model:
    """A softmax layer on the square roots of 784 slightly blurred pixels; the root lifts faint ink."""
    pictures = keras.Input((28, 28, 1))
    blur = layers.Conv2D(1, 3, padding="same", use_bias=False, trainable=False, name="blur")
    x = layers.Flatten()(ops.sqrt(ops.relu(blur(pictures))))
    blur.set_weights([BLUR[:, :, None, None]])
    return keras.Model(pictures, layers.Dense(labels, activation="softmax")(x), name="digits_logistic")


def fit_logistic(recipe: Recipe, dataset: Dataset, run: Run) -> Fitted:
    """Fits logistic regression with scikit-learn and copies its coefficients; epochs are solver iterations."""
    start = time.perf_counter()
    x = inputs(dataset.train.x)
    fitted = LogisticRegression(C=strength(x, dataset.train.y, run), max_iter=run.epochs, tol=1e-3)
    fitted.fit(x, dataset.train.y)
    model = recipe.build(len(dataset.labels))
    model.layers[-1].set_weights(coefficients(fitted, len(dataset.labels)))
    return Fitted(model, {}, int(fitted.n_iter_.max()), time.perf_counter() - start)


def inputs(pictures: np.ndarray) -> np.ndarray:
    """The network's preprocessing: uint8 [n, 28, 28] -> float32 [n, 784]."""
    scaled = pictures.astype(np.float32) / 255
    blurred = [cv2.filter2D(picture, -1, BLUR, borderType=cv2.BORDER_CONSTANT) for picture in scaled]
    return np.sqrt(np.reshape(blurred, (-1, 784)))


def coefficients(fitted: LogisticRegression, labels: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights [784, labels] and bias [labels]; labels without a training picture get logit `UNSEEN`."""
    weights, bias = np.zeros((fitted.coef_.shape[1], labels)), np.full(labels, UNSEEN)
    weights[:, fitted.classes_], bias[fitted.classes_] = fitted.coef_.T, fitted.intercept_
    return weights, bias


def strength(x: np.ndarray, y: np.ndarray, run: Run) -> float:
    """The value of C with the best cross-validated accuracy."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=run.seed)
    scores = {
        c: cross_val_score(LogisticRegression(C=c, max_iter=run.epochs, tol=1e-3), x, y, cv=folds).mean()
        for c in STRENGTHS
    }
    print("Cross-validated:", *(f"C={c} {score:.2%}" for c, score in scores.items()), flush=True)
    return max(scores, key=scores.get)


INPUT = InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="mnist")
RECIPES = (
    Recipe(
        name="digits-logistic",
        task="digits",
        title="Digits, logistic regression",
        summary="One weight for each pixel and digit: the roots of 784 slightly blurred pixels, weighed and added up.",
        strengths="The simplest there is: tiny, trained in a minute, and each weight can be looked at.",
        limitations="Knows no shapes, only places: a digit that is turned or bent is often misread.",
        dataset="mnist",
        input=INPUT,
        build=logistic,
        augment=None,
        fit=fit_logistic,
        epochs=100,
    ),
)
