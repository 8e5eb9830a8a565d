"""Pages that change only with the models are rendered once for each variant, and never with anything private."""

import dataclasses
from datetime import timedelta

import pytest
from flask import template_rendered

from inkling import access
from inkling.recognition.card import Taught
from inkling.web import cached
from inkling.web.edge.access import COOKIE

PAGES = ("/models", "/models/digits-cnn", "/compare/digits", "/api/docs")


@pytest.fixture
def rendered(app):
    """The templates that were rendered, in their order."""
    names = []

    def note(_app, template, **_):
        names.append(template.name)

    with template_rendered.connected_to(note, app):
        yield names


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_rendered_once_and_not_sent_to_whoever_has_it(client, rendered, path):
    first, second = client.get(path), client.get(path)
    assert (first.status_code, len(rendered)) == (200, 1)
    assert second.data == first.data
    assert first.headers["Cache-Control"] == "no-cache"
    assert {"Accept-Language", "Cookie"} <= set(first.vary)
    known = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
    assert (known.status_code, known.data, len(rendered)) == (304, b"", 1)
    assert known.headers["ETag"] == first.headers["ETag"]
    assert known.headers["Content-Security-Policy"] == first.headers["Content-Security-Policy"]
    assert client.head(path).headers["ETag"] == first.headers["ETag"]


VARIANTS = {
    "language": {"headers": {"Accept-Language": "ru"}},
    "theme": {"headers": {"Cookie": "inkling-theme=dark"}},
    "host": {"base_url": "http://inkling.example.org"},
    "scheme": {"base_url": "https://localhost"},
}


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("variant", VARIANTS)
def test_each_variant_is_a_page_of_its_own(app, make_app, path, variant):
    client = app.test_client(use_cookies=False)
    fresh = make_app().test_client(use_cookies=False).get(path, **VARIANTS[variant])
    plain = client.get(path)
    for _ in range(2):
        answer = client.get(path, **VARIANTS[variant])
        assert answer.data == fresh.data != plain.data
        assert answer.headers["ETag"] != plain.headers["ETag"]
    assert client.get(path).data == plain.data


def test_a_pair_of_labels_is_a_page_of_its_own(client, make_app):
    path = "/models/digits-cnn"
    pair = client.get(path).text.partition('href="?pair=')[2].partition("#")[0]
    client.get(path)
    opened = client.get(f"{path}?pair={pair}")
    assert f'id="pair-{pair}" open' in opened.text
    assert f'id="pair-{pair}" open' not in client.get(path).text
    assert client.get(f"{path}?other={pair}").headers["ETag"] == client.get(path).headers["ETag"]


def test_another_catalog_is_rendered_anew(app, client, rendered):
    before = client.get("/models").text
    predictor = app.extensions["inkling"].predictor
    predictor._catalog = predictor.catalog.without("digits-cnn", "a test")
    after = client.get("/models").text
    assert after != before
    assert client.get("/models").text == after
    assert len(rendered) == 2


def test_a_measurement_is_rendered(app, client, rendered):
    client.get("/models")
    predictor = app.extensions["inkling"].predictor
    predictor._milliseconds = {predictor.catalog.models["digits-cnn"]: 5.0}
    client.get("/models")
    assert len(rendered) == 2


@pytest.mark.parametrize("path", ["/models/no-such-model", "/compare/nothing"])
def test_what_is_no_page_is_not_kept(app, client, path):
    assert [client.get(path).status_code for _ in range(2)] == [404, 404]
    assert not app.extensions["pages"]._pages


def test_a_signed_in_browser_gets_a_page_of_its_own_that_nobody_else_sees(app, client):
    plain = client.get("/models")
    signed_in, storage = app.test_client(), app.extensions["inkling"].storage
    token = access.new_token(storage.tokens, "teach", "somebody", timedelta(days=1))
    assert signed_in.post("/sign-in", data={"token": token}).status_code == 303
    for _ in range(2):
        own = signed_in.get("/models", headers={"If-None-Match": plain.headers["ETag"]})
        assert (own.status_code, own.headers.get("ETag")) == (200, None)
        assert "Sign out" in own.text
        assert "Sign out" not in client.get("/models").text


def test_a_model_that_is_its_owners_only_is_on_no_page_that_is_kept(app, client, owner):
    """The catalog that everybody shares holds it; visitors get the pages of the catalog without it."""
    predictor = app.extensions["inkling"].predictor
    model, taught = predictor.catalog.models["digits-cnn"], Taught(classifier="c", version=1, owner=access.LOCAL)
    card = model.card.model_copy(update={"name": "secret", "title": "Secret", "taught": taught})
    models = dict(predictor.catalog.models) | {"secret": dataclasses.replace(model, card=card)}
    predictor._catalog = dataclasses.replace(predictor.catalog, models=models)
    for _ in range(2):
        assert "Secret" in owner.get("/models").text
        assert "ETag" not in owner.get("/models").headers
        assert "Secret" not in client.get("/models").text
        assert client.get("/models/secret").status_code == 404


def test_no_page_holds_a_cookie(client):
    client.post("/language", data={"language": "ru"})
    for path in PAGES:
        assert "Set-Cookie" not in client.get(path).headers


def test_many_variants_do_not_fill_the_memory(app, client):
    for i in range(cached.MOST + 5):
        client.get(f"/models?i={i}", base_url=f"http://host{i}")
    assert len(app.extensions["pages"]._pages) == cached.MOST


def test_only_a_page_that_is_rendered_costs_a_point(make_app, settings):
    client = make_app(settings.replace(rate_limit=2)).test_client()
    assert [client.get(path).status_code for path in (*PAGES[:2], *PAGES[:2], PAGES[2])] == [200] * 4 + [429]
    assert client.get("/").status_code == 200


def test_a_cookie_makes_no_page_free(make_app, settings):
    client = make_app(settings.replace(rate_limit=2)).test_client()
    client.set_cookie(COOKIE, "anything")
    assert [client.get(PAGES[0]).status_code for _ in range(3)] == [200, 200, 429]
