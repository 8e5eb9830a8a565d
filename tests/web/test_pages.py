"""The pages of the main path, and the help page that explains what went wrong."""

import html
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import abort
from PIL import Image
from werkzeug.exceptions import default_exceptions

from app import app as real_app
from inkling.problems import REASONS, advice
from inkling.recognition.catalog import read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import classify_one
from inkling.web.edge.errors import WORDS
from inkling.web.edge.headers import HEADERS
from inkling.web.views.help import CHAT, TEACHING
from tests.support.storage import add

PAGES = (
    "/",
    "/teach",
    "/play",
    "/help",
    "/privacy",
    "/help?reason=truncated",
    "/models",
    "/models/<name>",
    "/models/<name>?pair=4-9",
    "/compare/<task>",
    "/lab",
    "/ask",
    "/ask/<id>",
    "/api/docs",
    "/results/<id>",
    "/results/<id>/others",
    "/results/<id>/why",
    "/results/<id>/layers",
    "/batches/<id>",
    "/batches/<id>?sort=sure",
    "/history",
    "/offline",
    "/sign-in",
)
OTHERS = (
    "/labels",
    "/results/<id>.json",
    "/results/<id>/card.png",
    "/results/<id>/enough.png",
    "/results/<id>/picture",
    "/results/<id>/labels",
    "/results/<id>/heatmap.png",
    "/results/<id>/steps/<step>.png",
    "/results/<id>/layers.png",
    "/results/<id>/seen.png",
    "/results/<id>/thumbnail",
    "/batches/<id>.csv",
    "/models/<name>/<file>",
    "/api/models",
    "/api/openapi.json",
    "/healthz",
    "/metrics",
    "/readyz",
    "/robots.txt",
    "/static/<path:filename>",
    "/v2",
    "/v2/health/live",
    "/v2/health/ready",
    "/v2/models/<name>",
    "/v2/models/<name>/ready",
    "/worker.js",
)
REDIRECTS = {"/docs": "/api/docs"}
WITH_CONTACT = {"/.well-known/security.txt"}  # test_about.py
FOR_TEACHERS = ("/teach/<id>", "/api/classifiers", "/api/sources")  # test_teach_page.py and test_classifiers.py do
FILE_REASONS = (
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
NOT_THE_PICTURES_FAULT = {"missing", "too-many", "unknown-model", "model-unavailable", "busy", "late", "rate-limited"}
IN_TEST_CHAT = set(CHAT)
IN_TEST_STROKES = {"strokes"}
POLICY = ("default-src 'self'", "object-src 'none'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'")


class Page(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self, answer):
        super().__init__()
        self.tags = []
        self.feed(answer.text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def result(client, drawing, encode, data_url, ink_model):
    """The address of a drawing's result."""
    answer = client.post("/predict", data={"model": ink_model, "drawing": data_url(encode(drawing))})
    assert answer.status_code == 303
    return answer.location


@pytest.fixture
def batch(client, png, ink_model):
    """The address of a batch of two pictures, one of them bad."""
    files = [(io.BytesIO(png), "a.png"), (io.BytesIO(b"hello"), "notes.txt")]
    return client.post("/predict", data={"model": ink_model, "image": files}).location


@pytest.fixture
def address(result, batch, ink_model):
    """Fills in the variables of a route."""
    parts = {
        "/ask/<id>": result.replace("/results/", "/ask/"),
        "/results/<id>": result,
        "/batches/<id>": batch,
        "<path:filename>": "style.css",
        "<name>": ink_model,
        "<file>": "curves.svg",
        "<task>": "digits",
        "<step>": "found",
    }

    def fill(rule):
        for part, text in parts.items():
            rule = rule.replace(part, text)
        return rule

    return fill


@pytest.fixture
def bad_drawings(png, encode, data_url):
    """Returns a mapping from reasons to data URLs that are refused for them."""
    frames = [Image.new("L", (8, 8), 40 * i) for i in range(6)]
    return {
        "truncated": data_url(png[:-20]),
        "animated-too-long": data_url(encode(frames[0], "WEBP", save_all=True, append_images=frames[1:]), "image/webp"),
    }


def send(client, data, name="a.png", **fields):
    """Sends the photo form as a browser does."""
    return client.post("/predict", data={"image": (io.BytesIO(data), name), **fields})


def help_of(answer):
    """Returns the fields in the address of the help page that a response redirects to."""
    assert answer.status_code == 303
    where = urlsplit(answer.location)
    assert (where.scheme, where.netloc, where.path) == ("", "", "/help")
    return {name: value for name, (value,) in parse_qs(where.query, keep_blank_values=True).items()}


# ---- Rules for every page ----


def test_every_route_is_looked_at_here():
    rules = {rule.rule for rule in real_app.url_map.iter_rules() if "GET" in rule.methods}
    rules = {rule for rule in rules if not rule.startswith(FOR_TEACHERS)}
    assert {page.split("?")[0] for page in PAGES} | set(OTHERS) | REDIRECTS.keys() | WITH_CONTACT == rules


@pytest.mark.parametrize("rule", PAGES)
def test_a_page_is_html_with_one_headline(client, address, rule):
    answer = client.get(address(rule))
    page = Page(answer)
    assert answer.status_code == 200
    assert answer.content_type == "text/html; charset=utf-8"
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert page.all("html") == [{"lang": "en"}]
    assert re.search(r"<title>.*Inkling.*</title>", answer.text)


@pytest.mark.parametrize("rule", OTHERS)
def test_no_other_route_answers_with_a_page(client, address, rule):
    answer = client.get(address(rule))
    assert answer.status_code == 200
    assert answer.mimetype != "text/html"


@pytest.mark.parametrize("path, target", REDIRECTS.items())
def test_an_old_or_guessed_address_leads_to_the_page(client, path, target):
    answer = client.get(path)
    assert (answer.status_code, answer.location) == (302, target)


def test_every_answer_carries_the_security_headers(client, address):
    for rule in (*PAGES, *OTHERS, *REDIRECTS, "/no-such-page", "/predict", "/results/none", "/api/nothing"):
        headers = client.get(address(rule)).headers
        assert {name: headers[name] for name in HEADERS} == HEADERS, rule
    assert HEADERS["X-Content-Type-Options"] == "nosniff"
    assert HEADERS["X-Frame-Options"] == "DENY"
    assert HEADERS["Referrer-Policy"] in ("same-origin", "no-referrer", "strict-origin-when-cross-origin")


def test_the_content_security_policy_is_strict():
    policy = HEADERS["Content-Security-Policy"].split("; ")
    assert set(POLICY) <= set(policy)
    assert not re.search(r"unsafe|\*|https?:|nonce", HEADERS["Content-Security-Policy"])
    assert not any(part.startswith(("script-src", "style-src")) for part in policy)


@pytest.mark.parametrize("rule", [*PAGES, "/no-such-page"])
def test_a_page_holds_nothing_that_the_policy_forbids(client, address, rule):
    page = Page(client.get(address(rule)))
    assert page.all("style") == []
    assert all(attributes.get("src") for attributes in page.all("script"))
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name == "style" or name.startswith("on")], tag
        for name in ("src", "href", "srcset", "action", "formaction", "poster", "data"):
            text = attributes.get(name) or ""
            if (tag, name) == ("img", "src") and text.startswith("data:image/"):
                continue  # the policy's img-src allows these
            where = urlsplit(text)
            assert (where.scheme, where.netloc) == ("", ""), f"<{tag} {name}> leaves this site"


@pytest.mark.parametrize("rule", PAGES)
def test_a_pages_own_links_lead_somewhere(client, address, rule):
    for tag, attributes in Page(client.get(address(rule))).tags:
        where = attributes.get("href") or attributes.get("src") or ""
        if where.startswith("/"):
            assert client.get(where).status_code == 200, f"<{tag}> leads to {where}"


@pytest.mark.parametrize(
    "path, method, status",
    [
        ("/no-such-page", "get", 404),
        ("/results/none", "get", 404),
        ("/results/none/picture", "get", 404),
        ("/results/none/seen.png", "get", 404),
        ("/results/none/thumbnail", "get", 404),
        ("/results/none/delete", "post", 404),
        ("/corrections", "get", 404),
        ("/results/none/nothing", "get", 404),
        ("/static/nothing.js", "get", 404),
        ("/static/../app.py", "get", 404),
        ("/models/none", "get", 404),
        ("/models/none/curves.svg", "get", 404),
        ("/compare/none", "get", 404),
        ("/results/none/others", "get", 404),
        ("/batches/none", "get", 404),
        ("/batches/none.csv", "get", 404),
        ("/batches/none/delete", "post", 404),
        ("/static/..%2fapp.py", "get", 404),
        ("/results/..%2f..%2fapp.py/picture", "get", 404),
        ("/predict", "get", 405),
        ("/help", "post", 405),
    ],
)
def test_an_error_is_a_page_in_our_style(client, path, method, status):
    answer = getattr(client, method)(path)
    page = Page(answer)
    assert answer.status_code == status
    assert [tag for tag, _ in page.tags].count("h1") == 1
    assert "/static/style.css" in [link.get("href") for link in page.all("link")]


@pytest.mark.parametrize("status", WORDS)
def test_an_error_is_told_in_our_words_and_what_is_known_of_it_in_its_place(app, monkeypatch, status):
    def refuse():
        abort(status, **said)

    monkeypatch.setitem(app.view_functions, "help.page", refuse)
    said = {}
    default = html.unescape(app.test_client().get("/help").text)
    said = {"description": "The moon is in the way."}
    known = html.unescape(app.test_client().get("/help").text)
    title, detail = WORDS[status]
    assert f"<h1>{title}</h1>" in default
    assert f"<h1>{title}</h1>" in known
    assert detail in default
    assert default_exceptions[status].description not in default
    assert said["description"] in known
    assert detail not in known


def test_a_fault_of_ours_is_a_page_that_tells_no_secret(app, monkeypatch, result):
    def fail(_):
        raise RuntimeError("SECRET")

    monkeypatch.setattr(app.extensions["inkling"].storage, "get", fail)
    answer = app.test_client().get(result)
    assert answer.status_code == 500
    assert "<h1>" in answer.text
    assert "SECRET" not in answer.text


# ---- The main path ----


def test_a_photo_is_answered_by_its_result(client, jpeg, photo_model):
    answer = send(client, jpeg, "holiday.JPG", model=photo_model)
    assert answer.status_code == 303
    assert re.fullmatch(r"/results/[\w-]{22}", answer.location)
    assert client.get(answer.location).status_code == 200


@pytest.mark.parametrize(
    "familiarity, headline, wording, percentages",
    [
        (-9.0, "This doesn't look like anything this model was trained on", "The closest thing it knows: 1", False),
        (9.0, "1", "More than 99% sure", True),
    ],
)
@pytest.mark.parametrize("strong", [True, False])
def test_an_unfamiliar_picture_gets_no_percentage_however_strong_the_answer(
    client, app, classifier, drawing, ink_model, familiarity, headline, wording, percentages, strong
):
    answer = classify_one(classifier, drawing, classifier.catalog.model(ink_model))
    assert answer.sure
    answer = replace(answer, familiarity=familiarity)
    if not strong:
        answer = replace(answer, probabilities=(answer.probabilities + 0.3) / 4)
        headline, wording = (
            headline.replace("1", "Not sure. Perhaps a 1."),
            wording.replace("More than 99% sure", "Just a guess: 32%"),
        )
    id = add(app.extensions["inkling"].storage, drawing, answer, "drawing", {"decode": 1.0} | answer.milliseconds)
    page = client.get(f"/results/{id}").text
    assert re.search(r"<h1[^>]*>(.*?)</h1>", page)[1] == headline
    assert re.search(r'<p class="wording">(.*?)</p>', page)[1].startswith(wording)
    answered = page.partition('<div class="tabs"')[0]
    assert ("%" in re.sub(r"<style.*?</style>", "", answered)) == percentages
    assert ('class="bars unfamiliar"' in page) != percentages


def test_a_result_shows_the_answer(client, app, result, classifier, drawing, ink_model):
    answer = classify_one(classifier, drawing, classifier.catalog.model(ink_model))
    kept = app.extensions["inkling"].storage.get(result.rpartition("/")[2])
    assert kept.label == answer.label
    page = client.get(result)
    headline = re.search(r"<h1[^>]*>(.*?)</h1>", page.text)[1]
    assert answer.label in headline
    starts = {"sure": answer.label.capitalize(), "probably": "Probably ", "not sure": "Not sure. Perhaps "}
    assert headline.startswith(starts[answer.wording])
    for label in answer.labels:
        assert f'<span class="label">{label}</span>' in page.text
    sources = [image["src"] for image in Page(page).all("img")]
    assert f"{result}/picture" in sources
    assert f"{result}/seen.png" in sources


def test_another_try_asks_the_same_model(client, result, jpeg, ink_model, photo_model):
    photo = send(client, jpeg, "a.jpg", model=photo_model).location
    assert f'href="/?way=draw&amp;model={ink_model}">Try another' in client.get(result).text
    assert f'href="/?model={photo_model}">Try another' in client.get(photo).text


def test_a_sure_answer_is_one_word(client, app, result, monkeypatch):
    store = app.extensions["inkling"].storage
    kept = replace(store.get(result.rpartition("/")[2]), sure=True, predictions=[["cat", 0.999], ["dog", 0.001]])
    monkeypatch.setattr(store, "get", lambda id: kept)
    page = client.get(result).text
    assert re.search(r"<h1[^>]*>Cat</h1>", page)
    assert "&gt;99%" in page
    assert "&lt;1%" in page
    assert "100%" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL).partition('<div class="tabs"')[0]


