"""Static files are smaller on their way, and nothing else changes."""

import gzip

import pytest

from inkling.config import ROOT

FILES = sorted(path.name for path in (ROOT / "static").iterdir())


@pytest.mark.parametrize("name", FILES)
def test_a_static_file_arrives_as_it_is(client, name):
    plain = client.get(f"/static/{name}")
    small = client.get(f"/static/{name}", headers={"Accept-Encoding": "br, gzip"})
    assert plain.content_encoding is None
    assert small.content_encoding == "gzip"
    assert gzip.decompress(small.data) == plain.data == (ROOT / "static" / name).read_bytes()
    assert small.content_length == len(small.data) < plain.content_length
    assert small.content_type == plain.content_type
    assert "accept-encoding" in plain.vary
    assert "accept-encoding" in small.vary


@pytest.mark.parametrize("encodings", ["", "identity", "br", "gzip;q=0"])
def test_only_who_reads_gzip_gets_it(client, encodings):
    assert client.get("/static/style.css", headers={"Accept-Encoding": encodings}).content_encoding is None


def test_a_wish_that_takes_long_to_read_is_not_read(client):
    encodings = "a," * 600 + "gzip"
    assert client.get("/static/style.css", headers={"Accept-Encoding": encodings}).content_encoding is None


def test_a_file_that_the_browser_has_is_not_sent_again(client):
    headers = {"Accept-Encoding": "gzip"}
    first = client.get("/static/style.css", headers=headers)
    again = client.get("/static/style.css", headers=headers | {"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("path", ["/", "/help", "/api/models", "/static/none.css"])
def test_all_else_goes_out_as_it_is(client, path):
    assert client.get(path, headers={"Accept-Encoding": "gzip"}).content_encoding is None
