"""Taught classifiers: labels, examples, features, versions and changes as records; pictures as blobs.

A training is due at a date that each change of examples moves a second into the future. Whoever trains notes that date
first and clears it at the end, unless it changed meanwhile: then examples changed, and the next training follows. A
killed training leaves the date, and so is done again. Cancelling clears the date, which the training notices.
"""

import hashlib
import json
import secrets
import unicodedata
import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from inkling.problems import Problem
from inkling.storage.blobs import Blobs, Opened
from inkling.storage.database import AT_ONCE, Database, count_changed, portions
from inkling.storage.errors import StoreError, store_errors
from inkling.storage.published import Copies, Versions
from inkling.storage.records import (
    ChangeRow,
    ClassifierRow,
    ExampleRow,
    FeatureRow,
    LabelRow,
    VersionRow,
    now,
)

Kind = Literal["photo", "ink"]
Origin = Literal["file", "camera", "canvas", "correction"]
Stage = Literal["waiting", "features", "learning", "failed"]

ID_BYTES = 16  # 128 bits: an id cannot be guessed
DEBOUNCE = timedelta(seconds=1)  # after a change, before training begins: more changes often follow
UNDO_PERIOD = timedelta(days=1)
KEPT = 20  # versions of a classifier; of older ones that were never live, only the figures are kept
MOST_ATTEMPTS = 3  # trainings that may be killed in a row
LONGEST_LABEL, LONGEST_TITLE = 64, 80  # characters


class _All(Enum):
    ALL = "all"


ALL: Final = _All.ALL  # examples of every label, and those without one
AnyLabel = int | None | Literal[_All.ALL]


@dataclass(frozen=True)
class Label:
    """A class of a classifier."""

    id: int
    name: str
    count: int  # of its examples


@dataclass(frozen=True)
class Progress:
    """How far the training of a classifier is."""

    stage: Stage
    share: float = 0.0  # of the stage, from 0 to 1
    reason: str = ""  # why it failed


@dataclass(frozen=True)
class Classifier:
    """A classifier that somebody teaches.

    Attributes:
        id: 22 characters that nobody can guess.
        name: the name of its model, unique among all models.
        owner: the principal that may teach it.
        listed: whether others find it among the models.
        auto: whether Auto may answer with it.
        unlabeled: the number of its examples without a label.
        live: the number of the version that answers; None before the first one is published.
        newest: the number of the version that was trained last; None before the first training.
        training: how far its training is; None while there is nothing to do.
        revision: grows with each change of its examples.
    """

    id: str
    name: str
    title: str
    kind: Kind
    owner: str
    listed: bool
    auto: bool
    created: datetime
    labels: tuple[Label, ...]
    unlabeled: int
    live: int | None
    newest: int | None
    training: Progress | None
    revision: int


@dataclass(frozen=True)
class Example:
    """A picture that a classifier learns from.

    Attributes:
        label: the id of its label; None if it has none yet.
        name: the file's name, for people to read; may be empty.
    """

    id: str
    label: int | None
    name: str
    source: Origin
    created: datetime


@dataclass(frozen=True)
class NewExample:
    """A picture to add.

    Attributes:
        picture: its file: a JPEG for a "photo", a PNG for a "drawing".
        label: the name of its label, which is created if there is none of that name; None for none.
    """

    picture: bytes
    kind: Literal["photo", "drawing"]
    name: str
    label: str | None
    source: Origin


@dataclass(frozen=True)
class Change:
    """A change of examples or labels that can be undone for a day."""

    id: str
    count: int  # of the examples that it changed


@dataclass(frozen=True)
class Quota:
    """How much an owner may keep; 0 means no limit."""

    classifiers: int  # of an owner
    examples: int  # of all classifiers of an owner
    bytes: int  # of their pictures


@dataclass(frozen=True)
class Task:
    """A training that is due.

    Attributes:
        due: the date of the change that made it due.
        attempts: how often it was begun before.
    """

    classifier: str
    due: datetime
    attempts: int


@dataclass(frozen=True)
class StoredVersion:
    """One training, as it is stored.

    Attributes:
        number: from 1; assigned when it is saved.
        revision: of the classifier, when the training began.
        backbone: SHA-256 of the network whose features it was trained on.
        labels: (id, name) in the order of the answers.
        examples: ids in the order of the report.
        report: the training's figures, as JSON holds them; those of a list of versions in `figures`.
        card: the model's card, likewise.
        better: than the version that was live, on the examples that both have seen; None without such a version.
    """

    number: int
    created: datetime
    revision: int
    backbone: str
    labels: tuple[tuple[int, str], ...]
    examples: tuple[str, ...]
    report: dict[str, Any]
    figures: dict[str, Any]
    card: dict[str, Any]
    better: bool | None


