"""Several photos at once: selection, previews, upload with a progress bar, and one page of answers."""

import base64
import csv
import itertools

import pytest
from playwright.sync_api import expect

from tests.browser.hands import arrive, send_photos
from tests.browser.rules import (
    LONG_NAME,
    LOOKS,
    SCREENS,
    assert_accessible,
    assert_laid_out,
    assert_nothing_scrolls_sideways,
    assert_targets_are_large,
    lines,
)

NOT_A_PICTURE = {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"This is not a picture.\n" * 50}
WIDTHS = pytest.mark.parametrize("width", [360, 1280])
DROP = """([name, data, count]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt());
    const files = new DataTransfer();
    for (let i = 0; i < count; i++) files.items.add(new File([bytes], name.replace(".", `-${i}.`)));
    for (const type of ["dragover", "drop"])
        document.body.dispatchEvent(new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: files}));
}"""


TOO_SLOW = '<main><p class="status">408</p><h1>The connection is too slow</h1><p>Send a smaller one.</p></main>'
TOO_MANY = '<main><div class="problem"><h1>Too many requests</h1><p>Wait a minute and try again.</p></div></main>'


@pytest.fixture
def first_page(open_page):
    """Opens the home page at a width."""

    def first_page(width=1280, height=800, **options):
        page = open_page("/?model=cats-dogs-cnn", viewport={"width": width, "height": height}, **options)
        if options.get("java_script_enabled", True):
            page.wait_for_function("() => !document.querySelector('.send.unscripted')")  # the script has started
        return page

    return first_page


def choose(page, *files):
    send_photos(page, list(files))


def hold(page):
    """Lets no upload be answered."""
    page.route("**/predict", lambda route: None)


def names(page):
    """The files that the form would submit."""
    return page.locator("#image").evaluate("(input) => [...input.files].map((file) => file.name)")


def several(cat, count):
    return [{**cat, "name": f"{i}.jpg"} for i in range(count)]


@WIDTHS
@pytest.mark.parametrize("script", [True, False])
def test_several_get_one_page_and_a_bad_one_its_place(first_page, cat, width, script):
    page = first_page(width, java_script_enabled=script)
    choose(page, cat, NOT_A_PICTURE, {**cat, "name": "again.jpg"})
    arrive(page, "**/batches/*")
    cards = page.locator(".grid > li")
    expect(cards).to_have_count(3)
    expect(cards.nth(0)).to_contain_text("Cat")
    expect(cards.nth(0)).to_contain_text("cat.jpg")
    expect(cards.nth(1)).to_contain_text("This is not a picture")
    expect(cards.nth(1)).to_contain_text("notes.jpg")
    expect(cards.nth(2)).to_contain_text("again.jpg")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("link", name="Surest first").click()
    expect(cards.nth(2)).to_contain_text("notes.jpg")
    cards.nth(0).get_by_role("link").click()
    arrive(page, "**/results/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("cat", ignore_case=True)


def test_answers_that_could_not_be_kept_are_shown_in_place(first_page, cat):
    """These results have no address: the response to the post is the page."""
    page = first_page()
    page.route(
        "**/predict", lambda route: route.fulfill(content_type="text/html", body="<main><h1>Not kept</h1></main>")
    )
    choose(page, *several(cat, 2))
    expect(page.get_by_role("heading", name="Not kept")).to_be_visible()
    expect(page.locator("#image")).to_have_count(0)


def test_the_table_downloads(first_page, cat):
    page = first_page()
    choose(page, cat, NOT_A_PICTURE)
    arrive(page, "**/batches/*")
    with page.expect_download() as download:
        page.get_by_role("link", name="Table (CSV)").click()
    assert download.value.suggested_filename == "inkling.csv"
    with open(download.value.path(), encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["label"], row["error"]) for row in rows] == [
        ("cat.jpg", "cat", ""),
        ("notes.jpg", "", "not-an-image"),
    ]


