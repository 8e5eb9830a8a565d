"""Card -> callable batch of probabilities: OpenVINO by default, Keras on request."""

import importlib
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import Model, check_file

Network = Callable[[np.ndarray], Sequence[np.ndarray]]  # float32 [n, h, w, c] -> each output, float32 [n, ...]
TINY = np.float32(1e-7)
HINT = "LATENCY"  # what OpenVINO arranges its threads for: `python -m benchmarks.workers` compares
MANY_MAPS, FINE_MAP = 16, 14  # what a layer to look at has at least: maps, and pixels a side


class Answer(NamedTuple):
    """What a network says of n pictures."""

    probabilities: np.ndarray  # float32 [n, labels], rows that sum to 1, at temperature 1
    familiarity: np.ndarray | None  # float32 [n], more for what it knows; None where it has no such output


class Answering:
    """A network that answers.

    Call it with float32 [n, height, width, channels], as `pixels.scale` makes them; it returns float32
    [n, labels], rows that sum to 1, at temperature 1. `answer` tells familiarity too.
    """

    def __init__(self, network: Network):
        self._network = network

    def __call__(self, batch: np.ndarray) -> np.ndarray:
        return self.answer(batch).probabilities

    def answer(self, batch: np.ndarray) -> Answer:
        outputs = self._network(batch)
        familiarity = np.asarray(outputs[1], np.float32)[:, 0] if len(outputs) > 1 else None
        return Answer(probabilities(outputs[0]), familiarity)


class Runtime(Answering):
    """A model ready to answer; any number of threads may call at once.

    Raises:
        ValueError: the network does not take the card's input, does not answer its labels with probabilities, or
            lacks the familiarity that the card asks for.
    """

    def __init__(self, network: Network, card: ModelCard):
        super().__init__(network)
        self._card, self._lock = card, threading.Lock()
        self._calls = 0  # of `answer_all`, under way
        self._many = False  # a batch of more than one picture came since memory was last given back
        spec, labels = card.input, len(card.labels)
        try:
            answer, familiarity = self.answer(np.zeros((1, spec.height, spec.width, spec.channels), np.float32))
        except (RuntimeError, TypeError) as error:  # OpenVINO's, and TensorFlow's
            raise ValueError(f"the network does not take {spec.height} x {spec.width} x {spec.channels}") from error
        except IndexError as error:
            raise ValueError(
                "the network must answer a row of labels for each picture, and a row of one as second "
                f"output if it has one. Received: {error}"
            ) from error
        if answer.shape != (1, labels):
            raise ValueError(f"the network must answer {labels} labels. Received: {answer.shape[-1]}")
        if not (answer.min() >= 0 and abs(answer.sum() - 1) < 1e-2):  # not-a-number is refused too
            raise ValueError(f"the network must answer probabilities, not logits. Received: {answer[0, :3].tolist()}")
        if card.familiar is not None and familiarity is None:
            raise ValueError("the network must have a second output, as the card says what is familiar")

    def answer_all(self, batches: Iterable[np.ndarray]) -> Answer:
        """What it says of the pictures of one batch or more; the memory of more than one picture is not kept."""
        with self._lock:
            self._calls += 1
        try:
            answers = []
            for batch in batches:
                if len(batch) > 1:
                    self._many = True
                answers.append(self.answer(batch))
        finally:
            with self._lock:
                self._calls -= 1
                if self._many and not self._calls:  # by the last one out, for what is in use cannot be given back
                    self._many = False
                    self.release()
        probabilities, familiar = zip(*answers, strict=True)
        return Answer(np.concatenate(probabilities), None if familiar[0] is None else np.concatenate(familiar))

    def release(self) -> None:
        """Gives back the memory of a batch, where the runtime keeps it."""

    def twin(self) -> "Runtime":
        """One that answers faster, if less exactly; itself, where there is none."""
        return self


