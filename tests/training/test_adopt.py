"""Importing a Keras classifier makes a folder that both runtimes serve, or refuses the file in one sentence."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from inkling.recognition import catalog, inputs
from inkling.recognition.card import UNMEASURED, read_card
from inkling.recognition.runtimes import base, openvino
from inkling.recognition.runtimes import keras as keras_runtime
from training import __main__ as cli
from training.adopt import Wanted, adopt

LABELS = ("daisy", "rose", "tulip")
PHOTO = Wanted(LABELS, "objects", "photo", scaling="unit")
INK = Wanted(LABELS, "digits", "ink", scaling="unit", layout="mnist")
SIDE = 12


def net(outputs=3, activation="softmax", shape=(SIDE, SIDE, 3), front=(), back=()):
    """Returns a network as a notebook would build it."""
    keras.utils.set_random_seed(1)
    middle = (
        [layers.Flatten()]
        if None not in shape
        else [layers.Conv2D(4, 3, activation="relu"), layers.GlobalAveragePooling2D()]
    )
    return keras.Sequential(
        [
            keras.Input(shape),
            *front,
            *middle,
            layers.Dense(8, activation="relu"),
            layers.Dense(outputs, activation=activation),
            *back,
        ]
    )


def functional(calculate, **options):
    """Returns the same network as a functional model that starts with a bare operation."""
    inputs = keras.Input((SIDE, SIDE, 3))
    return keras.Model(inputs, net(**options)(calculate(inputs)))


@pytest.fixture
def save(tmp_path):
    """Saves a network with its optimizer, as a notebook would."""

    def save(model, name="my_flowers.keras", loss="categorical_crossentropy"):
        if model.built and isinstance(model.outputs, list) and len(model.outputs) == 1:
            model.compile("adam", loss)
        model.save(tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def pictures(card, count=7):
    shape = (count, card.input.height, card.input.width, card.input.channels)
    return np.random.default_rng(5).integers(0, 256, shape, np.uint8)


# ---- Networks that are accepted ----

SOFT, SIGMOID = "softmax was put behind it", "sigmoid was put behind it"
GOOD = {
    "softmax": (net(), PHOTO, ()),
    "softmax layer": (net(activation=None, back=[layers.Softmax()]), PHOTO, ()),
    "logits": (net(activation=None), PHOTO, (SOFT,)),
    "sigmoid": (net(1, "sigmoid"), replace(PHOTO, labels=("cat", "dog")), ()),
    "one logit": (net(1, None), replace(PHOTO, labels=("cat", "dog")), (SIGMOID,)),
    "two outputs": (net(2), replace(PHOTO, labels=("cat", "dog")), ()),
    "signed": (net(), replace(PHOTO, scaling="signed"), ()),
    "raw": (net(), replace(PHOTO, scaling="raw"), ()),
    "unknown scaling": (net(), replace(PHOTO, scaling=None), ("go in as 0..1, as no --scaling was given",)),
    "own scaling": (net(front=[layers.Rescaling(1 / 255)]), replace(PHOTO, scaling=None), ("go in as 0..255",)),
    "own signed scaling": (
        net(front=[layers.RandomFlip(), layers.Rescaling(1 / 127.5, -1)]),
        replace(PHOTO, scaling=None),
        ("go in as 0..255",),
    ),
    "own normalization": (
        net(front=[layers.Normalization(mean=[120.0, 110, 100], variance=[60.0**2] * 3)]),
        replace(PHOTO, scaling=None),
        ("go in as 0..255",),
    ),
    "scales what is 0..1": (net(front=[layers.Rescaling(2.0, -1.0)]), replace(PHOTO, scaling=None), ("0..1",)),
    "bare operation": (functional(lambda x: x / 127.5 - 1), replace(PHOTO, scaling=None), ("go in as 0..255",)),
    "bare operations on 0..1": (functional(lambda x: x * 2 - 1), replace(PHOTO, scaling=None), ("0..1",)),
    "augmentation": (net(front=[layers.RandomRotation(0.1), layers.RandomZoom(0.1)]), PHOTO, ()),
    "a network within": (functional(lambda x: x), PHOTO, ()),
    "any side": (net(shape=(None, None, 3)), replace(PHOTO, side=16), ()),
    "gray photos": (net(shape=(SIDE, SIDE, 1)), PHOTO, ("makes photos gray",)),
    "ink": (net(shape=(28, 28, 1)), INK, ()),
    "ink without channels": (net(shape=(28, 28)), INK, ("28 x 28 numbers",)),
    "flat ink": (net(shape=(784,)), INK, ("784 numbers",)),
    "untrained": (
        net(2, front=[layers.Rescaling(0.0)]),
        replace(PHOTO, labels=("a", "b"), scaling="raw"),
        ("go in as 0..255", "has it been trained?"),
    ),
}


@pytest.mark.parametrize(
    "name, suffix",
    [(name, "keras") for name in GOOD]
    + [("softmax", "h5"), ("one logit", "h5"), ("own signed scaling", "h5"), ("a network within", "hdf5")],
)
def test_both_runtimes_answer_as_the_network_did(save, models, name, suffix):
    model, wanted, says = GOOD[name]
    card, notes = adopt(save(model, f"my_flowers.{suffix}"), wanted, models)
    assert len(notes) == len(says)
    assert all(any(one in note for note in notes) for one in says)
    assert (card.name, card.title, card.labels) == ("my-flowers", "My flowers", wanted.labels)
    found = catalog.read_catalog(models)
    assert (found.broken, found.models["my-flowers"].card) == ({}, card)

    x = pictures(card)
    expected = answers(model, x, wanted, says)
    for served in (
        openvino.open_model(found.models["my-flowers"]),
        keras_runtime.open_model(found.models["my-flowers"]),
    ):
        assert served(inputs.scale(x, card.input.scaling)) == pytest.approx(expected, abs=1e-4)


def answers(model, x, wanted, says):
    """Returns the network's own probabilities, computed from the pixels that it was trained on."""
    raw = wanted.scaling == "raw" or any("0..255" in one for one in says)
    x = x.astype(np.float32) if raw else inputs.scale(x, wanted.scaling or "unit")
    channels = model.inputs[0].shape[-1]
    if channels == 1 and wanted.kind == "photo":
        x = x @ np.array([[0.299], [0.587], [0.114]], np.float32)
    shape = model.inputs[0].shape[1:]
    outputs = model(x if None in shape else x.reshape(-1, *shape), training=False).numpy()
    if SOFT in says:
        outputs = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    if SIGMOID in says:
        outputs = 1 / (1 + np.exp(-outputs))
    return base.probabilities(outputs)


