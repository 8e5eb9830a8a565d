"""Starts mosquitto, an MQTT broker, and listens to what it has."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from benchmarks.servers import free_port
from tests.support.waiting import wait_until

USER, PASSWORD = "inkling", "p@ss/word"


class Broker:
    """A mosquitto that wants a password and keeps nothing when it stops."""

    def __init__(self, folder: Path):
        self.port = free_port()
        self._program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        passwords = folder / "passwords"
        subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, USER, PASSWORD], check=True, capture_output=True)
        self._config = folder / "mosquitto.conf"
        self._config.write_text(f"listener {self.port} 127.0.0.1\npassword_file {passwords}\nuser root\n")
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen([self._program, "-c", self._config], stderr=subprocess.DEVNULL)
        wait_until(self._answers)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    @contextmanager
    def listening(self) -> "Iterator[Listener]":
        """A client that notes all messages."""
        listener = Listener(self.port)
        try:
            yield listener
        finally:
            listener.close()


class Listener:
    """Notes what it receives.

    Attributes:
        retained: the last message of each topic; empty ones delete it.
        live: (topic, message) of those that came since it listens.
    """

    def __init__(self, port: int):
        self.retained: dict[str, bytes] = {}
        self.live: list[tuple[str, bytes]] = []
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(USER, PASSWORD)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_message = self._note
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    def _note(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        if not message.retain:
            self.live.append((message.topic, message.payload))
        if message.payload:
            self.retained[message.topic] = message.payload
        else:
            self.retained.pop(message.topic, None)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextmanager
def broker(folder: Path) -> Iterator[Broker]:
    """A running broker. A test that needs one where none is installed is skipped, and fails in CI."""
    if not (shutil.which("mosquitto") or Path("/usr/sbin/mosquitto").exists()):
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("mosquitto is not installed")
    running = Broker(folder)
    try:
        yield running
    finally:
        running.stop()
