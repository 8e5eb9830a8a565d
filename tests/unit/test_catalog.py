"""A broken card or file switches off only its own model, and every shipped card matches its files."""

import errno
import json
import os
import shutil
import time
from pathlib import Path

import pytest

from inkling.config import ROOT
from inkling.recognition import catalog
from inkling.recognition.card import read_card, sha256
from inkling.recognition.catalog import TASKS, check_file, read_catalog

ABSENT = object()


@pytest.fixture
def models(models_folder, ink_model, tmp_path):
    """A folder with two models. Tests break the first."""
    for name in ("first", "second"):
        shutil.copytree(models_folder / ink_model, tmp_path / name)
        change(tmp_path / name, ["name"], name)
    return tmp_path


def change(folder, keys, value):
    """Sets one value in a card, or removes it."""
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
        (["color"], "blue", "color: Extra inputs are not permitted. Received: 'blue'"),
        (["input", "color"], "blue", "input.color: Extra inputs"),
        (["name"], "other", "name must be the folder's, 'first'. Received: 'other'"),
        (["name"], "../first", "name: String should match"),
        (["task"], "Song birds", "task: String should match"),
        (["output"], {"kind": "multi"}, "output.kind: Input should be 'single'"),
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
        (["files"], {"../second/model.onnx": "0" * 64}, "files.../second/model.onnx.[key]: String should match"),
        (["files"], {"weights/model.onnx": "0" * 64}, "files.weights/model.onnx.[key]: String should match"),
        (["files"], {"..": "0" * 64}, "files....[key]: String should match"),
        (["temperature"], 0, "temperature: Input should be greater than or equal to 0.000001"),
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
    """Removes all other keys from a card."""
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps({key: card[key] for key in keys}))


def test_six_keys_make_a_card(models):
    """A card is complete with the six keys of docs/guide/own-model.md. Without measurements, the default threshold is
    high."""
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
def test_an_unreadable_card_disables_that_model_alone(models, content, reason):
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
    ((_, cards),) = read_catalog(models).without("second", "a reason").by_task("ink")
    assert [card.name for card in cards] == ["first"]


def test_a_task_is_an_open_word_and_stands_after_the_known_ones(models):
    change(models / "first", ["task"], "my-things")
    (known, _), (own, cards) = read_catalog(models).by_task()
    assert (known, own) == (TASKS["digits"], "My things")
    assert [card.name for card in cards] == ["first"]


# ---- What may be compared ----


def relabel(folder, labels, task="things"):
    change(folder, ["task"], task)
    change(folder, ["labels"], labels)
    change(folder, ["metrics"], None)


def names(groups):
    return [[card.name for card in group] for group in groups]


@pytest.mark.parametrize(
    "labels, task, groups",
    [
        (["cup", "spoon"], "things", [["first", "second"]]),
        (["fork", "cup"], "things", [["first", "second"]]),
        (["fork", "knife"], "things", [["first"], ["second"]]),
        (["cup", "spoon"], "other-things", [["first"]]),
    ],
)
def test_only_models_of_one_task_with_a_label_in_common_are_compared(models, labels, task, groups):
    relabel(models / "first", ["cup", "spoon"])
    relabel(models / "second", labels, task)
    catalog = read_catalog(models)
    assert names(catalog.comparable("things")) == groups
    others = catalog.others("first", "things", ["cup", "spoon"])
    assert [card.name for card in others] == groups[0][1:]
    assert catalog.without("second", "a reason").others("first", "things", ["cup", "spoon"]) == []


def test_a_result_of_a_removed_model_is_compared_by_its_labels(models):
    catalog = read_catalog(models)
    assert names([catalog.others("gone", "digits", ["7"])]) == [["first", "second"]]
    assert catalog.others("gone", "digits", ["seven"]) == []


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
def test_a_model_file_with_another_checksum_is_refused(models, breakage, reason):
    """The checksum is compared when the catalog is read and again when the file is opened."""
    model = read_catalog(models).models["first"]
    check_file(model, "model.onnx")
    breakage(model.folder / "model.onnx")
    with pytest.raises(ValueError, match=f"^model.onnx {reason}"):
        check_file(model, "model.onnx")
    (models / "first" / "model.keras").unlink()
    catalog = read_catalog(models)
    assert catalog.broken["first"].startswith(f"model.onnx {reason}")
    assert [card.name for card in catalog] == ["second"]
    assert catalog.models["first"].card.name == "first", "the model keeps its page, which says why it is switched off"


