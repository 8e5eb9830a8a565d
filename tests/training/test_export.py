"""A trained network is exported as a complete folder of models/, or not at all."""

import contextlib
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from inkling.recognition import catalog
from inkling.recognition.card import InputSpec, read_card
from inkling.recognition.runtimes import base, openvino
from inkling.recognition.runtimes import keras as keras_runtime
from tests.support.recipes import toy_recipe
from training import evaluate, export, registry, strangers
from training.data import Dataset, Split
from training.fit import Fitted

INK = InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="mnist")
RECIPES = registry.recipes()


def network(labels):
    """A small network that ends in a softmax, or in one sigmoid for two labels."""
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(2, 3, strides=3)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Flatten()(x)
    outputs, activation = (1, "sigmoid") if labels == 2 else (labels, "softmax")
    return keras.Model(inputs, keras.layers.Dense(outputs, activation=activation)(x))


RECIPE = toy_recipe(
    input=INK,
    build=network,
    groups={"first two": 2},
    exact=True,
)


STRANGE = {"noise": np.random.default_rng(1).integers(0, 256, (20, 28, 28), np.uint8)}


@pytest.fixture(autouse=True, scope="module")
def few_strangers():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strangers, "gather", lambda task, spec, count: STRANGE)
        yield


def toy(labels):
    """A data set of noise with the given number of labels."""
    rng = np.random.default_rng(0)

    def split(size):
        return Split(rng.integers(0, 256, (size, 28, 28), np.uint8), np.arange(size) % labels)

    names = ("a, b", '[c]: "d"', "{e}", "f\n  g")[:labels]
    return Dataset("toy", names, split(40), split(30), split(150), "made here")


def fitted(model):
    history = {key: [0.123456789, 0.5] for key in export.CURVES}
    return Fitted(model, history | {"learning_rate": [1, 1]}, 2, 3.21)


def save(root, labels=3, seed=1):
    keras.utils.set_random_seed(seed)
    return export.save(RECIPE, toy(labels), fitted(network(labels)), root, "make toy", seed)


