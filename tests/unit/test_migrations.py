"""Databases of older versions are upgraded without losing data, whichever worker starts first."""

import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from inkling.storage import Entry, Storage, StoreError, database, migrations
from inkling.storage.records import Base
from tests.support.storage import BACK, go_back

# The schema of version 0.1.0, as SQLAlchemy wrote it.
BEFORE_ALEMBIC = """
CREATE TABLE batches (
    id VARCHAR(22) NOT NULL, created DATETIME NOT NULL, model VARCHAR(64) NOT NULL, entries JSON NOT NULL,
    PRIMARY KEY (id)
);
CREATE TABLE predictions (
    id VARCHAR(22) NOT NULL, created DATETIME NOT NULL, kind VARCHAR(8) NOT NULL, model VARCHAR(64) NOT NULL,
    task VARCHAR(16) NOT NULL, sure BOOLEAN NOT NULL, wording VARCHAR(8), correction TEXT, predictions JSON NOT NULL,
    milliseconds JSON NOT NULL, batch VARCHAR(22),
    PRIMARY KEY (id)
);
"""
ADDED = ("wording", "correction", "batch")  # columns that the first versions lacked
CREATED = "2026-03-29 01:30:00.123456"
PREDICTIONS = [["7", 0.8], ["1", 0.2]]
BATCH, EMPTY_BATCH = "B" * 21 + "A", "E" * 21 + "A"
FIRST, SECOND, ALONE, DELETED = (letter * 21 + "A" for letter in "abcd")
ENTRIES = [
    {"name": "first.png", "result": FIRST, "reason": None, "received": ""},
    {"name": "bad.txt", "result": None, "reason": "extension", "received": ".txt"},
    {"name": "expired-name.png", "result": DELETED, "reason": None, "received": ""},
    {"name": "second.png", "result": SECOND, "reason": None, "received": ""},
]


@pytest.fixture
def old(settings):
    """Makes a database of version 0.1.0 with results and batches but without some columns. Returns its path."""

    def make(missing=()):
        settings.pictures.mkdir(exist_ok=True)
        path = settings.pictures / "inkling.sqlite3"
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(BEFORE_ALEMBIC)
            for id, sure, wording, correction in (
                (FIRST, 0, "probably", None),
                (SECOND, 0, "not sure", "1"),
                (ALONE, 1, "sure", ""),
            ):
                batch = None if id == ALONE else BATCH
                values = (id, CREATED, "drawing", "m", "digits", sure, wording, correction)
                connection.execute(
                    "INSERT INTO predictions VALUES (?,?,?,?,?,?,?,?,?,?,?)",
                    (*values, json.dumps(PREDICTIONS), '{"infer": 3.0}', batch),
                )
                (settings.pictures / f"{id}.png").write_bytes(b"picture")
            batches = [(BATCH, ENTRIES), (EMPTY_BATCH, [{"name": "empty-name.png", "result": DELETED}])]
            for id, entries in batches:
                connection.execute("INSERT INTO batches VALUES (?,?,?,?)", (id, CREATED, "m", json.dumps(entries)))
            for column in missing:
                connection.execute(f"ALTER TABLE predictions DROP COLUMN {column}")
            connection.commit()
        return path

    return make


def differences(storage):
    """Returns the differences between a database's schema and the declared one."""
    with storage.database.reading() as session:
        context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
        return compare_metadata(context, Base.metadata)


def test_the_head_is_the_last_revision():
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


@pytest.mark.databases("sqlite", "postgresql")
def test_a_new_database_has_the_declared_schema_and_the_last_revision(settings):
    storage = Storage(settings)
    assert differences(storage) == []
    with storage.database.reading() as session:
        assert session.scalar(sa.text("SELECT version_num FROM alembic_version")) == migrations.HEAD


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("revision", BACK)
def test_each_revision_leads_to_the_declared_schema(settings, revision):
    assert migrations.HEAD in BACK
    go_back(Storage(settings), revision)
    assert differences(Storage(settings)) == []


