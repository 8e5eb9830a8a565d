"""Teaching on a running server: a process of its own trains, and every worker serves what is published."""

import io
import json
import os
import signal
import time

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from benchmarks.lesson import trainers
from tests.support.backbones import write_backbone
from tests.support.server import running, wait_for_workers
from tests.support.taught import BLUE, RED, colored
from tests.support.waiting import wait_until


@pytest.fixture
def server(tmp_path):
    write_backbone(tmp_path / "models", name="things")
    with running(tmp_path, INKLING_MODELS=str(tmp_path / "models"), INKLING_HOST="127.0.0.1") as server:
        wait_for_workers(server)
        yield server


def call(server, method, path, body=None):
    headers = {"Content-Type": "application/json"} if body is not None else {}
    status, _, data = server.request(method, path, body if body is None else json.dumps(body), headers)
    return status, json.loads(data) if data else None


def files(pictures):
    def png(source):
        file = io.BytesIO()
        source.image.save(file, "PNG")
        return FileStorage(io.BytesIO(file.getvalue()), "a.png")

    return [png(source) for source, _ in pictures]


def add(server, id, label, pictures):
    boundary, body = encode_multipart({"label": label, "image": files(pictures)})
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    status, _, answer = server.request("POST", f"/api/classifiers/{id}/examples", body, kind)
    assert status == 200, answer


def test_examples_become_a_model_in_every_worker(server):
    status, made = call(server, "POST", "/api/classifiers", {"title": "Colors", "kind": "photo"})
    assert status == 201
    path = f"/api/classifiers/{made['id']}"
    add(server, made["id"], "red", colored(RED, "red", 12))
    add(server, made["id"], "blue", colored(BLUE, "blue", 12, 1))

    def trained(number):
        found = call(server, "GET", path)[1]
        return found["newest"] == number and found["training"] is None

    wait_until(lambda: trained(1), message=lambda: server.log[-3000:])
    (trainer,) = trainers(server)
    assert call(server, "POST", f"{path}/publish", {"version": 1})[0] < 300
    boundary, body = encode_multipart({"image": files(colored(RED, None, 1, 9))})
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}

    def answers():
        """What eight requests were answered, which both workers share."""
        asked = [server.request("POST", "/api/predict?model=colors&top=2", body, kind) for _ in range(8)]
        told = [json.loads(data) for status, _, data in asked if status == 200]
        return [{name: value for name, value in one.items() if name != "milliseconds"} for one in told]

    def wait_for(wanted, what):
        start = time.monotonic()
        wait_until(lambda: wanted(answers()), message=lambda: server.log[-3000:])
        print(f"{what} in every worker after {time.monotonic() - start:.2f} s")  # pytest -s shows it

    wait_for(lambda found: [one["label"] for one in found] == ["red"] * 8, "published")
    before = answers()[0]

    os.kill(trainer, signal.SIGKILL)
    add(server, made["id"], "red", colored(RED, "red", 2, 3))
    wait_until(lambda: trained(2), message=lambda: server.log[-3000:])
    assert call(server, "GET", path)[1]["live"] == 2
    assert len(trainers(server)) == 1
    wait_for(lambda found: len(found) == 8 and before not in found, "replaced")

    assert call(server, "POST", f"{path}/publish", {"version": 1})[0] < 300
    wait_for(lambda found: found == [before] * 8, "back, with the same answer to the last digit,")
    assert call(server, "GET", path)[1]["live"] == 1
