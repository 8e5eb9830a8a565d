"""Asking a network several times in one graph: about a picture, its mirror image, and both moved by a little.

Test-time augmentation as in Keller Jordan's airbench (https://arxiv.org/abs/2404.00498).
"""

import keras
from keras import ops


def mirrored(model: keras.Model, nudge: int = 0) -> keras.Model:
    """A network whose outputs are the mean of `model`'s for each picture and its mirror image; twice the time.

    Args:
        nudge: asks about both moved by so many pixels towards two corners, too, which count half; six times the time.
    """
    inputs = keras.Input(model.input_shape[1:])
    views = [inputs, *moved(inputs, nudge)]
    outputs = model(ops.concatenate([*views, *(ops.flip(view, axis=2) for view in views)], axis=0))
    means = []
    for one in keras.tree.flatten(outputs):
        still, *others = ops.unstack(ops.mean(ops.reshape(one, (2, len(views), -1, one.shape[-1])), axis=0), len(views))
        means.append((still + sum(others) / len(others)) / 2 if others else still)
    return keras.Model(inputs, means, name=model.name)


def moved(pictures: keras.KerasTensor, nudge: int) -> list[keras.KerasTensor]:
    """Pictures [n, h, w, channels] moved down and right, and up and left; none where they are not to be moved."""
    if not nudge:
        return []
    _, height, width, _ = pictures.shape
    wide = ops.pad(pictures, ((0, 0), (nudge, nudge), (nudge, nudge), (0, 0)), "reflect")
    return [wide[:, :height, :width], wide[:, 2 * nudge :, 2 * nudge :]]


def plain(model: keras.Model) -> keras.Model:
    """The network that is asked several times, or the one given where none is."""
    return next((layer for layer in model.layers if isinstance(layer, keras.Model)), model)


def nudge_of(model: keras.Model) -> int:
    """By how many pixels a network of `mirrored` moves pictures; 0 where it does not."""
    return next((one.pad_width[1][0] for one in model.operations if isinstance(one, keras.src.ops.numpy.Pad)), 0)
