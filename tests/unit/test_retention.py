"""Retention enforces age and quota and cleans up after crashes. It deletes nothing else."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from inkling.config import ROOT
from inkling.recognition.predictor import Prediction
from inkling.storage import Housekeeper, Pruned, Storage, prune
from inkling.storage.blobs import FolderBlobs
from inkling.storage.records import BatchRow, EntryRow, ResultRow, UsageRow
from inkling.storage.s3 import S3Blobs
from tests.support.storage import add

PREDICTION = Prediction(
    "m", "digits", ("a", "b"), np.array([0.25, 0.75], np.float32), 0.9, np.zeros((28, 28, 1), np.uint8), {}
)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8))  # 180 kB as a PNG
NONE = Pruned(0, 0, 0, 0, 0, 0, 0, 0)

pytestmark = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def store(settings):
    return Storage(settings)


@pytest.fixture
def keep(store):
    """Saves a picture dated some days ago and returns its id."""

    def keep(days=0.0, image=Image.new("RGB", (8, 8)), said=None, client=None):  # noqa: B008  nobody changes it
        id = add(store, image, PREDICTION, "drawing", {}, client=client)
        with store.database.writing() as session:
            session.execute(sa.update(ResultRow).where(ResultRow.id == id).values(created=ago(days)))
        if said is not None:
            store.correct(id, said)
        return id

    return keep


def ago(days):
    return datetime.now(UTC) - timedelta(days=days)


def removed(done):
    """Returns what a sweep removed, without the count and size of the remaining results."""
    return replace(done, results=0, bytes=0)


def remaining(store):
    """Returns the ids of the remaining rows, oldest first."""
    with store.database.reading() as session:
        return list(session.scalars(sa.select(ResultRow.id).order_by(ResultRow.created, ResultRow.id)))


def files(settings):
    return sorted(blob.key for blob in Storage(settings).blobs.iterate())


def aged(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)


@pytest.fixture
def age(settings, monkeypatch):
    """Returns a function that sets the date of a file back.

    No object store lets anybody do so: its listing is changed. Swift's dates are rounded up to a second.
    """
    ages, iterate = {}, S3Blobs.iterate

    def changed(self):
        for blob in iterate(self):
            yield blob._replace(modified=blob.modified - timedelta(seconds=1 + ages.get(blob.key, 0)))

    monkeypatch.setattr(S3Blobs, "iterate", changed)
    return ages.__setitem__ if settings.blobs else lambda key, seconds: aged(settings.pictures / key, seconds)


# ---- Age ----


@pytest.mark.stores("folder", "s3")
def test_results_older_than_the_retention_go_with_their_files(store, settings, keep):
    old, young = keep(30.01), keep(29.99)
    done = prune(store, settings)
    assert removed(done) == replace(NONE, expired=1)
    assert done.results == 1
    assert remaining(store) == [young]
    assert files(settings) == [f"{young}.png", f"{young}.seen.png"]
    assert store.get(old) is None


def test_a_corrected_result_stays_until_the_correction_is_removed(store, settings, keep):
    said = [keep(400, said="b"), keep(400, said="")]
    prune(store, settings)
    assert set(remaining(store)) == set(said)
    store.correct(said[0], None)
    prune(store, settings)
    assert remaining(store) == said[1:]


@pytest.mark.parametrize("days, stays", [(0, True), (1, False), (10_000, True)])
def test_no_retention_is_for_ever(store, settings, keep, days, stays):
    keep(9000)
    prune(store, settings.replace(retention_days=days))
    assert bool(remaining(store)) == stays


# ---- Quota ----


@pytest.mark.stores("folder", "s3")
def test_beyond_the_quota_the_oldest_go_until_there_is_some_room(store, settings, keep):
    ids = [keep(days, NOISE, said="b" if days == 9 else None) for days in (9, 8, 7, 6, 5, 4, 3, 2, 1)]
    assert removed(prune(store, settings.replace(quota_mb=2))) == NONE
    done = prune(store, settings.replace(quota_mb=1))
    assert remaining(store) == ids[done.over_quota :]
    assert done.results == len(ids) - done.over_quota
    assert 0.5 * 2**20 < done.bytes <= 0.9 * 2**20
    assert 0 < sum(blob.size for blob in store.blobs.iterate()) < done.bytes
    assert removed(prune(store, settings.replace(quota_mb=1))) == NONE


@pytest.mark.parametrize("age", [10, 0], ids=["older than the flood", "younger than the flood"])
@pytest.mark.parametrize("share", [50, 100])
def test_a_flood_drives_out_its_own_results_only(store, settings, keep, age, share):
    """The visitors' results stay, corrected or not, whether they came before, during or after the flood."""
    visitors = [keep(age + day, NOISE, client=f"visitor {day}", said="b" if day else None) for day in (0, 1)]
    flood = [keep(day, NOISE, client="flooder") for day in (9, 8, 7, 6, 5, 4, 3, 2)]
    done = prune(store, settings.replace(quota_mb=1, client_share=share))
    assert done.over_quota > 0
    assert set(remaining(store)) == {*visitors, *flood[done.over_quota :]}


