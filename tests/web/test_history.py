"""A browser's last results are those that its signed cookie owns. No other browser sees them."""

import io
import os
import re
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from inkling import access
from inkling.config import ROOT, Settings
from inkling.recognition.predictor import classify_one
from inkling.storage.blobs import SIGNING_KEY
from inkling.web.views.history import MOST
from tests.support.storage import add


@pytest.fixture
def send(ink_model, png, data_url):
    """Sends the drawing with a client and returns the result's address."""

    def send(client, **options):
        answer = client.post("/predict", data={"model": ink_model, "drawing": data_url(png)}, **options)
        return answer.location

    return send


@pytest.fixture
def fill(app, classifier, drawing, ink_model):
    """Adds many results to a client's history. Returns their addresses, oldest first."""
    prediction = classify_one(classifier, drawing, classifier.catalog.model(ink_model))

    def fill(client, count):
        store = app.extensions["inkling"].storage
        with client.session_transaction() as session:
            owner = session.setdefault("owner", secrets.token_urlsafe(16))
        times = {"decode": 1.0} | prediction.milliseconds
        ids = [add(store, drawing, prediction, "drawing", times, owner) for _ in range(count)]
        return [f"/results/{id}" for id in ids]

    return fill


def listed(client):
    """Returns the addresses of the results on the history page, in its order."""
    return re.findall(r'href="(/results/[\w-]+)"', client.get("/history").text)


def cookies(answer):
    return answer.headers.getlist("Set-Cookie")


# ---- The list ----


def test_a_browser_finds_its_results_newest_first_and_no_other_browser_does(app, client, send):
    first, second = send(client), send(client)
    assert listed(client) == [second, first]
    assert listed(app.test_client()) == []


def test_looking_at_a_result_does_not_put_it_into_the_history(app, client, send):
    other = app.test_client()
    assert other.get(send(client)).status_code == 200
    assert listed(other) == []


def test_refused_pictures_are_not_listed(client, ink_model, paper, encode, data_url):
    answer = client.post("/predict", data={"model": ink_model, "drawing": data_url(encode(paper))})
    assert answer.location.startswith("/help")
    assert cookies(answer) == []


def test_the_last_fifty_are_listed_and_the_cookie_stays_small(client, fill, send):
    sent = fill(client, MOST)
    newest = send(client)
    assert listed(client) == [newest, *sent[:0:-1]]
    assert len(client.get_cookie("inkling-history").value) < 200


def test_uploads_at_once_all_reach_the_history(app, client, send):
    """Each request has the same cookie, and the browser keeps the cookie of one response."""
    sent = [send(client)]
    cookie = client.get_cookie("inkling-history").value

    def upload(_):
        other = app.test_client()
        other.set_cookie("inkling-history", cookie)
        return send(other)

    with ThreadPoolExecutor(5) as pool:
        sent += pool.map(upload, range(5))
    assert sorted(listed(client)) == sorted(sent)


def test_results_that_an_older_cookie_lists_stay_in_the_history(app, client, fill, send):
    before = fill(app.test_client(), 2)
    with client.session_transaction() as session:
        session["results"] = [address.rpartition("/")[2] for address in before]
    assert listed(client) == before[::-1]
    newest = send(client)
    assert listed(client) == [newest, *before[::-1]]


def test_deleted_results_disappear_from_the_list(app, client, fill):
    sent = fill(client, 3)
    app.extensions["inkling"].storage.delete(sent[1].rpartition("/")[2])
    assert listed(client) == [sent[2], sent[0]]


def test_delete_all_deletes_also_what_is_not_listed_and_says_so(client, fill):
    sent = fill(client, MOST + 1)
    assert sent[0] not in listed(client)
    assert "also older ones that this page doesn't list" in client.get("/history").text
    assert client.post("/history/delete").status_code == 303
    assert [client.get(address).status_code for address in sent] == [404] * len(sent)


def test_an_empty_history_says_so(client):
    answer = client.get("/history")
    assert answer.status_code == 200
    assert "Nothing yet." in answer.text


