"""The tables of the database. Change them together with a new revision in `migrations/versions`."""

import time
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


def now() -> datetime:
    """The current date and time, UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


class UtcDateTime(sa.TypeDecorator):
    """Time-zone-aware dates in UTC. SQLite stores them without a zone; PostgreSQL as `timestamptz`."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        """Converts to UTC.

        Raises:
            ValueError: the date has no time zone.
        """
        if value is not None and value.tzinfo is None:
            raise ValueError(f"a date needs a time zone. Received: {value!r}")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: sa.Dialect) -> datetime | None:
        """Adds the zone that SQLite does not store."""
        return value and (value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC))


class Number(sa.TypeDecorator):
    """Numbers of rows. One that no row can have, such as a visitor may write in an address, is no row's."""

    impl = sa.Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, _dialect: sa.Dialect) -> int | None:
        """Makes what does not fit into the column NULL, which equals nothing."""
        return value if value is not None and abs(value) < 2**31 else None


class Base(DeclarativeBase):
    """Base of the tables."""


class ResultRow(Base):
    """One answer, as it was given. It stays the same when the model changes or is removed."""

    __tablename__ = "predictions"

    id: Mapped[str] = mapped_column(sa.String(22), primary_key=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    kind: Mapped[str] = mapped_column(sa.String(8))  # "photo" or "drawing"
    format: Mapped[str | None] = mapped_column(sa.String(8))  # as `Result.format`
    suffix: Mapped[str] = mapped_column(sa.String(4), server_default="jpg")  # as `Result.suffix`
    model: Mapped[str] = mapped_column(sa.String(64))
    task: Mapped[str] = mapped_column(sa.String(64))
    sure: Mapped[bool]
    wording: Mapped[str] = mapped_column(sa.String(8))  # "sure", "probably" or "not sure"
    familiar: Mapped[bool] = mapped_column(server_default=sa.true())  # whether it looked like the training pictures
    group: Mapped[str | None] = mapped_column(sa.Text)  # as `Prediction.group`
    route: Mapped[str | None] = mapped_column(sa.String(16))  # why this model answered in Auto; None if it was chosen
    asked: Mapped[list] = mapped_column(sa.JSON, server_default="[]")  # names of the models that Auto asked
    correction: Mapped[str | None] = mapped_column(sa.Text)  # as `Result.correction`
    predictions: Mapped[list] = mapped_column(sa.JSON)  # [[label, probability], …], most likely first
    milliseconds: Mapped[dict] = mapped_column(sa.JSON)
    bytes: Mapped[int | None]  # space that its files take; None until the first sweep after an upgrade
    owner: Mapped[str | None] = mapped_column(sa.String(64))  # as `Result.owner`
    client: Mapped[str | None] = mapped_column(sa.String(64))  # a pseudonym of the address that it came from
    hidden: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)  # when a visitor deleted it, until it goes

    entry: Mapped["EntryRow | None"] = relationship(back_populates="result", passive_deletes=True)

    __table_args__ = (
        sa.Index("ix_predictions_created", "created", "id", "bytes"),  # order of age, and covers the sum of bytes
        sa.Index("ix_predictions_owner", "owner", "created"),
    )


