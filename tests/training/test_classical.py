"""Digit models without deep learning: HOG as Keras layers, and networks that answer like the fitted estimators."""

import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from skimage.feature import hog as hog_of_skimage
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import rbf_kernel

from training import classical, hog, kernel, registry
from training.data import Dataset, Split
from training.fit import Fitted
from training.recipe import Run

RECIPES = {recipe.name: recipe for recipe in (*kernel.RECIPES, *classical.RECIPES)}
each = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def split(start, stop):
    """scikit-learn's digits, enlarged to uint8 [n, 28, 28]."""
    digits = load_digits()
    small = (digits.images[start:stop] * 255 / 16).astype(np.uint8)
    return Split(np.pad(small.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2))), digits.target[start:stop])


DIGITS = Dataset("digits", tuple("0123456789"), split(0, 400), split(400, 600), split(600, 800), "scikit-learn")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """Makes the kernel machine small and skips redrawing."""
    for name, value in {"CENTRES": 150, "COMPONENTS": 40, "COMPARED_CENTRES": 50}.items():
        monkeypatch.setattr(kernel, name, value)
    monkeypatch.setattr(kernel, "through_canvas", lambda x, layout, seed: x)


def train(recipe, seed=0, epochs=2) -> Fitted:
    return recipe.fit(recipe, DIGITS, Run(epochs if recipe.augment else recipe.epochs, seed))


def answers(model, x=DIGITS.test.x) -> np.ndarray:
    return model.predict(x[..., None].astype(np.float32) / 255, verbose=0)


# ---- HOG ----


@pytest.mark.parametrize("side", [4, 7])
def test_classic_hog_is_that_of_scikit_image(side):
    x = np.concatenate([DIGITS.train.x[:40], np.random.default_rng(0).integers(0, 256, (10, 28, 28), np.uint8)]) / 255
    wanted = [hog_of_skimage(picture, 9, (side, side), (2, 2), "L2-Hys") for picture in x]
    got = hog.extractor(partial(hog.classic, side=side)).predict(x[..., None], verbose=0)
    assert got == pytest.approx(np.stack(wanted), abs=1e-4)


