"""Rules for every page: accessibility, narrow screens, color schemes, and the visitor's choices."""

import io

import pytest
from playwright.sync_api import expect

from inkling.access import LOCAL
from inkling.service import Upload
from tests.browser import text
from tests.browser.hands import RING, SQUARE, arrive, drawing, send_photos
from tests.browser.rules import assert_accessible, assert_targets_are_large
from tests.support.waiting import wait_until

PATHS = [
    "/",
    "/?way=draw",
    "/?way=camera",
    "/play",
    "/help",
    "/privacy",
    "/help?reason=blank",
    "/models",
    "/models/full-digits",
    "/models/own-digits",
    "/models/off-digits",
    "/models/cats-dogs-cnn",
    "/compare/digits",
    "/lab?step=canny&step=rotate&step=adaptive",
    "/lab?step=no-such-step",
    "/ask",
    "/api/docs",
    "/history",
    "/offline",
    "/sign-in",
    "/results/0",
    "a result",
    "an unsure result",
    "a result/others",
    "a result/why",
    "a result/layers",
    "questions about a result",
    "a batch of results",
    "/teach",
    "a classifier",
    "a classifier without pictures",
]
LARGE = "/models/doodles-cnn"  # sixty labels: a table of 3,600 cells; axe looks at the same page of ten


@pytest.fixture(scope="session")
def taught(served):
    """Classifiers to open: an empty one, and one with wrong labels, near-duplicates, and pictures without a label."""
    teaching = served.extensions["teaching"]
    empty = teaching.create("Our birds", "photo", LOCAL)
    full = teaching.create("Marks on our map", "ink", LOCAL)
    classes = {"ring": RING, "square": SQUARE, "Haltestelle": [(60, 340), (200, 60), (340, 340)]}
    for at, (name, points) in enumerate(classes.items()):
        flat = [[(x, y * (1 - shift / 18)) for x, y in points] for shift in range(12)]
        files = [drawing(flat[shift], shift, name) for shift in range(12)]
        wrong = [drawing(points, 12, f"{name}, wrong")]
        for label, some in ((name, files), (list(classes)[at - 1], wrong), (None, [drawing(points, 13, "new")])):
            teaching.add(full.id, [(Upload(io.BytesIO(one["buffer"]), one["name"], "drawing"), label) for one in some])
    wait_until(lambda: not teaching.progress(full.id))
    teaching.publish(full.id, teaching.get(full.id).newest)
    return {"a classifier": f"/teach/{full.id}?errors=1-0", "a classifier without pictures": f"/teach/{empty.id}"}


@pytest.fixture(scope="session")
def result_paths(browser, base_url, cat, taught):
    """Results to open: a cat as a photo, a cat as a doodle, and a batch of a cat and a file that is not a picture."""
    paths = {}
    notes = {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"hello"}
    for name, model, files in (
        ("a result", "cats-dogs-cnn", [cat]),
        ("an unsure result", "doodles-cnn", [cat]),
        ("a batch of results", "cats-dogs-cnn", [cat, notes, cat]),
    ):
        page = browser.new_page(base_url=base_url)
        page.goto(f"/?model={model}")
        send_photos(page, files)
        arrive(page, "**/batches/*" if len(files) > 1 else "**/results/*")
        paths[name] = page.url
        page.close()
    paths["questions about a result"] = paths["a result"].replace("/results/", "/ask/")
    return paths | taught | {f"a result/{page}": f"{paths['a result']}/{page}" for page in ("others", "why", "layers")}


LOOKS = ((360, "light", "en"), (1280, "dark", "en"), (360, "dark", "ru"))


# Headings that would rather break inside a word than be wider than another element.
WRAPPING = """() => [...document.querySelectorAll("h1, h2, h3")]
    .filter((heading) => getComputedStyle(heading).overflowWrap === "anywhere").map((heading) => heading.outerHTML)"""


def unfold(page):
    page.evaluate("document.querySelectorAll('details:not(.menu)').forEach((fold) => { fold.open = true; })")


