"""The predictor whose networks are computed elsewhere, by a driver process without Ray: tests/fleet has some."""

import gc
import logging
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from inkling.config import BadSetting, Settings
from inkling.problems import Problem
from inkling.recognition import ray
from inkling.recognition.catalog import Catalog, read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import prepare
from inkling.recognition.ray import BATCH, RayPredictor, version
from inkling.service import open_predictor
from tests.support.waiting import wait_until


@pytest.fixture
def asking(monkeypatch, models_folder):
    """Returns a function that makes a predictor whose cluster behaves as tests/support/driver.py describes."""
    monkeypatch.setattr(ray, "DRIVER", "tests.support.driver")
    monkeypatch.setattr(ray, "CONNECT_SECONDS", 120)  # the machine may be busy
    monkeypatch.setattr(ray, "RESTART_SECONDS", 0)
    monkeypatch.setattr("inkling.breaker.FIRST_DELAY", 0)
    monkeypatch.setattr("inkling.breaker.LONGEST_DELAY", 0)

    def asking(behavior, **settings):
        exact = {"INKLING_MODELS": str(models_folder), "INKLING_PRECISION": "f32"}
        made = Settings.from_env(exact | settings).replace(ray_address=behavior)
        return RayPredictor(read_catalog(made.models), made)

    return asking


@pytest.fixture
def nothing_here(monkeypatch):
    """Fails a test whose predictor computes a network in this process."""
    open_here = LocalPredictor._new_network

    def refuse(self, model):
        if isinstance(self, RayPredictor):
            raise AssertionError(f"{model.card.name} was opened here")
        return open_here(self, model)

    monkeypatch.setattr(LocalPredictor, "_new_network", refuse)


@pytest.fixture
def pictures(ink_model, classifier):
    """Different drawings, more than one message takes."""
    rng = np.random.default_rng(0)
    drawings = [Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)) for _ in range(2 * BATCH + 3)]
    card = classifier.catalog.model(ink_model).card
    return lambda: [prepare(drawing, card) for drawing in drawings]


def probabilities(predictor, name, pictures):
    answers = predictor.answer(pictures, predictor.catalog.model(name))
    return np.stack([answer.probabilities for answer in answers])


def test_the_cluster_computes(asking, nothing_here, classifier, ink_model, pictures):
    expected = probabilities(classifier, ink_model, pictures())
    predictor = asking("right")
    assert np.allclose(probabilities(predictor, ink_model, pictures()), expected, atol=1e-5)
    assert predictor.away is None


def test_answers_that_cross_reach_who_asked(asking, nothing_here, classifier, ink_model, pictures):
    expected = probabilities(classifier, ink_model, pictures())
    predictor = asking("right")
    model = predictor.catalog.model(ink_model)
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda picture: predictor.answer([picture], model)[0].probabilities, pictures())
        assert np.allclose(list(found), expected, atol=1e-5)


def test_a_model_is_measured_with_the_way_to_the_cluster(asking, nothing_here, ink_model):
    predictor = asking("right")
    model = predictor.catalog.model(ink_model)
    alone = RayPredictor(Catalog({ink_model: model}), predictor._settings)
    alone.warm()
    assert alone.milliseconds[model] > 0
    assert alone.catalog.serving == {ink_model: True}


@pytest.mark.parametrize("behavior", ["silent", "ends", "away", "nobody", "refused"])
def test_what_the_cluster_does_not_answer_is_computed_here(asking, classifier, ink_model, pictures, behavior):
    expected = probabilities(classifier, ink_model, pictures())
    predictor = asking(behavior, INKLING_RAY_SECONDS="1")
    assert np.allclose(probabilities(predictor, ink_model, pictures()), expected, atol=1e-5)
    assert (predictor.away is None) == (behavior == "refused")


def test_a_driver_that_is_killed_is_replaced(asking, classifier, ink_model, pictures):
    expected = probabilities(classifier, ink_model, pictures())
    predictor = asking("right")
    probabilities(predictor, ink_model, pictures())
    first = predictor._link._driver
    os.kill(first._process.pid, signal.SIGKILL)

    def asked_again():
        assert np.allclose(probabilities(predictor, ink_model, pictures()), expected, atol=1e-5)
        return predictor.away is None and predictor._link._driver is not first

    wait_until(asked_again)


