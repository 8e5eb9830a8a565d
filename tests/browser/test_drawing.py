"""The canvas: mouse, touch and keyboard, tools, screens, the live answer, and the result."""

import json
from statistics import median
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import expect

from inkling.recognition.strokes import Strokes
from tests.browser.hands import (
    BLACK,
    DIGITS,
    LINE,
    LOWER_LINE,
    WHITE,
    arrive,
    asks,
    color_at,
    on_screen,
    press,
    settle,
    with_mouse,
    with_touch,
)

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
    """Sends the drawing and returns what the browser sent."""
    with page.expect_request("**/predict") as sent:
        page.get_by_role("button", name="Save & share").click()
    return Strokes.from_json(parse_qs(sent.value.post_data)["strokes"][0])


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("digit", DIGITS)
def test_a_drawn_digit_is_answered(open_page, hand, digit):
    draw, device = HANDS[hand]
    page = open_page("/?way=draw&model=digits-cnn", **device)
    draw(page, DIGITS[digit])
    expect(page.locator("#draw .sentence")).to_have_text(f"It's a {digit}.")
    page.get_by_role("button", name="Save & share").click()
    arrive(page, "**/results/*")
    expect(page.get_by_role("heading", level=1)).to_have_text(digit)
    expect(page.locator(".picture")).to_have_js_property("complete", True)


def test_undo_redo_and_clear_by_button(page):
    undo, redo, clear = (page.get_by_role("button", name=name, exact=True) for name in ("Undo", "Redo", "Clear"))
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
        assert (color_at(page, 200, 200), color_at(page, 200, 300)) == (upper, lower)


def test_undo_by_key_where_the_keyboard_is_russian(page):
    with_mouse(page, LINE)
    page.locator("#canvas").evaluate("""(canvas) => canvas.dispatchEvent(
        new KeyboardEvent("keydown", {key: "я", code: "KeyZ", ctrlKey: true, bubbles: true}))""")
    assert color_at(page, 200, 200) == WHITE


def test_undo_and_redo_by_key(page):
    with_mouse(page, LINE)
    for key, color in (
        ("Control+z", WHITE),
        ("Control+Shift+z", BLACK),
        ("Control+z", WHITE),
        ("Control+y", BLACK),
    ):
        page.keyboard.press(key)
        assert color_at(page, 200, 200) == color


def test_a_new_stroke_ends_redo(page):
    with_mouse(page, LINE)
    page.keyboard.press("Control+z")
    with_mouse(page, LOWER_LINE)
    page.keyboard.press("Control+y")
    assert color_at(page, 200, 200) == WHITE


def test_a_tap_is_a_dot(page):
    with_mouse(page, [(200, 200)])
    assert color_at(page, 200, 200) == BLACK
    assert color_at(page, 212, 200) == WHITE


@pytest.mark.parametrize("kind", ["pointerdown", "pointerup", "pointercancel"])
def test_a_palm_beside_the_pen_neither_draws_nor_ends_the_line(page, kind):
    start, end = on_screen(page, LINE)
    page.mouse.move(*start)
    page.mouse.down()
    page.locator("#canvas").evaluate(
        """(canvas, kind) => canvas.dispatchEvent(
        new PointerEvent(kind, {pointerId: 77, pointerType: "touch", isPrimary: true}))""",
        kind,
    )
    page.mouse.move(*end, steps=5)
    page.mouse.up()
    assert color_at(page, 200, 200) == BLACK


def test_the_right_button_does_not_draw(page):
    page.mouse.move(*on_screen(page, LINE)[0])
    page.mouse.down(button="right")
    page.mouse.move(*on_screen(page, LINE)[1])
    page.mouse.up(button="right")
    assert color_at(page, 200, 200) == WHITE


@pytest.mark.parametrize("width", [4, 16, 40])
def test_the_stroke_is_as_wide_as_chosen(page, width):
    page.locator(".pen summary").click()
    set_value(page, "#width", str(width))
    with_mouse(page, LINE)
    picture = sent_drawing(page).picture().convert("L")
    column = [picture.getpixel((200, y)) < 128 for y in range(400)]
    assert abs(sum(column) - width) <= 1


def test_ink_and_paper_have_the_chosen_colors(page):
    page.locator(".pen summary").click()
    set_value(page, "#color", "#ffcc00")
    set_value(page, "#paper", "#003366")
    with_mouse(page, LINE)
    set_value(page, "#color", "#ff0000")
    assert color_at(page, 200, 200) == (255, 204, 0), "a drawn stroke keeps its color"
    assert color_at(page, 10, 10) == (0, 51, 102)
    picture = sent_drawing(page).picture()
    assert picture.getpixel((200, 200)) == (255, 204, 0)
    assert picture.getpixel((10, 10)) == (0, 51, 102)


