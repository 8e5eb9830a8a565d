"""Saying whether an answer is right: one tap or two, with and without JavaScript."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
both_widths = pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
with_and_without_scripts = pytest.mark.parametrize("scripts", [True, False], ids=["", "without JavaScript"])


@pytest.fixture
def result(open_page, cat):
    """Opens a photo's result from a model with two labels, or with sixty."""

    def result(model="cats-dogs-cnn", **options):
        page = open_page(f"/?photo={model}", **options)
        page.set_input_files("#image", cat)
        page.get_by_role("button", name="Tell me what it is").click()
        page.wait_for_url("**/results/*")
        return page

    return result


@both_widths
@with_and_without_scripts
def test_yes_is_one_tap_and_can_be_taken_back(result, viewport, scripts):
    page = result(viewport=viewport, java_script_enabled=scripts)
    expect(page.locator(".correction")).to_contain_text("keeps this picture on this server")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".correction")).to_contain_text("You said that this is right.")
    expect(page.locator(".correction")).to_be_in_viewport()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("heading", name="Right?")).to_be_in_viewport()


@both_widths
@with_and_without_scripts
def test_no_opens_the_labels_and_one_of_them_is_the_answer(result, viewport, scripts):
    page = result(viewport=viewport, java_script_enabled=scripts)
    labels = page.locator(".labels button")
    expect(labels.first).to_be_hidden()
    page.locator(".correction summary").click()
    expect(labels).to_have_count(1)
    box = labels.first.bounding_box()
    assert min(box["width"], box["height"]) >= 44
    labels.first.click()
    expect(page.locator(".correction")).to_contain_text("You said: dog.")


def test_none_of_these_is_an_answer(result):
    page = result(viewport=PHONE)
    page.locator(".correction summary").click()
    page.get_by_role("button", name="None of these").click()
    expect(page.locator(".correction")).to_contain_text("You said: none of these.")


@both_widths
@with_and_without_scripts
def test_sixty_labels_stay_in_a_small_box_and_the_last_can_be_reached(result, viewport, scripts):
    page = result("doodles-cnn", viewport=viewport, java_script_enabled=scripts)
    page.locator(".correction summary").click()
    labels = page.locator(".labels button")
    expect(labels).to_have_count(59)
    assert page.locator(".labels").bounding_box()["height"] < 260
    last = labels.last.text_content()
    labels.last.click()
    expect(page.locator(".correction")).to_contain_text(f"You said: {last}.")


def test_one_of_sixty_is_found_by_typing_and_taken_by_enter(result):
    page = result("doodles-cnn", viewport=PHONE)
    page.locator(".correction summary").click()
    page.get_by_label("Find").fill(" GIR")
    expect(page.locator(".labels button:visible")).to_have_text(["giraffe"])
    page.keyboard.press("Enter")
    expect(page.locator(".correction")).to_contain_text("You said: giraffe.")


def test_enter_takes_nothing_while_several_fit(result):
    page = result("doodles-cnn", viewport=PHONE)
    address = page.url
    page.locator(".correction summary").click()
    page.get_by_label("Find").fill("ca")
    page.keyboard.press("Enter")
    page.get_by_label("Find").fill("")
    expect(page.locator(".labels button:visible")).to_have_count(59)
    assert page.url == address


def test_by_keyboard_alone(result):
    page = result(viewport=DESKTOP)
    page.get_by_role("button", name="Yes").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator(".correction")).to_contain_text("You said: dog.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@both_widths
def test_axe_finds_nothing_before_and_after(result, viewport, scheme):
    page = result("doodles-cnn", viewport=viewport, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    assert Axe().run(page, options=RULES).violations_count == 0
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".correction")).to_contain_text("Thank you")
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()
