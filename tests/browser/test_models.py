"""The pages about models, by keyboard and without JavaScript, and the answers of other models."""

import pytest
from playwright.sync_api import expect

from tests.browser.hands import arrive

MODEL = "/models/full-digits"


@pytest.fixture
def drawn(open_page):
    """The result of a drawn 1 from the model with the complete card."""
    page = open_page("/?way=draw&model=full-digits")
    box = page.locator("#canvas").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 40, steps=5)
    page.mouse.up()
    page.get_by_role("button", name="Save & share").click()
    arrive(page, "**/results/*")
    return page.url


@pytest.mark.parametrize("name, select", [("cats-dogs-cnn", "#photo-model"), ("digits-cnn", "#draw-model")])
def test_try_it_opens_the_stage_with_the_model_chosen(open_page, name, select):
    page = open_page(f"/models/{name}")
    page.get_by_role("link", name="Try it").click()
    arrive(page, "**/?*")
    expect(page.locator(select)).to_be_visible()
    expect(page.locator(select)).to_have_value(name)


@pytest.mark.parametrize("script", [True, False])
def test_a_cell_opens_the_pictures_of_its_pair(open_page, script):
    page = open_page(MODEL, java_script_enabled=script, viewport={"width": 360, "height": 740})
    cell = page.locator(".matrix a").last
    told = cell.get_attribute("aria-label").split(": ")[1]
    cell.focus()
    page.keyboard.press("Enter")
    arrive(page, "**?pair=*")
    pair = page.locator(".folds details[open]")
    expect(pair.locator("summary")).to_contain_text(told)
    expect(pair.locator("summary")).to_be_in_viewport()


def test_a_tile_shows_its_part_of_the_sheet(open_page):
    page = open_page(MODEL)
    fold = page.locator(".folds details", has=page.locator(".tiles")).first  # the first 20 pairs have a picture
    fold.locator("summary").click()
    tile = fold.locator(".tiles svg").first
    expect(tile).to_be_visible()
    box = tile.bounding_box()
    assert box["width"] == box["height"] > 60
    assert page.evaluate("async () => (await fetch(document.querySelector('image').href.baseVal)).status") == 200


@pytest.mark.parametrize(
    "path, name", [("/compare/digits", "The models side by side"), ("/models/doodles-cnn", "Confusion matrix")]
)
def test_a_wide_table_scrolls_by_keyboard(open_page, path, name):
    page = open_page(path, viewport={"width": 360, "height": 740})
    page.evaluate("document.querySelectorAll('details:not(.menu)').forEach((fold) => { fold.open = true; })")
    region = page.get_by_role("region", name=name)
    region.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("(region) => region.scrollLeft > 0", arg=region.element_handle())


@pytest.mark.parametrize("width", [360, 1280])
def test_a_table_that_is_wider_than_the_page_says_that_it_scrolls(open_page, width):
    page = open_page("/compare/digits", viewport={"width": width, "height": 740})
    wider = page.locator(".compare").evaluate("table => table.offsetWidth > table.closest('.scroll').clientWidth")
    expect(page.get_by_text("Scroll sideways to see all models.")).to_be_visible(visible=wider)
    assert wider or width > 360


@pytest.mark.parametrize("width", [360, 1280])
def test_each_number_has_its_name_beside_it_where_the_columns_have_none(open_page, width):
    page = open_page("/models", viewport={"width": width, "height": 740})
    named = page.locator(".stacked thead").first.bounding_box()
    for caption in page.locator(".stacked .caption").all():
        expect(caption).to_be_visible(visible=width == 360)
    assert (named["height"] > 1) == (width == 1280), "the header stands where the numbers have no names"


def test_the_others_are_asked_on_demand(open_page, drawn):
    page, asked = open_page("/help"), []
    page.on("request", lambda request: request.url.endswith("/others") and asked.append(1))
    page.goto(drawn, wait_until="networkidle")
    page.get_by_role("tab", name="Other models").click()
    assert asked == []
    page.get_by_role("link", name="Ask them").click()
    expect(page.get_by_role("tabpanel")).to_contain_text("give the same answer: 1.")
    assert asked == [1]


def test_when_the_others_cannot_be_asked_the_link_is_back(open_page, drawn):
    page = open_page(drawn)
    page.route("**/others", lambda route: route.abort())
    page.get_by_role("tab", name="Other models").click()
    page.get_by_role("link", name="Ask them").click()
    expect(page.get_by_role("link", name="Ask them")).to_be_focused()


def test_the_others_without_javascript(open_page, drawn):
    page = open_page(drawn, java_script_enabled=False)
    page.get_by_role("link", name="Ask them").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Other models")
    expect(page.locator(".others")).to_contain_text("give the same answer: 1.")
    page.get_by_role("link", name="Back to the answer").click()
    assert page.url == drawn
