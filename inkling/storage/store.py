"""Pictures on disk and predictions in the database; a result outlives a restart."""

import errno
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa
from PIL import Image
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from inkling.config import Settings
from inkling.pictures.encode import LARGEST, encode, thumbnail
from inkling.recognition.predictor import PROBABLY, Prediction, wording
from inkling.storage.breaker import Pause

ID_BYTES = 16  # 128 bits: a result's address cannot be guessed
ID = r"[\w-]{21}[AQgw]"  # 16 bytes as letters, of which the last two bits are all that the last letter has
KINDS = ("jpg", "png", "seen.png", "heat.png")
PICTURE = re.compile(rf"({ID})\.(?:{'|'.join(map(re.escape, KINDS))})", re.ASCII)  # ours: others may be kept there
NONE_OF_THESE = ""  # the correction that says: no label fits
PATIENCE = 3000  # milliseconds to wait for another writer of an SQLite database
LEAST_FREE = 2**24  # bytes of the disk that are left to the database, to deleting, and to the log
FEWEST_FREE = 1000  # files
BLOCK = 4096  # bytes that the smallest file takes
SAMPLE = 2**16  # bytes, about a picture
SPARE = 2**20  # bytes, and a quarter of the database: what it may hold free before it is made smaller


class StoreError(Exception):
    """The database or the pictures' folder cannot be used; the message says why, without names of visitors' files."""


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
    correction: Mapped[str | None] = mapped_column(sa.Text)  # as `Result.correction`
    predictions: Mapped[list] = mapped_column(sa.JSON)  # [[label, probability], …], most likely first
    milliseconds: Mapped[dict] = mapped_column(sa.JSON)
    batch: Mapped[str | None] = mapped_column(sa.String(22))  # what it was sent together with, if with anything


@dataclass(frozen=True)
class Result:
    """An answer."""

    id: str  # empty where it could not be kept
    created: datetime  # UTC
    kind: str
    model: str
    task: str
    sure: bool
    wording: str  # as it was said then
    predictions: list[tuple[str, float]]
    milliseconds: dict[str, float]
    correction: str | None = None  # the right label as the visitor said; NONE_OF_THESE; None where nobody said
    batch: str | None = None  # the id of what it was sent together with

    @property
    def label(self) -> str:
        return self.predictions[0][0]

    @property
    def confidence(self) -> float:
        return self.predictions[0][1]

    @property
    def strange(self) -> bool:
        """Whether it is not sure of a strong answer, for the picture is unlike those that the model learned from."""
        return self.wording == "not sure" and self.confidence >= PROBABLY


