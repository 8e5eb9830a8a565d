"""Corrections: saved with the result, taken back at will, shown to nobody else, and exported for training."""

import io
import json
import os
import re
import shutil
from pathlib import Path

import pytest
from markupsafe import escape
from PIL import Image

from inkling.recognition.card import sha256
from inkling.recognition.catalog import Catalog, read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.storage import StoreError
from inkling.storage.corrections import folder_of, label_of


@pytest.fixture
def send(client, png, jpeg, ink_model, photo_model):
    """Sends a drawing or a photo and returns the result's address."""

    def send(kind="drawing", model=None):
        data, name, default = (png, "a.png", ink_model) if kind == "drawing" else (jpeg, "a.jpg", photo_model)
        answer = client.post("/predict", data={"model": model or default, "image": (io.BytesIO(data), name)})
        return answer.location

    return send


@pytest.fixture
def saved_result(app):
    """The saved result at an address."""
    return lambda address: app.extensions["inkling"].storage.get(address.rpartition("/")[2])


def correct(client, address, label):
    return client.post(f"{address}/correction", data={"label": label})


def searched(client, address, language="en"):
    """The other words that each name can be found by, in the page's order."""
    return dict(client.get(f"{address}/labels", headers={"Accept-Language": language}).json)


@pytest.fixture
def grouped(models_folder, tmp_path):
    """A folder with a model for doodles that says which of its labels are birds."""
    folder = tmp_path / "models" / "grouped"
    shutil.copytree(models_folder / "doodles-cnn", folder)
    card = json.loads((folder / "card.json").read_text())
    group = {"name": "bird", "labels": [card["labels"].index("frog")]}
    (folder / "groups.json").write_text(json.dumps({"groups": [group]}))
    card |= {"name": folder.name, "files": card["files"] | {"groups.json": sha256(folder / "groups.json")}}
    (folder / "card.json").write_text(json.dumps(card))
    return folder.parent


def offered(page):
    """The labels that the page offers, in their order."""
    return re.findall(r'name="label" value="([^"]*)"', page.text)


# ---- On the results page ----


def test_a_correction_is_kept_and_shown_and_can_be_changed_and_taken_back(client, send, saved_result):
    result = send()
    said, other = saved_result(result).label, saved_result(result).predictions[1][0]
    assert "Did we get it right?" in client.get(result).text
    for label, shown in (
        (said, "You said that this is right."),
        (other, f"You said: {other}."),
        ("", "You said: none of these."),
    ):
        answer = correct(client, result, label)
        assert (answer.status_code, answer.location) == (303, f"{result}#right")
        assert saved_result(result).correction == label
        assert shown in client.get(result).text
    answer = client.post(f"{result}/correction/undo")
    assert (answer.status_code, answer.location) == (303, f"{result}#right")
    assert saved_result(result).correction is None
    assert "Did we get it right?" in client.get(result).text


def test_the_visitor_is_told_beside_the_buttons_what_an_answer_does(client, send):
    page = client.get(send()).text
    asked = page[page.index('id="right"') :].partition("</section>")[0]
    assert re.search(r"Your answer keeps this picture on this server beyond [\w ]+, as long as there is room", asked)


def test_few_labels_are_offered_likeliest_first(client, send, saved_result):
    result = send()
    labels = [label for label, _ in saved_result(result).predictions]
    assert offered(client.get(result)) == [*labels, ""]


def test_of_many_labels_the_likeliest_are_offered_and_all_can_be_searched(client, send, saved_result):
    result = send(model="doodles-cnn")
    labels = [label for label, _ in saved_result(result).predictions]
    page = client.get(result)
    assert offered(page) == [*labels[:7], ""]
    assert f'data-labels="{result}/labels"' in page.text
    assert sorted(searched(client, result)) == sorted(labels)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_searched_labels_are_the_likeliest_and_then_the_others_by_the_alphabet(
    client, send, saved_result, language
):
    result = send(model="doodles-cnn")
    likeliest = [label for label, _ in saved_result(result).predictions[:7]]
    rows = list(searched(client, result, language).items())
    assert [name if language == "en" else words for name, words in rows[:7]] == likeliest
    rest = [name.casefold().replace("ё", "е") for name, _ in rows[7:]]
    assert len(rest) == 53
    assert rest == sorted(rest)


