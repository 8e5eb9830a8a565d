"""The best digit model without deep learning: HOG features and kernel ridge regression.

    HOG -> StandardScaler -> PCA -> RBF kernel with 7,000 training digits -> ridge regression -> softmax

The weights have a closed-form solution: passes over augmented pictures accumulate its normal equations.
`python -m training.kernel` prints the cross-validation of several classifiers that led to this one.
"""

import time
from collections.abc import Iterator
from functools import partial

import keras
import numpy as np
from keras import layers, ops
from scipy.linalg import solve
from sklearn.decomposition import PCA
from sklearn.kernel_approximation import AdditiveChi2Sampler, Nystroem
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from inkling.recognition import inputs
from inkling.recognition.card import InputSpec
from training import augment, data, evaluate, hog
from training.data import Dataset, Split, joined, stratified
from training.fit import Fitted
from training.handwriting import some_rare
from training.recipe import Recipe, Run
from training.redraw import through_canvas

COMPONENTS = 150  # principal components of the features
CENTRES = 7_000  # training digits used as kernel centers
GAMMA = 0.5  # width of the RBF kernel, for features with a mean squared length of 1
RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0)  # candidates, chosen by accuracy on validation pictures
ASIDE = 1 / 11  # share of validation pictures, which join the final fit
FLOOR = 0.03  # added to the kernel's diagonal; keeps the weights small enough for float32
SHARPNESS = 10.0  # initial scale of the softmax
BATCH = 2_500
FIRST = 10_000  # pictures that the scaler and PCA are fitted on

COMPARED, COMPARED_CENTRES, FOLDS = 6_000, 1_000, 3  # digits, kernel centers and folds of the comparison


# ---- The network ----


def network(labels: int, components: int = COMPONENTS, centres: int = CENTRES) -> keras.Model:
    """The network: one dense layer for scaler and PCA, one for the kernel, exp(2 x c - |c|^2 - |x|^2)."""
    inputs = keras.Input((28, 28, 1))
    x = layers.Dense(components, name="scaler_and_pca")(hog.smooth(inputs))
    products = layers.Dense(centres, name="centres")(x)
    likeness = ops.exp(products - ops.sum(x * x, axis=-1, keepdims=True))
    return keras.Model(inputs, layers.Dense(labels, activation="softmax", name="ridge")(likeness), name="digits_hog")


def carried_over(model: keras.Model, reduction: Pipeline, scale: float, centres: np.ndarray, weights: np.ndarray):
    """Copies the fitted parameters into a network.

    Args:
        reduction: StandardScaler and PCA.
        scale: factor applied to their output.
        centres: float [centres, components], already multiplied by `scale`.
        weights: float [centres, labels].
    """
    scaler, pca = (step for _, step in reduction.steps)
    kernel = scale * pca.components_.T
    if scaler.scale_ is not None:
        kernel = kernel / scaler.scale_[:, None]
    bias = -scaler.mean_ @ kernel - scale * (pca.components_ @ pca.mean_)
    model.get_layer("scaler_and_pca").set_weights([kernel, bias])
    model.get_layer("centres").set_weights([2 * centres.T, -(centres**2).sum(axis=1)])
    model.get_layer("ridge").set_weights([weights, np.zeros(weights.shape[1])])


# ---- Fitting ----


