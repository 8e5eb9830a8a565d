"""When results cannot be saved, pages still show answers, /readyz says why, and saving resumes by itself."""

import errno
import io
import os
import re
import sqlite3
import time
from contextlib import suppress

import pytest

from inkling.breaker import CircuitBreaker
from inkling.storage import Storage, StoreError, blobs, database
from inkling.web.edge import bodies

NOT_KEPT = "Inkling cannot save pictures right now"


class Fault:
    """A reason why storage cannot save: how it begins, how it ends, and the message about it."""

    says = ""

    def __init__(self, settings, tmp_path, monkeypatch):
        self.settings, self.folder, self.monkeypatch = settings, tmp_path, monkeypatch

    def begin(self):
        """Causes the fault; returns the settings to use."""
        return self.settings

    def end(self):
        self.monkeypatch.undo()


class Unwritable(Fault):
    """The folder is below /proc, where not even root can create one; later the link leads elsewhere."""

    says = "the pictures' folder cannot be used: "

    def begin(self):
        (self.folder / "link").symlink_to("/proc/inkling")
        return self.settings.replace(pictures=self.folder / "link" / "pictures")

    def end(self):
        (self.folder / "link").unlink()
        (self.folder / "link").mkdir()


class Full(Fault):
    says = "the disk is full: less than 1099511627776 MiB are free"

    def begin(self):
        self.monkeypatch.setattr(blobs, "MIN_FREE_BYTES", 2**60)
        return self.settings


class ReadOnlyDisk(Fault):
    says = "the pictures' folder cannot be used: Read-only file system"

    def begin(self):
        class Disk:
            f_flag, f_blocks, f_bavail, f_frsize = os.ST_RDONLY, 10**9, 10**9, 4096

        self.monkeypatch.setattr(os, "statvfs", lambda _: Disk)
        return self.settings


class NoDatabase(Fault):
    says = "the database cannot be used: file is not a database"

    @property
    def file(self):
        return self.settings.pictures / "inkling.sqlite3"

    def begin(self):
        self.settings.pictures.mkdir()
        self.file.write_bytes(b"this is no database" * 99)
        return self.settings

    def end(self):
        self.file.unlink()


class ReadOnlyDatabase(Fault):
    says = "the database cannot be used: attempt to write a readonly database"

    def begin(self):
        Storage(self.settings).check()
        path = self.settings.pictures / "inkling.sqlite3"
        return self.settings.replace(database_url=f"sqlite:///file:{path}?mode=ro&uri=true")

    end = None  # only a restart ends it


class Locked(Fault):
    says = "the database cannot be used: database is locked"

    def begin(self):
        self.monkeypatch.setattr(database, "LOCK_TIMEOUT", 50)
        Storage(self.settings).check()
        self.holder = sqlite3.connect(self.settings.pictures / "inkling.sqlite3", isolation_level=None)
        self.holder.execute("BEGIN IMMEDIATE")
        return self.settings

    def end(self):
        self.holder.execute("ROLLBACK")
        self.holder.close()


@pytest.fixture(
    params=[Unwritable, Full, ReadOnlyDisk, NoDatabase, ReadOnlyDatabase, Locked], ids=lambda fault: fault.__name__
)
def fault(request, settings, tmp_path, monkeypatch):
    return request.param(settings, tmp_path, monkeypatch)


@pytest.fixture
def at_once(monkeypatch):
    """The circuit breaker lets the next call probe at once."""
    monkeypatch.setattr("inkling.breaker.FIRST_DELAY", 0)


def send(client, model, *pictures):
    return client.post(
        "/predict", data={"model": model, "image": [(io.BytesIO(data), f"{i}.png") for i, data in enumerate(pictures)]}
    )


def saving(client):
    text = client.get("/metrics").text
    return float(re.search(r"^inkling_saving ([\d.]+)$", text, re.MULTILINE)[1])


def test_the_answer_is_shown_all_the_same_and_saving_comes_back(make_app, fault, at_once, png, ink_model):
    settings = fault.begin()
    client = make_app(settings).test_client()
    page = send(client, ink_model, png)
    assert page.status_code == 200
    assert NOT_KEPT in page.text
    assert 'letters-8">1</h1>' in page.text
    assert 'src="data:image/jpeg;base64,/9j/' in page.text
    main = page.text.partition("<main")[2].partition("</main>")[0]
    assert not re.search(r"/results/|delete|correction|<script", main)
    assert "Set-Cookie" not in page.headers
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (200, "ready")
    assert ready.json["saving"].startswith(f"off: {fault.says}")
    assert saving(client) == 0
    if fault.end:
        fault.end()
        assert client.get("/readyz").json["saving"] == "on"
        assert saving(client) == 1
        assert send(client, ink_model, png).status_code == 303
        files = list(settings.pictures.glob("*.png")) + list(settings.pictures.glob("*.jpg"))
        assert len(files) == 2  # of the saved result; the unsaved one left none


def test_several_are_answered_too(make_app, fault, png, jpeg, ink_model):
    page = send(make_app(fault.begin()).test_client(), ink_model, png, b"no picture", png)
    assert page.status_code == 200
    assert NOT_KEPT in page.text
    assert page.text.count("<b>1</b>") == 2
    assert page.text.count('<img src="data:image/jpeg;base64,/9j/') == 2
    assert "This is not a picture" in page.text
    assert not re.search(r"/results/|/batches/|\?sort=", page.text)


