"""Serves ONNX files with OpenVINO."""

import importlib
import math
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from inkling.recognition.card import ModelCard, open_regular, read_card
from inkling.recognition.catalog import Model, check_file
from inkling.recognition.runtimes.base import OUTPUTS, HeadRuntime, Network, Runtime
from inkling.recognition.runtimes.onnxfile import has_external_data
from inkling.recognition.runtimes.small import SmallGraph

FILE, HEAD_FILE = "model.onnx", "head.onnx"
HINT = "LATENCY"  # what OpenVINO optimizes its threads for; `python -m benchmarks.workers` compares
LARGEST = 2**27  # values of one tensor for one picture, 512 MB; the shipped networks have at most 2**22
LEAST_MAPS, LEAST_SIDE = 16, 14  # feature maps of a layer worth showing, and pixels a side of its maps

_shared: dict[str, Any] = {}  # checksum of a model's file -> the `openvino.Model` that `share` read


class Compiled:
    """An `openvino.Model` as a function. Calls at the same time use one infer request each, which is then reused."""

    def __init__(self, model: Any, threads: int = 0, precision: str = "f32") -> None:
        # With pinning, the threads of all workers would compete for the same first cores.
        hints = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": HINT, "ENABLE_CPU_PINNING": False}
        if threads:
            hints["INFERENCE_NUM_THREADS"] = threads
        self._compiled = library().Core().compile_model(model, "CPU", hints)
        names = tuple(output.any_name for output in self._compiled.outputs)
        # Keras numbers the outputs of the files that it exports.
        self.outputs = names if OUTPUTS[0] in names else OUTPUTS[: len(names)]
        self._count = len(names)
        self._free_requests: list = []

    def __call__(self, batch: np.ndarray) -> list[np.ndarray]:
        try:
            request = self._free_requests.pop()
        except IndexError:
            request = self._compiled.create_infer_request()
        contiguous = np.ascontiguousarray(batch)  # the tensor does not keep it alive
        request.set_input_tensor(0, library().Tensor(contiguous, shared_memory=True))
        request.infer()
        outputs = [request.get_output_tensor(i).data.copy() for i in range(self._count)]
        self._free_requests.append(request)
        return outputs

    def release(self) -> None:
        """Releases the memory of the largest batch; does nothing while a call is in progress."""
        with suppress(RuntimeError):
            self._compiled.release_memory()


class PictureNetwork:
    """A network that takes pictures, compiled for one. It answers several one by one.

    A fixed shape saves a tenth of the time of one picture, which is as much as a batch saves for each small one.

    Args:
        model: an `openvino.Model` of float32 [n, h, w, c].
        shape: height, width and channels of a picture.

    Raises:
        ValueError: the network does not take this shape.
        RuntimeError: OpenVINO cannot compile it.
    """

    def __init__(self, model: Any, shape: Sequence[int], threads: int = 0, precision: str = "f32") -> None:
        self._model, self._shape, self._threads = model, tuple(shape), threads
        fixed = model.clone()
        try:
            fixed.reshape([1, *shape])
        except RuntimeError as error:
            raise ValueError(f"the network does not take {' x '.join(map(str, shape))}") from error
        self._one = Compiled(fixed, threads, precision)
        self.outputs = self._one.outputs

    def __call__(self, batch: np.ndarray) -> list[np.ndarray]:
        rows = [self._one(batch[i : i + 1]) for i in range(len(batch))]
        return rows[0] if len(rows) == 1 else [np.concatenate(parts) for parts in zip(*rows, strict=True)]

    def in_precision(self, precision: str) -> "PictureNetwork":
        """The same network, compiled for another precision ("f32" or "bf16")."""
        return PictureNetwork(self._model, self._shape, self._threads, precision)

    def release(self) -> None:
        """Releases the memory of past calls; does nothing while a call is in progress."""
        self._one.release()


class OpenVINORuntime(Runtime):
    """A model compiled by OpenVINO."""

    def __init__(self, network: PictureNetwork, card: ModelCard):
        super().__init__(network, card)
        self._compiled = network

    def release(self) -> None:
        self._compiled.release()

    def reduced_precision(self) -> Runtime:
        """A copy in bfloat16, which shares the weights in memory; this runtime itself where bfloat16 fails."""
        try:
            return OpenVINORuntime(self._compiled.in_precision("bf16"), self._card)
        except (RuntimeError, ValueError):  # OpenVINO failed, or the answers are not probabilities any longer
            return self


def share(models: Iterable[Model]) -> None:
    """Reads networks before the fork, so that all workers share the memory of their weights as they are in the files.

    It compiles nothing and starts no thread. A network that cannot be read is left to the workers, which say why.
    """
    for model in models:
        with suppress(ValueError, RuntimeError):
            path = check_file(model, FILE)
            _shared[model.card.files[FILE]] = _folded(path)


