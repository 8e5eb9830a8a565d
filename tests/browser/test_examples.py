"""The example drawings: one click gives an answer, and the shipped models recognize each of them."""

import json
import re

import pytest
from playwright.sync_api import expect

from inkling.config import ROOT
from inkling.recognition.strokes import Strokes
from tests.browser.hands import BLACK, DIGITS, WHITE, color_at, with_mouse

EXAMPLES = json.loads((ROOT / "static" / "examples.json").read_text())
MODELS = {"doodles": "doodles-cnn", "digits": "digits-cnn"}
EACH = [(task, example) for task, examples in EXAMPLES.items() for example in examples]


def named(label):
    return f"an {label}" if label in ("octopus", "8") else f"a {label}"


def test_they_are_there_where_the_browser_stores_nothing(new_context):
    page = new_context().new_page()
    page.add_init_script("""Object.defineProperty(window, "sessionStorage", {
        get() { throw new DOMException("blocked", "SecurityError"); }})""")
    page.goto("/?way=draw&model=digits-cnn")
    page.reload()  # only then is a kept drawing looked for
    expect(page.get_by_role("button", name=f"Draw {named(EXAMPLES['digits'][0]['label'])}")).to_be_visible()


@pytest.mark.parametrize("task, example", EACH, ids=lambda value: value["label"] if isinstance(value, dict) else value)
def test_a_click_draws_it_and_the_model_knows_it(open_page, task, example):
    page = open_page(f"/?way=draw&model={MODELS[task]}", viewport={"width": 360, "height": 740})
    name, sentence = named(example["label"]), page.locator("#draw .sentence")
    button = page.get_by_role("button", name=f"Draw {name}")
    button.click()
    expect(page.get_by_role("button", name="Clear")).to_have_attribute("aria-disabled", "false")  # all of it is there
    if example.get("hard"):
        expect(button).to_have_text("hard")
        expect(sentence).not_to_be_empty()
    else:
        expect(sentence).to_have_text(re.compile(f"^(It's|Probably) {name}[.,]"))


def test_every_task_with_a_canvas_has_examples_and_a_hard_one():
    assert EXAMPLES.keys() == MODELS.keys()
    for examples in EXAMPLES.values():
        assert sum(example.get("hard", False) for example in examples) == 1
        for example in examples:
            strokes = Strokes.from_body({"strokes": example["strokes"]})
            assert all(0 <= at <= 400 for stroke in strokes.body.strokes for axis in stroke for at in axis)


def test_the_examples_follow_the_model(page):
    buttons = page.locator("#draw .examples button")
    expect(buttons.first).to_have_attribute("title", "Draw a 3")
    page.select_option("#draw-model", "doodles-cnn")
    expect(buttons.first).to_have_attribute("title", "Draw a fish")


def test_an_example_replaces_the_drawing_and_undo_brings_that_back(page):
    with_mouse(page, [(20, 20), (60, 20)])
    page.get_by_role("button", name="Draw a 7").click()
    expect(page.locator("#draw .sentence")).to_have_text("It's a 7.")
    page.get_by_role("button", name="Undo").click()
    assert color_at(page, 40, 20) == BLACK
    assert color_at(page, 200, 91) == WHITE


def test_a_hand_that_draws_meanwhile_finishes_the_example(page):
    page.get_by_role("button", name="Draw a 7").click()
    with_mouse(page, [(20, 20), (60, 20)])
    assert color_at(page, 40, 20) == BLACK
    assert color_at(page, 200, 91) == BLACK


@pytest.mark.parametrize("motion, least, most", [("no-preference", 5, 1000), ("reduce", 1, 2)])
def test_an_example_draws_itself_where_motion_is_welcome(open_page, motion, least, most):
    """Counts the frames from the empty canvas to the complete drawing."""
    page = open_page("/?way=draw&model=digits-cnn", reduced_motion=motion)
    expect(page.locator("#draw .examples button")).not_to_have_count(0)
    steps = page.evaluate("""async () => {
        const canvas = document.querySelector("#canvas"), context = canvas.getContext("2d"), seen = new Set();
        document.querySelector("#draw .examples button").click();
        const end = performance.now() + 1500;
        while (performance.now() < end) {
            await new Promise(requestAnimationFrame);
            seen.add(context.getImageData(0, 0, canvas.width, canvas.height).data.reduce((sum, at) => sum + at, 0));
        }
        return seen.size;
    }""")
    assert least <= steps <= most


def test_examples_need_javascript(open_page):
    page = open_page("/?way=draw", java_script_enabled=False)
    expect(page.locator("#draw .examples")).to_be_hidden()


def test_examples_that_cannot_be_read_cost_nothing_else(open_page):
    page = open_page("/help")
    page.route("**/examples.json", lambda route: route.fulfill(body="busy"))
    page.goto("/?way=draw&model=digits-cnn")
    with_mouse(page, DIGITS["7"])
    expect(page.locator("#draw .sentence")).to_have_text("It's a 7.")
    expect(page.locator("#draw .examples")).to_be_hidden()