def everything(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with one model. Tests must not change it."""
    root = tmp_path_factory.mktemp("models")
    save(root)
    return root


@pytest.fixture
def models(saved, tmp_path):
    """A copy of that folder."""
    root = tmp_path / "models"
    (root / "toy").mkdir(parents=True)
    for name, content in everything(saved).items():
        (root / name).write_bytes(content)
    return root


def test_the_card_describes_the_folder(saved):
    found = catalog.read_catalog(saved)
    assert not found.broken
    model = found.models["toy"]
    assert set(model.card.files) == {"model.keras", "model.onnx", "confusion.svg", "curves.svg"}
    assert {path.name for path in model.folder.iterdir()} == {"card.json", *model.card.files}
    for name in model.card.files:
        catalog.check_file(model, name)


def test_the_card_says_how_the_model_came_to_be(saved):
    card = read_card(saved / "toy")
    training = card.training
    assert (training.train_size, training.held_out_size, card.metrics.test_size) == (40, 30, 150)
    assert (training.epochs, training.seconds, training.seed, training.command) == (2, 3.2, 1, "make toy")
    assert set(training.versions) == {"python", "keras", "tensorflow", "scikit-learn", "openvino"}
    assert card.attribution == "made here"
    assert card.exact
    assert card.history == {key: (0.12346, 0.5) for key in export.CURVES}
    assert [layer.kind for layer in card.network] == ["InputLayer", "Conv2D", "BatchNormalization", "Flatten", "Dense"]
    assert sum(layer.parameters for layer in card.network) == card.parameters
    assert card.network[-1].output == (None, 3)


def test_the_card_reads_well_and_keeps_odd_labels(saved):
    text = (saved / "toy" / "card.json").read_text()
    assert len(re.findall(r"^ *\[\d+, \d+, \d+\],?$", text, re.MULTILINE)) == 3  # the rows of the matrix
    card = read_card(saved / "toy")
    assert card.labels == toy(3).labels
    assert json.loads(text) == json.loads(card.model_dump_json())


@pytest.mark.parametrize("labels", [2, 4])
def test_the_card_holds_the_figures_of_the_served_file(tmp_path, labels):
    """The card's figures are those of the ONNX file at the card's temperature and threshold. Keras agrees with them."""
    card = save(tmp_path, labels)
    model = catalog.Model(card, tmp_path / "toy")
    served = openvino.open_model(model)
    assert card == read_card(tmp_path / "toy")
    assert card.metrics == evaluate.measure(
        served, toy(labels), INK, card.temperature, card.threshold, RECIPE.groups, card.familiar, STRANGE
    )
    batch = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)
    assert served(batch) == pytest.approx(keras_runtime.open_model(model)(batch), abs=1e-4)


def test_the_keras_file_holds_no_optimizer(tmp_path):
    model = network(3)
    model.compile("adam", "categorical_crossentropy")
    model.train_on_batch(np.zeros((1, 28, 28, 1)), np.eye(3)[:1])
    export.write_network(model, toy(3).test.x, RECIPE, tmp_path)
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        assert b"optimizer" not in file.read("model.weights.h5")


@pytest.mark.parametrize("off", [3e-3, np.nan])
def test_a_network_that_onnx_gets_wrong_is_refused(models, monkeypatch, off):
    right = openvino.compile_onnx
    wrong = np.float32(off)
    monkeypatch.setattr(
        openvino,
        "compile_onnx",
        lambda path: lambda batch: [output + off for output, off in zip(right(path)(batch), (wrong, 0), strict=True)],
    )
    before = everything(models)
    with pytest.raises(ValueError, match=r"Received: a difference of (0\.003|nan)$"):
        save(models)
    assert everything(models) == before


@pytest.mark.parametrize("recipe", [pytest.param(it, id=name) for name, it in RECIPES.items() if not it.backbone])
@pytest.mark.usefixtures("thin_vgg16")
def test_every_network_exports_with_a_free_batch(recipe, tmp_path):
    labels = {"cats-dogs": 2, "doodles": 60}.get(recipe.dataset, 10)
    shape = (28, 28) if recipe.input.kind == "ink" else (160, 160, 3)
    pictures = np.random.default_rng(0).integers(0, 256, (3, *shape), np.uint8)
    serve = export.write_network(recipe.build(labels), pictures, recipe, tmp_path)
    size = (recipe.input.height, recipe.input.width, recipe.input.channels)
    for batch in (1, 5):
        assert serve(np.zeros((batch, *size), np.float32)).shape == (batch, labels)


def test_temperature_and_threshold_come_from_held_out_pictures_alone():
    dataset = replace(toy(3), train=None, test=None)
    network = base.Answering(lambda batch: [np.full((len(batch), 3), 1 / 3), np.arange(len(batch))[:, None]])
    temperature, threshold, familiar = export.decide(network, dataset, RECIPE)
    assert temperature > 0
    assert 0 <= threshold <= 1
    assert 0 < familiar < 30 * 0.05


def test_half_finished_drawings_raise_the_threshold_where_they_mislead():
    """A network that reads whole drawings alone: of half-finished ones, it is right only with more certainty."""
    x = np.zeros((200, 28, 28), np.uint8)
    x[:, 4:24, 13:15] = 255
    dataset = replace(toy(2), train=None, test=None, held_out=Split(x, np.arange(200) % 2))
    seen = []

    def network(batch):
        seen.append(batch)
        place = np.arange(sum(map(len, seen[:-1])), sum(map(len, seen)))
        number, half = place % 200, place >= 200
        certain = np.where(number < 150, 0.99, 0.92)
        wrong = half & (number >= 150)
        second = np.where((number % 2 == 1) ^ wrong, certain, 1 - certain)
        return [np.stack([1 - second, second], axis=1).astype(np.float32)]

    recipe = replace(RECIPE, moments=(0.5,))
    temperature, threshold, familiar = export.decide(base.Answering(network), dataset, recipe)
    assert familiar is None
    assert sum(map(len, seen)) == 400
    low, high = (float(base.tempered(np.array([[1 - p, p]], np.float32), temperature).max()) for p in (0.92, 0.99))
    assert low < threshold <= high


@pytest.mark.parametrize(
    ("module", "function", "error"),
    [
        (openvino, "compile_onnx", OSError),
        (evaluate, "measure", KeyboardInterrupt),
        (evaluate, "draw_curves", KeyboardInterrupt),
        (export, "as_json", OSError),
    ],
)
def test_the_old_model_survives_any_failure(models, monkeypatch, module, function, error):
    def fail(*args, **kwargs):
        raise error("for this test")

    monkeypatch.setattr(module, function, fail)
    before = everything(models)
    with pytest.raises(error):
        save(models, seed=2)
    assert everything(models) == before
    assert [path.name for path in models.iterdir()] == ["toy"]


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_failure_while_renaming_puts_the_old_folder_back(models, monkeypatch, failing, error):
    rename, calls = Path.rename, []

    def fails_once(path, target):
        calls.append(path)
        if len(calls) == failing:
            raise error("for this test")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fails_once)
    before = everything(models)
    with pytest.raises(error), export.replacing(models / "toy") as draft:
        (draft / "card.json").write_text("new")
    assert everything(models) == before
    assert [path.name for path in models.iterdir()] == ["toy"]


def test_a_new_folder_replaces_the_old_one_whole(models):
    (models / "toy" / "stray.txt").write_text("old")
    with export.replacing(models / "toy") as draft:
        assert draft.parent == models
        assert draft.name.startswith(".")  # the catalog ignores hidden folders
        (draft / "card.json").write_text("new")
    assert everything(models) == {"toy/card.json": b"new"}


def test_the_next_run_repairs_what_a_killed_run_left(models):
    """The run was killed between the two renames: the old model was set aside and the new one is still a draft."""
    before = everything(models)
    (models / "toy").rename(models / ".toy.old")
    (models / ".toy.draft").mkdir()
    (models / ".toy.draft" / "half.txt").write_text("half")
    with contextlib.suppress(KeyboardInterrupt), export.replacing(models / "toy") as draft:
        assert not list(draft.iterdir())
        raise KeyboardInterrupt
    assert everything(models) == before
    assert [path.name for path in models.iterdir()] == ["toy"]
