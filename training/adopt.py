"""Imports a Keras image classifier (`.keras` or `.h5`) as a model folder.

    python -m training import flowers.keras --labels daisy,rose,tulip --task objects --input photo
    python -m training import keras_model.h5 --labels labels.txt --task objects --input photo

`saved.py` reads the file, `rebuild.py` builds the network in it, and this module makes it a model. It wraps the network
in the layers it lacks: in front, the conversion from Inkling's pixels to those it was trained on; at the end, a missing
softmax or sigmoid. It reports every layer it adds.
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
from training import export, rebuild
from training.saved import read

PROBES = 16  # pictures used to probe a network
SIDE = 64  # in pixels, of pictures that probe a network of any size
GREY = (0.299, 0.587, 0.114)  # weights of red, green and blue, as in Pillow's conversion to L
FLAT = ((28, 28), (784,))  # input shapes of drawings in many tutorials
PIXELS = {"unit": "0..1", "signed": "-1..1", "raw": "0..255"}

# What `preprocess_input` does to 0..255: the order of channels, what is subtracted, and what is divided by.
MEANS_OF_BGR = (2, 1, 0), (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)
PREPROCESS = {
    "vgg16": MEANS_OF_BGR,
    "resnet": MEANS_OF_BGR,
    "torch": ((0, 1, 2), (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}

# A layer that tells which of Keras' networks a network was made from, its name, and what that one's pixels are.
BACKBONES = {
    "block_16_project": ("MobileNetV2", "signed"),
    "conv_dw_13": ("MobileNet", "signed"),
    "block14_sepconv2": ("Xception", "signed"),
    "mixed10": ("InceptionV3", "signed"),
    "conv5_block3_preact_bn": ("ResNetV2", "signed"),
    "block5_conv3": ("VGG", "vgg16"),
    "conv5_block3_add": ("ResNet", "resnet"),
    "res5c_branch2c": ("ResNet50", "resnet"),
    "pool4_conv": ("DenseNet", "torch"),
}

# Losses of networks that answer quantities, as `Saved.losses` writes them.
REGRESSION = {"mse", "meansquarederror", "mae", "meanabsoluteerror", "mape", "meanabsolutepercentageerror", "msle"}
REGRESSION |= {"meansquaredlogarithmicerror", "huber", "huberloss", "logcosh"}


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
    preprocess: str | None = None  # a key of PREPROCESS, instead of a scaling


def labels_of(text: str) -> tuple[str, ...]:
    """Labels from `a,b,c`, or from a text file with one a line, such as Teachable Machine's, which numbers them.

    Raises:
        ValueError: the file cannot be read.
    """
    if not text.lower().endswith(".txt"):
        return tuple(label.strip() for label in text.split(","))
    try:
        lines = Path(text).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the labels cannot be read. Received: {text}: {error}") from error
    lines = [line.strip() for line in lines if line.strip()]
    numbered = [re.match(rf"{number}\s+(.+)", line) for number, line in enumerate(lines)]
    return tuple(found[1] for found in numbered) if all(numbered) else tuple(lines)  # all, or a label starts with it


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
    saved = read(file)
    network, notes = rebuild.network(saved), []
    fitting, spec = fit_in(network, wanted, notes)
    x = inputs.scale(probes(spec), spec.scaling)
    whole = answering(fitting, x, wanted.labels, saved.losses, notes)
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


# ---- Input ----


def fit_in(network: keras.Model, wanted: Wanted, notes: list[str]) -> tuple[keras.Model, InputSpec]:
    """The network with its input conversion in front, and the input specification of the result."""
    shape, (height, width, channels) = taken(network, wanted)
    scaling = scaling_of(network, wanted, notes)
    front = []
    if scaling in PREPROCESS and (wanted.kind, channels) != ("photo", 3):
        raise ValueError(f"--preprocess is for photos of 3 channels. Received: {wanted.kind} with {channels}")
    if wanted.kind == "photo" and channels == 1:
        grey = layers.Conv2D(1, 1, use_bias=False, name="grey")
        grey.build((None, None, None, 3))
        grey.set_weights([np.reshape(GREY, (1, 1, 3, 1))])
        front.append(grey)
        notes.append("It takes gray pictures: a layer that makes photos gray was put in front.")
    if scaling == "raw":
        front.append(layers.Rescaling(255.0, name="raw"))
    if scaling in PREPROCESS:
        front.append(preprocessing(scaling))
    if len(shape) < 3:
        front.append(layers.Reshape(shape, name="flat"))
        notes.append(f"It takes {' x '.join(map(str, shape))} numbers: a layer that arranges them was put in front.")
    try:
        spec = InputSpec(
            kind=wanted.kind,
            width=width,
            height=height,
            channels=3 if wanted.kind == "photo" else channels,
            scaling=scaling if scaling == "signed" else "unit",
            layout=layout_of(wanted, notes),
        )
    except ValidationError as error:
        raise ValueError(reason(error)) from error
    inputs = x = keras.Input((spec.height, spec.width, spec.channels))
    for layer in front:
        x = layer(x)
    # `training=False`, or augmentation layers would stay active in the exported network.
    return keras.Model(inputs, network(x, training=False), name=network.name), spec


def preprocessing(name: str) -> layers.Layer:
    """A layer that turns 0..1 into what `preprocess_input` makes of 0..255, by a convolution of 1 x 1."""
    order, mean, deviation = PREPROCESS[name]
    kernel = np.zeros((3, 3), np.float32)
    kernel[order, range(3)] = 255 / np.array(deviation)
    layer = layers.Conv2D(3, 1, name="preprocess")
    layer.build((None, None, None, 3))
    layer.set_weights([kernel.reshape(1, 1, 3, 3), -np.array(mean) / np.array(deviation)])
    return layer


def taken(network: keras.Model, wanted: Wanted) -> tuple[tuple, tuple[int, int, int]]:
    """The network's input shape without the batch, and the picture (height, width, channels) that fills it.

    Raises:
        ValueError: the input is not a picture, or its size is open and no side was given.
    """
    inputs = getattr(network, "inputs", None) or ()
    if not inputs:
        raise ValueError(
            "the network must be built before it is saved: begin it with keras.Input((height, width, channels)). "
            "Received: 0 inputs"
        )
    if len(inputs) > 1:
        shapes = ", ".join(f"{one.name} {tuple(one.shape[1:])}" for one in inputs)
        raise ValueError(f"the network must have one input, a picture. Received: {len(inputs)} inputs: {shapes}")
    shape = tuple(inputs[0].shape[1:])
    if wanted.kind == "ink" and shape in FLAT:
        return shape, (28, 28, 1)
    if len(shape) != 3 or shape[2] not in (1, 3):
        raise ValueError(f"{other_input(network, shape)}. Received: {shape}")
    if None in shape and wanted.side is None:
        raise ValueError(f"the network takes any size: say which, as --side 160. Received: {shape} and no --side")
    height, width = (wanted.side if side is None else side for side in shape[:2])
    if wanted.side not in (None, height) or wanted.side not in (None, width):
        raise ValueError(f"the network takes {height} x {width} pixels: leave --side out. Received: {wanted.side}")
    return shape, (height, width, shape[2])


def other_input(network: keras.Model, shape: tuple) -> str:
    """What a network takes that takes no picture, as a sentence without its end."""
    pictures = "the network must take pictures as (height, width, channels) with 1 or 3 channels"
    if shape in FLAT:
        return f"{pictures}; one of drawings, such as this, is imported with --input ink"
    if any(isinstance(one, layers.Embedding) for one in operations(network)):
        return f"{pictures}; this one reads words"
    if len(shape) == 2:
        return f"{pictures}; this one reads sequences, such as the strokes of a drawing, instead of pixels"
    if len(shape) == 1:
        return f"{pictures}; this one reads a row of numbers"
    if len(shape) == 3 and shape[0] in (1, 3):
        return f"{pictures}; this one has its channels first. Build it with data_format='channels_last'"
    return f"{pictures}; this one reads films or volumes" if len(shape) > 3 else pictures


def scaling_of(network: keras.Model, wanted: Wanted, notes: list[str]) -> str:
    """A key of `PIXELS` or `PREPROCESS`: as given, else as the network implies, else "unit"."""
    given = wanted.preprocess or wanted.scaling
    if wanted.preprocess and wanted.scaling:
        raise ValueError(
            f"--preprocess scales the pixels, too: leave --scaling out. Received: {wanted.preprocess}, {wanted.scaling}"
        )
    first = arithmetic(network)
    if first is not None and takes_raw(network, wanted.side or SIDE):
        if given not in (None, "raw"):
            option = "--preprocess" if wanted.preprocess else "--scaling"
            raise ValueError(
                f"the network scales 0..255 by itself, in {first.name!r}: leave {option} out. Received: {given}"
            )
        notes.append(f"It scales pixels by itself, in {first.name!r}: they go in as 0..255.")
        return "raw"
    if given:
        return given
    if first is None and wanted.kind == "photo" and (backbone := backbone_of(network)):
        name, pixels = backbone
        goes = f"go in as {PIXELS[pixels]}" if pixels in PIXELS else f"are prepared as by --preprocess {pixels}"
        made = f"It is made from {name}, so pixels {goes}, as {name}'s preprocess_input does."
        notes.append(f"{made} {otherwise(pixels)}")
        return pixels
    notes.append(f"Pixels go in as {PIXELS['unit']}, as no --scaling was given. {otherwise('unit')}")
    return "unit"


def otherwise(pixels: str) -> str:
    """What to do if the network was trained on other pixels than these, a key of `PIXELS` or `PREPROCESS`."""
    scalings = " or ".join(f"{name} ({about})" for name, about in PIXELS.items() if name != pixels)
    preprocess = " or ".join(name for name in PREPROCESS if name != pixels)
    return (
        f"If it was trained on others, its answers are wrong: then import it again with --scaling {scalings}. If blue "
        f"came first or a mean was subtracted, import it with --preprocess {preprocess}."
    )


def backbone_of(network: keras.Model) -> tuple[str, str] | None:
    """The network of Keras' that this one was made from, and a key of `PIXELS` or `PREPROCESS`."""
    names = {one.name for one in operations(network)}
    return next((about for layer, about in BACKBONES.items() if layer in names), None)