def test_the_card_says_what_is_known_and_nothing_else(save, models):
    card, _ = adopt(save(GOOD["a network within"][0]), PHOTO, models)
    assert (card.metrics, card.training, card.history) == (None, None, {})
    assert (card.temperature, card.threshold) == (1, UNMEASURED)
    assert set(card.files) == {"model.keras", "model.onnx"}
    assert [row.kind for row in card.network] == ["InputLayer", "Flatten", "Dense", "Dense"]
    assert sum(row.parameters for row in card.network) == card.parameters == net().count_params()
    assert "my_flowers.keras" in card.summary


# ---- Networks that are refused ----


def two_inputs():
    a, b = keras.Input((SIDE, SIDE, 3)), keras.Input((SIDE, SIDE, 3))
    return keras.Model([a, b], net()(layers.Add()([a, b])))


def two_outputs():
    inputs = keras.Input((SIDE, SIDE, 3))
    return keras.Model(inputs, [net()(inputs), net()(inputs)])


class Own(layers.Layer):
    def call(self, x):
        return x


BAD = {
    "too few labels": (
        net(),
        {"labels": LABELS[:2]},
        r"has 3 outputs: it wants 3 labels\. Received: 2 \(daisy, rose\)$",
    ),
    "too many for a sigmoid": (net(1, "sigmoid"), {}, r"has 1 output: it wants 2 labels, .*Received: 3"),
    "the same label twice": (net(), {"labels": ("a", "b", "a")}, r"labels must differ\. Received: a, b, a$"),
    "an empty label": (net(), {"labels": ("a", "b", "")}, r"no label may be empty\. Received: a, b, $"),
    "no picture": (
        net(shape=(30,)),
        {},
        r"\(height, width, channels\) with 1 or 3 channels; .* row of numbers\. Received: \(30,\)$",
    ),
    "four channels": (net(shape=(SIDE, SIDE, 4)), {}, r"Received: \(12, 12, 4\)$"),
    "channels first": (net(shape=(3, SIDE, SIDE)), {}, r"channels first\..* Received: \(3, 12, 12\)$"),
    "any side": (net(shape=(None, None, 3)), {}, r"as --side 160\. Received: \(None, None, 3\) and no --side$"),
    "another side": (net(), {"side": 16}, r"takes 12 x 12 pixels: leave --side out\. Received: 16$"),
    "too small": (net(shape=(4, 4, 3)), {}, r"width: Input should be greater than or equal to 8\. Received: 4$"),
    "ink of another size": (net(shape=(32, 32, 1)), {"kind": "ink"}, r"ink is 28 x 28 with one channel\. Received: 32"),
    "layout of photos": (net(), {"layout": "mnist"}, r"Received: kind='photo', layout='mnist'$"),
    "many sigmoids": (net(3, "sigmoid"), {}, r"end it in a softmax\. Received: 3 sigmoids"),
    "a map": (
        keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Conv2D(3, 3)]),
        {},
        r"one row .*; this one answers pictures, as for segmentation\. Received: \(10, 10, 3\)$",
    ),
    "two inputs": (
        two_inputs(),
        {},
        r"must have one input, a picture\. Received: 2 inputs: \w+ \(12, 12, 3\), \w+ \(12, 12, 3\)$",
    ),
    "two outputs": (
        two_outputs(),
        {},
        r"one row .*; this one has several outputs\. Received: 2 outputs: \[\(3,\), \(3,\)\]$",
    ),
    "scaled twice": (net(front=[layers.Rescaling(1 / 255)]), {}, r"leave --scaling out\. Received: unit$"),
    "strokes": (
        keras.Sequential([keras.Input((None, 3)), layers.LSTM(4), layers.Dense(3, "softmax")]),
        {},
        r"this one reads sequences, such as the strokes of a drawing, instead of pixels\. Received: \(None, 3\)$",
    ),
    "words": (
        keras.Sequential([keras.Input((9,)), layers.Embedding(9, 4), layers.Flatten(), layers.Dense(3, "softmax")]),
        {},
        r"this one reads words\. Received: \(9,\)$",
    ),
    "films": (
        keras.Sequential([keras.Input((4, SIDE, SIDE, 3)), layers.Flatten(), layers.Dense(3, "softmax")]),
        {},
        r"this one reads films or volumes\. Received: \(4, 12, 12, 3\)$",
    ),
    "drawings": (net(shape=(28, 28)), {}, r"this, is imported with --input ink\. Received: \(28, 28\)$"),
    "boxes": (
        keras.Sequential([keras.Input((SIDE, SIDE, 3)), layers.Reshape((SIDE, 36)), layers.Dense(3)]),
        {},
        r"one row .*; this one answers several, as for boxes or text\. Received: \(12, 3\)$",
    ),
    "scaled and prepared": (net(), {"preprocess": "vgg16"}, r"leave --scaling out\. Received: vgg16, unit$"),
    "prepared twice": (
        net(front=[layers.Rescaling(1 / 255)]),
        {"scaling": None, "preprocess": "torch"},
        r"by itself, in 'rescaling\w*': leave --preprocess out\. Received: torch$",
    ),
    "prepared ink": (
        net(shape=(28, 28, 1)),
        {"kind": "ink", "scaling": None, "preprocess": "resnet"},
        r"for photos of 3 channels\. Received: ink with 1$",
    ),
    "never built": (keras.Sequential([layers.Flatten(), layers.Dense(3)]), {}, r"built before .* Received: 0 inputs$"),
    "not-a-number": (net(back=[layers.Rescaling(np.inf)]), {}, r"Received: not-a-number$"),
    "a name of no folder": (net(), {"name": "../x"}, r"name: String should match .*Received: '\.\./x'$"),
}


