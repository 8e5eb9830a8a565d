"""Saved pictures are sent in parts and in ranges, from a folder and from a bucket, and never twice to a browser."""

import pytest

from inkling.storage.s3 import Bucket
from inkling.web import responses

pytestmark = pytest.mark.stores("folder", "s3")


@pytest.fixture
def picture(client, data_url, png, ink_model):
    """The address of a saved picture."""
    return client.post("/predict", data={"drawing": data_url(png), "model": ink_model}).location + "/picture"


@pytest.fixture
def whole(client, picture, monkeypatch):
    monkeypatch.setattr(responses, "PART_BYTES", 100)
    answer = client.get(picture)
    assert (answer.status_code, answer.mimetype, answer.headers["Accept-Ranges"]) == (200, "image/png", "bytes")
    assert answer.headers["Cache-Control"] == "private, no-cache"
    assert answer.content_length == len(answer.data) > 1000
    return answer


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("bytes=0-0", 0, 0), ("bytes=150-849", 150, 849), ("bytes=900-", 900, -1), ("bytes=-9", -9, -1)],
)
def test_a_range_is_a_part_of_the_whole(client, picture, whole, asked, first, last):
    answer = client.get(picture, headers={"Range": asked})
    size = len(whole.data)
    part = whole.data[first % size : last % size + 1]
    assert (answer.status_code, answer.data, answer.content_length) == (206, part, len(part))
    assert answer.headers["Content-Range"] == f"bytes {first % size}-{last % size}/{size}"


def test_a_range_behind_the_end_is_refused(client, picture, whole):
    assert client.get(picture, headers={"Range": "bytes=99999999-"}).status_code == 416


def test_a_range_of_another_file_is_the_whole_file(client, picture, whole):
    answer = client.get(picture, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (answer.status_code, answer.data) == (200, whole.data)
    same = client.get(picture, headers={"Range": "bytes=0-9", "If-Range": whole.headers["ETag"]})
    assert (same.status_code, same.data) == (206, whole.data[:10])


def test_a_picture_that_the_browser_has_is_not_read_again(client, picture, whole, monkeypatch):
    monkeypatch.setattr(Bucket, "body", None)
    answer = client.get(picture, headers={"If-None-Match": whole.headers["ETag"]})
    assert (answer.status_code, answer.data) == (304, b"")
    head = client.head(picture)
    assert (head.status_code, head.content_length, head.headers["ETag"]) == (
        200,
        len(whole.data),
        whole.headers["ETag"],
    )


def test_a_deleted_picture_is_not_found(app, client, picture, whole):
    app.extensions["inkling"].storage.delete(picture.split("/")[-2])
    assert client.get(picture).status_code == 404
