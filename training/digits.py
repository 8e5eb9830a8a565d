"""Handwritten digits, from MNIST."""

from functools import partial

import keras
from keras import layers

from inkling.catalog import InputSpec
from training import augment, classical, kernel
from training.recipe import Recipe


def blocks(inputs: keras.KerasTensor, widths: tuple[int, ...], drop: float) -> keras.KerasTensor:
    """For each width two 3x3 convolutions with batch norm, max-pooling and dropout."""
    x = inputs
    for filters in widths:
        for _ in range(2):
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.ReLU()(x)
        x = layers.MaxPooling2D()(x)
        x = layers.Dropout(drop)(x)
    return x


def network(labels: int) -> keras.Model:
    """Three blocks on 28, 14 and 7 pixels a side, then a dense layer."""
    inputs = keras.Input((28, 28, 1))
    x = blocks(inputs, (24, 48, 96), drop=0.2)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.4)(x)
    return keras.Model(inputs, layers.Dense(labels, activation="softmax")(x), name="digits_cnn")


RECIPES = (
    Recipe(
        name="digits-cnn",
        task="digits",
        title="Digits, CNN",
        summary="Three blocks of convolutions, trained on MNIST, two fifths of it redrawn as on the canvas.",
        strengths="The most accurate on digits: reads sloppy ones, any pen and any size.",
        limitations="One digit at a time; a letter or a scribble gets an answer too, though seldom a sure one.",
        dataset="mnist",
        input=InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="mnist"),
        build=network,
        augment=partial(augment.drawings, turn=7, bend=0.6),
        epochs=14,
        learning_rate=3e-3,
        weight_decay=1e-3,
        average=0.998,
        redrawn=0.4,
    ),
    *kernel.RECIPES,
    *classical.RECIPES,
)
