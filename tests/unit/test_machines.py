"""Several machines share one PostgreSQL server: they take turns where they must, and outlive its restarts."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from inkling.config import ROOT
from inkling.problems import Problem
from inkling.recognition.predictor import Prediction
from inkling.storage import Entry, Storage, StoreError, database, prune
from inkling.storage import postgres as postgres_database
from inkling.storage.database import Database
from inkling.storage.retention import enforce_quota
from inkling.storage.taught import NewExample, Quota
from tests.support.storage import add, go_back, new
from tests.support.waiting import wait_until

pytestmark = pytest.mark.databases("postgresql")
WRITERS = 32
PREDICTION = Prediction(
    "m", "digits", ("a", "b"), np.array([0.25, 0.75], np.float32), 0.9, np.zeros((28, 28, 1), np.uint8), {}
)
PICTURE = Image.new("RGB", (8, 8))
NO_LIMIT = Quota(0, 0, 0)


@pytest.fixture
def store(settings):
    return Storage(settings)


def together(count, call):
    """Calls a function that many times at once, with 0, 1, 2, …; returns what it returned."""
    barrier = threading.Barrier(count)

    def turn(i):
        barrier.wait()
        return call(i)

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(turn, range(count)))


# ---- Writers ----


@pytest.fixture
def patient(monkeypatch):
    """On a slow machine, the last one of many writers waits for longer than three seconds."""
    monkeypatch.setattr(database, "LOCK_TIMEOUT", 100_000)
    monkeypatch.setitem(postgres_database.SESSION, "lock_timeout", "100s")
    monkeypatch.setattr(postgres_database, "SECONDS", 100)


@pytest.mark.databases("sqlite", "postgresql")
def test_writers_that_read_before_they_write_do_not_miss_each_other(settings, patient):
    """Each reads a number and writes it back, one higher. Without isolation, some of them write the same one."""
    stores = [Storage(settings) for _ in range(4)]
    stores[0].check()

    def count(i):
        for _ in range(4):
            with stores[i % 4].database.writing() as session:
                before = session.scalar(sa.text("SELECT bytes FROM usage"))
                session.execute(sa.text("UPDATE usage SET bytes = :size"), {"size": before + 1})

    together(WRITERS, count)
    with stores[0].database.reading() as session:
        assert session.scalar(sa.text("SELECT bytes FROM usage")) == 4 * WRITERS


@pytest.mark.databases("sqlite", "postgresql")
def test_the_size_is_exact_after_many_saved_and_deleted_together(settings, patient):
    stores = [Storage(settings) for _ in range(4)]
    batch = stores[0].add_batch("m", [(Entry("a.png"), new(PICTURE, PREDICTION, "photo", {})) for _ in range(WRITERS)])

    def write(i):
        stores[i % 4].delete(batch.results[i])
        return add(stores[(i + 1) % 4], PICTURE, PREDICTION, "drawing", {})

    ids = together(WRITERS, write)
    assert [result.id for result in stores[0].get_all(ids)] == ids
    with stores[0].database.reading() as session:
        counted = session.scalar(sa.text("SELECT sum(bytes) FROM predictions"))
        assert session.scalar(sa.text("SELECT bytes FROM usage")) == counted
        assert session.scalar(sa.text("SELECT count(*) FROM batches")) == 0


@pytest.mark.databases("sqlite", "postgresql")
def test_quotas_and_unique_names_hold_for_those_who_come_together(settings, patient):
    stores = [Storage(settings).taught for _ in range(4)]
    quota = Quota(classifiers=WRITERS // 2, examples=WRITERS // 2, bytes=0)

    def create(i):
        try:
            return stores[i % 4].create("birds", "Birds", "photo", "local", (), quota).name
        except Problem as problem:
            return problem.reason

    made = Counter(together(WRITERS, create))
    assert made.pop("too-many-classifiers") == WRITERS // 2
    assert len(made) == WRITERS // 2
    birds = stores[0].find("birds")

    def teach(i):
        example = NewExample(b"%d" % (i % 24), "photo", "", "robin", "file")  # some are the same
        (done,) = stores[i % 4].add(birds.id, [example], quota)
        return done.reason if isinstance(done, Problem) else "added"

    added = Counter(together(WRITERS, teach))
    assert added["added"] == WRITERS // 2
    after = stores[0].get(birds.id)
    assert [(label.name, label.count) for label in after.labels] == [("robin", WRITERS // 2)]
    assert after.revision == WRITERS // 2


@pytest.mark.databases("sqlite", "postgresql")
def test_a_sign_in_link_lets_one_in(settings, patient):
    stores = [Storage(settings).tokens for _ in range(4)]
    stores[0].add("hash", "link", "teach", "local", timedelta(days=1))
    taken = together(WRITERS, lambda i: stores[i % 4].take("hash", "link"))
    assert len([one for one in taken if one]) == 1


def test_a_reader_sees_one_moment(store):
    with store.database.reading() as session:
        before = session.scalar(sa.text("SELECT count(*) FROM predictions"))
        add(store, PICTURE, PREDICTION, "drawing", {})
        assert session.scalar(sa.text("SELECT count(*) FROM predictions")) == before


def test_a_reader_cannot_write(store):
    with pytest.raises(StoreError, match="ReadOnlySqlTransaction"), store.database.reading() as session:
        session.execute(sa.text("UPDATE usage SET bytes = 1"))


def test_a_writer_waits_for_another_one_for_a_while(store, settings, monkeypatch):
    monkeypatch.setitem(postgres_database.SESSION, "lock_timeout", "100ms")
    with store.database.writing() as session:
        session.execute(sa.text("SELECT 1"))
        with pytest.raises(StoreError, match="LockNotAvailable"):
            add(Storage(settings), PICTURE, PREDICTION, "drawing", {})


# ---- Connections ----


def test_a_process_opens_so_many_connections_and_no_more(settings, patient):
    store = Storage(settings)
    name = sa.make_url(settings.database_url).database
    most = []

    def read(_):
        with store.database.reading() as session:
            query = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND application_name = 'inkling'"
            most.append(session.scalar(sa.text(query)))

    together(40, read)
    assert max(most) <= settings.database_connections


def test_one_connection_is_enough_for_everything_but_a_lock(settings, tmp_path):
    """No session is opened inside another one: with few connections, threads would wait for each other."""
    store = Storage(settings)
    store.database._connections = 2  # a sweep holds its lock by one
    ids = [add(store, PICTURE, PREDICTION, "drawing", {}) for _ in range(3)]
    store.save_heatmap(ids[0], b"png")
    store.hide(ids[1])
    store.show(ids[1])
    birds = store.taught.create("birds", "Birds", "photo", "local", (), NO_LIMIT)
    store.taught.add(birds.id, [NewExample(b"1", "photo", "", "robin", "file")], NO_LIMIT)
    assert prune(store, settings).results == 3
    store.database.close()
    store.database._connections = 1
    assert store.delete(*ids) == 3
    store.taught.delete(birds.id)
    assert store.saved_bytes() == 0


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_restarts_is_found_again(settings, postgres, mode):
    store = Storage(settings)
    first = add(store, PICTURE, PREDICTION, "drawing", {})
    postgres.stop(mode)
    try:
        with pytest.raises(StoreError, match="the database cannot be used"):
            store.get(first)
        with pytest.raises(StoreError):
            add(store, PICTURE, PREDICTION, "drawing", {})
        assert store.problem
    finally:
        postgres.start()
    assert store.get(first)
    wait_until(lambda: not _problem(store), 60)
    assert store.get(add(store, PICTURE, PREDICTION, "drawing", {}))


def _problem(store):
    with suppress(StoreError):
        store.check()
    return store.problem


def test_idle_connections_that_a_restart_broke_fail_no_request(settings, postgres):
    store = Storage(settings)
    first = add(store, PICTURE, PREDICTION, "drawing", {})
    together(settings.database_connections, lambda _: store.get(first))
    postgres.stop()
    postgres.start()
    assert all(together(settings.database_connections, lambda _: store.get(first)))
    assert store.get(add(store, PICTURE, PREDICTION, "drawing", {}))


# ---- Text ----


def test_a_nul_character_is_replaced(store):
    """PostgreSQL has none. A client may send one as a file's name or in an address."""
    names = ["a\0b.png", "\0"]
    batch = store.add_batch("m", [(Entry(name), new(PICTURE, PREDICTION, "photo", {})) for name in names])
    assert [entry.name for entry in store.batch(batch.id).entries] == ["a\ufffdb.png", "\ufffd"]
    assert store.get("\0") is None
    assert store.tokens.find("\0", "token") is None


