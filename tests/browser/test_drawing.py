"""The canvas: hands, tools, screens, the live answer, and the way to the result."""

import base64
import io
import json
from urllib.parse import parse_qs

import pytest
from PIL import Image
from playwright.sync_api import expect

# Polylines on the canvas' own 400 x 400 field.
DIGITS = {
    "7": [(120, 90), (290, 90), (240, 200), (190, 330)],
    "3": [
        (130, 110),
        (170, 80),
        (230, 80),
        (265, 120),
        (240, 170),
        (190, 195),
        (250, 215),
        (280, 265),
        (245, 315),
        (180, 325),
        (125, 295),
    ],
}
LINE = [(100, 200), (300, 200)]
LOWER_LINE = [(100, 300), (300, 300)]
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def on_screen(page, points):
    canvas = page.locator("#canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    return [(box["x"] + x * box["width"] / 400, box["y"] + y * box["height"] / 400) for x, y in points]


def with_mouse(page, points):
    first, *rest = on_screen(page, points)
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point, steps=5)
    page.mouse.up()


def with_touch(page, points):
    """Touches as the screen reports them, not as a script would fake them."""
    touch = page.context.new_cdp_session(page)
    first, *rest = on_screen(page, points)
    for kind, x, y in [("touchStart", *first), *(("touchMove", *point) for point in rest)]:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


HANDS = {
    "mouse": (with_mouse, {"viewport": {"width": 1280, "height": 800}}),
    "touch": (
        with_touch,
        {
            "viewport": {"width": 360, "height": 740},
            "has_touch": True,
            "is_mobile": True,
            "device_scale_factor": 3,
        },
    ),
}


def colour_at(page, x, y):
    """The colour that is shown at a point of the field, once the next frame is drawn."""
    return tuple(
        page.evaluate(
            """async ([x, y]) => {
        for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
        const canvas = document.querySelector("#canvas"), scale = canvas.width / 400;
        return [...canvas.getContext("2d").getImageData(x * scale, y * scale, 1, 1).data.slice(0, 3)];
    }""",
            [x, y],
        )
    )


def set_value(page, selector, value):
    page.evaluate(
        """([selector, value]) => {
        const input = document.querySelector(selector);
        input.value = value;
        for (const type of ["input", "change"]) input.dispatchEvent(new Event(type, {bubbles: true}));
    }""",
        [selector, value],
    )


def sent_drawing(page):
    """Sends the drawing and returns what the browser sent, as a picture."""
    with page.expect_request("**/predict") as sent:
        page.get_by_role("button", name="See the full answer").click()
    _, _, data = parse_qs(sent.value.post_data)["drawing"][0].partition("base64,")
    return Image.open(io.BytesIO(base64.b64decode(data)))


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("digit", DIGITS)
def test_a_drawn_digit_is_answered(open_page, hand, digit):
    draw, device = HANDS[hand]
    page = open_page("/?draw=digits-cnn", **device)
    draw(page, DIGITS[digit])
    expect(page.locator(".live .word")).to_have_text(digit)
    page.get_by_role("button", name="See the full answer").click()
    page.wait_for_url("**/results/*")
    expect(page.get_by_role("heading", level=1)).to_have_text(digit)
    expect(page.locator(".picture")).to_have_js_property("complete", True)


def test_undo_redo_and_clear_by_button(page):
    undo, redo, clear = (
        page.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo", "Clear")
    )
    for button in (undo, redo, clear):
        expect(button).to_have_attribute("aria-disabled", "true")
    with_mouse(page, LINE)
    with_mouse(page, LOWER_LINE)
    for button, upper, lower in (
        (undo, BLACK, WHITE),
        (redo, BLACK, BLACK),
        (clear, WHITE, WHITE),
        (undo, BLACK, BLACK),
    ):
        button.click()
        assert (colour_at(page, 200, 200), colour_at(page, 200, 300)) == (upper, lower)