def refused(file, wanted, models, sentence):
    with pytest.raises(ValueError, match=sentence):
        adopt(file, wanted, models)
    assert not models.exists() or not list(models.iterdir())


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
@pytest.mark.parametrize("name", BAD)
def test_a_network_of_another_kind_is_refused_in_a_sentence(save, models, name):
    model, options, sentence = BAD[name]
    refused(save(model), replace(PHOTO, **options), models, sentence)


@pytest.mark.parametrize("loss", ["mse", "mean_absolute_error", keras.losses.Huber()], ids=["name", "long", "object"])
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_a_regression_is_told_from_logits_by_its_loss(save, models, loss, suffix):
    sentence = r"answers quantities, as it was trained by regression\. Received: the loss \w+$"
    refused(save(net(activation=None), f"a.{suffix}", loss), PHOTO, models, sentence)
    adopt(save(net(), f"b.{suffix}", loss), PHOTO, models)  # a softmax tells labels apart, however it was trained


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize(
    "layer, sentence",
    [
        (layers.Lambda(lambda x: x * 2), r"cannot be imported: it holds a Lambda layer: .* never run\..* Received: "),
        (Own(), r"cannot be imported: it holds a layer or function that is not Keras' own.* Received: "),
    ],
    ids=["lambda", "own layer"],
)
def test_code_in_a_file_is_never_run(save, models, layer, sentence, suffix):
    refused(save(net(front=[layer]), f"a.{suffix}"), PHOTO, models, sentence)