class Store:
    """Keeps results: a row in the database and files in the pictures' folder, each named by the result's id."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._pause = Pause("saving", StoreError)
        self.written = 0  # bytes of pictures, so far

    @cached_property
    def _engine(self) -> sa.Engine:
        self._settings.pictures.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(self._settings.sqlalchemy_url)
        if engine.dialect.name == "sqlite":
            sa.event.listen(engine, "connect", _sqlite_pragmas)
        try:
            with engine.begin() as connection:
                # Workers start together: creating a table must not fail when another has just done it.
                for table in Base.metadata.sorted_tables:
                    connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
            _add_columns(engine)
        except BaseException:
            engine.dispose()
            raise
        return engine

    @property
    def problem(self) -> str | None:
        """Why nothing is kept now, as the last try said; None where it is."""
        return self._pause.why

    def check(self) -> None:
        """Finds out whether something could be kept now.

        Raises:
            StoreError: it could not; the message says why.
        """
        with self._keeping():
            if self.problem:  # only a file shows that it is over
                path = self._file(secrets.token_urlsafe(ID_BYTES), "drawing")
                with _told():
                    _replace(path, lambda part: part.write_bytes(bytes(SAMPLE)))
                    path.unlink()
            with self.session() as session:  # changes nothing, but asks for all that a change takes
                session.execute(sa.update(Row).where(Row.id == "").values(sure=Row.sure))

    @contextmanager
    def _keeping(self) -> Iterator[None]:
        """Around all that keeps something: refused where there is no room, and for a while after a failure."""
        with self._pause.trial():
            try:
                self._look_for_room()
                yield
            except StoreError:
                # Opened anew at the next try: the file may be another one by then.
                if engine := self.__dict__.pop("_engine", None):
                    engine.dispose()
                raise

    def _look_for_room(self) -> None:
        folder = self._settings.pictures
        with _told():
            folder.mkdir(parents=True, exist_ok=True)
            disk = os.statvfs(folder)
            if disk.f_flag & os.ST_RDONLY:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))
            if not os.access(folder, os.W_OK | os.X_OK):
                raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        if disk.f_blocks and disk.f_bavail * disk.f_frsize < LEAST_FREE:  # some file systems tell nothing
            raise StoreError(f"the disk is full: less than {LEAST_FREE >> 20} MiB are free")
        if disk.f_files and disk.f_favail < FEWEST_FREE:
            raise StoreError(f"the disk is full: it has room for fewer than {FEWEST_FREE} files")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction on the database, also for a room that keeps a table of its own.

        Raises:
            StoreError: the database cannot be opened, read or written.
        """
        with _told(), Session(self._engine) as session, session.begin():
            yield session

    def add(
        self,
        image: Image.Image,
        prediction: Prediction,
        kind: str,
        milliseconds: dict[str, float],
        batch: str | None = None,
    ) -> str:
        """Keeps a picture and its answer; returns the result's id.

        Files are written first and whole (temporary name, then rename): a row never points to half a picture.

        Args:
            kind: "photo" (kept as JPEG) or "drawing" (kept as PNG).
            batch: the id of the pictures that it was sent together with.

        Raises:
            StoreError: they cannot be kept; nothing is left of them.
        """
        id = secrets.token_urlsafe(ID_BYTES)
        with self._keeping(), _told():
            try:
                self.written += _write(self._file(id, kind), image)
                self.written += _write(self.seen(id), Image.fromarray(prediction.seen.squeeze()))
                with self.session() as session:
                    session.add(_row(id, prediction, kind, milliseconds, batch))
            except BaseException:
                self._remove_files(id)
                raise
        return id

    def get(self, id: str) -> Result | None:
        """A kept result, or None; one whose picture is gone is gone."""
        with self.session() as session:
            row = session.get(Row, id)
            found = row and _result(row)
        return found if found and _filled(self.picture(found)) else None

    def get_all(self, ids: Sequence[str]) -> list[Result]:
        """The kept results among `ids`, in their order; those that are gone are left out."""
        with self.session() as session:
            found = {row.id: _result(row) for row in session.scalars(sa.select(Row).where(Row.id.in_(ids)))}
        return [found[id] for id in ids if id in found and _filled(self.picture(found[id]))]

    def correct(self, id: str, label: str | None) -> bool:
        """Notes the right label of a result, or `NONE_OF_THESE`; None takes it back. False: no such result."""
        with self.session() as session:
            return session.execute(sa.update(Row).where(Row.id == id).values(correction=label)).rowcount > 0

    def corrected(self) -> list[Result]:
        """All results that a visitor said the right label of, oldest first."""
        with self.session() as session:
            rows = session.scalars(sa.select(Row).where(Row.correction.is_not(None)).order_by(Row.created, Row.id))
            return [_result(row) for row in rows]

    def expires(self, result: Result) -> datetime | None:
        """When a result goes by itself at the latest; None where it does not."""
        days = self._settings.retention_days
        return result.created + timedelta(days=days) if days and result.correction is None else None

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

    def thumbnail(self, result: Result) -> bytes | None:
        """A result's picture as a file of at most 256 pixels a side, JPEG or PNG as the picture; None where
        that is gone.

        It is made anew each time (a few milliseconds), so that no file of it is left behind.
        """
        path = self.picture(result)
        try:
            return thumbnail(path.read_bytes())
        except OSError:
            return None

    def seen(self, id: str) -> Path:
        """The file of what the model saw."""
        return self._settings.pictures / f"{id}.seen.png"

    def heatmap(self, id: str) -> Path:
        """The file of what the answer hangs on, which is there once it was kept."""
        return self._settings.pictures / f"{id}.heat.png"

    def has_heatmap(self, id: str) -> bool:
        """Whether it was kept, and is whole."""
        return _filled(self.heatmap(id))

    def keep_heatmap(self, id: str, png: bytes) -> bool:
        """Keeps a result's heat map, whole; False where the result is gone meanwhile, and with it the map.

        Raises:
            StoreError: it cannot be kept.
        """
        with self._keeping(), _told():
            self.written += _replace(self.heatmap(id), lambda part: part.write_bytes(png))
        if self.get(id) is None:
            self._remove_files(id)
            return False
        return True

    def delete(self, *ids: str) -> int:
        """Removes rows and files; returns how many of these results there were."""
        with self.session() as session:
            count = session.execute(sa.delete(Row).where(Row.id.in_(ids))).rowcount
        with _told():
            self._remove_files(*ids)
        return count

    def database_bytes(self) -> int:
        """What an SQLite database holds, less what is free in it; 0 for another one, whose room is its own affair."""
        pages, free, size = self._pages()
        return (pages - free) * size

    def shrink(self) -> None:
        """Gives the disk back what an SQLite database holds free, where that is much."""
        pages, free, size = self._pages()
        if free * size > max(SPARE, pages * size / 4):
            with _told(), self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("VACUUM")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def _pages(self) -> list[int]:
        """All pages of an SQLite database, free pages, and bytes of one; zeros for another one."""
        if not self._settings.sqlalchemy_url.startswith("sqlite"):
            return [0, 0, 0]
        with self.session() as session:
            return [session.scalar(sa.text(f"PRAGMA {name}")) for name in ("page_count", "freelist_count", "page_size")]

    def _file(self, id: str, kind: str) -> Path:
        return self._settings.pictures / (f"{id}.jpg" if kind == "photo" else f"{id}.png")

    def _remove_files(self, *ids: str) -> None:
        """Our files of these ids."""
        for id in ids:
            for kind in KINDS if re.fullmatch(ID, id, re.ASCII) else ():
                (self._settings.pictures / f"{id}.{kind}").unlink(missing_ok=True)