def test_undo_and_redo_by_key(page):
    with_mouse(page, LINE)
    for key, colour in (
        ("Control+z", WHITE),
        ("Control+Shift+z", BLACK),
        ("Control+z", WHITE),
        ("Control+y", BLACK),
    ):
        page.keyboard.press(key)
        assert colour_at(page, 200, 200) == colour


def test_a_new_stroke_ends_redo(page):
    with_mouse(page, LINE)
    page.keyboard.press("Control+z")
    with_mouse(page, LOWER_LINE)
    page.keyboard.press("Control+y")
    assert colour_at(page, 200, 200) == WHITE


def test_a_tap_is_a_dot(page):
    with_mouse(page, [(200, 200)])
    assert colour_at(page, 200, 200) == BLACK
    assert colour_at(page, 212, 200) == WHITE


def test_the_right_button_does_not_draw(page):
    page.mouse.move(*on_screen(page, LINE)[0])
    page.mouse.down(button="right")
    page.mouse.move(*on_screen(page, LINE)[1])
    page.mouse.up(button="right")
    assert colour_at(page, 200, 200) == WHITE


@pytest.mark.parametrize("width", [4, 16, 40])
def test_the_stroke_is_as_wide_as_chosen(page, width):
    page.locator(".pen summary").click()
    set_value(page, "#width", str(width))
    with_mouse(page, LINE)
    picture = sent_drawing(page).convert("L")
    column = [picture.getpixel((200, y)) < 128 for y in range(400)]
    assert abs(sum(column) - width) <= 1


def test_ink_and_paper_have_the_chosen_colours(page):
    page.locator(".pen summary").click()
    set_value(page, "#colour", "#ffcc00")
    set_value(page, "#paper", "#003366")
    with_mouse(page, LINE)
    set_value(page, "#colour", "#ff0000")
    assert colour_at(page, 200, 200) == (255, 204, 0), "a drawn stroke keeps its colour"
    assert colour_at(page, 10, 10) == (0, 51, 102)
    picture = sent_drawing(page).convert("RGB")
    assert picture.getpixel((200, 200)) == (255, 204, 0)
    assert picture.getpixel((10, 10)) == (0, 51, 102)


@pytest.mark.parametrize("density", [1, 2, 3])
def test_the_canvas_is_as_sharp_as_the_screen(open_page, density):
    page = open_page("/", device_scale_factor=density)
    with_mouse(page, LINE)
    assert colour_at(page, 200, 200) == BLACK
    shown, held = page.locator("#canvas").evaluate("(canvas) => [canvas.clientWidth, canvas.width]")
    assert held == round(shown * density)
    assert sent_drawing(page).size == (400, 400), "what is sent is the same on every screen"


@pytest.mark.parametrize(
    "change",
    [
        {"width": 360, "height": 740, "deviceScaleFactor": 1},
        {"width": 1920, "height": 1080, "deviceScaleFactor": 1},
        {"width": 1270, "height": 800, "deviceScaleFactor": 2},
    ],
)
def test_the_drawing_outlives_a_change_of_screen(page, change):
    with_mouse(page, LINE)
    before = page.evaluate("document.querySelector('#canvas').width")
    page.context.new_cdp_session(page).send("Emulation.setDeviceMetricsOverride", {**change, "mobile": False})
    page.wait_for_function("before => document.querySelector('#canvas').width !== before", arg=before)
    assert colour_at(page, 200, 200) == BLACK
    assert colour_at(page, 200, 230) == WHITE


def test_the_drawing_is_there_after_going_back(page):
    with_mouse(page, DIGITS["7"])
    page.get_by_role("button", name="See the full answer").click()
    page.wait_for_url("**/results/*")
    page.go_back()
    expect(page.locator(".live .word")).to_have_text("7")
    assert colour_at(page, 200, 90) == BLACK


