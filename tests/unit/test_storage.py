"""Stored results are small and hold no metadata. They are saved whole or not at all, and stay until deleted."""

import io
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from inkling.config import ROOT
from inkling.pictures.encode import thumbnail
from inkling.recognition.predictor import Prediction
from inkling.storage import NONE_OF_THESE, Entry, Housekeeper, Storage, StoreError
from tests.support.storage import add, new

pytestmark = pytest.mark.databases("sqlite", "postgresql")
TIMES = {"decode": 1.0, "prepare": 2.0, "infer": 3.0}
PREDICTION = Prediction(
    "m", "digits", ("a", "b"), np.array([0.25, 0.75], np.float32), 0.9, np.zeros((28, 28, 1), np.uint8), {}
)


@pytest.fixture
def store(settings):
    return Storage(settings)


def files(settings):
    """Returns the keys of all files of results, temporary ones included."""
    return sorted(blob.key for blob in Storage(settings).blobs.iterate())


def image_of(data):
    return Image.open(io.BytesIO(data))


def rows(store):
    with store.database.reading() as session:
        return session.scalar(sa.text("SELECT count(*) FROM predictions"))


# ---- Saving ----


@pytest.mark.stores("folder", "s3")
def test_a_result_survives_a_restart(store, settings, photo):
    id = add(store, photo, PREDICTION, "photo", TIMES)
    before = store.get(id)
    after = Storage(settings).get(id)
    assert after == before
    assert (after.model, after.task, after.kind, after.sure) == ("m", "digits", "photo", False)
    assert (after.label, after.confidence, after.predictions) == ("b", 0.75, [("b", 0.75), ("a", 0.25)])
    assert after.milliseconds == TIMES
    assert after.created.tzinfo is not None


def test_an_unknown_id_is_none(store):
    assert store.get("no-such-id") is None


@pytest.mark.stores("folder", "s3")
@pytest.mark.parametrize("kind, format", [("photo", "JPEG"), ("drawing", "PNG")])
def test_photos_are_jpeg_and_drawings_png(store, settings, photo, kind, format):
    id = add(store, photo, PREDICTION, kind, TIMES)
    with image_of(store.picture(store.get(id))) as saved, image_of(store.seen(id)) as seen:
        assert (saved.format, saved.size) == (format, photo.size)
        assert (seen.format, seen.size) == ("PNG", (28, 28))
    assert len(files(settings)) == 2
    assert all(name.startswith(id) for name in files(settings))


@pytest.mark.parametrize("size", [(255, 255), (32, 32), (1, 200)])
def test_a_small_photo_is_saved_to_the_pixel(store, settings, size):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8))
    id = add(store, noise, PREDICTION, "photo", TIMES)
    result = store.get(id)
    assert (result.kind, result.mimetype) == ("photo", "image/png")
    assert f"{id}.png" in files(settings)
    with image_of(store.picture(result)) as saved:
        assert (np.asarray(saved) == np.asarray(noise)).all()


def test_a_drawing_is_saved_to_the_pixel(store, drawing):
    id = add(store, drawing, PREDICTION, "drawing", TIMES)
    with image_of(store.picture(store.get(id))) as saved:
        assert (np.asarray(saved) == np.asarray(drawing)).all()


def test_what_the_model_saw_is_saved_to_the_pixel(store, photo):
    seen = np.random.default_rng(0).integers(0, 256, (150, 150, 3), np.uint8)
    id = add(store, photo, replace(PREDICTION, seen=seen), "photo", TIMES)
    with image_of(store.seen(id)) as saved:
        assert (np.asarray(saved) == seen).all()


@pytest.mark.parametrize(
    "size, saved",
    [
        ((1024, 1024), (1024, 1024)),
        ((1025, 500), (1024, 500)),
        ((3000, 1500), (1024, 512)),
        ((1500, 3000), (512, 1024)),
        ((5000, 1), (1024, 1)),
        ((1, 1), (1, 1)),
    ],
)
@pytest.mark.parametrize("kind", ["photo", "drawing"])
def test_a_picture_has_at_most_1024_pixels_a_side(store, kind, size, saved):
    id = add(store, Image.new("RGB", size), PREDICTION, kind, TIMES)
    with image_of(store.picture(store.get(id))) as image:
        assert image.size == saved


