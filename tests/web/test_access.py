"""Who may do what: the owner at the machine itself, tokens, browsers that signed in, and users that a proxy names."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from inkling import access
from inkling.config import Settings
from inkling.storage import records
from inkling.web.edge.access import COOKIE, GUESSES, needs, principal

LOOPBACK = {"SERVER_NAME": "127.0.0.1", "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1"}


@pytest.fixture
def make_app(make_app):
    """Makes the app with a page and an API route for each scope, which say whose request it was."""

    def make(*args):
        app = make_app(*args)
        for scope in access.SCOPES:
            view = needs(scope)(lambda: principal().owner)
            for path in (f"/needs/{scope}", f"/api/needs/{scope}"):
                app.add_url_rule(path, path, view, methods=["GET", "POST"])
        return app

    return make


@pytest.fixture
def tokens(app):
    return app.extensions["inkling"].storage.tokens


@pytest.fixture
def token(tokens):
    """Makes a token of a scope."""
    return lambda scope="teach", owner="ann", days=1: access.new_token(tokens, scope, owner, timedelta(days=days))


@pytest.fixture
def at(monkeypatch):
    """Sets the database's clock forward."""
    real = records.now
    return lambda later: [
        monkeypatch.setattr(f"inkling.storage.{module}.now", lambda: real() + later) for module in ("records", "tokens")
    ]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def ask(client, scope="teach", headers=(), **environ):
    return client.post(f"/api/needs/{scope}", headers=headers, environ_overrides=environ)


def owner_of(client, headers=(), **environ):
    """Whose request the app takes this one for; None for a visitor."""
    answer = ask(client, headers=headers, **LOOPBACK | environ)
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
    client = make_app(settings.replace(trusted_proxies=settings.metrics_from)).test_client()
    assert owner_of(client) is None
    assert owner_of(client, {"X-Forwarded-For": "127.0.0.1"}) is None


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:1", "null", "http://["])
def test_a_page_of_another_origin_is_not_the_owner(client, origin):
    answer = client.get("/api/needs/read", headers={"Origin": origin}, environ_overrides=LOOPBACK)
    assert answer.status_code == 401


# ---- Tokens ----


@pytest.mark.parametrize("scope", access.SCOPES)
@pytest.mark.parametrize("given", access.SCOPES)
def test_a_scope_includes_those_before_it(client, token, given, scope):
    order = list(access.SCOPES)
    answer = ask(client, scope, bearer(token(given)))
    assert answer.status_code == (200 if order.index(given) >= order.index(scope) else 403)


def test_a_token_says_whose_request_it_is(client, token):
    assert owner_of(client, bearer(token(owner="Ann"))) == "Ann"


def test_only_the_hash_of_a_secret_is_stored(client, tokens, token, settings, kept):
    secrets = [token(), access.new_link(tokens)]
    client.post("/sign-in", data={"token": secrets[0]})
    secrets.append(access.unsigned(settings, client.get_cookie(COOKIE).value))
    assert len({one for one in secrets if one.startswith(access.PREFIX)}) == 3
    stored = b"".join(path.read_bytes() for path in settings.pictures.glob("inkling.sqlite3*"))
    assert not any(secret.removeprefix(access.PREFIX).encode() in stored for secret in secrets)


@pytest.mark.parametrize("kind", ["forged", "expired", "deleted", "a link", "a session"])
def test_a_token_that_is_not_valid_is_refused(client, owner, tokens, token, settings, at, kind):
    good = token()
    secret = good
    if kind == "forged":
        secret = good[:-2] + ("A" if good[-2] != "A" else "B") + good[-1]
    elif kind == "expired":
        at(timedelta(days=1))
    elif kind == "deleted":
        tokens.delete(tokens.all()[0].id)
    elif kind == "a link":
        secret = access.new_link(tokens)
    elif kind == "a session":
        secret = access.sign_in(tokens, good)[0]
    for one in (client, owner):  # not even the owner's place helps a wrong token
        answer = ask(one, headers=bearer(secret))
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Bearer hf_abc", "Bearer \xff", "Basic YTpi", "x"])
def test_a_token_of_another_service_means_nothing(client, owner, header):
    assert ask(client, headers={"Authorization": header}).status_code == 401
    assert ask(owner, headers={"Authorization": header}).status_code == 200
    assert {client.get("/", headers={"Authorization": header}).status_code for _ in range(GUESSES + 1)} == {200}


def test_guessing_tokens_ends_after_ten(client, app, token):
    good = token()
    guesses = [ask(client, headers=bearer(f"{access.PREFIX}{n}")).status_code for n in range(GUESSES + 1)]
    assert guesses == [401] * GUESSES + [429]
    assert ask(client, headers=bearer(good)).status_code == 429  # or a right guess would be told from a wrong one
    assert client.post("/sign-in", data={"token": good}).status_code == 429
    assert ask(app.test_client(), headers=bearer(good), REMOTE_ADDR="192.168.1.9").status_code == 200
    assert client.get("/").status_code == 200