def fit(recipe: Recipe, dataset: Dataset, run: Run) -> Fitted:
    """Solves for the weights. Each epoch is a pass over all pictures: the first unchanged, the others augmented."""
    start = time.perf_counter()
    labels = len(dataset.labels)
    rng = np.random.default_rng(run.seed)
    extract = features(recipe)
    aside = np.zeros(len(dataset.train.y), bool)
    aside[stratified(dataset.train.y, max(1, round(len(aside) * ASIDE)), run.seed)] = True
    x, y = with_redrawn(dataset.train.x[~aside], dataset.train.y[~aside], recipe, run.seed)
    if recipe.more:
        train = joined(Split(x, y), recipe.more(dataset.train))
        x, y = train.x, train.y

    first = extract(x[rng.permutation(len(x))[:FIRST], :, :, None])
    reduction = reduce(min(COMPONENTS, len(first)))
    scale = np.sqrt(GAMMA / (reduction.fit_transform(first) ** 2).sum(axis=1).mean())

    def reduced(pictures: np.ndarray) -> np.ndarray:
        return np.float32(scale) * reduction.transform(extract(pictures)).astype(np.float32)

    centres = reduced(x[rng.permutation(len(x))[:CENTRES], :, :, None])
    sums = Sums(centres, labels)
    for pictures, truth in views(x, y, recipe, run.epochs, rng):
        sums.add(reduced(pictures), truth)
    test_x, test_y = reduced(dataset.train.x[aside][..., None]), dataset.train.y[aside]
    ridge, sharpness = chosen(sums, test_x, test_y)
    sums.add(test_x, test_y)
    model = network(labels, len(reduction[-1].components_), len(centres))
    carried_over(model, reduction, scale, centres, sharpness * sums.weights(ridge))
    return Fitted(model, {}, run.epochs, time.perf_counter() - start)


def features(recipe: Recipe):
    """A function from uint8 [n, 28, 28, 1] to HOG features."""
    extractor = hog.extractor(hog.smooth)
    return lambda x: extractor.predict(inputs.scale(x, recipe.input.scaling), batch_size=500, verbose=0)


def reduce(components: int) -> Pipeline:
    """Scaler and PCA. The scaler only centers; dividing by the deviation would amplify noise at the border."""
    return make_pipeline(StandardScaler(with_std=False), PCA(components, svd_solver="covariance_eigh"))


