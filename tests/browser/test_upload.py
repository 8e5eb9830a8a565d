"""The photo form: every way to choose a photo, the preview, and messages about unusable files."""

import base64

import pytest
from playwright.sync_api import expect

TEXT = {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"This is not a picture.\n" * 50}

FILES = """([name, data, size]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt());
    const files = new DataTransfer();
    files.items.add(new File([bytes, new Uint8Array(size)], name));
"""


def by_form(page, file):
    page.set_input_files("#image", file)


def by_camera(page, file):
    page.set_input_files(".camera input", file)


def by_script(page, file, script, padding=0):
    page.evaluate(FILES + script + "}", [file["name"], base64.b64encode(file["buffer"]).decode(), padding])


def by_drop(page, file, padding=0):
    by_script(
        page,
        file,
        """
        const options = {bubbles: true, cancelable: true, dataTransfer: files};
        for (const type of ["dragover", "drop"])
            document.querySelector("#photo h2").dispatchEvent(new DragEvent(type, options));
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


def send(page):
    page.get_by_role("button", name="Tell me what it is").click()


@pytest.mark.parametrize("way", [by_form, by_camera, by_drop, by_paste])
def test_a_photo_is_previewed_and_answered(page, cat, way):
    way(page, cat)
    expect(page.locator(".preview")).to_be_visible()
    expect(page.locator("#photo-note")).to_contain_text("cat.jpg")
    assert page.evaluate("document.querySelector('.preview').naturalWidth") > 0
    send(page)
    page.wait_for_url("**/results/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("cat", ignore_case=True)


def test_the_second_photo_replaces_the_first(page, cat):
    by_drop(page, cat)
    by_paste(page, {**cat, "name": "other.jpg"})
    expect(page.locator("#photo-note")).to_contain_text("other.jpg")
    assert page.locator("#image").evaluate("(input) => [...input.files].map((f) => f.name)") == ["other.jpg"]


def send_and_stop(page):
    """In one call: a page that is being left answers no further calls."""
    page.locator("#photo").evaluate("""form => new Promise((stopped) => {
        form.requestSubmit();
        setTimeout(() => stopped(stop()), 300);
    })""")


def test_after_one_was_stopped_on_its_way_another_can_be_sent(page, cat):
    page.route("**/predict", lambda route: None)  # no answer comes
    page.set_input_files("#image", cat)
    send_and_stop(page)
    page.unroute("**/predict")
    page.set_input_files("#image", cat | {"name": "other.jpg"})
    send(page)
    page.wait_for_url("**/results/*")


def test_what_was_stopped_can_be_sent_again_after_a_while(page, cat):
    page.clock.install()
    page.route("**/predict", lambda route: None)  # no answer comes
    page.set_input_files("#image", cat)
    send_and_stop(page)
    expect(page.locator("#photo [type=submit]").first).to_have_attribute("aria-busy", "true")
    page.clock.fast_forward(31_000)
    expect(page.locator("#photo [type=submit]").first).to_have_attribute("aria-busy", "false")
    page.unroute("**/predict")
    send(page)
    page.wait_for_url("**/results/*")


def test_a_photo_the_browser_cannot_show_is_named(page):
    by_form(page, {"name": "IMG_1.HEIC", "mimeType": "image/heic", "buffer": b"not shown by Chromium"})
    expect(page.locator("#photo .name")).to_have_text("IMG_1.HEIC")
    expect(page.locator(".preview")).to_be_hidden()


@pytest.mark.parametrize(
    "name, padding, said",
    [
        ("notes.txt", 0, "notes.txt is not a kind of picture"),
        ("big.jpg", 17 * 1024 * 1024, "at most 16 MB"),
    ],
)
def test_a_hopeless_file_is_refused_at_once(page, cat, name, padding, said):
    by_drop(page, {**cat, "name": name}, padding)
    expect(page.get_by_role("alert")).to_contain_text(said)
    assert page.evaluate("document.querySelector('#image').files.length") == 0
    by_drop(page, cat)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_dropped_text_is_left_alone(page):
    prevented = page.evaluate("""() => {
        const text = new DataTransfer();
        text.setData("text/plain", "hello");
        const drop = new DragEvent("drop", {bubbles: true, cancelable: true, dataTransfer: text});
        return !document.querySelector("#photo").dispatchEvent(drop);
    }""")
    assert not prevented


@pytest.mark.parametrize("script", [True, False])
def test_a_text_named_jpg_ends_on_the_help_page(open_page, script):
    page = open_page("/?photo=cats-dogs-cnn", java_script_enabled=script)
    by_form(page, TEXT)
    send(page)
    page.wait_for_url("**/help?reason=not-an-image*")
    expect(page.get_by_role("alert").get_by_role("heading", level=1)).not_to_be_empty()
    page.get_by_role("link", name="Try again").click()
    expect(page.locator("#photo-model")).to_have_value("cats-dogs-cnn")


def test_a_photo_without_javascript(open_page, cat):
    page = open_page("/?photo=cats-dogs-cnn", java_script_enabled=False)
    by_form(page, cat)
    send(page)
    page.wait_for_url("**/results/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("cat", ignore_case=True)


def test_drawing_says_that_it_needs_javascript(open_page):
    page = open_page("/", java_script_enabled=False)
    expect(page.locator("noscript p")).to_be_visible()
    expect(page.locator("#canvas")).to_be_hidden()
    expect(page.locator("#draw .second")).to_be_hidden()


def test_a_result_can_be_deleted(page, cat):
    by_form(page, cat)
    send(page)
    page.wait_for_url("**/results/*")
    result = page.url
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete this photo").click()
    page.wait_for_url(lambda url: url != result)
    assert page.goto(result).status == 404
