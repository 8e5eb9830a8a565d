"""The commands of `python -m training` on a tiny data set."""

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import keras
import pytest

from inkling.recognition import catalog
from inkling.recognition.card import InputSpec, read_card
from inkling.recognition.runtimes import openvino
from tests.support.recipes import toy_recipe
from training import __main__ as cli
from training import augment, data, evaluate, export, fit, registry
from training.download import DownloadError

ROOT = Path(cli.__file__).parent.parent
INK = InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="mnist")


def network(labels):
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.AveragePooling2D(4)(inputs)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(labels, activation="softmax")(x))


def another(labels):
    inputs = keras.Input((28, 28, 1))
    return keras.Model(inputs, keras.layers.Dense(labels, activation="softmax")(keras.layers.Flatten()(inputs)))


TOY = toy_recipe(
    dataset="mnist",
    input=INK,
    build=network,
    augment=augment.drawings,
    epochs=3,
    learning_rate=0.02,
    groups={"first two": 2},
    exact=True,
)


@pytest.fixture(autouse=True)
def prepared(prepare_bars):
    prepare_bars(TOY)


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


@pytest.fixture
def run(models, capfd):
    """Runs a command. Returns its exit status and all output as one text with single spaces."""

    def run(*arguments, folder=True):
        status = cli.main([*arguments, *(["--models", str(models)] if folder else [])])
        out, err = capfd.readouterr()
        return status, " ".join(f"{out} {err}".split())

    return run


def everything(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_train_makes_a_model_that_evaluate_confirms(run, models):
    status, text = run("train", "toy", "--epochs", "2", "--seed", "3")
    assert status == 0
    card = read_card(models / "toy")
    assert card.training.command == "python -m training train toy --seed 3 --epochs 2"
    assert (card.training.epochs, card.training.seed, card.metrics.test_size) == (2, 3, 100)
    assert card.training.train_size + card.training.held_out_size == 300
    assert f"accuracy {card.metrics.accuracy:.2%}" in text
    assert "among first two" in text
    assert f"folder {models / 'toy'}" in text

    status, text = run("evaluate", "toy")
    assert status == 0
    assert f"accuracy {card.metrics.accuracy:.2%} {card.metrics.accuracy:.2%}" in text

    state_accuracy(models, card.metrics.accuracy - 0.002 if card.metrics.accuracy > 0.5 else 0.9)
    status, text = run("evaluate", "toy")
    assert status == 1
    assert text.endswith("The accuracy is not the card's.")
    assert run("evaluate", "toy", "--limit", "20")[0] == 0  # a run on a few pictures gives no verdict


@pytest.mark.parametrize("processor", [True, False])
def test_evaluate_measures_bfloat16_if_the_processor_has_it(run, models, monkeypatch, processor):
    """Any model can be measured in bfloat16, even if it is never served in it."""
    asked, right = [], openvino.PictureNetwork
    run("train", "toy", "--epochs", "1", "--seed", "3")

    def note(model, shape, threads, precision):
        asked.append(precision)
        return right(model, shape, threads)

    monkeypatch.setattr(openvino, "PictureNetwork", note)
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: processor)
    status, text = run("evaluate", "toy", "--precision", "bf16")
    assert (status, asked) == ((0, ["bf16"]) if processor else (1, []))
    assert processor or text.endswith("this processor has no bfloat16")


def test_the_median_of_several_seeds_is_kept_and_all_are_recorded(run, models):
    status, text = run("train", "toy", "--epochs", "2", "--seed", "4", "--seeds", "3")
    assert status == 0
    card = read_card(models / "toy")
    assert card.training.command == "python -m training train toy --seed 4 --epochs 2 --seeds 3"
    assert [trial.seed for trial in card.trials] == [4, 5, 6]
    (kept,) = [trial for trial in card.trials if trial.seed == card.training.seed]
    assert kept.held_out == sorted(trial.held_out for trial in card.trials)[1]
    assert kept.accuracy == pytest.approx(card.metrics.accuracy, abs=0.011)  # ONNX may resolve ties differently
    assert "mean of 3 seeds" in text
    assert f"seed kept {kept.seed}" in text