def open_model(model: Model, threads: int = 0, precision: str = "f32", backbone: Runtime | None = None) -> Runtime:
    """Compiles a model's ONNX file for this process. Call it after the fork: threads do not survive one.

    Args:
        threads: processor threads; 0 leaves the number to OpenVINO.
        precision: "f32" or "bf16".
        backbone: the backbone that the card names, if it is open already. Otherwise it is opened from the folder
            beside the model's.

    Raises:
        ValueError: the file is missing, is not the card's, cannot be compiled, or does not fit the backbone.
    """
    if model.card.backbone is None:
        spec, path = model.card.input, check_file(model, FILE)
        try:
            shape = spec.height, spec.width, spec.channels
            network = _shared.get(model.card.files[FILE]) or _folded(path)
            return OpenVINORuntime(PictureNetwork(network, shape, threads, precision), model.card)
        except RuntimeError as error:
            raise _cannot_compile(error) from error
    if backbone is None:
        folder = model.folder.with_name(model.card.backbone.model)
        backbone = open_model(Model(read_card(folder), folder), threads, precision)
    return HeadRuntime(_open_head(model, threads), backbone, model.card)


def _open_head(model: Model, threads: int) -> Network:
    """A model's head: in NumPy, which shares its constants among workers, or by OpenVINO if NumPy cannot run it."""
    path = check_file(model, HEAD_FILE)
    with suppress(ValueError):
        return SmallGraph(path)
    try:
        return compile_onnx(path, threads)
    except RuntimeError as error:
        raise _cannot_compile(error) from error


def compile_onnx(path: Path, threads: int = 0) -> Compiled:
    """An ONNX file as a function of one float32 array, with any number of rows.

    Raises:
        ValueError: the file keeps weights in other files, or asks for too much memory.
        RuntimeError: OpenVINO cannot compile it.
    """
    return Compiled(_folded(path), threads)


def _folded(path: Path) -> Any:
    """The file as an `openvino.Model` whose constants are computed."""
    model = _read(path)
    passes = importlib.import_module("openvino.passes")
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())
    manager.run_passes(model)  # expands float16 weights to float32 once, and not again in each precision
    return model


def open_layers(model: Model, threads: int = 0) -> Network | None:
    """Compiles the first layers of a model's ONNX file, up to the last one that is shown.

    Its outputs are those of the first convolution and of the last one whose maps are at least `LEAST_SIDE` pixels
    large, float32 [n, maps, h, w]. Convolutions with fewer than `LEAST_MAPS` maps are fixed filters, such as HOG's,
    and not shown.

    Returns:
        the network, or None for a model without such layers.

    Raises:
        ValueError: the file is missing, is not the card's, or cannot be compiled.
    """
    path = check_file(model, FILE)
    try:
        whole = _read(path)
        found = [node.output(0) for node in whole.get_ordered_ops() if node.get_type_name() == "Convolution"]
        found = [output for output in found if output.partial_shape[1].get_length() >= LEAST_MAPS]
        if not found:
            return None
        large = [output for output in found if output.partial_shape[2].get_length() >= LEAST_SIDE]
        ends = list(dict.fromkeys((found[0], (large or found)[-1])))
        return Compiled(library().Model(ends, whole.get_parameters(), "first layers"), threads)
    except RuntimeError as error:
        raise _cannot_compile(error) from error


@cache
def library() -> ModuleType:
    """The `openvino` module, without its telemetry, which would send a message at each import."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # its import fails, as OpenVINO allows
    return importlib.import_module("openvino")


@cache
def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16, which makes large networks several times faster."""
    return "BF16" in library().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _read(path: Path) -> Any:
    """The file as an `openvino.Model`.

    Raises:
        ValueError: the file keeps weights in other files, or a few bytes of it ask for more memory than there may be.
        RuntimeError: OpenVINO cannot read it.
    """
    with open_regular(path) as file:
        data = file.read()
    if has_external_data(data):
        raise ValueError(f"{path.name} keeps weights in other files, which are never read")
    model = library().Core().read_model(data)  # which computes shapes, and no values
    computed = (node for node in model.get_ops() if node.get_type_name() != "Constant")  # the file holds those
    largest = max(_size(output.partial_shape) for node in computed for output in node.outputs())
    if largest > LARGEST:
        raise ValueError(f"{path.name} has a tensor of {largest} values, more than {LARGEST}")
    return model


def _size(shape: Any) -> int:
    """The number of values of a tensor for one picture. Sides that depend on the values in the picture count as 1."""
    sides = shape if shape.rank.is_static else ()
    return math.prod(side.get_length() for side in sides if side.is_static)


def _cannot_compile(error: RuntimeError) -> ValueError:
    return ValueError(f"{FILE} cannot be compiled: {str(error).strip().splitlines()[-1]}")