def test_ink_in_the_color_of_the_paper_erases(page):
    page.locator(".pen summary").click()
    with_mouse(page, LINE)
    with_mouse(page, LOWER_LINE)
    set_value(page, "#color", "#ffffff")
    with_mouse(page, [(200, 100), (200, 250)])
    with_mouse(page, LOWER_LINE)
    assert color_at(page, 200, 200) == WHITE
    ends = [(x[0], x[-1]) for x, y in sent_drawing(page).body.strokes if set(y) == {2000}]
    assert ends == [(1000, pytest.approx(1920, abs=20)), (pytest.approx(2080, abs=20), 3000)]


def test_what_is_drawn_beside_the_paper_is_not_sent(page):
    with_mouse(page, [(300, 200), (380, 200), (380, -40), (200, -40), (200, 100)])
    first, second = sent_drawing(page).body.strokes
    assert first[1][-1] == pytest.approx(0, abs=20)
    assert second[1] == [pytest.approx(0, abs=20), 1000]


def test_a_shaky_tap_is_sent_as_a_dot(page):
    with_mouse(page, [(200, 200), (201, 199), (202, 201)])
    assert sent_drawing(page).body.strokes == [[[2000], [2000]]]


def test_a_long_drawing_is_made_short_enough_to_send(page):
    points = [[[20 + (37 * i) % 360, 20 + (89 * i) % 360] for i in range(3000)] for _ in range(4)]
    stored = {"strokes": [{"points": line, "width": 16, "color": "#000000"} for line in points], "paper": "#ffffff"}
    page.evaluate("drawing => sessionStorage.setItem('inkling-drawing', JSON.stringify(drawing))", stored)
    with page.expect_response("**/api/predict*") as answered:
        page.reload()
    assert answered.value.status == 200


def test_the_answer_beside_the_drawing_is_the_one_that_is_kept(page):
    with_mouse(page, DIGITS["3"])
    # It is read aloud once no further answer has come for a second.
    expect(page.locator("#draw .live [role=status]")).to_have_text("It's a 3.")
    live = [row.split() for row in page.locator("#draw .live .bars li").all_inner_texts()]
    page.get_by_role("button", name="Save & share").click()
    arrive(page, "**/results/*")
    kept = [row.split() for row in page.locator(".bars li").all_inner_texts()]
    assert kept[:3] == live


@pytest.mark.parametrize("density", [1, 2, 3])
def test_the_canvas_is_as_sharp_as_the_screen(open_page, density):
    page = open_page("/?way=draw", device_scale_factor=density)
    with_mouse(page, LINE)
    assert color_at(page, 200, 200) == BLACK
    shown, held = page.locator("#canvas").evaluate("(canvas) => [canvas.clientWidth, canvas.width]")
    assert held == round(shown * density)
    (x, y), *more = sent_drawing(page).body.strokes
    assert (x, y, more) == ([1000, 3000], [2000, 2000], []), "what is sent is the same on every screen"


@pytest.mark.parametrize(
    "change",
    [
        {"width": 360, "height": 740, "deviceScaleFactor": 1},
        {"width": 1366, "height": 600, "deviceScaleFactor": 1},
        {"width": 1270, "height": 800, "deviceScaleFactor": 2},
    ],
)
def test_the_drawing_outlives_a_change_of_screen(page, change):
    with_mouse(page, LINE)
    before = page.evaluate("document.querySelector('#canvas').width")
    page.context.new_cdp_session(page).send("Emulation.setDeviceMetricsOverride", {**change, "mobile": False})
    page.wait_for_function("before => document.querySelector('#canvas').width !== before", arg=before)
    assert color_at(page, 200, 200) == BLACK
    assert color_at(page, 200, 230) == WHITE


def test_the_drawing_is_there_after_going_back(page):
    with_mouse(page, DIGITS["7"])
    page.get_by_role("button", name="Save & share").click()
    arrive(page, "**/results/*")
    page.go_back()
    expect(page.locator("#draw .sentence")).to_have_text("It's a 7.")
    assert color_at(page, 200, 90) == BLACK


def test_a_drawing_that_could_not_be_saved_is_kept_and_can_be_saved_again(page):
    with_mouse(page, DIGITS["7"])
    busy = '<main><div class="problem"><h1>Inkling is busy right now</h1><p>Wait a few seconds.</p></div></main>'
    for fail, said in (
        (lambda route: route.abort(), "The server cannot be reached. Your drawing is still here."),
        (lambda route: route.fulfill(status=503, content_type="text/html", body=busy), "Inkling is busy right now."),
    ):
        page.route("**/predict", fail)
        page.get_by_role("button", name="Save & share").click()
        expect(page.get_by_role("alert")).to_contain_text(said)
        page.unroute("**/predict")
    expect(page.locator("#draw .sentence")).to_have_text("It's a 7.")
    page.get_by_role("button", name="Save & share").click()
    arrive(page, "**/results/*")
    page.get_by_role("link", name="Try another").click()
    expect(page.locator("#draw .live .hint")).to_be_visible()


