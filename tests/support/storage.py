"""Reads what an app has stored, without the app."""

import sqlite3
from pathlib import Path

from inkling import access


def stored(pictures: Path) -> list[str]:
    """The names of the files in a pictures folder, then the ids of the results in its database.

    The database itself and the key that signs cookies are left out.
    """
    database = pictures / "inkling.sqlite3"
    files = [
        path.name for path in pictures.glob("*") if not path.name.startswith(database.name) and path.name != access.NAME
    ]
    if not database.exists():
        return files
    connection = sqlite3.connect(database)
    try:
        # A worker that is just starting may have created the file, but not yet its tables.
        ready = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'predictions'").fetchone()
        rows = connection.execute("SELECT id FROM predictions") if ready else ()
        return sorted(files) + [row[0] for row in rows]
    finally:
        connection.close()
