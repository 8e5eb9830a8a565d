"""Moves a database to another one, and pictures to another place: `inkling migrate`.

Rows are copied in portions, parents first. Those that are there already are left out, so a move that was interrupted
goes on where it was. At the end both databases are read again and compared. Files are copied likewise, some at once,
and each is read again where it was written.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from inkling.storage.blobs import KEY, QUARANTINE, Blobs
from inkling.storage.database import Database, portions
from inkling.storage.errors import store_errors
from inkling.storage.records import Base, UsageRow

AT_ONCE = 100  # rows: those of versions have a megabyte
THREADS = 8  # that copy files

Key = tuple[Any, ...]


class Moved(NamedTuple):
    """A table that was moved."""

    table: str
    rows: int
    checksum: str  # of all rows, in any order


def move(source: Database, target: Database) -> Iterator[Moved]:
    """Copies all rows, and yields each table once it was compared.

    No server may use either database meanwhile. The target is created or upgraded first.

    Raises:
        ValueError: the target has a row that the source has not, or in the end some table is not the same.
        StoreError: a database cannot be used. What was copied stays.
    """
    tables = [table for table in Base.metadata.sorted_tables if table is not UsageRow.__table__]
    with source.reading() as session:
        for table in tables:
            _require_own(session, target, table)
        for table in tables:
            for rows in portions(_rows(session, table), AT_ONCE):
                _add_missing(target, table, rows)
            _set_counter(target, table)
        _copy_usage(session, target)
        for table in tables:
            before = _summary(session, table)
            with target.reading() as copied:
                after = _summary(copied, table)
            if before != after:
                raise ValueError(f"the copy of the table {table.name} differs: {before.rows} rows became {after.rows}")
            yield after


class MovedFiles(NamedTuple):
    """Files that were moved."""

    files: int
    bytes: int
    checksum: str  # of all keys and files, in any order


def move_blobs(source: Blobs, target: Blobs) -> MovedFiles:
    """Copies all files that the target has not got already, and compares each with what the target then has.

    No server may use either place meanwhile.

    Raises:
        ValueError: the target has a file that the source has not, or one that was copied is not the same there.
        StoreError: a place cannot be used. What was copied stays.
    """
    with store_errors(), ThreadPoolExecutor(THREADS) as pool:
        for blobs in portions(target.iterate(), AT_ONCE):
            keys = {blob.key for blob in blobs}
            if source.sizes(keys).keys() != keys:
                raise ValueError("the target holds other pictures; move to an empty bucket or prefix")
        count = size = total = 0
        keys_of_files = (blob.key for blob in source.iterate() if KEY.fullmatch(blob.key.removeprefix(QUARANTINE)))
        for some in portions(keys_of_files, AT_ONCE):
            for key, data in zip(some, pool.map(lambda key: _copy(source, target, key), some), strict=True):
                if data:
                    count, size = count + 1, size + len(data)
                    total += int.from_bytes(hashlib.sha256(key.encode() + b"\0" + data).digest())
    return MovedFiles(count, size, f"{total % 2**256:064x}")


def _copy(source: Blobs, target: Blobs, key: str) -> bytes | None:
    """Copies a file and returns it as the target has it; None if it is empty, which counts as missing."""
    data = source.get(key)
    if data and target.get(key) != data:
        target.put(key, data)
        if target.get(key) != data:
            raise ValueError(f"the copy of the file {key} differs")
    return data


def _require_own(session: Session, target: Database, table: sa.Table) -> None:
    """Makes sure that each row of the target is one of the source, from a move that was interrupted.

    Raises:
        ValueError: it is another one.
    """
    with target.reading() as there:
        for rows in portions(_rows(there, table), AT_ONCE):
            own = {_key(table, row): row for row in _rows(session, table, [_key(table, row) for row in rows])}
            if any(own.get(_key(table, row)) != row for row in rows):
                raise ValueError(f"the target holds other data in the table {table.name}; move to an empty database")


def _add_missing(target: Database, table: sa.Table, rows: Sequence[Key]) -> None:
    with target.writing() as session:
        keys = [_key(table, row) for row in rows]
        there = {tuple(row) for row in session.execute(sa.select(*table.primary_key).where(_among(table, keys)))}
        missing = [row for row, key in zip(rows, keys, strict=True) if key not in there]
        if missing:
            names = [column.name for column in table.columns]
            session.execute(sa.insert(table), [dict(zip(names, row, strict=True)) for row in missing])


def _set_counter(target: Database, table: sa.Table) -> None:
    """PostgreSQL counts ids apart from the rows; SQLite takes the one after the last."""
    column = table.autoincrement_column
    if column is None or target.is_sqlite:
        return
    counter = sa.func.pg_get_serial_sequence(table.name, column.name)
    following = sa.select(sa.func.coalesce(sa.func.max(column), 0) + 1).scalar_subquery()
    with target.writing() as session:
        session.execute(sa.select(sa.func.setval(counter, following, False)))


def _copy_usage(session: Session, target: Database) -> None:
    """The one row of this table is in every database."""
    size, swept = session.execute(sa.select(UsageRow.bytes, UsageRow.swept)).one()
    with target.writing() as copied:
        copied.execute(sa.update(UsageRow).values(bytes=size, swept=swept))


def _rows(session: Session, table: sa.Table, keys: Iterable[Key] | None = None) -> Iterator[Key]:
    """The rows of a table, or those with some keys, as every database stores them."""
    query = sa.select(table).order_by(*table.primary_key)
    if keys is not None:
        query = query.where(_among(table, keys))
    for row in session.execute(query.execution_options(yield_per=AT_ONCE)):
        yield tuple(_portable(value) for value in row)


def _portable(value: Any) -> Any:
    """Replaces NUL characters, which PostgreSQL has not, as it does when a server stores text there."""
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if isinstance(value, str) else value


def _key(table: sa.Table, row: Key) -> Key:
    return tuple(value for column, value in zip(table.columns, row, strict=True) if column.primary_key)


def _among(table: sa.Table, keys: Iterable[Key]) -> sa.ColumnElement[bool]:
    return sa.tuple_(*table.primary_key).in_(list(keys))


def _summary(session: Session, table: sa.Table) -> Moved:
    """Counts the rows, and adds up their checksums: databases may order text differently."""
    count = total = 0
    for row in _rows(session, table):
        count += 1
        text = json.dumps(row, sort_keys=True, default=_plain).encode()
        total += int.from_bytes(hashlib.sha256(text).digest())
    return Moved(table.name, count, f"{total % 2**256:064x}")


def _plain(value: bytes | datetime) -> str:
    return value.hex() if isinstance(value, bytes) else value.isoformat()
