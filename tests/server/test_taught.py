"""Teaching on a running server: a process of its own trains, and every worker serves what is published."""

import io
import json
import os
import signal
from pathlib import Path

import pytest
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

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


def trainers(server):
    """The processes that train for a server."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in server.workers and b"inkling.teach.worker" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except (OSError, ValueError):  # it has ended
            pass
    return found


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
        asked = [server.request("POST", "/api/predict?model=colors", body, kind) for _ in range(8)]
        return all(status == 200 and json.loads(data)["label"] == "red" for status, _, data in asked)

    wait_until(answers, message=lambda: server.log[-3000:])

    os.kill(trainer, signal.SIGKILL)
    add(server, made["id"], "red", colored(RED, "red", 2, 3))
    wait_until(lambda: trained(2), message=lambda: server.log[-3000:])
    assert call(server, "GET", path)[1]["live"] == 2
    assert len(trainers(server)) == 1
