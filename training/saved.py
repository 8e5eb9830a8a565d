"""Reads what `model.save` wrote, without Keras: the network's configuration, and which Keras wrote it.

The bytes of a file decide what it is, not its name. Whatever is not a Keras network is refused with a sentence that
says what it is and what to do instead.
"""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
HEAD = 512  # bytes read to tell what a file is

SAVED_MODEL = (
    "it is a SavedModel, TensorFlow's format, which holds a graph instead of layers. Load it with the TensorFlow that "
    "made it, and save it as one file: model.save('NAME.h5'); in Teachable Machine, export “Keras” instead"
)
PYTORCH = "it is a PyTorch file, which is made of Python's pickles, and those can run code. Export it to ONNX instead"
ONNX = (
    "it is an ONNX network, which needs no import. Write a card for it, as docs/guide/own-model.md says under “Without "
    "the import”"
)
WEIGHTS = "it holds weights only. Save the whole network: model.save('NAME.keras')"
TFLITE = "it is a TFLite network, which has lost its layers. Import the Keras file that it was converted from"
NO_KERAS = "it is no file that Keras can read"

# What the first bytes of a file tell. The first test that holds decides.
FOREIGN: tuple[tuple[Callable[[bytes, str], bool], str], ...] = (
    (lambda head, _: not head, "it is empty. Copy or download it again"),
    (
        lambda head, _: head.startswith(b"version https://git-lfs"),
        "it is a Git LFS pointer, not the network itself. Fetch that with `git lfs pull`, or download it from the "
        "repository's page",
    ),
    (
        lambda head, _: head.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")),
        "it is a web page. Download the file itself; on GitHub that is “Download raw file”",
    ),
    (lambda head, _: head[4:8] == b"TFL3", TFLITE),
    (lambda head, suffix: head[:1] == b"\x80" and suffix in (".pt", ".pth"), PYTORCH),
    (
        lambda head, _: head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05",
        "it is a Python pickle, which can run code and is never read. Save a Keras network with "
        "model.save('NAME.keras'); networks of other libraries can be exported to ONNX",
    ),
    (lambda head, suffix: suffix == ".onnx" or (head[:1] == b"\x08" and head[2:3] == b"\x12"), ONNX),
    (
        lambda head, _: head.lstrip()[:1] == b"{" and b"modelTopology" in head,
        "it is a TensorFlow.js network, whose weights lie in other files. Import the Keras file that it was converted "
        "from; in Teachable Machine, export “Keras” instead",
    ),
    (
        lambda head, _: head.lstrip()[:1] == b"{" and b"class_name" in head,
        "it holds layers without weights. Save the whole network: model.save('NAME.keras')",
    ),
    (lambda _, suffix: suffix == ".pb", SAVED_MODEL),
    (lambda _, suffix: suffix == ".safetensors", WEIGHTS),
)


@dataclass(frozen=True)
class Saved:
    """A network as it lies in a file.

    Attributes:
        version: of the Keras that wrote it, such as "2.4.0"; "" if the file does not say.
        config: the network's configuration: {"class_name": …, "config": …}.
        losses: the names of what it was trained to lessen, such as "categorical_crossentropy"; empty if unknown.
        zipped: whether it is a `.keras` archive; HDF5 otherwise.
    """

    file: Path
    version: str
    config: dict
    losses: tuple[str, ...]
    zipped: bool

    @property
    def writer(self) -> str:
        return f"Keras {self.version}" if self.version else "an unknown version of Keras"


def refusal(file: Path, why: str, received: object) -> ValueError:
    """The error for a file that cannot be imported, in one form."""
    return ValueError(f"{file.name} cannot be imported: {why}. Received: {received!s:.160}")


def read(file: Path) -> Saved:
    """Reads a network's configuration; no code in the file is run.

    Raises:
        ValueError: there is no such file, or it holds no Keras network.
    """
    if file.is_dir():
        saved_model = (file / "saved_model.pb").exists()
        raise refusal(file, SAVED_MODEL if saved_model else "it is a folder. Name the file in it", file)
    if not file.is_file():
        raise ValueError(f"there is no file to import. Received: {file}")
    with file.open("rb") as opened:
        head = opened.read(HEAD)
    for holds, why in FOREIGN:
        if holds(head, file.suffix.lower()):
            raise refusal(file, why, file)
    if head.startswith(ZIP):
        return from_zip(file)
    if head.startswith(HDF5):
        return from_hdf5(file)
    raise refusal(file, NO_KERAS, head[:16])


def from_zip(file: Path) -> Saved:
    """Reads a `.keras` archive; raises ValueError for any other zip."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if "config.json" not in names:
                raise refusal(file, other_zip(names), ", ".join(names))
            config = json.loads(archive.read("config.json"))
            about = json.loads(archive.read("metadata.json")) if "metadata.json" in names else {}
    except (zipfile.BadZipFile, json.JSONDecodeError, EOFError) as error:
        raise refusal(file, f"{NO_KERAS}: the archive is damaged. Copy or download it again", error) from error
    loss = (config.get("compile_config") or {}).get("loss")
    return Saved(file, about.get("keras_version", ""), config, named(loss), True)


def other_zip(names: list[str]) -> str:
    """What a zip that is no `.keras` archive is."""
    ends = tuple(name.lower() for name in names)
    if any(name.endswith("saved_model.pb") for name in ends):
        return SAVED_MODEL
    if any(name.endswith("data.pkl") for name in ends):
        return PYTORCH
    if any(name.endswith((".h5", ".keras")) for name in ends):
        return "it is a zip around other files. Unpack it, and import the .h5 or .keras file in it"
    if any(name.endswith(".tflite") for name in ends):
        return TFLITE
    return NO_KERAS


def from_hdf5(file: Path) -> Saved:
    """Reads an `.h5` file; raises ValueError if it holds no network."""
    try:
        with h5py.File(file, "r") as opened:
            about = {name: text(opened.attrs[name]) for name in ABOUT if name in opened.attrs}
            groups = list(opened)
            inner = [opened[name].attrs for name in groups if name == "model_weights"]
            version = about.get("keras_version") or next((text(one.get("keras_version", "")) for one in inner), "")
            config = json.loads(about.get("model_config") or "null")
            training = json.loads(about.get("training_config") or "null") or {}
    except (OSError, json.JSONDecodeError, KeyError) as error:
        raise refusal(file, f"{NO_KERAS}: it is damaged or cut off. Copy or download it again", error) from error
    if config is None:
        raise refusal(file, WEIGHTS if groups else NO_KERAS, ", ".join(groups) or "an empty HDF5 file")
    return Saved(file, version, config, named(training.get("loss") or training.get("loss_config")), False)


ABOUT = ("model_config", "training_config", "keras_version")


def text(value: object) -> str:
    """An HDF5 attribute as text; versions of h5py write it as bytes or str."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def named(loss: object) -> tuple[str, ...]:
    """The names of losses, as small letters without underscores, from any form that Keras saved them in."""
    match loss:
        case str():
            return (loss.replace("_", "").lower(),)
        case {"class_name": "function", "config": str(name)}:
            return named(name)
        case {"class_name": str(name)}:
            return named(name)
        case dict():
            return tuple(name for one in loss.values() for name in named(one))
        case list():
            return tuple(name for one in loss for name in named(one))
        case _:
            return ()
