"""Files of every version of Keras are imported with their answers, or refused with the true reason."""

import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from inkling.config import ROOT
from inkling.recognition import catalog, inputs
from inkling.recognition.runtimes import base, openvino
from inkling.recognition.runtimes import keras as keras_runtime
from tests.support import keras_files
from tests.support.keras_files import FILES
from training.adopt import PIXELS, PREPROCESS, Wanted, adopt, labels_of, scaling_of
from training.quiet import quiet
from training.saved import named

LABELS = ("daisy", "rose", "tulip")
PHOTO = Wanted(LABELS, "objects", "photo")
GOOD = {name: case for name, case in FILES.items() if case.twin}


def pixels(x, scaling):
    """Pictures, uint8, as a network of this scaling was trained on them."""
    if scaling in PREPROCESS:
        order, mean, deviation = PREPROCESS[scaling]
        return (x[..., order].astype(np.float32) - np.array(mean, np.float32)) / np.array(deviation, np.float32)
    return x.astype(np.float32) if scaling == "raw" else inputs.scale(x, scaling)


def assert_served(models, card, network, scaling):
    """Both runtimes answer as the network does to pixels of this scaling."""
    shape = (7, card.input.height, card.input.width, card.input.channels)
    x = np.random.default_rng(5).integers(0, 256, shape, np.uint8)
    own = pixels(x, scaling).reshape(-1, *network.inputs[0].shape[1:])
    expected = base.probabilities(network(own, training=False).numpy())
    assert np.ptp(expected, axis=0).max() > 1e-3  # or a network that ignores its pictures would do
    found = catalog.read_catalog(models).models[card.name]
    for served in (openvino.open_model(found), keras_runtime.open_model(found)):
        assert served(inputs.scale(x, card.input.scaling)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("name", GOOD)
def test_a_file_of_any_version_answers_as_it_did(tmp_path, name):
    case = GOOD[name]
    file, network = keras_files.write(case, tmp_path)
    wanted = Wanted(LABELS, "objects", case.kind)
    card, _ = adopt(file, wanted, tmp_path / "models")
    assert_served(tmp_path / "models", card, network, case.scaling)


@pytest.mark.parametrize("name", [name for name in FILES if name not in GOOD])
def test_a_file_that_does_not_fit_is_refused_by_version_and_layer(tmp_path, name):
    file, _ = keras_files.write(FILES[name], tmp_path)
    with pytest.raises(ValueError, match=FILES[name].refused) as error:
        adopt(file, PHOTO, tmp_path / "models")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "models").exists()


# ---- Weights ----


def test_weights_of_another_order_go_where_their_names_say(tmp_path):
    """Versions of Keras order the layers of nested networks differently; many weights have the same shape."""
    case = FILES["within"]
    file, network = keras_files.write(case, tmp_path)
    with h5py.File(file, "r+") as opened:
        names = opened["model_weights/base"].attrs["weight_names"]
        opened["model_weights/base"].attrs["weight_names"] = names[::-1]
        opened["model_weights"].attrs["layer_names"] = opened["model_weights"].attrs["layer_names"][::-1]
    card, _ = adopt(file, Wanted(LABELS, "objects", "photo"), tmp_path / "models")
    assert_served(tmp_path / "models", card, network, "unit")


def test_weights_that_do_not_fit_name_their_layer(tmp_path):
    file, _ = keras_files.write(FILES["no input layer"], tmp_path)
    with h5py.File(file, "r+") as opened:
        (name,) = (one for one in opened["model_weights/head"].attrs["weight_names"] if "kernel" in one)
        del opened["model_weights/head"][name]
        opened["model_weights/head"][name] = np.zeros((9, 3), np.float32)
    with pytest.raises(
        ValueError, match=r"Keras 2\.2\.4 .*'head/kernel:0' \(Dense\) .* weights of \(9, 3\) instead of \(4, 3\)$"
    ):
        adopt(file, PHOTO, tmp_path / "models")


def test_weights_in_other_files_are_not_read(tmp_path):
    file, _ = keras_files.write(FILES["no input layer"], tmp_path)
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["kernel"] = np.zeros((4, 3), np.float32)
    with h5py.File(file, "r+") as opened:
        (name,) = (one for one in opened["model_weights/head"].attrs["weight_names"] if "kernel" in one)
        del opened["model_weights/head"][name]
        opened["model_weights/head"][name] = h5py.ExternalLink(str(tmp_path / "other.h5"), "kernel")
    with pytest.raises(ValueError, match=r"my_flowers\.h5 cannot be imported: .*weights in other files"):
        adopt(file, PHOTO, tmp_path / "models")


def test_a_damaged_archive_names_the_layer_without_weights(tmp_path):
    file, _ = keras_files.write(FILES["archive"], tmp_path)
    config = json.loads(zipfile.ZipFile(file).read("config.json"))
    config["config"]["layers"][-1]["config"]["units"] = 4
    with zipfile.ZipFile(file, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("config.json", json.dumps(config))
    with pytest.raises(ValueError, match=r"Keras 2\.13\.1 saved it, and its layer 'head' \(Dense\) does not fit"):
        adopt(file, PHOTO, tmp_path / "models")


# ---- Files of another kind ----


def zipped(*names):
    def write(path):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"x")

    return write


