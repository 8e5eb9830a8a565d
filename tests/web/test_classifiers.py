"""The API of taught classifiers: every route answers as the OpenAPI document says, and to their owner alone."""

import io
import zipfile

import pytest
from PIL import Image
from werkzeug.datastructures import MultiDict

from inkling import access
from inkling.web.classifier_paths import OPERATIONS, ROOT
from tests.web.test_api import document, is_problem  # noqa: F401  a fixture

UNKNOWN = "x" * 22


@pytest.fixture
def client(owner):
    return owner


@pytest.fixture
def holds(document):  # noqa: F811
    """Returns a function that checks a response against the document's schema for an operation."""
    from jsonschema import Draft202012Validator

    described = {one["operationId"]: one for path in document["paths"].values() for one in path.values()}

    def holds(answer, operation):
        response = described[operation]["responses"][str(answer.status_code)]
        if "content" not in response:
            return answer.data == b""
        schema = response["content"][answer.mimetype]["schema"]
        if answer.mimetype == "application/json" or answer.mimetype == "application/problem+json":
            Draft202012Validator({**document, **schema}).validate(answer.json)
        return True

    return holds


@pytest.fixture
def made(client):
    """A new classifier of photos."""
    return client.post(ROOT, json={"title": "Our birds"}).json


@pytest.fixture
def one(made):
    """The path of that classifier."""
    return f"{ROOT}/{made['id']}"


@pytest.fixture
def square(encode):
    """Returns a function that makes a PNG file of a color."""
    return lambda *color: encode(Image.new("RGB", (40, 40), color))


def files(*contents, field="image", **values):
    return MultiDict([*((field, (io.BytesIO(data), name)) for name, data in contents), *values.items()])


def packed(contents):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path, data in contents.items():
            archive.writestr(path, data)
    return file.getvalue()


# ---- Classifiers and labels ----


def test_a_classifier_is_created_changed_and_deleted(client, holds):
    created = client.post(ROOT, json={"title": "Our birds", "kind": "ink"})
    assert created.status_code == 201
    assert holds(created, "create_classifier")
    path = created.location
    assert (created.json["name"], created.json["kind"], created.json["labels"]) == ("our-birds", "ink", [])
    changed = client.patch(path, json={"title": "Birds", "listed": True})
    assert holds(changed, "update_classifier")
    shown = client.get(path)
    assert holds(shown, "classifier")
    assert (shown.json["title"], shown.json["name"], shown.json["listed"]) == ("Birds", "our-birds", True)
    listed = client.get(ROOT)
    assert holds(listed, "classifiers")
    assert [one["id"] for one in listed.json["classifiers"]] == [created.json["id"]]
    assert holds(client.delete(path), "delete_classifier")
    assert is_problem(client.get(path), 404, "unknown-classifier")


def test_labels_are_added_renamed_and_deleted(client, one, holds, square):
    added = client.post(f"{one}/labels", json={"name": "robin"})
    assert holds(added, "add_label")
    label = f"{one}/labels/{added.json['id']}"
    renamed = client.patch(label, json={"name": "wren"})
    assert holds(renamed, "rename_label")
    client.post(f"{one}/undo", json={"change": renamed.json["change"]})
    assert [each["name"] for each in client.get(one).json["labels"]] == ["robin"]
    client.patch(label, json={"name": "wren"})
    client.post(f"{one}/examples", data=files(("1.png", square(9, 9, 9)), label="wren"))
    assert [(each["name"], each["count"]) for each in client.get(one).json["labels"]] == [("wren", 1)]
    deleted = client.delete(label)
    assert holds(deleted, "delete_label")
    assert client.get(one).json["labels"] == []
    assert holds(client.post(f"{one}/undo", json={"change": deleted.json["change"]}), "undo_change")
    assert [(each["name"], each["count"]) for each in client.get(one).json["labels"]] == [("wren", 1)]
    assert is_problem(client.post(f"{one}/labels", json={"name": "wren"}), 409, "label-taken")


# ---- Examples ----


def test_pictures_arrive_one_by_one_many_at_once_and_as_drawings(client, one, holds, square, jpeg, data_url):
    many = client.post(f"{one}/examples", data=files(("1.jpg", jpeg), ("2.png", square(1, 2, 3)), label="robin"))
    single = client.post(
        f"{one}/examples", json={"image": data_url(square(9, 9, 9)), "label": "wren", "origin": "camera"}
    )
    drawn = client.post(f"{one}/examples", json={"strokes": [[[0, 90], [0, 90]]]})
    results = [*many.json["results"], *single.json["results"], *drawn.json["results"]]
    assert all(holds(answer, "add_examples") for answer in (many, single, drawn))
    robin, wren = (label["id"] for label in client.get(one).json["labels"])
    assert [(each["name"], each["label"], each["source"]) for each in results] == [
        ("1.jpg", robin, "file"),
        ("2.png", robin, "file"),
        ("", wren, "camera"),
        ("", None, "canvas"),
    ]
    for kind, operation in (("picture", "example_picture"), ("thumbnail", "example_thumbnail")):
        for example in results:
            shown = client.get(f"{one}/examples/{example['id']}/{kind}")
            assert holds(shown, operation)
            assert Image.open(io.BytesIO(shown.data)).size
            assert "private" in shown.headers["Cache-Control"]