@pytest.mark.parametrize("name, size", [("picture", (400, 400)), ("seen.png", (28, 28)), ("thumbnail", (256, 256))])
def test_a_results_pictures_are_served_to_this_visitor_alone(client, result, name, size):
    answer = client.get(f"{result}/{name}")
    assert answer.mimetype == "image/png"
    assert Image.open(io.BytesIO(answer.data)).size == size
    caching = answer.headers["Cache-Control"]
    assert "private" in caching
    assert "no-store" in caching or "no-cache" in caching
    assert "public" not in caching


def test_a_photo_is_kept_without_where_and_when_it_was_taken(client, photo, photo_model, encode):
    exif = Image.Exif()
    exif[0x010E] = "SECRET description"
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0)})
    marked = encode(
        photo, "JPEG", exif=exif, comment=b"SECRET comment", icc_profile=b"SECRET profile", xmp=b"SECRET xmp"
    )
    assert marked.count(b"SECRET") == 4
    kept = client.get(send(client, marked, "a.jpg", model=photo_model).location + "/picture")
    assert b"SECRET" not in kept.data
    assert not Image.open(io.BytesIO(kept.data)).getexif()


def test_a_result_survives_a_restart(make_app, result):
    client = make_app().test_client()
    assert client.get(result).status_code == 200
    assert client.get(f"{result}/picture").status_code == 200


