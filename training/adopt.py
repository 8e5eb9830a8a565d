"""Imports a Keras image classifier (`.keras` or `.h5`) as a model folder.

    python -m training import flowers.keras --labels daisy,rose,tulip --task objects --input photo

The import wraps the network in the layers it lacks: in front, the conversion from Inkling's pixels to those it was
trained on; at the end, a missing softmax or sigmoid. It reports every layer it adds.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras import layers
from pydantic import ValidationError

from inkling.recognition import inputs
from inkling.recognition.card import InputSpec, ModelCard, read_card, reason, sha256
from training import export

SUFFIXES = (".keras", ".h5", ".hdf5")
PROBES = 16  # pictures used to probe a network
GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue, as in Pillow's conversion to L
FLAT = ((28, 28), (784,))  # input shapes of drawings in many tutorials
PIXELS = {"unit": "0..1", "signed": "-1..1", "raw": "0..255"}

# Patterns in Keras' error messages, and what each means.
REFUSALS = (
    (
        r"\bLambda\b|lambda",
        "it holds a Lambda layer: code of its own, which is never run. Build the network "
        "from Keras' own layers, and save it again",
    ),
    (
        r"locate class|Unknown layer|deserialized",
        "it holds a layer or function that is not Keras' own, whose code is "
        "never run. Build the network from Keras' own layers",
    ),
    (r"No model config", "it holds weights only. Save the whole network: model.save('NAME.keras')"),
    (r"", "it is no file that Keras can read"),
)


@dataclass(frozen=True)
class Wanted:
    """The options of an import; None means that the import works the value out."""

    labels: tuple[str, ...]
    task: str
    kind: str  # "photo" or "ink"
    name: str | None = None
    title: str | None = None
    scaling: str | None = None  # a key of PIXELS
    layout: str | None = None  # of ink
    side: int | None = None
    replace: bool = False


def adopt(file: Path, wanted: Wanted, root: Path) -> tuple[ModelCard, list[str]]:
    """Imports a file written by `model.save` to `root/<name>`, in one step.

    Returns:
        The card, and one sentence for each thing found or added.

    Raises:
        ValueError: the file needs custom code, the network is not an image classifier, it contradicts the options
            in `wanted`, ONNX and Keras disagree, or a model trained here already has that name.
    """
    name = wanted.name or re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-")
    check_place(root / name, wanted.replace)
    network, notes = load(file), []
    fitting, spec = fit_in(network, wanted, notes)
    x = inputs.scale(probes(spec), spec.scaling)
    whole = answering(fitting, x, wanted.labels, notes)
    try:
        card = ModelCard(
            name=name,
            task=wanted.task,
            title=wanted.title or name.replace("-", " ").capitalize(),
            summary=f"Imported from {file.name}; not measured here.",
            labels=wanted.labels,
            input=spec,
            network=export.layers(whole),
            parameters=whole.count_params(),
            files={},
        )
    except ValidationError as error:
        raise ValueError(reason(error)) from error
    root.mkdir(parents=True, exist_ok=True)
    with export.replacing(root / name) as draft:
        write(whole, x, draft)
        card = card.model_copy(update={"files": {path.name: sha256(path) for path in sorted(draft.iterdir())}})
        (draft / "card.json").write_text(export.as_json(card), "utf-8")
    return card, notes


def check_place(folder: Path, replace: bool) -> None:
    """Raises ValueError if the import would overwrite a model trained here; only imports can be repeated."""
    if not folder.exists() or replace:
        return
    try:
        imported = read_card(folder).training is None
    except ValueError:
        imported = False
    if not imported:
        raise ValueError(f"a model that was not imported is only replaced with --replace. Received: {folder}")


def load(file: Path) -> keras.Model:
    """Loads the network from a file without running any code in it.

    Raises:
        ValueError: the file does not exist, or Keras refuses it.
    """
    if file.suffix not in SUFFIXES or not file.is_file():
        raise ValueError(f"the file must be a .keras or .h5 that model.save wrote. Received: {file}")
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises TypeError, KeyError, OSError and others for bad files
        why = next(meaning for clue, meaning in REFUSALS if re.search(clue, str(error)))
        first = str(error).strip().splitlines()[0]
        raise ValueError(f"{file.name} cannot be imported: {why}. Received: {first:.160}") from error


# ---- Input ----


def fit_in(network: keras.Model, wanted: Wanted, notes: list[str]) -> tuple[keras.Model, InputSpec]:
    """The network with its input conversion in front, and the input specification of the result."""
    shape, (height, width, channels) = taken(network, wanted)
    scaling = scaling_of(network, wanted, notes)
    front = []
    if wanted.kind == "photo" and channels == 1:
        grey = layers.Conv2D(1, 1, use_bias=False, name="grey")
        grey.build((None, None, None, 3))
        grey.set_weights([np.reshape(GREY, (1, 1, 3, 1))])
        front.append(grey)
        notes.append("It takes gray pictures: a layer that makes photos gray was put in front.")
    if scaling == "raw":
        front.append(layers.Rescaling(255.0, name="raw"))
    if len(shape) < 3:
        front.append(layers.Reshape(shape, name="flat"))
        notes.append(f"It takes {' x '.join(map(str, shape))} numbers: a layer that arranges them was put in front.")
    try:
        spec = InputSpec(
            kind=wanted.kind,
            width=width,
            height=height,
            channels=3 if wanted.kind == "photo" else channels,
            scaling="unit" if scaling == "raw" else scaling,
            layout=layout_of(wanted, notes),
        )
    except ValidationError as error:
        raise ValueError(reason(error)) from error
    inputs = x = keras.Input((spec.height, spec.width, spec.channels))
    for layer in front:
        x = layer(x)
    # `training=False`, or augmentation layers would stay active in the exported network.
    return keras.Model(inputs, network(x, training=False), name=network.name), spec


def taken(network: keras.Model, wanted: Wanted) -> tuple[tuple, tuple[int, int, int]]:
    """The network's input shape without the batch, and the picture (height, width, channels) that fills it.

    Raises:
        ValueError: the input is not a picture, or its size is open and no side was given.
    """
    inputs = getattr(network, "inputs", None) or ()
    if len(inputs) != 1:
        raise ValueError(
            "the network must have one input, and be built before it is saved: begin it with "
            f"keras.Input((height, width, channels)). Received: {len(inputs)} inputs"
        )
    shape = tuple(inputs[0].shape[1:])
    if wanted.kind == "ink" and shape in FLAT:
        return shape, (28, 28, 1)
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise ValueError(
            f"the network must take pictures as (height, width, channels) with 1 or 3 channels. Received: {shape}"
        )
    if None in shape and wanted.side is None:
        raise ValueError(f"the network takes any size: say which, as --side 160. Received: {shape} and no --side")
    height, width = (wanted.side if side is None else side for side in shape[:2])
    if wanted.side not in (None, height) or wanted.side not in (None, width):
        raise ValueError(f"the network takes {height} x {width} pixels: leave --side out. Received: {wanted.side}")
    return shape, (height, width, shape[2])


def scaling_of(network: keras.Model, wanted: Wanted, notes: list[str]) -> str:
    """A key of `PIXELS`: as given, else as implied by the layers before the first weights, else "unit"."""
    first = arithmetic(network)
    if first is not None and takes_raw(first):
        if wanted.scaling in ("unit", "signed"):
            raise ValueError(
                f"the network scales 0..255 by itself, in {first.name!r}: leave --scaling out. "
                f"Received: {wanted.scaling}"
            )
        notes.append(f"It scales pixels by itself, in {first.name!r}: they go in as 0..255.")
        return "raw"
    if wanted.scaling is None:
        if first is not None and not isinstance(first, layers.Layer):
            raise ValueError(
                "the network calculates with the pixels before its first layer, so say what goes in: "
                f"--scaling raw (0..255), unit (0..1) or signed (-1..1). Received: {first.name}"
            )
        notes.append(
            "Pixels go in as 0..1, as no --scaling was given; if it was trained on others, its answers are "
            "wrong: then import it again with --scaling signed (-1..1) or raw (0..255)."
        )
    return wanted.scaling or "unit"


def arithmetic(network: keras.Model) -> keras.Operation | None:
    """The first layer or bare operation (such as `x / 255`) that changes the pixels' range, if any."""
    for one in operations(network):
        if isinstance(one, layers.Rescaling | layers.Normalization) or not isinstance(one, layers.Layer):
            return one
        if one.weights and not type(one).__name__.startswith("Random"):  # random layers hold a seed, not weights
            return None
    return None


