"""The frame of every page: the header's menu, the language and the theme, with and without JavaScript."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.hands import LINE, arrive, switch, with_mouse

ADDRESS = "/compare/digits?kept=1"
PAPER = {"light": "rgb(250, 249, 246)", "dark": "rgb(20, 21, 25)"}
PHONE, DESKTOP = {"width": 360, "height": 640}, {"width": 1280, "height": 720}


def paper(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


# ---- The menu ----


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_explore_unfolds_and_leads_on_by_keyboard(open_page, viewport, script):
    page = open_page("/help", viewport=viewport, java_script_enabled=script)
    explore = page.locator("summary", has_text="Explore")
    lab = page.get_by_role("link", name="Lab")
    expect(lab).to_be_hidden()
    explore.press("Enter")
    expect(lab).to_be_visible()
    for name in ("Models", "Ask", "Lab"):
        page.keyboard.press("Tab")
        expect(page.locator(".menu").get_by_role("link", name=name)).to_be_focused()
    page.keyboard.press("Enter")
    arrive(page, "**/lab")
    expect(page.locator("summary.within")).to_have_text("Explore")


def test_a_menu_closes_when_the_visitor_turns_to_something_else(open_page):
    page = open_page("/help", viewport=PHONE)
    explore, menu = page.locator("summary", has_text="Explore"), page.locator(".menu[open]")
    theme = page.locator("form[action='/theme'] summary")
    for turn in (
        lambda: page.keyboard.press("Escape"),
        lambda: page.locator("footer p").click(),
        lambda: page.locator(".brand").focus(),
        lambda: explore.click(),
    ):
        explore.click()
        expect(menu).to_have_count(1)
        turn()
        expect(menu).to_have_count(0)
    explore.click()
    page.keyboard.press("Escape")
    expect(explore).to_be_focused()
    explore.click()
    theme.click()
    expect(menu).to_have_count(1)
    expect(page.locator("form[action='/theme'] .menu")).to_have_attribute("open", "")


@pytest.mark.parametrize("scheme, locale", [("light", "en"), ("dark", "ru")])
def test_each_menu_is_accessible_and_stays_on_the_screen(open_page, scheme, locale):
    page = open_page("/help", viewport=PHONE, color_scheme=scheme, locale=locale)
    for menu in page.locator(".menu").all():
        menu.locator("summary").click()
        box = menu.locator("div").bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= PHONE["width"]
        for choice in menu.locator("a, button").all():
            assert choice.bounding_box()["height"] >= 44
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()


# ---- The theme ----


@pytest.mark.parametrize("script", [True, False])
def test_the_theme_is_remembered_and_rendered_by_the_server(open_page, script):
    page = open_page(ADDRESS, color_scheme="light", java_script_enabled=script)
    assert paper(page) == PAPER["light"]
    for name, theme in (("Dark", "dark"), ("Light", "light"), ("Dark", "dark"), ("System", "light")):
        with page.expect_response("**/theme"):
            switch(page, "theme", name)
        expect(page.locator("body")).to_have_css("background-color", PAPER[theme])
        expect(page.locator("form[action='/theme'] [aria-current]")).to_have_text(name)
        assert page.url.endswith(ADDRESS)
        answer = page.request.get("/help").text()
        assert (f'data-theme="{theme}"' in answer) == (name != "System")
        page.goto(ADDRESS)
        assert paper(page) == PAPER[theme]


def test_a_drawing_stays_when_the_theme_changes(open_page):
    page = open_page("/?way=draw&model=digits-cnn")
    with_mouse(page, LINE)
    page.evaluate("window.same = true")
    with page.expect_response("**/theme"):
        switch(page, "theme", "Dark")
    assert page.evaluate("window.same")
    assert paper(page) == PAPER["dark"]


# ---- The language ----


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_switch_changes_the_language_and_stays_on_the_page(open_page, viewport, script):
    page = open_page(ADDRESS, viewport=viewport, java_script_enabled=script, locale="en")
    for name, code, headline in (("Русский", "ru", "Рукописные цифры"), ("English", "en", "Handwritten digits")):
        page.locator("form[action='/language'] summary").press("Enter")
        button = page.get_by_role("button", name=name)
        button.focus()
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.url.endswith(ADDRESS)
        expect(page.locator("html")).to_have_attribute("lang", code)
        expect(page.locator("h1")).to_contain_text(headline)
        expect(page.locator("form[action='/language'] [aria-current]")).to_have_text(name)
    page.goto("/help")
    expect(page.get_by_role("heading", level=1)).to_have_text("Help")


def test_the_choice_wins_over_the_browser_and_is_kept(open_page):
    page = open_page("/help", locale="ru-RU")
    expect(page.get_by_role("heading", level=1)).to_have_text("Справка")
    switch(page, "language", "English")
    expect(page.get_by_role("heading", level=1)).to_have_text("Help")
    page.goto("/models")
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")


def test_a_choice_of_models_and_a_drawing_survive_the_language(open_page):
    page = open_page("/?way=draw&model=digits-logistic")
    with_mouse(page, [(200, 80), (200, 320)])
    with page.expect_navigation():
        switch(page, "language", "Русский")
    expect(page.locator("#draw-model")).to_have_value("digits-logistic")
    expect(page.locator("#draw .sentence")).to_contain_text("1")
    page.goto("/?way=draw")
    expect(page.locator("#draw .bars")).to_be_hidden()


# ---- Without a connection ----

STORED = """async () => {
    const shell = await caches.open("shell");
    return (await shell.keys()).map((request) => new URL(request.url).pathname);
}"""


def test_offline_a_kind_page_is_shown_and_nothing_private_is_stored(open_page, cat):
    page = open_page("/help", service_workers="allow", locale="en")
    page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    page.goto("/?model=cats-dogs-cnn")
    result = page.request.post(
        "/predict", multipart={"model": "cats-dogs-cnn", "image": cat}, headers={"Sec-Fetch-Site": "same-origin"}
    ).url
    for path in (result, "/history", "/models"):
        page.goto(path)
    assert {path for path in page.evaluate(STORED) if not path.startswith("/static/")} == {"/offline"}

    page.context.set_offline(True)
    for path in (result, "/", "/no-such-page"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_have_text("You're offline")
        assert page.locator(".brand img").evaluate("image => image.naturalWidth > 0")
        assert paper(page) == PAPER["light"], "the stylesheet is there"
    page.context.set_offline(False)
    page.goto("/help")
    switch(page, "language", "Русский")
    expect(page.get_by_role("heading", level=1)).to_have_text("Справка")
    page.context.set_offline(True)
    page.goto("/models")
    expect(page.get_by_role("heading", level=1)).to_have_text("Нет соединения")
    assert Axe().run(page).violations_count == 0
    page.context.set_offline(False)
    page.get_by_role("link", name="Попробовать ещё раз").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Модели")
