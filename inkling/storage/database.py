"""The database: opened and upgraded at its first use."""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from inkling.storage import migrations, private
from inkling.storage.errors import store_errors

LOCK_TIMEOUT = 3000  # milliseconds to wait for another writer of an SQLite database
CHECKPOINT_TIMEOUT = 100  # milliseconds to wait for readers before the write-ahead log is emptied
AT_ONCE = 500  # rows of one statement or transaction
SPARE_BYTES = 2**20  # an SQLite database may hold this much free space, and a quarter of itself, before it is shrunk

T = TypeVar("T")


def portions(items: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """Yields lists of at most `size` items."""
    rest = iter(items)
    while portion := list(islice(rest, size)):
        yield portion


def count_changed(session: Session, statement: sa.UpdateBase) -> int:
    """Executes an UPDATE or DELETE; returns the number of rows that it changed."""
    return cast(sa.CursorResult, session.execute(statement)).rowcount


class Database:
    """Sessions on the database that a URL names.

    Args:
        url: SQLAlchemy URL of an SQLite file or of a PostgreSQL server.
        folder: is created before the database is opened.
        connections: the most that are open to a server at a time.
    """

    def __init__(self, url: str, folder: Path, connections: int = 5):
        self._url, self._folder, self._connections = url, folder, connections
        self._engine: sa.Engine | None = None
        self._lock = threading.Lock()
        self.checkpoint_due = False  # the write-ahead log still holds deleted rows

    @property
    def is_sqlite(self) -> bool:
        """Whether it is an SQLite file."""
        return self._url.startswith("sqlite")

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session that only reads, and sees the database as it was at its first query.

        Raises:
            StoreError: the database cannot be opened or read.
        """
        with store_errors(), Session(self._opened()) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that takes the one write lock at its start, so nothing that it reads changes until its end.

        The lock is SQLite's own, or one that all machines share on a PostgreSQL server. Do nothing slow meanwhile.

        Raises:
            StoreError: the database cannot be opened, read or written.
        """
        with store_errors(), Session(self._opened().execution_options(write=True)) as session, session.begin():
            yield session

    @contextmanager
    def only_one(self, name: str) -> Iterator[bool]:
        """Yields whether nobody else is inside for this name, of all machines that share a database server.

        An SQLite file belongs to one machine, where `locks.only_one` says so: then it is always True.

        Raises:
            StoreError: the server cannot be asked, or was restarted meanwhile, which ends the lock.
        """
        if self.is_sqlite:
            yield True
            return
        from inkling.storage import postgres

        with store_errors(), postgres.only_one(self._opened(), name) as held:
            yield held

    def close(self) -> None:
        """Closes all connections; the next session opens the database anew, even if the file is another one by then."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine:
            engine.dispose()

    def used_bytes(self) -> int:
        """Size of an SQLite database without its free pages; 0 for a database server.

        Raises:
            StoreError: the database cannot be opened or read.
        """
        pages, free, size = self._pages()
        return (pages - free) * size

    def shrink(self) -> None:
        """Gives the free space of an SQLite database back to the disk if there is much of it.

        Raises:
            StoreError: the database is in use, or the disk is full.
        """
        pages, free, size = self._pages()
        if free * size > max(SPARE_BYTES, pages * size / 4):
            with self._raw() as connection:
                connection.execute("VACUUM")
        self.checkpoint()

    def checkpoint(self) -> None:
        """Empties SQLite's write-ahead log, which still holds rows that were deleted.

        Where a reader holds it back, `checkpoint_due` stays set.

        Raises:
            StoreError: the database cannot be used.
        """
        if not self.is_sqlite:
            return
        self.checkpoint_due = True
        with self._raw() as connection:
            try:
                connection.execute(f"PRAGMA busy_timeout={CHECKPOINT_TIMEOUT}")
                busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.execute(f"PRAGMA busy_timeout={LOCK_TIMEOUT}")
        self.checkpoint_due = bool(busy)

    def copy_to(self, file: Path) -> None:
        """Copies an SQLite database to a file, as it is at one moment, while others read and write.

        See https://www.sqlite.org/backup.html.

        Raises:
            StoreError: the database cannot be read, or the file cannot be written.
        """
        with self._raw() as source, closing(sqlite3.connect(file)) as target:
            source.backup(target)

    @contextmanager
    def _raw(self) -> Iterator[sqlite3.Connection]:
        """A connection without a transaction."""
        with store_errors():
            connection = self._opened().raw_connection()
            try:
                yield cast(sqlite3.Connection, connection.driver_connection)
            except sqlite3.Error as error:
                raise sa.exc.DBAPIError(None, None, error) from error
            finally:
                connection.close()

    def _pages(self) -> list[int]:
        """Number of pages, of free pages, and bytes per page; zeros for a database server."""
        if not self.is_sqlite:
            return [0, 0, 0]
        with self.reading() as session:
            return [session.scalar(sa.text(f"PRAGMA {name}")) for name in ("page_count", "freelist_count", "page_size")]

    @staticmethod
    def _make_private(file: str | None) -> None:
        """Makes an SQLite file private before SQLite opens it; its log gets the same mode."""
        if file and file != ":memory:":
            with suppress(OSError):  # SQLite reports what is wrong with the file
                private.make_file(Path(file))

    def _opened(self) -> sa.Engine:
        with self._lock:
            if not self._engine:
                private.make_folder(self._folder)
                engine = self._create_engine()
                try:
                    migrations.upgrade(engine)
                except BaseException:
                    engine.dispose()
                    raise
                self._engine = engine
            return self._engine

    def _create_engine(self) -> sa.Engine:
        if not self.is_sqlite:
            from inkling.storage import postgres  # which loads an optional package

            return postgres.create_engine(sa.make_url(self._url), self._connections)
        engine = sa.create_engine(self._url)
        self._make_private(engine.url.database)
        sa.event.listen(engine, "connect", _set_pragmas)
        sa.event.listen(engine, "begin", _begin)
        return engine


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    """Sets up a new SQLite connection.

    With the write-ahead log, readers and a writer do not wait for each other. Deleted rows are overwritten. The
    driver's own transactions are off, for they would leave out changes of the schema: `_begin` starts them.
    """
    connection.isolation_level = None
    for pragma in (
        f"busy_timeout={LOCK_TIMEOUT}",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "secure_delete=ON",
    ):
        try:
            connection.execute(f"PRAGMA {pragma}")
        except sqlite3.OperationalError as error:
            # a read-only database can still be read; and SQLite does not wait where another connection is just now
            # switching to the write-ahead log: every connection follows it
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY):
                raise


def _begin(connection: sa.Connection) -> None:
    """Starts a transaction; one that will write takes the write lock at once and not after it has read."""
    write = connection.get_execution_options().get("write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