def takes_raw(first: keras.Operation) -> bool:
    """Whether a scaling layer expects 0..255; a layer made for 0..1 would flatten them."""
    if isinstance(first, layers.Rescaling):
        return np.max(np.abs(first.scale)) < 0.1 or np.max(np.abs(first.offset)) > 2
    return isinstance(first, layers.Normalization) and np.max(np.abs(first.mean)) > 2


def operations(network: keras.Model) -> Iterator[keras.Operation]:
    """All layers and bare operations in order, including those of nested networks."""
    for one in getattr(network, "operations", network.layers):
        if isinstance(one, keras.Model):
            yield from operations(one)
        else:
            yield one


def layout_of(wanted: Wanted, notes: list[str]) -> str:
    if wanted.kind == "photo" or wanted.layout:
        return wanted.layout or "squeeze"
    layout = "mnist" if wanted.task == "digits" else "quickdraw"
    notes.append(f"Ink is laid out as in {layout}; --layout says otherwise.")
    return layout


def probes(spec: InputSpec) -> np.ndarray:
    """Probe pictures, uint8 [PROBES, height, width, channels]: black, white, gray, and noise."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (PROBES, spec.height, spec.width, spec.channels), np.uint8)
    x[0], x[1], x[2] = 0, 255, 128
    x[3::2] //= 4  # every other one dark
    return x


# ---- Output ----


def answering(network: keras.Model, x: np.ndarray, labels: tuple[str, ...], notes: list[str]) -> keras.Model:
    """The network, with a softmax or sigmoid appended if it answers logits.

    Raises:
        ValueError: its outputs do not match the labels.
    """
    outputs = network.predict(x, batch_size=PROBES, verbose=0)
    count = counted(outputs, labels)
    activation = last_activation(network)
    if count > 1 and activation == "sigmoid":
        raise ValueError(
            "the network must choose one label: end it in a softmax. "
            f"Received: {count} sigmoids, each of which answers for itself"
        )
    if np.ptp(outputs, axis=0).max() < 1e-6:
        notes.append("It gave the same answer to every picture tried: has it been trained?")
    sums = outputs.sum(axis=1) if count > 1 else 1
    if activation != "linear" and outputs.min() >= 0 and outputs.max() <= 1 and np.allclose(sums, 1, atol=1e-3):
        return network
    missing = "softmax" if count > 1 else "sigmoid"
    notes.append(f"It answers logits, {outputs.min():.3g} to {outputs.max():.3g}: a {missing} was put behind it.")
    last = layers.Activation(missing, dtype="float32", name="probabilities")
    return keras.Model(network.inputs, last(network.outputs[0]), name=network.name)


def counted(outputs: object, labels: tuple[str, ...]) -> int:
    """The number of outputs per picture; raises ValueError if it does not match the labels."""
    if not isinstance(outputs, np.ndarray) or outputs.ndim != 2:
        shapes = [np.shape(one) for one in keras.tree.flatten(outputs)]
        raise ValueError(f"the network must answer one row of numbers a picture. Received: {shapes}")
    if not np.isfinite(outputs).all():
        raise ValueError("the network must answer numbers. Received: not-a-number")
    count = outputs.shape[1]
    if len(labels) != max(count, 2):
        wants = f"{count} labels" if count > 1 else "2 labels, that of 0 first"
        raise ValueError(
            f"the network has {count} output{'s' * (count > 1)}: it wants {wants}. "
            f"Received: {len(labels)} ({', '.join(labels)})"
        )
    return count


def last_activation(network: keras.Model) -> str:
    """The name of the final activation, or "" if the network does not end in one."""
    *_, last = operations(network)
    return getattr(getattr(last, "activation", None), "__name__", "")


def write(network: keras.Model, x: np.ndarray, folder: Path) -> None:
    """Writes `model.keras` and `model.onnx`; raises ValueError if the conversion to ONNX fails."""
    try:
        export.write_files(network, x, folder)
    except ValueError:
        raise
    except Exception as error:  # tf2onnx raises many types
        first = str(error).strip().splitlines()[0]
        raise ValueError(f"the network cannot be turned into ONNX. Received: {first:.160}") from error