def test_labels_are_found_by_their_english_name_and_by_their_groups_in_both_languages(make_app, settings, png, grouped):
    client = make_app(classifier=LocalPredictor(read_catalog(grouped), settings)).test_client()
    result = client.post("/predict", data={"model": "grouped", "image": (io.BytesIO(png), "a.png")}).location
    rows = searched(client, result, "ru")
    assert rows["лягушка"] == "frog, bird, птица"
    assert rows["улитка"] == "snail"


def test_a_result_can_be_corrected_when_its_model_is_gone(make_app, settings, client, send, saved_result):
    result = send(model="doodles-cnn")
    labels = [label for label, _ in saved_result(result).predictions]
    browser = client.get_cookie("inkling-history").value
    client = make_app(classifier=LocalPredictor(Catalog({}), settings)).test_client()
    client.set_cookie("inkling-history", browser)
    assert sorted(searched(client, result)) == sorted(labels)
    assert correct(client, result, labels[50]).status_code == 303


@pytest.mark.parametrize(
    "text, label",
    [("giraffe", "giraffe"), (" GIRAFFE ", "giraffe"), ("the eiffel tower", "The Eiffel Tower"), ("жираф", "giraffe")],
)
def test_a_label_can_be_typed_by_its_name_in_the_language_of_the_page(client, send, saved_result, text, label):
    result = send(model="doodles-cnn")
    language = "en" if text.isascii() else "ru"
    answer = client.post(f"{result}/correction", data={"label": text}, headers={"Accept-Language": language})
    assert answer.status_code == 303
    assert saved_result(result).correction == label


@pytest.mark.parametrize("text", ["no such label", "<script>", " "])
def test_an_unknown_label_is_refused_in_a_sentence(client, send, saved_result, text):
    result = send()
    answer = correct(client, result, text)
    assert answer.status_code == 400
    assert f"There is no label “{escape(text)}”. Choose one of the labels of this answer." in answer.text
    assert saved_result(result).correction is None


@pytest.mark.parametrize("data", [{}, {"other": "1"}], ids=str)
def test_a_correction_without_a_label_is_refused(client, send, saved_result, data):
    result = send()
    assert client.post(f"{result}/correction", data=data).status_code == 400
    assert saved_result(result).correction is None


@pytest.mark.parametrize("path", ["correction", "correction/undo"])
def test_a_result_that_is_gone_is_not_corrected(client, path):
    assert client.post(f"/results/none/{path}", data={"label": "1"}).status_code == 404