def test_scaling_a_picture_down_does_not_change_the_callers(store):
    image = Image.new("RGB", (3000, 1500))
    add(store, image, PREDICTION, "photo", TIMES)
    assert image.size == (3000, 1500)


@pytest.mark.parametrize("kind", ["photo", "drawing"])
def test_metadata_is_not_kept(store, encode, kind):
    """Metadata is removed from any picture, under any key that Pillow uses for it."""
    import io

    exif = Image.Exif()
    exif[0x010E] = "SECRET description"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    marked = encode(
        Image.new("RGB", (64, 64), "teal"),
        "JPEG",
        exif=exif,
        comment=b"SECRET comment",
        icc_profile=b"SECRET profile",
        xmp=b"SECRET xmp",
    )
    assert marked.count(b"SECRET") == 4
    image = Image.open(io.BytesIO(marked))
    image.load()
    id = add(store, image, PREDICTION, kind, TIMES)
    data = store.picture(store.get(id))
    assert b"SECRET" not in data
    with image_of(data) as saved:
        assert not saved.getexif()
        assert saved.info.keys() <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}


def test_ids_cannot_be_guessed(store, paper):
    ids = [add(store, paper, PREDICTION, "drawing", TIMES) for _ in range(50)]
    assert len(set(ids)) == 50
    assert all(re.fullmatch(r"[\w-]{22}", id, re.ASCII) for id in ids)  # 22 characters of 6 bits hold at least 128 bits
    for place in range(21):
        assert len({id[place] for id in ids}) > 10  # neither a counter nor a date


# ---- Whole or not at all ----


def drop_the_table(store, monkeypatch):
    with store.database.writing() as session:
        session.execute(sa.text("ALTER TABLE predictions RENAME TO others"))
    return PREDICTION


def break_the_second_picture(store, monkeypatch):
    put = store.blobs.put

    def fails_later(key, data):
        if key.endswith(".seen.png"):
            raise OSError(5, "Input/output error")
        put(key, data)

    monkeypatch.setattr(store.blobs, "put", fails_later)
    return PREDICTION


@pytest.mark.stores("folder", "s3")
@pytest.mark.parametrize("fail", [drop_the_table, break_the_second_picture])
def test_when_one_write_fails_nothing_is_saved(store, settings, photo, monkeypatch, fail):
    unwritable = fail(store, monkeypatch)
    with pytest.raises(StoreError):
        add(store, photo, unwritable, "photo", TIMES)
    assert files(settings) == []
    if fail is not drop_the_table:
        assert rows(store) == 0


def test_when_the_disk_is_full_nothing_is_saved(store, settings, photo, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError):
        add(store, photo, PREDICTION, "photo", TIMES)
    assert (files(settings), rows(store)) == ([], 0)


@pytest.mark.stores("folder", "s3")
def test_delete_removes_row_and_files(store, settings, photo):
    gone, stays = (add(store, photo, PREDICTION, "photo", TIMES) for _ in range(2))
    store.save_heatmap(gone, b"made later")
    assert store.delete(gone) == 1
    assert store.get(gone) is None
    assert files(settings) == [f"{stays}.jpg", f"{stays}.seen.png"]
    assert rows(store) == 1
    assert store.delete(gone) == 0


@pytest.mark.stores("folder", "s3")
def test_several_are_deleted_at_once(store, settings, photo):
    first, second, stays = (add(store, photo, PREDICTION, "photo", TIMES) for _ in range(3))
    assert store.delete(first, second, "none") == 2
    assert files(settings) == [f"{stays}.jpg", f"{stays}.seen.png"]
    assert store.delete() == 0


@pytest.mark.stores("folder", "s3")
def test_delete_ignores_missing_files(store, settings, photo):
    id = add(store, photo, PREDICTION, "photo", TIMES)
    store.blobs.delete(files(settings))
    assert store.delete(id) == 1
    assert store.get(id) is None


def batch_of(store, image, *names):
    """Saves pictures as one batch."""
    return store.add_batch("m", [(Entry(name), new(image, PREDICTION, "photo", TIMES)) for name in names])


