"""`inkling migrate` moves everything, can be interrupted, and never mixes two installations."""

import secrets
from datetime import timedelta
from unittest import mock

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from inkling.recognition.predictor import Prediction
from inkling.storage import Entry, Storage, transfer
from inkling.storage.database import Database
from inkling.storage.places import places
from inkling.storage.records import Base, MessageRow, SourceRow, VersionRow, WebhookRow, now
from inkling.storage.s3 import S3Blobs
from inkling.storage.taught import NewExample, Quota
from tests.support import s3
from tests.support.storage import add, new

PREDICTION = Prediction(
    "m", "digits", ("a", "b"), np.array([0.25, 0.75], np.float32), 0.9, np.zeros((28, 28, 1), np.uint8), {}
)
PICTURE = Image.new("RGB", (8, 8))
NO_LIMIT = Quota(0, 0, 0)


@pytest.fixture
def store(settings):
    """A storage with rows in every table."""
    store = Storage(settings)
    ids = [add(store, PICTURE, PREDICTION, "drawing", {"infer": 0.1}, client="192.0.2.1") for _ in range(250)]
    store.correct(ids[0], "Übung 🦜")
    store.hide(ids[1])
    names = ["a\0b.png", "Vögel.png"]
    store.add_batch("m", [(Entry(name), new(PICTURE, PREDICTION, "photo", {})) for name in names], owner="browser")
    birds = store.taught.create("birds", "Birds", "photo", "local", (), NO_LIMIT)
    examples = [NewExample(b"%d" % i, "photo", f"{i}.jpg", "robin", "file") for i in range(3)]
    first, second, _ = store.taught.add(birds.id, examples, NO_LIMIT)
    store.taught.save_features("f" * 64, {first.id: bytes(range(256))})
    store.taught.remove(birds.id, [second.id])
    with store.database.writing() as session:
        version = {"classifier_id": birds.id, "number": 1, "created": now(), "revision": 1, "backbone": "f" * 64}
        lists = {"labels": [[1, "robin"]], "examples": [first.id], "figures": {"low": 0.1 + 0.2}, "card": {"é": None}}
        session.add(VersionRow(**version, **lists, report=b"\0\1", head=b"\2\0"))
        session.add(WebhookRow(classifier_id=birds.id, url="https://a.example", secret="s", events="all", failure=""))
        session.flush()
        session.add(MessageRow(id="m", classifier_id=birds.id, body="{}", attempts=0, due=now()))
        source = {"model": "birds", "name": "door", "state": "robin", "candidate": "robin", "run": 1, "about": {}}
        session.add(SourceRow(**source, changed=now(), published=True))
    token = store.tokens.add("hash", "token", "teach", "local", timedelta(days=9))
    store.tokens.add("other", "session", "teach", "local", timedelta(days=9), token)
    return store


@pytest.fixture
def target(postgres, settings):
    """The URL of an empty database, in which not even the tables are there."""
    with postgres.database() as url:
        yield url


@pytest.fixture
def move(runner, target):
    return lambda: runner.invoke(args=["migrate", "--to", target])


def contents(database):
    """All rows, by their tables."""
    with database.reading() as session:
        return {table.name: set(map(repr, transfer._rows(session, table))) for table in Base.metadata.sorted_tables}


def test_everything_is_there_afterwards(app, store, settings, move, target):
    before = contents(store.database)
    assert [name for name, rows in before.items() if not rows] == []
    done = move()
    assert (done.exit_code, done.stderr) == (0, "")
    assert "predictions: 252 rows, checksum " in done.stdout
    moved = Storage(settings.replace(database_url=target))
    assert contents(moved.database) == before
    ids = sorted(store.made_by("browser"))
    assert moved.get_all(ids) == store.get_all(ids)
    birds = moved.taught.find("birds")
    assert moved.taught.add_label(birds.id, "wren").id > birds.labels[-1].id
    assert moved.tokens.add("new", "token", "teach", "local", timedelta(days=1)).id == 3


def test_a_move_that_is_interrupted_goes_on(app, store, settings, move, target):
    insert, turns = transfer._add_missing, iter(range(9))

    def fail(*args):
        if next(turns) == 4:
            raise KeyboardInterrupt
        insert(*args)

    with mock.patch.object(transfer, "_add_missing", fail):
        assert move().exit_code == 1
    moved = Database(target, settings.pictures)
    begun = contents(moved)
    assert 100 <= sum(map(len, begun.values())) < 400
    assert move().exit_code == 0
    assert contents(moved) == contents(store.database)
    assert move().exit_code == 0, "and once more changes nothing"
    assert contents(moved) == contents(store.database)
    moved.close()


@pytest.mark.parametrize("difference", ["another result", "the same result with another answer"])
def test_a_target_that_holds_other_data_is_left_alone(app, store, settings, move, target, difference):
    other = Storage(settings.replace(database_url=target))
    if difference == "another result":
        add(other, PICTURE, PREDICTION, "drawing", {})
    else:
        assert move().exit_code == 0
        with other.database.writing() as session:
            session.execute(sa.text("UPDATE predictions SET model = 'n' WHERE client IS NULL"))
    before = contents(other.database)
    done = move()
    message = "Error: the target holds other data in the table predictions; move to an empty database.\n"
    assert (done.exit_code, done.stderr) == (1, message)
    assert contents(other.database) == before
    other.database.close()


