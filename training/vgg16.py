"""VGG16 (Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556): thirteen convolutions and a new head.

With pretrained weights (`--weights`) it is trained by transfer: a new head on the cached features of frozen
convolutions, then fine-tuning. Without them it is distilled from a teacher: first at a quarter of the width, then
widened without changing its function (Net2Net, Chen et al. 2016, https://arxiv.org/abs/1511.05641), then at full width.
"""

import math
import time
from dataclasses import replace

import keras
import numpy as np
from keras import layers

from inkling.recognition import inputs
from training import fit
from training.data import Dataset, Split, stratified
from training.fit import Fitted
from training.mobilenet import folded
from training.recipe import Recipe, Run

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions
NARROW = 4  # factor by which the initial network is narrower
LAST = 4_000  # training pictures at full width, where each costs 16 times as much
MEANS = np.array([103.939, 116.779, 123.68], np.float32)  # of BGR, subtracted for ImageNet's weights
FROZEN = ("block1", "block2", "block3")  # blocks that fine-tuning leaves frozen


def network(labels: int, narrow: int = 1) -> keras.Model:
    """The network with global average pooling and a new head; the input side is any multiple of 32 pixels.

    A narrow network, which is trained from scratch, has batch norm after each convolution.
    """
    inputs = x = keras.Input((None, None, 3))
    for block, (channels, count) in enumerate(BLOCKS, 1):
        for i in range(1, count + 1):
            name = f"block{block}_conv{i}"
            x = layers.Conv2D(channels // narrow, 3, padding="same", kernel_initializer="he_normal", name=name)(x)
            if narrow > 1:
                x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(labels, activation="softmax", name="head")(x), name="vgg16")


def train(recipe: Recipe, dataset: Dataset, run: Run) -> Fitted:
    """Trains by transfer if pretrained weights are given, else by distillation from the recipe's teacher."""
    return transferred(recipe, dataset, run) if run.weights else grown(recipe, dataset, run)


# ---- From scratch ----


def grown(recipe: Recipe, dataset: Dataset, run: Run) -> Fitted:
    """Trains a narrow network with progressive resizing, then the widened one on `LAST` pictures."""
    narrow = replace(recipe, build=lambda labels: network(labels, NARROW))
    first = fit.fit(narrow, dataset, run)
    kept = stratified(dataset.train.y, LAST, run.seed)
    last = replace(dataset, train=Split(dataset.train.x[kept], dataset.train.y[kept]))
    # At a low rate: copies of a channel get equal gradients at first, so that each step counts many times.
    wide = replace(
        recipe,
        build=lambda labels: widened(first.model, labels),
        sides=recipe.sides[-1:],
        batch=32,
        learning_rate=recipe.learning_rate / 200,
        average=None,
    )
    return joined(first, fit.fit(wide, last, replace(run, epochs=1)))


def widened(model: keras.Model, labels: int) -> keras.Model:
    """The full-width network with the same function as a narrow one: each channel is copied `NARROW` times.

    Batch norm is folded into the convolutions. Slight noise breaks the symmetry of the copies.
    """
    wide = network(labels)
    rng = np.random.default_rng(0)
    fed = 1  # copies of each input channel; the picture's channels are not copied
    for layer in wide.layers:
        if not layer.weights:
            continue
        if layer.name == "head":
            copies, (kernel, bias) = 1, model.get_layer("head").get_weights()
        else:
            copies, norm = NARROW, model.get_layer(f"{layer.name}_norm")
            kernel, bias = folded(model.get_layer(layer.name), norm)
        kernel = np.repeat(np.repeat(kernel / fed, fed, axis=-2), copies, axis=-1)
        kernel += rng.normal(0, 0.02 * kernel.std(), kernel.shape)
        layer.set_weights([kernel, np.repeat(bias, copies)])
        fed = copies
    return wide


# ---- Transfer ----


def transferred(recipe: Recipe, dataset: Dataset, run: Run) -> Fitted:
    """Trains a head on features of the frozen convolutions, then head and last blocks on augmented pictures."""
    model = network(len(dataset.labels))
    load_imagenet(model, run.weights)
    first = headed(model, recipe, dataset, run)
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(FROZEN)
    tuned = replace(
        recipe,
        build=lambda labels: model,
        teacher=None,
        sides=recipe.sides[-1:],
        learning_rate=recipe.learning_rate / 10,
    )
    return joined(first, fit.fit(tuned, dataset, run))


def headed(model: keras.Model, recipe: Recipe, dataset: Dataset, run: Run) -> Fitted:
    """Trains the head alone on features of unaugmented pictures, computed once."""
    features = keras.Model(model.input, model.get_layer("features").output)
    head = keras.Sequential([keras.Input(features.output_shape[1:]), model.get_layer("head")])

    def seen(split):
        parts = np.split(split.x, range(recipe.batch, len(split.x), recipe.batch))
        scaled = (inputs.scale(fit.arrange(part, recipe.input), recipe.input.scaling) for part in parts)
        return np.concatenate([features.predict_on_batch(part) for part in scaled])

    labels = len(dataset.labels)
    train, held_out = ((seen(split), fit.targets(split.y, labels)) for split in (dataset.train, dataset.held_out))
    once = replace(recipe, average=None)
    fit.compile_model(head, once, math.ceil(len(dataset.train.y) / recipe.batch) * run.epochs)
    start = time.perf_counter()
    done = head.fit(*train, validation_data=held_out, epochs=run.epochs, batch_size=recipe.batch, verbose=2)
    return Fitted(model, done.history, run.epochs, time.perf_counter() - start)


def load_imagenet(model: keras.Model, weights: str) -> None:
    """Copies pretrained weights into the convolutions.

    They expect BGR with means subtracted, while our input is RGB from -1 to 1. The first convolution absorbs the
    difference. Results differ only at the border, where zero padding means gray instead of the mean color.

    Args:
        weights: "imagenet" (Keras downloads it), or a file of `keras.applications.VGG16(include_top=False)`.
    """
    backbone = keras.applications.VGG16(include_top=False, weights=weights)
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            layer.set_weights(backbone.get_layer(layer.name).get_weights())
    first = model.get_layer("block1_conv1")
    kernel, bias = first.get_weights()
    shift = np.einsum("yxco,c->o", kernel, 127.5 - MEANS)
    first.set_weights([kernel[:, :, ::-1] * 127.5, bias + shift])


def joined(first: Fitted, then: Fitted) -> Fitted:
    """Joins the histories of two trainings of the same network."""
    history = {key: [*values, *then.history[key]] for key, values in first.history.items()}
    return Fitted(then.model, history, first.epochs + then.epochs, first.seconds + then.seconds)
