"""The theme: how it is chosen, remembered and rendered."""

import re

import pytest

COOKIE = "inkling-theme"


def theme_of(page):
    """The theme that a page declares to the stylesheet, to the browser's own controls and to its title bar."""
    declared = re.search(r'<html [^>]*data-theme="(\w+)"', page)
    scheme = re.search(r'name="color-scheme" content="([^"]+)"', page)[1]
    colors = re.findall(r'name="theme-color" content="(#\w+)"', page)
    return declared and declared[1], scheme, len(colors)


@pytest.mark.parametrize(
    "cookie, shown",
    [
        (None, (None, "light dark", 2)),
        ("light", ("light", "light", 1)),
        ("dark", ("dark", "dark", 1)),
        ("system", (None, "light dark", 2)),
        ('"><script>', (None, "light dark", 2)),
    ],
)
def test_a_page_is_rendered_in_the_chosen_theme(client, cookie, shown):
    if cookie:
        client.set_cookie(COOKIE, cookie)
    for path in ("/help", "/no-such-page"):
        answer = client.get(path)
        assert theme_of(answer.text) == shown
        assert "Cookie" in answer.vary


@pytest.mark.parametrize("theme", ["system", "light", "dark"])
def test_the_choice_is_remembered_and_leads_back(client, theme):
    answer = client.post("/theme", data={"theme": theme}, headers={"Referer": "http://localhost/help?reason=blank"})
    assert (answer.status_code, answer.location) == (303, "/help?reason=blank")
    assert client.get_cookie(COOKIE).value == theme


@pytest.mark.parametrize("fields", [{}, {"theme": ""}, {"theme": "blue"}])
def test_another_theme_is_refused(client, fields):
    answer = client.post("/theme", data=fields)
    assert answer.status_code == 400
    assert "system, light, dark" in answer.text
    assert "Set-Cookie" not in answer.headers
