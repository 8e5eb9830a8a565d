"""Counting goes on, and adds up, whatever becomes of the folder for the workers' numbers."""

import errno
import os
import shutil

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client import values as prometheus_values
from prometheus_client.multiprocess import MultiProcessCollector

from inkling.web import counters


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder for the numbers of all workers; this process is worker 0, whose numbers are looked for at each use."""
    monkeypatch.setenv(counters.FOLDER, str(tmp_path / "numbers"))
    monkeypatch.setattr(prometheus_values, "ValueClass", None)
    monkeypatch.setattr(counters, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(counters, "_files", {})
    return tmp_path / "numbers"


def counter(folder, worker=0):
    """A counter of a worker that has just started."""
    counters._files.clear()
    return counters.Number(worker, "counter", "asked", "asked_total", (), (), "asked")


def total(folder):
    """What all workers have counted together, as /metrics says it."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))
    found = [line for line in generate_latest(registry).decode().splitlines() if line.startswith("asked_total ")]
    return float(found[0].split()[1]) if found else None


def no_room(monkeypatch):
    """Lets no file grow, as a full disk does; returns a function that ends that."""

    def refuse(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    allocate = counters._allocate
    monkeypatch.setattr(counters, "_allocate", refuse)
    return lambda: monkeypatch.setattr(counters, "_allocate", allocate)


def test_numbers_of_all_workers_add_up(folder):
    counter(folder, 0).inc(2)
    counter(folder, 1).inc(3)
    assert total(folder) == 5


def test_a_worker_continues_the_numbers_of_a_dead_one(folder):
    counter(folder).inc(2)
    later = counter(folder)
    assert later.get() == 2
    later.inc(1)
    assert total(folder) == 3


def test_a_removed_folder_is_made_again_with_what_was_counted(folder):
    number = counter(folder)
    number.inc(2)
    shutil.rmtree(folder)
    number.inc(1)
    assert total(folder) == 3
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_worker_starts_without_the_folder(folder):
    assert not folder.exists()
    number = counter(folder)
    assert number.get() == 0
    number.inc(1)
    assert total(folder) == 1


def test_numbers_wait_in_the_process_for_room(folder, monkeypatch, caplog):
    room = no_room(monkeypatch)
    number = counter(folder)
    number.inc(2)
    number.inc(1)
    assert (number.get(), counters.flush(), list(folder.iterdir())) == (3, False, [])
    assert [record.name for record in caplog.records] == ["inkling.metrics"], "it is told once"
    room()
    assert counters.flush()
    assert total(folder) == 3


def test_a_full_file_keeps_what_it_has_until_it_can_grow(folder, monkeypatch):
    first = counter(folder)
    first.inc(1)
    room = no_room(monkeypatch)
    kept = [counters.Number(0, "counter", "many", f"many_{i}_total", (), (), "x" * 500) for i in range(300)]
    for number in [first, *kept]:
        number.inc(1)
    assert {number.get() for number in kept} == {1}
    assert not counters.flush()
    assert total(folder) == 1
    room()
    assert counters.flush()
    assert total(folder) == 2


@pytest.mark.parametrize("bytes_there", [b"", b"text", b"\xff" * counters.SIZE], ids=["empty", "short", "nonsense"])
def test_a_damaged_file_stops_no_count(folder, bytes_there):
    folder.mkdir()
    (folder / "counter_0.db").write_bytes(bytes_there)
    number = counter(folder)
    number.inc(2)
    assert number.get() == 2


def test_a_file_in_place_of_the_folder_stops_no_count(folder):
    folder.write_bytes(b"")
    number = counter(folder)
    number.inc(2)
    assert (number.get(), counters.flush()) == (2, False)


def test_metrics_of_the_library_count_in_the_files(folder):
    counters.use(0)
    registry = CollectorRegistry()
    Counter("asked", "asked", registry=registry).inc(2)
    Gauge("size", "size", registry=registry, multiprocess_mode="mostrecent").set(7)
    assert total(folder) == 2
    assert sorted(path.name for path in folder.iterdir()) == ["counter_0.db", "gauge_mostrecent_0.db"]


# ---- Events that are reported once ----


def test_one_worker_is_the_first_to_report_an_event(folder):
    folder.mkdir()
    assert [counters.is_first(event) for event in ("a", "b", "a", "b")] == [True, True, False, False]
    assert total(folder) is None, "what is reported is no metric"


def test_each_worker_reports_where_no_file_can_tell(folder, monkeypatch):
    assert counters.is_first("a")  # there is no folder
    monkeypatch.delenv(counters.FOLDER)
    assert counters.is_first("a")