@dataclass(frozen=True)
class StoredShort:
    """One training in the list of all, as `StoredVersion` describes it.

    Attributes:
        available: whether it can be published; False if only its figures are kept.
    """

    number: int
    created: datetime
    revision: int
    labels: tuple[tuple[int, str], ...]
    figures: dict[str, Any]
    better: bool | None
    available: bool


class Taught:
    """Saves taught classifiers, and hands them out.

    Args:
        database: shared with the results.
        blobs: where the pictures of examples go: a place of their own, which no retention visits.
        folders: the model folders of versions.
        copies: where other machines find these.
    """

    def __init__(self, database: Database, blobs: Blobs, folders: Versions, copies: Copies):
        self._database, self._blobs = database, blobs
        self.folders, self.copies = folders, copies

    # ---- Classifiers ----

    def create(self, name: str, title: str, kind: Kind, owner: str, taken: Iterable[str], quota: Quota) -> Classifier:
        """Creates a classifier.

        Args:
            name: of its model; a number is appended if a model or classifier has this name.
            taken: the names of all models.

        Raises:
            Problem: "bad-name", or "too-many-classifiers".
        """
        title = _checked("title", title, LONGEST_TITLE)
        id, taken = secrets.token_urlsafe(ID_BYTES), set(taken)
        with self._database.writing() as session:
            own = sa.select(sa.func.count(ClassifierRow.id)).where(ClassifierRow.owner == owner)
            count = session.scalars(own).one()
            if quota.classifiers and count >= quota.classifiers:
                raise Problem(
                    "too-many-classifiers",
                    f"You have {count} classifiers, and {quota.classifiers} are allowed. Delete one first.",
                )
            taken |= set(session.scalars(sa.select(ClassifierRow.name)))
            unique = next(one for i in range(len(taken) + 1) if (one := f"{name}-{i + 1}" if i else name) not in taken)
            row = ClassifierRow(
                id=id,
                name=unique,
                title=title,
                kind=kind,
                owner=owner,
                listed=False,
                auto=False,
                created=now(),
                revision=0,
                attempts=0,
                share=0.0,
                reason="",
            )
            session.add(row)
            session.flush()
            return self._classifiers(session, [row])[0]

    def all(self, owner: str | None = None) -> list[Classifier]:
        """All classifiers, newest first; those of one owner only if one is given."""
        query = sa.select(ClassifierRow).order_by(ClassifierRow.created.desc(), ClassifierRow.id)
        if owner is not None:
            query = query.where(ClassifierRow.owner == owner)
        with self._database.reading() as session:
            return self._classifiers(session, session.scalars(query).all())

    def get(self, id: str) -> Classifier:
        """A classifier.

        Raises:
            Problem: "unknown-classifier".
        """
        with self._database.reading() as session:
            return self._classifiers(session, [_row(session, id)])[0]

    def find(self, name: str) -> Classifier | None:
        """The classifier whose model has that name; None if there is none."""
        with self._database.reading() as session:
            rows = session.scalars(sa.select(ClassifierRow).where(ClassifierRow.name == name)).all()
            return next(iter(self._classifiers(session, rows)), None)

    def update(self, id: str, title: str | None, listed: bool | None, auto: bool | None) -> Classifier:
        """Changes what is not None.

        Raises:
            Problem: "unknown-classifier" or "bad-name".
        """
        values: dict[str, object] = {"listed": listed, "auto": auto}
        values["title"] = None if title is None else _checked("title", title, LONGEST_TITLE)
        with self._database.writing() as session:
            row = _row(session, id)
            for name, value in values.items():
                if value is not None:
                    setattr(row, name, value)
            session.flush()
            return self._classifiers(session, [row])[0]

    def delete(self, id: str) -> None:
        """Deletes a classifier with its pictures, features, versions and changes.

        Raises:
            Problem: "unknown-classifier".
        """
        with self._database.writing() as session:
            _row(session, id)
            query = sa.select(ExampleRow.id, ExampleRow.kind).where(ExampleRow.classifier_id == id)
            keys = [example_key(*row) for row in session.execute(query)]
            session.execute(sa.delete(ClassifierRow).where(ClassifierRow.id == id))  # the rest by its foreign keys
        with store_errors():
            self._blobs.delete(keys)
        with suppress(StoreError):  # the housekeeper tries again
            self._database.checkpoint()

    def _classifiers(self, session: Session, rows: Sequence[ClassifierRow]) -> list[Classifier]:
        ids = [row.id for row in rows]
        present = (LabelRow.classifier_id.in_(ids), LabelRow.removed.is_(None))
        labels = session.scalars(sa.select(LabelRow).where(*present).order_by(LabelRow.id)).all()
        counted = (
            sa.select(ExampleRow.classifier_id, ExampleRow.label_id, sa.func.count())
            .where(ExampleRow.classifier_id.in_(ids), ExampleRow.removed.is_(None))
            .group_by(ExampleRow.classifier_id, ExampleRow.label_id)
        )
        counts = {(classifier, label): count for classifier, label, count in session.execute(counted)}
        own: dict[str, list[Label]] = {}
        for label in labels:
            count = counts.get((label.classifier_id, label.id), 0)
            own.setdefault(label.classifier_id, []).append(Label(label.id, label.name, count))
        return [
            Classifier(
                row.id,
                row.name,
                row.title,
                row.kind,  # type: ignore[arg-type]  # one of the two
                row.owner,
                row.listed,
                row.auto,
                row.created,
                tuple(own.get(row.id, ())),
                counts.get((row.id, None), 0),
                row.live,
                row.newest,
                _progress(row),
                row.revision,
            )
            for row in rows
        ]

    # ---- Labels ----

    def add_label(self, id: str, name: str) -> Label:
        """Adds a label.

        Raises:
            Problem: "unknown-classifier", "bad-name" or "label-taken".
        """
        name = _checked("label", name, LONGEST_LABEL)
        with self._database.writing() as session:
            _row(session, id)
            return Label(_new_label(session, id, name), name, 0)

    def rename_label(self, id: str, label: int, name: str) -> tuple[Label, Change]:
        """Renames a label; returns it and the change, which `undo` takes back.

        Raises:
            Problem: "unknown-classifier", "unknown-label", "bad-name" or "label-taken".
        """
        name = _checked("label", name, LONGEST_LABEL)
        with self._database.writing() as session:
            row = _label(session, id, label)
            change = _new_change(session, id, renamed=[label, row.name])
            if row.name != name:
                _require_free(session, id, name)
                row.name = name
                _touch(session, id)
            query = sa.select(sa.func.count()).where(ExampleRow.label_id == label, ExampleRow.removed.is_(None))
            count = session.scalars(query).one()
            return Label(label, name, count), Change(change, count)

    def delete_label(self, id: str, label: int) -> Change:
        """Deletes a label and its examples; `undo` brings both back.

        Raises:
            Problem: "unknown-classifier" or "unknown-label".
        """
        with self._database.writing() as session:
            row = _label(session, id, label)
            change = _new_change(session, id)
            row.removed = change
            own = (ExampleRow.label_id == label, ExampleRow.removed.is_(None))
            count = count_changed(session, sa.update(ExampleRow).where(*own).values(removed=change))
            _touch(session, id)
            return Change(change, count)

    # ---- Examples ----

    def add(self, id: str, new: Sequence[NewExample], quota: Quota) -> list[Example | Problem]:
        """Adds examples; returns each one, or the reason why it was refused, in the same order.

        Problems: "duplicate", "too-many-examples", "teaching-full" or "bad-name".

        Raises:
            Problem: "unknown-classifier".
            StoreError: they cannot be saved.
        """
        files = {secrets.token_urlsafe(ID_BYTES): one for one in new}
        unused = {example_key(example, one.kind): one.picture for example, one in files.items()}
        with store_errors():
            self._blobs.check()
        try:
            with store_errors():  # before the transaction, in which no other can write: a bucket may take seconds
                self._blobs.put_all(unused)
            with self._database.writing() as session:
                owner = _row(session, id).owner
                room = _Room.of(session, owner, quota)
                results = [self._add(session, id, example, one, room) for example, one in files.items()]
                added = {one.id for one in results if isinstance(one, Example)}
                if added:
                    _touch(session, id)
            unused = {key: data for key, data in unused.items() if key.partition(".")[0] not in added}
            return results
        finally:
            with suppress(OSError, StoreError):
                self._blobs.delete(unused)

    def _add(self, session: Session, id: str, example: str, new: NewExample, room: "_Room") -> Example | Problem:
        digest = hashlib.sha256(new.picture).hexdigest()
        same = (ExampleRow.classifier_id == id, ExampleRow.digest == digest, ExampleRow.removed.is_(None))
        before = session.scalar(sa.select(ExampleRow).where(*same).limit(1))
        if before:
            name = before.name or "one that is already there"
            return Problem("duplicate", f"The picture is exactly the same as {name}, so it was not added.", new.name)
        try:
            room.take(len(new.picture))
            label = None if new.label is None else _label_named(session, id, new.label)
        except Problem as problem:
            return problem
        row = ExampleRow(
            id=example,
            classifier_id=id,
            label_id=label,
            kind=new.kind,
            name=new.name,
            source=new.source,
            created=now(),
            digest=digest,
            bytes=len(new.picture),
        )
        session.add(row)
        session.flush()
        return _example(row)

    def same(self, id: str, picture: bytes) -> Example | None:
        """The example with exactly this file; None if there is none."""
        digest = hashlib.sha256(picture).hexdigest()
        same = (ExampleRow.classifier_id == id, ExampleRow.digest == digest, ExampleRow.removed.is_(None))
        with self._database.reading() as session:
            row = session.scalar(sa.select(ExampleRow).where(*same).limit(1))
            return _example(row) if row else None

    def examples(
        self, id: str, label: AnyLabel = ALL, after: str | None = None, limit: int | None = 100
    ) -> list[Example]:
        """Examples in the order in which they arrived.

        Args:
            label: the id of a label; None for the examples without one.
            after: begins behind the example with this id.
            limit: None for all of them.

        Raises:
            Problem: "unknown-classifier".
        """
        # It selects columns: making objects of thousands of rows would take half a second.
        fields = (ExampleRow.id, ExampleRow.label_id, ExampleRow.name, ExampleRow.source, ExampleRow.created)
        query = sa.select(*fields).where(ExampleRow.classifier_id == id, ExampleRow.removed.is_(None))
        if label is not ALL:
            query = query.where(ExampleRow.label_id == label)
        with self._database.reading() as session:
            _row(session, id)
            if after is not None:
                before = session.get(ExampleRow, after)
                if before is not None:
                    query = query.where(
                        sa.tuple_(ExampleRow.created, ExampleRow.id)
                        > sa.tuple_(sa.literal(before.created, ExampleRow.created.type), sa.literal(before.id))
                    )
            rows = session.execute(query.order_by(ExampleRow.created, ExampleRow.id).limit(limit))
            return [_example(row) for row in rows]

    def example(self, id: str, example: str) -> tuple[Example, str]:
        """An example, and the kind of its picture: "photo" (a JPEG file) or "drawing" (a PNG file).

        Raises:
            Problem: "unknown-example".
        """
        with self._database.reading() as session:
            row = session.get(ExampleRow, example)
            if row is None or row.classifier_id != id or row.removed:
                raise _unknown_example(example)
            return _example(row), row.kind

    def picture(self, id: str, example: str) -> bytes:
        """The file of an example's picture.

        Raises:
            Problem: "unknown-example".
            StoreError: it cannot be read.
        """
        _, kind = self.example(id, example)
        with store_errors():
            data = self._blobs.get(example_key(example, kind))
        if data is None:
            raise _unknown_example(example)
        return data

    def open_picture(self, id: str, example: str) -> tuple[Opened, str]:
        """The file of an example's picture, to read from, and its kind: "photo" or "drawing".

        Raises:
            Problem: "unknown-example".
            StoreError: it cannot be read.
        """
        _, kind = self.example(id, example)
        with store_errors():
            opened = self._blobs.open(example_key(example, kind))
        if opened is None:
            raise _unknown_example(example)
        return opened, kind

    def move(self, id: str, examples: Sequence[str], label: int | None, change: str | None = None) -> Change:
        """Gives examples another label, or none.

        Args:
            change: the id of the change, which takes the place of one that had it; by default a new one.

        Raises:
            Problem: "unknown-classifier", "unknown-label" or "unknown-example".
        """
        with self._database.writing() as session:
            _row(session, id)
            if label is not None:
                _label(session, id, label)
            rows = [row for row in _present(session, id, examples) if row.label_id != label]
            change = _new_change(session, id, [[row.id, row.label_id] for row in rows], change)
            for row in rows:
                row.label_id = label
            if rows:
                _touch(session, id)
            return Change(change, len(rows))

    def remove(self, id: str, examples: Sequence[str]) -> Change:
        """Deletes examples in a day, and hides them until then.

        Raises:
            Problem: "unknown-classifier" or "unknown-example".
        """
        with self._database.writing() as session:
            _row(session, id)
            rows = _present(session, id, examples)
            change = _new_change(session, id)
            for row in rows:
                row.removed = change
            if rows:
                _touch(session, id)
            return Change(change, len(rows))

    def undo(self, id: str, change: str) -> None:
        """Takes a change back. Examples whose label was deleted meanwhile come back without one.

        A label whose name was taken meanwhile comes back with a number behind it.

        Raises:
            Problem: "unknown-classifier", or "unknown-change" if it was taken back already or a day is over.
        """
        with self._database.writing() as session:
            _row(session, id)
            row = session.get(ChangeRow, change)
            if row is None or row.classifier_id != id or row.created < now() - UNDO_PERIOD:
                raise Problem("unknown-change", "This change was undone already, or is more than a day old.", change)
            taken_back = (LabelRow.removed == change, LabelRow.classifier_id == id)
            for label in session.scalars(sa.select(LabelRow).where(*taken_back)).all():
                label.removed = None
                label.name = _free_name(session, id, label.name)
            if row.renamed and (renamed := session.get(LabelRow, row.renamed[0])):
                renamed.name = _free_name(session, id, row.renamed[1])
            session.flush()
            labels = sa.select(LabelRow.id).where(LabelRow.classifier_id == id, LabelRow.removed.is_(None))
            present = set(session.scalars(labels))
            before = dict(row.moved)
            for some in portions(before):
                for example in session.scalars(sa.select(ExampleRow).where(ExampleRow.id.in_(some))):
                    example.label_id = before[example.id] if before[example.id] in present else None
            for example in session.scalars(sa.select(ExampleRow).where(ExampleRow.removed == change)):
                example.removed = None
                example.label_id = example.label_id if example.label_id in present else None
            session.delete(row)
            _touch(session, id)

    def purge(self) -> int:
        """Deletes for good what was deleted a day ago; returns the number of examples."""
        with self._database.reading() as session:
            old = sa.select(ChangeRow.id).where(ChangeRow.created < now() - UNDO_PERIOD)
            changes = session.scalars(old.limit(AT_ONCE)).all()
        if not changes:
            return 0
        with self._database.writing() as session:
            removed = ExampleRow.removed.in_(changes)
            query = sa.select(ExampleRow.id, ExampleRow.kind).where(removed)
            keys = [example_key(*row) for row in session.execute(query)]
            session.execute(sa.delete(ExampleRow).where(removed))
            session.execute(sa.delete(LabelRow).where(LabelRow.removed.in_(changes)))
            session.execute(sa.delete(ChangeRow).where(ChangeRow.id.in_(changes)))
        with store_errors():
            self._blobs.delete(keys)
        return len(keys)

    # ---- Features ----

    def without_features(self, id: str, backbone: str) -> list[str]:
        """The ids of the examples that have no features by this backbone yet, in the order in which they arrived."""
        done = sa.select(FeatureRow.example_id).where(
            FeatureRow.example_id == ExampleRow.id, FeatureRow.backbone == backbone
        )
        query = sa.select(ExampleRow.id).where(
            ExampleRow.classifier_id == id, ExampleRow.removed.is_(None), ~done.exists()
        )
        with self._database.reading() as session:
            return list(session.scalars(query.order_by(ExampleRow.created, ExampleRow.id)))

    def save_features(self, backbone: str, vectors: dict[str, bytes]) -> None:
        """Saves features by the ids of the examples, unless these were deleted meanwhile."""
        with self._database.writing() as session:
            there = set(session.scalars(sa.select(ExampleRow.id).where(ExampleRow.id.in_(vectors))))
            done = sa.select(FeatureRow.example_id).where(
                FeatureRow.example_id.in_(vectors), FeatureRow.backbone == backbone
            )
            there -= set(session.scalars(done))
            rows = [
                FeatureRow(example_id=example, backbone=backbone, vector=vector)
                for example, vector in vectors.items()
                if example in there
            ]
            session.add_all(rows)

    def features(self, id: str, backbone: str, unlabeled: bool = False) -> list[tuple[str, int | None, bytes]]:
        """(example, label, float32 vector as bytes) in the order in which the examples arrived.

        Pictures that cannot be read are left out.

        Args:
            unlabeled: whether to return the examples without a label instead of those with one.
        """
        query = (
            sa.select(ExampleRow.id, ExampleRow.label_id, FeatureRow.vector)
            .join(FeatureRow, FeatureRow.example_id == ExampleRow.id)
            .where(
                ExampleRow.classifier_id == id,
                ExampleRow.removed.is_(None),
                FeatureRow.backbone == backbone,
                sa.func.length(FeatureRow.vector) > 0,
                ExampleRow.label_id.is_(None) if unlabeled else ExampleRow.label_id.is_not(None),
            )
            .order_by(ExampleRow.created, ExampleRow.id)
        )
        with self._database.reading() as session:
            return [(example, label, vector) for example, label, vector in session.execute(query)]

    def forget_features(self, id: str, backbone: str) -> None:
        """Deletes the features of all other backbones."""
        own = sa.select(ExampleRow.id).where(ExampleRow.classifier_id == id)
        with self._database.writing() as session:
            session.execute(
                sa.delete(FeatureRow).where(FeatureRow.example_id.in_(own), FeatureRow.backbone != backbone)
            )

    # ---- Training ----

    def schedule(self, id: str) -> None:
        """Makes a training due now.

        Raises:
            Problem: "unknown-classifier".
        """
        with self._database.writing() as session:
            _row(session, id)
            _touch(session, id, after=timedelta(0), changed=False)

    def schedule_outdated(self, kind: Kind, backbone: str) -> None:
        """Makes trainings due of classifiers whose newest version was trained on the features of another backbone."""
        newest = (VersionRow.classifier_id == ClassifierRow.id, VersionRow.number == ClassifierRow.newest)
        outdated = sa.select(VersionRow.number).where(*newest, VersionRow.backbone != backbone).exists()
        conditions = (ClassifierRow.kind == kind, ClassifierRow.due.is_(None), ClassifierRow.stage.is_(None), outdated)
        with self._database.reading() as session:  # most often there is none, and nothing to lock
            ids = session.scalars(sa.select(ClassifierRow.id).where(*conditions)).all()
        for id in ids:
            self.schedule(id)

    def cancel(self, id: str) -> None:
        """Ends the training of a classifier, or keeps it from beginning.

        Raises:
            Problem: "unknown-classifier".
        """
        with self._database.writing() as session:
            row = _row(session, id)
            row.due, row.stage, row.share, row.attempts = None, None, 0.0, 0

    def training_alone(self) -> AbstractContextManager[bool]:
        """Yields whether no other machine trains. A machine's own processes agree by a lock of its folder."""
        return self._database.only_one("training")

    def begin(self) -> Task | None:
        """Begins the training that is due first; None if none is.

        A training whose process was killed too often counts as failed, and is not begun again.
        """
        with self._database.writing() as session:
            query = sa.select(ClassifierRow).where(ClassifierRow.due <= now()).order_by(ClassifierRow.due)
            for row in session.scalars(query).all():
                if row.attempts >= MOST_ATTEMPTS:
                    row.due, row.attempts, row.stage = None, 0, "failed"
                    row.reason = f"The training process ended {MOST_ATTEMPTS} times without a result."
                    continue
                assert row.due
                row.attempts += 1
                row.stage, row.share, row.reason = "features", 0.0, ""
                return Task(row.id, row.due, row.attempts)
        return None

    def upcoming(self) -> Task | None:
        """The training that will be due first; None if none will."""
        with self._database.reading() as session:
            query = sa.select(ClassifierRow).where(ClassifierRow.due.is_not(None)).order_by(ClassifierRow.due).limit(1)
            row = session.scalar(query)
            return Task(row.id, row.due, row.attempts) if row and row.due else None

    def note(self, task: Task, stage: Stage, share: float) -> bool:
        """Notes the progress of a training; returns False if it was cancelled or its classifier deleted."""
        active = (ClassifierRow.id == task.classifier, ClassifierRow.due.is_not(None))
        with self._database.writing() as session:
            change = sa.update(ClassifierRow).where(*active).values(stage=stage, share=share)
            return count_changed(session, change) > 0

    def fail(self, task: Task, reason: str) -> None:
        """Ends a training without a version."""
        with self._database.writing() as session:
            row = session.get(ClassifierRow, task.classifier)
            if row and row.due:
                _end(row, task)
                if row.due is None:
                    row.stage, row.reason = ("failed", reason) if reason else (None, "")

    def end(self, task: Task) -> None:
        """Ends a training whose version is saved, and published where it should be."""
        with self._database.writing() as session:
            row = session.get(ClassifierRow, task.classifier)
            if row and row.due:
                _end(row, task)

    def save_version(self, task: Task, version: StoredVersion, head: bytes) -> int | None:
        """Saves a version; returns its number, or None if the training was cancelled or its classifier deleted."""
        with self._database.writing() as session:
            row = session.get(ClassifierRow, task.classifier)
            if row is None or row.due is None:
                return None
            number = (row.newest or 0) + 1
            session.add(
                VersionRow(
                    classifier_id=row.id,
                    number=number,
                    created=version.created,
                    revision=version.revision,
                    backbone=version.backbone,
                    labels=[list(label) for label in version.labels],
                    examples=list(version.examples),
                    report=zlib.compress(json.dumps(version.report).encode()),
                    figures=version.figures,
                    card=version.card,
                    head=head,
                    better=version.better,
                    published=False,
                )
            )
            row.newest = number
            old = (VersionRow.classifier_id == row.id, VersionRow.number <= number - KEPT)
            unused = (~VersionRow.published, sa.func.length(VersionRow.head) > 0)
            session.execute(
                sa.update(VersionRow).where(*old, *unused).values(head=b"", report=b"", examples=[], card={})
            )
            return number

    # ---- Versions ----

    def versions(self, id: str) -> list[StoredShort]:
        """The versions of a classifier, newest first, without what takes long to read.

        Raises:
            Problem: "unknown-classifier".
        """
        fields = (VersionRow.number, VersionRow.created, VersionRow.revision, VersionRow.labels, VersionRow.figures)
        with self._database.reading() as session:
            _row(session, id)
            available = sa.func.length(VersionRow.head) > 0
            query = sa.select(*fields, VersionRow.better, available).where(VersionRow.classifier_id == id)
            return [
                StoredShort(number, created, revision, _labels(labels), figures, better, bool(available))
                for number, created, revision, labels, figures, better, available in session.execute(
                    query.order_by(VersionRow.number.desc())
                )
            ]

    def version(self, id: str, number: int) -> StoredVersion:
        """A version.

        Raises:
            Problem: "unknown-classifier" or "unknown-version".
        """
        with self._database.reading() as session:
            return _version(_version_row(session, id, number))

    def head(self, id: str, number: int) -> bytes:
        """A version's head: an ONNX file.

        Raises:
            Problem: "unknown-classifier" or "unknown-version".
        """
        with self._database.reading() as session:
            return _version_row(session, id, number).head

    def set_live(self, id: str, number: int | None) -> None:
        """Notes which version answers; None for none.

        Raises:
            Problem: "unknown-classifier" or "unknown-version".
        """
        with self._database.writing() as session:
            if number is not None:
                _version_row(session, id, number).published = True
            _row(session, id).live = number

    def backbones(self) -> set[str]:
        """The SHA-256 of the networks that versions continue which were ever live."""
        with self._database.reading() as session:
            return set(session.scalars(sa.select(VersionRow.backbone).where(VersionRow.published).distinct()))

    # ---- Size ----

    def database_bytes(self) -> int:
        """About how much of the database features and versions take."""
        with self._database.reading() as session:
            vectors = session.scalar(sa.select(sa.func.sum(sa.func.length(FeatureRow.vector)))) or 0
            sizes = sa.func.length(VersionRow.head) + sa.func.length(VersionRow.report)
            return vectors + (session.scalar(sa.select(sa.func.sum(sizes))) or 0)

    def ids(self) -> list[str]:
        """The ids of all examples."""
        with self._database.reading() as session:
            return list(session.scalars(sa.select(ExampleRow.id)))

    def file(self, example: str) -> tuple[str, bytes | None]:
        """The key and the file of an example's picture; None for the file if the picture is gone."""
        with store_errors():
            found = {key: self._blobs.get(key) for kind in ("photo", "drawing") if (key := example_key(example, kind))}
        return next(((key, data) for key, data in found.items() if data), ("", None))

    def forget(self, examples: Sequence[str]) -> None:
        """Deletes the rows of examples whose picture is gone."""
        with self._database.writing() as session:
            for some in portions(examples):
                session.execute(sa.delete(ExampleRow).where(ExampleRow.id.in_(some)))


