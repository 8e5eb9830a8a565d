"""A backup is consistent while other processes write. A restore brings everything back or changes nothing."""

import io
import os
import sqlite3
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from inkling.access import signing_key
from inkling.recognition.predictor import Prediction
from inkling.storage import Entry, Storage, StoreError
from inkling.storage.backup import backup, restore
from inkling.storage.blobs import FolderBlobs
from tests.support.storage import add, new

PREDICTION = Prediction(
    "m", "digits", ("a", "b"), np.array([0.25, 0.75], np.float32), 0.9, np.zeros((28, 28, 1), np.uint8), {}
)
IMAGE = Image.new("RGB", (8, 8), "teal")


@pytest.fixture
def store(settings):
    return Storage(settings)


@pytest.fixture
def elsewhere(settings, tmp_path):
    """Settings of another machine whose data folder does not exist yet."""
    return settings.replace(pictures=tmp_path / "restored")


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


def archive_of(path, **files):
    """Makes a tar archive from a mapping of names to bytes."""
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


# ---- Backup and restore ----


def test_everything_comes_back(store, settings, elsewhere, tmp_path):
    photo, drawing = (add(store, IMAGE, PREDICTION, kind, {"infer": 1.0}) for kind in ("photo", "drawing"))
    store.correct(photo, "b")
    store.save_heatmap(photo, b"heat map")
    pictures = [
        (Entry("a.png"), new(IMAGE, PREDICTION, "photo", {})),
        (Entry("b.txt", None, "extension", ".txt"), None),
    ]
    batch = store.add_batch("m", pictures)
    store.blocks.add("203.0.113.7")
    key = signing_key(settings)
    assert backup(settings, tmp_path / "a.tar") == 3
    assert os.stat(tmp_path / "a.tar").st_mode & 0o777 == 0o600
    assert restore(tmp_path / "a.tar", elsewhere) == 3
    restored = Storage(elsewhere)
    ids = [photo, drawing, *batch.results]
    assert restored.get_all(ids) == store.get_all(ids)
    for result in store.get_all(ids):
        assert restored.picture(result) == store.picture(result)
        assert restored.seen(result.id) == store.seen(result.id)
    assert restored.heatmap(photo) == b"heat map"
    assert restored.batch(batch.id) == batch
    assert restored.blocks.all() == {"203.0.113.7"}
    assert restored.saved_bytes() == store.saved_bytes()
    assert signing_key(elsewhere) == key
    assert names(elsewhere.pictures) == names(settings.pictures)
    assert names(tmp_path) == sorted(["a.tar", "pictures", "restored", *2 * names(settings.pictures)])


def test_a_backup_is_consistent_while_others_save_and_delete(store, settings, elsewhere, tmp_path):
    before = [add(store, IMAGE, PREDICTION, "photo", {}) for _ in range(20)]
    running, done = threading.Event(), threading.Event()

    def write(_):
        storage, count = Storage(settings), 0
        while not done.is_set():
            pictures = [(Entry("name.png"), new(IMAGE, PREDICTION, "photo", {})) for _ in range(2)]
            batch = storage.add_batch("m", pictures)
            storage.delete(batch.results[0])
            count += 1
            running.set()
        return count

    with ThreadPoolExecutor(3) as threads:
        writers = [threads.submit(write, i) for i in range(3)]
        assert running.wait(30)
        counts = [backup(settings, tmp_path / f"{i}.tar") for i in range(3)]
        done.set()
        assert all(writer.result() for writer in writers)
    assert counts[0] >= len(before)
    for i, count in enumerate(counts):
        target = elsewhere.replace(pictures=tmp_path / f"restored-{i}")
        assert restore(tmp_path / f"{i}.tar", target) == count
        restored = Storage(target)
        with sqlite3.connect(target.pictures / "inkling.sqlite3") as connection:
            ids = [id for (id,) in connection.execute("SELECT id FROM predictions")]
            orphans = connection.execute("SELECT count(*) FROM batch_entries WHERE result_id IS NULL AND name != ''")
            assert orphans.fetchone() == (0,)
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        assert len(ids) == count
        assert set(before) <= set(ids)
        for result in restored.get_all(ids):
            assert restored.picture(result)
            assert restored.seen(result.id)
        assert len(restored.get_all(ids)) == count


def test_a_result_deleted_during_the_backup_is_nowhere_in_it(store, settings, tmp_path, monkeypatch):
    pictures = [(Entry(f"name-{i}.png"), new(IMAGE, PREDICTION, "photo", {})) for i in range(2)]
    batch = store.add_batch("m", pictures)
    get = FolderBlobs.get

    def slow(blobs, key):
        store.delete(batch.results[1])
        return get(blobs, key)

    monkeypatch.setattr(FolderBlobs, "get", slow)
    assert backup(settings, tmp_path / "a.tar") == 1
    data = (tmp_path / "a.tar").read_bytes()
    assert b"name-0.png" in data
    assert b"name-1.png" not in data
    assert batch.results[1].encode() not in data