class BatchRow(Base):
    """Several pictures that were sent together."""

    __tablename__ = "batches"

    id: Mapped[str] = mapped_column(sa.String(22), primary_key=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    model: Mapped[str] = mapped_column(sa.String(64))  # empty for Auto

    entries: Mapped[list["EntryRow"]] = relationship(order_by="EntryRow.position", passive_deletes=True)


class EntryRow(Base):
    """One picture of a batch. It has a result, or a reason why there is none; neither once the result was deleted."""

    __tablename__ = "batch_entries"

    batch_id: Mapped[str] = mapped_column(sa.ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)  # from 0, as they were sent
    name: Mapped[str] = mapped_column(sa.Text)  # of the file; empty once the result was deleted
    result_id: Mapped[str | None] = mapped_column(sa.ForeignKey("predictions.id", ondelete="SET NULL"), unique=True)
    reason: Mapped[str | None] = mapped_column(sa.String(32))  # a code of `inkling.problems.REASONS`
    received: Mapped[str] = mapped_column(sa.Text)  # the problem with the file, in short

    result: Mapped[ResultRow | None] = relationship(back_populates="entry")


class UsageRow(Base):
    """One row with the space that all results' files take, so that nobody has to count them."""

    __tablename__ = "usage"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # always 1
    bytes: Mapped[int] = mapped_column(sa.BigInteger)
    swept: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when the last retention sweep began


# ---- Taught classifiers ----


class ClassifierRow(Base):
    """A classifier that somebody teaches."""

    __tablename__ = "classifiers"

    id: Mapped[str] = mapped_column(sa.String(22), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(64), unique=True)  # of its model
    title: Mapped[str] = mapped_column(sa.Text)
    kind: Mapped[str] = mapped_column(sa.String(8))  # "photo" or "ink"
    owner: Mapped[str] = mapped_column(sa.Text, index=True)
    listed: Mapped[bool]
    auto: Mapped[bool]
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    revision: Mapped[int]  # grows with each change of examples and labels
    live: Mapped[int | None]  # number of the version that answers
    newest: Mapped[int | None]  # number of the version that was trained last
    due: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)  # when to train; None if nothing changed
    attempts: Mapped[int]  # trainings begun since one ended; more than one means that the process was killed
    stage: Mapped[str | None] = mapped_column(sa.String(16))  # of the training, as `Progress.stage`
    share: Mapped[float] = mapped_column(sa.Float)  # of the stage
    reason: Mapped[str] = mapped_column(sa.Text)  # why the last training failed


