"""Recipes, batches and the training loop."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

from inkling.recognition import inputs
from inkling.recognition.card import InputSpec, read_card
from inkling.recognition.catalog import TASKS
from tests.support.recipes import toy_recipe
from training import augment, data, fit, registry
from training.data import Dataset, Split
from training.recipe import Run

INK = InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="mnist")
PHOTO = InputSpec(kind="photo", width=150, height=140, channels=3, scaling="signed", layout="squeeze")
LABELS = {"mnist": 10, "cifar10": 10, "doodles": 60, "cats-dogs": 2}
SHAPES = {"mnist": (28, 28), "cifar10": (32, 32, 3), "doodles": (28, 28), "cats-dogs": (160, 160, 3)}
RECIPES = registry.recipes()

every_recipe = pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)


def network(labels):
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(2, 4, strides=4)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(labels, activation="softmax")(x))


TOY = toy_recipe(
    input=INK,
    build=network,
    augment=augment.drawings,
    epochs=2,
    batch=16,
    learning_rate=0.02,
    average=0.8,
)


def bars(size, seed=0):
    """Drawings of three labels: a vertical line at one of three positions, with noise."""
    y = np.arange(size) % 3
    x = np.random.default_rng(seed).integers(0, 60, (size, 28, 28), np.uint8)
    for i, label in enumerate(y):
        x[i, 4:24, 6 + 7 * label : 9 + 7 * label] = 255
    return Split(x, y)


# ---- Recipes ----


@every_recipe
def test_a_network_takes_its_input_and_answers_probabilities(recipe):
    labels, spec = LABELS[recipe.dataset], recipe.input
    model = recipe.build(labels)
    assert model.output_shape == (None, labels)
    shape = model.input_shape[1:] if recipe.backbone else (spec.height, spec.width, spec.channels)
    answers = model(np.random.default_rng(0).random((2, *shape), np.float32)).numpy()
    assert ((answers >= 0) & (answers <= 1)).all()
    assert answers.sum(axis=1) == pytest.approx(1, abs=1e-5)


@every_recipe
def test_the_shipped_model_is_as_exact_as_its_recipe_says(recipe, models_folder):
    assert read_card(models_folder / recipe.name).exact == recipe.exact


@every_recipe
def test_a_recipe_names_what_exists(recipe):
    assert recipe.task in TASKS
    assert recipe.dataset in data.DATASETS
    assert all(1 < count <= LABELS[recipe.dataset] for count in (recipe.groups or {}).values())
    assert recipe.redrawn == 0 or recipe.input.kind == "ink"


@pytest.mark.parametrize(
    "recipe",
    [recipe for recipe in RECIPES.values() if recipe.augment],
    ids=[name for name, recipe in RECIPES.items() if recipe.augment],
)
def test_augmentation_gives_what_the_network_takes(recipe):
    pictures = np.random.default_rng(0).integers(0, 256, (3, *SHAPES[recipe.dataset]), np.uint8)
    before = pictures.copy()
    changed = recipe.augment(pictures, np.random.default_rng(0), recipe.input.width)
    assert changed.dtype == np.uint8
    assert changed.shape == (3, recipe.input.height, recipe.input.width, recipe.input.channels)
    assert np.array_equal(pictures, before)  # the data set is not changed
    again, other = (recipe.augment(pictures, np.random.default_rng(seed), recipe.input.width) for seed in (0, 1))
    assert np.array_equal(changed, again)
    assert not np.array_equal(changed, other)


# ---- Batches ----


def batches_of(recipe, seed, split=None, labels=3):
    split = split or bars(40)
    return fit.Batches(recipe, [split.x], split.y, labels, seed)


def test_a_seed_repeats_every_batch_of_every_epoch():
    def two_epochs(seed):
        batches, drawn = batches_of(TOY, seed), []
        for _ in range(2):
            drawn += batches
        return [np.concatenate(parts) for parts in zip(*drawn, strict=True)]

    (x, y), (same_x, same_y), (other_x, _) = two_epochs(3), two_epochs(3), two_epochs(4)
    assert np.array_equal(x, same_x)
    assert np.array_equal(y, same_y)
    assert not np.array_equal(x, other_x)
    assert not np.array_equal(x[:40], x[40:])  # each epoch augments differently


def test_an_epoch_shows_every_picture_once():
    split = Split(np.arange(40, dtype=np.uint8)[:, None, None] + np.zeros((40, 28, 28), np.uint8), bars(40).y)
    recipe = replace(TOY, augment=plain)
    batches = batches_of(recipe, 0, split)
    x, y = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    assert len(batches) == 3  # 16 + 16 + 8
    assert (x.dtype, x.shape, y.shape) == (np.float32, (40, 28, 28, 1), (40, 3))
    seen = np.rint(x[:, 0, 0, 0] * 255).astype(int)
    assert sorted(seen) == list(range(40))
    assert np.array_equal(y.argmax(axis=1), split.y[seen])


def test_the_second_source_comes_with_the_recipes_chance():
    recipe = replace(TOY, augment=plain, redrawn=0.25, batch=2000)
    paper = np.zeros((2000, 28, 28), np.uint8)
    batches = fit.Batches(recipe, [paper, paper + 255], np.zeros(2000, int), 3, 0)
    x, _ = batches[0]
    assert x[:, 0, 0, 0].mean() == pytest.approx(0.25, abs=0.04)
    assert not paper.any()


def test_rare_classes_are_repeated_up_to_the_fewest():
    y = np.array([0] * 10 + [1] * 3 + [2] * 5)
    indices = fit.balanced(y, 7)
    assert np.bincount(y[indices]).tolist() == [10, 7, 7]
    assert set(indices) == set(range(18))
    assert max(np.bincount(indices)) == 3  # evenly: 3 pictures make 7, none more than 3 times
    assert np.array_equal(fit.balanced(y, 0), np.arange(18))


def plain(pictures, rng, side):
    return pictures[..., None]


def test_each_picture_is_mirrored_in_every_other_epoch():
    x = np.zeros((40, 28, 28), np.uint8)
    x[:, :, 0] = np.arange(1, 41)[:, None]  # the left edge of each picture holds its number
    batches = fit.Batches(replace(TOY, augment=plain, flip=True, batch=40), [x], bars(40).y, 3, 0)

    def seen():
        pictures = np.rint(batches[0][0][..., 0] * 255).astype(int)
        left, right = pictures[:, 0, 0], pictures[:, 0, -1]
        assert sorted(left + right) == list(range(1, 41))
        batches.shuffle()
        return set(left[left > 0])

    first, second, third = seen(), seen(), seen()
    assert 10 < len(first) < 30
    assert second == set(range(1, 41)) - first
    assert third == first


def test_a_teacher_labels_the_same_views_that_students_see_smaller():
    labeled = 0

    class Teacher:
        side = 56

        def __call__(self, pictures):
            nonlocal labeled
            labeled += len(pictures)
            assert pictures.shape[1:] == (56, 56, 3)
            return np.repeat(pictures[:, :1, 0, 0] / np.float32(255), 3, axis=1)

    def enlarged(pictures, rng, side):
        return np.broadcast_to(pictures[:, :1, :1, None], (len(pictures), side, side, 3))

    x = np.arange(16, dtype=np.uint8)[:, None, None] * np.full((16, 28, 28), 10, np.uint8)
    batches = fit.Batches(replace(TOY, augment=enlarged), [x], bars(16).y, 3, 0, Teacher())
    for side in (28, 14):
        batches.begin(side)
        pictures, y = batches[0]
        assert pictures.shape == (16, side, side, 3)
        assert pictures[:, 0, 0, 0] == pytest.approx(y[:, 0], abs=1e-6)
    before = labeled
    assert len([*batches, *batches]) == 2
    assert labeled == before == 32  # 16 views at each of two sizes


def test_pictures_grow_through_the_recipes_sides_in_equal_parts():
    sizes = []

    class Model:
        def fit(self, stream, initial_epoch, epochs, **kwargs):
            sizes.extend([batches.side] * (epochs - initial_epoch))
            return type("Done", (), {"history": {"loss": [0.5] * (epochs - initial_epoch)}})

    batches = batches_of(TOY, 0)
    history = fit.grow(Model(), batches, (), replace(TOY, sides=(16, 24, 32)), 7)
    assert sizes == [16] * 2 + [24] * 2 + [32] * 3
    assert len(history["loss"]) == 7


# ---- Layout ----


def test_ink_is_laid_out_already():
    x = bars(4).x
    assert np.array_equal(fit.arrange(x, INK), x[..., None])


def test_photos_go_through_the_pipeline_that_serves():
    x = np.random.default_rng(0).integers(0, 256, (3, 160, 160, 3), np.uint8)
    arranged = fit.arrange(x, PHOTO)
    assert arranged.shape == (3, 140, 150, 3)
    assert np.array_equal(arranged[1], inputs.prepare(Image.fromarray(x[1]), PHOTO))
    assert np.array_equal(fit.arrange(arranged, PHOTO), arranged)  # arranging twice changes nothing


def test_validation_pictures_are_scaled_as_served():
    x, y = fit.validation(TOY, bars(4), 3)
    assert (x.dtype, x.max(), x.shape, y.shape) == (np.float32, 1, (4, 28, 28, 1), (4, 3))


def test_a_drawing_comes_back_from_the_canvas_where_it_was():
    x = bars(3, seed=1).x
    x[x < 255] = 0
    drawn = fit.through_canvas(x, "quickdraw", seed=1)
    assert (drawn.dtype, drawn.shape) == (np.uint8, x.shape)
    assert (drawn[:, 12:16, 12:16] > 128).any(axis=(1, 2)).all()  # each line is now in the center
    assert np.array_equal(drawn, fit.through_canvas(x, "quickdraw", seed=1))


def test_drawings_are_redrawn_once_for_all_seeds(monkeypatch):
    seeds = []
    monkeypatch.setattr(fit, "through_canvas", lambda x, layout, seed: seeds.append(seed) or 255 - x)
    split, other = bars(3), bars(3)
    assert fit.redrawn(split, "mnist") is fit.redrawn(split, "mnist")
    assert np.array_equal(fit.redrawn(other, "mnist"), 255 - other.x)
    assert seeds == [0, 0]


# ---- The training loop ----


@pytest.fixture(scope="module")
def learned():
    dataset = Dataset("toy", ("a", "b", "c"), bars(96), bars(30, 1), bars(30, 2), "made here")
    return fit.fit(TOY, dataset, Run(epochs=2, seed=5)), dataset


def test_the_loop_learns_and_keeps_its_history(learned):
    fitted, _ = learned
    assert fitted.epochs == TOY.epochs == len(fitted.history["loss"])
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(fitted.history)
    assert fitted.history["loss"][-1] < fitted.history["loss"][0]
    assert fitted.seconds > 0


def test_the_averaged_weights_are_validated_and_kept(learned):
    fitted, dataset = learned
    x, y = fit.validation(TOY, dataset.held_out, 3)
    loss = keras.losses.CategoricalCrossentropy()(y, fitted.model.predict(x, verbose=0))
    assert float(loss) == pytest.approx(fitted.history["val_loss"][-1], rel=1e-4)


def test_more_pictures_are_trained_on_as_they_are(monkeypatch):
    """They join both sources: they are neither redrawn nor measured."""
    monkeypatch.setattr(fit, "through_canvas", lambda x, layout, seed: x // 2)
    seen = []
    monkeypatch.setattr(fit, "Batches", lambda recipe, sources, y, *_: seen.extend([*sources, y]) or 1 / 0)
    split, more = bars(96), Split(bars(5, 3).x, np.full(5, 2))
    dataset = Dataset("toy", ("a", "b", "c"), split, bars(30, 1), bars(30, 2), "made here")
    with pytest.raises(ZeroDivisionError):
        fit.fit(replace(TOY, redrawn=0.5, more=lambda train: more), dataset, Run(1))
    plain, redrawn, y = seen
    assert np.array_equal(plain, np.concatenate([split.x, more.x]))
    assert np.array_equal(redrawn, np.concatenate([split.x // 2, more.x]))
    assert np.array_equal(y, np.concatenate([split.y, more.y]))


def test_a_share_of_the_first_weights_is_kept():
    dataset = Dataset("toy", ("a", "b", "c"), bars(96), bars(30, 1), bars(30, 2), "made here")
    none, half, all_of_them = (
        fit.fit(replace(TOY, keep=keep), dataset, Run(epochs=1, seed=5)).model.get_weights() for keep in (0, 0.5, 1)
    )
    for trained, between, first in zip(none, half, all_of_them, strict=True):
        assert between == pytest.approx((trained + first) / 2, abs=1e-5)
    assert not np.allclose(none[0], all_of_them[0])


def test_a_quick_recipe_gives_an_ordinary_float32_network():
    dataset = Dataset("toy", ("a", "b", "c"), bars(96), bars(30, 1), bars(30, 2), "made here")
    fitted = fit.fit(replace(TOY, quick=True), dataset, Run(epochs=2, seed=5))
    assert fitted.history["loss"][-1] < fitted.history["loss"][0]
    assert {layer.compute_dtype for layer in fitted.model.layers} == {"float32"}
    x, y = fit.validation(TOY, dataset.held_out, 3)
    loss = keras.losses.CategoricalCrossentropy()(y, fitted.model.predict(x, verbose=0))
    assert float(loss) == pytest.approx(fitted.history["val_loss"][-1], rel=0.02)  # measured on the bfloat16 twin


def test_a_seed_gives_the_same_first_weights():
    first = []
    for seed in (5, 5, 6):
        keras.utils.set_random_seed(seed)
        first.append(network(3).get_weights()[0])
    assert np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])
