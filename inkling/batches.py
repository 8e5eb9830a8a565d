"""Several pictures sent together: a page of their own says which result each one got, or why none."""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from inkling.problems import Problem
from inkling.storage.store import ID_BYTES, Base, Row, Store, StoreError, now

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


class Batches:
    """The records of several pictures that were sent together."""

    def __init__(self, store: Store):
        self._store = store

    def keep(self, outcomes: Sequence, model: str) -> Batch:
        """Keeps all or, where that fails, none.

        Raises:
            StoreError: they cannot be kept.
        """
        batch = Batch(secrets.token_urlsafe(ID_BYTES), now().replace(tzinfo=UTC), model, entries := [])
        try:
            for outcome in outcomes:
                if isinstance(outcome.answer, Problem):
                    entries.append(Entry(outcome.name, None, outcome.answer.reason, outcome.answer.received))
                else:
                    id = self._store.add(outcome.picture, outcome.answer, outcome.kind, outcome.milliseconds, batch.id)
                    entries.append(Entry(outcome.name, id))
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