def test_one_seed_is_no_trial(run, models):
    run("train", "toy", "--epochs", "1", "--limit", "20")
    assert read_card(models / "toy").trials == ()


def test_a_recipe_may_bring_its_own_training_and_have_no_history(run, models, monkeypatch):
    def at_once(recipe, dataset, run):
        return fit.Fitted(recipe.build(len(dataset.labels)), {}, run.epochs, 0.1)

    monkeypatch.setattr(registry, "recipes", lambda: {"toy": replace(TOY, fit=at_once, augment=None)})
    assert run("train", "toy", "--limit", "20")[0] == 0
    card = read_card(models / "toy")
    assert (card.history, card.training.epochs) == ({}, 3)
    assert "curves.svg" not in card.files
    assert "scikit-learn" in card.training.versions


def state_accuracy(models, accuracy):
    """Changes the accuracy in the card."""
    path = models / "toy" / "card.json"
    card = json.loads(path.read_text())
    card["metrics"]["accuracy"] = accuracy
    path.write_text(json.dumps(card))


def test_a_limited_training_says_so_and_is_not_compared_with_all_pictures(run, models):
    assert run("train", "toy", "--limit", "40", "--epochs", "1")[0] == 0
    card = read_card(models / "toy")
    assert card.training.command == "python -m training train toy --seed 0 --epochs 1 --limit 40"
    assert (card.training.train_size, card.training.held_out_size, card.metrics.test_size) == (40, 40, 40)
    status, text = run("evaluate", "toy")
    assert status == 1
    assert text.endswith("The card was measured on 40 pictures, not 100.")
    _, text = run("evaluate", "toy", "--limit", "40")  # the same 40 pictures as before
    assert f"accuracy {card.metrics.accuracy:.2%} {card.metrics.accuracy:.2%}" in text


@pytest.mark.parametrize(
    ("recipes", "title"),
    [
        ({"toy": replace(TOY, title="Renamed")}, "Renamed"),
        ({"toy": replace(TOY, title="Another", build=another)}, "Toy"),
        ({}, "Toy"),
    ],
    ids=["the recipe's words", "a recipe of another network", "no recipe"],
)
def test_export_writes_the_folder_anew_without_training(run, models, monkeypatch, recipes, title):
    """A network with familiarity can be exported too, and the recipe may have changed since training."""
    run("train", "toy", "--epochs", "1", "--seed", "3")
    before, network = read_card(models / "toy"), (models / "toy" / "model.onnx").read_bytes()
    monkeypatch.setattr(registry, "recipes", lambda: recipes)
    monkeypatch.setattr(fit, "fit", None)  # raises an error if called
    (models / "toy" / "stray.txt").write_text("old")
    status, text = run("export", "toy")
    assert status == 0, text
    after = read_card(models / "toy")
    assert after.title == title
    renewed = {"title", "metrics", "files", "network"}
    assert after.model_dump(exclude=renewed) == before.model_dump(exclude=renewed)
    assert [(row.kind, row.parameters) for row in after.network] == [
        (row.kind, row.parameters) for row in before.network
    ]
    assert after.metrics.model_dump(exclude={"groups"}) == before.metrics.model_dump(exclude={"groups"})
    assert not (models / "toy" / "stray.txt").exists()
    # Node names vary in length with what the process built before. Weights of another width would exceed the tolerance.
    assert len((models / "toy" / "model.onnx").read_bytes()) == pytest.approx(len(network), rel=0.2)


def test_a_file_that_keras_refuses_is_not_exported(run, models):
    run("train", "toy", "--limit", "20", "--epochs", "1")
    (models / "toy" / "model.keras").write_bytes(b"something else")
    before = everything(models)
    status, text = run("export", "toy")
    assert status == 1
    assert "model.keras is not the file that the card describes" in text
    assert everything(models) == before


