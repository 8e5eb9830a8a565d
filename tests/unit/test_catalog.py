"""A model is a folder: broken cards and files switch off that one model; the shipped cards tell the truth."""

import errno
import json
import shutil
from pathlib import Path

import pytest

from inkling.config import ROOT
from inkling.recognition import catalog
from inkling.recognition.card import read_card, sha256
from inkling.recognition.catalog import TASKS, check_file, read_catalog

ABSENT = object()


@pytest.fixture
def models(models_folder, ink_model, tmp_path):
    """A folder with two models, the first to be broken by the test."""
    for name in ("first", "second"):
        shutil.copytree(models_folder / ink_model, tmp_path / name)
        change(tmp_path / name, ["name"], name)
    return tmp_path


def change(folder, keys, value):
    """Sets one value in a card, or takes it away."""
    card = json.loads((folder / "card.json").read_text())
    *path, last = keys
    part = card
    for key in path:
        part = part[key]
    if value is ABSENT:
        del part[last]
    else:
        part[last] = value
    (folder / "card.json").write_text(json.dumps(card))


# ---- Broken cards ----


def test_good_cards_are_read(models):
    catalog = read_catalog(models)
    assert (list(catalog.models), catalog.broken) == (["first", "second"], {})


@pytest.mark.parametrize(
    "keys, value, reason",
    [
        (["title"], ABSENT, "title: Field required"),
        (["metrics", "accuracy"], ABSENT, "metrics.accuracy: Field required"),
        (["colour"], "blue", "colour: Extra inputs are not permitted. Received: 'blue'"),
        (["input", "colour"], "blue", "input.colour: Extra inputs"),
        (["name"], "other", "name must be the folder's, 'first'. Received: 'other'"),
        (["name"], "../first", "name: String should match"),
        (["task"], "birds", "task: Input should be"),
        (["labels"], ["7"], "labels: Tuple should have at least 2 items"),
        (["input", "kind"], "sound", "input.kind: Input should be"),
        (["input", "kind"], "photo", "a photo takes layout 'squeeze'"),
        (
            ["input"],
            {"kind": "photo", "width": 28, "height": 28, "channels": 1, "scaling": "unit"},
            "a photo has 3 channels. Received: 1",
        ),
        (["input", "layout"], "squeeze", "ink takes 'mnist' or 'quickdraw'"),
        (["input", "width"], 32, "ink is 28 x 28 with one channel. Received: 32 x 28 with 1"),
        (["input", "channels"], 4, "input.channels: Input should be 1 or 3"),
        (["input", "scaling"], "none", "input.scaling: Input should be"),
        (["files", "model.onnx"], "0" * 63, "files.model.onnx: String should match"),
        (["files", "model.onnx"], "G" * 64, "files.model.onnx: String should match"),
        (["temperature"], 0, "temperature: Input should be greater than 0"),
        (["threshold"], 1.5, "threshold: Input should be less than or equal to 1"),
        (["metrics", "accuracy"], 99.5, "metrics.accuracy: Input should be less than or equal to 1"),
    ],
)
def test_a_broken_card_disables_that_model_alone(models, keys, value, reason):
    change(models / "first", keys, value)
    catalog = read_catalog(models)
    assert list(catalog.models) == ["second"]
    assert list(catalog.broken) == ["first"]
    assert catalog.broken["first"].startswith("card.json: ")
    assert reason in catalog.broken["first"]


MINIMAL = ("name", "task", "title", "labels", "input", "files")


def only(folder, keys):
    """Leaves nothing but these keys in a card."""
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({key: card[key] for key in keys}))


def test_six_keys_make_a_card(models):
    """As docs/guide/own-model.md says; what nobody measured is not called sure lightly."""
    only(models / "first", MINIMAL)
    card = read_catalog(models).models["first"].card
    assert (card.metrics, card.training, card.network, card.parameters) == (None, None, (), 0)
    assert (card.temperature, card.threshold) == (1, 0.99)


@pytest.mark.parametrize("key", MINIMAL)
def test_none_of_the_six_can_be_left_out(models, key):
    only(models / "first", set(MINIMAL) - {key})
    assert read_catalog(models).broken["first"].startswith(f"card.json: {key}: Field required")


@pytest.mark.parametrize(
    "content, reason",
    [
        (b"", "the card: Invalid JSON"),
        (b"{", "the card: Invalid JSON"),
        (b"\xff\xfe", "the card: Invalid JSON"),
        (b"[]", "the card: Input should be an object"),
        (b"[" * 100_000, "the card: Invalid JSON"),
        (None, "cannot be read: No such file"),
    ],
    ids=["empty", "cut", "not-utf-8", "list", "deep", "no-card"],
)
def test_a_card_that_is_no_card_disables_that_model_alone(models, content, reason):
    card = models / "first" / "card.json"
    card.unlink() if content is None else card.write_bytes(content)
    catalog = read_catalog(models)
    assert list(catalog.models) == ["second"]
    assert reason in catalog.broken["first"]


