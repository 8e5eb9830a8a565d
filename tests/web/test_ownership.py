"""Who may correct a result, delete it and undo that: the browser that made it, and a token for all results."""

import hashlib
import io
import re
from datetime import timedelta

import pytest
from itsdangerous import URLSafeSerializer

from inkling import access
from inkling.storage import records, store
from inkling.web.edge.session import LIFETIME

COOKIE = "inkling-history"
CHANGES = {
    "correct": ("correction", {"label": "7"}),
    "take the correction back": ("correction/undo", {}),
    "delete": ("delete", {}),
    "undo the deletion": ("delete/undo", {}),
}
every_change = pytest.mark.parametrize("change", CHANGES)


@pytest.fixture
def storage(app):
    return app.extensions["inkling"].storage


@pytest.fixture
def result(client, png, ink_model):
    """The address of a result that this client made."""
    return client.post("/predict", data={"model": ink_model, "image": (io.BytesIO(png), "a.png")}).location


@pytest.fixture
def at(monkeypatch):
    """Sets the clock of database, cookies and tokens forward."""

    def at(later):
        real = records.time.time

        class Clock:
            @staticmethod
            def time():
                return real() + later.total_seconds()

        for module in ("inkling.storage.records", "inkling.web.edge.session"):
            monkeypatch.setattr(f"{module}.time", Clock)

    return at


@pytest.fixture
def state(app, storage, result):
    """The result's correction and whether it is hidden."""
    id = result.rpartition("/")[2]

    def state():
        (found,) = storage.get_all([id]) or storage.hidden([id])
        return found.correction, storage.get(id) is None

    return state


def attempt(client, storage, result, change, **options):
    """Prepares a result so that a change means something, and tries the change."""
    id = result.rpartition("/")[2]
    if change == "take the correction back":
        storage.correct(id, "3")
    if change == "undo the deletion":
        storage.hide(id)
    path, data = CHANGES[change]
    return client.post(f"{result}/{path}", data=data, **options)


AFTER = {"correct": ("7", False), "take the correction back": (None, False), "delete": (None, True)}
BEFORE = {"take the correction back": ("3", False), "undo the deletion": (None, True)}


def succeeded(answer, state, change):
    return answer.status_code == 303 and state() == AFTER.get(change, (None, False))


def failed(answer, state, change, status=403):
    return answer.status_code == status and state() == BEFORE.get(change, (None, False))


# ---- The browser that made it ----


@every_change
def test_the_browser_that_made_a_result_may_change_it(client, storage, result, state, change):
    assert succeeded(attempt(client, storage, result, change), state, change)


@every_change
@pytest.mark.parametrize("history", ["none", "of its own"])
def test_another_browser_may_not(app, client, storage, result, state, png, ink_model, change, history):
    other = app.test_client()
    if history == "of its own":
        other.post("/predict", data={"model": ink_model, "image": (io.BytesIO(png), "a.png")})
    assert failed(attempt(other, storage, result, change), state, change)


@pytest.mark.parametrize("mine", [True, False])
def test_a_shared_page_is_read_only(app, client, result, mine):
    page = (client if mine else app.test_client()).get(result).text
    for part in (f"{result}/delete", f"{result}/correction"):
        assert (part in page) == mine


@every_change
@pytest.mark.parametrize(
    "forge",
    [
        lambda value: ("A" if value[0] != "A" else "B") + value[1:],
        # Not its last character: some of its bits mean nothing.
        lambda value: value[:-2] + ("A" if value[-2] != "A" else "B") + value[-1],
        lambda value: URLSafeSerializer("guessed").dumps({"results": []}),
    ],
    ids=["another payload", "another signature", "another key"],
)
def test_a_forged_cookie_gives_no_right(client, storage, result, state, change, forge):
    client.set_cookie(COOKIE, forge(client.get_cookie(COOKIE).value))
    assert failed(attempt(client, storage, result, change), state, change)


@every_change
@pytest.mark.parametrize("days, allowed", [(-1, True), (1, False)], ids=["still valid", "expired"])
def test_a_cookie_lasts_a_year(client, storage, result, state, at, change, days, allowed):
    cookie = client.get_cookie(COOKIE).value
    at(LIFETIME + timedelta(days=days))
    answer = attempt(client, storage, result, change, headers={"Cookie": f"{COOKIE}={cookie}"})
    assert (succeeded if allowed else failed)(answer, state, change)


# ---- Results from before owners were noted ----


@pytest.mark.parametrize("listed", [True, False])
def test_a_result_without_an_owner_belongs_to_whoever_has_it_in_the_signed_history(
    app, client, storage, result, state, listed
):
    id = result.rpartition("/")[2]
    with storage.database.writing() as session:
        session.get(records.ResultRow, id).owner = None
    other = app.test_client()
    with other.session_transaction() as session:
        session["results"] = [id] if listed else []
    assert (succeeded if listed else failed)(attempt(other, storage, result, "delete"), state, "delete")


def test_a_result_that_left_the_history_still_belongs_to_its_browser(client, result):
    with client.session_transaction() as session:
        session["results"] = []
    assert client.post(f"{result}/delete").status_code == 303
    assert f"{result}/delete/undo" in client.get("/history").text