@pytest.mark.parametrize("name", ["curves.svg", "model.keras"])
def test_every_listed_file_is_compared_and_one_network_suffices(models, name):
    path = models / "first" / name
    path.write_bytes(path.read_bytes() + b"?")
    assert read_catalog(models).broken["first"].startswith(f"{name} is not the file")
    path.unlink()
    assert read_catalog(models).broken == {}
    (models / "first" / "model.keras").unlink(missing_ok=True)
    (models / "first" / "model.onnx").unlink()
    assert read_catalog(models).broken == {"first": "model.onnx is missing"}


def test_a_model_file_that_cannot_be_read_is_refused(models, monkeypatch):
    def fail(path):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(catalog, "sha256", fail)
    found = read_catalog(models)
    assert found.broken["first"].endswith(" cannot be read: Permission denied")
    with pytest.raises(ValueError, match=r"^model.onnx cannot be read: Permission denied$"):
        check_file(found.models["first"], "model.onnx")


@pytest.mark.parametrize("name", ["model.onnx", "card.json", "curves.svg"])
def test_no_link_inside_a_model_folder_is_followed(models, tmp_path_factory, name):
    outside, path = tmp_path_factory.mktemp("outside") / name, models / "first" / name
    path.rename(outside)
    path.symlink_to(outside)
    expected = f"{name} cannot be read: it is a symbolic link, which is never followed"
    assert read_catalog(models).broken == {"first": expected}


def test_a_pipe_is_no_file(models):
    (models / "first" / "curves.svg").unlink()
    os.mkfifo(models / "first" / "curves.svg")
    assert read_catalog(models).broken == {"first": "curves.svg cannot be read: it is not a regular file"}


