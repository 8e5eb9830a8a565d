"""Doodles of 60 things, from Quick, Draw!; the first six are the animals."""

from functools import partial

import keras
from keras import layers

from inkling.recognition.card import InputSpec
from training import augment
from training.blocks import convolution, halved, residual
from training.prefixes import begun
from training.recipe import Recipe


def network(labels: int) -> keras.Model:
    """Convolutions and residual blocks at 28, 14 and 7 pixels a side, then global average pooling."""
    inputs = keras.Input((28, 28, 1))
    x = convolution(inputs, 32)
    for width in (64, 128):
        x = residual(halved(x, width))
    x = layers.GlobalAveragePooling2D()(convolution(x, 160))
    x = layers.Dropout(0.1)(x)
    return keras.Model(inputs, layers.Dense(labels, activation="softmax")(x), name="doodles_cnn")


RECIPES = (
    Recipe(
        name="doodles-cnn",
        task="doodles",
        title="Doodles, CNN",
        summary="Sixty things, six animals first; trained on Quick, Draw!, a third of it redrawn as on the canvas, and "
        "on half-finished drawings.",
        strengths="Reads a few quick strokes in any color, mirrored or not, often before the drawing is finished.",
        limitations="Careful, detailed drawings are not what it learned from, and a tenth of that was scribbles. Its "
        "half-finished drawings are approximations: strokes were traced, and their order guessed.",
        dataset="doodles",
        input=InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="quickdraw"),
        build=network,
        augment=partial(augment.drawings, turn=6, bend=0.4),
        quick=True,
        epochs=24,
        learning_rate=3e-3,
        weight_decay=1e-3,
        label_smoothing=0.05,
        average=0.998,
        flip=True,
        mirror_below=0.5,
        redrawn=0.35,
        more=begun,
        moments=(0.5, 0.75),
        fewest=800,
        spare=5,
        centred=True,
        teachable=True,
        groups={"six animals": 6},
    ),
)