@pytest.mark.stores("folder", "s3")
def test_a_deleted_results_name_is_gone_from_its_batch_and_the_batch_with_its_last_result(store, paper):
    batch = batch_of(store, paper, "first.png", "second.png")
    first, second = batch.results
    assert store.get(first).batch == batch.id
    store.delete(first)
    assert store.batch(batch.id).entries == [Entry(""), Entry("second.png", second)]
    store.delete(second)
    assert store.batch(batch.id) is None


@pytest.mark.stores("folder", "s3")
def test_a_batch_is_saved_whole_or_not_at_all(store, settings, paper, monkeypatch):
    put, turns = store.blobs.put, iter(range(9))

    def fail(*args):
        if next(turns) == 3:
            raise OSError(28, "No space left on device")
        put(*args)

    monkeypatch.setattr(store.blobs, "put", fail)
    with pytest.raises(StoreError, match="No space left"):
        batch_of(store, paper, "first.png", "second.png")
    assert files(settings) == []
    assert rows(store) == 0
    with store.database.reading() as session:
        assert session.scalar(sa.text("SELECT count(*) FROM batches")) == 0


def found(settings, text):
    """Returns the database files that contain a text."""
    return [path.name for path in settings.pictures.glob("inkling.sqlite3*") if text.encode() in path.read_bytes()]


@pytest.mark.databases("sqlite")
def test_a_deleted_result_leaves_no_bytes_in_the_database(store, settings, paper):
    """A deleted result leaves no bytes in the database or its write-ahead log."""
    batch = batch_of(store, paper, "private-name.png", "other-name.png", *["more.png"] * 20)
    alone = add(store, paper, replace(PREDICTION, labels=("private-label", "b")), "photo", TIMES)
    deleted = [batch.results[0], alone]
    for text in ("private-name", "private-label", *deleted):
        assert found(settings, text)
    assert store.delete(*deleted) == 2
    for text in ("private-name", "private-label", *deleted):
        assert found(settings, text) == []
    assert found(settings, "other-name")


@pytest.mark.databases("sqlite")
def test_the_housekeeper_clears_bytes_that_a_reader_held_back(store, settings, paper):
    batch = batch_of(store, paper, "private-name.png", "other-name.png")
    with Storage(settings).database.reading() as session:
        session.scalar(sa.text("SELECT count(*) FROM predictions"))
        store.delete(batch.results[0])
        assert found(settings, "private-name")
        assert store.database.checkpoint_due
    Housekeeper(store, settings).look()
    assert not store.database.checkpoint_due
    assert found(settings, "private-name") == []