def test_a_model_folder_itself_may_be_a_link(models, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "second"
    (models / "second").rename(elsewhere)
    (models / "second").symlink_to(elsewhere)
    catalog = read_catalog(models)
    assert (list(catalog.models), catalog.broken) == (["first", "second"], {})


# ---- Reading again ----


@pytest.fixture
def settled(monkeypatch):
    """Treats every folder as completely copied."""
    monkeypatch.setattr(catalog, "SETTLE_SECONDS", 0)


def test_where_nothing_changed_the_catalog_is_the_same(models, monkeypatch):
    before = read_catalog(models)
    monkeypatch.setattr(catalog, "read_card", None)  # raises an error if called
    assert read_catalog(models, previous=before) is before


def test_only_the_model_whose_folder_changed_is_read_again(models, settled):
    before = read_catalog(models)
    change(models / "first", ["title"], "Another title")
    after = read_catalog(models, previous=before)
    assert after.models["first"].card.title == "Another title"
    assert after.models["second"] is before.models["second"]
    assert before.models["first"].card.title != "Another title"


def test_a_model_is_the_same_where_only_other_files_changed(models, settled):
    before = read_catalog(models)
    (models / "first" / "README").write_text("hello")
    after = read_catalog(models, previous=before)
    assert after is not before
    assert after.models == before.models


def test_a_model_outlives_the_file_of_its_network(models, settled):
    """The model may be open already. If it is not, opening it reports the missing file."""
    before = read_catalog(models)
    for name in ("model.onnx", "model.keras"):
        (models / "first" / name).unlink()
    after = read_catalog(models, previous=before)
    assert (after.models, after.broken) == (before.models, {})
    assert read_catalog(models).broken == {"first": "model.onnx is missing"}


def test_models_come_go_and_are_repaired(models, settled):
    catalog = read_catalog(models)
    (models / "first").rename(models.parent / "away")
    catalog = read_catalog(models, previous=catalog)
    assert (list(catalog.models), catalog.broken) == (["second"], {})
    (models.parent / "away").rename(models / "first")
    catalog = read_catalog(models, previous=catalog)
    assert (list(catalog.models), catalog.broken) == (["first", "second"], {})
    network = models / "first" / "model.onnx"
    good = network.read_bytes()
    network.write_bytes(b"garbage")
    catalog = read_catalog(models, previous=catalog)
    assert list(catalog.broken) == ["first"]
    network.write_bytes(good)
    assert read_catalog(models, previous=catalog).broken == {}


def test_a_model_that_was_switched_off_comes_back_when_its_folder_changes(models, settled):
    off = read_catalog(models).without("first", "its network failed")
    assert read_catalog(models, previous=off) is off
    os.utime(models / "first" / "card.json")
    after = read_catalog(models, previous=off)
    assert after.broken == {}
    assert after.models["first"] is not off.models["first"]


@pytest.mark.parametrize("last", ["card.json", "model.onnx", "curves.svg"])
def test_a_folder_that_is_being_copied_is_ignored_until_it_is_complete(models, tmp_path_factory, last):
    source = tmp_path_factory.mktemp("source") / "first"
    (models / "first").rename(source)
    before = read_catalog(models)
    (models / "first").mkdir()
    for path in source.iterdir():
        if path.name not in (last, "model.keras"):
            shutil.copy(path, models / "first")
    (models / "first" / last).write_bytes((source / last).read_bytes()[:-1])
    assert read_catalog(models, previous=before) is before
    (models / "first" / last).write_bytes((source / last).read_bytes())
    after = read_catalog(models, previous=before)
    assert (list(after.models), after.broken) == (["first", "second"], {})


def test_a_model_stays_as_it_is_while_its_folder_is_replaced(models):
    before = read_catalog(models)
    (models / "first" / "model.onnx").write_bytes(b"half")
    assert read_catalog(models, previous=before) is before
    (models / "first" / "card.json").unlink()
    assert read_catalog(models, previous=before) is before


@pytest.mark.parametrize("content", [None, "{", "{}"], ids=["no card", "half a card", "another card"])
def test_a_folder_that_stays_wrong_is_broken(models, monkeypatch, content):
    before = read_catalog(models)
    (models / "third").mkdir()
    if content:
        (models / "third" / "card.json").write_text(content)
    assert read_catalog(models, previous=before) is before
    now = time.time() + catalog.SETTLE_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: now)
    assert read_catalog(models, previous=before).broken["third"].startswith("card.json")


def test_of_two_models_of_a_name_the_one_in_the_earlier_folder_counts(models, tmp_path_factory):
    taught = tmp_path_factory.mktemp("taught")
    for name in ("first", "third"):
        shutil.copytree(models / "second", taught / name)
        change(taught / name, ["name"], name)
        change(taught / name, ["title"], "Taught")
    catalog = read_catalog(models, taught, taught / "absent")
    assert {card.name: card.title == "Taught" for card in catalog} == {"first": False, "second": False, "third": True}


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
    """Files of a model's folder that git ignores."""
    lines = (ROOT / ".gitignore").read_text("utf-8").split()
    return {Path(line).name for line in lines if line.startswith(f"/models/{folder.name}/")}


def test_a_shipped_folder_holds_the_files_of_its_card_and_no_other(shipped):
    """A card lists model.keras even if git ignores that file and it is missing."""
    files = {path.name for path in shipped.folder.iterdir()} - {"card.json"}
    assert shipped.card.files.keys() - files <= {"model.keras"} & ignored(shipped.folder)
    assert {name: sha256(shipped.folder / name) for name in files}.items() <= shipped.card.files.items()
    kinds = {".onnx"} if shipped.card.pretrained else {".onnx", ".keras"}
    built = {("head" if shipped.card.backbone else "model") + kind for kind in kinds}
    assert built <= shipped.card.files.keys()


def test_shipped_labels_are_distinct(shipped):
    assert len(set(shipped.card.labels)) == len(shipped.card.labels)


def test_shipped_metrics_agree_with_their_confusion_matrix(shipped):
    metrics, labels = shipped.card.metrics, shipped.card.labels
    matrix = metrics.confusion
    if len(labels) > 100:  # such a matrix would be larger than all other cards together
        assert (matrix, metrics.classes, metrics.mistakes) == ((), (), ())
        return
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