def now() -> datetime:
    """By the clock on the wall, in UTC, as the database has it."""
    return datetime.fromtimestamp(time.time(), UTC).replace(tzinfo=None)


@contextmanager
def _told() -> Iterator[None]:
    """What database and disk fail with, as `StoreError`."""
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        # What a server says may name machines and users.
        cause = getattr(error, "orig", None) or error
        why = cause if isinstance(cause, sqlite3.Error) else type(cause).__name__
        raise StoreError(f"the database cannot be used: {why}") from error
    except OSError as error:
        raise StoreError(f"the pictures' folder cannot be used: {error.strerror or type(error).__name__}") from error


def unkept(prediction: Prediction, kind: str, milliseconds: dict[str, float]) -> Result:
    """An answer that could not be kept, as a result whose id is empty."""
    return _result(_row("", prediction, kind, milliseconds))


def _row(id: str, prediction: Prediction, kind: str, milliseconds: dict[str, float], batch: str | None = None) -> Row:
    return Row(
        id=id,
        created=now(),
        kind=kind,
        model=prediction.model,
        batch=batch,
        task=prediction.task,
        sure=prediction.sure,
        wording=prediction.wording,
        milliseconds=milliseconds,
        predictions=[[label, round(probability, 6)] for label, probability in prediction.ranked()],
    )


def _result(row: Row) -> Result:
    ranked = [(label, probability) for label, probability in row.predictions]
    return Result(
        id=row.id,
        created=row.created.replace(tzinfo=UTC),
        kind=row.kind,
        model=row.model,
        task=row.task,
        sure=row.sure,
        wording=row.wording or wording(ranked[0][1], row.sure),
        predictions=ranked,
        milliseconds=row.milliseconds,
        correction=row.correction,
        batch=row.batch,
    )


def _add_columns(engine: sa.Engine) -> None:
    """Gives an older table the columns that came since, all nullable; another worker may be doing the same."""

    def missing() -> list[sa.Column]:
        there = {column["name"] for column in sa.inspect(engine).get_columns(Row.__tablename__)}
        return [column for column in Row.__table__.columns if column.nullable and column.name not in there]

    for column in missing():
        definition = f"{column.name} {column.type.compile(engine.dialect)}"
        try:
            with engine.begin() as connection:
                connection.execute(sa.text(f"ALTER TABLE {Row.__tablename__} ADD COLUMN {definition}"))
        except sa.exc.DBAPIError:
            if column.name in {column.name for column in missing()}:
                raise


def _sqlite_pragmas(connection, _record) -> None:
    """Write-ahead log: readers and a writer do not wait for each other, others wait a little for the writer."""
    for pragma in (f"busy_timeout={PATIENCE}", "journal_mode=WAL", "synchronous=NORMAL"):
        try:
            connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:  # what is there can still be read
                raise


def _write(path: Path, image: Image.Image) -> int:
    """Encodes anew, without metadata; returns the bytes that it takes of the disk."""
    return _replace(path, lambda part: part.write_bytes(encode(image, _format(path), LARGEST)))


def _replace(path: Path, write: Callable[[Path], object]) -> int:
    """Writes a file under a temporary name of its own, which is renamed when whole; returns the bytes
    that it takes of the disk."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        write(part)
        size = part.stat().st_size
        os.replace(part, path)
        return max(size, BLOCK)
    finally:
        part.unlink(missing_ok=True)


def _filled(path: Path) -> bool:
    """Whether a file is there, and is not what a power cut left of one."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def _format(path: Path) -> str:
    return "JPEG" if path.suffix == ".jpg" else "PNG"
