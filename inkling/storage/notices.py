"""What others are told: webhooks with the messages that wait for them, and the states of sources.

A source is something that looks at the same place again and again, such as a camera. Its state changes when several
readings in a row agree, so that one blurred frame changes nothing. All of it is in the database, so that every worker
can note what it sees, one worker sends, and nothing is lost when that one ends.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from inkling.problems import Problem
from inkling.storage.database import Database, count_changed
from inkling.storage.records import ClassifierRow, MessageRow, SourceRow, WebhookRow, now

Events = Literal["all", "sure", "changed"]

UNKNOWN = "unknown"  # the reading of an answer that is not sure, and the first state of a source
FORGOTTEN = ""  # the state of a source that was deleted, until that is published
IN_A_ROW = 3  # readings that agree, until the state changes
MOST_SOURCES = 100
MOST_WAITING = 1000  # messages of one webhook
LEASE = timedelta(seconds=60)  # after which a message is sent again if the process that had it has ended
ID_BYTES = 16


@dataclass(frozen=True)
class Webhook:
    """Where the answers of a classifier are sent.

    Attributes:
        events: which answers: all, those that are sure, or those that change the state of a source.
        failure: why the last attempt failed; empty if it did not.
        waiting: number of messages that are still to be delivered.
    """

    url: str
    events: Events
    failure: str
    waiting: int


@dataclass(frozen=True)
class Message:
    """A message to deliver."""

    id: str
    classifier: str  # id
    url: str
    secret: str
    body: str
    attempts: int  # that failed


@dataclass(frozen=True)
class Source:
    """What one model says about one source.

    Attributes:
        state: a label of the model, `UNKNOWN`, or `FORGOTTEN`.
        about: the answer that changed the state, as the API gives it.
        picture: a JPEG file of it; None without one, or once it was published.
        changed: when the state changed.
    """

    model: str
    name: str
    state: str
    about: dict
    picture: bytes | None
    changed: datetime


class Notices:
    """The tables of webhooks, their messages and sources."""

    def __init__(self, database: Database):
        self._database = database

    # ---- Webhooks ----

    def webhook(self, classifier: str) -> Webhook | None:
        """A classifier's webhook; None without one.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._database.reading() as session:
            row = session.get(WebhookRow, classifier)
            count = sa.select(sa.func.count(MessageRow.id)).where(MessageRow.classifier_id == classifier)
            waiting = session.scalars(count).one()
            return Webhook(row.url, cast(Events, row.events), row.failure, waiting) if row else None

    def set_webhook(self, classifier: str, url: str, secret: str, events: Events) -> None:
        """Creates or replaces a classifier's webhook. Messages that wait go to the new address.

        Raises:
            Problem: "unknown-classifier".
            StoreError: the database cannot be written.
        """
        with self._database.writing() as session:
            if not session.get(ClassifierRow, classifier):
                raise Problem("unknown-classifier", "There is no such classifier.")
            session.merge(WebhookRow(classifier_id=classifier, url=url, secret=secret, events=events, failure=""))

    def delete_webhook(self, classifier: str) -> None:
        """Deletes a classifier's webhook, if it has one, and the messages that wait for it.

        Raises:
            StoreError: the database cannot be written.
        """
        with self._database.writing() as session:
            session.execute(sa.delete(WebhookRow).where(WebhookRow.classifier_id == classifier))

    # ---- Messages ----

    def tell(self, classifier: str, kinds: set[str], data: Mapping[str, object]) -> bool:
        """Queues a message for a classifier's webhook, if it has one for such an answer; returns whether it does.

        Args:
            kinds: which of `Events` the answer is.

        Raises:
            StoreError: the database cannot be used.
        """
        with self._database.reading() as session:  # most classifiers have none
            row = session.get(WebhookRow, classifier)
            if not row or row.events not in kinds:
                return False
        created = now()
        body = {"type": "answer", "timestamp": created.isoformat(), "data": data}
        with self._database.writing() as session:
            count = sa.select(sa.func.count(MessageRow.id)).where(MessageRow.classifier_id == classifier)
            if session.scalars(count).one() >= MOST_WAITING or not session.get(WebhookRow, classifier):
                return False
            session.add(
                MessageRow(
                    id=f"msg_{secrets.token_urlsafe(ID_BYTES)}",
                    classifier_id=classifier,
                    body=json.dumps(body),
                    attempts=0,
                    due=created,
                )
            )
        return True

    def take(self, most: int) -> list[Message]:
        """Messages that are due, the oldest of each webhook first. Nobody else gets them within `LEASE`.

        So no webhook has to wait for the many messages of another one, whose receiver may be slow.

        Raises:
            StoreError: the database cannot be used.
        """
        due = MessageRow.due <= now()
        with self._database.reading() as session:
            if not session.scalar(sa.select(MessageRow.id).where(due).limit(1)):
                return []
        query = sa.select(MessageRow, WebhookRow).join(WebhookRow, WebhookRow.classifier_id == MessageRow.classifier_id)
        oldest = (MessageRow.due, MessageRow.id)
        place = sa.func.row_number().over(partition_by=MessageRow.classifier_id, order_by=oldest)
        with self._database.writing() as session:
            rows = session.execute(query.where(due).order_by(place, *oldest).limit(most)).all()
            for message, _ in rows:
                message.due = now() + LEASE
            return [
                Message(message.id, message.classifier_id, hook.url, hook.secret, message.body, message.attempts)
                for message, hook in rows
            ]

    def delivered(self, message: Message) -> None:
        """Removes a message that has arrived.

        Raises:
            StoreError: the database cannot be written.
        """
        self._end(message, "")

    def failed(self, message: Message, failure: str, again: timedelta | None) -> None:
        """Notes an attempt that failed.

        Args:
            again: until the next attempt; None gives up.

        Raises:
            StoreError: the database cannot be written.
        """
        if again is None:
            self._end(message, failure)
            return
        with self._database.writing() as session:
            values = {"attempts": message.attempts + 1, "due": now() + again}
            session.execute(sa.update(MessageRow).where(MessageRow.id == message.id).values(values))
            _note(session, message, failure)

    def _end(self, message: Message, failure: str) -> None:
        with self._database.writing() as session:
            session.execute(sa.delete(MessageRow).where(MessageRow.id == message.id))
            _note(session, message, failure)

    # ---- Sources ----

    def read(
        self, model: str, name: str, reading: str, about: Mapping[str, object], picture: bytes | None
    ) -> bool | None:
        """Notes what a model says about a source; returns whether that changed the state.

        Args:
            reading: a label, or `UNKNOWN`.
            about: the answer, as the API gives it.
            picture: a JPEG file.

        Returns:
            None if there are `MOST_SOURCES` others: then nothing is noted.

        Raises:
            StoreError: the database cannot be written.
        """
        with self._database.writing() as session:
            row = session.get(SourceRow, (model, name))
            if row is None or row.state == FORGOTTEN:
                count = sa.select(sa.func.count()).select_from(SourceRow).where(SourceRow.state != FORGOTTEN)
                if session.scalars(count).one() >= MOST_SOURCES:
                    return None
                new = SourceRow(model=model, name=name, state=UNKNOWN, candidate="", run=0, changed=now(), about={})
                new.published = False
                row = session.merge(new)
            row.run = row.run + 1 if row.candidate == reading else 1
            row.candidate = reading
            if row.run < IN_A_ROW or row.state == reading:
                return False
            row.state, row.about, row.picture = reading, dict(about), picture
            row.changed, row.published = now(), False
            return True

    def sources(self, unpublished: bool = False) -> list[Source]:
        """All sources, or those whose state is not published yet, deleted ones among them.

        Raises:
            StoreError: the database cannot be read.
        """
        which = SourceRow.published.is_(False) if unpublished else SourceRow.state != FORGOTTEN
        query = sa.select(SourceRow).where(which).order_by(SourceRow.model, SourceRow.name)
        with self._database.reading() as session:
            return [
                Source(row.model, row.name, row.state, row.about, row.picture, row.changed)
                for row in session.scalars(query)
            ]

    def published(self, source: Source) -> None:
        """Notes that a state was published, unless it has changed since, and deletes its picture.

        Raises:
            StoreError: the database cannot be written.
        """
        one = (SourceRow.model == source.model, SourceRow.name == source.name, SourceRow.changed == source.changed)
        with self._database.writing() as session:
            if source.state == FORGOTTEN:
                session.execute(sa.delete(SourceRow).where(*one))
            else:
                session.execute(sa.update(SourceRow).where(*one).values(published=True, picture=None))

    def forget(self, model: str, name: str) -> bool:
        """Marks a source as deleted, which is published next; returns whether there was one.

        Raises:
            StoreError: the database cannot be written.
        """
        values: dict[str, object] = {
            "state": FORGOTTEN,
            "about": {},
            "picture": None,
            "changed": now(),
            "published": False,
        }
        one = (SourceRow.model == model, SourceRow.name == name, SourceRow.state != FORGOTTEN)
        with self._database.writing() as session:
            return count_changed(session, sa.update(SourceRow).where(*one).values(values)) > 0


def _note(session: Session, message: Message, failure: str) -> None:
    one = WebhookRow.classifier_id == message.classifier
    session.execute(sa.update(WebhookRow).where(one).values(failure=failure))