def smooth_by_angles(picture: np.ndarray) -> np.ndarray:
    """Computes `hog.smooth` from its definition, by angles and with a double loop over the cells."""
    padded = np.pad(picture, 1)
    patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    level, upright = (np.einsum("ijkl,kl", patches, sobel) for sobel in (hog.SOBEL, hog.SOBEL.T))
    length, turned = np.hypot(level, upright), np.arctan2(upright, level) % (2 * np.pi)
    width = 2 * np.pi / hog.DIRECTIONS
    shares = np.zeros((28, 28, hog.DIRECTIONS))
    first = (turned // width).astype(int) % hog.DIRECTIONS
    rest = turned % width
    rows, columns = np.indices((28, 28))
    shares[rows, columns, first] += length * np.sin(width - rest) / np.sin(width)
    shares[rows, columns, (first + 1) % hog.DIRECTIONS] += length * np.sin(rest) / np.sin(width)
    far = np.arange(-hog.REACH, hog.REACH + 1)
    bell = np.exp(-(far**2) / (2 * hog.SPREAD**2))
    bell /= bell.sum()
    shares = np.pad(shares, ((hog.REACH, hog.REACH), (hog.REACH, hog.REACH), (0, 0)))
    middles = range(hog.STEP // 2, 28, hog.STEP)
    cells = [
        [
            np.einsum("r,c,rcd", bell, bell, shares[row : row + len(far), column : column + len(far)])
            for column in middles
        ]
        for row in middles
    ]
    return np.sqrt(np.array(cells)).ravel()


def test_smooth_hog_matches_its_definition():
    x = DIGITS.train.x[:20] / 255
    got = hog.extractor(hog.smooth).predict(x[..., None], verbose=0)
    assert got.shape == (20, hog.LENGTH)
    assert got == pytest.approx(
        np.stack([smooth_by_angles(picture) for picture in x]), abs=2e-3
    )  # near zero, the root amplifies rounding
    assert got**2 == pytest.approx(np.stack([smooth_by_angles(picture) ** 2 for picture in x]), abs=1e-5)


def test_smooth_hog_tells_dark_to_light_from_light_to_dark():
    x = np.zeros((2, 28, 28, 1), np.float32)
    x[0, :, 14:] = x[1, :, :14] = 1
    right, left = hog.extractor(hog.smooth).predict(x, verbose=0).reshape(2, 7, 7, 8)[:, 3, 3]
    assert (right.argmax(), left.argmax()) == (0, 4)


# ---- Networks match the fitted estimators ----


def test_the_kernel_network_equals_its_pipeline():
    """The network equals StandardScaler, PCA, scikit-learn's RBF kernel and a linear model."""
    rng = np.random.default_rng(0)
    features = hog.extractor(hog.smooth).predict(DIGITS.train.x[..., None] / 255, verbose=0)
    for divide in (False, True):
        reduction = kernel.reduce(40).set_params(standardscaler__with_std=divide)
        x = 0.1 * reduction.fit_transform(features)
        centres, weights = x[:150], rng.normal(size=(150, 10))
        scores = rbf_kernel(x, centres, gamma=1) @ weights
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        model = kernel.network(10, 40, 150)
        kernel.carried_over(model, reduction, 0.1, centres, weights)
        assert answers(model, DIGITS.train.x) == pytest.approx(powers / powers.sum(axis=1, keepdims=True), abs=1e-4)


def test_the_weights_solve_the_ridge_regression(monkeypatch):
    """With one center per picture and no floor, the weights equal those of kernel ridge regression."""
    monkeypatch.setattr(kernel, "FLOOR", 0)
    x = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    y = np.arange(60) % 3
    sums = kernel.Sums(x, 3)
    for part in (slice(0, 25), slice(25, 60)):
        sums.add(x[part], y[part])
    likeness = rbf_kernel(x, gamma=1)
    wanted = np.linalg.solve(likeness + np.eye(60), np.eye(3)[y] - 1 / 3)
    assert likeness @ sums.weights(1.0) == pytest.approx(likeness @ wanted, abs=1e-3)


def test_the_logistic_network_is_scikit_learns_model():
    recipe = RECIPES["digits-logistic"]
    x = classical.inputs(DIGITS.train.x)
    strength = classical.strength(x, DIGITS.train.y, Run(recipe.epochs))
    fitted = LogisticRegression(C=strength, max_iter=recipe.epochs, tol=1e-3).fit(x, DIGITS.train.y)
    wanted = fitted.predict_proba(classical.inputs(DIGITS.test.x))
    assert answers(train(recipe).model) == pytest.approx(wanted, abs=1e-4)


# ---- Training ----


@each
def test_each_recipe_learns_from_few_pictures(recipe):
    fitted = train(recipe)
    assert np.mean(answers(fitted.model).argmax(axis=1) == DIGITS.test.y) > 0.75
    assert fitted.history == {}
    assert fitted.epochs > 0
    assert fitted.seconds > 0


@each
def test_a_seed_repeats_a_training(recipe):
    first, again = (answers(train(recipe, seed=3).model) for _ in range(2))
    assert np.array_equal(first, again)


def test_another_seed_is_another_kernel_machine():
    first, other = (answers(train(RECIPES["digits-hog"], seed).model) for seed in (3, 4))
    assert not np.allclose(first, other)


@each
def test_a_label_without_pictures_stays_a_label(recipe):
    """The model has ten labels even if a label is missing from the training pictures."""
    kept = DIGITS.train.y < 9
    few = replace(DIGITS, train=Split(DIGITS.train.x[kept], DIGITS.train.y[kept]))
    model = recipe.fit(recipe, few, Run(1 if recipe.augment else recipe.epochs)).model
    assert answers(model).shape == (200, 10)


def test_the_kernel_machine_learns_from_more_than_the_training_digits():
    """A digit that only `more` has is recognized."""
    recipe, train = RECIPES["digits-hog"], DIGITS.train
    nines = train.y == 9
    few = replace(DIGITS, train=Split(train.x[~nines], train.y[~nines]))
    of_nines = DIGITS.test.x[DIGITS.test.y == 9]

    def share(more):
        model = recipe.fit(replace(recipe, more=more), few, Run(1)).model
        return np.mean(answers(model, of_nines).argmax(axis=1) == 9)

    assert share(None) == 0
    assert share(lambda train: Split(DIGITS.train.x[nines], DIGITS.train.y[nines])) > 0.5


def test_the_files_need_no_code_of_this_project(tmp_path):
    """A fresh process loads the files in Keras' safe mode without importing `training`, and gets the same answers."""
    x = DIGITS.test.x[:5, :, :, None].astype(np.float32) / 255
    np.save(tmp_path / "x.npy", x)
    models = {name: recipe.build(10) for name, recipe in RECIPES.items()}
    for name, model in models.items():
        model.save(tmp_path / f"{name}.keras")
    code = """if True:
        import sys, keras, numpy
        for name in sys.argv[1:]:
            model = keras.saving.load_model(f"{name}.keras", compile=False, safe_mode=True)
            numpy.save(f"{name}.npy", model.predict(numpy.load("x.npy"), verbose=0))
        assert "training" not in sys.modules"""
    subprocess.run([sys.executable, "-c", code, *models], check=True, cwd=tmp_path, capture_output=True)
    for name, model in models.items():
        assert np.load(tmp_path / f"{name}.npy") == pytest.approx(model.predict(x, verbose=0), abs=1e-6)


@each
def test_it_is_in_the_registry(recipe):
    assert registry.recipes()[recipe.name] == recipe


# ---- The comparison ----


def test_every_candidate_is_cross_validated_on_both_forms(capsys):
    rows = kernel.compare(DIGITS.train.x[:150], DIGITS.train.y[:150])
    names = [name for name, _, _ in rows]
    assert len(set(names)) == len(rows) == 10
    for part in ("classic HOG", "smooth HOG", "linear SVM", "logistic regression", "RBF kernel", "additive chi2"):
        assert any(part in name for name in names)
    assert all(0.5 < mean <= 1 and deviation >= 0 for _, mean, deviation in rows)
    assert len(capsys.readouterr().out.splitlines()) == 10