def test_deleting_all_leads_to_the_first_page(first_page, cat):
    page = first_page()
    choose(page, *several(cat, 2))
    arrive(page, "**/batches/*")
    address = page.url
    page.get_by_text("Delete all", exact=True).click()
    page.get_by_role("button", name="Delete all of them").click()
    arrive(page, lambda url: "batches" not in url)
    assert page.goto(address).status == 404


# ---- The form ----


@pytest.mark.parametrize("locale, scheme", LOOKS)
@pytest.mark.parametrize("width, height", SCREENS)
def test_several_are_shown_while_they_are_sent(first_page, cat, width, height, locale, scheme):
    page = first_page(width, height, locale=locale, color_scheme=scheme)
    hold(page)
    choose(page, *several(cat, 4), NOT_A_PICTURE)
    items = page.locator(".thumbnails li")
    expect(items).to_have_count(5)
    expect(page.locator(".thumbnails canvas")).to_have_count(4)
    expect(page.get_by_role("img", name="2.jpg")).to_be_visible()
    expect(items.nth(4)).to_contain_text("notes.jpg")
    expect(page.locator("#photo-note")).to_contain_text("5 pictures, " if locale == "en" else "5 ")
    style = page.locator(".thumbnails").evaluate("(list) => getComputedStyle(list).gridTemplateColumns")
    across = len(style.split(" "))
    assert across == 3
    expect(page.get_by_role("progressbar")).to_be_visible()
    assert_laid_out(page, width, height, "sending")
    assert_targets_are_large(page)
    assert_accessible(page)


@pytest.mark.parametrize("count", [25, 60])
def test_on_a_phone_each_of_many_has_a_button_that_a_finger_hits(first_page, cat, count):
    """More than fit scroll within the card."""
    page = first_page(360, 640)
    choose(page, *({**NOT_A_PICTURE, "name": f"{i}-{LONG_NAME}"} for i in range(count)))
    buttons = page.locator(".thumbnails button")
    expect(buttons).to_have_count(count)
    expect(page.get_by_role("button", name="Use the first 20")).to_be_in_viewport(ratio=1)
    assert_targets_are_large(page)
    boxes = [button.bounding_box() for button in buttons.all()]
    for one, other in itertools.pairwise(boxes):
        assert one["x"] + one["width"] <= other["x"] + 1 or one["y"] + one["height"] <= other["y"] + 1, "none overlaps"
    assert all(lines(name) <= 2 for name in page.locator(".thumbnails span").all())
    buttons.last.scroll_into_view_if_needed()
    buttons.last.click()
    expect(buttons).to_have_count(count - 1)
    expect(page.locator(".fewer")).to_be_visible()
    assert_nothing_scrolls_sideways(page, 360)
    assert_accessible(page)


def test_one_is_taken_out_by_keyboard_until_a_single_one_is_left(first_page, cat):
    page = first_page()
    hold(page)
    choose(page, *several(cat, 3))
    page.get_by_role("button", name="Remove 1.jpg").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Remove 2.jpg")).to_be_focused()
    assert names(page) == ["0.jpg", "2.jpg"]
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Remove 2.jpg").press("Enter")
    expect(page.locator("#image")).to_be_focused()
    expect(page.locator(".preview")).to_be_visible()
    expect(page.locator(".thumbnails")).to_be_hidden()
    page.unroute("**/predict")
    page.get_by_role("button", name="Tell me what it is").click()
    arrive(page, "**/results/*")


def test_several_can_be_dropped(first_page, cat):
    page = first_page()
    hold(page)
    page.evaluate(DROP, ["cat.jpg", base64.b64encode(cat["buffer"]).decode(), 3])
    expect(page.locator(".thumbnails li")).to_have_count(3)
    assert names(page) == ["cat-0.jpg", "cat-1.jpg", "cat-2.jpg"]
    choose(page, cat)
    expect(page.locator(".thumbnails")).to_be_hidden()
    expect(page.locator(".preview")).to_be_visible()


