"""The result page: the answer beside its picture, tabs, what decides, sharing, and what another browser can do."""

import io
import re

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.hands import ELSEWHERE, arrive
from tests.browser.rules import assert_accessible

SCREENS = [
    pytest.param(width, height, *look, id=f"{width}-{look[0]}")
    for width, height in ((1366, 650), (1280, 720), (360, 640))
    for look in (("en-US", "light"), ("ru-RU", "dark"))
]
NAMES = {
    "en-US": ("Why", "Ask", "What it saw", "Other models", "Details"),
    "ru-RU": ("Почему", "Спросить", "Глазами модели", "Другие модели", "Детали"),
}
SHOWN = "(image) => image.complete && image.naturalWidth > 0"
SAID = re.compile("It looked |No single part decides")  # what decides is the model's business


@pytest.fixture(scope="module")
def owner(browser, base_url, cat):
    """The cookies of the browser that made the result of a photo, and the result's address."""
    context = browser.new_context(base_url=base_url)
    fields = {"model": "cats-dogs-cnn", "image": cat}
    answer = context.request.post("/predict", multipart=fields)
    yield context.cookies(), answer.url
    context.close()


@pytest.fixture
def open_result(open_page, owner):
    """Opens the result in the browser that made it."""

    def open_result(path="", **options):
        page = open_page("/help", **options)
        page.context.add_cookies(owner[0])
        page.goto(owner[1] + path)
        return page

    return open_result


def is_accessible(page):
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    return True


@pytest.mark.parametrize("width, height, locale, scheme", SCREENS)
def test_the_answer_and_its_picture_share_the_first_screen_and_each_tab_is_accessible(
    open_result, width, height, locale, scheme
):
    page = open_result(viewport={"width": width, "height": height}, locale=locale, color_scheme=scheme)
    picture, word, wording = (page.locator(one).bounding_box() for one in (".shown", ".word", ".wording"))
    assert wording["y"] + wording["height"] <= height
    assert (word["x"] >= picture["x"] + picture["width"]) == (width >= 900), "beside the picture, or below it"
    assert picture["width"] * picture["height"] > word["width"] * word["height"]
    assert page.get_by_role("tab").all_text_contents() == list(NAMES[locale])
    for tab in page.get_by_role("tab").all():
        assert tab.bounding_box()["height"] >= 44
        tab.click()
        expect(page.get_by_role("tabpanel")).to_have_accessible_name(tab.inner_text())
        assert is_accessible(page)


def test_tabs_by_keyboard(open_result):
    page = open_result()
    tabs = page.get_by_role("tab")
    tabs.first.focus()
    names = NAMES["en-US"]
    moves = (("ArrowRight", 1), ("End", 4), ("ArrowRight", 0), ("ArrowLeft", 4), ("Home", 0))
    for key, place in moves:
        page.keyboard.press(key)
        expect(tabs.nth(place)).to_be_focused()
        expect(page.get_by_role("tab", selected=True)).to_have_text(names[place])
        expect(page.get_by_role("tabpanel")).to_have_accessible_name(names[place])
        assert page.locator("[role=tab][tabindex='0']").all_text_contents() == [names[place]], "one is in the tab order"
    page.keyboard.press("Tab")
    expect(page.get_by_role("tabpanel")).to_be_focused()


def test_without_javascript_the_tabs_are_sections(open_result):
    page = open_result(java_script_enabled=False)
    for name in NAMES["en-US"]:
        expect(page.get_by_role("heading", level=2, name=name)).to_be_visible()
    page.get_by_role("link", name="Show what decides").click()
    arrive(page, "**/why")
    expect(page.locator(".explanation")).to_contain_text(SAID)
    expect(page.locator(".explanation .picture")).to_be_visible()
    page.get_by_role("link", name="Back to the answer").click()
    page.get_by_role("link", name="Show what its first layers find").click()
    expect(page.locator(".layers img")).to_be_visible()


@pytest.mark.parametrize("width", [360, 1280])
def test_what_decides_is_shown_on_the_large_picture_on_demand(open_result, width):
    page, asked = open_result(viewport={"width": width, "height": 720}), []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.reload(wait_until="networkidle")
    assert not {"why", "heatmap.png", "layers.png", "others"} & set(asked)
    page.get_by_role("link", name="Show what decides").click()
    panel = page.get_by_role("tabpanel")
    expect(panel).to_contain_text(SAID)
    assert asked.count("why") == 1
    over = page.locator(".stage-picture .over:visible")
    for choice in panel.get_by_role("radio").all():
        choice.check()
        if choice.get_attribute("value") == "plain":
            expect(over).to_have_count(0)
            continue
        expect(over).to_have_count(1)
        assert over.bounding_box() == pytest.approx(page.locator(".shown .picture").bounding_box(), abs=1)
        choice.scroll_into_view_if_needed()
        expect(over).to_be_in_viewport(ratio=0.99)
    assert is_accessible(page)


