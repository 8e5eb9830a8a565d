"""Messages of a running server: they reach a receiver, from any worker, and survive that the server is killed."""

import os
import signal

import pytest

from inkling.client import Client
from inkling.config import Settings
from tests.support.receiver import receiving
from tests.support.server import running
from tests.support.taught import app_with_colors
from tests.support.waiting import wait_until
from tests.web.test_taught import a_red_one

RED = a_red_one()[0].getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the published classifier "colors", for servers to run on."""
    folder = tmp_path_factory.mktemp("notify")
    (folder / "models").mkdir()
    app_with_colors(Settings().replace(pictures=folder / "pictures"), folder / "models")
    return folder


@pytest.fixture(scope="module")
def start(folder):
    """Starts a server on the folder."""
    where = {"INKLING_MODELS": str(folder / "models"), "INKLING_HOST": "127.0.0.1"}
    return lambda **changes: running(folder, **where, INKLING_WEBHOOK_NETWORKS="127.0.0.0/8", **changes)


def client_of(server):
    return Client(f"http://127.0.0.1:{server.port}")


def classifier(client):
    return client.classifiers()["classifiers"][0]["id"]


def test_a_message_survives_that_the_server_is_killed(start):
    with receiving() as receiver:
        receiver.statuses = [503]
        with start() as server, client_of(server) as client:
            id = classifier(client)
            client.set_webhook(id, url=f"http://127.0.0.1:{receiver.server_port}/", events="all")
            for _ in range(4):  # by either worker
                assert client.predict(RED, model="colors")["label"] == "red"
            wait_until(lambda: len(receiver.received) >= 4, message=lambda: server.log)
            wait_until(lambda: client.webhook(id)["waiting"] == 1)
            workers = server.workers
            server.process.kill()
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
        assert len(receiver.received) == 4
        with start() as server, client_of(server) as client:
            wait_until(lambda: len(receiver.received) == 5, message=lambda: server.log)
            wait_until(lambda: client.webhook(id)["waiting"] == 0)
        ids = [headers["webhook-id"] for _, headers, _ in receiver.received]
        assert len(set(ids[:4])) == 4
        assert ids[4] in ids[:4]
