"""The one exception of this room."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa


class StoreError(Exception):
    """The database or the pictures' folder cannot be used; the message says why and names no file of a visitor."""


@contextmanager
def store_errors() -> Iterator[None]:
    """Translates database and filesystem errors into `StoreError`."""
    try:
        yield
    except (sa.exc.DBAPIError, sa.exc.TimeoutError) as error:
        # The message of a database server may contain host and user names, so only its type is shown.
        cause = getattr(error, "orig", None) or error
        reason = cause if isinstance(cause, sqlite3.Error) else type(cause).__name__
        raise StoreError(f"the database cannot be used: {reason}") from error
    except OSError as error:
        raise StoreError(f"the pictures' folder cannot be used: {error.strerror or type(error).__name__}") from error
