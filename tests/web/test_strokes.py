"""Drawings as strokes: the API and the form answer the same, and what is kept answers the same again."""

import json
from html import unescape

import pytest
from jsonschema import Draft202012Validator

from inkling.recognition.strokes import MOST_BYTES, read

SEVEN = [[[120, 290, 240, 190], [90, 90, 200, 330]], [[150, 260], [210, 200]]]
PAGE = {"side": 400, "paper": "#ffffff", "pens": [{"width": 16, "ink": "#000000"}] * 2}
MODELS = ("digits-cnn", "digits-hog", "digits-logistic", "doodles-cnn")


@pytest.fixture
def ask(client):
    """Asks the API about a body."""

    def ask(body=None, path="predict", model="digits-cnn", **options):
        body = {"strokes": SEVEN} if body is None else body
        return client.post(f"/api/{path}", query_string={"model": model, "top": 100}, json=body, **options)

    return ask


@pytest.fixture
def keep(client, app):
    """Sends the form; returns the address of the result, and the result."""

    def keep(body, model="digits-cnn"):
        answer = client.post("/predict", data={"model": model, "strokes": json.dumps(body)})
        assert answer.status_code == 303
        return answer.location, app.extensions["inkling"].storage.get(answer.location.rpartition("/")[2])

    return keep


def shares(answer):
    return [(one["label"], one["probability"]) for one in answer.json["predictions"]]


@pytest.mark.parametrize("body", [{"strokes": SEVEN}, {"strokes": SEVEN, "page": PAGE}], ids=["bare", "on a page"])
@pytest.mark.parametrize("model", MODELS)
def test_the_live_answer_is_the_kept_one(ask, keep, body, model):
    live = ask(body, model=model)
    address, result = keep(body, model)
    assert result.kind == "drawing"
    assert shares(live) == [(label, probability) for label, probability in result.predictions]
    assert address == f"/results/{result.id}"


@pytest.mark.parametrize("model", MODELS[:2])
def test_a_kept_drawing_answers_from_the_same_input(ask, keep, app, client, model):
    service = app.extensions["inkling"]
    address, result = keep({"strokes": SEVEN, "page": PAGE}, "digits-logistic")
    original = service.original(result)
    explained = service.explain(original, model)
    why = ask(path="explain", model=model).json
    assert (explained.label, round(explained.confidence, 6)) == (why["label"], why["confidence"])
    others = unescape(client.get(f"{address}/others").text)
    share = shares(ask(model=model))[0][1]
    assert (">99%" if share > 0.99 else f"{share:.0%}") in others


def test_every_page_of_a_kept_drawing_works_and_nothing_is_left_of_it(keep, client, kept, ten_minutes_later):
    address, result = keep({"strokes": SEVEN, "page": PAGE})
    for path in (
        *("", "/picture", "/thumbnail", "/seen.png", "/why", "/heatmap.png", "/others", "/layers.png"),
        *("/steps/found.png", "/steps/placed.png", "/steps/drawn.png"),
    ):
        assert client.get(address + path).status_code == 200, path
    assert client.get("/lab", query_string={"result": result.id}).status_code == 200
    picture = client.get(f"{address}/picture")
    assert picture.mimetype == "image/png"
    assert read(picture.data).body.model_dump(exclude_none=True)["page"] == PAGE
    client.post(f"{address}/delete")
    ten_minutes_later()
    assert kept() == []


def test_a_drawing_that_cannot_be_saved_is_shown(make_app, settings):
    settings.pictures.parent.mkdir(exist_ok=True)
    settings.pictures.write_text("a file in the folder's place")
    answer = (
        make_app()
        .test_client()
        .post("/predict", data={"model": "digits-cnn", "strokes": json.dumps({"strokes": SEVEN})})
    )
    assert answer.status_code == 200
    assert 'src="data:image/png;base64,' in answer.text


def test_an_explanation_covers_the_square_that_the_model_saw(ask):
    left, top, right, bottom = ask({"strokes": SEVEN, "page": PAGE}, "explain").json["field"]
    assert right - left == pytest.approx(28 / 17.6 * 240 / 400, abs=1e-6)
    assert bottom - top == pytest.approx(28 / 17.6 * 240 / 400, abs=1e-6)
    assert left < 120 / 400 < 290 / 400 < right
    assert top < 90 / 400 < 330 / 400 < bottom


def test_the_document_describes_strokes(client):
    document = client.get("/api/openapi.json").json
    for path in ("predict", "explain"):
        content = document["paths"][f"/api/{path}"]["post"]["requestBody"]["content"]
        valid = Draft202012Validator({**document, **content["application/json"]["schema"]}).is_valid
        assert valid({"strokes": SEVEN})
        assert valid({"strokes": [[[1], [2], [3]]], "page": PAGE})
        assert valid({"image": "data:"})
        for wrong in ({}, {"strokes": [[[1]]]}, {"strokes": SEVEN, "more": 1}, {"strokes": [[["1"], ["2"]]]}):
            assert not valid(wrong)


BAD = {
    "another form": ('{"strokes": [[1, 2]]}', 422, "strokes"),
    "no number": ('{"strokes": [[[NaN], [1]]]}', 422, "strokes"),
    "a large number": ('{"strokes": [[[1e308], [1]]]}', 422, "strokes"),
    "no stroke": ('{"strokes": []}', 422, "blank"),
    "a million points": (json.dumps({"strokes": [[[1] * 10**6] * 2]}), 413, "too-large"),
    "65 KB": (json.dumps({"strokes": [[[1] * (MOST_BYTES // 6)] * 2]}), 413, "too-large"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("path", ["predict", "explain"])
def test_bad_strokes_are_a_problem(client, path, name):
    body, status, reason = BAD[name]
    answer = client.post(f"/api/{path}?model=digits-cnn", data=body, content_type="application/json")
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json["reason"] == reason


@pytest.mark.parametrize("name", BAD)
def test_bad_strokes_lead_to_the_help_page(client, kept, name):
    body, _, reason = BAD[name]
    answer = client.post("/predict", data={"model": "digits-cnn", "strokes": body})
    assert answer.status_code == 303
    assert answer.location.startswith(f"/help?reason={reason}")
    assert "way=draw&model=digits-cnn" in answer.location or reason == "too-large"
    assert client.get(answer.location).status_code == 200
    assert kept() == []
