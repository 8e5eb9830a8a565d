"""Histograms of oriented gradients (Dalal and Triggs 2005), built from standard Keras layers.

`classic` equals `skimage.feature.hog`. `smooth` is a variant for characters (Liu et al. 2003): directions are signed,
and each gradient is distributed among neighboring directions and cells.
"""

import keras
import numpy as np
from keras import layers, ops

BINS = 9  # unsigned directions of the classic form, 20 degrees each
CLIP = 0.2  # limit of a normalized block (L2-Hys)
NUDGE = 1e-6  # radians; puts the many exactly horizontal gradients into the first bin

DIRECTIONS = 8  # signed directions of the smooth form
STEP = 4  # distance of neighboring cell centers in pixels
SPREAD = 2.0  # standard deviation of a cell's Gaussian weights in pixels
REACH = 6  # pixels from a cell's center to its border
LENGTH = 7 * 7 * DIRECTIONS  # number of smooth features
SOBEL = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])


def smooth(pictures: keras.KerasTensor) -> keras.KerasTensor:
    """Smooth features of [n, 28, 28, 1]: square roots of 7 x 7 overlapping cells of 8 directions, [n, LENGTH]."""
    gradient = fixed(pictures, np.stack([SOBEL, SOBEL.T], axis=-1)[:, :, None], padding="same")
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    width = 2 * np.pi / DIRECTIONS
    # Each gradient is split into components along its two neighboring directions.
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
    """Classic features of [n, 28, 28, 1]: flattened blocks of 2 x 2 cells, each `side` pixels wide, of 9 directions."""
    cells = layers.AveragePooling2D(side)(by_direction(pictures))
    corners = [layers.Cropping2D(((top, 1 - top), (left, 1 - left)))(cells) for top in (0, 1) for left in (0, 1)]
    blocks = layers.Concatenate()(corners)
    return layers.Flatten()(unit(ops.minimum(unit(blocks), CLIP)))


def by_direction(pictures: keras.KerasTensor) -> keras.KerasTensor:
    """The gradient magnitude of each pixel in the bin of its direction: [n, 28, 28, BINS]."""
    ahead_less_behind = np.array([-1, 0, 1])
    level = layers.ZeroPadding2D((0, 1))(fixed(pictures, ahead_less_behind.reshape(1, 3, 1, 1)))
    upright = layers.ZeroPadding2D((1, 0))(fixed(pictures, ahead_less_behind.reshape(3, 1, 1, 1)))
    gradient = layers.Concatenate()([level, upright])
    # A gradient is in a bin if it lies on different sides of the bin's two borders.
    sides = across(np.pi * np.arange(BINS + 1) / BINS - NUDGE)
    inside = ops.relu(-ops.sign(fixed(gradient, sides[..., :-1]) * fixed(gradient, sides[..., 1:])))
    return inside * ops.sqrt(ops.sum(gradient * gradient, axis=-1, keepdims=True))


def extractor(features) -> keras.Model:
    """`classic` or `smooth` as a Keras model."""
    inputs = keras.Input((28, 28, 1))
    return keras.Model(inputs, features(inputs), name="hog")


def across(angles: np.ndarray) -> np.ndarray:
    """A kernel [1, 1, 2, n]: the gradient magnitude times the sine of its difference from each angle."""
    return np.stack([-np.sin(angles), np.cos(angles)])[None, None]


def unit(blocks: keras.KerasTensor) -> keras.KerasTensor:
    return blocks / ops.sqrt(ops.sum(blocks * blocks, axis=-1, keepdims=True) + 1e-10)


def fixed(x: keras.KerasTensor, kernel: np.ndarray, padding: str = "valid") -> keras.KerasTensor:
    """A fixed convolution; kernel [height, width, channels in, channels out]."""
    layer = layers.Conv2D(kernel.shape[-1], kernel.shape[:2], padding=padding, use_bias=False, trainable=False)
    y = layer(x)
    layer.set_weights([kernel])
    return y
