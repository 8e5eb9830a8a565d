"""Notes what others are to be told, and tells them: every worker notes, and one process of all machines tells."""

import logging
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from inkling.config import Settings
from inkling.notify import mqtt, webhooks
from inkling.pictures.encode import at_most, encode
from inkling.problems import Problem
from inkling.recognition.inputs import as_image
from inkling.recognition.predictor import Prediction
from inkling.service import Outcome, Service
from inkling.storage import StoreError, private
from inkling.storage.errors import store_errors
from inkling.storage.locks import only_one
from inkling.storage.notices import MOST_SOURCES, UNKNOWN

log = logging.getLogger("inkling.notify")

NAME = re.compile("[a-z0-9][a-z0-9_-]{0,31}")  # of a source: part of an MQTT topic
FOLDER = "notify"  # whoever locks it tells
POLL_SECONDS = 0.5
TERM_SECONDS = 600.0  # after which the process that tells takes the lock again: a restarted database has lost it
SIDE = 640  # pixels of a published picture's longer side


class Notifier:
    """Notes answers of models, and runs the thread that tells others of them."""

    def __init__(self, settings: Settings, service: Service):
        self._settings, self._service = settings, service
        self._notices = service.storage.notices
        self._broker: mqtt.Broker | None = None  # in the process that tells

    # ---- What every worker notes ----

    def tell(
        self,
        outcomes: Sequence[Outcome],
        as_json: Callable[[Outcome, Prediction], Mapping[str, object]],
        source: str | None = None,
    ) -> None:
        """Notes answers for whoever wants to know of them. A failure of storage is logged: the answers stand.

        Args:
            as_json: an answer as the API gives it.
            source: the name of what the pictures come from.

        Raises:
            Problem: "too-many-sources".
        """
        catalog = self._service.predictor.catalog
        for outcome in outcomes:
            answer = outcome.answer
            if isinstance(answer, Problem):
                continue
            model = catalog.find(answer.model)
            taught = model.card.taught if model else None
            if not taught and not source:
                continue
            try:
                data = {"source": source, **as_json(outcome, answer)}
                kinds = {"all"} | ({"sure"} if answer.sure else set())
                if source and self._changes(outcome, answer, source, data):
                    kinds.add("changed")
                if taught:
                    self._notices.tell(taught.classifier, kinds, {"classifier": taught.classifier, **data})
            except StoreError as error:
                log.warning("an answer is not passed on: %s", error)

    def _changes(self, outcome: Outcome, answer: Prediction, source: str, data: Mapping[str, object]) -> bool:
        picture = None
        if outcome.picture is not None:
            picture = encode(at_most(as_image(outcome.picture), SIDE), "JPEG")
        reading = answer.label if answer.sure else UNKNOWN
        changes = self._notices.read(answer.model, source, reading, data, picture)
        if changes is None:
            raise Problem("too-many-sources", f"There are {MOST_SOURCES} sources already. Delete one first.", source)
        return changes

    # ---- What one process tells ----

    def start(self) -> None:
        """Starts the thread that tells, as soon as no other process does."""
        threading.Thread(target=self._run, name="notifier", daemon=True).start()

    def _run(self) -> None:
        failure = ""
        while True:
            told = False
            try:
                folder = self._settings.pictures / FOLDER
                with store_errors():
                    private.make_folder(folder)
                with only_one(folder) as held:
                    if held is not None:
                        with self._service.storage.database.only_one(FOLDER) as alone:
                            if alone:
                                failure = ""
                                self._tell_others()
                                told = True
            except StoreError as error:
                if str(error) != failure:  # not every two seconds
                    failure = str(error)
                    log.warning("answers are not passed on: %s", failure)
            except Exception:  # nobody would start the thread again
                log.exception("telling others failed")
            if not told:
                self._close()
                time.sleep(2)

    def _tell_others(self) -> None:
        end = time.monotonic() + TERM_SECONDS
        while time.monotonic() < end:
            if self._service.storage.problem:  # what is told could not be noted, and would be told again
                time.sleep(POLL_SECONDS)
                continue
            self._publish()
            if not webhooks.deliver(self._notices, self._settings.webhook_networks):
                time.sleep(POLL_SECONDS)

    def _publish(self) -> None:
        """Publishes states that changed; all of them over a new connection. Without a broker, nobody waits for them."""
        if self._settings.mqtt_url and self._broker is None:
            self._broker = mqtt.Broker(self._settings.mqtt_url, self._settings.mqtt_pictures == "yes")
        broker = self._broker
        if broker and not broker.connected:
            return
        fresh = bool(broker and broker.fresh)
        if broker and fresh:
            broker.fresh = False
            broker.fresh = not broker.announce()
        changed = self._notices.sources(unpublished=True)
        known = {(source.model, source.name) for source in changed}
        all_of_them = [one for one in self._notices.sources() if (one.model, one.name) not in known] if fresh else []
        for source in changed + all_of_them:
            model = self._service.predictor.catalog.find(source.model)
            if broker and not broker.publish(source, model.card if model else None):
                broker.fresh = True  # all of them again
                return
            if source in changed:
                self._notices.published(source)

    def _close(self) -> None:
        if self._broker:
            self._broker.close()
            self._broker = None