@pytest.mark.parametrize(("module", "function"), [(fit, "fit"), (export, "save"), (evaluate, "measure")])
def test_ctrl_c_leaves_the_model_as_it_was(run, models, monkeypatch, module, function):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    (models / "toy").mkdir(parents=True)
    (models / "toy" / "card.json").write_text("the last good one")
    monkeypatch.setattr(module, function, interrupted)
    status, text = run("train", "toy", "--limit", "20", "--epochs", "1")
    assert status == 130
    assert text.endswith(f"Stopped: {models}/toy is as it was.")
    assert everything(models) == {"toy/card.json": b"the last good one"}
    assert [path.name for path in models.iterdir()] == ["toy"]


def test_a_signal_in_the_middle_of_training_stops_it(models):
    """A real process gets the signal of Ctrl-C after its first epoch."""
    (models / "digits-cnn").mkdir(parents=True)
    (models / "digits-cnn" / "card.json").write_text("the last good one")
    command = [
        sys.executable,
        "-m",
        "training",
        "train",
        "digits-cnn",
        "--epochs",
        "500",
        "--limit",
        "20",
        "--models",
        str(models),
    ]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    deadline = threading.Timer(220, process.kill)
    deadline.start()
    try:
        assert any(line.startswith("Epoch 2/") for line in process.stdout)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    finally:
        process.kill()
        deadline.cancel()
    assert process.returncode == 130
    assert err.splitlines()[-1] == f"Stopped: {models}/digits-cnn is as it was."
    assert everything(models) == {"digits-cnn/card.json": b"the last good one"}


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("prepare", "There is no data set 'nope'. Known are: mnist, cifar10, doodles, cats-dogs, imagenet-val."),
        ("train", "There is no model 'nope'. Known are: toy."),
        ("evaluate", "There is no model 'nope'. Known are: none."),
        ("export", "There is no model 'nope'. Known are: none."),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(run, command, sentence):
    assert run(command, "nope", folder=command != "prepare") == (2, sentence)


@pytest.mark.parametrize("option", ["--epochs", "--limit", "--seeds"])
@pytest.mark.parametrize("value", ["0", "1.5"])
def test_a_count_must_be_a_whole_number(option, value):
    with pytest.raises(SystemExit) as stop:
        cli.main(["train", "toy", option, value])
    assert stop.value.code == 2


def test_prepare_says_where_the_data_is(run):
    assert run("prepare", "mnist", folder=False) == (0, f"mnist is ready: {data.folder() / 'mnist.npz'}")


def test_a_failed_download_is_one_sentence(run, monkeypatch):
    def fail(name):
        raise DownloadError("the host must answer. Received: nothing")

    monkeypatch.setattr(data, "prepare", fail)
    assert run("prepare", "mnist", folder=False) == (1, "the host must answer. Received: nothing")
    assert run("train", "toy") == (1, "the host must answer. Received: nothing")


def test_a_broken_card_is_one_sentence(run, models):
    (models / "toy").mkdir(parents=True)
    status, text = run("evaluate", "toy")
    assert status == 1
    assert text == f"{models / 'toy'}: card.json cannot be read: No such file or directory"


def test_a_card_of_other_labels_is_refused(run, models):
    run("train", "toy", "--limit", "20", "--epochs", "1")
    path = models / "toy" / "card.json"
    path.write_text(path.read_text().replace('"labels": ["0"', '"labels": ["zero"'))
    status, text = run("evaluate", "toy")
    assert status == 1
    assert "mnist must have the labels of the card. Received: 0, 1," in text


def test_the_registry_knows_each_model_once(monkeypatch):
    monkeypatch.undo()
    recipes = registry.recipes()
    assert all(name == recipe.name for name, recipe in recipes.items())
    tasks = {recipe.task for recipe in recipes.values()}
    assert {"digits", "doodles", "cats-dogs"} <= tasks <= set(catalog.TASKS)


def test_asking_for_help_loads_nothing_heavy():
    code = "import sys, training.__main__; print({'keras', 'tensorflow', 'matplotlib'} & sys.modules.keys())"
    command = [sys.executable, "-c", code]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
