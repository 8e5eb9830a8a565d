"""Printing a page, and copying its address."""

import pytest
from playwright.sync_api import expect

from tests.browser.hands import DIGITS, arrive, send_photos, with_mouse


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
        page = open_page("/?model=cats-dogs-cnn", **options)
        send_photos(page, cat)
        arrive(page, "**/results/*")
        return page

    return send


def test_a_printed_result_holds_picture_answer_and_model(result):
    page = result(viewport={"width": 680, "height": 900}, color_scheme="dark")
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    for shown in (".picture", "h1", ".wording", ".bars >> nth=0", "time"):
        expect(page.locator(shown)).to_be_visible()
    for gone in page.locator("nav, footer, form, button, .primary, .second, .danger, [role=tablist]").all():
        expect(gone).to_be_hidden()


def test_paper_leaves_out_bars_that_say_nothing(open_page):
    page = open_page("/?way=draw&model=digits-cnn")
    with_mouse(page, DIGITS["7"])
    page.get_by_role("button", name="Save & share").click()
    arrive(page, "**/results/*")
    little = page.locator(".bars >> nth=0").locator(".little")
    expect(little.first).to_be_visible()
    page.emulate_media(media="print")
    for bar in little.all():
        expect(bar).to_be_hidden()
    expect(page.locator(".bars >> nth=0").locator("li").first).to_be_visible()


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