def arithmetic(network: keras.Model) -> keras.Operation | None:
    """The first layer or bare operation (such as `x / 255`) that changes the pixels' range, if any."""
    for one in operations(network):
        if isinstance(one, layers.Rescaling | layers.Normalization) or not isinstance(one, layers.Layer):
            return one
        if has_weights(one):
            return None
    return None


def has_weights(layer: keras.Operation) -> bool:
    """Whether a layer learns; random layers hold a seed only, and statistics of pixels are arithmetic."""
    if type(layer).__name__.startswith("Random") or isinstance(layer, layers.Normalization):
        return False
    return bool(getattr(layer, "weights", ()))


def takes_raw(network: keras.Model, side: int) -> bool:
    """Whether what stands before the first weights expects 0..255; arithmetic for 0..1 would flatten those.

    It is told by what becomes of black and of white.
    """
    shape = [side if one is None else one for one in network.inputs[0].shape[1:]]
    x = np.stack([np.zeros(shape, np.float32), np.full(shape, 255, np.float32)])
    black, white = before_weights(network, x)
    return bool(np.abs(white - black).max() < 25.5 or np.abs(black).max() > 2)


def before_weights(network: keras.Model, x: np.ndarray) -> np.ndarray:
    """What reaches the first layer with weights, float32 [2, …]."""
    for one in getattr(network, "operations", network.layers):
        inner = isinstance(one, keras.Model) and any(map(has_weights, operations(one)))
        if inner or (not isinstance(one, keras.Model) and has_weights(one)):
            # The `input` of a nested network is its own first tensor, not the one that it is called on.
            source = one._inbound_nodes[-1].input_tensors[0]
            if source is not network.inputs[0]:
                x = np.asarray(keras.Model(network.inputs, source)(x, training=False))
            return before_weights(one, x) if inner else x
    return np.asarray(network(x, training=False))


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


