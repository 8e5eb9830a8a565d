"""Handwritten digits, from MNIST."""

from functools import partial

import keras
from keras import layers

from inkling.recognition.card import InputSpec
from training import augment, classical, kernel
from training.blocks import convolution, halved
from training.handwriting import rare
from training.recipe import Recipe


def network(labels: int) -> keras.Model:
    """Three pairs of convolutions at 28, 14 and 7 pixels a side, then global average pooling."""
    x = inputs = keras.Input((28, 28, 1))
    for width in (32, 64, 96):
        x = layers.Dropout(0.1)(halved(convolution(x, width), width))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(labels, activation="softmax")(x), name="digits_cnn")


RECIPES = (
    Recipe(
        name="digits-cnn",
        task="digits",
        title="Digits, CNN",
        summary="Three blocks of convolutions, trained on MNIST, a quarter of it redrawn as on the canvas, and on ones "
        "and sevens of shapes that it lacks.",
        strengths="The most accurate on digits: reads sloppy ones, any pen and any size.",
        limitations="One digit at a time; a letter or a scribble gets an answer too, though seldom a sure one.",
        dataset="mnist",
        input=InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="mnist"),
        build=network,
        augment=partial(augment.drawings, turn=5, bend=0.4),
        quick=True,
        epochs=24,
        learning_rate=3e-3,
        weight_decay=1e-3,
        average=0.998,
        redrawn=0.25,
        more=rare,
        spare=5,
    ),
    *kernel.RECIPES,
    *classical.RECIPES,
)
