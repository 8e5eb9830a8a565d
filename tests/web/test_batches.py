"""Several pictures in one upload get one page and one table. A bad file does not affect the others."""

import csv
import io
import re

import pytest
import sqlalchemy as sa

from inkling.csvreport import COLUMNS, escape
from inkling.problems import REASONS
from inkling.storage.records import BatchRow, EntryRow, ResultRow
from inkling.web.views.batches import RANKS

BAD = (
    "empty",
    "extension",
    "not-an-image",
    "unsupported",
    "too-large",
    "too-many-pixels",
    "truncated",
    "animated-too-long",
    "blank",
)


@pytest.fixture
def send(client, ink_model):
    """Sends (name, bytes) pairs as the photo form does, without JavaScript."""

    def send(*files, model=ink_model):
        return client.post(
            "/predict", data={"model": model, "image": [(io.BytesIO(data), name) for name, data in files]}
        )

    return send


@pytest.fixture
def three(encode, drawing):
    """Three drawings with different answers. Two of them have the same name."""
    lying, blot = drawing.rotate(70, fillcolor="white"), drawing.resize((400, 100))
    return [("1.png", encode(drawing)), ("1.png", encode(lying)), ("blot.png", encode(blot))]


@pytest.fixture
def batch(send, three):
    """The address of the batch page of these drawings."""
    answer = send(*three)
    assert answer.status_code == 303
    assert re.fullmatch(r"/batches/[\w-]{22}", answer.location)
    return answer.location


