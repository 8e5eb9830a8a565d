"""Blobs in a folder and in a bucket behave alike, and a bucket that cannot be used is told within seconds."""

import http.server
import os
import signal
import socket
import threading
import time
from contextlib import suppress

import pytest

from inkling import breaker
from inkling.storage import Storage, StoreError, s3
from inkling.storage.s3 import Bucket
from tests.support.s3 import BUCKET, SECRET, client
from tests.support.waiting import wait_until

ID, OTHER = f"{'a' * 21}A", f"{'b' * 21}Q"

both = pytest.mark.stores("folder", "s3")
in_a_bucket = pytest.mark.stores("s3")


@pytest.fixture
def store(settings):
    store = Storage(settings).blobs
    store.check()
    return store


# ---- Both stores ----


@both
def test_a_blob_is_there_until_it_is_deleted(store):
    key = f"{ID}.jpg"
    assert (store.get(key), store.size(key), store.open(key)) == (None, None, None)
    store.put(key, b"first")
    store.put_all({key: b"second", f"{ID}.seen.png": b"seen"})
    assert (store.get(key), store.size(key)) == (b"second", 6)
    assert store.sizes([key, f"{OTHER}.jpg", f"{ID}.seen.png"]) == {key: 6, f"{ID}.seen.png": 4}
    store.delete([key, f"{OTHER}.jpg", f"{ID}.seen.png"])
    assert (store.get(key), list(store.iterate())) == (None, [])


@both
def test_an_empty_blob_counts_as_missing(store):
    store.put(f"{ID}.jpg", b"")
    assert (store.get(f"{ID}.jpg"), store.open(f"{ID}.jpg")) == (None, None)


@both
def test_a_blob_is_read_from_any_place(store):
    data = os.urandom(300_000)
    store.put(f"{ID}.jpg", data)
    opened = store.open(f"{ID}.jpg")
    with opened.file as file:
        assert opened.size == len(data)
        assert file.read(10) == data[:10]
        assert file.seek(200_000) == 200_000
        assert (file.read(), file.read()) == (data[200_000:], b"")
        file.seek(-5, os.SEEK_END)
        assert file.read(100) == data[-5:]


@both
def test_a_blob_that_was_replaced_has_another_tag(store):
    def tag():
        opened = store.open(f"{ID}.jpg")
        opened.file.close()
        return opened.tag

    store.put(f"{ID}.jpg", b"first")
    before = tag()
    assert tag() == before
    store.put(f"{ID}.jpg", b"other")
    assert tag() != before


@both
def test_a_listing_has_every_page_and_the_quarantine_and_nothing_else(store, settings, monkeypatch):
    monkeypatch.setattr(s3, "AT_ONCE", 2)  # of a page
    keys = [f"{one * 21}A.png" for one in "cdefg"]
    store.put_all(dict.fromkeys(keys, b"123"))
    store.move(keys[0], f"quarantine/{keys[0]}")
    store.move(f"{OTHER}.jpg", f"quarantine/{OTHER}.jpg")
    examples = Storage(settings).taught._blobs
    examples.check()
    examples.put(f"{OTHER}.jpg", b"an example")
    listed = {blob.key: blob for blob in store.iterate()}
    assert sorted(listed) == sorted([f"quarantine/{keys[0]}", *keys[1:]])
    for blob in listed.values():
        assert blob.size == 3
        assert abs(blob.modified.timestamp() - time.time()) < 60
    store.delete(listed)
    assert list(store.iterate()) == []


# ---- Buckets ----


@in_a_bucket
def test_a_new_object_never_replaces_one(settings):
    bucket = Bucket(settings.blobs)
    bucket.put_new("models/a", b"first")
    bucket.put_new("models/a", b"second")
    assert bucket.get("models/a") == b"first"


