"""Histograms of oriented gradients (Dalal and Triggs 2005) as built-in Keras layers, so that they need no code of ours.

`classic` is what `skimage.feature.hog` computes. `smooth` is the form for characters (Liu et al. 2003): the two sides
of a line count as two directions, and each gradient is shared out among neighbouring directions and cells.
"""

import keras
import numpy as np
from keras import layers, ops

BINS = 9  # directions of the classic form, of 20 degrees each; opposite ones are the same
CLIP = 0.2  # of a block's normalised histogram (L2-Hys)
NUDGE = 1e-6  # radians: exactly level gradients, which are many, fall into the first bin

DIRECTIONS = 8  # of the smooth form, all around
STEP = 4  # pixels from one cell's middle to the next
SPREAD = 2.0  # standard deviation of a cell's weights, in pixels
REACH = 6  # pixels from a cell's middle to its rim
LENGTH = 7 * 7 * DIRECTIONS  # of the smooth features
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def smooth(pictures: keras.KerasTensor) -> keras.KerasTensor:
    """Pictures [n, 28, 28, 1] -> [n, LENGTH]: 7 x 7 overlapping cells of 8 directions, as roots."""
    gradient = fixed(pictures, np.stack([SOBEL, SOBEL.T], axis=-1)[:, :, None], padding="same")
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    width = 2 * np.pi / DIRECTIONS
    # A gradient is the sum of two neighbouring directions: this is how much of each there is in it.
    before, after = (fixed(gradient, side * across(angles + side * width) / np.sin(width)) for side in (-1, 1))
    shares = ops.relu(ops.minimum(-before, -after))
    rim = REACH - STEP // 2
    bell = np.exp(-(np.arange(-REACH, REACH + 1) ** 2) / (2 * SPREAD**2))
    kernel = np.outer(bell, bell) / bell.sum() ** 2
    pool = layers.DepthwiseConv2D(len(bell), STEP, use_bias=False, trainable=False)
    cells = pool(layers.ZeroPadding2D(((rim, rim + 1), (rim, rim + 1)))(shares))
    pool.set_weights([np.repeat(kernel[:, :, None, None], DIRECTIONS, axis=2)])
    return ops.sqrt(layers.Flatten()(cells))


def classic(pictures: keras.KerasTensor, side: int) -> keras.KerasTensor:
    """Pictures [n, 28, 28, 1] -> blocks of 2 x 2 cells, of `side` pixels a side, of 9 directions, flat."""
    cells = layers.AveragePooling2D(side)(by_direction(pictures))
    corners = [layers.Cropping2D(((top, 1 - top), (left, 1 - left)))(cells) for top in (0, 1) for left in (0, 1)]
    blocks = layers.Concatenate()(corners)
    return layers.Flatten()(unit(ops.minimum(unit(blocks), CLIP)))


def by_direction(pictures: keras.KerasTensor) -> keras.KerasTensor:
    """[n, 28, 28, BINS]: each pixel's gradient, as long as it is, in the bin of its direction."""
    ahead_less_behind = np.array([-1, 0, 1])
    level = layers.ZeroPadding2D((0, 1))(fixed(pictures, ahead_less_behind.reshape(1, 3, 1, 1)))
    upright = layers.ZeroPadding2D((1, 0))(fixed(pictures, ahead_less_behind.reshape(3, 1, 1, 1)))
    gradient = layers.Concatenate()([level, upright])
    # A direction lies between two borders where the gradient is on different sides of them.
    sides = across(np.pi * np.arange(BINS + 1) / BINS - NUDGE)
    inside = ops.relu(-ops.sign(fixed(gradient, sides[..., :-1]) * fixed(gradient, sides[..., 1:])))
    return inside * ops.sqrt(ops.sum(gradient * gradient, axis=-1, keepdims=True))


def extractor(features) -> keras.Model:
    """One of the two as a network of its own: `features` takes pictures."""
    inputs = keras.Input((28, 28, 1))
    return keras.Model(inputs, features(inputs), name="hog")


def across(angles: np.ndarray) -> np.ndarray:
    """A kernel [1, 1, 2, n] that says how far a gradient is turned from each angle: its length times the sine."""
    return np.stack([-np.sin(angles), np.cos(angles)])[None, None]


def unit(blocks: keras.KerasTensor) -> keras.KerasTensor:
    return blocks / ops.sqrt(ops.sum(blocks * blocks, axis=-1, keepdims=True) + 1e-10)


def fixed(x: keras.KerasTensor, kernel: np.ndarray, padding: str = "valid") -> keras.KerasTensor:
    """A convolution that is never trained; kernel [height, width, channels in, channels out]."""
    layer = layers.Conv2D(kernel.shape[-1], kernel.shape[:2], padding=padding, use_bias=False, trainable=False)
    y = layer(x)
    layer.set_weights([kernel])
    return y