def test_a_result_survives_its_model(make_app, settings, tmp_path, result, ink_model):
    (tmp_path / "no-models").mkdir()
    client = make_app(classifier=LocalPredictor(read_catalog(tmp_path / "no-models"), settings)).test_client()
    assert f"{ink_model}, which is no longer installed" in client.get(result).text


def test_a_result_of_a_model_that_is_off_says_so(make_app, settings, tmp_path, result, ink_model):
    folder = tmp_path / "models-off" / ink_model
    folder.mkdir(parents=True)
    (folder / "card.json").write_text("{")
    client = make_app(classifier=LocalPredictor(read_catalog(folder.parent), settings)).test_client()
    assert f'<a href="/models/{ink_model}">{ink_model}, which is switched off</a>' in client.get(result).text


def test_deleting_leaves_nothing(client, result, kept, ten_minutes_later):
    assert len(kept()) == 3
    client.post(f"{result}/delete")
    ten_minutes_later()
    assert kept() == []
    for path in (result, f"{result}/picture", f"{result}/seen.png", f"{result}/thumbnail", f"{result}/others"):
        assert client.get(path).status_code == 404
    assert client.post(f"{result}/delete").status_code == 404


@pytest.mark.parametrize("id", ["inkling", "told", "holiday", "", ".", "%2e", "_", "Holiday-of-22-letters-"])
def test_nothing_but_a_results_own_files_can_be_deleted(client, result, settings, kept, id):
    """The database and other people's files are in the same folder."""
    (settings.pictures / "told").mkdir()
    (settings.pictures / "holiday.jpg").write_bytes(b"of others")
    (settings.pictures / "Holiday-of-22-letters-.txt").write_bytes(b"of others")
    before = sorted(path.name for path in settings.pictures.iterdir())
    assert "inkling.sqlite3" in before
    assert client.post(f"/results/{id}/delete").status_code in (404, 405)
    assert sorted(path.name for path in settings.pictures.iterdir()) == before
    assert client.get(result).status_code == 200


