"""Pictures on disk and predictions in the database; a result outlives a restart."""

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa
from PIL import Image
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from inkling.classifier import Prediction, wording
from inkling.settings import Settings

LARGEST = 1024  # pixels, longest side of a kept picture
JPEG_QUALITY = 88
ID_BYTES = 16  # 128 bits: a result's address cannot be guessed


class Base(DeclarativeBase):
    """Base of the tables."""


class Row(Base):
    """One answer, as it was given; the model may change or go, the answer stays."""

    __tablename__ = "predictions"

    id: Mapped[str] = mapped_column(sa.String(22), primary_key=True)
    created: Mapped[datetime]  # UTC
    kind: Mapped[str] = mapped_column(sa.String(8))  # "photo" or "drawing"
    model: Mapped[str] = mapped_column(sa.String(64))
    task: Mapped[str] = mapped_column(sa.String(16))
    sure: Mapped[bool]
    wording: Mapped[str | None] = mapped_column(sa.String(8))  # None in rows older than this column
    predictions: Mapped[list] = mapped_column(sa.JSON)  # [[label, probability], …], most likely first
    milliseconds: Mapped[dict] = mapped_column(sa.JSON)


@dataclass(frozen=True)
class Result:
    """A kept answer."""

    id: str
    created: datetime  # UTC
    kind: str
    model: str
    task: str
    sure: bool
    wording: str  # as it was said then
    predictions: list[tuple[str, float]]
    milliseconds: dict[str, float]

    @property
    def label(self) -> str:
        return self.predictions[0][0]

    @property
    def confidence(self) -> float:
        return self.predictions[0][1]


class Store:
    """Keeps results: a row in the database and two files in the pictures' folder, named by the result's id."""

    def __init__(self, settings: Settings):
        self._settings = settings

    @cached_property
    def _engine(self) -> sa.Engine:
        self._settings.pictures.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(self._settings.sqlalchemy_url)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _sqlite_pragmas)
        with engine.begin() as connection:
            # Workers start together: creating the table must not fail when another has just done it.
            connection.execute(sa.schema.CreateTable(Row.__table__, if_not_exists=True))
        _add_wording(engine)
        return engine

    def add(self, image: Image.Image, prediction: Prediction, kind: str, milliseconds: dict[str, float]) -> str:
        """Keeps a picture and its answer; returns the result's id.

        Files are written first and whole (temporary name, then rename): a row never points to half a picture.

        Args:
            kind: "photo" (kept as JPEG) or "drawing" (kept as PNG).
        """
        id = secrets.token_urlsafe(ID_BYTES)
        row = Row(
            id=id, created=datetime.now(UTC).replace(tzinfo=None), kind=kind, model=prediction.model,
            task=prediction.task, sure=prediction.sure, wording=prediction.wording, milliseconds=milliseconds,
            predictions=[[label, round(probability, 6)] for label, probability in prediction.ranked()])
        engine = self._engine
        try:
            _write(self._file(id, kind), _at_most(image, LARGEST))
            _write(self.seen(id), Image.fromarray(prediction.seen.squeeze()))
            with Session(engine) as session, session.begin():
                session.add(row)
        except BaseException:
            self._remove_files(id, kind)
            raise
        return id

    def get(self, id: str) -> Result | None:
        """A kept result, or None."""
        with Session(self._engine) as session:
            row = session.get(Row, id)
            if row is None:
                return None
            ranked = [(label, probability) for label, probability in row.predictions]
            return Result(
                row.id, row.created.replace(tzinfo=UTC), row.kind, row.model, row.task, row.sure,
                row.wording or wording(ranked[0][1], row.sure), ranked, row.milliseconds)

    def picture(self, result: Result) -> Path:
        """The file of a result's picture."""
        return self._file(result.id, result.kind)

    def open(self, result: Result) -> Image.Image | None:
        """A result's picture as it was kept, or None where the file is gone."""
        try:
            with Image.open(self.picture(result)) as image:
                return image.convert("RGB")
        except OSError:
            return None

    def seen(self, id: str) -> Path:
        """The file of what the model saw."""
        return self._settings.pictures / f"{id}.seen.png"

    def delete(self, id: str) -> bool:
        """Removes row and files; False when there is no such result."""
        result = self.get(id)
        if result is None:
            return False
        with Session(self._engine) as session, session.begin():
            session.execute(sa.delete(Row).where(Row.id == id))
        self._remove_files(id, result.kind)
        return True

    def _file(self, id: str, kind: str) -> Path:
        return self._settings.pictures / (f"{id}.jpg" if kind == "photo" else f"{id}.png")

    def _remove_files(self, id: str, kind: str) -> None:
        for path in (self._file(id, kind), self.seen(id)):
            path.unlink(missing_ok=True)


def _add_wording(engine: sa.Engine) -> None:
    """Gives a table of before `wording` was kept its column; another worker may be doing the same."""

    def missing() -> bool:
        return "wording" not in {column["name"] for column in sa.inspect(engine).get_columns(Row.__tablename__)}

    if not missing():
        return
    try:
        with engine.begin() as connection:
            connection.execute(sa.text(f"ALTER TABLE {Row.__tablename__} ADD COLUMN wording VARCHAR(8)"))
    except sa.exc.DBAPIError:
        if missing():
            raise


def _sqlite_pragmas(connection, _record) -> None:
    """Write-ahead log: readers and a writer do not wait for each other; others wait up to 10 s for the writer."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")


def _at_most(image: Image.Image, side: int) -> Image.Image:
    if max(image.size) <= side:
        return image
    smaller = image.copy()
    smaller.thumbnail((side, side), reducing_gap=2.0)
    return smaller


def _write(path: Path, image: Image.Image) -> None:
    """Encodes anew, without metadata, under a temporary name that is renamed when whole."""
    part = path.with_name(f".{path.name}.part")
    bare = image.copy()
    bare.info = {}  # Pillow would write comments and profiles from it
    try:
        bare.save(part, "JPEG" if path.suffix == ".jpg" else "PNG", quality=JPEG_QUALITY)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