def test_right_tokens_do_not_count_as_guesses(client, token):
    good = token()
    assert {ask(client, headers=bearer(good)).status_code for _ in range(GUESSES + 1)} == {200}


# ---- The command ----


def test_the_command_adds_lists_and_deletes_tokens(client, runner):
    made = runner.invoke(args=["tokens", "add", "--scope", "correct", "--name", "ann", "--days", "3"])
    secret = made.stdout.strip()
    assert ask(client, "correct", bearer(secret)).text == "ann"
    assert ask(client, "teach", bearer(secret)).status_code == 403
    listed = runner.invoke(args=["tokens", "list"]).stdout
    assert re.search(r"^ +1 +token +correct +ann +20", listed)
    assert secret not in listed
    assert runner.invoke(args=["tokens", "delete", "1"]).exit_code == 0
    assert ask(client, "correct", bearer(secret)).status_code == 401
    assert runner.invoke(args=["tokens", "list"]).stdout == ""
    assert "no token 1" in runner.invoke(args=["tokens", "delete", "1"]).stderr


@pytest.mark.parametrize("name", ["", "a" * (access.LONGEST_OWNER + 1), "a\nb"])
def test_the_command_refuses_a_name_that_no_owner_can_have(runner, name):
    assert runner.invoke(args=["tokens", "add", "--scope", "teach", "--name", name]).exit_code == 2


# ---- Signing in ----


def test_a_token_signs_a_browser_in_and_out(client, token, tokens):
    secret = token()
    assert ask(client).status_code == 401
    answer = client.post("/sign-in", data={"token": f" {secret} ", "to": "/needs/teach"})
    assert (answer.status_code, answer.location) == (303, "/needs/teach")
    assert client.get("/needs/teach").text == "ann"
    cookie = client.get_cookie(COOKIE)
    assert secret not in cookie.value
    assert "Sign out" in client.get("/sign-in").text
    client.post("/sign-out")
    assert client.get_cookie(COOKIE) is None
    client.set_cookie(COOKIE, cookie.value)  # a copy of the cookie ended with it
    assert ask(client).status_code == 401
    assert len(tokens.all()) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_cookie_is_for_this_server_alone(client, token, scheme):
    answer = client.post("/sign-in", data={"token": token()}, base_url=f"{scheme}://localhost")
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert name.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert ("Secure" in attributes) == (scheme == "https")
    assert not any(one.startswith("Domain") for one in attributes)


def test_a_link_signs_the_owner_in_once(app, client, tokens):
    secret = access.new_link(tokens)
    page = client.get("/sign-in", query_string={"link": secret})
    assert page.headers["Cache-Control"] == "no-store"
    assert ask(client).status_code == 401  # a look at the page does not sign in, and does not use the link up
    assert client.post("/sign-in", data={"token": re.search(f'value="({secret})"', page.text)[1]}).status_code == 303
    assert ask(client, "admin").text == access.LOCAL
    other = app.test_client()
    answer = other.post("/sign-in", data={"token": secret})
    assert answer.status_code == 403
    assert "not valid, or no longer" in answer.text
    assert ask(other).status_code == 401


def test_of_several_who_use_a_link_together_one_gets_in(tokens):
    secret = access.new_link(tokens)
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: access.sign_in(tokens, secret), range(8)))
    assert [one is None for one in made].count(False) == 1


def test_a_link_works_for_ten_minutes(client, tokens, at):
    secret = access.new_link(tokens)
    at(timedelta(minutes=10))
    assert client.post("/sign-in", data={"token": secret}).status_code == 403


def test_a_browser_is_signed_out_when_its_token_ends(client, token, tokens, at):
    client.post("/sign-in", data={"token": token(days=2)})
    assert ask(client).status_code == 200
    at(timedelta(days=2))
    assert ask(client).status_code == 401
    client.post("/sign-in", data={"token": token()})
    assert ask(client).status_code == 200
    tokens.delete(tokens.all()[0].id)
    assert ask(client).status_code == 401
    assert tokens.all() == []


def test_each_sign_in_is_a_new_session_and_ends_the_one_before(client, token, tokens):
    cookies = []
    for _ in range(2):
        client.post("/sign-in", data={"token": token("read")})
        cookies.append(client.get_cookie(COOKIE).value)
    assert cookies[0] != cookies[1]
    assert [one.kind for one in tokens.all()].count("session") == 1