@pytest.fixture
def stub(monkeypatch):
    """Returns a function that starts a store which answers each request with a status, and notes the requests."""
    servers = []

    def start(answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(answer(self.headers))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_GET(self):
                self.send_response(answer(self.headers))
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"the beginning")
                self.close_connection = True

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        return Bucket(f"s3://{BUCKET}")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_a_store_without_conditional_writes_is_asked_once(stub):
    asked = []

    def answer(headers):
        asked.append(headers.get("If-None-Match"))
        return 501 if asked[-1] else 200

    bucket = stub(answer)
    bucket.put_new("models/a", b"first")
    bucket.put_new("models/b", b"second")
    assert [one for one in asked if one] == ["*"]
    assert asked[-2:] == [None, None]


def test_a_body_that_breaks_off_does_not_turn_the_store_off(stub):
    bucket = stub(lambda _: 200)
    with pytest.raises(StoreError):
        bucket.get("a")
    bucket.put("b", b"saved")


def wrong_secret(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET[::-1])


def no_keys(monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")


def away(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")


def silent(monkeypatch):
    server = socket.create_server(("127.0.0.1", 0))  # it accepts connections, and never answers
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
    monkeypatch.setattr(s3, "READ_SECONDS", 0.2)
    return server


def no_bucket(monkeypatch):
    return "s3://no-such-bucket/prefix"


FAULTS = {
    wrong_secret: "it refuses the secret key",
    no_keys: "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set",
    away: "it cannot be reached",
    silent: "it did not answer in time",
    no_bucket: "there is no such bucket",
}


@in_a_bucket
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_wrong_with_a_store_is_told_and_nothing_is_half_written(
    make_app, settings, data_url, png, monkeypatch, fault
):
    def sent(client):
        return client.post("/predict", data={"drawing": data_url(png), "model": "digits-cnn"})

    saved = sent(make_app().test_client()).location
    broken = fault(monkeypatch)
    app = make_app(settings.replace(blobs=broken) if isinstance(broken, str) else settings)
    service = app.extensions["inkling"]
    visitor = app.test_client()
    for page in ("", "/picture", "/seen.png", "/heatmap.png"):
        answer = visitor.get(saved + page)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
        assert "cannot open its saved pictures" in answer.text
    assert visitor.get("/readyz").json["saving"] == f"off: the object store cannot be used: {FAULTS[fault]}"
    answer = sent(visitor)
    assert (answer.status_code, answer.location) == (200, None)
    with service.storage.database.reading() as session:
        assert session.connection().exec_driver_sql("SELECT count(*) FROM predictions").scalar() == 1


@in_a_bucket
def test_calls_fail_at_once_while_a_store_is_away_until_it_is_back(settings, object_store, monkeypatch):
    Bucket(settings.blobs).put("a", b"there")
    monkeypatch.setattr(s3, "READ_SECONDS", 0.5)
    for delay in ("FIRST_DELAY", "LONGEST_DELAY"):
        monkeypatch.setattr(breaker, delay, 600)
    bucket, asked = Bucket(settings.blobs), []
    bucket._connected().client.meta.events.register("before-send.s3", lambda **_: asked.append(1))
    os.kill(object_store.process.pid, signal.SIGSTOP)
    try:
        for _ in range(3):
            with pytest.raises(StoreError, match="it did not answer in time"):
                bucket.get("a")
    finally:
        os.kill(object_store.process.pid, signal.SIGCONT)
    assert len(asked) == s3.ATTEMPTS  # of the first call alone

    def back():
        bucket._breaker._probe_at = 0  # as after the delay
        with suppress(StoreError):
            return bucket.get("a") == b"there"

    wait_until(back)


@in_a_bucket
def test_each_process_has_a_client_of_its_own(store):
    store.put(f"{ID}.jpg", b"parent's")
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, store.get(f"{ID}.jpg") + str(store._bucket._connected().process == os.getpid()).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 99) == b"parent'sTrue"
    assert store.get(f"{ID}.jpg") == b"parent's"


@in_a_bucket
def test_the_store_itself_refuses_a_wrong_secret(object_store):
    """The other tests prove nothing with a store that does not check signatures."""
    from botocore.exceptions import ClientError

    bad = client(object_store)
    bad._request_signer._credentials.secret_key = SECRET[::-1]
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        bad.list_objects_v2(Bucket=BUCKET)
