"""The lab in a browser: live with JavaScript, with a button without it, by keyboard, on phone and desktop."""

import ast
import base64
import io
from contextlib import suppress

import pytest
from PIL import Image
from playwright.sync_api import Error, expect

from tests.browser.hands import arrive, send_photos, settle, switch

SIZES = {"phone": {"width": 360, "height": 740}, "desktop": {"width": 1280, "height": 800}}
LINE = [(0.5, 0.2), (0.5, 0.8)]


@pytest.fixture(params=SIZES.values(), ids=SIZES)
def lab(request, open_page):
    """The lab with one step, Canny."""
    return open_page("/lab?step=canny", viewport=request.param)


def after(page):
    return page.get_attribute("[data-part=after]", "src")


def changed(page, act):
    """Performs an action and waits until the result has changed."""
    before = after(page)
    act()
    expect(page.locator("[data-part=after]")).not_to_have_attribute("src", before)


def sent(page, act):
    """Performs an action that submits the form, and waits until the next page and its script are loaded."""
    with page.expect_navigation():
        act()


def code(page):
    return page.locator("[data-part=code]").text_content()


def focused(page):
    return page.evaluate("document.activeElement.id || document.activeElement.value")


# ---- Live ----


def test_a_slider_changes_the_result_the_code_and_the_address(lab):
    slider = lab.locator("[data-of=s1-low]")
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    changed(lab, lambda: lab.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2))
    value = lab.input_value("#s1-low")
    assert 400 < int(value) <= 500
    expect(lab.locator("[data-part=code]")).to_contain_text(f"cv2.Canny(picture, {value}, 150")
    assert f"1.low={value}" in lab.url
    lab.reload()
    expect(lab.locator("#s1-low")).to_have_value(value)


def test_a_number_by_keyboard_moves_the_slider(lab):
    lab.focus("#s1-high")
    lab.keyboard.press("ArrowUp")
    expect(lab.locator("[data-of=s1-high]")).to_have_value("151")
    expect(lab.locator("[data-part=code]")).to_contain_text("cv2.Canny(picture, 50, 151")
    assert focused(lab) == "s1-high"


@pytest.fixture
def slow_page(new_context):
    """The lab on a slow connection: (page, a function that lets its script load)."""
    page, held = new_context().new_page(), []
    page.route("**/lab.js", lambda route: held.append(route), times=1)
    with page.expect_request("**/lab.js"):
        page.goto("/lab?step=canny", wait_until="commit")
    return page, lambda: held.pop().continue_()


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ([("#s1-low", "400")], "400"),
        ([("[data-of=s1-low]", "400")], "400"),
        ([("[data-of=s1-low]", "400"), ("#s1-low", "300")], "300"),
        ([("#s1-low", "20000")], "20000"),
    ],
)
def test_a_number_changed_before_the_script_has_come_counts_too(slow_page, changes, number):
    page, go_on = slow_page
    for control, value in changes:
        page.fill(control, value)
    before = after(page)
    go_on()
    expect(page.locator("[data-part=after]")).not_to_have_attribute("src", before)
    expect(page.locator("[data-part=code]")).to_contain_text(f"cv2.Canny(picture, {number}, 150")
    expect(page.locator("#s1-low")).to_have_value(number)
    expect(page.locator("[data-of=s1-low]")).to_have_value(str(min(int(number), 500)))


def test_so_does_a_choice(slow_page):
    page, go_on = slow_page
    page.select_option("#s1-aperture", "7")
    go_on()
    expect(page.locator("[data-part=code]")).to_contain_text("apertureSize=7")


def test_so_does_a_photo(slow_page, cat):
    page, go_on = slow_page
    page.set_input_files("#image", cat)
    sent(page, go_on)
    expect(page.locator("[name=picture]")).to_have_count(1)


@pytest.mark.parametrize("query", ["step=canny&1.high=50000", "step=adaptive&step=rotate&step=brightness&step=binary"])
def test_nothing_is_asked_anew_where_nothing_was_changed(new_context, query):
    page, asked = new_context().new_page(), []
    page.on("request", lambda request: asked.append(request.method))
    page.goto(f"/lab?{query}", wait_until="networkidle")
    assert set(asked) == {"GET"}


def test_only_the_newest_result_is_shown(open_page):
    """The first answer is held back until the second is there."""
    page, held = open_page("/lab?step=brightness"), []

    def hold(route):
        if held or route.request.method != "POST":
            return route.continue_()
        return held.append(route)

    page.route("**/lab*", hold)
    with page.expect_request("**/lab*"):
        page.fill("#s1-add", "10")
    page.fill("#s1-add", "240")
    expect(page.locator("[data-part=code]")).to_contain_text("picture, 0, 240)")
    (route,) = held
    answer = route.fetch()
    assert "picture, 0, 10)" in answer.text()
    with suppress(Error):  # the page gave up waiting for it
        route.fulfill(response=answer)
    settle(page)
    expect(page.locator("[data-part=code]")).to_contain_text("picture, 0, 240)")


