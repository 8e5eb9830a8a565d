"""What a PostgreSQL server needs that an SQLite file does not: limits of a connection, and locks for all machines."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import sqlalchemy as sa
from psycopg.abc import Buffer
from psycopg.types.string import StrDumper

SECONDS = 3  # to wait for the server, for another writer, and for a connection of this process
SESSION = {
    # A reader sees one moment of the database, as with SQLite. A writer takes `WRITE_LOCK` first (`_begin`).
    "default_transaction_isolation": "repeatable\\ read",
    "default_transaction_read_only": "on",
    "lock_timeout": f"{SECONDS}s",
    # A machine that disappears, or that is suspended between two statements, gives its locks back.
    "idle_in_transaction_session_timeout": "10s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
}
CONNECTION = {
    "application_name": "inkling",
    "connect_timeout": SECONDS,
    # A server that disappears is noticed likewise.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,  # milliseconds
}


def _key(name: str) -> int:
    """The number of an advisory lock; such a lock is the database's own."""
    return int.from_bytes(hashlib.sha256(f"inkling {name}".encode()).digest()[:8], signed=True)


WRITE_LOCK = _key("write")


class _Text(StrDumper):
    """Sends text. PostgreSQL has no NUL character, which a file's name or an address may contain."""

    def dump(self, obj: str) -> Buffer | None:
        return super().dump(obj.replace("\0", "\N{REPLACEMENT CHARACTER}"))


def create_engine(url: sa.URL, connections: int) -> sa.Engine:
    """An engine that opens at most so many connections and notices when the server was restarted."""
    given = [f"-c {name}={value}" for name, value in SESSION.items()]
    options = {name: value for name, value in CONNECTION.items() if name not in url.query}
    options["options"] = " ".join([*given, str(url.query.get("options", ""))])
    engine = sa.create_engine(
        url,
        connect_args=options,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=SECONDS,
        pool_pre_ping=True,
    )
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _set_up(connection: psycopg.Connection, _record: object) -> None:
    connection.adapters.register_dumper(str, _Text)


def _begin(connection: sa.Connection) -> None:
    """Makes a transaction that will write wait for all others: nothing that it reads changes until its end."""
    if connection.get_execution_options().get("write"):
        connection.exec_driver_sql(
            f"SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE; SELECT pg_advisory_xact_lock({WRITE_LOCK})"
        )


@contextmanager
def only_one(engine: sa.Engine, name: str) -> Iterator[bool]:
    """Holds a lock of the server until the end, or until the connection breaks; yields False if another one has it."""
    lock = _key(name)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        held = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(lock)))
        try:
            yield bool(held)
        finally:
            if held:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(lock)))