@pytest.mark.parametrize("decides", [True, False])
def test_where_no_part_decides_there_is_no_overlay(open_result, decides):
    page = open_result()
    shown = '<img class="over heat" src="x">' if decides else ""
    page.route(
        "**/why", lambda route: route.fulfill(body=f'<div class="explanation"><div class="shown">{shown}</div></div>')
    )
    page.get_by_role("link", name="Show what decides").click()
    expect(page.locator(".explanation")).to_have_count(1)
    expect(page.locator(".stage-picture .over")).to_have_count(int(decides))


def test_when_it_cannot_be_explained_the_link_is_back(open_result):
    page = open_result()
    page.route("**/why", lambda route: route.fulfill(status=503, body="busy"))
    page.get_by_role("link", name="Show what decides").click()
    expect(page.get_by_role("link", name="Show what decides")).to_be_focused()


def test_what_it_saw_is_loaded_when_its_tab_is_opened(open_result):
    page, asked = open_result(), []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    page.reload(wait_until="networkidle")
    page.get_by_role("tab", name="What it saw").click()
    for image in page.locator(".steps img").all():
        image.scroll_into_view_if_needed()
        page.wait_for_function(SHOWN, arg=image.element_handle())
    assert "layers.png" not in asked
    page.get_by_role("link", name="Show what its first layers find").click()
    layers = page.locator(".layers img")
    layers.scroll_into_view_if_needed()
    page.wait_for_function(SHOWN, arg=layers.element_handle())


# ---- Shapes ----


@pytest.mark.parametrize("sent", [True, False], ids=["sent", "while it is sent"])
@pytest.mark.parametrize("width", [360, 768, 1280])
@pytest.mark.parametrize("size", [(1600, 30), (30, 1600), (20, 20), (900, 1200)], ids=str)
def test_a_picture_of_any_shape_is_neither_a_strip_nor_a_wall(open_page, size, width, sent):
    page = open_page("/", viewport={"width": width, "height": 720})
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)).save(file, "PNG")
    image = {"name": "a.png", "mimeType": "image/png", "buffer": file.getvalue()}
    if sent:
        page.goto(page.request.post("/predict", multipart={"image": image, "model": "cats-dogs-cnn"}).url)
    else:
        page.route("**/predict", lambda route: None)  # no answer comes
        page.set_input_files("#image", image)
    frame, shown = (page.locator(one) for one in ((".shown", ".shown .picture") if sent else (".drop", ".preview")))
    expect(shown).to_be_visible()
    page.wait_for_function(SHOWN, arg=shown.element_handle())
    box, picture = frame.bounding_box(), shown.bounding_box()
    assert box["height"] <= 720
    assert min(box["width"], box["height"]) >= 140
    assert picture == pytest.approx(box, abs=1), "nothing but the picture fills its place"
    assert shown.evaluate("image => getComputedStyle(image).objectFit") == "cover"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [320, 360, 768, 1280])
def test_no_headline_breaks_inside_a_word(open_result, width):
    """Each word of a headline is as long as its class says."""
    page = open_result(viewport={"width": width, "height": 720})
    for most in (8, 12, 16, 20, 28):
        for letter in "mш":
            lines = page.locator(".word").evaluate(
                """(heading, [most, word]) => {
                    heading.className = `word letters-${most}`;
                    heading.textContent = word;
                    const range = document.createRange();
                    range.selectNodeContents(heading);
                    return [range.getClientRects().length, heading.scrollWidth <= heading.clientWidth + 1];
                }""",
                [most, (letter + "a" * 3) * (most // 4)],
            )
            assert lines == [1, True], (most, letter)


# ---- Sharing ----


@pytest.mark.parametrize("app", [True, False], ids=["apps to send to", "none"])
def test_the_link_goes_to_an_app_or_else_is_copied(open_result, app):
    page = open_result(viewport={"width": 360, "height": 640})
    page.add_init_script(
        "navigator.share = async (data) => { window.shared = data.url; };"
        if app
        else "delete Navigator.prototype.share;"
    )
    page.reload()
    page.locator("summary", has_text="Share").click()
    expect(page.get_by_role("button", name="Copy link")).to_be_visible(visible=not app)
    expect(page.get_by_role("button", name="Send to an app")).to_be_visible(visible=app)
    for name in ("Picture card (PNG)", "Data (JSON)"):
        expect(page.get_by_role("link", name=name)).to_be_visible()
    assert is_accessible(page)
    if app:
        page.get_by_role("button", name="Send to an app").click()
        assert page.evaluate("window.shared") == page.url


def test_another_browser_sees_the_answer_and_can_change_nothing(open_page, owner):
    page = open_page(owner[1], extra_http_headers=ELSEWHERE)
    expect(page.locator(".word")).to_be_visible()
    for form in page.locator("main form[method=post]:not([action^='/ask/'])").all():
        raise AssertionError(form.get_attribute("action"))
    page.get_by_role("tab", name="Details").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("Only the browser that sent this picture")
    assert is_accessible(page)