def test_half_a_number_asks_for_nothing(lab):
    asked = []
    lab.clock.install()
    lab.on("request", lambda request: asked.append(request.method))
    for text in ("", "-", "99999999"):
        lab.locator("#s1-low").evaluate(
            "(field, text) => { field.value = text; field.dispatchEvent(new Event('input', {bubbles: true})); }", text
        )
        lab.clock.run_for(1000)  # the page waits a moment before it asks
    settle(lab)
    assert "POST" not in asked


def test_the_model_is_asked_of_both(lab):
    changed_word = lab.locator("[data-part=before-word]")
    expect(changed_word).to_contain_text("ship")
    lab.select_option("#lab-model", "cats-dogs-cnn")
    expect(changed_word).not_to_contain_text("ship")
    expect(lab.locator("[data-part=after-word]")).to_contain_text("%")
    assert "model=cats-dogs-cnn" in lab.url


def test_a_server_that_is_gone_is_told_and_the_picture_stays(lab):
    lab.route("**/lab", lambda route: route.abort())
    shown = after(lab)
    lab.fill("#s1-low", "7")
    expect(lab.get_by_role("alert")).to_contain_text("cannot be reached")
    assert after(lab) == shown
    lab.unroute("**/lab")
    changed(lab, lambda: lab.fill("#s1-low", "400"))
    expect(lab.get_by_role("alert")).to_be_empty()


def test_a_server_that_is_busy_says_so(lab):
    lab.route("**/lab", lambda route: route.fulfill(status=303, headers={"Location": "/help?reason=busy"}))
    lab.fill("#s1-low", "7")
    expect(lab.get_by_role("alert")).to_have_text("Wait a few seconds, then try again.")


def test_a_result_that_is_gone_is_told(page, cat):
    page.get_by_role("link", name="Photo").click()
    send_photos(page, cat)
    arrive(page, "**/results/*")
    result = page.url
    page.goto(f"/lab?result={result.rpartition('/')[2]}")
    page.request.post(f"{result}/delete")
    page.locator(".chain [type=number]").first.fill("7")
    expect(page.get_by_role("alert")).to_contain_text("not here")


# ---- The chain ----


def test_a_slider_moved_before_the_answer_does_not_undo_what_was_pressed(lab):
    """The first answer never comes."""
    held = []
    lab.route("**/lab", lambda route: route.continue_() if held else held.append(route))
    lab.select_option("#add", "rotate")
    with lab.expect_request("**/lab"):
        lab.get_by_role("button", name="Add").click()
    lab.fill("#s1-low", "7")
    expect(lab.locator("#s2-angle")).to_be_visible()
    expect(lab.locator("#s1-low")).to_have_value("7")
    lab.fill("#s1-low", "8")
    expect(lab.locator("[data-part=code]")).to_contain_text("cv2.Canny(picture, 8,")
    expect(lab.locator("fieldset")).to_have_count(2)


def test_what_is_pressed_twice_at_once_is_done_once(lab):
    lab.select_option("#add", "rotate")
    lab.get_by_role("button", name="Add").evaluate("(button) => { button.click(); button.click(); }")
    expect(lab.locator("#s2-angle")).to_be_visible()
    lab.get_by_role("button", name="step 2: earlier").evaluate("(button) => { button.click(); button.click(); }")
    expect(lab.locator("#s1-angle")).to_be_visible()
    lab.select_option("#add", "flip")
    lab.get_by_role("button", name="Add").click()
    expect(lab.locator("fieldset")).to_have_count(3)


SAID = """(field, kind) => {
    let said = "";
    field.addEventListener("invalid", () => { said = field.validationMessage; }, {once: true});
    if (kind === "change") field.dispatchEvent(new Event("change", {bubbles: true}));
    else document.querySelector("[value=classify]").click();
    return said;
}"""


@pytest.mark.parametrize("kind", ["change", "submit"])
@pytest.mark.parametrize(
    "locale, said", [("en", "Enter a whole number from 0 to 50000."), ("ru", "Введите целое число от 0 до 50000.")]
)
def test_a_number_that_is_not_accepted_is_told_in_the_language_of_the_page(open_page, kind, locale, said):
    """The browser's own words would be in the browser's language, whatever the page's."""
    page = open_page("/lab?step=canny", locale=locale)
    field = page.locator("#s1-low")
    field.fill("99999")
    assert field.evaluate(SAID, kind) == said
    changed(page, lambda: field.fill("400"))
    assert field.evaluate("field => field.validity.valid")
    field.fill("99999")
    assert field.evaluate(SAID, kind) == said
    changed(page, lambda: page.locator("[data-of=s1-low]").fill("300"))
    assert field.evaluate("field => field.validity.valid"), "the slider sets a number that is accepted"