def folder(*names):
    def write(path):
        path.mkdir()
        for name in names:
            (path / name).write_bytes(b"x")

    return write


def content(data):
    return lambda path: path.write_bytes(data)


def weights(path):
    with h5py.File(path, "w") as opened:
        opened.create_group("dense_1")
        opened.attrs["layer_names"] = [b"dense_1"]


OTHER = {
    "empty": ("a.h5", content(b""), "it is empty"),
    "git lfs": (
        "a.h5",
        content(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9458072\n"),
        "it is a Git LFS pointer, not the network itself. Fetch that with `git lfs pull`",
    ),
    "web page": ("a.h5", content(b"\n<!DOCTYPE html><html>"), "it is a web page. Download the file itself"),
    "tflite": ("a.tflite", content(b"\x1c\0\0\0TFL3\0"), "it is a TFLite network"),
    "tflite of teachable machine": ("a.zip", zipped("labels.txt", "model_unquant.tflite"), "it is a TFLite network"),
    "onnx": ("a.onnx", content(b"\x08\x08\x12\x07pytorch"), "it is an ONNX network, which needs no import"),
    "onnx by its bytes": ("a.h5", content(b"\x08\x08\x12\x07pytorch"), "it is an ONNX network"),
    "pytorch": ("a.pt", zipped("archive/data.pkl", "archive/data/0"), "it is a PyTorch file"),
    "old pytorch": ("a.pth", content(b"\x80\x02\x8a\nl"), "it is a PyTorch file"),
    "pickle": ("a.pkl", content(b"\x80\x04\x95"), "it is a Python pickle, which can run code and is never read"),
    "savedmodel": ("a", folder("saved_model.pb"), "it is a SavedModel"),
    "zipped savedmodel": ("a.zip", zipped("labels.txt", "model.savedmodel/saved_model.pb"), "it is a SavedModel"),
    "graph": ("a.pb", content(b"\n\x0b\n\x05"), "it is a SavedModel"),
    "folder": ("a", folder("keras_model.h5"), "it is a folder. Name the file in it"),
    "around a file": ("a.zip", zipped("keras_model.h5", "labels.txt"), "it is a zip around other files. Unpack it"),
    "another zip": ("a.keras", zipped("readme.txt"), "it is no file that Keras can read"),
    "tensorflow.js": ("a.json", content(b'{"modelTopology": {}}'), "it is a TensorFlow.js network"),
    "layers only": ("a.json", content(b'{"class_name": "Sequential"}'), "it holds layers without weights"),
    "weights only": ("a.h5", weights, "it holds weights only. Save the whole network: model.save('NAME.keras')"),
    "safetensors": ("a.safetensors", content(b"\x10\0\0\0{}"), "it holds weights only"),
    "cut off": ("a.h5", content(b"\x89HDF\r\n\x1a\n" + bytes(40)), "it is damaged or cut off"),
    "cut zip": ("a.keras", content(b"PK\x03\x04" + bytes(40)), "the archive is damaged"),
}


@pytest.mark.parametrize("name", OTHER)
def test_a_file_of_another_kind_is_named(tmp_path, name):
    called, make, sentence = OTHER[name]
    make(tmp_path / called)
    with pytest.raises(ValueError, match=f"^{re.escape(called)} cannot be imported: ") as error:
        adopt(tmp_path / called, PHOTO, tmp_path / "models")
    assert sentence in str(error.value)
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("name", ["keras_model.keras", "keras_model.h5", "keras_model", "model.hdf5", "a.bin"])
def test_bytes_decide_what_a_file_is_not_its_name(tmp_path, name):
    file, network = keras_files.write(FILES["archive"], tmp_path)
    card, _ = adopt(file.rename(tmp_path / name), PHOTO, tmp_path / "models")
    assert_served(tmp_path / "models", card, network, "unit")


@pytest.mark.parametrize(
    "loss, names",
    [
        ("categorical_crossentropy", ("categoricalcrossentropy",)),
        ({"class_name": "MeanSquaredError", "config": {"reduction": "auto"}}, ("meansquarederror",)),
        ({"module": "builtins", "class_name": "function", "config": "mse", "registered_name": "function"}, ("mse",)),
        ({"box": "mse", "label": "binary_crossentropy"}, ("mse", "binarycrossentropy")),
        (["mae", None], ("mae",)),
        (None, ()),
    ],
)
def test_losses_of_every_form_are_named(loss, names):
    assert named(loss) == names


# ---- Pixels and labels ----


@pytest.mark.parametrize("name", PREPROCESS)
def test_preprocessing_is_put_in_front(tmp_path, name):
    file, network = keras_files.write(replace(FILES["no input layer"], spread=0.05), tmp_path)
    card, _ = adopt(file, Wanted(LABELS, "objects", "photo", preprocess=name), tmp_path / "models")
    assert card.network[1].name == "preprocess"
    assert_served(tmp_path / "models", card, network, name)


@pytest.mark.parametrize("name", PREPROCESS)
def test_preprocessing_is_that_of_keras(name):
    module = {"vgg16": keras.applications.vgg16, "resnet": keras.applications.resnet}.get(
        name, keras.applications.densenet
    )
    x = np.random.default_rng(1).integers(0, 256, (2, 4, 4, 3), np.uint8)
    assert pixels(x, name) == pytest.approx(module.preprocess_input(x.astype(np.float32)), abs=1e-4)


APPLICATIONS = {
    "MobileNetV2": ("signed", {"alpha": 0.35}),
    "MobileNet": ("signed", {"alpha": 0.25}),
    "VGG16": ("vgg16", {}),
    "ResNet50": ("resnet", {}),
    "ResNet50V2": ("signed", {}),
    "DenseNet121": ("torch", {}),
    "Xception": ("signed", {}),
    "InceptionV3": ("signed", {}),
}
BACKBONES_NAMES = {"VGG16": "VGG", "ResNet50": "ResNet", "ResNet50V2": "ResNetV2", "DenseNet121": "DenseNet"}


@pytest.mark.parametrize("name", APPLICATIONS)
def test_pixels_go_in_as_those_of_the_network_that_it_was_made_from(tmp_path, name):
    pixels, options = APPLICATIONS[name]
    base = getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(96, 96, 3), **options)
    notes = []
    assert scaling_of(keras.Sequential([base, layers.Flatten()]), Wanted(LABELS, "objects", "photo"), notes) == pixels
    assert len(notes) == 1
    assert f"as {BACKBONES_NAMES.get(name, name)}'s preprocess_input does" in notes[0]
    assert_others_are_offered(notes[0], pixels)
    chosen = Wanted(LABELS, "objects", "photo", scaling="unit")
    assert scaling_of(keras.Sequential([base]), chosen, notes) == "unit"


