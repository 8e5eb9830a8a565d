"""The audit log: a line for each change and deletion, with who and which ids, and nothing about the pictures."""

import io
import json
import os
import re

import pytest

from app import app as real_app
from inkling.web.edge.auditing import COMPUTE
from tests.support.command import Runner

VISITOR = "203.0.113.7"
RESULT = re.compile(r"[\w-]{22}")


@pytest.fixture
def log(tmp_path):
    return tmp_path / "audit.log"


@pytest.fixture
def audited(make_app, settings, log):
    return make_app(settings.replace(audit_log=log))


@pytest.fixture
def lines(log):
    """Returns a function that reads the lines that were added since the last call."""
    seen = 0

    def lines():
        nonlocal seen
        found = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        new, seen = found[seen:], len(found)
        return new

    return lines


@pytest.fixture
def visitor(audited):
    client = audited.test_client()
    client.environ_base["REMOTE_ADDR"] = VISITOR
    return client


@pytest.fixture
def send(visitor, png, ink_model):
    """Returns a function that sends pictures and returns the path of their page."""
    return lambda count=1: (
        visitor.post(
            "/predict",
            data={"model": ink_model, "image": [(io.BytesIO(png), "private-name.png") for _ in range(count)]},
        ).location
    )


def only(lines):
    (line,) = lines()
    return line


def test_what_a_visitor_changes_has_its_ids_and_their_address(visitor, send, lines, log):
    page = send()
    saved = only(lines)
    id = page.rpartition("/")[2]
    assert saved.pop("time") > "2000-01-01T00:00:00"
    assert re.fullmatch("[0-9a-f]{32}", saved.pop("request_id"))
    assert saved == {"action": "recognize.predict", "who": "visitor", "client": VISITOR, "results": [id]}
    for path, data, action in (
        ("correction", {"label": "7"}, "results.correct"),
        ("correction/undo", {}, "results.undo_correction"),
        ("delete", {}, "results.delete"),
        ("delete/undo", {}, "results.undo_deletion"),
    ):
        assert visitor.post(f"{page}/{path}", data=data).status_code == 303
        line = only(lines)
        assert (line["action"], line["id"], line["client"]) == (action, id, VISITOR)
    batch = send(2)
    pictures = only(lines)["results"]
    assert len(pictures) == 2
    visitor.post(f"{batch}/delete")
    line = only(lines)
    assert (line["action"], line["id"], line["results"]) == ("batches.delete", batch.rpartition("/")[2], pictures)
    visitor.post("/history/delete")
    assert only(lines)["results"] == [id]
    assert "private" not in log.read_text()


def test_what_changes_nothing_or_is_refused_has_no_line(visitor, send, lines, png, ink_model):
    page = send()
    lines()
    other = visitor.application.test_client()
    assert other.post(f"{page}/delete").status_code == 403
    assert (
        visitor.post(f"/api/predict?model={ink_model}", data={"image": (io.BytesIO(png), "a.png")}).status_code == 200
    )
    assert visitor.post("/predict", data={"image": (io.BytesIO(b""), "a.png")}).status_code == 303
    assert visitor.post("/lab", data={"do": "classify", "step": "no-such-step"}).status_code < 500
    assert visitor.post("/language", data={"language": "ru"}).status_code == 303
    for path in ("/", page, "/history", "/healthz"):
        assert visitor.get(path).status_code == 200
    assert lines() == []


def test_teaching_is_noted_by_its_owner(audited, lines, log, png):
    runner = Runner(audited.extensions["inkling"])
    token = runner.invoke(["tokens", "add", "--scope", "teach", "--name", "ann"]).output.strip()
    assert only(lines)["action"] == "tokens add"
    client = audited.test_client()
    bearer = {"Authorization": f"Bearer {token}"}
    id = client.post("/api/classifiers", json={"title": "Private", "kind": "ink"}, headers=bearer).json["id"]
    line = only(lines)
    assert (line["action"], line["who"], line["id"]) == ("classifiers.create", "ann", id)
    label = client.post(f"/api/classifiers/{id}/labels", json={"name": "private"}, headers=bearer).json["id"]
    lines()
    files = {"image": (io.BytesIO(png), "private.png"), "label": "private"}
    added = client.post(f"/api/classifiers/{id}/examples", data=files, headers=bearer).json["results"]
    examples = [one["id"] for one in added]
    assert only(lines)["examples"] == examples
    client.post(f"/api/classifiers/{id}/examples/delete", json={"examples": examples}, headers=bearer)
    line = only(lines)
    assert (line["action"], line["examples"]) == ("classifiers.remove", examples)
    client.delete(f"/api/classifiers/{id}/labels/{label}", headers=bearer)
    line = only(lines)
    assert (line["action"], line["label"]) == ("classifiers.delete_label", label)
    client.delete(f"/api/classifiers/{id}", headers=bearer)
    line = only(lines)
    assert (line["action"], line["id"]) == ("classifiers.delete", id)
    assert client.post("/sign-in", data={"token": token}).status_code == 303
    line = only(lines)
    assert (line["action"], line["owner"]) == ("sign_in.sign_in", "ann")
    text = log.read_text()
    assert "rivate" not in text
    assert token not in text


def test_commands_are_noted(audited, send, lines):
    runner = Runner(audited.extensions["inkling"])
    id = send().rpartition("/")[2]
    lines()
    runner.invoke(["results", "delete", "-none", id])
    line = only(lines)
    assert (line["action"], line["who"], line["results"]) == ("results delete", "command line", [id])
    for command in ("block", "unblock"):
        runner.invoke(["results", command, "2001:db8::1"])
        line = only(lines)
        assert (line["action"], line["client"]) == (f"results {command}", "2001:db8::/64")


def test_only_the_owner_of_the_server_can_read_it(send, log):
    send()
    assert os.stat(log).st_mode & 0o777 == 0o600


def test_a_log_that_cannot_be_written_stops_nobody(visitor, send, log, caplog):
    log.mkdir()
    assert RESULT.search(send())
    assert "cannot be written" in caplog.text


def test_without_the_setting_there_is_none(client, runner, png, ink_model, tmp_path):
    before = {path.name for path in tmp_path.iterdir()}
    client.post("/predict", data={"model": ink_model, "image": (io.BytesIO(png), "a.png")})
    assert {path.name for path in tmp_path.iterdir()} <= before | {"pictures"}


def test_endpoints_that_change_nothing_are_endpoints():
    """A renamed view would otherwise be noted although it keeps nothing."""
    posts = {rule.endpoint for rule in real_app.url_map.iter_rules() if {"POST", "PATCH", "DELETE"} & rule.methods}
    assert posts >= COMPUTE


def test_what_is_open_because_it_saves_nothing_is_not_noted():
    views = real_app.view_functions
    saves_nothing = {name for name, view in views.items() if "nothing is saved" in getattr(view, "open_to", "")}
    assert len(saves_nothing) > 5
    assert saves_nothing <= COMPUTE
