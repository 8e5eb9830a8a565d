"""The photo form: every way to choose a photo, its answer in place, and messages about what failed."""

import base64
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.browser.hands import arrive, send_photos, started
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
from tests.browser.test_teach import create

TEXT = {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"This is not a picture.\n" * 50}
BUSY = '<main><div class="problem"><h1>Inkling is busy right now</h1><p>Wait a few seconds.</p></div></main>'

FILES = """([name, data, size]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt());
    const files = new DataTransfer();
    files.items.add(new File([bytes, new Uint8Array(size)], name));
"""


@pytest.fixture
def page(open_page):
    """The photo form on a desktop."""
    page = open_page("/?model=cats-dogs-cnn", viewport={"width": 1280, "height": 800})
    page.wait_for_function("() => !document.querySelector('.send.unscripted')")  # the script has started
    return page


def by_form(page, file):
    page.set_input_files("#image", file)


def by_script(page, file, script, padding=0):
    page.evaluate(FILES + script + "}", [file["name"], base64.b64encode(file["buffer"]).decode(), padding])


def by_drop(page, file, padding=0):
    by_script(
        page,
        file,
        """
        const options = {bubbles: true, cancelable: true, dataTransfer: files};
        for (const type of ["dragover", "drop"])
            document.querySelector("header").dispatchEvent(new DragEvent(type, options));
    """,
        padding,
    )


def by_paste(page, file):
    by_script(
        page,
        file,
        """
        document.body.dispatchEvent(new ClipboardEvent("paste", {bubbles: true, clipboardData: files}));
    """,
    )


def by_paste_while_drawing(page, file):
    page.get_by_role("link", name="Draw").click()
    by_paste(page, file)