@pytest.fixture
def cards(client):
    """Returns the entries of a batch page in its order: (id of the result or None, text)."""

    def cards(address):
        grid = re.search(r'<ul class="grid">(.*?)</ul>', client.get(address).text, re.DOTALL)[1]
        items = re.findall(r"<li.*?</li>", grid, re.DOTALL)
        links = [re.search(r'href="/results/([\w-]{22})"', item) for item in items]
        return [
            (link and link[1], re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", item)).strip())
            for link, item in zip(links, items, strict=True)
        ]

    return cards


def table(client, address):
    answer = client.get(f"{address}.csv")
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


# ---- The page ----


def test_each_picture_gets_the_answer_it_would_get_alone(client, app, three, batch, cards, send):
    store = app.extensions["inkling"].storage
    shown = cards(batch)
    assert [text.rpartition(" ")[2] for _, text in shown] == ["1.png", "1.png", "blot.png"]
    for (id, text), file in zip(shown, three, strict=True):
        together, alone = store.get(id), store.get(send(file).location.rpartition("/")[2])
        assert (together.label, together.wording, together.kind) == (alone.label, alone.wording, alone.kind)
        assert together.confidence == pytest.approx(alone.confidence, abs=1e-4)
        assert together.milliseconds.keys() == alone.milliseconds.keys() == {"decode", "prepare", "infer"}
        assert together.label in text
        assert client.get(f"/results/{id}").status_code == 200
    assert len({store.get(id).confidence for id, _ in shown}) > 1, "equal answers would hide a mix-up"


def test_they_are_answered_in_one_run(app, send, three, monkeypatch):
    runs = []
    classifier = app.extensions["inkling"].predictor
    answer = classifier.answer
    monkeypatch.setattr(classifier, "answer", lambda seen, model: runs.append(len(seen)) or answer(seen, model))
    send(*three)
    assert runs == [3]


@pytest.mark.parametrize("sort, ascending", [("sure", False), ("unsure", True)])
def test_they_are_sorted_by_how_sure_the_answer_is(app, send, three, cards, sort, ascending):
    store = app.extensions["inkling"].storage
    address = send(("notes.txt", b"hello"), *three[:2]).location
    ids = [id for id, _ in cards(f"{address}?sort={sort}")]
    assert ids[-1] is None, "pictures without an answer come last"
    sure = [(-RANKS[store.get(id).wording], store.get(id).confidence) for id in ids[:-1]]
    assert sure == sorted(sure, reverse=not ascending)
    assert [id for id, _ in cards(f"{address}?sort=sent")][0] is None


@pytest.mark.parametrize("sort, place", [("sure", -1), ("unsure", 0)])
def test_an_unfamiliar_picture_is_not_sure_even_at_high_confidence(app, batch, cards, sort, place):
    store = app.extensions["inkling"].storage
    strange = max((id for id, _ in cards(batch)), key=lambda id: store.get(id).confidence)
    with store.database.writing() as session:
        session.execute(sa.update(ResultRow).where(ResultRow.id != strange).values(wording="sure", sure=True))
        session.execute(sa.update(ResultRow).where(ResultRow.id == strange).values(wording="not sure", sure=False))
    assert [id for id, _ in cards(f"{batch}?sort={sort}")][place] == strange


def test_its_preview_is_one_of_the_pictures(client, batch, cards):
    text = client.get(batch).text
    (first, _), *_ = cards(batch)
    assert re.search(rf'<meta property="og:image" content="http://localhost/results/{first}/picture"', text)
    (said,) = re.findall(r'<meta property="og:description" content="(.*?)"', text)
    assert re.fullmatch(r"Several pictures as Inkling sees them: \d × \d(, \d × \d)*\.", said)
    assert "Anyone with this link can view this page" in text


# ---- From a result to its batch ----


def test_only_the_uploader_is_led_from_a_result_to_its_batch(app, client, batch, cards, send, png):
    (id, _), *_ = cards(batch)
    link = f'href="{batch}"'
    assert link in client.get(f"/results/{id}").text
    assert link not in app.test_client().get(f"/results/{id}").text
    assert "Back to all" not in client.get(send(("a.png", png)).location).text


def test_they_are_grouped_by_answer(client, send, three):
    page = client.get(f"{send(*three[:2], ('notes.png', b'hello')).location}?sort=answer").text
    groups = re.findall(r'<li class="group"><h2>(.*?) <span class="hint">× (\d)</span>', page)
    labels = [re.findall(r"<b>(.*?)\??</b>", part) for part in page.split('<li class="group">')[1:]]
    assert [(name, int(count)) for name, count in groups] == [
        (names[0] if name != "No answer" else name, len(names)) for (name, _), names in zip(groups, labels, strict=True)
    ]
    assert groups[-1] == ("No answer", "1")
    assert all(len(set(names)) == 1 for names in labels)


def test_an_unknown_order_is_reported(client, batch):
    answer = client.get(f"{batch}?sort=name")
    assert answer.status_code == 400
    assert "sent, answer, sure, unsure" in answer.text


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_file_is_shown_in_its_place_and_does_not_affect_the_others(
    client, send, bad_files, png, cards, kept, reason
):
    address = send(("first.png", png), bad_files[reason], ("last.png", png)).location
    first, bad, last = cards(address)
    assert bad[0] is None
    assert REASONS[reason].title in bad[1].replace("&#39;", "'")
    assert bad_files[reason][0] in bad[1]
    assert first[0]
    assert last[0]
    assert len(kept()) == 2 * 3
    assert [row["error"] for row in table(client, address)] == ["", reason, ""]


def test_all_bad_is_told_in_place_and_nothing_is_kept(app, send, bad_files, kept):
    """Otherwise pages without any result could fill the database."""
    answer = send(bad_files["empty"], bad_files["truncated"])
    assert answer.status_code == 200
    assert answer.text.count('<li class="unanswered">') == 2
    assert "?sort=" not in answer.text, "a batch without answers cannot be sorted"
    assert "cannot keep" not in answer.text
    assert kept() == []
    with app.extensions["inkling"].storage.database.reading() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(BatchRow)) == 0


