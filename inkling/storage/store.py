"""Results and batches: records in the database, pictures as blobs."""

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload

from inkling.breaker import CircuitBreaker
from inkling.config import Settings
from inkling.storage.blobs import PNG, SUFFIXES, Blobs, Opened
from inkling.storage.blocks import Blocks
from inkling.storage.database import AT_ONCE, Database, count_changed, portions
from inkling.storage.errors import StoreError, store_errors
from inkling.storage.notices import Notices
from inkling.storage.places import places
from inkling.storage.records import BatchRow, EntryRow, ResultRow, UsageRow, now
from inkling.storage.taught import Taught
from inkling.storage.tokens import Tokens

ID_BYTES = 16  # 128 bits: the address of a result cannot be guessed
NONE_OF_THESE = ""  # the correction that says: no label fits
BLOCK = 4096  # bytes in which disks give out space
PROBE_BYTES = 2**16  # about as large as a picture
UNDO_PERIOD = timedelta(minutes=10)  # in which a visitor can take a deletion back
LIKELIEST = 100  # labels stored with a result; of a thousand labels, the others have no share worth keeping


class Answer(Protocol):
    """What a model says about a picture, as far as it is stored; `inkling.recognition`'s predictions have this form."""

    @property
    def model(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def sure(self) -> bool: ...
    @property
    def wording(self) -> str: ...
    @property
    def familiar(self) -> bool: ...
    @property
    def group(self) -> str | None: ...
    @property
    def route(self) -> str | None: ...
    @property
    def asked(self) -> Sequence[str]: ...
    def ranked(self) -> list[tuple[str, float]]: ...


@dataclass(frozen=True)
class Result:
    """A stored answer."""

    id: str  # empty if it could not be saved
    created: datetime  # UTC
    kind: str  # "photo" or "drawing"
    model: str
    task: str
    sure: bool
    wording: str  # "sure", "probably" or "not sure", as it was said then
    familiar: bool  # whether the picture looked like those that the model was trained on
    predictions: list[tuple[str, float]]  # (label, probability), most likely first
    milliseconds: dict[str, float]  # stage -> time
    group: str | None = None  # the finest group that the label belongs to; None for a model without groups
    route: str | None = None  # in Auto, the code of the reason why this model answered
    asked: tuple[str, ...] = ()  # in Auto, the names of all models that were asked
    correction: str | None = None  # the right label as the visitor said; NONE_OF_THESE; None if nobody said
    batch: str | None = None  # id of the batch that it belongs to
    owner: str | None = None  # a hash of the owner's key; None for results from before owners were noted
    format: str | None = None  # of the file that was sent; None for strokes and for results from before it was noted
    suffix: str = "jpg"  # "jpg" or "png": of its stored picture

    def belongs_to(self, owner: str) -> bool:
        """Whether the browser with this key made it."""
        return self.owner in (_hashed(owner), _hashed(f"{owner} {self.id}"))  # the latter by an earlier version

    @property
    def label(self) -> str:
        """The most likely label."""
        return self.predictions[0][0]

    @property
    def confidence(self) -> float:
        """The probability of the most likely label."""
        return self.predictions[0][1]

    def ranked(self, top: int | None = None) -> list[tuple[str, float]]:
        """(label, probability), most likely first; at most `top` of them."""
        return self.predictions[:top]

    @property
    def mimetype(self) -> str:
        """Media type of its picture."""
        return "image/jpeg" if self.suffix == "jpg" else "image/png"


@dataclass(frozen=True)
class NewResult:
    """An answer to save."""

    answer: Answer
    kind: str  # "photo" or "drawing"
    picture: bytes  # a JPEG or PNG file
    seen: bytes  # the model's input as a PNG file
    milliseconds: Mapping[str, float]  # stage -> time
    format: str | None = None  # as `Result.format`

    @property
    def suffix(self) -> str:
        """Of the picture's file."""
        return "png" if self.picture.startswith(PNG) else "jpg"


@dataclass(frozen=True)
class Entry:
    """One picture of a batch. It has a result, or a reason why there is none; neither once the result was deleted."""

    name: str  # of the file; empty once the result was deleted
    result: str | None = None  # id
    reason: str | None = None  # a code of `inkling.problems.REASONS`
    received: str = ""  # the problem with the file, in short


@dataclass(frozen=True)
class Batch:
    """Several pictures that were sent together."""

    id: str  # empty if it could not be saved
    created: datetime  # UTC
    model: str | None  # None for Auto, where each result names its own
    entries: list[Entry]  # as they were sent

    @property
    def results(self) -> list[str]:
        """The ids of its results; deleted ones are not among them."""
        return [entry.result for entry in self.entries if entry.result]


@dataclass(frozen=True)
class Deleted:
    """How much `Storage.delete_where` deleted."""

    results: int
    batches: int


class Storage:
    """Saves results and batches, and hands them out; `taught` does so with taught classifiers.

    Args:
        settings: name the data folder, the database and the object store.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        place = places(settings)
        self.database = Database(settings.sqlalchemy_url, settings.pictures, settings.database_connections)
        self.blobs: Blobs = place.results
        self.taught = Taught(self.database, place.examples, place.versions, place.copies)
        self.tokens = Tokens(self.database)
        self.notices = Notices(self.database)
        self.blocks = Blocks(settings.pictures)
        self._breaker = CircuitBreaker("saving", StoreError)
        self.written_bytes = 0  # of files, by this process

    # ---- Whether results can be saved ----

    @property
    def problem(self) -> str | None:
        """Why results cannot be saved at the moment, by the last attempt; None if they can."""
        return self._breaker.last_failure

    def check(self) -> None:
        """Finds out whether a result could be saved now, without saving one.

        Raises:
            StoreError: it could not; the message says why.
        """
        with self._saving():
            if self.problem:  # only writing a file shows that the disk takes files again
                key = file_keys(secrets.token_urlsafe(ID_BYTES))[0]
                self.blobs.put(key, bytes(PROBE_BYTES))
                self.blobs.delete([key])
            with self.database.writing() as session:  # changes no row, but needs all that a change needs
                session.execute(sa.update(ResultRow).where(ResultRow.id == "").values(sure=ResultRow.sure))

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """Wraps everything that saves: fails if there is no space, and while the circuit breaker is open."""
        with self._breaker.guard():
            try:
                with store_errors():
                    self.blobs.check()
                    yield
            except StoreError:
                self.database.close()
                raise

    # ---- Saving ----

    def add(self, new: NewResult, owner: str | None = None, client: str | None = None) -> str:
        """Saves a picture with its answer; returns the result's id.

        Args:
            owner: the key of the browser that sent the picture. Only a hash of it is stored: whoever reads the database
                cannot act for that browser.
            client: a pseudonym of the client that sent it, whose results count together for the quota.

        Raises:
            StoreError: it cannot be saved; nothing is left of it.
        """
        with self._saving():
            return self._add([new], owner, client)[0]

    def add_batch(
        self,
        model: str | None,
        pictures: Sequence[tuple[Entry, NewResult | None]],
        owner: str | None = None,
        client: str | None = None,
    ) -> Batch:
        """Saves pictures that were sent together: all of them, or none.

        Args:
            model: the name of the model that was asked; None for Auto.
            pictures: one entry per file, with its answer if it has one; the entries have no result yet.
            owner: as for `add`.
            client: likewise.

        Raises:
            StoreError: they cannot be saved; nothing is left of them.
        """
        batch = Batch(secrets.token_urlsafe(ID_BYTES), now(), model, [])
        with self._saving():
            self._add([result for _, result in pictures if result], owner, client, batch, pictures)
        return batch

    def _add(
        self,
        new: Sequence[NewResult],
        owner: str | None,
        client: str | None,
        batch: Batch | None = None,
        pictures: Sequence[tuple[Entry, NewResult | None]] = (),
    ) -> list[str]:
        """Saves results and, if given, the batch that they belong to; returns their ids.

        Files are written before rows, so that a row never refers to half a picture.
        """
        ids = [secrets.token_urlsafe(ID_BYTES) for _ in new]
        try:
            rows = self._put(dict(zip(ids, new, strict=True)))
            for row in rows:
                row.owner, row.client = owner and _hashed(owner), client
            with self.database.writing() as session:
                session.add_all(rows)
                session.flush()
                if batch:
                    remaining = iter(ids)
                    batch.entries.extend(
                        replace(entry, result=next(remaining)) if result else entry for entry, result in pictures
                    )
                    session.add(_batch_row(batch))
                _add_usage(session, sum(row.bytes or 0 for row in rows))
        except BaseException:
            with suppress(OSError, StoreError):  # the next sweep removes remaining files
                self.blobs.delete(key for id in ids for key in file_keys(id))
            raise
        return ids

    def _put(self, new: Mapping[str, NewResult]) -> list[ResultRow]:
        """Writes the files of results by id; returns their rows."""
        files = {id: {picture_key(id, one.suffix): one.picture, f"{id}.seen.png": one.seen} for id, one in new.items()}
        self.blobs.put_all({key: data for own in files.values() for key, data in own.items()})
        sizes = {id: sum(disk_space(len(data)) for data in own.values()) for id, own in files.items()}
        self.written_bytes += sum(sizes.values())
        return [
            _row(id, one.answer, one.kind, one.milliseconds, sizes[id], one.format, one.suffix)
            for id, one in new.items()
        ]

    def save_heatmap(self, id: str, png: bytes) -> bool:
        """Saves a result's heat map; returns False if the result was deleted meanwhile, and the map with it.

        Raises:
            StoreError: it cannot be saved.
        """
        key = f"{id}.heat.png"
        with self._saving():
            size = disk_space(len(png)) - disk_space(self.blobs.size(key) or 0)  # it may replace an older one
            self.blobs.put(key, png)
            self.written_bytes += disk_space(len(png))
            with self.database.writing() as session:
                change = sa.update(ResultRow).where(ResultRow.id == id).values(bytes=ResultRow.bytes + size)
                if count_changed(session, change):
                    _add_usage(session, size)
                    return True
            self.blobs.delete([key])
            return False

    def correct(self, id: str, label: str | None, task: str | None = None) -> bool:
        """Notes the right label of a result, or `NONE_OF_THESE`; None takes it back. Returns whether it exists.

        Args:
            task: the task that the label belongs to, if it is not the result's.
        """
        values = {"correction": label} if task is None else {"correction": label, "task": task}
        with self.database.writing() as session:
            change = sa.update(ResultRow).where(ResultRow.id == id).values(**values)
            return count_changed(session, change) > 0

    # ---- Reading ----

    def get(self, id: str) -> Result | None:
        """A result; None if it, or its picture, is gone or hidden."""
        return next(iter(self.get_all([id])), None)

    def get_all(self, ids: Sequence[str]) -> list[Result]:
        """The results among `ids`, in their order; those that are gone or hidden are left out."""
        return self._find(ids, ResultRow.hidden.is_(None))

    def made_by(self, owner: str, most: int | None = None) -> list[str]:
        """The ids of the results that the browser with this key made, and of those that `show` can bring back.

        Args:
            most: how many; the last ones made or deleted. By default all.

        Returns:
            ids, the last one made or deleted first.
        """
        kept = sa.or_(ResultRow.hidden.is_(None), ResultRow.hidden > now() - UNDO_PERIOD)
        last = sa.func.coalesce(ResultRow.hidden, ResultRow.created).desc()
        query = sa.select(ResultRow.id).where(ResultRow.owner == _hashed(owner), kept)
        with self.database.reading() as session:
            return list(session.scalars(query.order_by(last, ResultRow.id).limit(most)))

    def hidden(self, ids: Sequence[str]) -> list[Result]:
        """The results among `ids` that `hide` hid and `show` can still bring back, in their order."""
        return self._find(ids, ResultRow.hidden > now() - UNDO_PERIOD)

    def _find(self, ids: Sequence[str], condition: sa.ColumnElement[bool]) -> list[Result]:
        with self.database.reading() as session:
            query = sa.select(ResultRow).where(ResultRow.id.in_(ids), condition).options(joinedload(ResultRow.entry))
            found = {row.id: _result(row) for row in session.scalars(query)}
        with store_errors():
            sizes = self.blobs.sizes(picture_key(id, result.suffix) for id, result in found.items())
        return [found[id] for id in ids if id in found and sizes.get(picture_key(id, found[id].suffix))]

    def corrected(self) -> list[Result]:
        """All results that have a correction and are not hidden, oldest first."""
        with self.database.reading() as session:
            corrected = (ResultRow.correction.is_not(None), ResultRow.hidden.is_(None))
            query = sa.select(ResultRow).where(*corrected).options(joinedload(ResultRow.entry))
            return [_result(row) for row in session.scalars(query.order_by(ResultRow.created, ResultRow.id))]

    def batch(self, id: str) -> Batch | None:
        """A batch, in which hidden results count as deleted; None if none of its results is left."""
        with self.database.reading() as session:
            query = sa.select(BatchRow).where(BatchRow.id == id)
            row = session.scalar(query.options(joinedload(BatchRow.entries).joinedload(EntryRow.result)))
            if row is None:
                return None
            batch = Batch(row.id, row.created, row.model or None, [_entry(entry) for entry in row.entries])
            return batch if batch.results else None

    def expires(self, result: Result) -> datetime | None:
        """When retention deletes a result at the latest; None if it does not."""
        days = self._settings.retention_days
        return result.created + timedelta(days=days) if days and result.correction is None else None

    def picture(self, result: Result) -> bytes | None:
        """A result's picture as a file, JPEG or PNG (`Result.mimetype`); None if it is gone."""
        return self._get(picture_key(result.id, result.suffix))

    def seen(self, id: str) -> bytes | None:
        """A result's model input as a PNG file; None if it is gone."""
        return self._get(f"{id}.seen.png")

    def heatmap(self, id: str) -> bytes | None:
        """A result's heat map as a PNG file; None if it was not made yet or is gone."""
        return self._get(f"{id}.heat.png")

    def open_picture(self, result: Result) -> Opened | None:
        """A result's picture, as `picture`, to read from."""
        return self._open(picture_key(result.id, result.suffix))

    def open_seen(self, id: str) -> Opened | None:
        """A result's model input, as `seen`, to read from."""
        return self._open(f"{id}.seen.png")

    def _open(self, key: str) -> Opened | None:
        with store_errors():
            return self.blobs.open(key)

    def _get(self, key: str) -> bytes | None:
        with store_errors():
            return self.blobs.get(key)

    # ---- Deleting ----

    def hide(self, id: str) -> bool:
        """Deletes a result in ten minutes, and hides it until then; returns whether it was there."""
        return self._set_hidden(id, now(), ResultRow.hidden.is_(None))

    def show(self, id: str) -> bool:
        """Takes `hide` back; returns False if the ten minutes are over."""
        return self._set_hidden(id, None, ResultRow.hidden > now() - UNDO_PERIOD)

    def _set_hidden(self, id: str, when: datetime | None, condition: sa.ColumnElement[bool]) -> bool:
        with self.database.writing() as session:
            change = sa.update(ResultRow).where(ResultRow.id == id, condition).values(hidden=when)
            return count_changed(session, change) > 0

    def delete_hidden(self) -> int:
        """Deletes the results that were hidden ten minutes ago; returns how many."""
        over, total = ResultRow.hidden <= now() - UNDO_PERIOD, 0
        while True:
            with self.database.reading() as session:
                ids = session.scalars(sa.select(ResultRow.id).where(over).limit(AT_ONCE)).all()
            if not ids:
                return total
            total += self.delete_where(ids, over).results

    def delete(self, *ids: str) -> int:
        """Deletes results with everything that belongs to them; returns how many of `ids` there were.

        These are: rows, file names in batches, batches that have no result left, pictures and heat maps. The deleted
        rows are overwritten in the database's files.
        """
        return self.delete_where(ids).results

    def delete_where(self, ids: Iterable[str], *conditions: sa.ColumnElement[bool]) -> Deleted:
        """Deletes like `delete`, but only results that meet the conditions on `ResultRow` at that moment."""
        results = batches = 0
        for some in portions(ids):
            with self.database.writing() as session:
                query = sa.select(ResultRow.id, ResultRow.bytes).where(ResultRow.id.in_(some), *conditions)
                rows = session.execute(query.with_for_update()).all()
                gone = [row.id for row in rows]
                of_batches = sa.select(EntryRow.batch_id).where(EntryRow.result_id.in_(gone)).distinct()
                touched = session.scalars(of_batches).all()
                session.execute(sa.update(EntryRow).where(EntryRow.result_id.in_(gone)).values(name="", result_id=None))
                session.execute(sa.delete(ResultRow).where(ResultRow.id.in_(gone)))
                batches += _delete_empty(session, BatchRow.id.in_(touched))
                _add_usage(session, -sum(row.bytes or 0 for row in rows))
            results += len(gone)
            with store_errors():
                self.blobs.delete(key for id in gone for key in file_keys(id))
        if results:
            with suppress(StoreError):  # the housekeeper tries again
                self.database.checkpoint()
        return Deleted(results, batches)

    def delete_empty_batches(self, before: datetime) -> int:
        """Deletes batches created before a date that have no result left; returns how many."""
        with self.database.writing() as session:
            return _delete_empty(session, BatchRow.created < before)

    # ---- Size ----

    def saved_bytes(self) -> int:
        """What pictures and database take, as the quota counts it. Nothing is counted for it.

        Raises:
            StoreError: the database cannot be read.
        """
        with self.database.reading() as session:
            files = session.scalars(sa.select(UsageRow.bytes)).one()
        return files + self.database_bytes()

    def database_bytes(self) -> int:
        """What the database takes without that of taught classifiers, which no quota of results touches.

        Raises:
            StoreError: the database cannot be read.
        """
        used = self.database.used_bytes()
        return max(0, used - self.taught.database_bytes()) if used else 0


def disk_space(size: int) -> int:
    """The disk space of a file of this many bytes."""
    return -(-size // BLOCK) * BLOCK


def unsaved_result(answer: Answer, kind: str, milliseconds: Mapping[str, float], format: str | None = None) -> Result:
    """An answer that could not be saved, as a result with an empty id."""
    return _result(_row("", answer, kind, milliseconds, 0, format))


def picture_key(id: str, suffix: str) -> str:
    """The key of a result's picture."""
    return f"{id}.{suffix}"


def file_keys(id: str) -> list[str]:
    """The keys of all files that a result may have."""
    return [f"{id}.{suffix}" for suffix in SUFFIXES]


def _hashed(owner: str) -> str:
    """What is stored of an owner's key."""
    return hashlib.sha256(owner.encode()).hexdigest()


def _entry(row: EntryRow) -> Entry:
    if row.result and row.result.hidden:
        return Entry("")
    return Entry(row.name, row.result_id, row.reason, row.received)


def _row(
    id: str,
    answer: Answer,
    kind: str,
    milliseconds: Mapping[str, float],
    size: int,
    format: str | None,
    suffix: str = "jpg",
) -> ResultRow:
    return ResultRow(
        id=id,
        created=now(),
        kind=kind,
        model=answer.model,
        task=answer.task,
        sure=answer.sure,
        wording=answer.wording,
        familiar=answer.familiar,
        group=answer.group,
        route=answer.route,
        asked=list(answer.asked),
        predictions=[[label, round(probability, 6)] for label, probability in answer.ranked()[:LIKELIEST]],
        milliseconds=dict(milliseconds),
        bytes=size,
        format=format,
        suffix=suffix,
    )


def _result(row: ResultRow) -> Result:
    return Result(
        id=row.id,
        created=row.created,
        kind=row.kind,
        model=row.model,
        task=row.task,
        sure=row.sure,
        wording=row.wording,
        familiar=row.familiar,
        group=row.group,
        route=row.route,
        asked=tuple(row.asked),
        predictions=[(label, probability) for label, probability in row.predictions],
        milliseconds=row.milliseconds,
        correction=row.correction,
        batch=row.entry.batch_id if row.entry else None,
        owner=row.owner,
        format=row.format,
        suffix=row.suffix,
    )


def _batch_row(batch: Batch) -> BatchRow:
    return BatchRow(
        id=batch.id,
        created=batch.created,
        model=batch.model or "",
        entries=[
            EntryRow(
                position=position,
                name=entry.name,
                result_id=entry.result,
                reason=entry.reason,
                received=entry.received,
            )
            for position, entry in enumerate(batch.entries)
        ],
    )


def _delete_empty(session: Session, *conditions: sa.ColumnElement[bool]) -> int:
    """Deletes batches without a result; returns how many."""
    left = sa.select(EntryRow.batch_id).where(EntryRow.batch_id == BatchRow.id, EntryRow.result_id.is_not(None))
    return count_changed(session, sa.delete(BatchRow).where(*conditions, ~left.exists()))


def _add_usage(session: Session, size: int) -> None:
    session.execute(sa.update(UsageRow).values(bytes=UsageRow.bytes + size))
