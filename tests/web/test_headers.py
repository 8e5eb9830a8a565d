"""A post that another site makes a browser send is refused, on every route that takes posts."""

import re

import pytest
from werkzeug.test import create_environ, run_wsgi_app

from app import app as real_app

POSTS = sorted(rule.rule for rule in real_app.url_map.iter_rules() if "POST" in rule.methods)
HOSTS_OWN = "http://localhost"


def post(client, rule, **headers):
    path = re.sub(r"<[^>]+>", "none", rule)
    return client.post(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_there_are_routes_to_guard():
    assert {"/predict", "/api/predict", "/results/<id>/delete"} <= set(POSTS)


@pytest.mark.parametrize("rule", POSTS)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site", "Origin": HOSTS_OWN},
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
def test_a_cross_site_post_is_refused(client, rule, headers):
    answer = post(client, rule, **headers)
    assert answer.status_code == 403
    assert "own pages" in answer.text


@pytest.mark.parametrize("rule", POSTS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec_Fetch_Site": "same-origin"},
        {"Sec_Fetch_Site": "none"},
        {"Sec_Fetch_Site": "same-origin", "Origin": HOSTS_OWN},
        {"Origin": HOSTS_OWN},
    ],
    ids=str,
)
def test_our_own_pages_and_programs_may_post(client, rule, headers):
    assert post(client, rule, **headers).status_code in (303, 400, 404)  # each its own answer to an empty post


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_whatever_else_could_change_something_is_guarded(client, method):
    assert client.open("/predict", method=method, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/help", "/api/models"])
def test_other_sites_may_link_to_us(client, path):
    assert client.get(path, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/help", "/no-such-page", "/api/docs", "/healthz"])
@pytest.mark.parametrize("host", ["[::::]", "[1:2]"])
def test_a_host_that_is_none_is_refused(app, path, host):
    _, status, headers = run_wsgi_app(app, create_environ(path) | {"HTTP_HOST": host})  # a client would read it itself
    assert status == "400 BAD REQUEST"
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since", "If-Range"])
def test_a_date_that_no_calendar_has_is_passed_over(client, name):
    for date in ("Mon, 01 Jan 9999999999 00:00:00 GMT", "Mon, 01 Jan 2001 00:00:00 +9999999999999999"):
        answer = client.get("/static/style.css", headers={name: date, "Range": "bytes=0-1"})
        assert answer.status_code in (200, 206)


@pytest.mark.parametrize("referrer", ["http://localhost/\t/[x", "http://localhost/[::", "http://[x/", "[", "//", ""])
def test_whatever_page_a_post_says_it_came_from(client, referrer):
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