def test_another_language_keeps_the_picture_and_its_steps(lab, cat):
    sent(lab, lambda: lab.set_input_files("#image", cat))
    lab.select_option("#add", "rotate")
    lab.get_by_role("button", name="Add").click()
    expect(lab.locator("fieldset")).to_have_count(2)
    switch(lab, "language", "Русский")
    expect(lab.get_by_role("heading", level=1)).to_have_text("Лаборатория")
    expect(lab.locator("fieldset")).to_have_count(2)
    assert lab.locator("[name=picture]").count() == 1


def test_copied_is_not_said_of_other_code(open_page):
    page = open_page("/lab?step=canny", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    changed(page, lambda: page.fill("#s1-low", "400"))
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()


def test_steps_are_added_moved_and_removed_by_keyboard(lab):
    lab.select_option("#add", "rotate")
    changed(lab, lambda: lab.get_by_role("button", name="Add").press("Enter"))
    assert focused(lab) == "s2-angle"
    assert code(lab).index("Canny") < code(lab).index("warpAffine")
    changed(lab, lambda: lab.get_by_role("button", name="Rotation, step 2: earlier").press("Enter"))
    expect(lab.locator("legend").first).to_have_text("1. Rotation")
    assert focused(lab) == "down 1", "the first cannot go up, so its other button has the focus"
    assert code(lab).index("Canny") > code(lab).index("warpAffine")
    ast.parse(code(lab))
    changed(lab, lambda: lab.get_by_role("button", name="Rotation, step 1: remove").press("Space"))
    expect(lab.locator("legend")).to_have_text(["1. Canny edges"])
    assert focused(lab) == "remove 1"
    changed(lab, lambda: lab.keyboard.press("Enter"))
    assert focused(lab) == "add"
    assert "/lab?" in lab.url
    lab.reload()
    expect(lab.locator("legend")).to_have_count(0)


def test_enter_in_a_number_changes_no_order(open_page):
    page = open_page("/lab?step=canny&step=rotate")
    page.focus("#s2-angle")
    page.keyboard.press("Enter")
    page.wait_for_load_state("networkidle")
    expect(page.locator("legend")).to_have_text(["1. Canny edges", "2. Rotation"])
    assert focused(page) == "s2-angle"


def test_six_steps_are_the_most(open_page):
    page = open_page("/lab?step=flip&step=flip&step=flip&step=flip&step=flip")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("legend")).to_have_count(6)
    expect(page.locator("#add")).to_have_count(0)


# ---- Whose picture ----


def test_a_photo_is_worked_on_and_classified(lab, cat, base_url):
    lab.select_option("#lab-model", "cats-dogs-mobilenet")
    sent(lab, lambda: lab.set_input_files("#image", cat))
    expect(lab.locator("[data-part=before-word]")).to_contain_text("cat")
    expect(lab.locator("legend")).to_have_text(["1. Canny edges"])
    changed(lab, lambda: lab.fill("#s1-low", "10"))
    lab.get_by_role("button", name="Recognize this").click()
    arrive(lab, "**/results/*")
    lab.get_by_role("tab", name="Details").click()
    lab.get_by_role("link", name="Try changes in the lab").click()
    arrive(lab, "**/lab?result=*")
    expect(lab.get_by_role("img", name="The original picture")).to_be_visible()