def test_a_row_that_arrives_changed_is_noticed(app, store, move):
    insert = transfer._add_missing

    def change(target, table, rows):
        insert(target, table, [tuple("n" if value == "m" else value for value in row) for row in rows])

    with mock.patch.object(transfer, "_add_missing", change):
        done = move()
    assert done.exit_code == 1
    assert "the copy of the table" in done.stderr


def test_it_moves_back_too(app, store, settings, move, target, tmp_path):
    assert move().exit_code == 0
    server, file = Database(target, tmp_path), Database(f"sqlite:///{tmp_path}/back.sqlite3", tmp_path)
    assert [one.rows for one in transfer.move(server, file) if one.table == "predictions"] == [252]
    assert contents(file) == contents(server)
    server.close()


@pytest.mark.parametrize(
    "arguments, message",
    [
        ((), "Say what to move: --to, --blobs, or both."),
        (("--to", "mysql://host/name"), "Invalid value for --to: it must be empty, the URL of an SQLite file"),
    ],
)
def test_a_target_that_cannot_be_is_refused(runner, arguments, message):
    done = runner.invoke(args=["migrate", *arguments])
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())


# ---- Pictures ----


@pytest.fixture
def bucket(object_store, monkeypatch):
    """The address of an empty part of a bucket."""
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.BUCKET}/{secrets.token_hex(8)}"


@pytest.fixture
def pictures(settings):
    """A storage with a result in quarantine, a heat map and examples."""
    storage = Storage(settings)
    ids = [add(storage, PICTURE, PREDICTION, "photo", {}) for _ in range(4)]
    storage.save_heatmap(ids[0], b"a heat map")
    storage.blobs.move(f"{ids[1]}.seen.png", f"quarantine/{ids[1]}.seen.png")
    birds = storage.taught.create("birds", "Birds", "photo", "local", (), NO_LIMIT)
    examples = [NewExample(b"%d" % i, "photo", f"{i}.jpg", "robin", "file") for i in range(3)]
    storage.taught._blobs.check()
    storage.taught.add(birds.id, examples, NO_LIMIT)
    return storage


def files(settings):
    """All files, by their places and keys."""
    place = places(settings)
    stores = {"results": place.results, "examples": place.examples}
    return {(name, blob.key): store.get(blob.key) for name, store in stores.items() for blob in store.iterate()}


def test_all_pictures_are_in_the_bucket_afterwards(runner, pictures, settings, bucket):
    moved = settings.replace(blobs=bucket)
    done = runner.invoke(args=["migrate", "--blobs", bucket])
    assert (done.exit_code, done.stderr) == (0, "")
    assert "results: 9 files, " in done.stdout
    assert "examples: 3 files, 3 bytes, checksum " in done.stdout
    assert files(moved) == files(settings)
    again = runner.invoke(args=["migrate", "--blobs", bucket])
    assert (again.exit_code, again.stdout) == (0, done.stdout)


def test_a_move_of_pictures_that_is_interrupted_goes_on(runner, pictures, settings, bucket, monkeypatch):
    moved, put, turns = settings.replace(blobs=bucket), S3Blobs.put, iter(range(99))

    def fail(*args):
        if next(turns) == 5:
            raise KeyboardInterrupt
        put(*args)

    with monkeypatch.context() as patch:
        patch.setattr(S3Blobs, "put", fail)
        assert runner.invoke(args=["migrate", "--blobs", bucket]).exit_code == 1
    assert 0 < len(files(moved)) < 12
    assert runner.invoke(args=["migrate", "--blobs", bucket]).exit_code == 0
    assert files(moved) == files(settings)


def test_a_bucket_that_holds_other_pictures_is_left_alone(runner, pictures, settings, bucket):
    moved = settings.replace(blobs=bucket)
    places(moved).results.put(f"{'a' * 21}A.jpg", b"of another installation")
    before = files(moved)
    done = runner.invoke(args=["migrate", "--blobs", bucket])
    message = "Error: the target holds other pictures; move to an empty bucket or prefix.\n"
    assert (done.exit_code, done.stderr) == (1, message)
    assert files(moved) == before


def test_a_picture_that_arrives_changed_is_noticed(runner, pictures, bucket, monkeypatch):
    put = S3Blobs.put
    monkeypatch.setattr(S3Blobs, "put", lambda self, key, data: put(self, key, data[:-1]))
    done = runner.invoke(args=["migrate", "--blobs", bucket])
    assert done.exit_code == 1
    assert "the copy of the file" in done.stderr


def test_pictures_are_only_moved_to_a_bucket(runner):
    done = runner.invoke(args=["migrate", "--blobs", "https://s3.example.org/bucket"])
    assert done.exit_code == 2
    assert "it must be empty or the address of a bucket" in done.stderr