class _Room:
    """How much an owner may still add.

    Args:
        examples, size: the owner's examples, and their bytes.
        deleted: the bytes of those that were deleted and can still be brought back.
    """

    def __init__(self, quota: Quota, examples: int, size: int, deleted: int):
        self._quota, self._examples, self._size, self._deleted = quota, examples, size, deleted

    @classmethod
    def of(cls, session: Session, owner: str, quota: Quota) -> "_Room":
        own = sa.select(ClassifierRow.id).where(ClassifierRow.owner == owner)
        query = sa.select(sa.func.count(), sa.func.sum(ExampleRow.bytes)).where(ExampleRow.classifier_id.in_(own))
        examples, size = session.execute(query.where(ExampleRow.removed.is_(None))).one()
        _, deleted = session.execute(query.where(ExampleRow.removed.is_not(None))).one()
        return cls(quota, examples, size or 0, deleted or 0)

    def take(self, size: int) -> None:
        """Counts a new example of so many bytes.

        Raises:
            Problem: "too-many-examples" or "teaching-full".
        """
        if self._quota.examples and self._examples >= self._quota.examples:
            raise Problem(
                "too-many-examples",
                f"You have {self._examples} examples, and {self._quota.examples} are allowed. Delete some first.",
            )
        if self._quota.bytes and self._size + size > self._quota.bytes:
            allowed = self._quota.bytes >> 20
            raise Problem(
                "teaching-full",
                f"Your examples take {self._size / 2**20:.1f} MiB, and {allowed} MiB are allowed. Delete some first.",
            )
        if self._quota.bytes and self._size + size + self._deleted > 2 * self._quota.bytes:
            raise Problem(
                "teaching-full",
                f"You deleted {self._deleted / 2**20:.1f} MiB of examples. They are kept for a day, so that you can "
                "bring them back. Add more when they are gone.",
            )
        self._examples, self._size = self._examples + 1, self._size + size