def test_a_drawing_is_worked_on(lab):
    lab.get_by_text("Draw one instead").click()
    canvas = lab.locator("#canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    (x, y), (x2, y2) = [(box["x"] + a * box["width"], box["y"] + b * box["height"]) for a, b in LINE]
    lab.mouse.move(x, y)
    lab.mouse.down()
    lab.mouse.move(x2, y2, steps=5)
    lab.mouse.up()
    sent(lab, lambda: lab.get_by_role("button", name="Use this drawing").click())
    assert lab.evaluate("document.querySelector('[data-part=before]').naturalWidth") == 400
    assert lab.locator("#lab-model option:checked").get_attribute("value") in ("doodles-cnn", "digits-cnn")
    changed(lab, lambda: lab.fill("#s1-high", "50000"))


def test_a_bad_file_is_told_in_the_lab(lab):
    lab.set_input_files("#image", {"name": "notes.jpg", "mimeType": "image/jpeg", "buffer": b"no picture\n" * 50})
    expect(lab.get_by_role("alert")).to_contain_text("This is not a picture.")
    expect(lab.get_by_role("img", name="The picture after all steps")).to_be_visible()


FILES = """([type, data, size]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt()), files = new DataTransfer();
    files.items.add(new File([bytes, new Uint8Array(size)], "cat.jpg"));
    const options = {bubbles: true, cancelable: true};
    document.body.dispatchEvent(type === "paste" ? new ClipboardEvent(type, {...options, clipboardData: files})
        : new DragEvent(type, {...options, dataTransfer: files}));
}"""


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_photo_is_pasted_or_dropped_anywhere(lab, cat, way):
    sent(lab, lambda: lab.evaluate(FILES, [way, base64.b64encode(cat["buffer"]).decode(), 0]))
    assert lab.locator("[name=picture]").count() == 1


def test_a_file_that_is_too_large_is_not_sent(lab, cat):
    lab.evaluate(FILES, ["drop", base64.b64encode(cat["buffer"]).decode(), 17 * 2**20])
    expect(lab.get_by_role("alert")).to_contain_text("The limit is 16 MB, and")
    assert lab.locator("[name=picture]").count() == 0


def test_the_code_is_copied_and_the_result_saved(open_page):
    page = open_page("/lab?step=flip", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == code(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as PNG").click()
    assert download.value.suggested_filename == "result.png"
    assert Image.open(io.BytesIO(download.value.path().read_bytes())).size == (480, 360)


# ---- Without JavaScript ----


def test_all_of_it_without_javascript(open_page, cat):
    page = open_page("/lab?step=canny", viewport=SIZES["phone"], java_script_enabled=False)
    expect(page.locator("noscript p")).to_contain_text("Drawing needs JavaScript.")
    expect(page.locator("#canvas")).to_be_hidden()
    expect(page.locator("[data-of=s1-low]")).to_be_hidden()
    expect(page.locator("[type=file]:visible")).to_have_count(0)  # it would say "No file chosen" beside a picture
    page.locator("summary", has_text="Choose a photo").click()
    page.locator("[type=file]:visible").set_input_files(cat)
    page.get_by_role("button", name="Show the result").first.click()
    expect(page.locator("[type=file]:visible")).to_have_count(0)
    expect(page.locator("summary", has_text="Choose another photo")).to_be_visible()
    first = page.locator("[data-part=after]").get_attribute("src")
    page.fill("#s1-low", "400")
    page.get_by_role("button", name="Show the result").last.click()
    assert page.locator("[data-part=after]").get_attribute("src") != first
    expect(page.locator("[data-part=code]")).to_contain_text("cv2.Canny(picture, 400, 150")
    page.select_option("#add", "flip")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("legend")).to_have_text(["1. Canny edges", "2. Horizontal flip"])
    expect(page.locator("#s1-low")).to_have_value("400")
    page.get_by_role("button", name="Recognize this").click()
    arrive(page, "**/results/*")


# ---- How it is laid out ----


def test_original_and_result_stand_side_by_side_where_there_is_room(lab):
    boxes = [lab.locator(f"img[data-part={part}]").bounding_box() for part in ("before", "after")]
    beside = boxes[1]["x"] > boxes[0]["x"]
    assert beside == (lab.viewport_size["width"] > 360)
    assert (boxes[0]["y"] == boxes[1]["y"]) == beside


def test_on_a_phone_the_result_stays_in_sight_and_hides_no_control(open_page):
    page = open_page("/lab?step=canny&step=rotate&step=adaptive", viewport=SIZES["phone"])
    for field in ("#s1-low", "#s2-angle", "#s3-c"):
        page.focus(field)
        page.wait_for_function(
            """field => {
                const picture = document.querySelector(".after .view").getBoundingClientRect();
                const control = document.querySelector(field).getBoundingClientRect();
                return picture.y === 0 && picture.height < 400 && control.y >= picture.height;
            }""",
            arg=field,
        )


def test_no_words_of_the_browser_stand_beside_the_picture(lab, cat):
    for _ in range(2):
        assert lab.locator("#image").evaluate("field => getComputedStyle(field).opacity") == "0"
        sent(lab, lambda: lab.set_input_files("#image", cat))


@pytest.mark.parametrize("part", ["before", "after"])
def test_a_histogram_says_in_words_what_it_shows(lab, part):
    chart = lab.locator(f".{part} svg.chart")
    assert chart.get_attribute("role") == "img"
    assert "Mean brightness" in chart.get_attribute("aria-label")
    assert chart.locator("rect").count() >= 2
