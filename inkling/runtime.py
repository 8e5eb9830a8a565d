"""Card -> callable batch of probabilities: OpenVINO by default, Keras on request."""

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from inkling.catalog import Model, ModelCard, check_file

Network = Callable[[np.ndarray], np.ndarray]  # float32 [n, h, w, c] -> float32 [n, outputs]
TINY = np.float32(1e-7)


class Runtime:
    """A model ready to answer.

    Call it with float32 [n, height, width, channels], as `pixels.scale` makes them; it returns float32
    [n, labels], rows that sum to 1, at temperature 1. Any number of threads may call at once.

    Raises:
        ValueError: the network does not take the card's input, or does not answer its labels with probabilities.
    """

    def __init__(self, network: Network, card: ModelCard):
        self._network = network
        spec, labels = card.input, len(card.labels)
        try:
            answer = self(np.zeros((1, spec.height, spec.width, spec.channels), np.float32))
        except (RuntimeError, TypeError) as error:  # OpenVINO's, and TensorFlow's
            raise ValueError(f"the network does not take {spec.height} x {spec.width} x {spec.channels}") from error
        if answer.shape != (1, labels):
            raise ValueError(f"the network must answer {labels} labels. Received: {answer.shape[-1]}")
        if not (answer.min() >= 0 and abs(answer.sum() - 1) < 1e-2):  # not-a-number is refused too
            raise ValueError(f"the network must answer probabilities, not logits. Received: {answer[0, :3].tolist()}")

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return probabilities(self._network(batch))


def open_openvino(model: Model, threads: int = 0, precision: str = "f32") -> Runtime:
    """Compiles a model's ONNX file for this process; call it after the fork.

    Args:
        threads: processor threads; 0 leaves it to OpenVINO.
        precision: "f32" or "bf16".

    Raises:
        ValueError: the file is missing, is not the card's, or cannot be compiled.
    """
    path = check_file(model, "model.onnx")
    try:
        network = compile_onnx(path, threads, precision)
    except RuntimeError as error:
        raise ValueError(f"model.onnx cannot be compiled: {str(error).strip().splitlines()[-1]}") from error
    return Runtime(network, model.card)


def compile_onnx(path: Path, threads: int = 0, precision: str = "f32") -> Network:
    """An ONNX file as a function; each thread gets an infer request of its own, the weights are shared."""
    import openvino

    core = openvino.Core()
    hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if threads:
        hints["INFERENCE_NUM_THREADS"] = threads
    compiled = core.compile_model(core.read_model(path), "CPU", hints)
    own = threading.local()

    def network(batch: np.ndarray) -> np.ndarray:
        if not hasattr(own, "request"):
            own.request = compiled.create_infer_request()
        return own.request.infer({0: batch})[0]

    return network


def open_keras(model: Model) -> Runtime:
    """Loads a model's `.keras` file and serves it through a compiled `tf.function`.

    Raises:
        ValueError: the file is missing, is not the card's, or Keras refuses it (`safe_mode`: no code in it runs).
    """
    path = _keras_file(model)
    import keras
    import tensorflow as tf

    try:
        loaded = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises what it stumbles over: TypeError, KeyError, OSError, ...
        raise ValueError(f"model.keras cannot be loaded: {str(error).strip().splitlines()[0]}") from error
    signature = tf.TensorSpec((None, *loaded.input_shape[1:]), tf.float32)
    function = tf.function(lambda batch: loaded(batch, training=False), input_signature=[signature])
    return Runtime(lambda batch: function(tf.constant(batch)).numpy(), model.card)


def _keras_file(model: Model) -> Path:
    """The checked `.keras` file; where there is none, the error says how to have it: git leaves large ones out."""
    try:
        return check_file(model, "model.keras")
    except ValueError as error:
        if (model.folder / "model.keras").is_file() and "model.keras" in model.card.files:
            raise
        training = model.card.training
        remedy = f"`{training.command}` makes it again" if training else "it comes from where the model was trained"
        raise ValueError(f"{error}; {remedy}, and INKLING_RUNTIME=openvino does without") from error


def probabilities(outputs: np.ndarray) -> np.ndarray:
    """Network outputs [n, labels], or [n, 1] of one sigmoid, as float32 [n, labels]: past here all look alike."""
    outputs = np.asarray(outputs, np.float32)
    return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Temperature scaling (Guo et al. 2017) of float [n, labels]: the same as softmax(logits / temperature)."""
    logits = np.log(np.maximum(probabilities, TINY)) / np.float32(temperature)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
