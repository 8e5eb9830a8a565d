"""Saves results, and reads stored data without the app."""

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from PIL import Image

from inkling.notify.notifier import FOLDER
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

    The database itself, the key that signs cookies and the lock of whoever tells others are left out.
    """
    database = pictures / "inkling.sqlite3"
    ours = (SIGNING_KEY, FOLDER)
    files = [
        path.name for path in pictures.glob("*") if not path.name.startswith(database.name) and path.name not in ours
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


# What takes a revision of the schema back, oldest first.
BACK = {
    "0007": ["ALTER TABLE classifier_versions DROP COLUMN figures"],
    "0008": ["DROP INDEX ix_predictions_owner", "ALTER TABLE predictions DROP COLUMN client"],
    "0009": [f"ALTER TABLE predictions DROP COLUMN {name}" for name in ("format", "suffix")],
    "0010": [f"ALTER TABLE tokens DROP COLUMN {name}" for name in ("minute_limit", "day_limit", "day", "used")],
    "0011": [f"DROP TABLE {name}" for name in ("sources", "webhook_messages", "webhooks")],
    "0012": ["ALTER TABLE classifier_versions DROP COLUMN published"],
    "0013": ["ALTER TABLE example_changes DROP COLUMN renamed"],
}


def go_back(storage: Storage, revision: str) -> None:
    """Gives the database the schema that it had before a revision, and closes it."""
    later = [one for one in BACK if one >= revision]
    with storage.database.writing() as session:
        for one in reversed(later):
            for statement in BACK[one]:
                session.execute(sa.text(statement))
        session.execute(
            sa.text("UPDATE alembic_version SET version_num = :before"), {"before": f"{int(revision) - 1:04}"}
        )
    storage.database.close()
