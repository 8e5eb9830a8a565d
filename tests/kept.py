"""What an app has kept."""

import sqlite3
from pathlib import Path

from inkling import access


def kept(pictures: Path) -> list[str]:
    """The files in a pictures' folder, less database and cookies' key, and the rows in the database."""
    database = pictures / "inkling.sqlite3"
    files = [
        path.name for path in pictures.glob("*") if not path.name.startswith(database.name) and path.name != access.NAME
    ]
    if not database.exists():
        return files
    connection = sqlite3.connect(database)
    try:
        made = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'predictions'").fetchone()
        rows = connection.execute("SELECT id FROM predictions") if made else ()  # a worker is just starting
        return sorted(files) + [row[0] for row in rows]
    finally:
        connection.close()