def test_a_database_in_another_place_is_part_of_it(settings, elsewhere, tmp_path):
    settings = settings.replace(database_url=f"sqlite:///{tmp_path}/db/one.sqlite3")
    elsewhere = elsewhere.replace(database_url=f"sqlite:///{tmp_path}/db/other.sqlite3")
    (tmp_path / "db").mkdir()
    id = add(Storage(settings), IMAGE, PREDICTION, "photo", {})
    backup(settings, tmp_path / "a.tar")
    restore(tmp_path / "a.tar", elsewhere)
    assert Storage(elsewhere).get(id)
    assert (tmp_path / "db" / "other.sqlite3").exists()
    assert not (elsewhere.pictures / "inkling.sqlite3").exists()


# ---- Backups that fail ----


def test_a_backup_that_fails_leaves_the_older_one(store, settings, tmp_path, monkeypatch):
    add(store, IMAGE, PREDICTION, "photo", {})
    (tmp_path / "a.tar").write_bytes(b"older")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tarfile.TarFile, "addfile", fail)
    with pytest.raises(OSError, match="No space left"):
        backup(settings, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir() if path.name != "pictures"] == ["a.tar"]


def test_a_database_server_has_its_own_backups(settings, elsewhere, tmp_path):
    server = settings.model_copy(update={"database_url": "postgresql://host/name"})
    with pytest.raises(ValueError, match="its own tools"):
        backup(server, tmp_path / "a.tar")
    with pytest.raises(ValueError, match="its own tools"):
        restore(tmp_path / "a.tar", server)


# ---- Archives that restore refuses ----


@pytest.mark.parametrize("there", ["film.mp4", "inkling.sqlite3", ".secret-key"])
def test_a_folder_that_is_not_empty_is_left_alone(settings, elsewhere, tmp_path, there):
    backup(settings, tmp_path / "a.tar")
    elsewhere.pictures.mkdir()
    (elsewhere.pictures / there).write_bytes(b"mine")
    with pytest.raises(ValueError, match="restore into an empty folder"):
        restore(tmp_path / "a.tar", elsewhere)
    assert names(elsewhere.pictures) == [there]
    assert (elsewhere.pictures / there).read_bytes() == b"mine"


def test_a_placeholder_does_not_make_a_folder_full(settings, elsewhere, tmp_path):
    backup(settings, tmp_path / "a.tar")
    elsewhere.pictures.mkdir()
    (elsewhere.pictures / ".gitkeep").touch()
    restore(tmp_path / "a.tar", elsewhere)
    assert names(elsewhere.pictures) == [".gitkeep", "inkling.sqlite3"]


@pytest.mark.parametrize(
    "name",
    ["../outside.jpg", "/tmp/outside.jpg", "folder/a.jpg", "film.mp4", "inkling.sqlite3-wal", "quarantine/" + "A" * 22],
)
def test_nothing_is_written_that_is_not_inklings(settings, elsewhere, tmp_path, name):
    path = archive_of(tmp_path / "a.tar", **{name: b"evil"})
    with pytest.raises(ValueError, match="is not a backup of Inkling"):
        restore(path, elsewhere)
    assert names(tmp_path) == ["a.tar", "restored"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(elsewhere, tmp_path, kind):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("inkling.sqlite3")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(ValueError, match="is not a backup of Inkling"):
        restore(tmp_path / "a.tar", elsewhere)
    assert names(elsewhere.pictures) == []


@pytest.mark.parametrize("part", [0, 0.3, 0.6, 0.8])
def test_a_truncated_archive_leaves_nothing(store, settings, elsewhere, tmp_path, part):
    for _ in range(5):
        add(store, IMAGE, PREDICTION, "photo", {})
    backup(settings, tmp_path / "a.tar")
    os.truncate(tmp_path / "a.tar", int(part * os.path.getsize(tmp_path / "a.tar")))
    with pytest.raises((ValueError, StoreError)):
        restore(tmp_path / "a.tar", elsewhere)
    assert names(elsewhere.pictures) == []


def test_when_a_file_cannot_be_moved_into_place_nothing_stays(store, settings, elsewhere, tmp_path, monkeypatch):
    add(store, IMAGE, PREDICTION, "photo", {})
    backup(settings, tmp_path / "a.tar")
    rename, count = os.rename, iter(range(9))

    def fail(source, target):
        if next(count):
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="No space left"):
        restore(tmp_path / "a.tar", elsewhere)
    assert names(elsewhere.pictures) == []


def test_a_backup_of_a_newer_version_is_refused(store, settings, elsewhere, tmp_path):
    add(store, IMAGE, PREDICTION, "photo", {})
    with store.database.writing() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with sqlite3.connect(settings.pictures / "inkling.sqlite3") as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    archive_of(tmp_path / "a.tar", **{"inkling.sqlite3": (settings.pictures / "inkling.sqlite3").read_bytes()})
    with pytest.raises(StoreError, match="newer version"):
        restore(tmp_path / "a.tar", elsewhere)
    assert names(elsewhere.pictures) == []
