"""Each model's time is measured once, in the background, and never in anyone's way."""

import threading
import time

import pytest

from inkling.config import Settings
from inkling.recognition.catalog import Catalog
from inkling.recognition.latency import RUNS, Stopwatch
from inkling.recognition.predictor import Classifier


def wait(stopwatch):
    stopwatch._thread.join(60)
    assert stopwatch.done


@pytest.fixture
def few(classifier, ink_model):
    """A classifier with one small model, already open, and one that is not there."""
    model = classifier.catalog.models[ink_model]
    gone = type(model)(model.card.model_copy(update={"name": "gone"}), model.folder / "gone")
    return Classifier(Catalog({"gone": gone, ink_model: model}), Settings.from_env({}))


def test_every_model_that_opens_is_measured(few, ink_model):
    stopwatch = Stopwatch()
    stopwatch.start(few, delay=0)
    wait(stopwatch)
    assert stopwatch.milliseconds.keys() == {ink_model}
    assert 0 < stopwatch.milliseconds[ink_model] < 1000


def test_it_is_measured_once_a_process(few, ink_model, monkeypatch):
    asked = []
    real = few.classify_one
    monkeypatch.setattr(few, "classify_one", lambda image, name: asked.append(name) or real(image, name))
    stopwatch = Stopwatch()
    for _ in range(3):
        stopwatch.start(few, delay=0)
    wait(stopwatch)
    assert asked.count(ink_model) <= RUNS + 1


def test_stopped_it_opens_no_further_model(few, monkeypatch):
    asked = []
    monkeypatch.setattr(few, "classify_one", lambda image, name: asked.append(name))
    stopwatch = Stopwatch()
    stopwatch.start(few, delay=30)
    stopwatch.stop()
    assert asked == []
    assert stopwatch.done


def test_starting_takes_no_time_and_nothing_runs_before_the_delay(few):
    stopwatch, start = Stopwatch(), time.perf_counter()
    stopwatch.start(few, delay=30)
    assert time.perf_counter() - start < 1
    assert (stopwatch.milliseconds, stopwatch.done) == ({}, False)
    stopwatch.stop()
    assert time.perf_counter() - start < 10, "stopping ends the wait"
    assert "stopwatch" not in [thread.name for thread in threading.enumerate() if thread is stopwatch._thread]


def test_a_fault_ends_the_measuring(few, monkeypatch):
    """Else the pages would promise a time for ever."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    monkeypatch.setattr(few, "classify_one", lambda image, name: 1 / 0)
    stopwatch = Stopwatch()
    stopwatch.start(few, delay=0)
    wait(stopwatch)
    assert stopwatch.milliseconds == {}
