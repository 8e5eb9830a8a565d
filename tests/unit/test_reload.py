"""A predictor notices when models are added, removed, replaced, broken or repaired, without a restart."""

import gc
import json
import shutil
import threading
import time
import weakref

import pytest

from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition import catalog, local
from inkling.recognition.catalog import read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import classify_one, prepare
from inkling.recognition.runtimes import openvino


@pytest.fixture
def root(tmp_path, monkeypatch):
    """An empty folder for models. No model in it counts as being copied."""
    monkeypatch.setattr(catalog, "SETTLE_SECONDS", 0)
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def install(root, models_folder, ink_model):
    """Copies the shipped digits model into the folder with the given name and title."""

    def install(name, title="Digits"):
        draft = root.parent / name
        shutil.copytree(models_folder / ink_model, draft)
        card = json.loads((draft / "card.json").read_text())
        (draft / "card.json").write_text(json.dumps(card | {"name": name, "title": title}))
        shutil.rmtree(root / name, ignore_errors=True)
        draft.rename(root / name)

    return install


@pytest.fixture
def opened(monkeypatch):
    """Returns the names of the models that were compiled."""
    names, open_model = [], openvino.open_model

    def note(model, *arguments):
        names.append(model.card.name)
        return open_model(model, *arguments)

    monkeypatch.setattr(openvino, "open_model", note)
    return names


@pytest.fixture
def predictor(root):
    """A predictor that reads its folder again only when the test calls it."""
    return LocalPredictor(read_catalog(root), Settings.from_env({"INKLING_THREADS": "1"}), [root])


@pytest.fixture(autouse=True)
def no_thread(request, monkeypatch):
    """Disables the background thread, except in the tests of that thread."""
    if "thread" not in request.node.name:
        monkeypatch.setattr(local, "POLL_SECONDS", 3600)


def test_a_new_model_is_opened_and_measured_though_nobody_asks(predictor, install, opened, drawing):
    install("first")
    predictor.reload()
    assert opened == ["first"]
    model = predictor.catalog.model("first")
    assert predictor.milliseconds[model] > 0
    assert classify_one(predictor, drawing, model).label == "1"
    install("second")
    predictor.reload()
    predictor.reload()
    assert opened == ["first", "second"], "a model that is already open stays open"
    assert predictor.catalog.model("first") is model


def test_a_removed_model_is_unknown(predictor, install, root):
    install("first")
    predictor.reload()
    shutil.rmtree(root / "first")
    predictor.reload()
    with pytest.raises(Problem) as caught:
        predictor.catalog.model("first")
    assert caught.value.reason == "unknown-model"


def test_a_request_is_answered_by_the_version_that_it_began_with(predictor, install, drawing, root):
    install("first", "Before")
    predictor.reload()
    model = predictor.catalog.model("first")
    prepared = prepare(drawing, model.card)
    install("first", "After")
    predictor.reload()
    assert predictor.catalog.model("first").card.title == "After"
    shutil.rmtree(root / "first")
    assert predictor.answer([prepared], model)[0].label == "1"


def test_an_old_version_is_freed_with_its_last_request(predictor, install):
    install("first", "Before")
    predictor.reload()
    model = predictor.catalog.model("first")
    runtime = weakref.ref(predictor._runtimes[model])
    install("first", "After")
    predictor.reload()
    gc.collect()
    assert runtime()
    del model
    gc.collect()
    assert runtime() is None


def test_a_model_whose_file_turns_to_garbage_is_off_until_it_is_repaired(predictor, install, drawing, root):
    install("first")
    predictor.reload()
    network = root / "first" / "model.onnx"
    good = network.read_bytes()
    network.write_bytes(b"garbage")
    predictor.reload()
    with pytest.raises(Problem, match="'first' is switched off: model.onnx is not the file that the card describes"):
        predictor.catalog.model("first")
    network.write_bytes(good)
    predictor.reload()
    assert classify_one(predictor, drawing, predictor.catalog.model("first")).label == "1"


def test_a_new_model_that_cannot_be_opened_is_off(predictor, install, root):
    install("first")
    card = json.loads((root / "first" / "card.json").read_text())
    change = {"labels": [*card["labels"], "one more"], "metrics": None}
    (root / "first" / "card.json").write_text(json.dumps(card | change))
    predictor.reload()
    assert predictor.catalog.broken == {"first": "the network must answer 11 labels. Received: 10"}


def test_a_model_that_fails_while_the_catalog_is_read_stays_off(predictor, install, monkeypatch):
    install("first")
    predictor.reload()
    model = predictor.catalog.model("first")
    install("second")

    def read_meanwhile(*arguments, **options):
        found = read_catalog(*arguments, **options)
        predictor._switch_off(model, "its network failed")
        return found

    monkeypatch.setattr(local, "read_catalog", read_meanwhile)
    predictor.reload()
    assert predictor.catalog.broken == {"first": "its network failed"}
    assert predictor.catalog.model("second")


# ---- The thread ----


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def watchers():
    """The threads that read model folders; other tests' may end at any time."""
    return {thread for thread in threading.enumerate() if thread.name == "model-folders"}


def test_a_thread_notices_a_change(predictor, install, monkeypatch):
    monkeypatch.setattr(local, "POLL_SECONDS", 0.01)
    before = watchers()
    assert predictor.catalog.models == {}
    assert len(watchers() - before) == 1
    install("first")
    until(lambda: "first" in predictor.catalog.models)
    assert len(watchers() - before) == 1


def test_the_thread_goes_on_after_an_error(predictor, install, monkeypatch, caplog):
    monkeypatch.setattr(local, "POLL_SECONDS", 0.01)
    errors = iter([ZeroDivisionError, None])

    def read(*arguments, **options):
        if error := next(errors, None):
            raise error
        return read_catalog(*arguments, **options)

    monkeypatch.setattr(local, "read_catalog", read)
    install("first")
    until(lambda: "first" in predictor.catalog.models)
    assert [record.message for record in caplog.records] == ["The model folders could not be read again."]


def test_the_thread_ends_with_its_predictor(root, monkeypatch):
    monkeypatch.setattr(local, "POLL_SECONDS", 3600)
    before = watchers()
    predictor = LocalPredictor(read_catalog(root), Settings.from_env({}), [root])
    assert watchers() <= before, "a process that only starts workers has no thread"
    predictor.warm()
    (watcher,) = watchers() - before
    del predictor
    gc.collect()
    until(lambda: not watcher.is_alive())


def test_a_catalog_without_folders_has_no_thread():
    before = watchers()
    assert LocalPredictor(catalog.Catalog({}), Settings.from_env({})).catalog.models == {}
    assert watchers() <= before