def example_key(example: str, kind: str) -> str:
    """The key of an example's picture."""
    return f"{example}.{'jpg' if kind == 'photo' else 'png'}"


def _checked(what: str, text: str, longest: int) -> str:
    """A title or the name of a label, with composed letters (NFC) and without space around it.

    Raises:
        Problem: "bad-name": it is empty, too long, or has characters that do not print.
    """
    text = " ".join(unicodedata.normalize("NFC", text).split())
    if not 0 < len(text) <= longest or not text.isprintable():
        raise Problem("bad-name", f"A {what} has 1 to {longest} printable characters. Received: {len(text)}.", text)
    return text


def _row(session: Session, id: str) -> ClassifierRow:
    row = session.get(ClassifierRow, id)
    if row is None:
        raise Problem("unknown-classifier", "There is no such classifier, or it was deleted.", id)
    return row


def _label(session: Session, id: str, label: int) -> LabelRow:
    row = session.get(LabelRow, label)
    if row is None or row.classifier_id != id or row.removed:
        raise Problem("unknown-label", "There is no such label, or it was deleted.", str(label))
    return row


def _version_row(session: Session, id: str, number: int) -> VersionRow:
    _row(session, id)
    row = session.get(VersionRow, (id, number))
    if row is None or not row.head:
        raise Problem("unknown-version", "There is no such version, or only its figures are kept.", str(number))
    return row