def test_a_driver_ends_with_its_predictor(asking, ink_model, pictures):
    predictor = asking("right")
    probabilities(predictor, ink_model, pictures())
    driver = predictor._link._driver
    del predictor
    gc.collect()  # its runtimes refer to it
    wait_until(lambda: driver._process.poll() is not None)


def test_an_absent_cluster_is_not_asked_each_time(asking, ink_model, pictures, monkeypatch):
    monkeypatch.setattr("inkling.breaker.LONGEST_DELAY", 3600)
    monkeypatch.setattr("inkling.breaker.FIRST_DELAY", 3600)
    predictor = asking("silent", INKLING_RAY_SECONDS="1")
    probabilities(predictor, ink_model, pictures())
    assert predictor.away
    monkeypatch.setattr(predictor._link._driver, "ask", lambda *_: pytest.fail("it was asked again"))
    probabilities(predictor, ink_model, pictures())


def test_a_full_cluster_is_told_as_busy(asking, nothing_here, ink_model, pictures):
    predictor = asking("busy")
    with pytest.raises(Problem) as caught:
        probabilities(predictor, ink_model, pictures())
    assert caught.value.reason == "busy"
    assert predictor.away is None
    assert predictor.catalog.serving[ink_model]


def test_without_cluster_and_file_the_model_is_busy_and_not_off(asking, ink_model, pictures, monkeypatch):
    def missing(self, model):
        raise ValueError("model.onnx is missing")

    monkeypatch.setattr(LocalPredictor, "_new_network", missing)
    predictor = asking("nobody")
    with pytest.raises(Problem) as caught:
        probabilities(predictor, ink_model, pictures())
    assert caught.value.reason == "busy"
    assert predictor.catalog.serving[ink_model]


def test_without_cluster_no_more_compute_at_once_than_there_are_cores(asking, ink_model, pictures, monkeypatch):
    predictor = asking("nobody", INKLING_RAY_SECONDS="1")
    probabilities(predictor, ink_model, pictures())
    for _ in range(ray.config.cores()):
        assert predictor._turns.acquire(timeout=60)
    start = time.monotonic()
    with pytest.raises(Problem) as caught:
        probabilities(predictor, ink_model, pictures())
    assert caught.value.reason == "busy"
    assert time.monotonic() - start >= 1


def test_a_refusal_is_logged_once(asking, ink_model, pictures, caplog):
    predictor = asking("refused")
    with caplog.at_level(logging.WARNING, "inkling.recognition.ray"):
        for _ in range(3):
            probabilities(predictor, ink_model, pictures())
    assert [record.getMessage() for record in caplog.records] == [
        f"{version(predictor.catalog.model(ink_model).card)} is computed here: "
        "this node does not have this version of the model"
    ]


def test_a_driver_gets_no_secret(monkeypatch):
    monkeypatch.setenv("INKLING_SECRET_KEY", "0123456789abcdef")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "1")
    environment = ray._environment()
    assert not [name for name in environment if name.startswith("INKLING_")]
    assert environment["RAY_USAGE_STATS_ENABLED"] == "1"


def test_every_change_of_a_card_is_another_version(classifier, ink_model):
    card = classifier.catalog.model(ink_model).card
    assert version(card) == version(card.model_copy())
    assert version(card) != version(card.model_copy(update={"mirror_below": 0.5}))


def test_the_engine_is_chosen_by_its_setting(settings, monkeypatch):
    assert type(open_predictor(settings)) is LocalPredictor
    monkeypatch.setattr("inkling.service.find_spec", lambda name: name)
    assert type(open_predictor(settings.replace(engine="ray"))) is RayPredictor


def test_a_missing_package_names_the_extra(settings, monkeypatch):
    monkeypatch.setattr("inkling.service.find_spec", lambda name: None)
    with pytest.raises(BadSetting, match=r"inkling\[ray\]"):
        open_predictor(settings.replace(engine="ray"))