def test_a_digit_by_keyboard_alone(page):
    page.get_by_role("link", name="Camera").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#canvas")).to_be_focused()
    for key, times in (("ArrowUp", 12), (" ", 1), ("ArrowDown", 24), (" ", 1)):
        for _ in range(times):
            page.keyboard.press(key)
    expect(page.locator("#draw .sentence")).to_have_text("It's a 1.")
    page.get_by_role("button", name="Save & share").focus()
    page.keyboard.press("Enter")
    arrive(page, "**/results/*")
    expect(page.get_by_role("heading", level=1)).to_have_text("1")


def test_nothing_drawn_cannot_be_saved(page):
    expect(page.get_by_role("button", name="Save & share")).to_be_hidden()
    with_mouse(page, LINE)
    expect(page.get_by_role("button", name="Save & share")).to_be_visible()


# ---- The answer follows the drawing ----


def answer(wording, *guesses):
    """A short response of the API."""
    predictions = [{"label": label, "probability": probability} for label, probability in guesses]
    return json.dumps({"label": guesses[0][0], "wording": wording, "familiar": True, "predictions": predictions})


@pytest.fixture
def held(page):
    """The requests of the page to the API, which stay unanswered until the test answers them."""
    routes = []
    page.route("**/api/predict*", lambda route: routes.append(route))
    return routes


@pytest.mark.parametrize(
    "wording, guesses, said",
    [
        ("sure", [("fish", 0.97), ("sailboat", 0.3)], "It's a fish."),
        ("probably", [("octopus", 0.8), ("fish", 0.15)], "Probably an octopus, or else a fish."),
        ("probably", [("The Eiffel Tower", 0.94), ("fish", 0.04)], "Probably the Eiffel Tower."),
        ("not sure", [("fish", 0.4), ("headphones", 0.3)], "Maybe a fish, or headphones?"),
        ("not sure", [("8", 0.98)], "Maybe an 8?"),
        ("not sure", [("fish", 0.24), ("headphones", 0.2)], "Keep drawing…"),
        ("sure", [("<b>", 1.0)], "It's <b>."),
    ],
)
def test_the_answer_is_a_sentence(page, wording, guesses, said):
    page.route(
        "**/api/predict*", lambda route: route.fulfill(body=answer(wording, *guesses), content_type="application/json")
    )
    with_mouse(page, LINE)
    expect(page.locator("#draw .sentence")).to_have_text(said)
    expect(page.locator("#draw .live .bars .label").first).to_have_text(guesses[0][0])


def test_only_the_newest_answer_is_shown(page, held):
    failed = []
    page.on("requestfailed", lambda request: failed.append(request.url))
    for dot in LINE:
        with asks(page):
            with_mouse(page, [dot])
    first, second = held
    second.fulfill(body=answer("sure", ("new", 1)), content_type="application/json")
    expect(page.locator("#draw .sentence")).to_have_text("It's new.")
    first.fulfill(body=answer("sure", ("old", 1)), content_type="application/json")
    settle(page)
    expect(page.locator("#draw .sentence")).to_have_text("It's new.")
    assert len(failed) == 1, "the older request is called off"


def test_a_long_stroke_is_answered_before_it_ends_one_question_at_a_time(page, held):
    page.clock.install()
    with asks(page):
        press(page, DIGITS["7"])
    for point in on_screen(page, DIGITS["3"]):
        page.clock.run_for(100)
        page.mouse.move(*point)
    settle(page)
    assert len(held) == 1, "the first has no answer yet"
    held[0].fulfill(body=answer("sure", ("7", 1)), content_type="application/json")
    expect(page.locator("#draw .sentence")).to_have_text("It's a 7.")


def test_the_answer_is_read_aloud_only_when_the_hand_rests(page):
    """A screen reader hears the last of several answers, not each one."""
    page.evaluate("""() => {
        window.told = [];
        const aloud = document.querySelector("#draw .live [role=status]");
        new MutationObserver(() => told.push(aloud.textContent)).observe(aloud, {childList: true});
    }""")
    page.clock.install(time=0)
    page.clock.pause_at(10_000)
    for digit in ("3", "7"):
        with_mouse(page, DIGITS[digit])
        expect(page.locator("#draw .sentence")).to_contain_text(digit)
        page.clock.run_for(900)
        page.keyboard.press("Control+z")
    with_mouse(page, DIGITS["7"])
    expect(page.locator("#draw .sentence")).to_have_text("It's a 7.")
    page.clock.run_for(900)
    assert page.evaluate("told") == []
    page.clock.run_for(100)
    assert page.evaluate("told") == ["It's a 7."]
    assert page.locator("#draw .live :is([aria-live], [role=status])").count() == 1