def test_a_client_keeps_its_share_while_there_is_room(store, settings, keep):
    kept = [keep(day, NOISE, client="heavy") for day in range(8)]
    assert removed(prune(store, settings.replace(quota_mb=4))) == NONE
    done = prune(store, settings.replace(quota_mb=2))
    assert remaining(store) == kept[: 8 - done.over_quota][::-1]
    assert 0.8 * 2**20 < done.bytes <= 2**20
    assert removed(prune(store, settings.replace(quota_mb=2))) == NONE


def test_results_of_unknown_clients_have_no_share(store, settings, keep):
    for day in range(8):
        keep(day, NOISE)
    assert removed(prune(store, settings.replace(quota_mb=2))) == NONE


@pytest.mark.databases("sqlite")  # the quota counts no database server
def test_the_heaviest_lose_most_and_light_clients_their_oldest(store, settings, keep):
    heavy = [keep(day, NOISE, client="heavy") for day in range(3)]
    middle = [keep(day + 0.5, NOISE, client="middle") for day in range(2)]
    light = [keep(day + 20, client=f"light {day}") for day in range(4)]
    assert prune(store, settings.replace(quota_mb=1, client_share=100)).over_quota == 2
    assert set(remaining(store)) == {*heavy[:2], middle[0], *light}, "then both hold two, and the oldest goes"


def test_no_quota_is_no_limit(store, settings, keep):
    keep(1, NOISE)
    assert removed(prune(store, settings.replace(quota_mb=0))) == NONE


@pytest.mark.databases("sqlite")  # the quota counts no database server
def test_the_database_counts_and_gives_back_what_it_no_longer_needs(store, settings, keep):
    keep(40)
    with store.database.writing() as session:
        for i in range(40):
            entry = EntryRow(position=0, name="x" * 100_000, received="")
            session.add(BatchRow(id=f"{i:022}", created=ago(1), model="m", entries=[entry]))
    before = store.database.used_bytes()
    assert before > 3 * 2**20
    done = prune(store, settings.replace(quota_mb=1))
    assert removed(done) == replace(NONE, expired=1, empty_batches=40)
    assert done.bytes == store.database.used_bytes() < before / 10
    assert sum(path.stat().st_size for path in settings.pictures.glob("inkling.sqlite3*")) < before / 10


@pytest.mark.databases("sqlite")  # the quota counts no database server
def test_pages_go_with_the_oldest_results(store, settings, keep):
    """Otherwise batches would keep the quota exceeded until every result was deleted."""
    old, young = keep(2, NOISE), keep(1, NOISE)
    with store.database.writing() as session:
        for i, (days, id) in enumerate([(2, old), (1.5, None), (1, young)]):
            entry = EntryRow(position=0, name="x" * 400_000, result_id=id, received="")
            session.add(BatchRow(id=f"{i:022}", created=ago(days), model="m", entries=[entry]))
    done = prune(store, settings.replace(quota_mb=1))
    assert removed(done) == replace(NONE, over_quota=1, empty_batches=2)
    assert remaining(store) == [young]


def test_files_of_others_neither_count_nor_go(store, settings, keep):
    id = keep()
    (settings.pictures / "film.mp4").write_bytes(bytes(3 * 2**20))
    for name in ("cat", "PXL_20240101_123456789", "IMG_20240101_123456789"):
        (settings.pictures / f"{name}.jpg").write_bytes(b"mine")
    for path in settings.pictures.iterdir():
        aged(path, 10**6)
    assert removed(prune(store, settings.replace(quota_mb=1))) == NONE
    assert remaining(store) == [id]


# ---- After a crash ----

ID = "AAAAAAAAAAAAAAAAAAA-_w"
STRAYS = [
    f"{ID}.jpg",
    f"{ID}.png",
    f"{ID}.seen.png",
    f"{ID}.heat.png",
]
TEMPORARY = [f".{ID}.jpg.0123abcd.part", ".secret-key.0123456789abcdef", ".blocked.0123456789abcdef"]