def test_without_its_picture_a_result_is_gone(client, result, settings):
    for path in settings.pictures.glob("*.png"):
        path.unlink()
    for path in (result, f"{result}/picture", f"{result}/others", f"{result}/thumbnail"):
        assert client.get(path).status_code == 404
    assert client.post(f"{result}/delete").status_code == 404


# ---- Errors ----


def test_every_reason_is_tried():
    elsewhere = NOT_THE_PICTURES_FAULT | IN_TEST_STROKES | IN_TEST_CHAT
    assert set(FILE_REASONS) | elsewhere | set(TEACHING) == REASONS.keys()


@pytest.mark.parametrize("reason", FILE_REASONS)
def test_a_bad_file_leads_to_the_help_page_and_is_not_kept(client, bad_files, ink_model, kept, reason):
    name, data = bad_files[reason]
    answer = help_of(send(client, data, name, model=ink_model))
    assert answer["reason"] == reason
    assert answer["model"] == ink_model  # so that the next try uses the same model
    assert kept() == []


@pytest.mark.parametrize("reason", sorted(set(FILE_REASONS) - {"extension"}))  # a drawing has no file name
def test_a_bad_drawing_leads_to_the_help_page_and_is_not_kept(
    client, bad_files, bad_drawings, ink_model, data_url, kept, reason
):
    drawing = bad_drawings.get(reason) or data_url(bad_files[reason][1])
    answer = help_of(client.post("/predict", data={"model": ink_model, "drawing": drawing}))
    assert answer["reason"] == reason
    assert answer["model"] == ink_model
    assert kept() == []


