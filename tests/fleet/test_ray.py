"""Networks that the replicas of a real Ray cluster compute, and what happens when parts of it go away."""

import io
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from inkling.recognition.catalog import Model
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import prepare
from inkling.recognition.ray import RayPredictor
from tests.fleet.conftest import EXACT, HEAD_AWAY
from tests.support.server import classify, running
from tests.support.waiting import wait_until

INK, PHOTO, HEAD = "digits-cnn", "things", "cats-dogs-efficientnet"
CLOSE = {"atol": 1e-4}  # the order of additions differs with the number of threads


@pytest.fixture
def nothing_here(monkeypatch):
    """Fails a test whose predictor computes a network in this process."""
    open_here = LocalPredictor._new_network

    def refuse(self, model):
        if isinstance(self, RayPredictor):
            raise AssertionError(f"{model.card.name} was opened here")
        return open_here(self, model)

    monkeypatch.setattr(LocalPredictor, "_new_network", refuse)


def noise(count):
    """Different pictures."""
    rng = np.random.default_rng(1)
    return [Image.fromarray(rng.integers(0, 255, (40, 40, 3), np.uint8)) for _ in range(count)]


def ask(predictor, name, images):
    """The probabilities of each label for each image: float32 [n, labels]."""
    model = predictor.catalog.model(name)
    answers = predictor.answer([prepare(image, model.card) for image in images], model)
    return np.stack([answer.probabilities for answer in answers])


# ---- Answers ----


@pytest.mark.parametrize("name", [INK, PHOTO, HEAD])
def test_replicas_answer_as_this_machine_does(predictor, nothing_here, local, name):
    images = noise(19)
    assert np.allclose(ask(predictor, name, images), ask(local, name, images), **CLOSE)
    assert predictor.away is None


def test_questions_for_several_models_at_once_are_not_mixed_up(predictor, nothing_here, local):
    asked = [(name, image) for image in noise(20) for name in (INK, HEAD)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda one: ask(predictor, one[0], [one[1]]), asked))
    for (name, image), probabilities in zip(asked, found, strict=True):
        assert np.allclose(probabilities, ask(local, name, [image]), **CLOSE)


def test_a_version_that_no_node_has_is_computed_here(predictor, local, caplog):
    model = predictor.catalog.model(INK)
    newer = Model(model.card.model_copy(update={"summary": "A newer version."}), model.folder)
    images = noise(3)
    pictures = [prepare(image, newer.card) for image in images]
    found = np.stack([answer.probabilities for answer in predictor.answer(pictures, newer)])
    assert np.allclose(found, ask(local, INK, images), **CLOSE)
    assert "this node does not have this version of the model" in caplog.text
    assert predictor.away is None


# ---- The server, while parts of the cluster go away: these tests damage the cluster ----


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def server(fleet, tmp_path_factory):
    settings = {"INKLING_ENGINE": "ray", "INKLING_RAY_ADDRESS": fleet.cluster.address, "INKLING_RATE_LIMIT": "0"}
    with running(tmp_path_factory.mktemp("server"), WEB_CONCURRENCY="1", **settings, **EXACT, **HEAD_AWAY) as server:
        wait_until(lambda: connected(server), message=lambda: server.log[-3000:])
        yield server


def connected(server):
    """Whether the worker asks the cluster: its last word in the log is not that it does not."""
    said = [line for line in server.log.splitlines() if "Ray is o" in line]
    return server.request("GET", "/readyz")[0] == 200 and not (said and "Ray is off" in said[-1])


class Questions:
    """Sends pictures all the time, and checks that each gets its answer, or 503 with the time to wait.

    Args:
        expected: the label of each picture.
    """

    def __init__(self, server, expected):
        self._server, self._expected = server, expected
        self.answered, self.refused, self.longest = 0, 0, 0.0

    def ask(self, seconds):
        """Asks for so many seconds, two questions at a time."""
        end = time.monotonic() + seconds
        with ThreadPoolExecutor(2) as pool:
            for done in [pool.submit(self._ask_until, end) for _ in range(2)]:
                done.result()

    def _ask_until(self, end):
        while time.monotonic() < end:
            for file, label in self._expected.items():
                start = time.monotonic()
                status, headers, body = classify(self._server, file, INK)
                self.longest = max(self.longest, time.monotonic() - start)
                if status == 503:
                    assert int(headers["Retry-After"]) > 0
                    self.refused += 1
                else:
                    assert (status, json.loads(body)["label"]) == (200, label)
                    self.answered += 1


@pytest.fixture(scope="module")
def questions(server, local):
    images = noise(4)
    labels = local.catalog.model(INK).card.labels
    best = [labels[i] for i in ask(local, INK, images).argmax(axis=1)]
    return Questions(server, dict(zip(map(png, images), best, strict=True)))


def test_the_server_asks_the_cluster(server, questions):
    questions.ask(1)
    assert questions.answered
    assert not questions.refused
    assert connected(server)


def test_a_killed_replica_is_not_noticed(fleet, server, questions):
    before = questions.answered
    fleet.cluster.kill_replica()
    questions.ask(3)
    assert questions.answered > before
    assert not questions.refused


def test_a_node_that_leaves_is_not_noticed(fleet, server, questions):
    before = questions.answered
    fleet.cluster.remove_node()
    questions.ask(3)
    assert questions.answered > before
    assert not questions.refused


def test_without_the_head_the_server_computes(fleet, server, questions):
    worker = server.workers
    fleet.cluster.kill_head()
    before = questions.answered

    def off():
        questions.ask(1)
        return not connected(server)

    wait_until(off, message=lambda: server.log[-3000:])
    assert questions.answered > before
    assert not questions.refused
    assert server.workers == worker  # Ray ended the process that used it, and not the worker


def test_when_the_cluster_is_back_it_computes_again(fleet, server, questions):
    fleet.stop()
    questions.ask(1)
    fleet.start()

    def on():
        questions.ask(1)
        return connected(server)

    wait_until(on, message=lambda: server.log[-3000:])
    assert not questions.refused
    assert questions.longest < 60