@pytest.mark.parametrize("way", [by_form, by_drop, by_paste, by_paste_while_drawing])
def test_a_chosen_photo_is_answered_in_place(page, cat, way):
    page.evaluate("window.same = true")
    way(page, cat)
    arrive(page, "**/results/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("cat", ignore_case=True)
    assert (
        page.locator(".picture").evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") > 0
    )
    assert page.evaluate("window.same"), "no new document was loaded"
    expect(page.locator("main")).to_be_focused()
    address = urlsplit(page.url).path
    page.go_back()
    expect(page.locator("#image")).to_be_visible()
    page.go_forward()
    expect(page.locator(".picture")).to_be_visible()
    assert urlsplit(page.url).path == address
    page.reload()
    expect(page.locator(".picture")).to_be_visible()


def test_the_answers_scripts_run_in_place(page, cat):
    by_form(page, cat)
    arrive(page, "**/results/*")
    page.get_by_role("link", name="Show what decides").click()
    # A slow machine looks at fewer parts, so that none may decide; how many are enough is shown in any case.
    expect(page.get_by_role("group", name="Show on the picture")).to_be_visible()


@pytest.mark.parametrize("missing", [False, True])
def test_an_answer_is_shown_once_its_scripts_are_loaded_or_failed(new_context, cat, missing):
    """Shown before, its tabs would unfold and push what is below them out of the screen."""
    page, held = new_context(service_workers="block").new_page(), []
    page.goto("/?model=cats-dogs-cnn")
    started(page)
    page.route("**/tabs.js", lambda route: held.append(route))
    with page.expect_request("**/tabs.js"):
        by_form(page, cat)
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator(".tabs")).to_have_count(0)
    (script,) = held
    if missing:
        script.abort()
    else:
        script.continue_()
    arrive(page, "**/results/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("cat", ignore_case=True)
    expect(page.get_by_role("tablist")).to_have_count(0 if missing else 1)


@pytest.mark.parametrize("width", [360, 1280])
def test_an_upload_shows_its_photo_and_how_far_it_is_and_can_be_cancelled(open_page, cat, width):
    page = open_page("/", viewport={"width": width, "height": 800})
    page.route("**/predict", lambda route: None)  # no answer comes
    by_form(page, cat)
    expect(page.locator(".preview")).to_be_visible()
    expect(page.locator("#photo-note")).to_contain_text("cat.jpg")
    expect(page.get_by_role("progressbar")).to_be_visible()
    expect(page.locator("#sending")).to_have_text("Uploading…")
    assert_accessible(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("progressbar")).to_be_hidden()
    expect(page.locator(".preview")).to_be_visible()
    expect(page.get_by_role("button", name="Tell me what it is")).to_be_focused()
    page.unroute("**/predict")
    page.keyboard.press("Enter")
    arrive(page, "**/results/*")


@pytest.mark.parametrize("locale, scheme", LOOKS)
@pytest.mark.parametrize("width, height", SCREENS)
def test_an_upload_and_what_fails_of_it_fit_into_the_first_screen(open_page, cat, width, height, locale, scheme):
    page = open_page("/", viewport={"width": width, "height": height}, locale=locale, color_scheme=scheme)
    page.route("**/predict", lambda route: None)  # no answer comes
    by_form(page, cat)
    expect(page.locator(".preview")).to_be_visible()
    expect(page.locator("#sending")).not_to_be_empty()
    assert_laid_out(page, width, height, "sending")
    assert_targets_are_large(page)
    assert_accessible(page)
    page.locator(".cancel").click()
    page.route("**/predict", fail(None))
    page.locator(".send").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert_laid_out(page, width, height, "problem")
    assert_targets_are_large(page)
    assert_accessible(page)


@pytest.mark.parametrize("height", [640, 800])
def test_a_long_file_name_takes_two_lines_and_keeps_its_end(open_page, cat, height):
    page = open_page("/", viewport={"width": 360, "height": height})
    page.route("**/predict", lambda route: None)
    named = {"name": LONG_NAME, "mimeType": "image/heic", "buffer": b"not shown by Chromium"}
    assert len(LONG_NAME) == 205
    by_form(page, named)
    for place in ("#photo-note", "#photo .name"):
        expect(page.locator(place)).to_be_visible()
        expect(page.locator(place)).to_contain_text("lange.jpeg")
        assert lines(page.locator(place)) <= 2, place
    by_drop(page, {**named, "name": LONG_NAME.replace("jpeg", "txt")})
    expect(page.get_by_role("alert")).to_contain_text("lange.txt")
    assert LONG_NAME[:40] not in page.get_by_role("alert").inner_text()
    assert_nothing_scrolls_sideways(page, 360)


def test_a_photo_is_removed_or_replaced_while_it_is_sent(page, cat):
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.route("**/predict", lambda route: None)  # no answer comes
    by_form(page, cat)
    by_paste(page, {**cat, "name": "other.jpg"})
    expect(page.locator("#photo-note")).to_contain_text("other.jpg")
    assert page.locator("#image").evaluate("(input) => [...input.files].map((f) => f.name)") == ["other.jpg"]
    page.get_by_role("button", name="Remove").click()
    expect(page.locator("#photo .empty")).to_be_visible()
    expect(page.locator("#image")).to_be_focused()
    expect(page.get_by_role("progressbar")).to_be_hidden()
    assert len(failed) == 2, "both uploads are called off"


def fail(fault):
    """A handler that answers like this, or not at all."""
    return lambda route: route.fulfill(**fault) if fault else route.abort()


FAILURES = {
    "offline": (None, {"en": "The server cannot be reached", "ru": "Сервер недоступен"}),
    "busy": (
        {"status": 503, "content_type": "text/html", "body": BUSY},
        dict.fromkeys(("en", "ru"), "Wait a few seconds."),
    ),
    "a proxy's limit": (
        {"status": 413, "body": "<h1>413</h1>"},
        {"en": "The picture is too large", "ru": "Картинка слишком большая"},
    ),
    "a proxy without a server": (
        {"status": 502, "body": "<h1>Bad gateway</h1>"},
        {"en": "Something went wrong on the server", "ru": "На сервере произошла ошибка"},
    ),
}
AGAIN = {"en": "Try again", "ru": "Попробовать ещё раз"}


@pytest.mark.parametrize("locale, scheme", LOOKS)
@pytest.mark.parametrize("width", [360, 1280])
def test_a_failed_upload_is_told_in_place_and_tried_again(open_page, cat, width, locale, scheme):
    page = open_page("/", viewport={"width": width, "height": 640}, locale=locale, color_scheme=scheme)
    for fault, said in FAILURES.values():
        page.route("**/predict", fail(fault))
        if page.locator(".preview").is_visible():
            page.get_by_role("button", name=AGAIN[locale]).click()
        else:
            by_form(page, cat)
        expect(page.get_by_role("alert")).to_contain_text(said[locale])
        expect(page.get_by_role("alert").locator("b")).to_be_in_viewport(ratio=1)
        expect(page.locator(".preview")).to_be_visible()
        page.unroute("**/predict")
    assert_accessible(page)
    page.get_by_role("button", name=AGAIN[locale]).click()
    arrive(page, "**/results/*")


def test_a_photo_the_browser_cannot_show_is_named(page):
    page.route("**/predict", lambda route: None)
    by_form(page, {"name": "IMG_1.HEIC", "mimeType": "image/heic", "buffer": b"not shown by Chromium"})
    expect(page.locator("#photo .name")).to_have_text("IMG_1.HEIC")
    expect(page.locator(".preview")).to_be_hidden()


@pytest.mark.parametrize(
    "name, padding, said",
    [
        ("notes.txt", 0, ("This kind of file is not accepted", "notes.txt")),
        ("big.jpg", 17 * 1024 * 1024, ("The picture is too large", "The limit is 16 MB", "big.jpg, 17")),
    ],
)
def test_a_hopeless_file_is_refused_before_it_is_sent(page, cat, name, padding, said):
    page.set_viewport_size({"width": 360, "height": 640})
    page.route("**/predict", lambda route: None)
    by_drop(page, {**cat, "name": name}, padding)
    for part in said:
        expect(page.get_by_role("alert")).to_contain_text(part)
    expect(page.get_by_role("alert")).to_be_in_viewport(ratio=0.9)
    assert page.evaluate("document.querySelector('#image').files.length") == 0
    by_drop(page, cat)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_an_example_that_cannot_be_fetched_is_told_and_tried_again(new_context):
    page = new_context(service_workers="block").new_page()
    page.goto("/")
    started(page)
    page.route("**/examples/lighthouse.webp", lambda route: route.abort())
    page.get_by_role("button", name="A picture of a lighthouse").click()
    expect(page.get_by_role("alert")).to_contain_text("The example could not be loaded")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("alert")).to_contain_text("The example could not be loaded")
    page.unroute("**/examples/lighthouse.webp")
    page.get_by_role("button", name="Try again").click()
    arrive(page, "**/results/*")


