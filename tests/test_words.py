"""Two languages: which one a page is in, how the visitor changes it, and that nothing is left in the other."""

import pytest

RUSSIAN = {"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.5"}
COOKIE = "inkling-language"


def language_of(answer):
    """The language that a page says it is in."""
    (code,) = answer.content_language
    assert f'<html lang="{code}">' in answer.text
    assert {"accept-language", "cookie"} <= {name.lower() for name in answer.vary}
    return code


# ---- Which language ----


@pytest.mark.parametrize("wish, code", [
    ("", "en"), ("ru", "ru"), ("ru-RU,ru;q=0.9,en;q=0.5", "ru"), ("en,ru;q=0.5", "en"), ("de,ru;q=0.1", "ru"),
    ("de", "en"), ("*", "en"), ("nonsense;q=x", "en")])
def test_the_browsers_wish_is_followed(client, wish, code):
    assert language_of(client.get("/help", headers={"Accept-Language": wish})) == code


@pytest.mark.parametrize("chosen, code", [("en", "en"), ("ru", "ru"), ("de", "ru"), ("", "ru"), ("../ru", "ru")])
def test_the_visitors_choice_comes_before_the_browsers_wish(client, chosen, code):
    client.set_cookie(COOKIE, chosen)
    assert language_of(client.get("/help", headers=RUSSIAN)) == code


def test_an_error_is_in_the_language_too(client):
    assert language_of(client.get("/no-such-page", headers=RUSSIAN)) == "ru"


# ---- The switch ----


@pytest.mark.parametrize("came_from, back", [
    ("http://localhost/help?reason=blank", "/help?reason=blank"),
    ("http://localhost/?photo=digits-cnn&draw=doodles-cnn", "/?photo=digits-cnn&draw=doodles-cnn"),
    (None, "/"), ("", "/"), ("nonsense", "/"), ("http://evil.example/help", "/"),
    ("http://localhost//evil.example", "/evil.example"), ("http://localhost/\\evil.example", "/evil.example"),
    ("http://localhost@evil.example/help", "/"), ("http://[", "/"),
    ("//evil.example/help", "/")])
def test_the_choice_is_kept_and_leads_back_to_our_own_page_only(client, came_from, back):
    headers = {} if came_from is None else {"Referer": came_from}
    answer = client.post("/language", data={"language": "ru"}, headers=headers)
    assert (answer.status_code, answer.location) == (303, back)
    assert client.get_cookie(COOKIE).value == "ru"
    assert language_of(client.get("/help")) == "ru"


def test_the_cookie_is_for_the_server_alone(client):
    cookie = client.post("/language", data={"language": "ru"}).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    safe = client.post("/language", data={"language": "ru"}, base_url="https://localhost").headers["Set-Cookie"]
    assert "Secure" in safe


@pytest.mark.parametrize("fields", [{}, {"language": ""}, {"language": "de"}])
def test_another_language_is_refused(client, fields):
    answer = client.post("/language", data=fields)
    assert answer.status_code == 400
    assert "English, Русский" in answer.text
    assert "Set-Cookie" not in answer.headers


# ---- Programs ----


@pytest.mark.parametrize("path", ["/api/models", "/api/openapi.json", "/api/nothing", "/healthz", "/readyz"])
def test_programs_are_answered_in_one_language(client, path):
    plain, russian = client.get(path), client.get(path, headers=RUSSIAN)
    assert plain.data == russian.data
    assert not russian.vary