def test_the_database_tells_neither_the_browsers_key_nor_its_address(client, storage, settings, result):
    with client.session_transaction() as session:
        key = session["owner"]
    (saved,) = storage.get_all(storage.made_by(key))
    assert saved.belongs_to(key)
    assert not saved.belongs_to("another")
    storage.database.checkpoint()
    database = b"".join(path.read_bytes() for path in settings.pictures.glob("inkling.sqlite3*"))
    assert saved.id.encode() in database
    for secret in (key.encode(), b"127.0.0.1", hashlib.sha256(b"127.0.0.1").hexdigest().encode()):
        assert secret not in database


def test_a_result_whose_owner_was_hashed_with_its_id_still_belongs_to_its_browser(client, storage, result, state):
    id = result.rpartition("/")[2]
    with client.session_transaction() as session:
        key, session["results"] = session["owner"], [id]
    with storage.database.writing() as session:
        session.get(records.ResultRow, id).owner = hashlib.sha256(f"{key} {id}".encode()).hexdigest()
    assert succeeded(attempt(client, storage, result, "delete"), state, "delete")


# ---- Batches ----


@pytest.fixture
def batch(client, png, ink_model):
    files = [(io.BytesIO(png), name) for name in ("a.png", "b.png")]
    return client.post("/predict", data={"model": ink_model, "image": files}).location


def test_only_its_own_browser_may_delete_a_batch(app, client, batch):
    other = app.test_client()
    assert f"{batch}/delete" not in other.get(batch).text
    assert other.post(f"{batch}/delete").status_code == 403
    assert f"{batch}/delete" in client.get(batch).text
    assert client.post(f"{batch}/delete").status_code == 303
    assert client.get(batch).status_code == 404


# ---- Tokens ----

MAY = {
    "correct": ("correct", "teach", "admin"),
    "take the correction back": ("correct", "teach", "admin"),
    "delete": ("admin",),
    "undo the deletion": ("admin",),
}


@every_change
@pytest.mark.parametrize("scope", access.SCOPES)
def test_a_token_may_change_any_result_as_its_scope_says(app, storage, result, state, change, scope):
    token = access.new_token(storage.tokens, scope, "somebody", timedelta(days=1))
    headers = {"Authorization": f"Bearer {token}"}
    answer = attempt(app.test_client(), storage, result, change, headers=headers)
    assert (succeeded if scope in MAY[change] else failed)(answer, state, change)


@every_change
def test_the_owner_at_the_machine_may_change_any_result(owner, storage, result, state, change):
    assert succeeded(attempt(owner, storage, result, change), state, change)


def test_whoever_deletes_can_undo_it_while_they_may_delete(owner, result):
    owner.post(f"{result}/delete")
    assert f"{result}/delete/undo" in owner.get("/history").text
    elsewhere = {"SERVER_NAME": "192.168.1.5"}
    assert owner.post(f"{result}/delete/undo", environ_overrides=elsewhere).status_code == 403
    assert owner.post(f"{result}/delete/undo").status_code == 303
    assert owner.post(f"{result}/delete", environ_overrides=elsewhere).status_code == 403


# ---- Undo ----


def test_a_deleted_result_is_nowhere_and_can_be_brought_back(client, storage, result):
    parts = ("", "/picture", "/thumbnail", "/seen.png", "/why", "/heatmap.png", "/labels", "/others")
    answer = client.post(f"{result}/delete")
    assert (answer.status_code, answer.location) == (303, f"/history#result-{result.rpartition('/')[2]}")
    assert {client.get(result + part).status_code for part in parts} == {404}
    assert client.post(f"{result}/delete").status_code == 404
    page = client.get("/history").text
    assert f'href="{result}"' not in page
    assert f"{result}/delete/undo" in page
    assert client.post(f"{result}/delete/undo").status_code == 303
    assert {client.get(result + part).status_code for part in parts} == {200}
    assert f'href="{result}"' in client.get("/history").text


def test_after_ten_minutes_it_is_deleted(app, client, storage, result, kept, at):
    client.post(f"{result}/delete")
    storage.delete_hidden()
    assert kept()
    at(store.UNDO_PERIOD)
    assert client.post(f"{result}/delete/undo").status_code == 404
    assert "delete/undo" not in client.get("/history").text
    app.extensions["housekeeper"].look()
    assert kept() == []


def test_a_deleted_correction_is_not_exported(client, storage, result):
    client.post(f"{result}/correction", data={"label": "7"})
    assert len(storage.corrected()) == 1
    client.post(f"{result}/delete")
    assert storage.corrected() == []


def test_deleting_all_deletes_what_could_be_undone_too(client, result, kept):
    client.post(f"{result}/delete")
    client.post("/history/delete")
    assert kept() == []
    assert client.get_cookie(COOKIE) is None


def test_a_deleted_picture_of_a_batch_counts_as_deleted_until_it_is_brought_back(client, batch):
    first, _ = re.findall(r'href="(/results/[^"]+)"', client.get(batch).text)
    client.post(f"{first}/delete")
    page = client.get(batch).text
    assert "a.png" not in page
    assert "Deleted" in page
    assert "a.png" not in client.get(f"{batch}.csv").text
    client.post(f"{first}/delete/undo")
    assert "a.png" in client.get(batch).text
