"""Cross-origin calls: which origins may use which method on which route, in one matrix, and what they may read."""

import io

import pytest

from app import app as real_app
from inkling.config import Settings

NAMED = ("https://friend.example", "http://localhost:8000")
STRANGERS = (
    "https://evil.example",
    "http://friend.example",
    "https://friend.example:8443",
    "https://friend.example.evil.example",
    "https://sub.friend.example",
    "null",
    "",
)
OPEN = {"/api/models": "GET", "/api/predict": "POST"}
RULES = sorted({rule.rule for rule in real_app.url_map.iter_rules() if "<" not in rule.rule})
OURS = "Access-Control-"


@pytest.fixture
def client(make_app, settings):
    """A client of an app that names two origins, as the environment does."""
    named = Settings.from_env({"INKLING_CORS": ", ".join(NAMED)}).cors
    assert named == NAMED
    return make_app(settings.replace(cors=named)).test_client()


def call(client, method, path, origin, **headers):
    """Sends what a browser sends for the script of another site's page."""
    return client.open(path, method=method, headers={"Origin": origin, "Sec-Fetch-Site": "cross-site", **headers})


def preflight(client, method, path, origin):
    wish = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "content-type"}
    return call(client, "OPTIONS", path, origin, **wish)


def granted(answer):
    """The headers by which a browser decides whether the page may see the answer."""
    return {name: value for name, value in answer.headers if name.startswith(OURS)}


@pytest.mark.parametrize("origin", [*NAMED, *STRANGERS])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_only_named_origins_are_answered_and_only_on_open_routes(client, origin, method):
    for path in RULES:
        open_to_them = path in OPEN and origin in NAMED
        answer, asked = call(client, method, path, origin), preflight(client, method, path, origin)
        assert granted(answer).get(f"{OURS}Allow-Origin") == (origin if open_to_them else None), path
        offered = granted(asked).get(f"{OURS}Allow-Methods")
        assert (offered == method) == (open_to_them and OPEN[path] == method), path
        if method != "GET" and not open_to_them:
            assert answer.status_code == 403, path
        for each in (answer, asked):
            assert f"{OURS}Allow-Credentials" not in each.headers
            assert ("Origin" in each.vary) == (path in OPEN), path


@pytest.mark.parametrize("origin", NAMED)
def test_a_named_origin_gets_answers_and_reads_errors(client, png, origin):
    assert preflight(client, "POST", "/api/predict", origin).status_code == 200
    files = {"image": (io.BytesIO(png), "a.png")}
    headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
    answer = client.post("/api/predict?model=digits-cnn", data=files, headers=headers)
    assert (answer.status_code, answer.json["label"]) == (200, "1")
    refused = client.post("/api/predict", headers=headers)
    assert (refused.status_code, refused.json["reason"]) == (400, "missing")
    for each in (answer, refused):
        assert granted(each) == {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": "Retry-After, X-Request-ID",
        }


def test_by_default_no_origin_is_allowed(app):
    for path, method in OPEN.items():
        for answer in (
            call(app.test_client(), method, path, NAMED[0]),
            preflight(app.test_client(), method, path, NAMED[0]),
        ):
            assert granted(answer) == {}
            assert "Origin" not in answer.vary
    assert call(app.test_client(), "POST", "/api/predict", NAMED[0]).status_code == 403
