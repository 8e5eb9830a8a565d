"""Webhooks and sources through the API: who may set them, and which answers they are told."""

import ipaddress
from datetime import timedelta

import pytest

from inkling import access
from inkling.notify import webhooks
from inkling.storage import notices
from tests.support.receiver import receiving
from tests.support.taught import app_with_colors
from tests.web.test_api import is_problem
from tests.web.test_taught import a_red_one

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


@pytest.fixture
def app(settings, tmp_path):
    """The app with the published classifier "colors" of the owner at the machine itself."""
    return app_with_colors(settings.replace(webhook_networks=LOOPBACK), tmp_path / "models")


@pytest.fixture
def storage(app):
    return app.extensions["inkling"].storage


@pytest.fixture
def id(app):
    (classifier,) = app.extensions["teaching"].all()
    return classifier.id


@pytest.fixture
def path(id):
    return f"/api/classifiers/{id}/webhook"


@pytest.fixture
def receiver():
    with receiving() as server:
        yield server


@pytest.fixture
def told(owner, storage, path, receiver):
    """Sets the webhook; returns a function that delivers, and returns the data of all messages so far."""

    def set_webhook(events="all"):
        answer = owner.put(path, json={"url": f"http://127.0.0.1:{receiver.server_port}/", "events": events})
        assert answer.status_code == 200

        def told():
            webhooks.deliver(storage.notices, LOOPBACK)
            return [message["data"] for message in receiver.messages]

        return told

    return set_webhook


def ask(client, query="", **options):
    return client.post(f"/api/predict?model=colors{query}", data={"image": a_red_one()}, **options)


def test_an_owner_sets_reads_and_deletes_a_webhook(owner, path):
    assert owner.get(path).json is None
    set = owner.put(path, json={"url": "http://127.0.0.1:9/", "events": "sure"}).json
    assert set["secret"].startswith("whsec_")
    again = owner.put(path, json={"url": "http://127.0.0.1:9/"}).json
    assert again["secret"] != set["secret"]
    assert owner.get(path).json == {"url": "http://127.0.0.1:9/", "events": "all", "failure": "", "waiting": 0}
    assert owner.delete(path).status_code == 204
    assert owner.get(path).json is None


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://[::1]/", "ftp://example.org/", "no address"])
def test_an_address_that_is_not_allowed_is_refused(owner, path, url):
    assert is_problem(owner.put(path, json={"url": url}), 422, "webhook-address")
    assert owner.get(path).json is None


def test_answers_through_the_api_the_protocols_and_the_pages_are_told(owner, told, id):
    told = told()
    ask(owner)
    owner.post("/hf/colors", data=a_red_one()[0].getvalue(), content_type="image/png")
    owner.post("/predict", data={"model": "colors", "image": a_red_one()})
    owner.post(f"/api/classifiers/{id}/try", data={"image": a_red_one()})  # is only a try
    owner.post("/api/predict?model=things", data={"image": a_red_one()})  # is another model
    found = told()
    assert [(data["label"], data["model"], data["classifier"]) for data in found] == [("red", "colors", id)] * 3
    assert all(data["predictions"][0]["label"] == "red" for data in found)


def test_a_changed_state_is_told_once(owner, told):
    told = told("changed")
    for _ in range(5):
        assert ask(owner, "&source=door").status_code == 200
    assert [data["source"] for data in told()] == ["door"]


def test_a_request_does_not_wait_for_the_receiver(owner, storage, path):
    """Nobody listens at this address: the answer comes all the same, and the message waits."""
    owner.put(path, json={"url": "http://127.0.0.1:9/"})
    assert ask(owner).status_code == 200
    assert owner.get(path).json["waiting"] == 1


# ---- Sources ----


def bearer(storage, scope):
    return {"Authorization": f"Bearer {access.new_token(storage.tokens, scope, 'local', timedelta(days=1))}"}


def test_naming_a_source_takes_a_token(app, storage):
    visitor = app.test_client()
    away = {"base_url": "https://inkling.example"}
    assert is_problem(ask(visitor, "&source=door", headers={}, **away), 404, "unknown-model")  # it is not listed
    things = {"data": {"image": a_red_one()}, **away}
    assert is_problem(visitor.post("/api/predict?model=things&source=door", **things), 401, "unauthorized")
    headers = bearer(storage, "read")
    assert ask(visitor, "&source=door", headers=headers, **away).status_code == 200
    assert visitor.get("/api/sources", headers=headers, **away).status_code == 403
    admin = visitor.get("/api/sources", headers=bearer(storage, "admin"), **away)
    assert [(one["model"], one["name"], one["state"]) for one in admin.json["sources"]] == [
        ("colors", "door", notices.UNKNOWN)
    ]


@pytest.mark.parametrize("source", ["", "Door", "a/b", "-a", "a" * 33, "#"])
def test_another_name_of_a_source_is_refused(owner, source):
    answer = owner.post("/api/predict", query_string={"model": "colors", "source": source}, data={"image": a_red_one()})
    assert is_problem(answer, 400, "bad-request")


def test_a_source_needs_a_model(owner):
    assert is_problem(owner.post("/api/predict?source=door", data={"image": a_red_one()}), 400, "bad-request")


def test_sources_are_limited_and_can_be_deleted(owner, monkeypatch):
    monkeypatch.setattr(notices, "MOST_SOURCES", 1)
    assert ask(owner, "&source=door").status_code == 200
    assert is_problem(ask(owner, "&source=window"), 409, "too-many-sources")
    assert owner.delete("/api/sources/colors/door").status_code == 204
    assert is_problem(owner.delete("/api/sources/colors/door"), 404, "not-found")
    assert ask(owner, "&source=window").status_code == 200


def test_a_failure_of_storage_leaves_the_answer(owner, app, monkeypatch):
    from inkling.storage import StoreError

    def fails(*_):
        raise StoreError("the disk is full")

    monkeypatch.setattr(notices.Notices, "tell", fails)
    assert ask(owner).json["label"] == "red"