def _unknown_example(example: str) -> Problem:
    return Problem("unknown-example", "There is no such example, or it was deleted.", example)


def _named(session: Session, id: str, name: str) -> int | None:
    present = (LabelRow.classifier_id == id, LabelRow.name == name, LabelRow.removed.is_(None))
    return session.scalar(sa.select(LabelRow.id).where(*present))


def _require_free(session: Session, id: str, name: str) -> None:
    if _named(session, id, name) is not None:
        raise Problem("label-taken", f"There is a label “{name}” already. Choose another name.", name)


def _new_label(session: Session, id: str, name: str) -> int:
    _require_free(session, id, name)
    row = LabelRow(classifier_id=id, name=name)
    session.add(row)
    session.flush()
    return row.id


def _label_named(session: Session, id: str, name: str) -> int:
    """The id of the label of that name, which is created if there is none."""
    name = _checked("label", name, LONGEST_LABEL)
    found = _named(session, id, name)
    return _new_label(session, id, name) if found is None else found


def _free_name(session: Session, id: str, name: str) -> str:
    """The name, or with a number if another label has it by now. The label itself is not written yet."""
    taken = sa.select(LabelRow.name).where(LabelRow.classifier_id == id, LabelRow.removed.is_(None))
    with session.no_autoflush:
        names = set(session.scalars(taken))
    return next(one for i in range(len(names) + 1) if (one := f"{name} {i + 1}" if i else name) not in names)


