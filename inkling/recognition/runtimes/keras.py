"""Serves `.keras` files with Keras and TensorFlow, which are imported when the first model is opened."""

from pathlib import Path
from typing import Any

import numpy as np

from inkling.recognition.catalog import Model, check_file
from inkling.recognition.runtimes.base import Network, Runtime

FILE = "model.keras"


def open_model(model: Model) -> Runtime:
    """Loads a model's `.keras` file, and compiles it as a `tf.function`.

    Raises:
        ValueError: the file is missing, is not the card's, or Keras refuses it (`safe_mode`: no code in it runs).
    """
    path = _checked_file(model)
    import keras

    try:
        loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras lets through what its parts raise: TypeError, KeyError, OSError and more
        raise ValueError(f"{FILE} cannot be loaded: {str(error).strip().splitlines()[0]}") from error
    return Runtime(_compiled(loaded), model.card)


def _compiled(loaded: Any) -> Network:
    import tensorflow as tf

    signature = tf.TensorSpec((None, *loaded.input_shape[1:]), tf.float32)
    function = tf.function(lambda batch: tf.nest.flatten(loaded(batch, training=False)), input_signature=[signature])

    def network(batch: np.ndarray) -> list[np.ndarray]:
        try:
            return [output.numpy() for output in function(tf.constant(batch))]
        except tf.errors.ResourceExhaustedError as error:  # there may be enough memory the next time
            raise MemoryError(str(error)) from error
        except tf.errors.OpError as error:
            raise RuntimeError(str(error)) from error

    return network


def _checked_file(model: Model) -> Path:
    """The checked `.keras` file. Where it is missing, the error says how to get it: git leaves large ones out."""
    try:
        return check_file(model, FILE)
    except ValueError as error:
        if (model.folder / FILE).is_file() and FILE in model.card.files:
            raise
        training = model.card.training
        remedy = f"`{training.command}` makes it again" if training else "it comes from where the model was trained"
        raise ValueError(f"{error}; {remedy}, and INKLING_RUNTIME=openvino does without") from error