def test_the_pictures_of_a_batch_are_listed_as_one(client, send, ink_model, png):
    alone = send(client)
    files = [(io.BytesIO(png), name) for name in ("a.png", "b.png")]
    batch = client.post("/predict", data={"model": ink_model, "image": files}).location
    page = client.get("/history").text
    assert re.findall(r'<a href="(/(?:results|batches)/[^"]+)">', page) == [batch, alone]
    assert "2 pictures" in page
    first = client.get(batch).text.partition('href="/results/')[2].partition('"')[0]
    client.post(f"/results/{first}/delete")
    page = client.get("/history").text
    left = re.findall(r'<a href="(/(?:results|batches)/[^"]+)">', page)
    assert (len(left), left[1]) == (2, alone), "the one that is left of a batch is a result again"
    assert left[0].startswith("/results/")


def test_each_is_dated(client, send, app):
    (result,) = app.extensions["inkling"].storage.get_all([send(client).rpartition("/")[2]])
    assert f'<time datetime="{result.created.isoformat()}">' in client.get("/history").text


# ---- Deletion ----


def test_deleting_all_removes_pictures_and_rows_of_this_browser_alone(app, client, send, kept):
    other = app.test_client()
    theirs = send(other)
    send(client)
    send(client)
    answer = client.post("/history/delete")
    assert (answer.status_code, answer.location) == (303, "/history")
    assert listed(client) == []
    assert listed(other) == [theirs]
    assert len(kept()) == 3
    assert all(theirs.rpartition("/")[2] in name for name in kept())


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}], ids=str)
def test_another_sites_post_deletes_nothing(client, send, headers):
    result = send(client)
    assert client.post("/history/delete", headers=headers).status_code == 403
    assert listed(client) == [result]


# ---- The cookie ----


@pytest.mark.parametrize("path", ["/help", "/models", "/history", "/api/models", "/no-such-page"])
def test_no_cookie_is_set_before_there_is_something_to_remember(client, settings, path):
    assert cookies(client.get(path)) == []
    assert not settings.pictures.exists() or not (settings.pictures / SIGNING_KEY).exists()


def test_uploads_at_once_from_a_new_browser_all_reach_its_history(app, client, send):
    """The browser keeps the cookie of one of the responses, and all of them must name the same owner."""
    page = client.get("/")
    assert (len(cookies(page)), page.headers["Cache-Control"]) == (1, "private, no-cache")
    first = client.get_cookie("inkling-history").value

    def upload(_):
        other = app.test_client()
        other.set_cookie("inkling-history", first)
        return send(other), other.get_cookie("inkling-history").value

    with ThreadPoolExecutor(5) as pool:
        sent, kept = zip(*pool.map(upload, range(5)), strict=True)
    for cookie in kept:
        client.set_cookie("inkling-history", cookie)
        assert sorted(listed(client)) == sorted(sent)


def test_it_is_set_once_and_not_with_every_page(client, send):
    result = send(client)
    for path in (result, "/", "/history"):
        assert cookies(client.get(path)) == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_it_is_kept_from_scripts_and_other_sites_and_from_plain_http_where_there_is_https(
    client, ink_model, png, data_url, scheme
):
    answer = client.post(
        "/predict", data={"model": ink_model, "drawing": data_url(png)}, base_url=f"{scheme}://localhost"
    )
    (cookie,) = cookies(answer)
    parts = {part.strip().partition("=")[0] for part in cookie.split(";")}
    assert {"HttpOnly", "SameSite", "Expires", "Path"} <= parts
    assert "SameSite=Lax" in cookie
    assert ("Secure" in parts) == (scheme == "https")


@pytest.mark.parametrize(
    "forge",
    [
        lambda value: ("A" if value[0] != "A" else "B") + value[1:],
        lambda value: "eyJyZXN1bHRzIjpbIngiXX0.aaaaaa.bbbbbbbbbbb",
        lambda value: "",
    ],
    ids=["changed", "made up", "empty"],
)
def test_a_cookie_that_we_did_not_sign_is_an_empty_history(client, send, forge):
    send(client)
    client.set_cookie("inkling-history", forge(client.get_cookie("inkling-history").value))
    assert listed(client) == []


