"""Cat or dog, from photos."""

from functools import partial

import keras
from keras import layers

from inkling.catalog import InputSpec
from training import augment
from training.recipe import Recipe

SIDE = 150


def classic(labels: int) -> keras.Model:
    """The classic binary net: three blocks of convolution and max-pooling, dense 64, dropout, one sigmoid.

    The activation follows the pooling: the result is the same, on a quarter of the pixels.
    """
    inputs = keras.Input((SIDE, SIDE, 3))
    x = inputs
    for filters in (32, 32, 64):
        x = layers.Conv2D(filters, 3, kernel_initializer="he_normal")(x)
        x = layers.MaxPooling2D()(x)
        x = layers.ReLU()(x)
    x = layers.Flatten()(x)
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x), name="cats_dogs_cnn")


RECIPES = (
    Recipe(
        name="cats-dogs-cnn",
        task="cats-dogs",
        title="Cat or dog, CNN",
        summary="Three blocks of convolution and pooling, trained from scratch on 21,000 photos.",
        dataset="cats-dogs",
        input=InputSpec(kind="photo", width=SIDE, height=SIDE, channels=3, scaling="signed", layout="squeeze"),
        build=classic,
        augment=partial(augment.photos, side=SIDE),
        epochs=20,
        batch=64,
        weight_decay=1e-3,
        average=0.998,
    ),
)
