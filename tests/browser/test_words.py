"""Switching the language, with and without JavaScript, and printing."""

import pytest
from playwright.sync_api import expect

ADDRESS = "/compare/digits?kept=1"


@pytest.mark.parametrize("script", [True, False])
@pytest.mark.parametrize("width", [360, 1280])
def test_the_switch_changes_the_language_and_stays_on_the_page(open_page, width, script):
    page = open_page(ADDRESS, viewport={"width": width, "height": 800}, java_script_enabled=script, locale="en")
    for name, code, headline in (("Русский", "ru", "Рукописные цифры"), ("English", "en", "Handwritten digits")):
        button = page.get_by_role("button", name=name)
        button.focus()
        with page.expect_navigation():
            page.keyboard.press("Enter")
        assert page.url.endswith(ADDRESS)
        expect(page.locator("html")).to_have_attribute("lang", code)
        expect(page.locator("h1")).to_contain_text(headline)
        expect(button).to_have_attribute("aria-current", "true")
    page.goto("/help")
    expect(page.get_by_role("heading", level=1)).to_have_text("Help")


def test_the_choice_wins_over_the_browser_and_is_kept(open_page):
    page = open_page("/help", locale="ru-RU")
    expect(page.get_by_role("heading", level=1)).to_have_text("Справка")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Help")
    page.goto("/models")
    expect(page.get_by_role("heading", level=1)).to_have_text("Models")


def test_the_choice_of_models_survives_the_switch(open_page):
    page = open_page("/")
    page.select_option("#draw-model", "digits-logistic")
    with page.expect_navigation():
        page.get_by_role("button", name="Русский").click()
    expect(page.locator("#draw-model")).to_have_value("digits-logistic")


@pytest.mark.parametrize("path", ["/models/full-digits", "/compare/digits"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_is_white_and_holds_what_can_be_read_on_it(open_page, path, scheme):
    page = open_page(path, viewport={"width": 680, "height": 900}, color_scheme=scheme)
    page.emulate_media(media="print", color_scheme=scheme)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(28, 29, 34)"
    expect(page.locator("h1")).to_be_visible()
    for gone in page.locator("nav, footer, form, .primary, .second, details:not([open]) > *").all():
        expect(gone).to_be_hidden()
    for table in page.locator("table:visible").all():
        assert table.bounding_box()["width"] <= 680


@pytest.fixture
def result(open_page, cat):
    """Opens the result page of a photo."""

    def send(**options):
        page = open_page("/?photo=cats-dogs-cnn", **options)
        page.set_input_files("#image", cat)
        page.locator("#photo button[type=submit]").click()
        page.wait_for_url("**/results/*")
        return page

    return send


def test_a_printed_result_holds_picture_answer_and_model(result):
    page = result(viewport={"width": 680, "height": 900}, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for shown in (".picture", "h1", ".wording", ".bars >> nth=0", "time"):
        expect(page.locator(shown)).to_be_visible()
    for gone in page.locator("nav, footer, form, button, .primary, .second, .danger, .fold-link").all():
        expect(gone).to_be_hidden()


@pytest.mark.parametrize("width", [360, 1280])
def test_the_address_of_a_result_can_be_copied(result, width):
    page = result(locale="ru-RU", viewport={"width": width, "height": 800})
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("summary", has_text="Поделиться").click()
    expect(page.get_by_label("Адрес этой страницы")).to_have_value(page.url)
    page.get_by_role("button", name="Скопировать").click()
    expect(page.locator("#shared")).to_have_text("Скопировано.")
    assert page.evaluate("navigator.clipboard.readText()") == page.url


@pytest.mark.parametrize("width", [360, 1280])
def test_without_javascript_the_address_is_there_to_copy(result, width):
    page = result(java_script_enabled=False, viewport={"width": width, "height": 800})
    page.locator("summary", has_text="Share").click()
    expect(page.get_by_label("Address of this page")).to_have_value(page.url)
    expect(page.get_by_role("button", name="Copy")).to_be_hidden()


def test_a_drawing_survives_the_switch(open_page):
    page = open_page("/?draw=digits-cnn")
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 200, steps=5)
    page.mouse.up()
    with page.expect_navigation():
        page.get_by_role("button", name="Русский").click()
    expect(page.locator(".live .sentence")).to_contain_text("1")
    page.goto("/")
    expect(page.locator(".live .sentence")).to_have_text("")