@pytest.mark.parametrize("name", ["x" * 4000 + ".png", "\U0001d4b3" * 4000 + ".png", "Ж" * 4000 + ".png"])
def test_a_long_name_takes_little(app, send, png, name):
    id = send(("a.png", png), (name, png)).location.rpartition("/")[2]
    entry = app.extensions["inkling"].storage.batch(id).entries[1]
    assert entry.name
    assert name.startswith(entry.name)
    assert len(entry.name.encode()) <= 255


def test_one_file_is_answered_as_ever(send, png):
    assert re.fullmatch(r"/results/[\w-]{22}", send(("a.png", png)).location)


def test_too_many_files_are_refused_and_nothing_is_stored(client, send, png, settings, kept):
    answer = send(*[("a.png", png)] * (settings.max_batch + 1))
    assert answer.status_code == 303
    assert answer.location.startswith("/help?reason=too-many&got=4+pictures&model=digits-cnn")
    assert "You can send up to 3 pictures at once." in client.get(answer.location).text
    assert kept() == []


def test_twenty_go_together_by_default_and_no_more(make_app, settings, png, kept, ink_model):
    client = make_app(settings.replace(max_batch=20)).test_client()
    for count, where in ((20, "/batches/"), (21, "/help?reason=too-many")):
        files = [(io.BytesIO(png), f"{i}.png") for i in range(count)]
        answer = client.post("/predict", data={"model": ink_model, "image": files})
        assert answer.location.startswith(where)
    assert len(kept()) == 20 * 3


def test_the_largest_pictures_go_together(send, png, settings):
    largest = png + bytes(settings.max_bytes - len(png))
    assert send(*[("a.png", largest)] * settings.max_batch).location.startswith("/batches/")


def test_an_unknown_model_is_told(send, three, kept):
    assert send(*three, model="nope").location.startswith("/help?reason=unknown-model")
    assert kept() == []


def test_a_batch_that_cannot_be_saved_leaves_nothing_behind(app, send, three, kept, monkeypatch):
    blobs, turns = app.extensions["inkling"].storage.blobs, iter(range(9))
    put = blobs.put
    monkeypatch.setattr(blobs, "put", lambda *args: put(*args) if next(turns) < 5 else 1 / 0)
    assert send(*three).status_code == 500
    assert kept() == []


def test_it_survives_a_restart_and_its_model(make_app, batch, cards, app_without_models, settings):
    text = make_app().test_client().get(batch).text
    assert text.count('href="/results/') == 3
    other = make_app(classifier=app_without_models.extensions["inkling"].predictor).test_client()
    assert "digits-cnn" in other.get(batch).text


@pytest.mark.parametrize(
    "name, shown",
    [
        ("<img src=x>.png", "&lt;img src=x&gt;.png"),
        ("C:/Users/me/cat.png", "cat.png"),
        ("a‮gnp.png", "a?gnp.png"),
        ("x" * 400 + ".png", "x" * 255),
        ("кот & пёс.png", "кот &amp; пёс.png"),
    ],
)
def test_a_file_name_is_escaped(client, send, png, name, shown):
    text = client.get(send((name, png), ("b.png", png)).location).text
    assert shown in text
    assert "<img src=x" not in text
    assert "Users" not in text
    assert "x" * 256 not in text


def test_each_is_in_this_browsers_history_until_all_are_deleted(client, batch, cards):
    ids = [id for id, _ in cards(batch)]
    assert re.findall(r'src="/results/([\w-]{22})/', client.get("/history").text) == ids[::-1]
    client.post(f"{batch}/delete")
    assert "Nothing yet." in client.get("/history").text


# ---- Deleting ----


def test_a_deleted_result_is_shown_as_deleted(client, batch, cards):
    (first, _), _, (last, _) = cards(batch)
    client.post(f"/results/{first}/delete")
    (gone, text), _, (left, _) = cards(batch)
    assert (gone, text) == (None, "Deleted")
    assert left == last
    assert [(row["file"], row["error"]) for row in table(client, batch)] == [
        ("", "deleted"),
        ("1.png", ""),
        ("blot.png", ""),
    ]