@pytest.mark.parametrize("path", ["correction", "correction/undo"])
def test_a_post_from_another_site_corrects_nothing(client, send, saved_result, path):
    result = send()
    correct(client, result, "1")
    answer = client.post(f"{result}/{path}", data={"label": "2"}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert saved_result(result).correction == "1"


def test_deleting_the_result_deletes_its_correction(app, client, send, kept, ten_minutes_later):
    result = send()
    correct(client, result, "1")
    client.post(f"{result}/delete")
    ten_minutes_later()
    assert kept() == []
    assert app.extensions["inkling"].storage.corrected() == []


# ---- Other pages ----


def test_no_page_shows_corrections(app, client, send):
    """A correction changes no other page."""
    result, stranger = send(), app.test_client()
    pages = [
        "/readyz",  # first, because it measures how long each model takes, which the model's page shows
        "/",
        "/help",
        "/models/digits-cnn",
        "/history",
        "/api/models",
        "/api/openapi.json",
        "/healthz",
        f"{result}/others",
    ]
    before = [stranger.get(page).text for page in pages]
    correct(client, result, "1")
    assert [stranger.get(page).text for page in pages] == before
    for path in ("/corrections", "/corrections/", "/api/corrections", f"{result}/correction"):
        for answer in (client.get(path), stranger.get(path)):
            assert answer.status_code in (404, 405), path


# ---- The command line ----


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_corrections_are_listed(runner, client, send, saved_result):
    first, second, _untold = send(), send("photo"), send()
    correct(client, first, "7")
    correct(client, second, "")
    done = runner.invoke(args=["corrections", "list"])
    assert done.exit_code == 0
    first_line, second_line = done.stdout.splitlines()
    assert first_line.endswith(f"{saved_result(first).id}  digits-cnn: {saved_result(first).label} -> 7")
    assert second_line.endswith(f"cats-dogs-cnn: {saved_result(second).label} -> none of its labels")


@pytest.mark.parametrize("command", [["list"], ["export", "export"]])
def test_a_storage_error_is_reported_in_one_line(app, runner, monkeypatch, command):
    def locked(self):
        raise StoreError("the database is locked")

    monkeypatch.setattr(type(app.extensions["inkling"].storage), "corrected", locked)
    done = runner.invoke(args=["corrections", *command])
    assert (done.exit_code, done.stderr) == (1, "Error: the database is locked.\n")


def test_pictures_are_exported_as_they_were_saved(app, runner, client, send, saved_result, tmp_path):
    drawing, photo, fits_none, _untold = send(), send("photo"), send(), send()
    doodle = send(model="doodles-cnn")
    for result, label in ((drawing, "7"), (photo, "dog"), (fits_none, ""), (doodle, "The Eiffel Tower")):
        correct(client, result, label)
    done = runner.invoke(args=["corrections", "export", str(tmp_path / "out" / "export")])
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'out' / 'export'}: 3 pictures\n")
    assert done.stderr.startswith("1 left out")
    ids = {
        name: saved_result(result).id for name, result in (("drawing", drawing), ("photo", photo), ("doodle", doodle))
    }
    assert files(tmp_path / "out" / "export") == sorted(
        [
            f"cats-dogs/dog/{ids['photo']}.jpg",
            f"digits/7/{ids['drawing']}.jpg",
            f"doodles/The Eiffel Tower/{ids['doodle']}.jpg",
        ]
    )
    store = app.extensions["inkling"].storage
    written = tmp_path / "out" / "export" / "cats-dogs" / "dog" / f"{ids['photo']}.jpg"
    assert written.read_bytes() == store.picture(saved_result(photo))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["export"]


def test_a_picture_that_is_gone_is_left_out(runner, client, send, settings, tmp_path):
    correct(client, send(), "7")
    for path in settings.pictures.glob("*.jpg"):
        path.unlink()
    done = runner.invoke(args=["corrections", "export", str(tmp_path / "out")])
    assert (done.exit_code, done.stdout) == (0, f"{tmp_path / 'out'}: 0 pictures\n")


@pytest.mark.parametrize("there, allowed", [("nothing", True), ("empty", True), ("full", False), ("file", False)])
def test_nothing_is_overwritten(runner, client, send, tmp_path, there, allowed):
    correct(client, send(), "7")
    target = tmp_path / "out"
    if there in ("empty", "full"):
        target.mkdir()
    if there == "full":
        (target / "mine.txt").write_text("mine")
    if there == "file":
        target.write_text("mine")
    done = runner.invoke(args=["corrections", "export", str(target)])
    assert (done.exit_code == 0) == allowed
    if not allowed:
        assert done.stderr == f"Error: {target} must be a new or an empty folder.\n"
        assert (target / "mine.txt" if there == "full" else target).read_text() == "mine"


def test_when_one_picture_cannot_be_written_nothing_is(runner, client, send, tmp_path, monkeypatch):
    for _ in range(2):
        correct(client, send(), "7")
    write, written = Path.write_bytes, []

    def full(path, data):
        written.append(path)
        if len(written) > 1:
            raise OSError(28, os.strerror(28))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    done = runner.invoke(args=["corrections", "export", str(tmp_path / "out")])
    assert done.exit_code == 1
    assert done.stderr == f"Error: {tmp_path / 'out'} cannot be written: No space left on device.\n"
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


@pytest.mark.parametrize(
    "label", ["cat", "The Eiffel Tower", "hot air balloon", "Котик", "a/b", "..", ".", "a.b", "%41", "C:\\x", "?*"]
)
def test_any_label_can_name_a_folder(tmp_path, label):
    name = folder_of(label)
    (tmp_path / name).mkdir()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert label_of(name) == label


def test_an_exported_file_is_a_picture(runner, client, send, tmp_path):
    correct(client, send(), "7")
    runner.invoke(args=["corrections", "export", str(tmp_path / "out")])
    (path,) = (tmp_path / "out" / "digits" / "7").iterdir()
    with Image.open(path) as image:
        assert image.size == (400, 400)
