"""Security headers, cross-site posts and invalid request headers: a rule for all routes, and variants on samples."""

import io
import re

import pytest
from werkzeug.test import create_environ, run_wsgi_app

from app import app as real_app
from inkling.web.edge.clients import PROBES
from inkling.web.edge.headers import HEADERS

ROUTES = sorted({(rule.rule, method) for rule in real_app.url_map.iter_rules() for method in rule.methods or ()})
POSTS = [rule for rule, method in ROUTES if method == "POST"]
SAMPLES = ("/predict", "/api/predict", "/results/<id>/delete")  # a form, the API, and an address with an id
OWN_ORIGIN = "http://localhost"


def ask(client, rule, method="POST", **headers):
    path = re.sub(r"<[^>]+>", "none", rule)
    return client.open(path, method=method, headers={name.replace("_", "-"): value for name, value in headers.items()})


def refused(answer):
    return answer.status_code == 403 and "own pages" in answer.text


def test_every_route_has_the_security_headers(client):
    for rule, method in ROUTES:
        answer = ask(client, rule, method)
        assert [(name, answer.headers.getlist(name)) for name in HEADERS] == [
            (name, [value]) for name, value in HEADERS.items()
        ], (rule, method)


def test_every_route_that_takes_posts_refuses_those_of_other_sites(client):
    assert set(SAMPLES) < set(POSTS)
    for rule in POSTS:
        assert refused(ask(client, rule, Sec_Fetch_Site="cross-site")), rule
        answer = ask(client, rule)
        assert answer.status_code in (303, 400, 401, 403, 404, 415), rule  # for an empty post of a visitor
        assert not refused(answer), rule


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": OWN_ORIGIN},
        {"Sec_Fetch_Site": "no-such-value"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://localhost:8000"},
        {"Origin": "http://evil.example@localhost:1"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://["},
    ],
    ids=str,
)
def test_a_cross_site_post_is_refused(client, headers):
    for rule in SAMPLES:
        assert refused(ask(client, rule, **headers)), rule


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin", "Origin": OWN_ORIGIN},
        {"Origin": OWN_ORIGIN},
    ],
    ids=str,
)
def test_our_own_pages_may_post(client, headers):
    for rule in SAMPLES:
        assert ask(client, rule, **headers).status_code in (303, 400, 404), rule


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_are_refused_from_other_sites_too(client, method):
    assert client.open("/predict", method=method, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


def test_other_sites_may_link_to_us(client):
    for path in ("/", "/help", "/api/models"):
        assert client.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("host", ["[::::]", "[1:2]"])
def test_an_invalid_host_is_refused(app, host):
    for path in ("/", "/no-such-page", "/api/docs", "/healthz"):
        # A test client would parse the host itself.
        _, status, headers = run_wsgi_app(app, create_environ(path) | {"HTTP_HOST": host})
        assert status == "400 BAD REQUEST", path
        assert headers["X-Content-Type-Options"] == "nosniff"


# ---- INKLING_HOSTS ----

NAMED = ("inkling.example.org", "127.0.0.1", "::1")


@pytest.fixture
def named(make_app, settings):
    return make_app(settings.replace(hosts=NAMED)).test_client()


@pytest.mark.parametrize(
    "host", ["inkling.example.org", "INKLING.example.org:8000", "inkling.example.org.", "127.0.0.1:5000", "[::1]:5000"]
)
def test_a_named_host_is_answered_at_any_port(named, host):
    assert named.get("/help", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost", "evil.example", "example.org", "x.inkling.example.org", "127.0.0.1.nip.io"]
)
def test_any_other_host_gets_a_clear_problem(named, host):
    for path in ("/", "/no-such-page", "/metrics", "/static/style.css"):
        answer = named.get(path, headers={"Host": host})
        assert answer.status_code == 400, path
        assert "INKLING_HOSTS" in answer.text
    problem = named.get("/api/models", headers={"Host": host})
    assert (problem.status_code, problem.mimetype) == (400, "application/problem+json")
    assert f"“{host}”" in problem.json["detail"]


def test_load_balancers_may_ask_by_address(named):
    for path in PROBES:
        assert named.get(path, headers={"Host": "10.0.0.7:8000"}).status_code == 200


def test_without_names_any_host_is_answered(client):
    assert client.get("/help", headers={"Host": "anything.example"}).status_code == 200


# ---- Caches ----


def test_whatever_is_a_visitors_is_kept_in_their_browser_only(client, png, ink_model, data_url):
    """Every route that answers about results, batches, histories and taught classifiers, also when it refuses."""
    result = client.post("/predict", data={"model": ink_model, "drawing": data_url(png)}).location
    files = [(io.BytesIO(png), "a.png"), (io.BytesIO(png), "b.png")]
    batch = client.post("/predict", data={"model": ink_model, "image": files}).location
    known = {"/results/<id>": result, "/batches/<id>": batch}
    private = ("/results/", "/batches/", "/history", "/teach", "/api/classifiers")
    routes = [rule for rule, method in ROUTES if method == "GET" and rule.startswith(private)]
    assert len(routes) > 15
    statuses = set()
    for rule in routes:
        path = next((rule.replace(start, here) for start, here in known.items() if rule.startswith(start)), rule)
        answer = ask(client, path, "GET")
        statuses.add(answer.status_code)
        assert answer.headers["Cache-Control"] == "private, no-cache", (rule, answer.status_code)
    assert {200, 404} <= statuses


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since", "If-Range"])
def test_an_invalid_date_is_ignored(client, name):
    for date in ("Mon, 01 Jan 9999999999 00:00:00 GMT", "Mon, 01 Jan 2001 00:00:00 +9999999999999999"):
        answer = client.get("/static/style.css", headers={name: date, "Range": "bytes=0-1"})
        assert answer.status_code in (200, 206)


@pytest.mark.parametrize("referrer", ["http://localhost/\t/[x", "http://localhost/[::", "http://[x/", "[", "//", ""])
def test_an_invalid_referrer_leads_to_our_own_page(client, referrer):
    answer = client.post("/language", data={"language": "ru"}, headers={"Referer": referrer})
    assert answer.status_code == 303
    assert re.match("/(?![/\\\\])", answer.location)


def test_a_refused_post_deletes_nothing(client, ink_model, png, data_url):
    answer = client.post("/predict", data={"model": ink_model, "drawing": data_url(png)})
    where = answer.location
    assert where.startswith("/results/")
    assert client.post(f"{where}/delete", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.get(where).status_code == 200


def test_a_refused_post_keeps_nothing(client, ink_model, png, data_url, kept):
    client.post("/predict", data={"model": ink_model, "drawing": data_url(png)}, headers={"Origin": "null"})
    assert kept() == []