LEFT_EDGES = """() => [...document.querySelectorAll(".brand, main > *, footer p")]
    .filter((block) => block.offsetWidth > 1)
    .map((block) => Math.round(block.getBoundingClientRect().left))"""


def assert_header_takes_two_rows(page):
    row = page.locator(".brand").bounding_box()["height"]
    assert page.get_by_role("banner").bounding_box()["height"] < 3 * row


def assert_one_left_edge(page):
    assert len(set(page.evaluate(LEFT_EDGES))) == 1


def assert_nothing_scrolls_sideways(page):
    for width in (360, 320):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


# Of the API's page one look is enough: it is so long that axe takes a minute.
@pytest.mark.parametrize(
    "path, width, scheme, locale",
    [(path, *look) for path in PATHS for look in (LOOKS[-1:] if path == "/api/docs" else LOOKS)],
)
def test_every_page_is_named_accessible_and_narrow(open_page, result_paths, path, width, scheme, locale):
    page = open_page(
        result_paths.get(path, path), viewport={"width": width, "height": 800}, color_scheme=scheme, locale=locale
    )
    unfold(page)
    assert "Inkling" in page.title()
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.locator("html")).to_have_attribute("lang", locale)
    assert page.evaluate(WRAPPING) == []
    assert_accessible(page)
    assert_one_left_edge(page)
    assert_targets_are_large(page)
    assert_header_takes_two_rows(page)
    assert_nothing_scrolls_sideways(page)
    if width == 360:
        assert text.faults(page, locale) == {}


@pytest.mark.parametrize("locale", ["en", "ru"])
def test_the_largest_table_scrolls_alone(open_page, locale):
    page = open_page(LARGE, locale=locale)
    unfold(page)
    assert_nothing_scrolls_sideways(page)


CONTROLS = [
    "Skip to content",
    "Inkling",
    "Recognize",
    "Teach",
    "Play",
    "Explore",
    "Language: EN",
    "Theme",
    "Photo",
    "Draw",
    "Camera",
    "canvas",
    "undo",
    "redo",
    "clear",
    "Pen",
    "draw-model",
    "Draw a 3",
    "Draw a 7",
    "Draw an 8",
    "Draw a 5",
    "Draw a 9, hard",
    "Play: six drawings against the clock",
]


def focused(page):
    """The name of the focused element and its outline; for a stage, the outline is its card's."""
    return page.evaluate("""() => {
        const at = document.activeElement;
        const shown = at.matches("#canvas, #image") ? at.closest(".card") : at;
        return [at.id || at.dataset.action || at.title || at.textContent.trim(), getComputedStyle(shown).outlineStyle];
    }""")


def test_tab_reaches_every_control_and_shows_where_it_is(page):
    expect(page.locator("#draw .examples button")).not_to_have_count(0)
    for control in CONTROLS:
        page.keyboard.press("Tab")
        assert focused(page) == [control, "solid"]


def test_the_choice_goes_into_the_address_and_back(page):
    page.select_option("#draw-model", "doodles-cnn")
    assert page.url.endswith("/?way=draw&model=doodles-cnn")
    page.get_by_role("link", name="Photo").click()
    assert page.url.endswith("/?model=doodles-cnn")
    page.reload()
    expect(page.locator("#photo-model")).to_have_value("doodles-cnn")
    page.get_by_role("link", name="Draw").click()
    expect(page.locator("#draw-model")).to_have_value("doodles-cnn")
    expect(page.locator("[data-knows-of=draw]")).to_contain_text("giraffe")


def test_a_result_leads_back_to_the_same_choice(open_page, result_paths):
    page = open_page(result_paths["an unsure result"])
    page.get_by_role("link", name="Try another").click()
    expect(page.locator("#photo-model")).to_have_value("doodles-cnn")


def test_nothing_moves_where_motion_is_unwelcome(open_page):
    page = open_page("/", reduced_motion="reduce")
    assert page.evaluate("getComputedStyle(document.querySelector('.primary')).transitionDuration") == "0s"