@pytest.mark.parametrize(
    "fields",
    [{}, {"image": (io.BytesIO(b""), "")}, {"image": "not a file"}, {"drawing": ""}, {"picture": "x"}],
    ids=["nothing", "no-file-chosen", "text", "no-drawing", "other-field"],
)
def test_without_a_picture_it_is_missing(client, ink_model, kept, fields):
    assert help_of(client.post("/predict", data={"model": ink_model, **fields}))["reason"] == "missing"
    assert kept() == []


@pytest.mark.parametrize("name", ["no-such-model", "../digits-cnn", "digits-cnn\0", "<script>"])
def test_an_unknown_model_is_told(client, png, kept, name):
    assert help_of(send(client, png, model=name))["reason"] == "unknown-model"
    assert kept() == []


@pytest.mark.parametrize("fields", [{}, {"model": ""}], ids=str)
def test_a_form_without_a_model_is_answered_by_auto(client, app, png, fields):
    where = send(client, png, **fields).location
    assert app.extensions["inkling"].storage.get(where.rpartition("/")[2]).route


def test_a_model_that_is_off_is_told(app_without_models, png, kept):
    assert help_of(send(app_without_models.test_client(), png, model="broken-one"))["reason"] == "model-unavailable"
    assert kept() == []


@pytest.mark.parametrize("size", [100_001, 133_000, 200_000, 1_000_000])
@pytest.mark.parametrize("field", ["image", "drawing"])
def test_every_size_limit_answers_too_large(client, ink_model, data_url, kept, field, size):
    data = bytes(size)
    fields = {"image": (io.BytesIO(data), "a.png")} if field == "image" else {"drawing": data_url(data)}
    answer = help_of(client.post("/predict", data={"model": ink_model, **fields}))
    assert answer["reason"] == "too-large"
    assert re.fullmatch(r"\d+ bytes", answer["got"])
    assert kept() == []


