"""A drawing as the peers give it to the network: squeezed, as most examples do it."""

from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

FOLDER = "models/digits-cnn"


def prepare(image: Image.Image) -> np.ndarray:
    """float32 [1, 28, 28, 1], ink 1 on 0."""
    small = ImageOps.invert(image.convert("L")).resize((28, 28))
    return np.asarray(small, np.float32)[None, ..., None] / 255


def read(file: BinaryIO) -> np.ndarray:
    """The same of an uploaded file."""
    return prepare(Image.open(file))