@pytest.mark.parametrize("name", TEMPORARY)
@pytest.mark.parametrize("seconds, stays", [(1, True), (3600, False)])
def test_a_temporary_file_goes_to_quarantine_unless_it_may_be_new(store, settings, keep, name, seconds, stays):
    keep()
    (settings.pictures / name).write_bytes(b"half")
    aged(settings.pictures / name, seconds)
    assert removed(prune(store, settings)) == replace(NONE, quarantined=0 if stays else 1)
    assert (settings.pictures / name).exists() == stays
    assert (settings.pictures / "quarantine" / name).exists() != stays


@pytest.mark.stores("folder", "s3")
@pytest.mark.parametrize("name", STRAYS)
@pytest.mark.parametrize("seconds, stays", [(1, True), (3000, True), (3600, False), (-3600, True)])
def test_a_file_without_a_row_goes_to_quarantine_unless_it_may_be_new(store, settings, keep, age, name, seconds, stays):
    """A file dated in the future may be new: the clock may have been set back after it was written."""
    keep()
    store.blobs.put(name, b"half")
    age(name, seconds)
    assert removed(prune(store, settings)) == replace(NONE, quarantined=0 if stays else 1)
    assert (store.blobs.get(name) == b"half") == stays
    assert (store.blobs.get(f"quarantine/{name}") == b"half") != stays


@pytest.mark.stores("folder", "s3")
@pytest.mark.parametrize(
    "damage",
    [lambda blobs, key: blobs.delete([key]), lambda blobs, key: blobs.put(key, b"")],
    ids=["gone", "emptied"],
)
def test_a_row_without_its_picture_is_deleted(store, settings, keep, damage):
    lost, whole = keep(2), keep(1)
    damage(store.blobs, f"{lost}.png")
    assert store.get(lost) is None  # no page is broken
    assert store.get_all([lost, whole]) == [store.get(whole)]
    assert removed(prune(store, settings)) == replace(NONE, without_picture=1)
    assert remaining(store) == [whole]
    assert files(settings) == [f"{whole}.png", f"{whole}.seen.png"]


def test_a_careful_sweep_deletes_nothing_if_files_and_rows_do_not_match(store, settings, tmp_path, keep):
    """The picture folder may not be mounted, or the database may be another one."""
    id = keep(1)
    for name in files(settings):
        aged(settings.pictures / name, 3600)
    for wrong in (
        settings.replace(pictures=tmp_path / "empty", database_url=settings.sqlalchemy_url),
        settings.replace(database_url=f"sqlite:///{tmp_path}/other.sqlite3"),
    ):
        assert removed(prune(Storage(wrong), wrong, careful=True)) == NONE
    assert remaining(store) == [id]
    assert len(files(settings)) == 2
    assert removed(prune(Storage(wrong), wrong)) == replace(NONE, quarantined=2)


@pytest.mark.parametrize(
    "hours, results, stays",
    [(2, [None], False), (2, [None, "present"], True), (0.5, [None], True)],
)
def test_a_batch_without_results_is_deleted_after_the_grace_period(store, settings, keep, hours, results, stays):
    id = keep()
    entries = [
        EntryRow(position=position, name="a.png", result_id=one and id, received="")
        for position, one in enumerate(results)
    ]
    with store.database.writing() as session:
        session.add(BatchRow(id="batch", created=ago(hours / 24), model="m", entries=entries))
    assert removed(prune(store, settings)) == replace(NONE, empty_batches=0 if stays else 1)


# ---- Uploads during a sweep ----


class PausedBlobs(FolderBlobs):
    """A blob folder that calls one function when a listing begins and another before it ends."""

    def __init__(self, folder, begins=lambda: None, ends=lambda: None):
        super().__init__(folder)
        self.begins, self.ends = begins, ends

    def iterate(self):
        self.begins()
        yield from super().iterate()
        self.ends()


@pytest.fixture
def advance_clock(monkeypatch):
    """Returns a function that sets the clock of the database forward by some hours."""

    def advance_clock(hours):
        real = time.time
        monkeypatch.setattr("inkling.storage.records.time.time", lambda: real() + 3600 * hours)

    return advance_clock