def test_the_lab_answers_too(make_app, fault, data_url, png, ink_model):
    page = (
        make_app(fault.begin())
        .test_client()
        .post("/lab", data={"drawing": data_url(png), "model": ink_model, "do": "classify"})
    )
    assert page.status_code == 200
    assert NOT_KEPT in page.text


def test_the_api_answers_as_ever(make_app, fault, data_url, png, ink_model):
    client = make_app(fault.begin()).test_client()
    answer = client.post(f"/api/predict?model={ink_model}", json={"image": data_url(png)})
    assert (answer.status_code, answer.json["label"]) == (200, "1")


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/results/{id}"),
        ("POST", "/results/{id}/delete"),
        ("POST", "/results/{id}/correction"),
        ("GET", "/history"),
        ("GET", "/batches/{id}"),
    ],
)
def test_what_needs_the_database_says_not_now(make_app, settings, png, ink_model, method, path):
    """The browser has a history, and the database was damaged since."""
    client = make_app().test_client()
    id = send(client, ink_model, png).location.rpartition("/")[2]
    for file in settings.pictures.glob("inkling.sqlite3*"):
        file.write_bytes(b"this is no database" * 99)
    client.application.extensions["inkling"].storage.database.close()
    page = client.open(path.format(id=id), method=method, data={"label": "1"} if method == "POST" else None)
    assert (page.status_code, page.headers["Retry-After"]) == (503, "60")
    assert "<h1>Not available right now</h1>" in page.text


def test_an_upload_that_finds_no_room_on_its_way_is_told_to_come_again(make_app, monkeypatch, png, ink_model):
    """Uploads above 64 kB go through the temporary folder."""

    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    client = make_app().test_client()
    monkeypatch.setattr(bodies.SpooledTemporaryFile, "write", no_room)
    for path in ("/predict", f"/api/predict?model={ink_model}", "/lab"):
        answer = client.post(path, data={"image": (io.BytesIO(png), "a.png"), "model": ink_model})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    monkeypatch.undo()
    assert send(client, ink_model, png).status_code == 303


def test_what_is_kept_can_be_read_while_nothing_can_be_written(
    make_app, settings, monkeypatch, tmp_path, png, ink_model
):
    client = make_app().test_client()
    result = send(client, ink_model, png).location
    for fault in (Full, ReadOnlyDisk, ReadOnlyDatabase, Locked):
        one = fault(settings, tmp_path, monkeypatch)
        reader = make_app(one.begin()).test_client()
        for path in ("", "/picture", "/thumbnail", "/others", "/why", "/heatmap.png"):
            assert reader.get(result + path).status_code == 200, (fault, path)
        if one.end:
            one.end()


def test_without_a_key_to_sign_with_nothing_is_remembered_and_all_else_goes_on(make_app, settings, png, ink_model):
    client = make_app().test_client()
    result = send(client, ink_model, png).location
    (settings.pictures / ".secret-key").unlink()
    (settings.pictures / ".secret-key").mkdir()
    client = make_app().test_client()
    client.set_cookie("inkling-history", "something.from.before")
    assert "Nothing yet" in client.get("/history").text
    assert send(client, ink_model, png).status_code == 303
    assert client.get(result).status_code == 200


def test_changing_the_language_of_an_unsaved_answer_leads_to_the_first_page(client):
    for page, back in (("/predict", "/"), ("/help?reason=blank", "/help?reason=blank"), ("/nowhere", "/nowhere")):
        answer = client.post("/language", data={"language": "ru"}, headers={"Referer": f"http://localhost{page}"})
        assert answer.location == back


# ---- The circuit breaker ----


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when the test says so."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def is_let_through(breaker, works=False):
    """Makes a call through the breaker; returns whether it was let through."""
    tried = []
    with suppress(StoreError), breaker.guard():
        tried.append(True)
        if not works:
            raise StoreError("full")
    return bool(tried)


def test_each_failed_probe_doubles_the_delay_and_a_success_closes_the_circuit(clock):
    breaker = CircuitBreaker("saving", StoreError)
    for seconds in (1, 2, 4, 8, 8, 8):
        assert is_let_through(breaker)
        clock(seconds - 0.1)
        assert not is_let_through(breaker)
        clock(0.2)
    assert breaker.last_failure == "full"
    assert is_let_through(breaker, works=True)
    assert breaker.last_failure is None
    assert is_let_through(breaker)
    clock(1.1)
    assert is_let_through(breaker)


def test_one_call_probes_while_the_others_fail(clock):
    breaker = CircuitBreaker("saving", StoreError)
    assert is_let_through(breaker)
    clock(1.1)
    with breaker.guard():
        assert not is_let_through(breaker)
    assert is_let_through(breaker, works=True)


def test_calls_that_fail_together_count_once(clock):
    breaker = CircuitBreaker("saving", StoreError)
    trials = [breaker.guard() for _ in range(8)]
    for trial in trials:
        trial.__enter__()
    for trial in trials:
        error = StoreError("full")
        assert not trial.__exit__(StoreError, error, None)
    clock(1.1)
    assert is_let_through(breaker, works=True)