@pytest.mark.parametrize(
    "name, content, sentence",
    [
        ("a.keras", b"hello", r"no file that Keras can read\. Received: "),
        ("a.h5", b"hello", r"no file that Keras can read\. Received: "),
        ("a.pt", b"hello", r"no file that Keras can read\. Received: "),
        ("a.keras", None, r"there is no file to import\. Received: .*a\.keras$"),
    ],
)
def test_a_file_without_a_network_is_refused(tmp_path, models, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, PHOTO, models, sentence)


def test_weights_alone_are_refused(tmp_path, models):
    net().save_weights(tmp_path / "a.weights.h5")
    refused(tmp_path / "a.weights.h5", PHOTO, models, r"holds weights only\. Save the whole network")


# ---- The command ----


@pytest.fixture
def run(models, capfd):
    """Imports a file. Returns the exit status and all output as one text with single spaces."""

    def run(file, *options):
        required = ("--labels", "daisy, rose,tulip", "--task", "objects", "--input", "photo", "--models", str(models))
        status = cli.main(["import", str(file), *required, *options])
        out, err = capfd.readouterr()
        return status, " ".join(f"{out} {err}".split())

    return run


def test_the_command_prints_what_it_imported(run, save, models):
    status, text = run(save(net(activation=None)), "--name", "flowers", "--title", "Flowers")
    assert status == 0
    card = read_card(models / "flowers")
    assert (card.title, card.labels, card.task) == ("Flowers", LABELS, "objects")
    assert "It answers logits" in text
    assert f"folder {models / 'flowers'}" in text
    status, text = cli.main(["evaluate", "flowers", "--models", str(models)]), ""
    assert status == 1


def test_the_command_fails_in_one_sentence(run, save, models):
    status, text = run(save(net(5)))
    assert (status, text.count(".")) == (1, 1)
    assert text.endswith("Received: 3 (daisy, rose, tulip)")


def test_only_an_imported_model_is_replaced_without_asking(run, save, models):
    file = save(net())
    assert run(file)[0] == run(file)[0] == 0
    path = models / "my-flowers" / "card.json"
    card = json.loads(path.read_text())
    card["training"] = {
        "dataset": "toy",
        "train_size": 1,
        "held_out_size": 1,
        "epochs": 1,
        "seconds": 1,
        "seed": 0,
        "command": "make",
        "versions": {},
    }
    for content in (json.dumps(card), "broken"):
        path.write_text(content)
        status, text = run(file)
        assert status == 1
        assert text == f"a model that was not imported is only replaced with --replace. Received: {path.parent}"
        assert path.read_text() == content
    assert run(file, "--replace")[0] == 0
    assert read_card(path.parent).training is None