@pytest.mark.databases("sqlite", "postgresql")
@pytest.mark.parametrize("number", [2**31, -(2**31) - 1, 2**63, 2**80])
def test_a_number_that_no_column_holds_is_no_rows(store, number):
    taught = store.taught
    birds = taught.create("birds", "Birds", "photo", "local", (), NO_LIMIT)
    with pytest.raises(Problem, check=lambda problem: problem.reason == "unknown-label"):
        taught.rename_label(birds.id, number, "wren")
    with pytest.raises(Problem, check=lambda problem: problem.reason == "unknown-version"):
        taught.version(birds.id, number)
    assert taught.examples(birds.id, number) == []
    assert store.tokens.delete(number) is False


# ---- One at a time, of all machines ----


START_TOGETHER = """
import multiprocessing, sys
from inkling.config import Settings
from inkling.storage import Storage

def start(i, together):
    together.wait()
    Storage(Settings.from_env({"INKLING_PICTURES": f"{sys.argv[2]}/{i}", "INKLING_DATABASE_URL": sys.argv[1]})).check()

fork = multiprocessing.get_context("fork")
together = fork.Barrier(10)
machines = [fork.Process(target=start, args=(i, together)) for i in range(10)]
for machine in machines:
    machine.start()
for machine in machines:
    machine.join()
sys.exit(sum(machine.exitcode != 0 for machine in machines))
"""


