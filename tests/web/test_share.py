"""What pages tell search engines and link previews."""

import html
import io
import re

import numpy as np
import pytest
from PIL import Image

from app import app as real_app
from inkling.pictures import sharing
from inkling.web.schemas import Result

INDEXED = {"/", "/help", "/privacy", "/models", "/compare/<task>"}  # nothing else is indexed
RULES = sorted({rule.rule for rule in real_app.url_map.iter_rules()})


def meta(answer):
    """Returns a mapping from name or property to content of a page's meta tags."""
    tags = re.findall(r'<meta (?:name|property)="([^"]+)" content="([^"]*)">', answer.text)
    assert len(tags) == len(dict(tags)), "no meta tag appears twice"
    return {name: html.unescape(content) for name, content in tags}


@pytest.fixture
def result(client, png, data_url, ink_model):
    return client.post("/predict", data={"model": ink_model, "drawing": data_url(png)}).location


@pytest.fixture
def address(result, ink_model):
    """Fills in the variables of a route."""
    parts = {"<task>": "digits", "<name>": ink_model, "<file>": "curves.svg", "<path:filename>": "style.css"}

    def fill(rule):
        rule = rule.replace("/results/<id>", result)
        for part, text in parts.items():
            rule = rule.replace(part, text)
        return re.sub("<[^>]+>", "none", rule)

    return fill


def test_search_engines_are_kept_out_of_all_but_these_pages(client, address):
    for rule in RULES:
        answer = client.get(address(rule))
        kept_out = rule not in INDEXED
        assert (answer.headers.get("X-Robots-Tag") == "noindex") == kept_out, rule
        if answer.mimetype == "text/html" and "<head>" in answer.text:
            assert (meta(answer).get("robots") == "noindex") == kept_out, rule
            assert ('rel="canonical"' in answer.text) != kept_out, rule


@pytest.mark.parametrize("path", ["/no-such-page", "/compare/none", "/models/none", "/results/none"])
def test_search_engines_are_kept_out_of_errors(client, path):
    answer = client.get(path)
    assert (answer.status_code, answer.headers["X-Robots-Tag"], meta(answer)["robots"]) == (404, "noindex", "noindex")
    assert 'rel="canonical"' not in answer.text


def test_the_canonical_address_leaves_the_choices_out(client):
    answer = client.get("/help?reason=blank")
    assert '<link rel="canonical" href="/help">' in answer.text


@pytest.mark.parametrize("rule", ["/", "/help", "/models", "/models/<name>", "/compare/<task>", "/results/<id>"])
def test_a_link_to_a_page_has_a_title_a_description_and_a_picture(client, address, rule):
    answer = client.get(address(rule))
    tags = meta(answer)
    assert tags["og:title"] == html.unescape(re.search("<title>(.*?)</title>", answer.text)[1])
    assert tags["og:description"] == tags["description"]
    assert 20 < len(tags["description"]) < 200
    assert tags["og:type"] == "website"
    assert tags["og:url"] == "http://localhost" + address(rule)
    picture = client.get(tags["og:image"])
    assert tags["og:image"].startswith("http://localhost/")
    assert (picture.status_code, picture.mimetype) == (200, "image/png")


def test_descriptions_differ(client, address):
    texts = [meta(client.get(address(rule)))["description"] for rule in (*INDEXED, "/models/<name>", "/results/<id>")]
    assert len(set(texts)) == len(texts)


def test_a_link_to_a_result_shows_its_picture_and_answer(client, result):
    answer = client.get(result)
    tags = meta(answer)
    assert tags["og:image"] == f"http://localhost{result}/card.png"
    assert re.search(r"\b1 (>99|\d+)%", tags["og:description"])


@pytest.mark.parametrize("language", ["en", "ru"])
@pytest.mark.parametrize("shape", [(400, 300), (30, 900), (1600, 20)], ids=str)
def test_the_card_has_the_size_of_link_previews_and_holds_picture_and_text(
    client, photo_model, encode, shape, language
):
    file = io.BytesIO(encode(Image.new("RGB", shape, (200, 30, 30)), "JPEG"))
    result = client.post("/predict", data={"model": photo_model, "image": (file, "a.jpg")}).location
    answer = client.get(f"{result}/card.png", headers={"Accept-Language": language})
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    with Image.open(io.BytesIO(answer.data)) as card:
        assert card.size == (1200, 630)
        pixels = np.asarray(card.convert("RGB")).astype(int)
    assert (np.abs(pixels[:, :600] - (200, 30, 30)).max(axis=2) < 40).any(), "the picture is on the left"
    assert (pixels[100:540, 620:].max(axis=2) < 60).sum() > 500, "the answer is on the right"


@pytest.mark.parametrize("title", ["Cat", "Осьминог", "Электроэнцефалографический аппарат", "a " * 90, "W" * 60])
def test_a_cards_text_stays_on_the_card_and_has_every_letter(title):
    card = np.asarray(sharing.card(Image.new("RGB", (9, 9)), title, "")).astype(int)
    ink = card[:, sharing.WIDTH - sharing.MARGIN // 2 :].min(axis=2) < 200
    assert not ink.any() or " " not in title and len(title) > 40, "only a word as long as no label is cut off"
    assert (card[:, 620:].min(axis=2) < 200).any()


def test_opencv_writes_cyrillic_letters():
    """A font without them would write the same box for each."""
    written = [np.asarray(sharing.card(Image.new("RGB", (9, 9)), letter, "")) for letter in "ЖШИО"]
    assert len({card.tobytes() for card in written}) == len(written)


@pytest.mark.parametrize("model", ["digits-cnn", None], ids=["a model", "Auto"])
def test_a_result_is_data_of_the_apis_shape(client, png, model):
    fields = {"image": (io.BytesIO(png), "a.png")} | ({"model": model} if model else {})
    result = client.post("/predict", data=fields).location
    address = "/api/predict" + (f"?model={model}" if model else "")
    from_api = client.post(address, data={"image": (io.BytesIO(png), "a.png")}).json
    for answer in (client.get(f"{result}.json"), client.get(result, headers={"Accept": "application/json"})):
        assert answer.mimetype == "application/json"
        Result.model_validate(answer.json)
        same = answer.json.keys() - {"milliseconds", "predictions", "confidence"}
        assert answer.json.keys() == from_api.keys()
        assert {key: answer.json[key] for key in same} == {key: from_api[key] for key in same}
        assert answer.json["confidence"] == pytest.approx(from_api["confidence"], abs=1e-4)
    assert len(client.get(f"{result}.json?top=2").json["predictions"]) == 2
    assert client.get(result, headers={"Accept": "text/html,*/*;q=0.8"}).mimetype == "text/html"
    assert "Accept" in client.get(result).headers["Vary"]


def test_data_of_a_result_that_is_gone_is_a_problem(client):
    answer = client.get("/results/none.json")
    assert (answer.status_code, answer.mimetype) == (404, "application/problem+json")


def test_the_address_of_a_result_goes_to_no_other_site(client, result):
    """`same-origin` sends no Referer to other sites, and the page links to no other site."""
    answer = client.get(result)
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert not re.search(r'(?:href|src|action)="(?:https?:)?//(?!localhost/)', answer.text)
