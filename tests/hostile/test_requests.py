"""Requests that no browser and no sane program sends: bad file names, bad bodies, bad JSON."""

import base64
import json
import re
from contextlib import ExitStack

import pytest

from inkling.problems import REASONS, Problem
from inkling.web.edge import bodies
from inkling.web.edge.admission import BODIES as BODY_PLACES
from inkling.web.edge.admission import LARGE_BODIES
from tests.hostile.files import good

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=edge"


def part(data, head):
    return b"--edge\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + data + b"\r\n"


def image(data=None, name=b"a.png"):
    return part(good("png") if data is None else data, b'name="image"; filename="' + name + b'"')


END = b"--edge--\r\n"
PICTURE = base64.b64encode(good("png")).decode()

NAMES = {
    "above": (b"../../../etc/passwd.png", 200),
    "absolute": (b"/etc/cron.d/a.png", 200),
    "Windows": (b"C:\\fakepath\\..\\a.png", 200),
    "encoded": (b"%2e%2e%2fa.png", 200),
    "NUL": (b"a.php\0.png", 200),
    "escapes": (b"\x1b[2J\x07a.png", 200),
    "right to left": ("a\u202egnp.png".encode(), 200),
    "no UTF-8": (b"\xff\xfe.png", 200),
    "shell": (b"$(id)`id`|id;.png", 200),
    "4 KB": (b"x" * 4096 + b".png", 200),
    "4 KB of folders": (b"../" * 1365 + b"a.png", 200),
    "device": (b"CON.png", 200),
    "only an extension": (b".png", 200),
    "script": (b"<script>alert(1)</script>.png", 200),
    "line": (b"a.png\nSet-Cookie: a=b", 400),
    "ends in NUL": (b"a.png\0", 415),
    "ends in a dot": (b"a.png.", 200),
    "a stream": (b"a.png::$DATA", 415),
}


WHERE = {200: "/results/", 400: "/help?reason=", 415: "/help?reason=extension"}


@pytest.mark.parametrize("title", NAMES)
def test_a_name_is_never_a_path(client, photo_model, left, title):
    name, status = NAMES[title]
    body = image(name=name) + part(photo_model.encode(), b'name="model"') + END
    assert client.post(f"/api/predict?model={photo_model}", data=body, content_type=MULTIPART).status_code == status
    assert left() == []
    where = client.post("/predict", data=body, content_type=MULTIPART).location
    assert where.startswith(WHERE[status])
    assert len(left()) == (3 if status == 200 else 0)  # picture, model input, row
    client.post("/history/delete")
    assert left() == []


# title -> body, content type, status and reason of the API's answer
BODIES = {
    "no boundary": (image() + END, "multipart/form-data", 400, "missing"),
    "an empty boundary": (image() + END, "multipart/form-data; boundary=", 400, "missing"),
    "a boundary of 10 KB": (image() + END, MULTIPART + "e" * 10_000, 400, "missing"),
    "a boundary of 8 KB that is nearly there": (
        b"-" * 2**21,
        f"multipart/form-data; boundary={'-' * 8000}x",
        400,
        "missing",
    ),
    "parts without a name": (part(b"x", b"") * 3 + END, MULTIPART, 400, "missing"),
    "another boundary": (image() + END, "multipart/form-data; boundary=other", 400, "missing"),
    "nothing": (b"", MULTIPART, 400, "missing"),
    "cut in the head": (image()[:30], MULTIPART, 400, "missing"),
    "cut in the file": (image()[:-9], MULTIPART, 400, "missing"),
    "no end": (image(), MULTIPART, 400, "missing"),
    "a text in the file's place": (part(b"a.png", b'name="image"') + END, MULTIPART, 400, "missing"),
    "a file without a name": (image(name=b"") + END, MULTIPART, 400, "missing"),
    "a field of another name": (part(b"x", b'name="picture"; filename="a.png"') + END, MULTIPART, 400, "missing"),
    "a head of 100 KB": (
        part(b"x", b'name="image"; filename="a.png"\r\nX: ' + b"x" * 10**5) + END,
        MULTIPART,
        415,
        "not-an-image",
    ),
    "a head of 1 MB": (
        part(b"x", b'name="image"; filename="a.png"\r\nX: ' + b"x" * 2**20) + END,
        MULTIPART,
        413,
        "too-large",
    ),
    "a head of many lines": (
        part(b"x", b'name="image"; filename="a.png"' + b"\r\na: b" * 25_000) + END,
        MULTIPART,
        413,
        "too-large",
    ),
    "heads of many lines": (
        part(b"x", b'name="image"; filename="a.png"' + b"\r\na: b" * 1500) * 20 + END,
        MULTIPART,
        413,
        "too-large",
    ),
    "a head of many parameters": (
        part(b"x", b'name="image"; filename="a.png"' + b";a=b" * 40_000) + END,
        MULTIPART,
        413,
        "too-large",
    ),
    "a file of nothing but lines": (image(b"\n" * 10**6) + END, MULTIPART, 415, "not-an-image"),
    "10,000 parts": (part(b"x", b'name="a"') * 10_000 + END, MULTIPART, 413, "too-large"),
    "21 files": (image() * 21 + END, MULTIPART, 413, "too-many"),
    "a text of 30 MB": (part(bytes(30 * 2**20), b'name="drawing"') + END, MULTIPART, 413, "too-large"),
    "five texts of 1 MB": (part(bytes(2**20), b'name="a"') * 5 + END, MULTIPART, 413, "too-large"),
    "3 MB before the first part": (bytes(4 * 2**20) + image() + END, MULTIPART, 413, "too-large"),
    "100 files": (image(b"xy") * 100 + END, MULTIPART, 413, "too-many"),
    "500 files": (image(b"xy") * 500 + END, MULTIPART, 413, "too-large"),
    "a form of five million fields": (b"a&" * 5_000_000, FORM, 413, "too-large"),
    "a form of 30 MB": (b"drawing=" + b"A" * (30 * 2**20), FORM, 413, "too-large"),
    "XML": (
        b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><a>&a;</a>",
        "text/xml",
        400,
        "missing",
    ),
}


