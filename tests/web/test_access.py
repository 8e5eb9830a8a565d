"""Who may do what: the owner at the machine itself, and visitors."""

import pytest

from inkling import access
from inkling.web.edge.access import needs, principal

LOOPBACK = {"SERVER_NAME": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1"}


@pytest.fixture
def app(app):
    """The app with a page and an API route that need the scope `teach`."""

    @needs("teach")
    def view():
        return principal().owner

    for path in ("/private", "/api/private"):
        app.add_url_rule(path, path, view, methods=["GET", "POST"])
    return app


def owner_of(client, headers=(), **environ):
    """Whose request the app takes this one for; None for a visitor."""
    answer = client.post("/api/private", headers=headers, environ_overrides=LOOPBACK | environ)
    assert answer.status_code in (200, 401)
    return answer.text if answer.status_code == 200 else None


# ---- The owner at the machine itself ----


@pytest.mark.parametrize("host", ["localhost", "localhost:5000", "LOCALHOST", "127.0.0.1:80", "[::1]", "[::1]:5000"])
@pytest.mark.parametrize("server, peer", [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("127.0.0.1", "127.0.0.9")])
def test_the_owner_at_the_machine_needs_no_token(client, host, server, peer):
    assert owner_of(client, {"Host": host}, SERVER_NAME=server, REMOTE_ADDR=peer) == access.LOCAL


@pytest.mark.parametrize(
    "environ",
    [
        {"SERVER_NAME": "0.0.0.0"},
        {"SERVER_NAME": "::"},
        {"SERVER_NAME": "192.168.1.5"},
        {"SERVER_NAME": "localhost"},  # a Unix socket's requests: gunicorn takes the name from their Host
        {"SERVER_NAME": ""},
        {"REMOTE_ADDR": "192.168.1.9"},
        {"REMOTE_ADDR": "::ffff:192.168.1.9"},
        {"REMOTE_ADDR": ""},
        {"SERVER_PROTOCOL": "HTTP/1.0"},
    ],
    ids=str,
)
def test_another_connection_is_not_the_owners(client, environ):
    assert owner_of(client, **environ) is None


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.", "localhost@evil.example", ""])
def test_a_name_that_was_made_to_lead_here_is_not_the_owners(client, host):
    assert owner_of(client, HTTP_HOST=host) is None


@pytest.mark.parametrize(
    "header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Anything", "Via", "X-Real-IP"]
)
@pytest.mark.parametrize("value", ["127.0.0.1", ""])
def test_a_request_through_an_unnamed_proxy_is_not_the_owners(client, header, value):
    assert owner_of(client, {header: value}) is None


def test_a_trusted_proxy_on_the_same_machine_is_not_the_owner(make_app, settings):
    app = make_app(settings.replace(trusted_proxies=settings.metrics_from))
    app.add_url_rule("/api/private", "private", needs("teach")(lambda: principal().owner), methods=["POST"])
    assert owner_of(app.test_client()) is None
    assert owner_of(app.test_client(), {"X-Forwarded-For": "127.0.0.1"}) is None


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:1", "null", "http://["])
def test_a_page_of_another_origin_is_not_the_owner(client, origin):
    answer = client.get("/api/private", headers={"Origin": origin}, environ_overrides=LOOPBACK)
    assert answer.status_code == 401


# ---- Refusals ----


def test_a_refusal_says_how_to_get_in(client):
    answer = client.post("/api/private")
    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert answer.json["reason"] == "unauthorized"
    assert "inkling tokens add --scope teach" in answer.json["detail"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    page = client.get("/private", headers={"Accept-Language": "ru"})
    assert page.status_code == 401
    assert "inkling tokens add --scope teach" in page.text