def _present(session: Session, id: str, examples: Sequence[str]) -> list[ExampleRow]:
    """The rows of examples, in no order.

    Raises:
        Problem: "unknown-example": one of them is not there.
    """
    wanted = list(dict.fromkeys(examples))
    rows: list[ExampleRow] = []
    for some in portions(wanted):
        present = (ExampleRow.id.in_(some), ExampleRow.classifier_id == id, ExampleRow.removed.is_(None))
        rows += session.scalars(sa.select(ExampleRow).where(*present)).all()
    missing = set(wanted) - {row.id for row in rows}
    if missing:
        raise _unknown_example(next(one for one in wanted if one in missing))
    return rows


def _new_change(
    session: Session, id: str, moved: list | None = None, change: str | None = None, renamed: list | None = None
) -> str:
    change = change or secrets.token_urlsafe(ID_BYTES)
    session.merge(ChangeRow(id=change, classifier_id=id, created=now(), moved=moved or [], renamed=renamed))
    return change


def _touch(session: Session, id: str, after: timedelta = DEBOUNCE, changed: bool = True) -> None:
    """Notes a change, and makes a training due."""
    row = _row(session, id)
    row.revision += changed
    row.due = now() + after
    row.attempts = 0
    if row.stage == "failed":
        row.stage, row.reason = None, ""


def _end(row: ClassifierRow, task: Task) -> None:
    """Notes the end of a training; the next one follows at once if something changed meanwhile."""
    row.attempts, row.stage, row.share = 0, None, 0.0
    if row.due == task.due:
        row.due = None


def _progress(row: ClassifierRow) -> Progress | None:
    if row.stage == "failed":
        return Progress("failed", 0.0, row.reason)
    if row.due is None:
        return None
    return Progress(row.stage or "waiting", row.share)  # type: ignore[arg-type]  # one of the stages


def _example(row: Any) -> Example:
    """An example from its row, or from a row of the same columns."""
    return Example(row.id, row.label_id, row.name, row.source, row.created)


def _version(row: VersionRow) -> StoredVersion:
    return StoredVersion(
        row.number,
        row.created,
        row.revision,
        row.backbone,
        _labels(row.labels),
        tuple(row.examples),
        json.loads(zlib.decompress(row.report)),
        row.figures,
        row.card,
        row.better,
    )


def _labels(stored: list) -> tuple[tuple[int, str], ...]:
    return tuple((label, name) for label, name in stored)