@pytest.mark.parametrize("place", ["begins", "ends"])
@pytest.mark.parametrize("age", [0, -2 * 3600, 3 * 3600], ids=["now", "later", "older"])
def test_results_saved_while_a_sweep_is_stopped_stay(store, settings, keep, place, age):
    """Results saved while the sweep is stopped survive, even if the files' dates differ from the database's."""
    old, expired = keep(2), keep(31)
    saved = []

    def save():
        for _ in range(40):
            saved.append(keep(age / 86400))
            for path in settings.pictures.glob(f"{saved[-1]}.*"):
                aged(path, age)

    store.blobs = PausedBlobs(settings.pictures, **{place: save})
    assert removed(prune(store, settings)) == replace(NONE, expired=1)
    assert len(saved) == 40
    assert set(remaining(store)) == {old, *saved}
    assert [result.id for result in store.get_all(saved)] == saved
    assert all(store.seen(id) for id in saved)
    assert store.get(expired) is None


def test_files_whose_rows_appear_during_a_sweep_stay(store, settings, keep, monkeypatch):
    """The sweep lists the files before their rows exist. The rows appear before it continues."""
    other = keep(2)
    saved = [keep() for _ in range(40)]
    with store.database.writing() as session:
        rows = [dict(row) for row in session.execute(sa.select(ResultRow.__table__)).mappings() if row["id"] != other]
        session.execute(sa.delete(ResultRow).where(ResultRow.id.in_(saved)))
    for path in settings.pictures.glob("*.png"):
        aged(path, 7200)

    def insert():
        with store.database.writing() as session:
            session.execute(sa.insert(ResultRow.__table__), rows)

    monkeypatch.setattr("inkling.storage.retention.AT_ONCE", 1)  # each file's row is looked up before the next file
    store.blobs = PausedBlobs(settings.pictures, ends=insert)
    assert removed(prune(store, settings)) == NONE
    assert {result.id for result in store.get_all(saved)} == set(saved)


def test_results_corrected_or_found_again_during_a_sweep_stay(store, settings, keep, monkeypatch):
    corrected, found = keep(31), keep(2)
    data = (settings.pictures / f"{found}.png").read_bytes()
    (settings.pictures / f"{found}.png").unlink()
    delete_where = store.delete_where

    def slow(ids, *conditions):
        store.correct(corrected, "b")
        return delete_where(ids, *conditions)

    monkeypatch.setattr(store, "delete_where", slow)
    store.blobs = PausedBlobs(settings.pictures, ends=lambda: store.blobs.put(f"{found}.png", data))
    assert removed(prune(store, settings)) == NONE
    assert {corrected, found} == set(remaining(store))


def test_a_suspended_sweep_process_loses_nothing(store, settings, keep):
    """The process of the sweep is stopped while it lists files, as when an operator suspends a machine."""
    keep(2)
    script = """
import os, signal, sys
from inkling.config import Settings
from inkling.storage import Storage, prune
from inkling.storage.blobs import FolderBlobs

class Stopping(FolderBlobs):
    def iterate(self):
        yield from super().iterate()
        os.kill(os.getpid(), signal.SIGSTOP)

settings = Settings.from_env({"INKLING_PICTURES": sys.argv[1], "INKLING_DATABASE_URL": sys.argv[2]})
storage = Storage(settings)
storage.blobs = Stopping(settings.pictures)
print(prune(storage, settings))
"""
    command = [sys.executable, "-c", script, str(settings.pictures), settings.database_url]
    sweep = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert os.WIFSTOPPED(os.waitpid(sweep.pid, os.WUNTRACED)[1])
        saved = [keep() for _ in range(40)]
        for path in settings.pictures.glob("*.png"):
            aged(path, 7200)
        sweep.send_signal(signal.SIGCONT)
        assert "quarantined=0" in sweep.communicate(timeout=60)[0]
    finally:
        sweep.kill()
    assert {result.id for result in store.get_all(saved)} == set(saved)


def test_uploads_during_continuous_sweeps_are_all_there(settings, keep, monkeypatch):
    """There is no grace period here, so only the second look at each candidate protects the uploads."""
    monkeypatch.setattr("inkling.storage.retention.GRACE", timedelta(0))
    swept_often, done = threading.Event(), threading.Event()

    def upload(_):
        storage, image, ids = Storage(settings), Image.new("RGB", (8, 8)), []
        while len(ids) < 25 or not swept_often.is_set():
            ids.append(add(storage, image, PREDICTION, "drawing", {}))
        return ids

    def sweep():
        storage = Storage(settings)
        try:
            for _ in range(3):
                prune(storage, settings)
        finally:
            swept_often.set()  # even after a failure, or the uploads would never end
        while not done.is_set():
            prune(storage, settings)
        prune(storage, settings)
        prune(storage, settings)  # moves files back that the previous sweep put into quarantine too early

    keep(2)
    with ThreadPoolExecutor(5) as threads:
        sweeps = threads.submit(sweep)
        saved = [id for ids in threads.map(upload, range(4)) for id in ids]
        done.set()
        sweeps.result()
    storage = Storage(settings)
    assert [result.id for result in storage.get_all(saved)] == saved
    assert all(storage.seen(id) for id in saved)