def test_the_page_is_cached_for_no_one_else(client, send):
    send(client)
    assert "Cookie" in client.get("/history").headers["Vary"]


# ---- The signing key ----


def test_restarts_and_other_workers_agree_on_the_key(make_app, client, send):
    result = send(client)
    other = make_app().test_client()
    other.set_cookie("inkling-history", client.get_cookie("inkling-history").value)
    assert listed(other) == [result]


def test_the_key_is_for_its_owner_alone(client, send, settings):
    send(client)
    path = settings.pictures / SIGNING_KEY
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert len(path.read_text()) == 64
    assert [name.name for name in settings.pictures.glob(".*")] == [SIGNING_KEY]


def test_runs_of_blanks_in_a_cookie_are_cheap(client, send):
    """Werkzeug would parse these cookies for a second."""
    send(client)
    cookie = client.get_cookie("inkling-history").value
    fresh = client.application.test_client(use_cookies=False)
    for head in (f"x={' ' * 8000}y z; ", f"x=1;{chr(9) * 8000}"):
        page = fresh.get("/history", headers={"Cookie": f"{head}inkling-history={cookie}"})
        assert len(re.findall(r'href="/results/[\w-]{22}"', page.text)) == 1


def test_many_cookies_are_not_read(client, send):
    """Each cookie would take memory for several objects."""
    send(client)
    cookie = client.get_cookie("inkling-history").value
    fresh = client.application.test_client(use_cookies=False)
    for count, listed in ((20, 1), (2000, 0)):
        names = "".join(f"name{i};" for i in range(count))
        page = fresh.get("/history", headers={"Cookie": f"inkling-history={cookie};{names}"})
        assert len(re.findall(r'href="/results/[\w-]{22}"', page.text)) == listed


def test_an_empty_key_that_a_power_cut_left_is_made_anew(make_app, settings, send):
    settings.pictures.mkdir(parents=True, exist_ok=True)
    (settings.pictures / SIGNING_KEY).touch()
    assert len(access.signing_key(settings)) == 2 * access.KEY_BYTES
    assert access.signing_key(settings) == access.signing_key(settings)


def test_a_key_from_the_settings_is_not_written_down(make_app, settings, send):
    client = make_app(settings.replace(secret_key="a key of the operator's")).test_client()
    send(client)
    assert not (settings.pictures / SIGNING_KEY).exists()
    assert "a key of" not in repr(settings.replace(secret_key="a key of the operator's"))


def test_threads_that_start_together_get_one_key(settings):
    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(lambda _: access.signing_key(settings), range(16)))) == 1


START_TOGETHER = """
import multiprocessing, sys
from inkling.access import signing_key
from inkling.config import Settings

def ask(folder, start, keys):
    start.wait()
    keys.put(signing_key(Settings.from_env({"INKLING_PICTURES": folder})))

fork = multiprocessing.get_context("fork")
keys, start = fork.Queue(), fork.Barrier(8)
workers = [fork.Process(target=ask, args=(sys.argv[1], start, keys)) for _ in range(8)]
for worker in workers:
    worker.start()
print(len({keys.get() for _ in workers}))
"""


def test_workers_that_start_together_get_one_key(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", START_TOGETHER, str(tmp_path / "new")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
    assert [path.name for path in (tmp_path / "new").iterdir()] == [SIGNING_KEY]
    assert access.signing_key(Settings.from_env({"INKLING_PICTURES": str(tmp_path / "new")}))


# ---- Thumbnails ----


def test_a_thumbnail_that_the_browser_has_is_not_sent_again(client, send):
    where = f"{send(client)}/thumbnail"
    first = client.get(where)
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get(where, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_full_page_of_photos_is_light(app, client, photo_model, encode):
    """Fifty thumbnails of noise, which compresses worst, weigh less than 2 MB."""
    noise = Image.effect_noise((1024, 1024), 60).convert("RGB")
    sent = client.post(
        "/predict",
        data={
            "model": photo_model,
            "image": (io.BytesIO(encode(noise.resize((512, 512)), "JPEG", quality=60)), "a.jpg"),
        },
    ).location
    assert len(client.get(f"{sent}/thumbnail").data) * MOST < 2_000_000