@pytest.mark.parametrize("title", BODIES)
def test_a_bad_body_gets_its_reason(client, photo_model, left, quickly, title):
    body, content_type, status, reason = BODIES[title]
    with quickly():
        answer = client.post(f"/api/predict?model={photo_model}", data=body, content_type=content_type)
    assert (answer.status_code, answer.json["reason"]) == (status, reason)
    allowed = re.search(r"may have (\d+) bytes\. Received: (\d+)", answer.json["detail"])
    assert not allowed or int(allowed[2]) > int(allowed[1])
    for path in ("/predict", "/lab", "/language"):
        assert client.post(path, data=body, content_type=content_type).status_code < 500
    assert left() == []


@pytest.mark.parametrize(
    "content_type, size, headers, refused",
    [
        ("application/json", 2 * bodies.LARGE, {}, True),
        (FORM, 2 * bodies.LARGE, {}, True),
        ("text/plain", 2 * bodies.LARGE, {}, True),
        ("application/json", 9, {"Transfer-Encoding": "chunked"}, True),
        ("application/json", bodies.LARGE, {}, False),
        (MULTIPART, 2 * bodies.LARGE, {}, False),
    ],
    ids=str,
)
def test_few_large_texts_are_read_at_once(app, content_type, size, headers, refused):
    def sent():
        return app.test_request_context(
            "/api/predict", method="POST", data=bytes(size), content_type=content_type, headers=headers
        )

    places = app.extensions["inkling"].settings.concurrent
    with ExitStack() as others:
        for _ in range(places):
            others.enter_context(app.extensions["admission"].turn(0, LARGE_BODIES))
        with sent():
            if refused:
                with pytest.raises(Problem, match="Try again"):
                    app.preprocess_request()
            else:
                app.preprocess_request()
    for _ in range(places + 1):  # each request frees its place when it ends
        with sent():
            app.preprocess_request()


@pytest.mark.parametrize("size, refused", [(2**16, False), (2**16 + 1, True)])
def test_a_body_that_is_not_small_takes_a_place(app, size, refused):
    with ExitStack() as others:
        for number in range(64):
            others.enter_context(app.extensions["admission"].turn(0, BODY_PLACES, f"client {number}"))
        with app.test_request_context("/predict", method="POST", data=bytes(size), content_type="multipart/form-data"):
            if refused:
                with pytest.raises(Problem, match="Try again"):
                    app.preprocess_request()
            else:
                app.preprocess_request()


