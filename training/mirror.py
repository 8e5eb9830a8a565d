"""Test-time augmentation within the graph: the picture, its mirror image, and shifted copies of both.

After Keller Jordan's airbench (https://arxiv.org/abs/2404.00498).
"""

import keras
from keras import ops


def mirrored(model: keras.Model, nudge: int = 0) -> keras.Model:
    """A network that averages `model`'s outputs for a picture and its mirror image, in twice the time.

    Args:
        nudge: also averages copies shifted by this many pixels toward two corners, at half weight; six times the
            time in all.
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
    """Pictures [n, h, w, channels] shifted down and right, and up and left; empty if `nudge` is 0."""
    if not nudge:
        return []
    _, height, width, _ = pictures.shape
    wide = ops.pad(pictures, ((0, 0), (nudge, nudge), (nudge, nudge), (0, 0)), "reflect")
    return [wide[:, :height, :width], wide[:, 2 * nudge :, 2 * nudge :]]


def plain(model: keras.Model) -> keras.Model:
    """The inner network of `mirrored`, or the given network if it is not one."""
    return next((layer for layer in model.layers if isinstance(layer, keras.Model)), model)


def nudge_of(model: keras.Model) -> int:
    """The shift in pixels of a network made by `mirrored`, or 0."""
    return next((one.pad_width[1][0] for one in model.operations if isinstance(one, keras.src.ops.numpy.Pad)), 0)
