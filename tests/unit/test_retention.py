"""What is kept stays within its age and its room, and what a crash left behind goes."""

import fcntl
import os
import re
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from inkling.batches import BatchRow, Entry
from inkling.recognition.predictor import Prediction
from inkling.storage.retention import Housekeeper, Pruned, prune
from inkling.storage.store import Row, Store

PREDICTION = Prediction(
    "m", "digits", ("a", "b"), np.array([0.25, 0.75], np.float32), 0.9, np.zeros((28, 28, 1), np.uint8), {}
)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8))  # 180 kB as a drawing
NONE = Pruned(0, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def store(settings):
    return Store(settings)


@pytest.fixture
def keep(store):
    """Keeps a picture of so many days ago; gives its id."""

    def keep(days=0.0, image=Image.new("RGB", (8, 8)), said=None):  # noqa: B008  nobody changes it
        id = store.add(image, PREDICTION, "drawing", {})
        with store.session() as session:
            session.execute(sa.update(Row).where(Row.id == id).values(created=ago(days)))
        if said is not None:
            store.correct(id, said)
        return id

    return keep


def ago(days):
    return datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)


def removed(done):
    """What was removed, without what is left."""
    return replace(done, results=0, bytes=0)


def left(store):
    """Ids of the rows, oldest first."""
    with store.session() as session:
        return list(session.scalars(sa.select(Row.id).order_by(Row.created, Row.id)))


def files(settings):
    return sorted(path.name for path in settings.pictures.iterdir() if "sqlite3" not in path.name)


def aged(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)


# ---- Age ----


def test_results_older_than_the_retention_go_with_their_files(store, settings, keep):
    old, young = keep(30.01), keep(29.99)
    done = prune(store, settings)
    assert removed(done) == replace(NONE, old=1)
    assert done.results == 1
    assert left(store) == [young]
    assert files(settings) == [f"{young}.png", f"{young}.seen.png"]
    assert store.get(old) is None


def test_what_a_visitor_said_is_right_stays_until_it_is_taken_back(store, settings, keep):
    said = [keep(400, said="b"), keep(400, said="")]
    prune(store, settings)
    assert set(left(store)) == set(said)
    store.correct(said[0], None)
    prune(store, settings)
    assert left(store) == said[1:]


@pytest.mark.parametrize("days, stays", [(0, True), (1, False), (10_000, True)])
def test_no_retention_is_for_ever(store, settings, keep, days, stays):
    keep(9000)
    prune(store, settings.replace(retention_days=days))
    assert bool(left(store)) == stays


# ---- Room ----


def test_beyond_the_quota_the_oldest_go_until_there_is_some_room(store, settings, keep):
    ids = [keep(days, NOISE, said="b" if days == 9 else None) for days in (9, 8, 7, 6, 5, 4, 3, 2, 1)]
    assert removed(prune(store, settings.replace(quota_mb=2))) == NONE
    done = prune(store, settings.replace(quota_mb=1))
    assert left(store) == ids[done.crowded :]
    assert done.results == len(ids) - done.crowded
    assert 0.5 * 2**20 < done.bytes <= 0.9 * 2**20
    assert sum(path.stat().st_size for path in settings.pictures.glob("*.png")) < done.bytes
    assert removed(prune(store, settings.replace(quota_mb=1))) == NONE


def test_no_quota_is_no_limit(store, settings, keep):
    keep(1, NOISE)
    assert removed(prune(store, settings.replace(quota_mb=0))) == NONE


def test_the_database_counts_and_gives_back_what_it_no_longer_needs(store, settings, keep):
    keep(40)
    with store.session() as session:
        for i in range(40):
            session.add(BatchRow(id=f"{i:022}", created=ago(1), model="m", entries=[{"result": "x" * 100_000}]))
    before = store.database_bytes()
    assert before > 3 * 2**20
    done = prune(store, settings.replace(quota_mb=1))
    assert removed(done) == replace(NONE, old=1, empty=40)
    assert done.bytes == store.database_bytes() < before / 10
    assert sum(path.stat().st_size for path in settings.pictures.glob("inkling.sqlite3*")) < before / 10


def test_pages_go_with_the_oldest_results(store, settings, keep):
    """Else what they take would have everybody's results removed, and still be there."""
    old, young = keep(2, NOISE), keep(1, NOISE)
    with store.session() as session:
        for i, (days, id) in enumerate([(2, old), (1.5, old), (1, young)]):
            entries = [{"result": id, "name": "x" * 400_000}]
            session.add(BatchRow(id=f"{i:022}", created=ago(days), model="m", entries=entries))
    done = prune(store, settings.replace(quota_mb=1))
    assert removed(done) == replace(NONE, crowded=1, empty=2)
    assert left(store) == [young]


def test_files_of_others_neither_count_nor_go(store, settings, keep):
    id = keep()
    (settings.pictures / "film.mp4").write_bytes(bytes(3 * 2**20))
    for name in ("cat", "PXL_20240101_123456789", "IMG_20240101_123456789"):
        (settings.pictures / f"{name}.jpg").write_bytes(b"mine")
    for path in settings.pictures.iterdir():
        aged(path, 10**6)
    assert removed(prune(store, settings.replace(quota_mb=1))) == NONE
    assert left(store) == [id]


# ---- What a crash leaves ----

ID = "AAAAAAAAAAAAAAAAAAA-_w"
STRAYS = [
    f"{ID}.jpg",
    f"{ID}.png",
    f"{ID}.seen.png",
    f"{ID}.heat.png",
    f".{ID}.jpg.0123abcd.part",
    ".secret-key.0123456789abcdef",
]