def test_pixels_that_nothing_tells_are_0_to_1_and_the_others_are_offered():
    notes = []
    network = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(3)])
    assert scaling_of(network, Wanted(LABELS, "objects", "photo"), notes) == "unit"
    assert_others_are_offered(*notes, "unit")


def assert_others_are_offered(note, pixels):
    """The sentence names each other way to give the pixels, as its option is written, and not the one taken."""
    scalings, preprocess = re.search(r"with --scaling (.+?)\. .+ with --preprocess (.+)\.", note).groups()
    assert set(re.findall(r"\w+(?= \()", scalings)) == set(PIXELS) - {pixels}
    assert set(preprocess.split(" or ")) == set(PREPROCESS) - {pixels}


@pytest.mark.parametrize(
    "content, labels",
    [
        ("0 Cat\n1 Dog\n2 Class 3\n", ("Cat", "Dog", "Class 3")),
        ("\ufeff0 Cat\r\n1 Dog\r\n\r\n", ("Cat", "Dog")),
        ("cat\ndog, wet\n", ("cat", "dog, wet")),
        ("1 cent\n5 cents\n", ("1 cent", "5 cents")),
        ("0 Katze\n1 Über\n", ("Katze", "Über")),
    ],
)
def test_labels_come_from_a_file_without_its_numbers(tmp_path, content, labels):
    (tmp_path / "labels.txt").write_bytes(content.encode())
    assert labels_of(str(tmp_path / "labels.txt")) == labels


def test_labels_come_from_the_command_line():
    assert labels_of("cat, dog") == ("cat", "dog")


def test_labels_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"the labels cannot be read\. Received: .*nothing\.txt: "):
        labels_of(str(tmp_path / "nothing.txt"))


# ---- The command ----


def test_nobody_reads_the_warnings_of_keras_and_tensorflow(tmp_path):
    """In a process of its own, as TensorFlow writes most when it is loaded."""
    file, _ = keras_files.write(FILES["teachable machine"], tmp_path, "keras_model")
    (tmp_path / "labels.txt").write_text("0 Daisy\n1 Rose\n2 Tulip\n")
    command = [sys.executable, "-m", "training", "import", str(file), "--labels", str(tmp_path / "labels.txt")]
    command += ["--task", "objects", "--input", "photo", "--models", str(tmp_path / "models")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("It is made from MobileNetV2, so pixels go in as -1..1, ")
    assert "labels      Daisy, Rose, Tulip\n" in done.stdout


def hear(error):
    """Raises an error while TensorFlow's messages are withheld."""
    with quiet():
        os.write(2, b"what TensorFlow said\n")
        raise error


def test_an_unexpected_error_shows_what_was_withheld(capfd):
    with pytest.raises(RuntimeError, match="a bug"):
        hear(RuntimeError("a bug"))
    assert capfd.readouterr().err == "what TensorFlow said\n"


def test_an_expected_error_shows_nothing_else(capfd):
    with pytest.raises(ValueError, match="a bad file"):
        hear(ValueError("a bad file"))
    assert capfd.readouterr().err == ""