@pytest.mark.parametrize("labels", [["7"] * 10, ["0", "1"]], ids=["twice", "too few for the matrix"])
def test_labels_that_contradict_the_card_disable_the_model(models, labels):
    change(models / "first", ["labels"], labels)
    assert list(read_catalog(models).models) == ["second"]


def test_files_and_hidden_folders_are_no_models(models):
    (models / ".first.draft").mkdir()
    (models / "notes.txt").write_text("hello")
    catalog = read_catalog(models)
    assert (list(catalog.models), catalog.broken) == (["first", "second"], {})


@pytest.mark.parametrize("folder", ["empty", "absent"])
def test_without_models_the_catalog_is_empty(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    catalog = read_catalog(tmp_path / folder)
    assert (catalog.models, catalog.broken, catalog.by_task()) == ({}, {}, [])


def test_models_are_grouped_by_task_best_first(models):
    change(models / "second", ["metrics", "accuracy"], 0.9999)
    ((title, cards),) = read_catalog(models).by_task()
    assert title == TASKS["digits"]
    assert [card.name for card in cards] == ["second", "first"]
    assert read_catalog(models).by_task("photo") == []
    ((_, cards),) = read_catalog(models).by_task("ink", without={"second": "why"})
    assert [card.name for card in cards] == ["first"]


# ---- Broken files ----


@pytest.mark.parametrize(
    "breakage, reason",
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is not the file that the card describes"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"), "is not the file that the card describes"),
        (lambda path: path.write_bytes(b""), "is not the file that the card describes"),
        (lambda path: path.unlink(), "is missing"),
    ],
    ids=["truncated", "changed", "emptied", "missing"],
)
def test_a_model_file_that_is_not_the_cards_is_refused(models, breakage, reason):
    model = read_catalog(models).models["first"]
    check_file(model, "model.onnx")
    breakage(model.folder / "model.onnx")
    with pytest.raises(ValueError, match=f"^model.onnx {reason}"):
        check_file(model, "model.onnx")


def test_a_model_file_that_cannot_be_read_is_refused(models, monkeypatch):
    def fail(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(catalog, "sha256", fail)
    with pytest.raises(ValueError, match=r"^model.onnx cannot be read: Permission denied$"):
        check_file(read_catalog(models).models["first"], "model.onnx")


def test_a_file_that_the_card_does_not_list_is_refused(models):
    model = read_catalog(models).models["first"]
    (model.folder / "other.onnx").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"lists no other\.onnx\. Received: .*model\.onnx"):
        check_file(model, "other.onnx")


# ---- The shipped models ----


def test_the_models_of_the_main_path_are_shipped(models_folder):
    catalog = read_catalog(models_folder)
    assert catalog.broken == {}
    assert {"digits-cnn", "doodles-cnn", "cats-dogs-cnn"} <= catalog.models.keys()


def test_a_shipped_card_is_valid(shipped):
    assert read_card(shipped.folder) == shipped.card


def ignored(folder):
    """The files of a model's folder that git leaves out."""
    lines = (ROOT / ".gitignore").read_text("utf-8").split()
    return {Path(line).name for line in lines if line.startswith(f"/models/{folder.name}/")}


def test_a_shipped_folder_holds_the_files_of_its_card_and_no_other(shipped):
    """A model.keras that is too large for git is listed, and may be missing."""
    files = {path.name for path in shipped.folder.iterdir()} - {"card.json"}
    assert shipped.card.files.keys() - files <= {"model.keras"} & ignored(shipped.folder)
    assert {name: sha256(shipped.folder / name) for name in files}.items() <= shipped.card.files.items()
    assert {"model.onnx", "model.keras"} <= shipped.card.files.keys()


def test_shipped_labels_are_distinct(shipped):
    assert len(set(shipped.card.labels)) == len(shipped.card.labels)


def test_shipped_metrics_agree_with_their_confusion_matrix(shipped):
    metrics, labels = shipped.card.metrics, shipped.card.labels
    matrix = metrics.confusion
    assert [len(row) for row in matrix] == [len(labels)] * len(labels)
    assert sum(map(sum, matrix)) == metrics.test_size
    right = [matrix[i][i] for i in range(len(labels))]
    assert metrics.accuracy == pytest.approx(sum(right) / metrics.test_size, abs=1e-5)
    assert [one.label for one in metrics.classes] == list(labels)
    assert [one.support for one in metrics.classes] == [sum(row) for row in matrix]
    for one, hits, predicted in zip(metrics.classes, right, map(sum, zip(*matrix, strict=True)), strict=True):
        assert one.recall == pytest.approx(hits / max(one.support, 1), abs=1e-5)
        assert one.precision == pytest.approx(hits / max(predicted, 1), abs=1e-5)


def test_a_shipped_network_table_adds_up(shipped):
    network, spec = shipped.card.network, shipped.card.input
    assert network[0].output == (None, spec.height, spec.width, spec.channels)
    assert network[-1].output[0] is None
    assert network[-1].output[1] in (len(shipped.card.labels), 1)
    assert sum(layer.parameters for layer in network) == shipped.card.parameters
