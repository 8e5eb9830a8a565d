"""Several pictures sent together: a page of their own says which result each one got, or why none."""

import re
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import BinaryIO

import sqlalchemy as sa
from PIL import Image
from sqlalchemy.orm import Mapped, mapped_column

from inkling.config import Settings
from inkling.pictures import reading
from inkling.problems import Problem
from inkling.recognition.predictor import Classifier, Prediction, Prepared
from inkling.storage.store import ID_BYTES, LARGEST, Base, Row, Store, StoreError, at_most, now

LONGEST = 255  # bytes of a file's name


class BatchRow(Base):
    """What was sent together; each picture that was answered has a row of its own among the results."""

    __tablename__ = "batches"

    id: Mapped[str] = mapped_column(sa.String(22), primary_key=True)
    created: Mapped[datetime]  # UTC
    model: Mapped[str] = mapped_column(sa.String(64))
    entries: Mapped[list] = mapped_column(sa.JSON)  # [fields of Entry, …], as they were sent


@dataclass(frozen=True)
class Entry:
    """One of the pictures sent: it has a result or a reason why there is none."""

    name: str  # of the file; empty once the result was deleted
    result: str | None = None  # its id; the result may be gone since
    reason: str | None = None
    received: str = ""  # what was wrong with it, short


@dataclass(frozen=True)
class Batch:
    """Pictures sent together."""

    id: str
    created: datetime  # UTC
    model: str
    entries: list[Entry]

    @property
    def results(self) -> list[str]:
        """The ids of all results, also of those that are gone."""
        return [entry.result for entry in self.entries if entry.result]


@dataclass(frozen=True)
class Picture:
    """A picture read, in the two small forms that are needed of it."""

    kept: Image.Image
    prepared: Prepared
    decode: float  # milliseconds


@dataclass(frozen=True)
class Answered:
    """One of the pictures sent, with what the model says of it, or why it says nothing."""

    name: str  # of the file
    answer: Prediction | Problem
    kept: Image.Image | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)

    @property
    def entry(self) -> Entry:
        """It as long as it has no result."""
        problem = self.answer if isinstance(self.answer, Problem) else None
        return Entry(self.name, reason=problem and problem.reason, received=problem.received if problem else "")


class Batches:
    """Reads, answers and keeps several pictures at once."""

    def __init__(self, store: Store, settings: Settings):
        self._store, self._settings = store, settings

    def answer(
        self, files: Sequence[tuple[str, BinaryIO]], model: str, classifier: Classifier, deadline: reading.Deadline
    ) -> list[Answered]:
        """Answers (name, open file) pairs in one run.

        Files are read one after the other, so that no two large pictures are in memory at once.

        Raises:
            Problem: "too-many", "unknown-model" or "model-unavailable".
        """
        if len(files) > self._settings.max_batch:
            raise Problem(
                "too-many",
                f"At most {self._settings.max_batch} pictures go together. Received: {len(files)}.",
                f"{len(files)} pictures",
            )
        pictures = [_read(name, file, deadline, model, classifier) for name, file in files]
        answers = classifier.answer([each.prepared if isinstance(each, Picture) else each for each in pictures], model)
        return [
            _answered(_plain(name), picture, answer)
            for (name, _), picture, answer in zip(files, pictures, answers, strict=True)
        ]

    def keep(self, pictures: Sequence[Answered], model: str) -> Batch:
        """Keeps all or, where that fails, none.

        Raises:
            StoreError: they cannot be kept.
        """
        batch = Batch(secrets.token_urlsafe(ID_BYTES), now().replace(tzinfo=UTC), model, entries := [])
        try:
            for each in pictures:
                entries.append(
                    each.entry
                    if each.kept is None
                    else replace(
                        each.entry, result=self._store.add(each.kept, each.answer, "photo", each.milliseconds, batch.id)
                    )
                )
            with self._store.session() as session:
                session.add(
                    BatchRow(
                        id=batch.id,
                        created=batch.created.replace(tzinfo=None),
                        model=model,
                        entries=[asdict(entry) for entry in entries],
                    )
                )
        except BaseException:
            with suppress(StoreError):  # what cannot be removed now goes with its age
                self._store.delete(*batch.results)
            raise
        return batch

    def get(self, id: str) -> Batch | None:
        """A kept batch, or None."""
        with self._store.session() as session:
            row = session.get(BatchRow, id)
            return row and Batch(
                row.id, row.created.replace(tzinfo=UTC), row.model, [Entry(**entry) for entry in row.entries]
            )

    def remove(self, *ids: str) -> int:
        """Removes results, and what the pages of those sent together with others say of them; returns how many."""
        with self._store.session() as session:
            batches = session.scalars(sa.select(Row.batch).where(Row.id.in_(ids), Row.batch.is_not(None))).all()
        count = self._store.delete(*ids)
        with self._store.session() as session:
            for row in session.scalars(sa.select(BatchRow).where(BatchRow.id.in_(batches))):
                results = [entry["result"] for entry in row.entries if entry["result"]]
                left = set(session.scalars(sa.select(Row.id).where(Row.id.in_(results))))
                row.entries = [
                    entry | {"name": ""} if entry["result"] and entry["result"] not in left else entry
                    for entry in row.entries
                ]
                if not left:
                    session.delete(row)
        return count

    def delete(self, batch: Batch) -> None:
        """Removes a batch and all its results."""
        self._store.delete(*batch.results)
        with self._store.session() as session:
            session.execute(sa.delete(BatchRow).where(BatchRow.id == batch.id))


def _read(
    name: str, file: BinaryIO, deadline: reading.Deadline, model: str, classifier: Classifier
) -> Picture | Problem:
    start = time.perf_counter()
    try:
        with deadline.share() as settings:
            image = reading.read_stream(file, name, settings, at_least=LARGEST)
        decode = round((time.perf_counter() - start) * 1e3, 3)
        return Picture(at_most(image, LARGEST), classifier.prepare(image, model), decode)
    except Problem as error:
        return error


def _answered(name: str, picture: Picture | Problem, answer: Prediction | Problem) -> Answered:
    if isinstance(answer, Problem):
        return Answered(name, answer)
    return Answered(name, answer, picture.kept, {"decode": picture.decode} | answer.milliseconds)


def _plain(name: str) -> str:
    """A file's name as it may be shown: without folders, and without what does not print."""
    base = re.split(r"[/\\]", name)[-1].encode("utf-8", "replace")[:LONGEST].decode("utf-8", "ignore")
    return "".join(letter if letter.isprintable() else "?" for letter in base)
