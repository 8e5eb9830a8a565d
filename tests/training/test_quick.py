"""The bfloat16 twin that is trained in place of a network."""

import keras
import numpy as np
import pytest
from keras import layers

from training import quick, registry
from training.quick import FusedNormalization

RECIPES = [recipe for recipe in registry.recipes().values() if recipe.quick]


def network():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="convolution")(inputs)
    x = layers.BatchNormalization(momentum=0.7, name="normalisation")(x)
    x = layers.Flatten()(layers.ReLU()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


def pictures(count=6):
    return np.random.default_rng(0).normal(1, 2, (count, 8, 8, 3)).astype(np.float32)


def test_a_twin_answers_as_the_network_to_the_precision_of_bfloat16():
    model = network()
    twin = quick.twin(model)
    wanted, got = (one(pictures(), training=False).numpy() for one in (model, twin))
    assert got.dtype == np.float32
    assert got == pytest.approx(wanted, abs=0.03)
    assert twin.get_layer("convolution").compute_dtype == "bfloat16"
    assert all(weight.dtype == "float32" for weight in twin.weights)


def test_weights_of_a_trained_twin_fit_the_original_network():
    keras.utils.set_random_seed(0)
    model = network()
    first = model.get_weights()
    twin = quick.twin(model)
    twin.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy")
    twin.fit(pictures(), np.eye(3)[[0, 1, 2, 0, 1, 2]], epochs=2, verbose=0)
    assert all(np.array_equal(before, now) for before, now in zip(first, model.get_weights(), strict=True))
    model.set_weights(twin.get_weights())
    assert model(pictures()).numpy() == pytest.approx(twin(pictures()).numpy(), abs=0.05)
    assert {type(layer) for layer in model.layers} & {FusedNormalization} == set()
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}


@pytest.mark.parametrize(
    "options",
    [{}, {"scale": False}, {"center": False}, {"momentum": 0.5, "epsilon": 0.1}],
    ids=["plain", "no scale", "no offset", "other numbers"],
)
def test_the_fused_batch_norm_is_keras_own(options):
    x = pictures(64)
    plain, fused = layers.BatchNormalization(**options), FusedNormalization(**options)
    wanted, got = (layer(x, training=True).numpy() for layer in (plain, fused))
    assert got == pytest.approx(wanted, abs=1e-4)
    # The fused layer averages the sample variance, which differs by n / (n - 1) with n = 64 * 64.
    for expected, moving in zip(plain.get_weights(), fused.get_weights(), strict=True):
        assert moving == pytest.approx(expected, rel=1e-3, abs=1e-5)
    assert fused(x, training=False).numpy() == pytest.approx(plain(x, training=False).numpy(), abs=1e-2)


def test_a_frozen_batch_norm_stays_as_it_is():
    layer = FusedNormalization(trainable=False)
    assert layer(pictures(), training=True).numpy() == pytest.approx(pictures() / np.sqrt(1.001), abs=1e-4)
    assert layer.get_weights()[2] == pytest.approx(0)


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe.name for recipe in RECIPES])
def test_every_quick_recipe_has_a_twin(recipe):
    model = recipe.build(10)
    norms = [layer for layer in quick.twin(model).layers if isinstance(layer, layers.BatchNormalization)]
    assert norms
    assert {type(layer) for layer in norms} == {FusedNormalization}