def test_only_their_owner_can_read_the_files(store, settings, paper):
    add(store, paper, PREDICTION, "photo", TIMES)
    assert settings.pictures.stat().st_mode & 0o777 == 0o700
    for name in files(settings):
        assert (settings.pictures / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.stores("folder", "s3")
@pytest.mark.parametrize("key", ["../a.jpg", "inkling.sqlite3", ".secret-key", "a/b.jpg", "film.mp4", ""])
def test_only_names_of_results_are_keys(store, key):
    for call in (
        store.blobs.get,
        store.blobs.size,
        lambda key: store.blobs.put(key, b""),
        lambda key: store.blobs.delete([key]),
    ):
        with pytest.raises(ValueError, match="not the key of a blob"):
            call(key)


# ---- Several results, and thumbnails ----


@pytest.mark.stores("folder", "s3")
def test_several_results_come_in_the_given_order_without_deleted_ones(store, paper):
    ids = [add(store, paper, PREDICTION, "drawing", TIMES) for _ in range(3)]
    store.delete(ids[1])
    asked = [ids[2], "none", ids[1], ids[0]]
    assert store.get_all(asked) == [store.get(ids[2]), store.get(ids[0])]
    assert store.get_all([]) == []


@pytest.mark.parametrize("size, small", [((3000, 1500), (256, 128)), ((300, 900), (85, 256)), ((40, 60), (40, 60))])
@pytest.mark.parametrize("kind", ["photo", "drawing"])
def test_a_thumbnail_is_a_small_copy_of_the_picture(store, settings, kind, size, small):
    id = add(store, Image.linear_gradient("L").convert("RGB").resize(size), PREDICTION, kind, TIMES)
    before = files(settings)
    data = thumbnail(store.picture(store.get(id)))
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == ("JPEG" if kind == "photo" and max(size) >= 256 else "PNG")
        assert image.size == small
        assert image.getpixel((0, 0))[0] < 20
        assert image.getpixel((small[0] - 1, small[1] - 1))[0] > 235
    assert len(data) < 30_000
    assert files(settings) == before


@pytest.mark.stores("folder", "s3")
def test_the_files_of_a_deleted_result_are_none(store, photo):
    result = store.get(add(store, photo, PREDICTION, "photo", TIMES))
    store.delete(result.id)
    assert store.picture(result) is None
    assert store.seen(result.id) is None
    assert store.heatmap(result.id) is None


# ---- Corrections ----


def test_a_correction_is_saved_changed_and_taken_back(store, settings, paper):
    first, second = (add(store, paper, PREDICTION, "drawing", TIMES) for _ in range(2))
    assert store.get(first).correction is None
    assert store.corrected() == []
    for label in ("a", "b", NONE_OF_THESE):
        assert store.correct(first, label) is True
        assert Storage(settings).get(first).correction == label
        assert store.corrected() == [store.get(first)]
    store.correct(second, "a")
    assert [result.id for result in store.corrected()] == [first, second]
    assert store.correct(first, None) is True
    assert [result.id for result in store.corrected()] == [second]
    store.delete(second)
    assert store.corrected() == []


def test_a_deleted_result_cannot_be_corrected(store):
    assert store.correct("none", "a") is False


# ---- The database ----


def test_the_folder_is_created_at_the_first_use(settings, photo):
    store = Storage(settings)
    assert not settings.pictures.exists()
    assert store.get(add(store, photo, PREDICTION, "photo", TIMES))


@pytest.mark.databases("sqlite")
def test_the_database_url_names_the_database(settings, tmp_path, photo):
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite3'}"
    elsewhere = Storage(settings.replace(database_url=url))
    id = add(elsewhere, photo, PREDICTION, "photo", TIMES)
    assert (tmp_path / "elsewhere.sqlite3").exists()
    assert not (settings.pictures / "inkling.sqlite3").exists()
    assert Storage(settings.replace(database_url=url)).get(id)
    assert Storage(settings).get(id) is None


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", ["my pictures", "100% mine #1", "bilder-ä"])
def test_the_folder_may_have_any_name(settings, tmp_path, photo, name):
    store = Storage(settings.replace(pictures=tmp_path / name))
    assert store.get(add(store, photo, PREDICTION, "photo", TIMES))
    assert (tmp_path / name / "inkling.sqlite3").exists()


@pytest.mark.databases("sqlite")
def test_readers_and_a_writer_do_not_wait_for_each_other(store):
    with store.database.reading() as session:
        assert session.scalar(sa.text("PRAGMA journal_mode")) == "wal"


def test_many_threads_can_save_at_once(store, settings, paper):
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: add(store, paper, PREDICTION, "drawing", TIMES), range(40)))
    assert all(store.get(id) for id in ids)
    assert len(files(settings)) == 80


def test_many_storages_can_start_at_once_in_threads(settings, paper):
    with ThreadPoolExecutor(8) as threads:
        ids = list(threads.map(lambda _: add(Storage(settings), paper, PREDICTION, "drawing", TIMES), range(16)))
    assert all(Storage(settings).get(id) for id in ids)


START_TOGETHER = """
import multiprocessing, sys
from pathlib import Path
from inkling.config import Settings
from inkling.storage import Storage

def start(folder, together):
    together.wait()
    Storage(Settings.from_env({"INKLING_PICTURES": folder})).get("none")

fork = multiprocessing.get_context("fork")
failed = 0
for round in range(5):
    folder, together = str(Path(sys.argv[1], str(round))), fork.Barrier(8)
    workers = [fork.Process(target=start, args=(folder, together)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        failed += worker.exitcode != 0
sys.exit(f"{failed} of 40 failed" if failed else 0)
"""


def test_many_workers_may_start_at_once_on_a_new_database(tmp_path):
    """gunicorn starts several worker processes before the data folder exists."""
    done = subprocess.run(
        [sys.executable, "-c", START_TOGETHER, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr[-2000:]) == (0, "")