def test_a_drawing_as_large_as_allowed_is_read(client, ink_model, data_url, png, settings):
    """The form's limits leave room for base64."""
    drawing = data_url(png + bytes(settings.max_bytes - len(png)))
    assert client.post("/predict", data={"model": ink_model, "drawing": drawing}).location.startswith("/results/")


def test_an_address_stays_short_whatever_is_sent(client, png):
    assert len(send(client, png, model="x" * 50_000).location) < 1000


# ---- The help page ----


def test_help_shows_every_reason(client, settings):
    text = re.sub(r"\s+", " ", html.unescape(client.get("/help").text))
    for code, reason in REASONS.items():
        assert f'<details id="{code}">' in text
        assert reason.title in text
        assert advice(code, settings) in text
    assert 'role="alert"' not in text


@pytest.mark.parametrize("code", REASONS)
def test_help_puts_the_reason_on_top(client, settings, code):
    text = html.unescape(client.get(f"/help?reason={code}").text)
    assert re.search(r'role="alert">\s*<h1>(.*?)</h1>', text)[1] == REASONS[code].title
    assert advice(code, settings) in text.partition("Nothing was saved.")[0]
    assert "{" not in advice(code, settings)


@pytest.mark.parametrize("code", ["nonsense", "", "<script>alert(1)</script>", "__class__"])
def test_an_unknown_reason_is_plain_help(client, code):
    answer = client.get("/help", query_string={"reason": code})
    assert answer.status_code == 200
    assert "<h1>Help</h1>" in answer.text
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize("got", ["notes.txt", "2000 x 1000", "123456 bytes", "68 65 6c", "PNG"])
def test_help_says_what_was_received(client, got):
    assert f"Received: {got}." in client.get("/help", query_string={"reason": "extension", "got": got}).text


@pytest.mark.parametrize(
    "got",
    [
        "<script>alert(1)</script>",
        "<b>",
        'a"onclick=x',
        "javascript:alert(1)",
        "x" * 41,
        "",
        "a\nb",
        "call 555-1 now!",
        "&lt;b&gt;",
        "https://evil.example",
        "‮txt.exe",
    ],
)
def test_help_repeats_nothing_that_is_not_harmless(client, got):
    answer = client.get("/help", query_string={"reason": "extension", "got": got})
    assert answer.status_code == 200
    assert "Received:" not in answer.text
    assert not got or got not in answer.text


@pytest.mark.parametrize("name, shown", [("notes.txt", True), ("<img src=x onerror=alert(1)>.txt", False)])
def test_a_files_name_is_repeated_if_it_is_harmless(client, ink_model, name, shown):
    text = client.get(send(client, b"hello", name, model=ink_model).location).text
    assert (name in text) == shown
    assert "<img src=x" not in text