def start_together(url, tmp_path):
    """Ten machines open a database at once; returns how many failed and what they wrote."""
    command = [sys.executable, "-c", START_TOGETHER, url, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    return done.returncode, done.stderr[-2000:]


def test_ten_machines_may_start_at_once_on_an_empty_database(postgres, tmp_path):
    with postgres.database() as url:
        assert start_together(url, tmp_path) == (0, "")
        opened = Database(url, tmp_path)
        with opened.reading() as session:
            assert session.scalar(sa.text("SELECT count(*) FROM usage")) == 1
        opened.close()


def test_ten_machines_may_start_at_once_after_an_upgrade(settings, store, tmp_path):
    id = add(store, PICTURE, PREDICTION, "drawing", {})
    go_back(store, "0008")
    assert start_together(settings.database_url, tmp_path) == (0, "")
    result = Storage(settings).get(id)
    assert (result.label, result.suffix) == ("b", "png")


HOLD = """
import sys
from pathlib import Path
from inkling.storage.database import Database

with Database(sys.argv[1], Path(sys.argv[2])).only_one("sweep") as alone:
    print(alone, flush=True)
    sys.stdin.read()
"""


@contextmanager
def sweeping(settings, tmp_path):
    """Another machine, which sweeps."""
    command = [sys.executable, "-c", HOLD, settings.database_url, str(tmp_path / "other")]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "True\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_one_machine_sweeps_at_a_time_and_the_next_if_it_is_killed(store, settings, tmp_path):
    with sweeping(settings, tmp_path) as other:
        assert prune(store, settings) is None
        assert enforce_quota(store, settings) == 0
        with store.database.only_one("training") as alone:
            assert alone, "the locks are not the same"
        os.kill(other.pid, signal.SIGKILL)
        wait_until(lambda: prune(store, settings))


def test_a_sweep_that_loses_its_lock_reports_it(settings, store, postgres, monkeypatch):
    add(store, PICTURE, PREDICTION, "drawing", {})
    iterate = store.blobs.iterate

    def restart():
        postgres.stop()
        postgres.start()
        yield from iterate()

    monkeypatch.setattr(store.blobs, "iterate", restart)
    with pytest.raises(StoreError, match="the database cannot be used"):
        prune(store, settings)
    monkeypatch.undo()
    assert prune(store, settings).results == 1
