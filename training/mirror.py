"""Asking a network twice, about a picture and its mirror image, in one graph (test-time augmentation)."""

import keras
from keras import ops


def mirrored(model: keras.Model) -> keras.Model:
    """A network whose outputs are the mean of `model`'s for each picture and its mirror image; twice the time."""
    inputs = keras.Input(model.input_shape[1:])
    outputs = model(ops.concatenate([inputs, ops.flip(inputs, axis=2)], axis=0))
    halves = [ops.reshape(one, (2, -1, one.shape[-1])) for one in keras.tree.flatten(outputs)]
    return keras.Model(inputs, [ops.mean(both, axis=0) for both in halves], name=model.name)


def plain(model: keras.Model) -> keras.Model:
    """The network that is asked twice, or the one given where none is."""
    return next((layer for layer in model.layers if isinstance(layer, keras.Model)), model)