def answering(
    network: keras.Model, x: np.ndarray, labels: tuple[str, ...], losses: tuple[str, ...], notes: list[str]
) -> keras.Model:
    """The network, with a softmax or sigmoid appended if it answers logits.

    Raises:
        ValueError: it is no classifier, or its outputs do not match the labels.
    """
    outputs = network.predict(x, batch_size=PROBES, verbose=0)
    check_outputs(outputs)
    activation = last_activation(network)
    count = counted(outputs, labels)
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
    if losses and REGRESSION.issuperset(losses):
        raise ValueError(
            "the network must tell labels apart; this one answers quantities, as it was trained by regression. "
            f"Received: the loss {', '.join(losses)}"
        )
    missing = "softmax" if count > 1 else "sigmoid"
    notes.append(f"It answers logits, {outputs.min():.3g} to {outputs.max():.3g}: a {missing} was put behind it.")
    last = layers.Activation(missing, dtype="float32", name="probabilities")
    return keras.Model(network.inputs, last(network.outputs[0]), name=network.name)


def check_outputs(outputs: object) -> None:
    """Raises ValueError unless a network answered one row of finite numbers a picture."""
    row = "the network must answer one row of numbers a picture, one for each label"
    if not isinstance(outputs, np.ndarray):
        shapes = [np.shape(one)[1:] for one in keras.tree.flatten(outputs)]
        raise ValueError(f"{row}; this one has several outputs. Received: {len(shapes)} outputs: {shapes}")
    if outputs.ndim > 3:
        raise ValueError(f"{row}; this one answers pictures, as for segmentation. Received: {outputs.shape[1:]}")
    if outputs.ndim != 2:
        raise ValueError(f"{row}; this one answers several, as for boxes or text. Received: {outputs.shape[1:]}")
    if not np.isfinite(outputs).all():
        raise ValueError("the network must answer numbers. Received: not-a-number")


def counted(outputs: np.ndarray, labels: tuple[str, ...]) -> int:
    """The number of outputs per picture; raises ValueError if it does not match the labels."""
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