class Compiled:
    """An `openvino.Model` as a function; calls at once have a request each, which later ones take."""

    def __init__(self, model, threads: int = 0, precision: str = "f32"):
        # Pinned, the threads of all workers would compute on the same first cores.
        hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": HINT, "ENABLE_CPU_PINNING": False}
        if threads:
            hints["INFERENCE_NUM_THREADS"] = threads
        self._model, self._threads = model, threads
        self._compiled = openvino().Core().compile_model(model, "CPU", hints)
        self._outputs = range(len(self._compiled.outputs))
        self._free = []  # infer requests that no call uses

    def __call__(self, batch: np.ndarray) -> list[np.ndarray]:
        try:
            request = self._free.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        request.set_input_tensor(0, openvino().Tensor(np.ascontiguousarray(batch), shared_memory=True))
        request.infer()
        answer = [request.get_output_tensor(i).data.copy() for i in self._outputs]
        self._free.append(request)
        return answer

    def twin(self, precision: str) -> "Compiled":
        """The same in another precision."""
        return Compiled(self._model, self._threads, precision)

    def release(self) -> None:
        """Gives back the memory that the largest batch took; nothing, where a call is under way."""
        with suppress(RuntimeError):
            self._compiled.release_memory()


class OpenVINORuntime(Runtime):
    """A model compiled by OpenVINO."""

    _network: Compiled

    def release(self) -> None:
        self._network.release()

    def twin(self) -> Runtime:
        """The same in bfloat16, which shares the weights as they were read; itself, where that makes no sense."""
        try:
            return OpenVINORuntime(self._network.twin("bf16"), self._card)
        except (RuntimeError, ValueError):  # OpenVINO's, and that of a network whose answers are none any longer
            return self


def open_openvino(model: Model, threads: int = 0, precision: str = "f32") -> OpenVINORuntime:
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
    return OpenVINORuntime(network, model.card)


def openvino():
    """The module; without its helper that tells its maker of each import, and keeps a number for that at home."""
    sys.modules.setdefault("openvino_telemetry", None)  # an import of it fails, which OpenVINO expects
    return importlib.import_module("openvino")


def compile_onnx(path: Path, threads: int = 0, precision: str = "f32") -> Compiled:
    """An ONNX file as a function."""
    model = openvino().Core().read_model(path)
    passes = importlib.import_module("openvino.passes")
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())
    manager.run_passes(model)  # float16 weights become float32 here, once, or a twin would make its own
    return Compiled(model, threads, precision)


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16 by itself, which makes large networks several times as fast."""
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def open_layers(model: Model, threads: int = 0) -> Network | None:
    """The first layers of a model's ONNX file, for a look at what they find; None where it has no such layers.

    Its outputs are those of the first convolution and of the last one whose maps are still `FINE_MAP` pixels large,
    float32 [n, maps, h, w]. Fixed filters, as HOG's, are fewer than `MANY_MAPS` and no layers to look at. What comes
    after these layers is not compiled.

    Raises:
        ValueError: the file is missing, is not the card's, or cannot be compiled.
    """
    path = check_file(model, "model.onnx")
    try:
        whole = openvino().Core().read_model(path)
        found = [node.output(0) for node in whole.get_ordered_ops() if node.get_type_name() == "Convolution"]
        found = [output for output in found if output.partial_shape[1].get_length() >= MANY_MAPS]
        if not found:
            return None
        fine = [output for output in found if output.partial_shape[2].get_length() >= FINE_MAP]
        ends = list(dict.fromkeys((found[0], (fine or found)[-1])))
        return Compiled(openvino().Model(ends, whole.get_parameters(), "first layers"), threads)
    except RuntimeError as error:
        raise ValueError(f"model.onnx cannot be compiled: {str(error).strip().splitlines()[-1]}") from error


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
    function = tf.function(lambda batch: tf.nest.flatten(loaded(batch, training=False)), input_signature=[signature])
    return Runtime(lambda batch: [output.numpy() for output in function(tf.constant(batch))], model.card)


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
