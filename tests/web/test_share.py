"""What pages tell search engines and link previews."""

import html
import re

import pytest

from app import app as real_app

INDEXED = {"/", "/help", "/models", "/compare/<task>"}  # nothing else is indexed
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


def test_search_engines_are_kept_out_of_all_but_four_pages(client, address):
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
    assert tags["og:image"] == f"http://localhost{result}/picture"
    assert re.search(r"\b1 (>99|\d+)%", tags["og:description"])


def test_the_address_of_a_result_goes_to_no_other_site(client, result):
    """`same-origin` sends no Referer to other sites, and the page links to no other site."""
    answer = client.get(result)
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert not re.search(r'(?:href|src|action)="(?:https?:)?//(?!localhost/)', answer.text)
