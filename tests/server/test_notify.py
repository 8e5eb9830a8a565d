"""Messages of a running server: they reach a receiver, from any worker, and survive that the server is killed."""

import io
import itertools
import json
import os
import signal
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from PIL import Image

from inkling.client import Client
from inkling.config import Settings
from inkling.notify import mqtt
from inkling.storage.notices import Source
from tests.support.broker import PASSWORD, USER, broker
from tests.support.receiver import receiving
from tests.support.server import running
from tests.support.taught import app_with_colors, colored
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


# ---- MQTT ----

STATUS, STATE = "inkling/status", "inkling/door/colors/state"
SENSOR, IMAGE = (f"homeassistant/{kind}/inkling_door_colors/config" for kind in ("sensor", "image"))
GREEN = (20, 250, 20)  # which the classifier does not know


def a_green_one():
    file = io.BytesIO()
    colored(GREEN, None, 1, 9)[0][0].image.save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def mosquitto(tmp_path_factory):
    with broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def listener(mosquitto):
    with mosquitto.listening() as listener:
        yield listener


def test_home_assistant_follows_a_camera(start, mosquitto, listener):
    """One test, because a server takes seconds to start: from the description of a new entity to its end."""
    url = f"mqtt://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{mosquitto.port}"
    retained = listener.retained

    def arrives(topic, message):
        wait_until(lambda: retained.get(topic) == message, message=lambda: f"{retained}\n{server.log}")

    with start(INKLING_MQTT_URL=url, INKLING_MQTT_PICTURES="yes") as server, client_of(server) as client:
        arrives(STATUS, b"online")

        # A new source is described, and not known yet.
        def look(picture):
            client.predict(picture, model="colors", source="door")

        look(RED)
        arrives(STATE, b"unknown")
        sensor, image = json.loads(retained[SENSOR]), json.loads(retained[IMAGE])
        assert (sensor["name"], sensor["state_topic"], sensor["availability_topic"]) == ("Colors", STATE, STATUS)
        assert set(sensor["options"]) == {"red", "blue", "unknown"}
        assert sensor["device"] == image["device"]

        # Three readings in a row change it, whichever worker sees them; and a reading that differs begins anew.
        for picture in (RED, a_green_one(), RED, RED):
            look(picture)
        look(RED)
        arrives(STATE, b"red")
        states = [message for topic, message in listener.live if topic == STATE]
        assert [message for message, _ in itertools.groupby(states)] == [b"unknown", b"red"]
        about = json.loads(retained[sensor["json_attributes_topic"]])
        assert (about["label"], about["sure"], about["source"]) == ("red", True, "door")
        assert Image.open(io.BytesIO(retained[image["image_topic"]])).format == "JPEG"
        for _ in range(3):
            look(a_green_one())
        arrives(STATE, b"unknown")

        # A broker that forgot everything is told again.
        mosquitto.stop()
        retained.clear()
        mosquitto.start()
        arrives(STATE, b"unknown")
        arrives(STATUS, b"online")
        assert SENSOR in retained

        # Who follows a state is told when nobody publishes it, and when somebody does again.
        for worker in server.workers:
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: (STATUS, b"offline") in listener.live, message=lambda: server.log)
        arrives(STATUS, b"online")

        with client_of(server) as another:  # the old one's connections led to the workers that were killed
            another.delete_source("colors", "door")
        wait_until(lambda: set(retained) == {STATUS}, message=lambda: str(retained))
    arrives(STATUS, b"offline")


@pytest.mark.parametrize("allowed", [True, False])
def test_a_picture_that_waits_is_published_only_while_that_is_allowed(monkeypatch, allowed):
    broker, sent = mqtt.Broker("mqtt://127.0.0.1:9", pictures=allowed), {}
    monkeypatch.setattr(broker, "_publish", sent.update)
    broker.publish(Source("colors", "door", "red", {}, b"JPEG", datetime.now(UTC)), None)
    broker.close()
    assert sent["inkling/door/colors/picture"] == (b"JPEG" if allowed else "")
