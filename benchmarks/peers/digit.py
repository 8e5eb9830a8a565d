"""Prepares a drawing for the network in the peers: resized without cropping, like most examples do."""

from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

FOLDER = "models/digits-cnn"


def prepare(image: Image.Image) -> np.ndarray:
    """The network input: float32 [1, 28, 28, 1], with ink 1 on background 0."""
    small = ImageOps.invert(image.convert("L")).resize((28, 28))
    return np.asarray(small, np.float32)[None, ..., None] / 255


def read(file: BinaryIO) -> np.ndarray:
    """The network input for an uploaded file."""
    return prepare(Image.open(file))