@pytest.mark.parametrize("motion, moves", [("no-preference", True), ("reduce", False)])
def test_the_bars_glide_where_motion_is_welcome(open_page, motion, moves):
    page = open_page("/?way=draw&model=digits-cnn", reduced_motion=motion)
    page.evaluate("""() => {
        window.moved = 0;
        const animate = Element.prototype.animate;
        Element.prototype.animate = function (...of) { moved += 1; return animate.apply(this, of); };
    }""")
    likely = ["7", "3", "1"]
    page.route(
        "**/api/predict*",
        lambda route: route.fulfill(
            body=answer("sure", *zip(likely, (0.9, 0.07, 0.03), strict=True)), content_type="application/json"
        ),
    )
    for digit in DIGITS:
        likely.sort(key=lambda label: label != digit)
        with_mouse(page, DIGITS[digit])
        expect(page.locator("#draw .sentence")).to_have_text(f"It's a {digit}.")
    expect(page.locator("#draw .live .bars li")).to_have_count(3)
    assert (page.evaluate("moved") > 0) == moves


CLOCK = """() => {
    window.waits = [];
    let lifted = 0;
    const now = (event) => { lifted = performance.now(); };
    document.querySelector("#canvas").addEventListener("pointerup", now, {capture: true});
    new MutationObserver(() => { if (lifted) waits.push(performance.now() - lifted); lifted = 0; })
        .observe(document.querySelector("#draw .live .bars"), {childList: true, subtree: true, attributes: true});
}"""


@pytest.mark.parametrize("model", ["doodles-cnn", "digits-cnn"])
def test_how_long_an_answer_takes_is_printed(open_page, model):
    """The time from the end of a stroke to the new answer; the goal is 60 ms on an idle machine."""
    page = open_page(f"/?way=draw&model={model}")
    page.evaluate(CLOCK)
    for i in range(20):
        with_mouse(page, [(60 + 14 * i, 60), (90 + 12 * i, 200), (340 - 14 * i, 340)])
        page.wait_for_function("count => waits.length === count", arg=i + 1)
    waits = sorted(page.evaluate("waits"))
    print(
        f"\n{model}: from pointer-up to a new answer {median(waits):.0f} ms (median of {len(waits)} strokes; "
        f"fastest {waits[0]:.0f}, slowest {waits[-1]:.0f})"
    )


def test_the_answer_follows_the_choice_of_model(page):
    with_mouse(page, DIGITS["7"])
    expect(page.locator("#draw .sentence")).to_have_text("It's a 7.")
    with page.expect_request("**/api/predict?top=3&model=doodles-cnn"):
        page.select_option("#draw-model", "doodles-cnn")
    expect(page.locator("#draw .sentence")).not_to_have_text("It's a 7.")


def test_the_bars_say_what_they_show(page):
    with_mouse(page, DIGITS["7"])
    rows = page.locator("#draw .live .bars li")
    expect(rows).to_have_count(3)
    expect(rows.first).to_contain_text("7")
    expect(rows.first).to_contain_text("%")


def test_clearing_brings_the_hint_back(page):
    with_mouse(page, DIGITS["7"])
    expect(page.locator("#draw .sentence")).to_have_text("It's a 7.")
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#draw .live .hint")).to_be_visible()
    expect(page.locator("#draw .live .bars")).to_be_hidden()


def test_ink_like_the_paper_counts_as_blank(page):
    set_value(page, "#color", "#ffffff")
    with page.expect_response("**/api/predict*") as refused:
        with_mouse(page, LINE)
    assert refused.value.json()["reason"] == "blank"
    expect(page.locator("#draw .sentence")).to_have_text("Nothing can be seen: the ink has the color of the paper.")


BUSY = '{"reason": "busy", "detail": "Busy just now."}'


@pytest.mark.parametrize(
    "fault, said",
    [
        ({"status": 503, "content_type": "application/problem+json", "body": BUSY}, "No answer just now."),
        ({"status": 502, "body": "<h1>Bad gateway</h1>"}, "The server cannot be reached."),
        (None, "The server cannot be reached."),
    ],
)
def test_a_failed_answer_is_explained(page, fault, said):
    page.route("**/api/predict*", lambda route: route.fulfill(**fault) if fault else route.abort())
    with_mouse(page, LINE)
    expect(page.locator("#draw .sentence")).to_contain_text(said)
