"""HEAD changes nothing: on every route it leaves database, files and cookies as they were."""

import io
import re
import sqlite3
from contextlib import closing

import pytest

from tests.web.test_classifiers import ROOT

HOLES = {"<name>": "digits-cnn", "<task>": "digits", "<file>": "mistakes.png", "<step>": "found"}


@pytest.fixture
def holes(owner, png, ink_model):
    """What stands for the variable parts of a route, by its beginning; all of it exists."""
    data = {"model": ink_model, "image": (io.BytesIO(png), "a.png")}
    result = owner.post("/predict", data=data).location.rpartition("/")[2]
    several = {"model": ink_model, "image": [(io.BytesIO(png), name) for name in ("a.png", "b.png")]}
    batch = owner.post("/predict", data=several).location.rpartition("/")[2]
    classifier = owner.post(ROOT, json={"title": "Ours", "kind": "ink"}).json["id"]
    data = {"label": "one", "image": [(io.BytesIO(png), "a.png")]}
    example = owner.post(f"{ROOT}/{classifier}/examples", data=data).json["results"][0]["id"]
    return {
        "/results": {"<id>": result},
        "/ask": {"<id>": result},
        "/batches": {"<id>": batch},
        "/teach": {"<id>": classifier, "<example>": example},
        ROOT: {"<id>": classifier, "<example>": example},
    }


@pytest.fixture
def state(settings, owner):
    """What is stored: the database's rows, the files with their contents, and the browser's cookies."""

    def state():
        with closing(sqlite3.connect(settings.pictures / "inkling.sqlite3")) as connection:
            rows = list(connection.iterdump())
        paths = [path for path in settings.pictures.rglob("*") if path.is_file() and "sqlite3" not in path.name]
        return rows, {path: path.read_bytes() for path in paths}, owner.get_cookie("inkling-history")

    return state


def address(rule, holes):
    parts = HOLES | next((parts for begin, parts in holes.items() if rule.startswith(begin)), {})
    for hole, value in parts.items():
        rule = rule.replace(hole, value)
    return re.sub(r"<int[^>]*>", "1", rule)


def test_head_changes_nothing_on_any_route(app, owner, holes, state):
    rules = sorted({rule.rule for rule in app.url_map.iter_rules() if "GET" in rule.methods})
    addresses = [address(rule, holes) for rule in rules if not rule.startswith("/static")]
    before, found = state(), {}
    for path in addresses:
        answer = owner.head(path)
        found[path] = answer.status_code
        assert "Set-Cookie" not in answer.headers, path
        assert state() == before, path
    assert not [path for path, status in found.items() if status >= 500]
    assert [path for path in found if "<" in path] == []
    missing = {path for path, status in found.items() if status >= 400}
    assert len(missing) < len(found) / 4, missing


def test_get_keeps_an_explanation_and_head_does_not(owner, holes, state):
    path, before = f"/results/{holes['/results']['<id>']}/heatmap.png", state()
    assert owner.head(path).status_code == 200
    assert state() == before
    assert owner.get(path).status_code == 200
    assert state() != before
