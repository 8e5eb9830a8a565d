"""A taught classifier in the app: who is served by it, and who teaches it by a correction."""

import csv
import io
import re

import pytest

from inkling.storage import taught
from inkling.storage.taught import NewExample, Quota
from inkling.web.views import teach
from tests.support.taught import RED, app_with_colors, colored, train


@pytest.fixture
def app(settings, tmp_path):
    """The app with a tiny backbone, and the published classifier "colors" of the owner at the machine itself."""
    return app_with_colors(settings, tmp_path / "models")


@pytest.fixture
def teaching(app):
    return app.extensions["teaching"]


@pytest.fixture
def visitor(app):
    """A client that is not at the machine itself."""
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = "192.0.2.1"
    return client


def a_red_one():
    file = io.BytesIO()
    colored(RED, None, 1, 9)[0][0].image.save(file, "PNG")
    return io.BytesIO(file.getvalue()), "red.png"


def sent(client):
    return client.post("/predict", data={"model": "colors", "image": a_red_one()}).location


def asked(client):
    answer = client.post("/api/predict?model=colors", data={"image": a_red_one()})
    return answer.json.get("label") or answer.json["reason"]


def models(client):
    return {model["name"] for model in client.get("/api/models").json["models"]}


def test_others_do_not_see_an_unlisted_classifier(app, owner, visitor, teaching):
    assert (asked(owner), asked(visitor)) == ("red", "unknown-model")
    assert (models(owner), models(visitor)) == ({"things", "colors"}, {"things"})
    assert (owner.get("/models/colors").status_code, visitor.get("/models/colors").status_code) == (200, 404)
    for path in ("/", "/models", "/lab", "/readyz"):
        assert "olors" in owner.get(path).text
        assert "olors" not in visitor.get(path).text
    teaching.update(teaching.all()[0].id, listed=True)
    teaching.service.predictor.reload()
    assert asked(visitor) == "red"
    assert re.search(r'<optgroup label="Taught here">\s*<option [^>]*>Colors<', visitor.get("/").text)
    assert "Taught here" in visitor.get("/models").text


def test_auto_says_that_a_taught_classifier_answered(owner, visitor, teaching):
    teaching.update(teaching.all()[0].id, auto=True)
    teaching.service.predictor.reload()
    answer = owner.post("/api/predict", data={"image": a_red_one()}).json
    assert (answer["label"], answer["route"], answer["asked"]) == ("red", "taught", ["things", "colors"])
    where = owner.post("/predict", data={"image": a_red_one()}).location
    assert "Colors" in owner.get(where).text
    assert visitor.get(where).status_code == 200
    assert visitor.post("/api/predict", data={"image": a_red_one()}).json["route"] == "photo"


def test_a_correction_teaches_the_classifier_if_the_request_may(owner, visitor, teaching):
    id = teaching.all()[0].id
    teaching.update(id, listed=True)
    teaching.service.predictor.reload()
    before = teaching.get(id)
    assert visitor.post(f"{sent(visitor)}/correction", data={"label": "blue"}).status_code == 303
    assert teaching.get(id) == before
    where = sent(owner)
    assert owner.post(f"{where}/correction", data={"label": "blue"}).status_code == 303
    assert [label.count for label in teaching.get(id).labels] == [12, 13]
    assert teaching.examples(id)[-1].source == "correction"
    assert teaching.progress(id).stage == "waiting"
    owner.post(f"{where}/correction", data={"label": "red"})
    assert [label.count for label in teaching.get(id).labels] == [13, 12]


@pytest.mark.parametrize("path, sent_back", [("correction/undo", {}), ("correction", {"data": {"label": ""}})])
def test_a_correction_that_is_taken_back_teaches_nothing(owner, teaching, path, sent_back):
    id = teaching.all()[0].id
    before = teaching.get(id)
    where = sent(owner)
    owner.post(f"{where}/correction", data={"label": "blue"})
    owner.post(f"{where}/{path}", **sent_back)
    assert teaching.get(id).labels == before.labels
    assert {example.source for example in teaching.examples(id)} == {"file"}
    owner.post(f"{where}/correction", data={"label": "red"})
    assert [label.count for label in teaching.get(id).labels] == [13, 12]


def test_an_example_that_a_correction_moved_goes_back_to_its_own_label(owner, teaching):
    id = teaching.all()[0].id
    red, blue = teaching.get(id).labels
    where = sent(owner)
    owner.post(f"{where}/correction", data={"label": "blue"})
    (corrected,) = (example for example in teaching.examples(id) if example.source == "correction")
    picture = teaching.picture(id, corrected.id)
    owner.post(f"{where}/correction/undo")
    new = NewExample(picture, "photo", "own.jpg", "red", "file")
    (own,) = teaching.storage.add(id, [new], Quota(0, 0, 0))

    def label():
        return teaching.storage.example(id, own.id)[0].label

    for said in ("blue", "red", "blue"):
        owner.post(f"{where}/correction", data={"label": said})
        assert label() == {"red": red.id, "blue": blue.id}[said]
    owner.post(f"{where}/correction/undo")
    assert label() == red.id
    owner.post(f"{where}/correction/undo")
    assert label() == red.id


def test_an_old_version_that_was_never_live_is_listed_with_its_figures_alone(owner, teaching, monkeypatch):
    monkeypatch.setattr(taught, "KEPT", 1)
    monkeypatch.setattr(teach, "KEPT", 1)
    id = teaching.all()[0].id
    teaching.unpublish(id)
    for _ in range(2):
        teaching.train(id)
        train(teaching)
    page = owner.get(f"/teach/{id}").text
    _, versions = page.split('id="versions"')
    assert re.findall(r"Version (\d): 100%", versions) == ["3", "2", "1"]
    assert re.findall(r'name="version" value="(\d)"', versions) == ["3", "1"]
    assert "Older versions" in versions
    refused = owner.post(f"/api/classifiers/{id}/publish", json={"version": 2})
    assert (refused.status_code, refused.json["reason"]) == (404, "unknown-version")


@pytest.fixture
def listed(visitor, teaching):
    """A visitor, to whom the classifier is listed."""
    teaching.update(teaching.all()[0].id, listed=True)
    teaching.service.predictor.reload()
    return visitor


def test_a_listed_classifier_answers_a_batch_of_others(listed):
    pictures = [a_red_one(), (io.BytesIO(b"no picture"), "notes.jpg"), a_red_one()]
    where = listed.post("/predict", data={"model": "colors", "image": pictures}).location
    rows = csv.DictReader(io.StringIO(listed.get(f"{where}.csv").text))
    shown = [(row["label"], row["model"], row["error"]) for row in rows]
    assert shown == [("red", "colors", ""), ("", "", "not-an-image"), ("red", "colors", "")]
    results = listed.post("/api/predict?model=colors", data={"image": [a_red_one(), a_red_one()]}).json["results"]
    assert [result["label"] for result in results] == ["red", "red"]


def test_a_listed_classifier_is_explained_to_others(listed):
    answer = listed.post("/api/explain?model=colors&overlay=1", data={"image": a_red_one()})
    assert (answer.status_code, answer.json["model"], answer.json["label"]) == (200, "colors", "red")
