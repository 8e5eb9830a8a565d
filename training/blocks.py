"""Building blocks shared by several networks."""

import keras
from keras import layers


def convolution(x: keras.KerasTensor, filters: int, strides: int = 1) -> keras.KerasTensor:
    """3x3 convolution, batch norm, ReLU: [n, h, w, c] -> [n, h / strides, w / strides, filters]."""
    x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def halved(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    """Convolution, max-pooling, batch norm, ReLU: [n, h, w, c] -> [n, h / 2, w / 2, filters].

    Pooling before the norm makes the norm four times cheaper.
    """
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(layers.MaxPooling2D()(x)))


def residual(x: keras.KerasTensor) -> keras.KerasTensor:
    """A residual block of two convolutions (He et al. 2016, https://arxiv.org/abs/1512.03385)."""
    return layers.Add()([x, convolution(convolution(x, x.shape[-1]), x.shape[-1])])
