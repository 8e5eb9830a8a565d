"""Without a model, every door answers as Auto does, and says which models were asked."""

import csv
import io
import json
import re
from types import SimpleNamespace

import pytest

from tests.support.command import Runner

ASKED = ["digits-cnn", "doodles-cnn"]


def through_form(client, app, png, tmp_path):
    """Sends the drawing as a file; returns the saved result."""
    where = client.post("/predict", data={"image": (io.BytesIO(png), "a.png")}).location
    return app.extensions["inkling"].storage.get(where.rpartition("/")[2])


def through_canvas(client, app, png, tmp_path, data_url):
    """Sends the drawing as the canvas does; returns the saved result."""
    where = client.post("/predict", data={"model": "", "drawing": data_url(png)}).location
    return app.extensions["inkling"].storage.get(where.rpartition("/")[2])


def through_batch(client, app, png, tmp_path):
    """Sends the drawing twice; returns the first saved result."""
    where = client.post("/predict", data={"image": [(io.BytesIO(png), "a.png") for _ in range(2)]}).location
    storage = app.extensions["inkling"].storage
    batch = storage.batch(where.rpartition("/")[2])
    assert batch.model is None
    return storage.get(batch.results[0])


def through_api(client, app, png, tmp_path):
    """Sends the drawing to the API; returns its answer."""
    return SimpleNamespace(**client.post("/api/predict", data={"image": (io.BytesIO(png), "a.png")}).json)


def through_json(client, app, png, tmp_path, data_url):
    """Sends the drawing as JSON to the API; returns its answer."""
    return SimpleNamespace(**client.post("/api/predict", json={"image": data_url(png)}).json)


def through_command(client, app, png, tmp_path):
    """Classifies the drawing's file; returns the line of JSON."""
    (tmp_path / "a.png").write_bytes(png)
    done = Runner(app.extensions["inkling"]).invoke(args=["classify", str(tmp_path / "a.png"), "--json"])
    return SimpleNamespace(**json.loads(done.stdout))


DOORS = (through_form, through_batch, through_api, through_command)
WITH_URL = (through_canvas, through_json)


@pytest.fixture(params=[*DOORS, *WITH_URL], ids=lambda door: door.__name__.removeprefix("through_"))
def answer(request, client, app, png, tmp_path, data_url):
    """The answer to a drawing of a 1, through each door."""
    url = [data_url] if request.param in WITH_URL else []
    return request.param(client, app, png, tmp_path, *url)


def test_every_door_is_answered_by_auto(answer):
    assert (answer.route, list(answer.asked), answer.model, answer.label) == ("digit", ASKED, "digits-cnn", "1")
    assert (answer.familiar, answer.group, answer.sure) == (True, None, True)


def test_a_chosen_model_has_no_route(client, png, ink_model):
    answer = client.post(f"/api/predict?model={ink_model}", data={"image": (io.BytesIO(png), "a.png")}).json
    assert (answer["familiar"], answer["group"]) == (True, None)
    assert not {"route", "asked"} & answer.keys()


def test_a_photo_is_answered_by_a_model_for_photos(client, jpeg):
    answer = client.post("/api/predict", data={"image": (io.BytesIO(jpeg), "a.jpg")}).json
    assert answer["route"] in ("photo", "specialist")
    assert answer["model"] in answer["asked"]


def test_the_result_says_who_answered_and_who_was_asked(client, png):
    page = client.get(client.post("/predict", data={"image": (io.BytesIO(png), "a.png")}).location).text
    said = re.search(r'<p class="hint">Auto chose.*?</p>', page, re.DOTALL)[0]
    assert re.findall(r"/models/([\w-]+)", said) == ASKED
    assert '<a class="primary" href="/">' in page, "another try is Auto again"


def test_the_batch_says_that_it_was_auto(client, png):
    where = client.post("/predict", data={"image": [(io.BytesIO(png), "a.png") for _ in range(2)]}).location
    assert "Auto" in re.search(r'<p class="hint">.*?</p>', client.get(where).text, re.DOTALL)[0]
    table = csv.DictReader(io.StringIO(client.get(f"{where}.csv").data.decode("utf-8-sig")))
    assert [(row["model"], row["route"], row["familiar"], row["group"]) for row in table] == [
        ("digits-cnn", "digit", "yes", "")
    ] * 2


def test_auto_explains_the_answer_of_the_model_that_answers(client, png):
    answer = client.post("/api/explain", data={"image": (io.BytesIO(png), "a.png")}).json
    assert (answer["model"], answer["label"]) == ("digits-cnn", "1")


def test_an_unknown_model_lists_those_that_there_are(client, png, classifier):
    answer = client.post("/api/predict?model=nope", data={"image": (io.BytesIO(png), "a.png")})
    assert answer.status_code == 404
    assert all(card.name in answer.json["detail"] for card in classifier.catalog)


def test_a_label_of_the_other_model_takes_a_corrected_drawing_to_its_task(client, app, png):
    where = client.post("/predict", data={"image": (io.BytesIO(png), "a.png")}).location
    service = app.extensions["inkling"]
    id = where.rpartition("/")[2]
    for label, task in (("7", "digits"), ("moon", "digits"), ("fish", "doodles"), ("7", "digits")):
        service.correct(service.storage.get(id), label)
        assert (service.storage.get(id).correction, service.storage.get(id).task) == (label, task)
