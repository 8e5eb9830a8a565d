"""The history page: thumbnails of what this browser sent, and how to delete them."""

import pytest
from playwright.sync_api import expect

from tests.browser import text
from tests.browser.hands import arrive, send_photos
from tests.browser.rules import LOOKS, assert_accessible, assert_nothing_scrolls_sideways, assert_targets_are_large

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}


@pytest.fixture
def filled(open_page, cat):
    """A history of two results, opened by the link in the navigation."""

    def filled(batch=False, **options):
        page = open_page("/help", **options)
        for model in ("cats-dogs-cnn", "doodles-cnn"):
            page.goto(f"/?model={model}")
            send_photos(page, cat)
            arrive(page, "**/results/*")
        if batch:
            page.goto("/")
            send_photos(page, [cat, cat, cat])
            arrive(page, "**/batches/*")
        page.locator("footer a[href='/history']").click()
        arrive(page, "**/history")
        return page

    return filled


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scripts", [True, False], ids=["", "without JavaScript"])
def test_one_result_is_opened_and_deleted_and_then_all(filled, viewport, scripts):
    page = filled(viewport=viewport, java_script_enabled=scripts)
    pictures = page.locator(".history li")
    expect(pictures).to_have_count(2)
    expect(pictures.last).to_contain_text("cat", ignore_case=True)
    pictures.last.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("cat", ignore_case=True)
    page.go_back()
    pictures.last.get_by_role("button", name="Delete cat").click()
    arrive(page, "**/history#*")
    expect(page.get_by_role("status")).to_contain_text("You can undo this for ten minutes.")
    expect(page.locator(".history img")).to_have_count(1)
    if scripts:
        assert_accessible(page)
    page.get_by_role("button", name="Undo the deletion of “cat”").click()
    expect(page.locator(".history img")).to_have_count(2)
    expect(page.get_by_role("status")).to_have_count(0)
    page.get_by_text("Delete all").first.click()
    page.get_by_role("button", name="Delete all pictures").click()
    expect(page.locator("main")).to_contain_text("Nothing yet.")
    assert "?" not in page.url
    assert page.context.cookies() == []


def test_its_pictures_are_small(filled):
    page = filled(viewport=DESKTOP)
    picture = page.locator(".history img").first
    expect(picture).to_have_js_property("complete", True)
    assert 0 < picture.evaluate("image => image.naturalWidth") <= 256


@pytest.mark.parametrize("locale, scheme", LOOKS)
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_batch_a_picture_and_a_deleted_one_are_well_laid_out(filled, viewport, locale, scheme):
    page = filled(batch=True, viewport=viewport, locale=locale, color_scheme=scheme)
    page.locator(".history .tool").last.click()
    arrive(page, "**/history#*")
    page.evaluate("document.querySelectorAll('details:not(.menu)').forEach((fold) => { fold.open = true; })")
    for part in (".pile", ".deleted", ".history li:not(.deleted) form"):
        expect(page.locator(part)).to_have_count(1)
    assert_accessible(page)
    assert_targets_are_large(page)
    assert_nothing_scrolls_sideways(page, viewport["width"])
    assert text.faults(page, locale) == {}


@pytest.mark.parametrize("width", [320, 360])
def test_the_head_of_the_page_holds_all_links_on_a_narrow_screen(open_page, width):
    page = open_page("/history", viewport={"width": width, "height": 740})
    for link in page.get_by_role("navigation").get_by_role("link").all():
        box = link.bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["height"] >= 44


def test_five_uploads_at_once_from_a_new_browser_are_all_its_own(open_page, cat):
    page = open_page("/", viewport=DESKTOP)
    page.evaluate(
        """async (bytes) => {
        const upload = async () => {
            const form = new FormData();
            form.append("image", new Blob([new Uint8Array(bytes)], { type: "image/jpeg" }), "cat.jpg");
            const answer = await fetch("/predict", { method: "POST", body: form });
            if (!new URL(answer.url).pathname.startsWith("/results/")) throw new Error(answer.url);
        };
        await Promise.all(Array.from({ length: 5 }, upload));
    }""",
        list(cat["buffer"]),
    )
    page.goto("/history")
    assert page.locator(".history img").count() == 5
