"""The page of the API: examples to copy and run, and the form that tries a call."""

import json

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

LOOKS = [(360, "dark", "ru"), (1280, "light", "en")]


@pytest.mark.parametrize("width, scheme, locale", LOOKS)
def test_try_it_shows_the_answer(open_page, cat, width, scheme, locale):
    page = open_page("/api/docs", viewport={"width": width, "height": 720}, color_scheme=scheme, locale=locale)
    form = page.locator(".try")
    form.locator("input").set_input_files(cat)
    expect(form).to_contain_text("cat.jpg")
    form.locator("select").select_option("cats-dogs-cnn")
    form.locator("[type=submit]").click()
    expect(form.locator("[data-part=answer] p")).to_have_text("200 OK")
    assert json.loads(form.locator("code").text_content())["label"] == "cat"
    assert Axe().run(page, context=".try").violations_count == 0
    page.context.set_offline(True)
    form.locator("[type=submit]").click()
    expect(form.locator("[data-part=answer] p")).to_have_text(form.get_attribute("data-say-failed"))
    expect(form.locator("pre")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_an_example_is_copied_and_runs(open_page, cat):
    page = open_page("/api/docs", permissions=["clipboard-read", "clipboard-write"])
    page.locator(".try input").set_input_files(cat)
    sample = page.locator("details[name=predict]", has_text="JavaScript")
    sample.locator("summary").click()
    sample.get_by_role("button", name="Copy").click()
    expect(sample.get_by_role("button", name="Copied")).to_be_visible()
    expect(page.locator("details[name=predict][open]")).to_have_count(1)
    code = page.evaluate("navigator.clipboard.readText()")
    with page.expect_console_message() as message:
        page.evaluate(f"(async () => {{ {code} }})()")
    assert "cat, 0." in message.value.text


def test_without_javascript_the_form_answers_json(open_page, cat):
    page = open_page("/api/docs", java_script_enabled=False)
    page.locator(".try input").set_input_files(cat)
    with page.expect_navigation():
        page.locator(".try [type=submit]").click()
    assert "predictions" in page.content()