def with_redrawn(x: np.ndarray, y: np.ndarray, recipe: Recipe, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The drawings, plus the recipe's share of them redrawn on the canvas."""
    picked = np.random.default_rng(seed).permutation(len(x))[: round(len(x) * recipe.redrawn)]
    if not len(picked):
        return x, y
    redrawn = through_canvas(x[picked], recipe.input.layout, seed)
    return np.concatenate([x, redrawn]), np.concatenate([y, y[picked]])


def views(x: np.ndarray, y: np.ndarray, recipe: Recipe, epochs: int, rng: np.random.Generator) -> Iterator[tuple]:
    """Batches of (uint8 [n, 28, 28, 1], labels): all pictures unchanged, then augmented."""
    for epoch in range(epochs):
        for start in range(0, len(y), BATCH):
            batch = x[start : start + BATCH]
            pictures = recipe.augment(batch, rng, recipe.input.width) if epoch else batch[..., None]
            yield pictures, y[start : start + BATCH]
        print(f"Pass {epoch + 1}/{epochs}", flush=True)


class Sums:
    """The normal equations of ridge regression on kernel features, accumulated over batches."""

    def __init__(self, centres: np.ndarray, labels: int):
        self.centres, self.labels = centres, labels
        self.gram = np.zeros((len(centres), len(centres)))
        self.towards = np.zeros((len(centres), labels))

    def likeness(self, x: np.ndarray) -> np.ndarray:
        """Kernel values, float32 [n, centres]: 1 at a center, 0 far away."""
        return np.exp(2 * x @ self.centres.T - (x**2).sum(axis=1)[:, None] - (self.centres**2).sum(axis=1))

    def add(self, x: np.ndarray, y: np.ndarray) -> None:
        likeness = self.likeness(x).astype(float)  # float32 sums are too inaccurate to solve
        self.gram += likeness.T @ likeness
        self.towards += likeness.T @ (np.eye(self.labels)[y] - 1 / self.labels)

    def weights(self, ridge: float) -> np.ndarray:
        """The ridge solution, float64 [centres, labels] (subset of regressors)."""
        penalty = self.likeness(self.centres).astype(float) + FLOOR * np.eye(len(self.centres))
        return solve(self.gram + ridge * penalty, self.towards, assume_a="pos")


def chosen(sums: Sums, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The ridge with the best accuracy on these pictures, and the softmax scale with the lowest log loss."""
    likeness = sums.likeness(x)
    scores = {ridge: likeness @ sums.weights(ridge) for ridge in RIDGES}
    rights = {ridge: evaluate.accuracy(score, y) for ridge, score in scores.items()}
    print("Set aside:", *(f"ridge={ridge} {right:.2%}" for ridge, right in rights.items()), flush=True)
    best = max(RIDGES, key=rights.get)
    guess = SHARPNESS * scores[best]
    powers = np.exp(guess - guess.max(axis=1, keepdims=True))
    return best, SHARPNESS / evaluate.fit_temperature(powers / powers.sum(axis=1, keepdims=True), y)


# ---- Comparison of classifiers ----


def candidates(x: np.ndarray, seed: int) -> dict[str, Pipeline]:
    """The classifiers to compare, on features float [n, d]."""

    def support() -> LinearSVC:
        return LinearSVC(C=0.01, random_state=seed)

    def kernel(divide: bool) -> Pipeline:
        spread = np.count_nonzero(x.var(axis=0)) if divide else x.var(axis=0).sum()
        nystroem = Nystroem(gamma=GAMMA / spread, n_components=COMPARED_CENTRES, random_state=seed)
        return make_pipeline(
            StandardScaler(with_std=divide),
            PCA(COMPONENTS, svd_solver="covariance_eigh"),
            nystroem,
            RidgeClassifier(0.03),
        )

    return {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=200)),
        "linear SVM": make_pipeline(StandardScaler(), support()),
        "additive chi2 kernel, linear SVM": make_pipeline(AdditiveChi2Sampler(), StandardScaler(), support()),
        "RBF kernel, ridge": kernel(divide=True),
        "RBF kernel, ridge; features only centered": kernel(divide=False),
    }


def compare(x: np.ndarray, y: np.ndarray, seed: int = 0) -> list[tuple[str, float, float]]:
    """Cross-validates all classifiers on uint8 [n, 28, 28]: (name, mean accuracy, standard deviation) each."""
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    rows = []
    for form, layer in (("classic", partial(hog.classic, side=4)), ("smooth", hog.smooth)):
        features = hog.extractor(layer).predict(inputs.scale(x[..., None], INPUT.scaling), batch_size=500, verbose=0)
        for name, classifier in candidates(features, seed).items():
            scores = cross_val_score(classifier, features, y, cv=folds)
            rows.append((f"{form} HOG, {name}", float(scores.mean()), float(scores.std(ddof=1))))
            print("{} | {:.2%} | {:.2%}".format(*rows[-1]), flush=True)
    return rows


def main() -> None:
    """Prints the comparison on a subset of the training pictures."""
    train = data.load("mnist").train
    kept = stratified(train.y, COMPARED, seed=0)
    print(f"HOG and classifier | accuracy on {COMPARED:,} training digits, {FOLDS} folds | standard deviation")
    compare(train.x[kept], train.y[kept])


INPUT = InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="mnist")
RECIPES = (
    Recipe(
        name="digits-hog",
        task="digits",
        title="Digits, HOG and a kernel machine",
        summary="Histograms of oriented gradients, scaled, compared with 7,000 training digits by an RBF kernel; the "
        "weights are the exact solution of a ridge regression over augmented and redrawn digits, and ones and sevens "
        "of shapes that MNIST lacks.",
        strengths="No network was trained, and yet it is nearly as good as one; trained in minutes.",
        limitations="Slower than logistic regression, less accurate than the CNN; its features were made for digits.",
        dataset="mnist",
        input=INPUT,
        build=network,
        augment=partial(augment.drawings, turn=7, bend=0.6),
        fit=fit,
        epochs=3,
        redrawn=0.1,
        more=partial(some_rare, share=0.1),
        # The exponential amplifies rounding errors: rounded weights cost 0.34 points, bfloat16 over a point.
        spare=0,
        exact=True,
    ),
)

if __name__ == "__main__":
    main()