def test_a_file_that_the_server_refuses_is_told_in_place_with_the_help_about_it(page):
    by_form(page, TEXT)
    expect(page.get_by_role("alert")).to_contain_text("This is not a picture")
    expect(page.get_by_role("alert")).to_contain_text("save it as JPEG or PNG")
    assert "/help" not in page.url


@pytest.mark.parametrize("name", ["image", "cat.jfif", "cat.png", "cat.jpg?v=2"])
def test_a_photo_is_answered_whatever_its_name_says(page, cat, name):
    by_drop(page, {**cat, "name": name})
    arrive(page, "**/results/*")
    page.get_by_role("tab", name="Details").click()
    expect(page.locator("#details dt:text-is('File format') + dd")).to_have_text("JPEG")


@pytest.mark.parametrize("path", ["/?way=draw", "/lab", "/teach"])
def test_a_link_that_is_dropped_is_told_from_a_picture(open_page, path):
    page = open_page(path)
    if path == "/teach":
        create(page, "Dragged from elsewhere", "Photos")
    address = urlsplit(page.url).path
    prevented = page.evaluate("""() => {
        const link = new DataTransfer();
        link.setData("text/uri-list", "https://example.org/cat.jpg");
        const options = {bubbles: true, cancelable: true, dataTransfer: link};
        const events = ["dragover", "drop"].map((type) => new DragEvent(type, options));
        return events.map((event) => !document.querySelector("main").dispatchEvent(event));
    }""")
    assert prevented == [True, True]
    said = page.get_by_role("status" if path == "/teach" else "alert").filter(has_text="This is a link, not a picture")
    expect(said).to_contain_text("Save the picture and choose the file")
    assert urlsplit(page.url).path == address


def test_a_dropped_folder_is_refused_before_it_is_sent(page, tmp_path):
    """Only Chromium's own drag brings a folder."""
    page.route("**/predict", lambda route: None)
    (tmp_path / "holiday").mkdir()
    pointer = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(tmp_path / "holiday")], "dragOperationsMask": 1}
        pointer.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    expect(page.get_by_role("alert")).to_contain_text("This kind of file is not accepted")
    assert page.evaluate("document.querySelector('#image').files.length") == 0


def test_dropped_text_is_left_alone(page):
    prevented = page.evaluate("""() => {
        const text = new DataTransfer();
        text.setData("text/plain", "hello");
        const drop = new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: text});
        return !document.querySelector("#photo").dispatchEvent(drop);
    }""")
    assert not prevented


def test_without_javascript_there_is_a_form_a_result_and_a_help_page(open_page, cat):
    page = open_page("/?model=cats-dogs-cnn", java_script_enabled=False)
    send_photos(page, TEXT)
    arrive(page, "**/help?reason=not-an-image*")
    expect(page.get_by_role("alert").get_by_role("heading", level=1)).not_to_be_empty()
    page.get_by_role("link", name="Try again").click()
    expect(page.locator("#photo-model")).to_have_value("cats-dogs-cnn")
    send_photos(page, cat)
    arrive(page, "**/results/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("cat", ignore_case=True)


@pytest.mark.parametrize("way, hidden", [("draw", "#canvas"), ("camera", "video")])
def test_what_needs_javascript_says_so(open_page, way, hidden):
    page = open_page(f"/?way={way}", java_script_enabled=False)
    expect(page.locator("noscript p").locator("visible=true")).to_have_count(1)
    expect(page.locator(hidden)).to_be_hidden()
    expect(page.get_by_role("button", name="Save & share")).to_be_hidden()


def test_a_result_can_be_deleted(page, cat):
    by_form(page, cat)
    arrive(page, "**/results/*")
    result = page.url
    page.get_by_role("tab", name="Details").click()
    page.get_by_role("button", name="Delete this photo").click()
    arrive(page, lambda url: url != result)
    assert page.goto(result).status == 404
