"""The explanation and the stages of a model: closed until opened, with and without JavaScript, on phone and desktop."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.hands import send_photos
from tests.browser.test_pages import RULES

WIDTHS = (360, 1280)
SAID = re.compile("It looked |No single part decides")  # what decides is the model's business
SHOWN = "(image) => image.complete && image.naturalWidth > 0"


@pytest.fixture(scope="module")
def answered(browser, base_url, cat):
    """The address of a photo's result."""
    page = browser.new_page(base_url=base_url)
    page.goto("/?model=cats-dogs-cnn")
    send_photos(page, cat)
    page.wait_for_url("**/results/*")
    yield page.url
    page.close()


def is_shown(image):
    image.scroll_into_view_if_needed()
    image.page.wait_for_function(SHOWN, arg=image.element_handle())


@pytest.mark.parametrize("width", WIDTHS)
def test_why_opens_below_the_answer(open_page, answered, width):
    page, asked = open_page("/help", viewport={"width": width, "height": 800}), []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.goto(answered, wait_until="networkidle")
    fold = page.locator("details", has=page.get_by_text("Why?", exact=True))
    assert not {"why", "heatmap.png"} & set(asked)
    fold.locator("summary").click()
    expect(fold).to_contain_text(SAID)
    is_shown(fold.locator(".heat"))
    assert asked.count("why") == 1
    assert asked.count("heatmap.png") == 1
    photo, heat = (fold.locator(f".overlay img >> nth={i}").bounding_box() for i in range(2))
    assert heat == pytest.approx(photo, abs=1), "the overlay lies on the picture"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("path", ["", "/why"])
def test_the_strength_follows_the_slider_and_the_arrow_keys(open_page, answered, path):
    page = open_page(answered + path)
    if not path:
        page.get_by_text("Why?", exact=True).click()
    slider, heat = page.get_by_role("slider"), page.locator(".heat")
    expect(heat).to_have_css("opacity", "1")
    slider.fill("40")
    expect(heat).to_have_css("opacity", "0.4")
    slider.press("ArrowLeft")
    expect(heat).to_have_css("opacity", "0.39")


@pytest.mark.parametrize("width", WIDTHS)
def test_why_without_javascript_is_a_page(open_page, answered, width):
    page = open_page(answered, java_script_enabled=False, viewport={"width": width, "height": 800})
    page.get_by_role("link", name="Why?").click()
    page.wait_for_url("**/why")
    expect(page.locator(".explanation")).to_contain_text(SAID)
    expect(page.get_by_role("slider")).to_have_count(0)
    expect(page.locator(".heat")).to_be_visible()
    page.get_by_role("link", name="Back to the answer").click()
    page.wait_for_url(answered)


def test_when_it_cannot_be_worked_out_the_link_is_back(open_page, answered):
    page = open_page(answered)
    page.route("**/why", lambda route: route.fulfill(status=503, body="busy"))
    page.get_by_text("Why?", exact=True).click()
    expect(page.get_by_role("link", name="Why?")).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_what_the_model_saw_is_loaded_when_it_is_opened(open_page, answered, width):
    page, asked = open_page("/help", viewport={"width": width, "height": 800}), []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.goto(answered, wait_until="networkidle")
    assert "squeezed.png" not in asked
    page.get_by_text("What the model saw", exact=True).click()
    steps = page.locator(".steps li")
    expect(steps).to_have_count(3)
    for i in range(3):
        is_shown(steps.nth(i).locator("img"))
    assert "layers.png" not in asked
    page.get_by_text("What its first layers find", exact=True).click()
    is_shown(page.locator(".layers img"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("width", WIDTHS)
def test_what_the_model_saw_without_javascript(open_page, answered, width):
    page, asked = open_page("/help", java_script_enabled=False, viewport={"width": width, "height": 800}), []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.goto(answered, wait_until="networkidle")
    page.get_by_text("What the model saw", exact=True).click()
    expect(page.locator(".steps li img").nth(1)).to_be_visible()
    assert "layers.png" not in asked, "the network is looked into when asked for"
    page.get_by_role("link", name="What its first layers find").click()
    expect(page.locator(".layers img")).to_be_visible()
    assert "layers.png" in asked
