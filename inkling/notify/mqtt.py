"""Publishes the states of sources to an MQTT broker, and describes them to Home Assistant.

Topics, below the prefix: `<source>/<model>/state` (retained; a label, or `unknown`), `<source>/<model>/attributes`,
`<source>/<model>/picture`, and `status`: `online`, or `offline` by the last will of the connection.
"""

import json
import logging
import secrets
from importlib.metadata import version
from typing import Any
from urllib.parse import unquote, urlsplit

from inkling.recognition.card import ModelCard
from inkling.storage.notices import FORGOTTEN, UNKNOWN, Source

log = logging.getLogger("inkling.mqtt")

PREFIX = "inkling"  # of topics, unless the URL has a path
DISCOVERY = "homeassistant"  # Home Assistant's default
PORTS = {"mqtt": 1883, "mqtts": 8883}
ACKNOWLEDGED = 1  # quality of service: at least once
SECONDS = 5.0  # for the broker to acknowledge a message
KEEPALIVE = 15  # seconds; after one and a half of these without a sign the broker publishes the last will
MOST_OPTIONS = 100  # labels that a description lists


class Broker:
    """A connection to a broker, which is made in the background and again whenever it breaks.

    Args:
        url: such as "mqtt://name:password@broker:1883/prefix".
        pictures: whether Home Assistant is told of pictures.
    """

    def __init__(self, url: str, pictures: bool):
        import paho.mqtt.client as paho  # the extra [mqtt]

        parts = urlsplit(url)
        self._prefix, self._pictures = parts.path.strip("/") or PREFIX, pictures
        self.fresh = False  # whether the connection is new, so that the broker may know nothing
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=f"inkling-{secrets.token_hex(8)}")
        if parts.username:
            self._client.username_pw_set(unquote(parts.username), unquote(parts.password or ""))
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.will_set(self._status, "offline", ACKNOWLEDGED, retain=True)
        self._client.reconnect_delay_set(1, 60)
        self._client.on_connect = self._connected
        self._client.connect_async(parts.hostname or "", parts.port or PORTS[parts.scheme], KEEPALIVE)
        self._client.loop_start()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._client.is_connected()

    def close(self) -> None:
        """Disconnects without the last will: another process publishes now."""
        self._client.disconnect()
        self._client.loop_stop()

    def announce(self) -> bool:
        """Publishes that Inkling is there; returns whether the broker has it."""
        return self._publish({self._status: "online"})

    def publish(self, source: Source, card: ModelCard | None) -> bool:
        """Publishes the state of a source; returns whether the broker has it.

        Args:
            card: of its model; None if that is gone.
        """
        base = f"{self._prefix}/{source.name}/{source.model}"
        node = f"inkling_{source.name}_{source.model}".replace(".", "_")
        sensor, image = (f"{DISCOVERY}/{kind}/{node}/config" for kind in ("sensor", "image"))
        if source.state == FORGOTTEN:  # an empty message ends a retained one
            topics = (sensor, image, f"{base}/state", f"{base}/attributes", f"{base}/picture")
            return self._publish(dict.fromkeys(topics, ""))
        shared = {
            "availability_topic": self._status,
            "device": {
                "identifiers": [f"inkling_{source.name}"],
                "name": f"Inkling {source.name}",
                "manufacturer": "Inkling",
            },
            "origin": {"name": "Inkling", "sw_version": version("inkling")},
        }
        title = card.title if card else source.model
        labels = card.labels if card else ()
        options = {"device_class": "enum", "options": [*labels, UNKNOWN]} if 0 < len(labels) <= MOST_OPTIONS else {}
        about_sensor = {
            "name": title,
            "unique_id": node,
            "icon": "mdi:eye",
            "state_topic": f"{base}/state",
            "json_attributes_topic": f"{base}/attributes",
            **options,
            **shared,
        }
        about_image = {
            "name": f"{title} picture",
            "unique_id": f"{node}_picture",
            "image_topic": f"{base}/picture",
            "content_type": "image/jpeg",
            **shared,
        }
        messages: dict[str, str | bytes] = {
            sensor: json.dumps(about_sensor),
            image: json.dumps(about_image) if self._pictures else "",
            f"{base}/attributes": json.dumps({**source.about, "changed": source.changed.isoformat()}),
        }
        if not self._pictures:  # nor one that waits since it was allowed
            messages[f"{base}/picture"] = ""
        elif source.picture:
            messages[f"{base}/picture"] = source.picture
        return self._publish({**messages, f"{base}/state": source.state})  # the state last: automations run by it

    @property
    def _status(self) -> str:
        return f"{self._prefix}/status"

    def _publish(self, messages: dict[str, str | bytes] | dict[str, str]) -> bool:
        """Publishes retained messages by topic; returns whether the broker has acknowledged all of them."""
        sent = [self._client.publish(topic, payload, ACKNOWLEDGED, retain=True) for topic, payload in messages.items()]
        try:
            for one in sent:
                one.wait_for_publish(SECONDS)
        except (RuntimeError, ValueError):  # the connection broke, or too many wait
            return False
        return all(one.is_published() for one in sent)

    def _connected(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            log.warning("the MQTT broker refuses the connection: %s", reason)
        else:
            self.fresh = True