URLS = {
    "a data URL of a text": ("data:text/plain;base64," + PICTURE, "not-an-image"),
    "a data URL of an SVG": ("data:image/svg+xml;base64," + PICTURE, "not-an-image"),
    "a data URL of bad base64": ("data:image/png;base64,!!!!", "not-an-image"),
    "a data URL that ends too soon": ("data:image/png;base64," + PICTURE[:21], "not-an-image"),
    "a data URL without base64": ("data:image/png,%89PNG", "not-an-image"),
    "a data URL of nothing": ("data:image/png;base64,", "empty"),
    "another address": ("https://example.org/a.png", "not-an-image"),
}


@pytest.mark.parametrize("title", URLS)
def test_the_page_too_takes_no_bad_data_url(client, ink_model, left, title):
    url, reason = URLS[title]
    answer = client.post("/predict", data={"drawing": url, "model": ink_model})
    assert answer.status_code == 303
    assert re.match(rf"/help\?reason={reason}(&|$)", answer.location)
    assert left() == []


def test_two_files_in_one_field(client, photo_model, left):
    """The API answers both pictures, explains only one at a time, and the page stores both as a batch."""
    body = image() + image(b"no picture", b"b.png") + part(photo_model.encode(), b'name="model"') + END
    answer = client.post(f"/api/predict?model={photo_model}", data=body, content_type=MULTIPART)
    first, second = answer.json["results"]
    assert first["label"]
    assert second["error"]["reason"] == "not-an-image"
    answer = client.post(f"/api/explain?model={photo_model}", data=body, content_type=MULTIPART)
    assert (answer.status_code, answer.json["reason"]) == (413, "too-many")
    assert left() == []
    where = client.post("/predict", data=body, content_type=MULTIPART).location
    assert where.startswith("/batches/")
    client.post(f"{where}/delete")
    assert left() == []


TEXTS = {
    "ten thousand deep": (b'{"image": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, "bad-request"),
    "seven million lists": (b'{"image": [' + b"[]," * 7_000_000 + b"[]]}", 413, "too-large"),
    "a million names": (b"{" + b",".join(b'"%d":1' % i for i in range(10**6)) + b"}", 413, "too-large"),
    "a million points": (b'{"strokes": [[[' + b"1," * 10**6 + b"1], [1]]]}", 413, "too-large"),
    "ten thousand strokes of nothing": (b'{"strokes": [' + b"[]," * 10_000 + b"[]]}", 422, "strokes"),
    "strokes ten thousand deep": (b'{"strokes": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, "bad-request"),
    "strokes five hundred deep": (b'{"strokes": ' + b"[" * 500 + b"]" * 500 + b"}", 422, "strokes"),
    "strokes beyond all numbers": (b'{"strokes": [[[1e308, -1e999, NaN], [0, 0, 0]]]}', 422, "strokes"),
    "a picture and strokes": (b'{"image": "", "strokes": [[[1], [1]]]}', 422, "strokes"),
    "a number of a million digits": (b'{"image": ' + b"9" * 10**6 + b"}", 400, "bad-request"),
    "a number beyond all": (b'{"image": 1e999999}', 400, "missing"),
    "half a letter": (b'{"image": "\\ud800"}', 415, "not-an-image"),
    "a wide letter and many others": (b'{"image": "\\ud83d\\ude00' + b"A" * 2**21 + b'"}', 400, "bad-request"),
    "a wide letter in UTF-8, and others": (('{"image": "\u0100' + "A" * 2**21 + '"}').encode(), 400, "bad-request"),
    "an escaped plus and many letters": (b'{"image": "\\u002B' + b"A" * 2**21 + b'"}', 415, "not-an-image"),
    "UTF-16": (json.dumps({"image": PICTURE}).encode("utf-16"), 200, None),
    "a name twice": (b'{"image": "' + PICTURE.encode() + b'", "image": 7}', 400, "missing"),
    "spaces": (b" " * 10**6, 400, "bad-request"),
    **{
        title: (json.dumps({"image": text}).encode(), REASONS[reason].status, reason)
        for title, (text, reason) in URLS.items()
    },
}


@pytest.mark.parametrize("title", TEXTS)
def test_bad_json_is_told_so(client, photo_model, left, quickly, title):
    body, status, reason = TEXTS[title]
    with quickly():
        answer = client.post(f"/api/predict?model={photo_model}", data=body, content_type="application/json")
    assert (answer.status_code, answer.json.get("reason")) == (status, reason)
    assert left() == []
