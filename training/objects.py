"""Ten kinds of objects, from CIFAR-10."""

import keras
import numpy as np
from keras import layers

from inkling.recognition.card import InputSpec
from training import augment
from training.recipe import Recipe

SIDE = 32
GROUPS = ((64, True), (192, True), (192, False))  # channels, and whether there is a residual third convolution
PATCH = 2  # side in pixels of the patches whitened by the first layer


def network(labels: int) -> keras.Model:
    """A narrower airbench96 (Keller Jordan, https://arxiv.org/abs/2404.00498): whitening and three groups."""
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(2 * 3 * PATCH**2, PATCH, use_bias=False, trainable=False, name="whitening")(inputs)
    x = layers.ReLU()(x)
    for group, (width, residual) in enumerate(GROUPS, 1):
        x = convolution(x, width, f"group{group}_conv1")
        x = layers.ReLU()(normalisation(layers.MaxPooling2D()(x)))
        before = x
        x = layers.ReLU()(normalisation(convolution(x, width, f"group{group}_conv2")))
        if residual:
            x = normalisation(convolution(x, width, f"group{group}_conv3"))
            x = layers.ReLU()(layers.Add()([x, before]))
    x = layers.GlobalMaxPooling2D()(x)
    x = layers.Rescaling(1 / 9, name="features")(x)
    return keras.Model(inputs, layers.Dense(labels, activation="softmax")(x), name="objects_cnn")


def convolution(x: keras.KerasTensor, width: int, name: str) -> keras.KerasTensor:
    return layers.Conv2D(width, 3, padding="same", use_bias=False, name=name)(x)


def normalisation(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.BatchNormalization(momentum=0.6, scale=False)(x)


def initialise(model: keras.Model, pictures: np.ndarray) -> None:
    """Initializes the first layer to whiten pictures and the other convolutions to the identity.

    Args:
        pictures: float32 [n, 32, 32, 3], scaled as the network takes them.
    """
    model.get_layer("whitening").set_weights([whitening(pictures)])
    for layer in model.layers:
        if layer.name.startswith("group"):
            (kernel,) = layer.get_weights()
            passing = np.arange(min(kernel.shape[2:]))
            kernel[:, :, :, passing] = 0
            kernel[1, 1, passing, passing] = 1
            layer.set_weights([kernel])


def whitening(pictures: np.ndarray) -> np.ndarray:
    """Whitening filters [2, 2, 3, 24]: principal components of patches scaled to variance 1, and their negatives."""
    patches = np.lib.stride_tricks.sliding_window_view(pictures, (PATCH, PATCH), axis=(1, 2))
    flat = patches.transpose(0, 1, 2, 4, 5, 3).reshape(-1, 3 * PATCH**2)
    values, vectors = np.linalg.eigh(np.cov(flat, rowvar=False))
    filters = (vectors / np.sqrt(values + 5e-4)).reshape(PATCH, PATCH, 3, -1)
    return np.concatenate([filters, -filters], axis=-1)


RECIPES = (
    Recipe(
        name="objects-cnn",
        task="objects",
        title="Objects, CNN",
        summary="Eight convolutions behind a whitening one, trained from scratch on small pictures of ten things; "
        "asked about each picture, its mirror image, and both moved by a pixel.",
        strengths="Quick, and at home with whole vehicles and animals against a plain background.",
        limitations="Sees 32 x 32 pixels: details are lost, and cats and dogs are confused most.",
        dataset="cifar10",
        input=InputSpec(kind="photo", width=SIDE, height=SIDE, channels=3, scaling="signed", layout="squeeze"),
        build=network,
        initialise=initialise,
        augment=augment.mostly_crops,
        flip=True,
        mirror=True,
        nudge=1,
        quick=True,
        epochs=36,
        batch=250,
        learning_rate=0.37,
        momentum=0.85,
        weight_decay=9e-3,
        label_smoothing=0.2,
        average=0.99,
        spare=5,
    ),
)