def test_a_cookie_that_this_server_did_not_sign_is_nobodys(client, make_app, token, tokens, settings):
    secret = access.sign_in(tokens, token())[0]
    for cookie in (secret, access.signed(settings.replace(secret_key="x" * 16), secret), "", "."):
        client.set_cookie(COOKIE, cookie)
        assert ask(client).status_code == 401
    client.set_cookie(COOKIE, access.signed(settings, secret))
    assert ask(client).status_code == 200


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example", "/\\evil.example", "/\t/evil.example", "teach"]
)
def test_signing_in_leads_to_no_other_site(client, token, to):
    assert client.post("/sign-in", data={"token": token(), "to": to}).location == "/"


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
def test_another_site_can_neither_sign_in_nor_out(client, token, path):
    client.post("/sign-in", data={"token": token()})
    answer = client.post(path, data={"token": token("read")}, headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert ask(client).status_code == 200


def test_the_owner_at_the_machine_has_nothing_to_sign_out_of(owner):
    page = owner.get("/sign-in").text
    assert "You don't need to sign in" in page
    assert "Sign out" not in page


# ---- Users that a proxy names ----

PROXY, ELSEWHERE = "10.0.0.1", "10.0.0.2"


@pytest.fixture
def behind_proxy(make_app, settings):
    """A client of an app whose proxy names its users in a header."""
    proxies = Settings.from_env({"INKLING_TRUSTED_PROXIES": PROXY}).trusted_proxies
    return make_app(settings.replace(trusted_proxies=proxies, user_header="Remote-User")).test_client()


def test_a_user_that_the_proxy_names_may_teach(behind_proxy):
    headers = {"Remote-User": "ann@example.org", "X-Forwarded-For": "192.168.1.9"}
    assert ask(behind_proxy, "teach", headers, REMOTE_ADDR=PROXY).text == "ann@example.org"
    assert ask(behind_proxy, "admin", headers, REMOTE_ADDR=PROXY).status_code == 403


@pytest.mark.parametrize("path", ["/", "/needs/read", "/api/models"])
def test_the_header_is_refused_from_anybody_else(behind_proxy, path):
    for peer, headers in ((ELSEWHERE, {}), ("127.0.0.1", {}), (ELSEWHERE, {"X-Forwarded-For": PROXY})):
        environ = {"SERVER_NAME": "127.0.0.1", "REMOTE_ADDR": peer}
        answer = behind_proxy.get(path, headers={"Remote-User": "ann"} | headers, environ_overrides=environ)
        assert answer.status_code == 403
        assert "Only a proxy that INKLING_TRUSTED_PROXIES names may send the header" in answer.text


@pytest.mark.parametrize("name", ["", " ", "local", "a" * (access.LONGEST_OWNER + 1), "a\x07"])
def test_a_name_that_no_user_can_have_is_a_visitors(behind_proxy, name):
    assert ask(behind_proxy, HTTP_REMOTE_USER=name, REMOTE_ADDR=PROXY).status_code == 401


def test_without_the_setting_the_header_means_nothing(client):
    assert ask(client, headers={"Remote-User": "ann"}).status_code == 401


# ---- Routes ----


def test_each_route_that_changes_something_says_who_may(app):
    writing = [rule for rule in app.url_map.iter_rules() if rule.methods - {"GET", "HEAD", "OPTIONS"}]
    assert len(writing) > 10
    assert [rule.rule for rule in writing if not getattr(app.view_functions[rule.endpoint], "open_to", None)] == []


def test_a_route_with_a_scope_refuses_visitors(app):
    """Every route whose entry in the table is a scope really needs it."""
    needing = [
        rule
        for rule in app.url_map.iter_rules()
        if re.match("scope `", getattr(app.view_functions[rule.endpoint], "open_to", ""))
    ]
    assert needing
    for rule in needing:
        address = re.sub("<[^>]+>", "1", rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            assert app.test_client().open(address, method=method).status_code == 401, rule


# ---- Refusals ----


def test_a_refusal_says_how_to_get_in(client, token):
    answer = client.post("/api/needs/teach")
    assert answer.status_code == 401
    assert answer.mimetype == "application/problem+json"
    assert answer.json["reason"] == "unauthorized"
    assert "inkling tokens add --scope teach" in answer.json["detail"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    for language, words in (("en", "You need to sign in"), ("ru", "Сначала войдите")):
        page = client.get("/needs/teach", headers={"Accept-Language": language})
        assert page.status_code == 401
        assert words in page.text
        assert 'href="/sign-in?to=/needs/teach"' in page.text
    answer = client.post("/api/needs/admin", headers=bearer(token("teach")))
    assert (answer.status_code, answer.json["reason"]) == (403, "forbidden")
    assert "scope “admin”" in answer.json["detail"]