def test_results_and_batches_of_before_are_there(settings, old):
    old()
    storage = Storage(settings)
    first, second, alone = storage.get_all([FIRST, SECOND, ALONE])
    assert first.created == datetime(2026, 3, 29, 1, 30, 0, 123456, UTC)
    assert (first.kind, first.model, first.task, first.label, first.confidence) == ("drawing", "m", "digits", "7", 0.8)
    assert (first.milliseconds, first.predictions) == ({"infer": 3.0}, [("7", 0.8), ("1", 0.2)])
    assert [result.sure for result in (first, second, alone)] == [False, False, True]
    assert [result.wording for result in (first, second, alone)] == ["probably", "not sure", "sure"]
    assert [result.familiar for result in (first, second, alone)] == [True, False, True]
    assert {(result.group, result.route, result.asked) for result in (first, second, alone)} == {(None, None, ())}
    assert [result.correction for result in (first, second, alone)] == [None, "1", ""]
    assert [result.batch for result in (first, second, alone)] == [BATCH, BATCH, None]
    batch = storage.batch(BATCH)
    assert (batch.created, batch.model) == (first.created, "m")
    assert batch.entries == [
        Entry("first.png", FIRST),
        Entry("bad.txt", None, "extension", ".txt"),
        Entry(""),  # its result was deleted
        Entry("second.png", SECOND),
    ]
    assert storage.batch(EMPTY_BATCH) is None
    assert differences(storage) == []


@pytest.mark.parametrize("missing", [some for count in (1, 2, 3) for some in combinations(ADDED, count)], ids=",".join)
def test_a_database_that_lacks_columns_is_completed(settings, old, missing):
    old(missing)
    storage = Storage(settings)
    assert differences(storage) == []
    first, second, alone = storage.get_all([FIRST, SECOND, ALONE])
    wordings = ["probably", "probably" if "wording" in missing else "not sure", "sure"]
    assert [result.wording for result in (first, second, alone)] == wordings
    assert [result.familiar for result in (first, second, alone)] == [True, "wording" in missing, True]
    corrections = [None] * 3 if "correction" in missing else [None, "1", ""]
    assert [result.correction for result in (first, second, alone)] == corrections
    assert first.batch == BATCH


def test_a_database_without_batches_is_completed(settings, old):
    with closing(sqlite3.connect(old())) as connection:
        connection.execute("DROP TABLE batches")
    assert differences(Storage(settings)) == []


def test_the_upgrade_removes_the_names_of_deleted_results(settings, old):
    """Earlier versions left the names of results deleted by retention in the batches' JSON."""
    path = old()
    assert b"expired-name" in path.read_bytes()
    storage = Storage(settings)
    storage.database.checkpoint()
    for file in settings.pictures.glob("inkling.sqlite3*"):
        assert b"expired-name" not in file.read_bytes()
        assert b"empty-name" not in file.read_bytes()
    assert b"second.png" in path.read_bytes()


def test_workers_that_start_together_upgrade_once(settings, old):
    old(ADDED)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: Storage(settings).batch(BATCH), range(4)))
    assert len(found[0].entries) == 4
    assert found == [found[0]] * 4


def test_a_database_in_use_is_opened_before_it_has_a_write_ahead_log(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 1)
    path = tmp_path / "inkling.sqlite3"
    opened = database.Database(f"sqlite:///{path}", tmp_path)
    with opened.reading():
        pass
    opened.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN")
        other.execute("SELECT * FROM alembic_version").fetchall()
        with opened.reading() as session:
            assert session.scalar(sa.text("PRAGMA journal_mode")) == "delete"
    opened.close()


def test_an_upgrade_that_fails_changes_nothing(settings, old, monkeypatch):
    path = old()
    before = list(sqlite3.connect(path).iterdump())
    monkeypatch.setattr("alembic.op.bulk_insert", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Storage(settings).batch(BATCH)
    assert list(sqlite3.connect(path).iterdump()) == before
    monkeypatch.undo()
    assert Storage(settings).batch(BATCH)


def test_a_database_of_a_newer_version_is_left_alone(settings):
    Storage(settings).check()
    path = settings.pictures / "inkling.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
    with pytest.raises(StoreError, match="newer version"):
        Storage(settings).check()


@pytest.mark.databases("postgresql")
def test_on_a_database_server_all_revisions_lead_to_the_declared_schema(postgres, settings):
    with postgres.database() as url:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            for statement in BEFORE_ALEMBIC.replace("DATETIME", "TIMESTAMP").split(";")[:-1]:
                connection.execute(sa.text(statement))
            values = {"id": FIRST, "created": datetime(2026, 3, 29, 1, 30), "predictions": json.dumps(PREDICTIONS)}
            connection.execute(
                sa.text(
                    "INSERT INTO predictions VALUES (:id, :created, 'drawing', 'm', 'digits', false, NULL, NULL, "
                    ":predictions, '{}', NULL)"
                ),
                values,
            )
        engine.dispose()
        (settings.pictures).mkdir()
        (settings.pictures / f"{FIRST}.png").write_bytes(b"picture")
        storage = Storage(settings.replace(database_url=url))
        assert differences(storage) == []
        first = storage.get(FIRST)
        assert (first.created, first.wording) == (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "probably")
        storage.database.close()