@pytest.mark.parametrize("name", STRAYS)
@pytest.mark.parametrize("seconds, stays", [(1, True), (3600, False), (-3600, False)])
def test_a_file_without_a_row_goes_unless_it_may_be_in_the_making(store, settings, keep, name, seconds, stays):
    """One from the future was written before the clock was set back."""
    keep()
    (settings.pictures / name).write_bytes(b"half")
    aged(settings.pictures / name, seconds)
    assert removed(prune(store, settings)) == replace(NONE, strays=0 if stays else 1)
    assert (settings.pictures / name).exists() == stays


@pytest.mark.parametrize("damage", [os.unlink, lambda path: os.truncate(path, 0)], ids=["gone", "emptied"])
def test_a_row_without_its_picture_goes(store, settings, keep, damage):
    lost, whole = keep(2), keep(1)
    damage(settings.pictures / f"{lost}.png")
    assert store.get(lost) is None  # nobody sees a broken page
    assert store.get_all([lost, whole]) == [store.get(whole)]
    assert removed(prune(store, settings)) == replace(NONE, lost=1)
    assert left(store) == [whole]
    assert files(settings) == [f"{whole}.png", f"{whole}.seen.png"]


def test_where_nothing_fits_a_careful_hand_leaves_it(store, settings, tmp_path, keep):
    """A folder that is not mounted, or another database."""
    id = keep()
    for name in files(settings):
        aged(settings.pictures / name, 3600)
    for wrong in (
        settings.replace(pictures=tmp_path / "empty", database_url=settings.sqlalchemy_url),
        settings.replace(database_url=f"sqlite:///{tmp_path}/other.sqlite3"),
    ):
        assert removed(prune(Store(wrong), wrong, careful=True)) == NONE
    assert left(store) == [id]
    assert len(files(settings)) == 2
    assert removed(prune(Store(wrong), wrong)) == replace(NONE, strays=2)


@pytest.mark.parametrize(
    "hours, results, stays",
    [(2, ["gone"], False), (2, [None], False), (2, ["gone", "kept"], True), (0.5, [None], True)],
)
def test_a_page_of_several_goes_when_nothing_is_left_of_it(store, settings, keep, hours, results, stays):
    kept = keep()
    entries = [vars(Entry("a.png", kept if one == "kept" else one)) for one in results]
    with store.session() as session:
        session.add(BatchRow(id="batch", created=ago(hours / 24), model="m", entries=entries))
    assert removed(prune(store, settings)) == replace(NONE, empty=0 if stays else 1)


# ---- The clock ----


def test_a_clock_that_was_set_back_neither_removes_nor_keeps_for_ever(store, settings, keep):
    """All was kept in a year that has not come: ages and order stay."""
    too_old, *ids = [keep(-ahead) for ahead in (300, 340, 364, 365)]
    assert removed(prune(store, settings)) == replace(NONE, old=1)
    assert left(store) == ids
    assert [(datetime.now(UTC) - store.get(id).created).days for id in ids] == [25, 1, 0]
    assert too_old not in ids


# ---- Who does it ----


def test_the_command_says_what_it_did(runner, app, settings, keep):
    keep(31)
    keep(1)
    (settings.pictures / STRAYS[0]).write_bytes(b"half")
    aged(settings.pictures / STRAYS[0], 3600)
    done = runner.invoke(args=["results", "prune"])
    assert done.exit_code == 0
    assert re.fullmatch(
        r"removed: 1 results older than 30 days\nremoved: 1 files without a result\n"
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
    assert removed(prune(store, settings)) == replace(NONE, old=1)


def test_a_database_that_is_none_is_told_and_nothing_is_removed(runner, settings):
    settings.pictures.mkdir()
    (settings.pictures / "inkling.sqlite3").write_bytes(b"this is no database" * 99)
    (settings.pictures / STRAYS[0]).write_bytes(b"half")
    aged(settings.pictures / STRAYS[0], 3600)
    done = runner.invoke(args=["results", "prune"])
    assert (done.exit_code, done.stderr) == (1, "Error: the database cannot be used: file is not a database.\n")
    assert STRAYS[0] in files(settings)


def test_a_machine_that_has_just_started_may_have_a_wrong_clock(store, settings, keep, monkeypatch):
    """Nothing is too old then, nor of the future."""
    old, ahead = keep(400), keep(-400)
    monkeypatch.setattr("inkling.storage.retention.settled", lambda: False)
    Housekeeper(store, settings).look()
    assert left(store) == [old, ahead]
    assert store.get(ahead).created > datetime.now(UTC)
    monkeypatch.setattr("inkling.storage.retention.settled", lambda: True)
    Housekeeper(store, settings).look()
    assert left(store) == [ahead]


def test_a_worker_prunes_at_its_start_and_again_when_it_has_written_much(store, settings, keep, monkeypatch):
    monkeypatch.setattr("inkling.storage.retention.settled", lambda: True)
    keeper = Housekeeper(store, settings.replace(quota_mb=1))
    keep(31)
    keeper.look()
    assert left(store) == []
    keep(31)
    keeper.look()
    assert len(left(store)) == 1  # a few bytes are no reason
    keep(0, NOISE)
    keeper.look()
    assert len(left(store)) == 1
    assert store.get(left(store)[0])


# ---- What the page says ----


@pytest.mark.parametrize(
    "days, keeps, goes",
    [
        (30, "keeps this picture on this server beyond {day}, as long as", "By itself it goes on {day} at the latest."),
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
    assert (goes.format(day=day) in text) if goes else ("By itself" not in text)
    client.post(f"{page}/correction", data={"label": "1"})
    assert "By itself" not in client.get(page).text
