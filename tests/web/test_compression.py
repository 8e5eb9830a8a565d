"""Static files are sent compressed. Other responses are not."""

import gzip

import pytest

from inkling.config import ROOT

FILES = sorted(path for path in (ROOT / "static").rglob("*.*"))
PICTURES = {".png", ".webp"}


def test_every_text_file_is_compressed_without_loss(client):
    for name in (path.name for path in FILES if path.suffix not in PICTURES):
        plain = client.get(f"/static/{name}")
        small = client.get(f"/static/{name}", headers={"Accept-Encoding": "br, gzip"})
        assert plain.content_encoding is None
        assert small.content_encoding == "gzip"
        assert gzip.decompress(small.data) == plain.data == (ROOT / "static" / name).read_bytes()
        assert small.content_length == len(small.data) < plain.content_length
        assert small.content_type == plain.content_type
        assert "accept-encoding" in plain.vary
        assert "accept-encoding" in small.vary


def test_a_picture_is_sent_as_it_is(client):
    for path in (path for path in FILES if path.suffix in PICTURES):
        answer = client.get(f"/{path.relative_to(ROOT)}", headers={"Accept-Encoding": "gzip"})
        assert (answer.content_encoding, answer.data) == (None, path.read_bytes())


@pytest.mark.parametrize("encodings", ["", "identity", "br", "gzip;q=0"])
def test_only_a_browser_that_accepts_gzip_gets_it(client, encodings):
    assert client.get("/static/style.css", headers={"Accept-Encoding": encodings}).content_encoding is None


def test_an_over_long_accept_encoding_is_ignored(client):
    encodings = "a," * 600 + "gzip"
    assert client.get("/static/style.css", headers={"Accept-Encoding": encodings}).content_encoding is None


def test_a_file_in_the_browsers_cache_is_not_sent_again(client):
    headers = {"Accept-Encoding": "gzip"}
    first = client.get("/static/style.css", headers=headers)
    again = client.get("/static/style.css", headers=headers | {"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("path", ["/", "/help", "/api/models", "/static/none.css"])
def test_everything_else_goes_out_uncompressed(client, path):
    assert client.get(path, headers={"Accept-Encoding": "gzip"}).content_encoding is None