@pytest.mark.parametrize("field", ["way", "model"])
def test_trying_again_keeps_the_choice_and_escapes_it(client, field):
    text = client.get("/help", query_string={"reason": "empty", field: 'x"><script>'}).text
    assert f'href="/?{field}=x%22%3E%3Cscript%3E"' in text
    assert "<script>" not in text


# ---- The first page and its choice of models ----


def chosen(page, kind):
    """Returns the selected model of one of the first page's forms."""
    return (
        re.search(rf'id="{kind}-model".*?</select>', page.text, re.DOTALL)[0]
        .partition(" selected")[0]
        .rpartition('value="')[2]
        .partition('"')[0]
    )


@pytest.mark.parametrize("kind", ["photo", "draw"])
def test_the_choice_of_a_model_stands_in_the_address(client, classifier, kind):
    groups = classifier.catalog.by_task(None if kind == "photo" else "ink")
    names = [card.name for _, cards in groups for card in cards]
    assert len(names) >= 2
    for name in names:
        assert chosen(client.get("/", query_string={"model": name}), kind) == name
    assert chosen(client.get("/"), kind) == ""  # Auto
    assert chosen(client.get("/", query_string={"model": "no-such-model"}), kind) == ""


def test_the_drawing_form_offers_no_model_for_photos(client, photo_model):
    page = client.get("/", query_string={"model": photo_model})
    assert chosen(page, "draw") != photo_model


@pytest.mark.parametrize("asked, way", [(None, "photo"), ("draw", "draw"), ("camera", "camera"), ("<b>", "photo")])
def test_one_way_is_open_and_the_address_names_it(client, asked, way):
    page = Page(client.get("/", query_string={"way": asked}))
    stages = [tag for _, tag in page.tags if "stage" in (tag.get("class") or "").split()]
    assert [tag["data-way"] for tag in stages if "hidden" not in tag] == [way]
    assert [tag["data-way"] for tag in page.all("a") if tag.get("aria-current") == "true"] == [way]


@pytest.mark.parametrize("language, name, named", [("en", "octopus", "an octopus"), ("ru", "осьминог", "осьминог")])
def test_the_camera_learns_the_names_of_all_labels(client, classifier, language, name, named):
    names = client.get("/labels", headers={"Accept-Language": language}).json
    assert names["octopus"] == [name, named]
    assert names.keys() == {
        label for _, cards in classifier.catalog.by_task() for card in cards for label in card.labels
    }


def test_the_photo_form_works_without_javascript(client):
    form = next(form for form in Page(client.get("/")).all("form") if form.get("id") == "photo")
    assert (form["method"], form["action"], form["enctype"]) == ("post", "/predict", "multipart/form-data")


def test_the_first_page_is_light(client):
    """A first visit transfers less than 60 KB."""
    page = client.get("/")
    ours = {"/static/send.js", "/static/stage.js", "/static/upload.js", "/static/page.js"}
    linked = {
        attributes.get("href") or attributes.get("src")
        for tag, attributes in Page(page).tags
        if tag in ("link", "script", "img")
        and attributes.get("rel") != "canonical"
        and (attributes.get("href") or attributes.get("src"))
    }
    assert ours <= linked
    sizes = [len(client.get(path, headers={"Accept-Encoding": "gzip"}).data) for path in linked]
    assert len(page.data) + sum(sizes) < 60_000


@pytest.mark.parametrize("path", ["/", "/models", "/help", "/api/docs"])
def test_without_a_model_the_pages_still_answer(app_without_models, path):
    answer = app_without_models.test_client().get(path)
    assert answer.status_code == 200
    if path == "/models":
        assert "No model is installed." in answer.text
        assert '<a href="/models/broken-one">broken-one</a>' in answer.text
        assert "card.json: name" not in answer.text  # the cause is for operators