@WIDTHS
def test_of_more_than_twenty_the_first_twenty_are_offered(first_page, cat, width):
    page = first_page(width)
    choose(page, *several(cat, 25))
    expect(page.get_by_role("alert")).to_contain_text("You can send up to 20 pictures at once.")
    expect(page.get_by_role("alert")).to_contain_text("Received: 25 pictures.")
    expect(page.locator(".thumbnails canvas")).to_have_count(25)
    expect(page.locator("#photo .primary").locator("visible=true")).to_have_text("Use the first 20")
    assert_targets_are_large(page)
    assert_accessible(page)
    page.get_by_role("button", name="Use the first 20").click()
    arrive(page, "**/batches/*")
    expect(page.locator(".grid a")).to_have_count(20)


def test_more_than_twenty_without_javascript_are_told(first_page, cat):
    page = first_page(java_script_enabled=False)
    choose(page, *several(cat, 21))
    arrive(page, "**/help?reason=too-many*")
    expect(page.get_by_role("alert")).to_contain_text("You can send up to 20 pictures at once.")


@pytest.mark.parametrize("name, size", [("large.jpg", 17 * 2**20), ("folder.of.things", 4096)])
def test_what_would_spoil_the_others_is_left_out_and_the_visitor_decides(first_page, name, size):
    page = first_page()
    page.evaluate(
        """([name, size]) => {
        const files = new DataTransfer();
        for (const [part, bytes] of [["a.jpg", 9], [name, size], ["b.jpg", 9], [`another-${name}`, size]])
            files.items.add(new File([new Uint8Array(bytes)], part));
        document.body.dispatchEvent(new ClipboardEvent("paste", {bubbles: true, clipboardData: files}));
    }""",
        [name, size],
    )
    expect(page.get_by_role("alert")).to_contain_text(f"Received: {name}, ")
    expect(page.get_by_role("alert")).to_contain_text(f"another-{name}, ")
    assert names(page) == ["a.jpg", "b.jpg"]
    expect(page.get_by_role("button", name="Tell me what it is")).to_be_visible()


@pytest.mark.parametrize("count", [1, 5])
def test_the_bar_says_how_far_they_are(first_page, cat, count):
    """Slows the upload down, so that its stages can be seen."""
    page = first_page()
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 40_000},
    )
    page.evaluate("""() => {
        window.seen = [];
        const [status, bar] = ["#sending", "progress"].map((name) => document.querySelector(name));
        const look = () => {
            seen.push([status.textContent, bar.hasAttribute("value") ? bar.value : null]);
        };
        new MutationObserver(look).observe(document.querySelector(".sending"), {
            attributes: true, childList: true, subtree: true, characterData: true});
    }""")
    choose(page, *several(cat, count))
    arrive(page, "**/batches/*" if count > 1 else "**/results/*")
    seen = page.evaluate("seen")
    sending = [value for says, value in seen if says == "Uploading…"]
    assert any(0 < (value or 0) < 1 for value in sending), seen
    assert ["Looking…", None] in seen


@pytest.mark.parametrize(
    "fail, says",
    [
        (lambda route: route.abort(), "The server cannot be reached"),
        (lambda route: route.fulfill(status=500, body="oh"), "Something went wrong on the server"),
        (lambda route: route.fulfill(status=429, content_type="text/html", body=TOO_MANY), "Wait a minute"),
        (lambda route: route.fulfill(status=408, content_type="text/html", body=TOO_SLOW), "Send a smaller one."),
    ],
)
def test_what_fails_on_the_way_is_told_and_nothing_is_lost(first_page, cat, fail, says):
    page = first_page()
    page.route("**/predict", fail)
    choose(page, *several(cat, 2))
    expect(page.get_by_role("alert")).to_contain_text(says)
    expect(page.locator(".sending")).to_be_hidden()
    assert names(page) == ["0.jpg", "1.jpg"]
    page.unroute("**/predict")
    page.get_by_role("button", name="Try again").click()
    arrive(page, "**/batches/*")


def test_a_first_visit_does_not_load_what_several_need(open_page):
    loaded = []
    page = open_page("/help")
    page.on("request", lambda request: loaded.append(request.url))
    page.goto("/", wait_until="networkidle")
    assert any("upload.js" in url for url in loaded)
    assert not any("batch.js" in url for url in loaded)