def test_the_folders_of_a_zip_name_the_labels(client, one, holds, square):
    names = ("robin", "wren")
    archive = packed({f"birds/{name}/{i}.png": square(50 * i, 0, 30 * len(name)) for name in names for i in range(4)})
    added = client.post(f"{one}/examples", data=files(("birds.zip", archive), field="zip"))
    assert holds(added, "add_examples")
    assert {label["name"]: label["count"] for label in client.get(one).json["labels"]} == {"robin": 4, "wren": 4}


def test_one_bad_picture_among_many_costs_itself_alone_and_is_named(client, one, holds, square, jpeg):
    contents = {f"robin/{i}.png": square(6 * i, 0, 0) for i in range(39)} | {"robin/bad.jpg": jpeg[: len(jpeg) // 2]}
    contents |= {
        "../above.png": square(9, 9, 99),
        "a\u202eb/2.png": square(9, 99, 9),
        "robin/again.png": square(0, 0, 0),
    }
    added = client.post(f"{one}/examples", data=files(("birds.zip", packed(contents)), field="zip"))
    assert holds(added, "add_examples")
    refused = {each["name"]: each["error"]["reason"] for each in added.json["results"] if "error" in each}
    assert refused == {"bad.jpg": "truncated", "above.png": "path", "2.png": "bad-name", "again.png": "duplicate"}
    assert [label["count"] for label in client.get(one).json["labels"]] == [39]


def test_a_zip_may_be_larger_than_a_picture_but_not_than_the_limit(make_app, settings, owner, square):
    app = make_app(settings.replace(zip_mb=1))
    client = type(owner)(app, app.response_class)
    one = client.post(ROOT, json={"title": "Birds"}).headers["Location"]
    large = packed({f"{i}.bin": bytes(90_000) for i in range(5)} | {"robin/1.png": square(1, 1, 1)})
    assert len(large) > settings.max_bytes * 4
    assert client.post(f"{one}/examples", data=files(("a.zip", large), field="zip")).status_code == 200
    for size in (2**20 + 9, 2**20 + 10**5):
        answer = client.post(f"{one}/examples", data=files(("a.zip", bytes(size)), field="zip"))
        assert is_problem(answer, 413, "zip-too-large")


def test_examples_are_listed_moved_deleted_and_brought_back(client, one, holds, square):
    for name in ("robin", "wren"):
        client.post(f"{one}/examples", data=files(("1.png", square(50 * len(name), 0, 0)), label=name))
    client.post(f"{one}/examples", data=files(("3.png", square(9, 9, 9))))
    robin, wren = (label["id"] for label in client.get(one).json["labels"])

    def listed(**query):
        answer = client.get(f"{one}/examples", query_string=query)
        assert holds(answer, "examples")
        return [each["label"] for each in answer.json["examples"]], answer.json

    assert listed()[0] == [robin, wren, None]
    assert listed(label=robin)[0] == [robin]
    assert listed(label="none")[0] == [None]
    first, page = listed(limit=2)
    assert first == [robin, wren]
    assert listed(limit=2, after=page["next"]) == ([None], {"examples": [listed()[1]["examples"][2]], "next": None})
    ids = [each["id"] for each in listed()[1]["examples"]]
    moved = client.post(f"{one}/examples/move", json={"examples": ids, "label": wren})
    assert holds(moved, "move_examples")
    assert moved.json["count"] == 2
    assert listed()[0] == [wren] * 3
    deleted = client.post(f"{one}/examples/delete", json={"examples": ids[:2]})
    assert holds(deleted, "delete_examples")
    assert listed()[0] == [wren]
    for change in (deleted, moved):
        assert holds(client.post(f"{one}/undo", json={"change": change.json["change"]}), "undo_change")
    assert listed()[0] == [robin, wren, None]
    assert is_problem(client.post(f"{one}/undo", json={"change": moved.json["change"]}), 404, "unknown-change")


def test_many_examples_are_moved_in_one_action(client, one, square):
    archive = packed({f"robin/{i}.png": square(12 * i, 0, 0) for i in range(20)})
    added = client.post(f"{one}/examples", data=files(("birds.zip", archive), field="zip")).json["results"]
    wren = client.post(f"{one}/labels", json={"name": "wren"}).json["id"]
    moved = client.post(f"{one}/examples/move", json={"examples": [each["id"] for each in added], "label": wren})
    assert moved.json["count"] == 20


# ---- Refusals ----

# title -> method, path below a classifier, what is sent, status and reason
REFUSED = {
    "no JSON": ("post", "/labels", {"data": {"name": "robin"}}, 415, "unsupported-media-type"),
    "broken JSON": ("post", "/labels", {"data": "{", "content_type": "application/json"}, 400, "bad-request"),
    "another key": ("post", "/labels", {"json": {"name": "robin", "id": 1}}, 400, "bad-request"),
    "another type": ("post", "/labels", {"json": {"name": 1}}, 400, "bad-request"),
    "an empty name": ("post", "/labels", {"json": {"name": " "}}, 422, "bad-name"),
    "a name that does not print": ("post", "/labels", {"json": {"name": "a\x1b[2J"}}, 422, "bad-name"),
    "a long name": ("post", "/labels", {"json": {"name": "a" * 65}}, 422, "bad-name"),
    "another label": ("patch", "/labels/77", {"json": {"name": "robin"}}, 404, "unknown-label"),
    "a large number": ("patch", f"/labels/{10**30}", {"json": {"name": "robin"}}, 404, "not-found"),
    "no label": ("delete", "/labels/x", {}, 404, "not-found"),
    "no picture": ("post", "/examples", {"data": {"label": "robin"}}, 400, "missing"),
    "a label of another type": ("post", "/examples", {"json": {"image": "x", "label": 1}}, 400, "bad-request"),
    "another origin": ("post", "/examples", {"json": {"image": "x", "origin": "correction"}}, 400, "bad-request"),
    "no zip": ("post", "/examples", {"data": {"zip": (io.BytesIO(b"x"), "a.zip")}}, 422, "zip"),
    "no examples": ("post", "/examples/move", {"json": {"examples": [], "label": None}}, 400, "bad-request"),
    "other examples": ("post", "/examples/delete", {"json": {"examples": [UNKNOWN]}}, 404, "unknown-example"),
    "a body of 2 MB": ("post", "/examples/delete", {"json": {"examples": ["x" * 2**21]}}, 413, "too-large"),
    "no number": ("get", "/examples?limit=ten", {}, 400, "bad-request"),
    "too many": ("get", "/examples?limit=1001", {}, 400, "bad-request"),
    "another example": ("get", f"/examples/{UNKNOWN}/picture", {}, 404, "unknown-example"),
    "another change": ("post", "/undo", {"json": {"change": UNKNOWN}}, 404, "unknown-change"),
    "another version": ("get", "/versions/7", {}, 404, "unknown-version"),
    "a version that is none": ("post", "/publish", {"json": {"version": 7}}, 404, "unknown-version"),
    "nothing to try": ("post", "/try", {"json": {"strokes": [[[0, 90], [0, 90]]]}}, 409, "not-trained"),
    "nothing to explain": ("post", "/explain", {"json": {"strokes": [[[0, 90], [0, 90]]]}}, 409, "not-trained"),
    "nothing to export": ("get", "/export.zip", {}, 409, "not-trained"),
    "neither yes nor no": ("get", "/export.zip?examples=yes", {}, 400, "bad-request"),
    "another method": ("put", "", {}, 405, "method-not-allowed"),
}


@pytest.mark.parametrize("title", REFUSED)
def test_what_cannot_be_done_is_refused_with_a_reason(client, one, title):
    method, path, sent, status, reason = REFUSED[title]
    for value in sent.get("data", {}).values() if isinstance(sent.get("data"), dict) else ():
        if isinstance(value, tuple):
            value[0].seek(0)
    assert is_problem(client.open(one + path, method=method.upper(), **sent), status, reason)


def addresses(id):
    """The address of each operation, with this classifier and otherwise made-up ids."""
    for one in OPERATIONS:
        path = (
            one.path.format(id=id, label=1, example=UNKNOWN, number=1, model="m", source="s")
            if "{" in one.path
            else one.path
        )
        yield pytest.param(one.method.upper(), path, id=one.id)


@pytest.mark.parametrize("method, path", list(addresses(UNKNOWN)))
def test_a_visitor_may_do_none_of_it(app, method, path):
    visitor = app.test_client()
    answer = visitor.open(path, method=method, base_url="https://inkling.example")
    assert is_problem(answer, 401, "unauthorized")


@pytest.mark.parametrize("method, path", [each for each in addresses("{made}") if "{made}" in each.values[1]])
def test_another_owner_finds_nothing(client, made, monkeypatch, method, path):
    monkeypatch.setattr("inkling.web.edge.access.OWNER", access.Principal("somebody", access.up_to("teach")))
    assert is_problem(client.open(path.format(made=made["id"]), method=method), 404, "unknown-classifier")
    assert client.get(ROOT).json == {"classifiers": []}