def test_deleting_one_after_the_other_leaves_no_name_and_no_page(app, client, batch, cards, ten_minutes_later):
    for id, _ in cards(batch):
        assert client.get(batch).status_code == 200
        client.post(f"/results/{id}/delete")
    assert client.get(batch).status_code == 404
    ten_minutes_later()
    with app.extensions["inkling"].storage.database.reading() as session:
        assert session.scalars(sa.select(BatchRow.id)).all() == []
        assert session.scalars(sa.select(EntryRow.name)).all() == []


def test_deleting_all_of_the_history_leaves_no_name_of_them(app, client, batch):
    client.post("/history/delete")
    assert client.get(batch).status_code == 404


def test_deleting_all_leaves_nothing(client, batch, cards, kept):
    ids = [id for id, _ in cards(batch)]
    answer = client.post(f"{batch}/delete")
    assert (answer.status_code, answer.location) == (303, "/history")
    assert kept() == []
    for path in (batch, f"{batch}.csv", *(f"/results/{id}" for id in ids)):
        assert client.get(path).status_code == 404
    assert client.post(f"{batch}/delete").status_code == 404


def test_deleting_all_spares_other_results(client, batch, send, png):
    other = send(("a.png", png)).location
    client.post(f"{batch}/delete")
    assert client.get(other).status_code == 200


# ---- The table ----


def test_the_table_holds_the_answers_as_they_were_sent(client, app, batch, cards):
    rows = table(client, batch)
    assert tuple(rows[0]) == COLUMNS
    assert [row["file"] for row in rows] == ["1.png", "1.png", "blot.png"]
    for row, (id, _) in zip(rows, cards(batch), strict=True):
        result = app.extensions["inkling"].storage.get(id)
        assert (row["label"], row["second_label"], row["third_label"]) == tuple(
            label for label, _ in result.predictions[:3]
        )
        assert float(row["confidence"]) == result.confidence
        assert (row["wording"], row["error"]) == (result.wording, "")


def test_the_table_speaks_the_visitors_language(client, send, jpeg, photo_model):
    batch = send(("a.jpg", jpeg), ("b.jpg", jpeg), model=photo_model).location
    client.set_cookie("inkling-language", "ru")
    row, _ = table(client, batch)
    assert {row["label"], row["second_label"]} == {"кошка", "собака"}
    assert row["wording"] in ("уверенно", "вероятно", "неуверенно")


def test_the_table_is_a_download_for_this_visitor_alone(client, batch):
    answer = client.get(f"{batch}.csv")
    assert answer.content_type == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="inkling.csv"'
    assert "private" in answer.headers["Cache-Control"]
    assert answer.data.startswith('\ufeff"file","label",'.encode())


def test_a_model_of_two_labels_has_no_third(client, send, jpeg, photo_model):
    rows = table(client, send(("a.jpg", jpeg), ("b.jpg", jpeg), model=photo_model).location)
    assert {row["label"] for row in rows} | {row["second_label"] for row in rows} == {"cat", "dog"}
    assert {(row["third_label"], row["third_confidence"]) for row in rows} == {("", "")}


@pytest.mark.parametrize("name", ["=1+1.png", "+1.png", "-1.png", "@SUM(A1).png"])
def test_a_name_in_the_table_is_no_formula(client, send, png, name):
    rows = table(client, send((name, png), ("plain, it is.png", png)).location)
    assert [row["file"] for row in rows] == [f"'{name}", "plain, it is.png"]


@pytest.mark.parametrize(
    "cell, safe",
    [("=1", "'=1"), ("\t=1", "'\t=1"), ("\r=1", "'\r=1"), ("cat", "cat"), ("", ""), ("a=1", "a=1"), ("0.5", "0.5")],
)
def test_only_what_a_spreadsheet_computes_is_marked(cell, safe):
    assert escape(cell) == safe