def test_a_digit_by_keyboard_alone(page):
    page.locator("#draw-model").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#canvas")).to_be_focused()
    for key, times in (("ArrowUp", 12), (" ", 1), ("ArrowDown", 24), (" ", 1)):
        for _ in range(times):
            page.keyboard.press(key)
    expect(page.locator(".live .word")).to_have_text("1")
    page.get_by_role("button", name="See the full answer").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/results/*")
    expect(page.get_by_role("heading", level=1)).to_have_text("1")


def test_nothing_drawn_is_not_sent(page):
    page.get_by_role("button", name="See the full answer").click()
    expect(page.locator(".live")).to_contain_text("Draw something first.")
    assert "/results/" not in page.url


def answer(label):
    guesses = [{"label": label, "probability": 0.9}]
    return json.dumps({"label": label, "confidence": 0.9, "sure": True, "wording": "sure", "predictions": guesses})


def test_only_the_newest_answer_is_shown(page):
    held, failed = [], []
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.route("**/api/predict*", lambda route: held.append(route))
    for asked, stroke in enumerate((LINE, LOWER_LINE), start=1):
        with_mouse(page, stroke)
        while len(held) < asked:
            page.wait_for_timeout(20)
    first, second = held
    second.fulfill(body=answer("new"), content_type="application/json")
    expect(page.locator(".live .word")).to_have_text("new")
    first.fulfill(body=answer("old"), content_type="application/json")
    page.wait_for_timeout(200)
    expect(page.locator(".live .word")).to_have_text("new")
    assert len(failed) == 1, "the older request is called off"


def test_strokes_in_a_row_ask_once(page):
    asked = []
    page.on("request", lambda request: "/api/predict" in request.url and asked.append(request.url))
    page.evaluate("""() => {
        const canvas = document.querySelector("#canvas"), box = canvas.getBoundingClientRect();
        canvas.setPointerCapture = () => {};
        for (let i = 1; i < 4; i++) for (const type of ["pointerdown", "pointerup"])
            canvas.dispatchEvent(new PointerEvent(type, {
                isPrimary: true, button: 0, clientX: box.x + 50 * i, clientY: box.y + 50,
            }));
    }""")
    expect(page.locator(".live .word")).not_to_be_empty()
    assert len(asked) == 1


def test_the_answer_follows_the_choice_of_model(page):
    with_mouse(page, DIGITS["7"])
    expect(page.locator(".live .word")).to_have_text("7")
    with page.expect_request("**/api/predict?model=doodles-cnn&top=3"):
        page.select_option("#draw-model", "doodles-cnn")
    expect(page.locator(".live .word")).not_to_have_text("7")


def test_the_bars_say_what_they_show(page):
    with_mouse(page, DIGITS["7"])
    rows = page.locator(".live .bars li")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("7")
    expect(rows.first).to_contain_text("%")


def test_clearing_brings_the_hint_back(page):
    with_mouse(page, DIGITS["7"])
    expect(page.locator(".live .word")).to_have_text("7")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".live .hint")).to_be_visible()
    expect(page.locator(".live .bars")).to_be_hidden()


def test_ink_like_the_paper_counts_as_blank(page):
    set_value(page, "#colour", "#ffffff")
    with page.expect_response("**/api/predict*") as refused:
        with_mouse(page, LINE)
    assert refused.value.json()["reason"] == "blank"
    expect(page.locator(".live .hint")).to_be_visible()


BUSY = '{"reason": "busy", "detail": "Busy just now."}'


@pytest.mark.parametrize(
    "fault, said",
    [
        ({"status": 503, "content_type": "application/problem+json", "body": BUSY}, "Busy just now."),
        ({"status": 502, "body": "<h1>Bad gateway</h1>"}, "The server cannot be reached."),
        (None, "The server cannot be reached."),
    ],
)
def test_a_failed_answer_is_explained(page, fault, said):
    page.route("**/api/predict*", lambda route: route.fulfill(**fault) if fault else route.abort())
    with_mouse(page, LINE)
    expect(page.locator(".live .wording")).to_contain_text(said)