# ---- Quarantine ----


@pytest.fixture
def quarantined(store, settings, keep, age):
    """Returns the key of a file in the quarantine."""
    keep()
    store.blobs.put(STRAYS[0], b"stray")
    age(STRAYS[0], 3600)
    prune(store, settings)
    return f"quarantine/{STRAYS[0]}"


@pytest.mark.stores("folder", "s3")
def test_a_file_stays_in_quarantine_for_a_day(store, settings, quarantined, age):
    assert removed(prune(store, settings)) == NONE
    assert store.blobs.get(quarantined[len("quarantine/") :]) is None
    age(quarantined, 23 * 3600)
    prune(store, settings)
    assert quarantined in files(settings)
    age(quarantined, 25 * 3600)
    prune(store, settings)
    assert quarantined not in files(settings)


@pytest.mark.stores("folder", "s3")
def test_a_file_whose_row_appears_is_moved_back(store, settings, keep, age):
    id = keep(2)
    for name in (f"{id}.png", f"{id}.seen.png"):
        store.blobs.move(name, f"quarantine/{name}")
        age(f"quarantine/{name}", 10**6)
    assert store.get(id) is None
    assert removed(prune(store, settings)) == NONE
    assert store.get(id)
    assert store.seen(id)


def test_a_full_disk_has_room_for_the_quarantine(store, settings, quarantined, monkeypatch):
    """The quarantine renames files, so it needs no additional space."""
    monkeypatch.setattr(FolderBlobs, "put", lambda *_: 1 / 0)
    (settings.pictures / STRAYS[1]).write_bytes(b"stray")
    aged(settings.pictures / STRAYS[1], 3600)
    assert removed(prune(store, settings)) == replace(NONE, quarantined=1)


# ---- The clock ----


def test_a_clock_that_was_set_back_deletes_nothing(store, settings, keep, advance_clock):
    """Results dated in the future stay until the clock has reached their dates."""
    ids = [keep(-ahead) for ahead in (300, 340, 364, 365)]
    for path in settings.pictures.glob("*.png"):
        aged(path, -300 * 86400)
    (settings.pictures / STRAYS[0]).write_bytes(b"stray")
    aged(settings.pictures / STRAYS[0], -300 * 86400)
    assert removed(prune(store, settings)) == NONE
    assert set(remaining(store)) == set(ids)
    advance_clock(24 * 331)
    assert removed(prune(store, settings)) == replace(NONE, expired=1, quarantined=1)


def swept(store, days):
    """Sets the date of the last sweep to some days ago."""
    with store.database.writing() as session:
        session.execute(sa.update(UsageRow).values(swept=ago(days)))


@pytest.mark.parametrize("days", [400, -400])
def test_a_machine_that_has_just_started_may_have_a_wrong_clock(store, settings, keep, days):
    """A background sweep deletes nothing by age if the last sweep seems long ago or lies in the future."""
    old, ahead = keep(400), keep(-400)
    (settings.pictures / STRAYS[0]).write_bytes(b"stray")
    aged(settings.pictures / STRAYS[0], 3600)
    swept(store, days)
    Housekeeper(store, settings).look()
    assert remaining(store) == [old, ahead]
    assert store.get(ahead).created > datetime.now(UTC)
    assert STRAYS[0] in files(settings)
    Housekeeper(store, settings).look()
    assert remaining(store) == [old, ahead]  # a second worker has the same clock
    swept(store, 0.01)
    Housekeeper(store, settings).look()
    assert remaining(store) == [ahead]


def test_a_wrong_clock_does_not_stop_the_quota(store, settings, keep):
    ids = [keep(days, NOISE) for days in (9, 8, 7, 6, 5, 4, 3, 2, 1)]
    swept(store, 400)
    Housekeeper(store, settings.replace(quota_mb=1)).look()
    assert 0 < len(remaining(store)) < len(ids)


# ---- When sweeps run ----