class LabelRow(Base):
    """A class of a classifier."""

    __tablename__ = "classifier_labels"

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    classifier_id: Mapped[str] = mapped_column(sa.ForeignKey("classifiers.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(sa.Text)
    removed: Mapped[str | None] = mapped_column(sa.String(22))  # id of the change that deleted it


class ExampleRow(Base):
    """A picture that a classifier learns from."""

    __tablename__ = "examples"

    id: Mapped[str] = mapped_column(sa.String(22), primary_key=True)
    classifier_id: Mapped[str] = mapped_column(sa.ForeignKey("classifiers.id", ondelete="CASCADE"))
    label_id: Mapped[int | None] = mapped_column(
        Number, sa.ForeignKey("classifier_labels.id", ondelete="SET NULL"), index=True
    )
    kind: Mapped[str] = mapped_column(sa.String(8))  # "photo" (a JPEG file) or "drawing" (a PNG file)
    name: Mapped[str] = mapped_column(sa.Text)  # of the file
    source: Mapped[str] = mapped_column(sa.String(16))  # "file", "camera", "canvas" or "correction"
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    digest: Mapped[str] = mapped_column(sa.String(64))  # SHA-256 of its file
    bytes: Mapped[int]  # of its file
    removed: Mapped[str | None] = mapped_column(sa.String(22), index=True)  # id of the change that deleted it

    __table_args__ = (
        sa.Index("ix_examples_order", "classifier_id", "created", "id"),
        sa.Index("ix_examples_digest", "classifier_id", "digest"),
    )


class FeatureRow(Base):
    """The features of an example by one version of a backbone."""

    __tablename__ = "example_features"

    example_id: Mapped[str] = mapped_column(sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True)
    backbone: Mapped[str] = mapped_column(sa.String(64), primary_key=True)  # SHA-256 of its network
    vector: Mapped[bytes] = mapped_column(sa.LargeBinary)  # float32; empty for a picture that cannot be read


class VersionRow(Base):
    """One training of a classifier: what it was trained on, its figures and its head."""

    __tablename__ = "classifier_versions"

    classifier_id: Mapped[str] = mapped_column(sa.ForeignKey("classifiers.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(Number, primary_key=True, autoincrement=False)
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    revision: Mapped[int]  # of the classifier, when the training began
    backbone: Mapped[str] = mapped_column(sa.String(64))  # SHA-256 of its network
    published: Mapped[bool] = mapped_column(server_default=sa.true())  # whether it was ever live
    labels: Mapped[list] = mapped_column(sa.JSON)  # [[id, name], …] in the order of the answers
    examples: Mapped[list] = mapped_column(sa.JSON)  # ids in the order of the report
    report: Mapped[bytes] = mapped_column(sa.LargeBinary)  # JSON, compressed by zlib; empty once the head is
    figures: Mapped[dict] = mapped_column(sa.JSON, server_default="{}")  # the part of it that lists of versions show
    card: Mapped[dict] = mapped_column(sa.JSON)  # of the model
    head: Mapped[bytes] = mapped_column(sa.LargeBinary)  # an ONNX file; empty if only the figures are kept
    better: Mapped[bool | None]  # than the version that was live, on the examples that both have seen


class ChangeRow(Base):
    """A change of examples or labels that can be undone for a day. Deleted rows name it in their column `removed`."""

    __tablename__ = "example_changes"

    id: Mapped[str] = mapped_column(sa.String(22), primary_key=True)
    classifier_id: Mapped[str] = mapped_column(sa.ForeignKey("classifiers.id", ondelete="CASCADE"), index=True)
    created: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    moved: Mapped[list] = mapped_column(sa.JSON)  # [[example, label before], …]; empty for a deletion
    renamed: Mapped[list | None] = mapped_column(sa.JSON)  # [label, name before]; None for another change


# ---- Access ----


class TokenRow(Base):
    """A credential: a token, the session of a browser that signed in, or a sign-in link."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(Number, primary_key=True)
    hash: Mapped[str] = mapped_column(sa.String(64), unique=True)  # SHA-256 of the secret
    kind: Mapped[str] = mapped_column(sa.String(8))  # "token", "session" or "link"
    scope: Mapped[str] = mapped_column(sa.String(16))  # a key of `inkling.access.SCOPES`
    owner: Mapped[str] = mapped_column(sa.String(64))
    created: Mapped[datetime] = mapped_column(UtcDateTime)
    expires: Mapped[datetime] = mapped_column(UtcDateTime)
    parent: Mapped[int | None] = mapped_column(sa.ForeignKey("tokens.id", ondelete="CASCADE"), index=True)
    minute_limit: Mapped[
        int | None
    ]  # points that it may use in a minute, in place of its client's; None: as its client
    day_limit: Mapped[int | None]  # points that it may use in a day, UTC; None means no limit
    day: Mapped[str | None] = mapped_column(sa.String(10))  # for which `used` counts, such as "2026-07-14"
    used: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")  # points, if there is a `day_limit`


# ---- What others are told ----


class WebhookRow(Base):
    """Where a classifier's answers are sent."""

    __tablename__ = "webhooks"

    classifier_id: Mapped[str] = mapped_column(sa.ForeignKey("classifiers.id", ondelete="CASCADE"), primary_key=True)
    url: Mapped[str] = mapped_column(sa.Text)
    secret: Mapped[str] = mapped_column(sa.String(64))  # as it is: it signs, so a hash would not do
    events: Mapped[str] = mapped_column(sa.String(8))  # as `notices.Events`
    failure: Mapped[str] = mapped_column(sa.Text)  # of the last attempt


class MessageRow(Base):
    """A message that waits for a webhook."""

    __tablename__ = "webhook_messages"

    id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    classifier_id: Mapped[str] = mapped_column(sa.ForeignKey("webhooks.classifier_id", ondelete="CASCADE"), index=True)
    body: Mapped[str] = mapped_column(sa.Text)
    attempts: Mapped[int]  # that failed
    due: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class SourceRow(Base):
    """What a model says about a source, such as a camera."""

    __tablename__ = "sources"

    model: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    state: Mapped[str] = mapped_column(sa.Text)  # a label, or "unknown"
    candidate: Mapped[str] = mapped_column(sa.Text)  # the last reading
    run: Mapped[int]  # how many readings in a row were the same
    about: Mapped[dict] = mapped_column(sa.JSON)  # the answer that changed the state
    picture: Mapped[bytes | None] = mapped_column(sa.LargeBinary)  # its JPEG, until it is published
    changed: Mapped[datetime] = mapped_column(UtcDateTime)
    published: Mapped[bool]
