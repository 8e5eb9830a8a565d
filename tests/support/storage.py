"""Saves results, and reads stored data without the app."""

import sqlite3
from pathlib import Path

from PIL import Image

from inkling.recognition.predictor import Prediction
from inkling.service import Outcome
from inkling.storage import NewResult, Storage
from inkling.storage.blobs import SIGNING_KEY


def new(image: Image.Image, prediction: Prediction, kind: str, milliseconds: dict) -> NewResult:
    """Returns a picture with an answer in the form that storage takes."""
    result = Outcome("", kind, prediction, image, milliseconds).new_result
    assert result
    return result


def add(
    storage: Storage,
    image: Image.Image,
    prediction: Prediction,
    kind: str,
    milliseconds: dict,
    owner: str | None = None,
    client: str | None = None,
) -> str:
    """Saves a picture with an answer as the service does and returns the result's id."""
    return storage.add(new(image, prediction, kind, milliseconds), owner, client)


def stored(pictures: Path) -> list[str]:
    """Returns the names of the files in a picture folder and the ids of the results in its database.

    The database itself and the key that signs cookies are left out.
    """
    database = pictures / "inkling.sqlite3"
    files = [
        path.name for path in pictures.glob("*") if not path.name.startswith(database.name) and path.name != SIGNING_KEY
    ]
    if not database.exists():
        return files
    connection = sqlite3.connect(database)
    try:
        # A starting worker may have created the file but not its tables.
        ready = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'predictions'").fetchone()
        rows = connection.execute("SELECT id FROM predictions") if ready else ()
        return sorted(files) + [row[0] for row in rows]
    finally:
        connection.close()