def test_the_command_prints_what_it_did(runner, app, settings, keep):
    keep(31)
    keep(1)
    (settings.pictures / STRAYS[0]).write_bytes(b"half")
    aged(settings.pictures / STRAYS[0], 3600)
    done = runner.invoke(args=["results", "prune"])
    assert done.exit_code == 0
    assert re.fullmatch(
        r"removed: 1 results older than 30 days\nmoved to quarantine: 1 files without a result\n"
        r"kept: 1 results, 0\.\d MiB\n",
        done.stdout,
    )
    assert runner.invoke(args=["results", "prune"]).stdout.startswith("kept: 1 results")


def test_only_one_prunes_at_a_time(runner, store, settings, keep):
    keep(31)
    descriptor = os.open(settings.pictures, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        assert prune(store, settings) is None
        done = runner.invoke(args=["results", "prune"])
        assert (done.exit_code, done.stderr) == (1, "Error: another process is pruning just now.\n")
    finally:
        os.close(descriptor)
    assert removed(prune(store, settings)) == replace(NONE, expired=1)


@pytest.mark.databases("sqlite")
def test_an_invalid_database_is_reported_and_nothing_is_removed(runner, settings):
    settings.pictures.mkdir()
    (settings.pictures / "inkling.sqlite3").write_bytes(b"this is no database" * 99)
    (settings.pictures / STRAYS[0]).write_bytes(b"half")
    aged(settings.pictures / STRAYS[0], 3600)
    done = runner.invoke(args=["results", "prune"])
    assert (done.exit_code, done.stderr) == (1, "Error: the database cannot be used: file is not a database.\n")
    assert STRAYS[0] in files(settings)


def test_a_worker_sweeps_when_it_starts_and_after_many_writes(store, settings, keep):
    keeper = Housekeeper(store, settings.replace(quota_mb=1))
    keep(31)
    keeper.look()
    assert remaining(store) == []
    old = keep(31)
    keeper.look()
    assert remaining(store) == [old]  # a few bytes written do not start a sweep
    young = [keep(days, NOISE) for days in (6, 5, 4, 3, 2, 1)]
    keeper.look()
    assert old not in remaining(store)
    assert remaining(store) == young[-len(remaining(store)) :]
    assert store.get(remaining(store)[0])


def test_a_worker_does_not_sweep_right_after_another(store, settings, keep):
    Housekeeper(store, settings).look()
    keep(31)
    Housekeeper(store, settings).look()
    assert len(remaining(store)) == 1
    swept(store, 0.01)
    Housekeeper(store, settings).look()
    assert remaining(store) == []


# ---- Stored size ----


def test_saving_and_deleting_update_the_stored_size(store, settings, keep):
    def counted():
        return store.database.used_bytes() + sum(
            -(-path.stat().st_size // 4096) * 4096 for path in settings.pictures.glob("*.png")
        )

    ids = [keep(1, NOISE) for _ in range(3)]
    assert store.saved_bytes() == counted()
    store.delete(ids[0])
    store.save_heatmap(ids[1], bytes(5000))
    other = Storage(settings)  # stands for another worker
    assert other.saved_bytes() == counted()
    assert prune(store, settings).bytes == counted()


def test_missing_sizes_of_old_results_are_filled_in(store, settings, keep):
    keep(1, NOISE)
    keep(1)
    size = store.saved_bytes()
    with store.database.writing() as session:
        session.execute(sa.update(ResultRow).values(bytes=None))
        session.execute(sa.update(UsageRow).values(bytes=0))
    assert prune(store, settings).bytes == store.saved_bytes() == size


# ---- The page ----


@pytest.mark.parametrize(
    "days, keeps, goes",
    [
        (30, "keeps this picture on this server beyond {day}, as long as", "the server does on {day} at the latest."),
        (0, "keeps this picture on this server, as long as", None),
    ],
)
def test_the_page_says_until_when_it_is_kept(make_app, settings, data_url, png, ink_model, days, keeps, goes):
    client = make_app(settings.replace(retention_days=days)).test_client()
    page = client.post("/predict", data={"model": ink_model, "drawing": data_url(png)}).location
    then = datetime.now(UTC) + timedelta(days=days)
    day = f"{then.day} {then:%B %Y}"
    text = client.get(page).text
    assert keeps.format(day=day) in text
    assert (goes.format(day=day) in text) if goes else ("the server does on" not in text)
    client.post(f"{page}/correction", data={"label": "1"})
    assert "the server does on" not in client.get(page).text
