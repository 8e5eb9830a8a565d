"""The drawing challenge: six rounds with or without a clock, a score, and drawings to share."""

import json
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.hands import LINE, LOWER_LINE, asks, press, with_mouse

ROUNDS = 6


@pytest.fixture
def open_challenge(open_page):
    """Opens the challenge; the model answers with the last (label, wording) in `says`."""

    def open_challenge(path="/play?model=digits-cnn", says=None, own_time=False, **options):
        page = open_page(path, **{"viewport": {"width": 360, "height": 740}} | options)
        if says is not None:
            page.route(
                "**/api/predict*", lambda route: route.fulfill(body=told(*says), content_type="application/json")
            )
        if own_time:
            page.get_by_label("Take your time").check()
        return page

    return open_challenge


def told(label, wording):
    guess = {"label": label, "probability": 0.9}
    return json.dumps({"label": label, "wording": wording, "familiar": True, "predictions": [guess]})


def task(page):
    """The digit to draw."""
    return re.fullmatch(r"Draw an? (\d)", page.locator("h1").text_content())[1]


def click(page, name):
    page.get_by_role("button", name=name, exact=True).click()


def play_a_round(page, says, wording="sure", right=True):
    """Draws a line, which the model recognizes as the wanted digit or as another one."""
    says[:] = [task(page) if right else str((int(task(page)) + 1) % 10), wording]
    click(page, "Go")
    with_mouse(page, LINE)


@pytest.mark.parametrize("width, height", [(360, 740), (1280, 800)])
def test_a_game_from_start_to_score(open_challenge, width, height):
    says = []
    page = open_challenge(says=says, viewport={"width": width, "height": height})
    click(page, "Start")
    tasks = []
    for i in range(ROUNDS):
        expect(page.locator(".number")).to_have_text(f"Drawing {i + 1} of 6")
        expect(page.locator("h1")).to_be_focused()
        tasks.append(task(page))
        play_a_round(page, says, right=i % 2 == 0)
        if i % 2:
            expect(page.locator(".sentence")).to_have_text(re.compile(rf"^It's an? {says[0]}\.$"))
            click(page, "Skip")
            expect(page.locator(".outcome")).to_have_text(re.compile(rf"^Inkling thought it was an? {says[0]}\.$"))
        else:
            expect(page.locator(".outcome")).to_have_text(re.compile(rf"^Yes, it's an? {says[0]}!$"))
    assert len(set(tasks)) == ROUNDS, "no word comes twice"
    click(page, "See the score")
    expect(page.locator("h1")).to_have_text("3 of 6")
    expect(page.locator("h1")).to_be_focused()
    assert page.get_by_role("link", name="Draw something else").get_attribute("href") == "/?way=draw"
    shown = page.locator(".drawings li")
    expect(shown).to_have_count(ROUNDS)
    for i, digit in enumerate(tasks):
        expect(shown.nth(i)).to_contain_text(f"{'✗' if i % 2 else '✓'} {digit}")
    dark = page.locator(".drawings canvas").first.evaluate(
        "(canvas) => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.indexOf(0)"
    )
    assert dark >= 0, "the drawing is shown"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_a_game(open_challenge, scheme):
    says = []
    page = open_challenge(says=says, color_scheme=scheme, reduced_motion="reduce")

    def look():
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360

    click(page, "Start")
    for i in range(ROUNDS):
        play_a_round(page, says, right=i > 0)
        if i == 0:
            expect(page.locator(".sentence")).not_to_be_empty()
            look()
            click(page, "Skip")
        expect(page.locator(".between")).to_be_visible()
        if i < 2:
            look()
    click(page, "See the score")
    click(page, "Copy the result")
    look()


@pytest.mark.parametrize("width, height", [(360, 640), (390, 844), (1280, 720), (1366, 650)])
def test_board_and_answer_are_on_one_screen_and_as_large_as_it_allows(open_challenge, width, height):
    says = []
    page = open_challenge(says=says, viewport={"width": width, "height": height}, locale="ru")
    page.locator(".start button").click()
    says[:] = ["3", "probably"]
    page.locator(".between button").click()
    with_mouse(page, LINE)
    expect(page.locator(".sentence")).not_to_be_empty()
    boxes = {name: page.locator(name).bounding_box() for name in (".board", ".sentence", ".clock")}
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= height for box in boxes.values()), boxes
    assert boxes[".board"]["width"] >= min(0.8 * width, 0.6 * height)
    if width > height:
        assert boxes[".sentence"]["x"] > boxes[".board"]["x"] + boxes[".board"]["width"]


def test_playing_again_brings_what_was_not_drawn_yet(open_challenge):
    says, seen = [], []
    page = open_challenge("/play?model=doodles-cnn", says=says)
    click(page, "Start")
    for _ in range(2):
        for _ in range(ROUNDS):
            seen.append(page.locator("h1").text_content())
            click(page, "Go")
            click(page, "Skip")
        click(page, "See the score")
        expect(page.locator("h1")).to_have_text("0 of 6")
        click(page, "Play again")
    assert len(set(seen)) == 2 * ROUNDS


@pytest.mark.parametrize("wording, ends", [("sure", True), ("probably", True), ("not sure", False)])
def test_a_round_ends_as_soon_as_the_model_is_convinced(open_challenge, wording, ends):
    says = []
    page = open_challenge(says=says)
    click(page, "Start")
    play_a_round(page, says, wording)
    if ends:
        expect(page.locator(".outcome")).to_contain_text("Yes, it's")
    else:
        expect(page.locator(".sentence")).to_contain_text("Maybe")
        click(page, "Skip")
        expect(page.locator(".outcome")).to_contain_text("That was close")


def test_the_answer_to_the_last_stroke_counts(open_challenge):
    page, asked = open_challenge(), []
    page.route("**/api/predict*", lambda route: asked.append(route))
    click(page, "Start")
    wanted = task(page)
    click(page, "Go")
    with asks(page):
        press(page, LINE)
    with asks(page):
        page.mouse.up()
    click(page, "Skip")
    asked[-1].fulfill(body=told(wanted, "not sure"), content_type="application/json")
    expect(page.locator(".outcome")).to_contain_text("That was close")


def test_the_clock_ends_a_round(open_challenge):
    page = open_challenge("/help")
    page.clock.install(time=0)
    page.goto("/play?model=digits-cnn")
    page.clock.pause_at(10_000)
    click(page, "Start")
    page.clock.run_for(30_000)
    expect(page.locator("[role=timer]")).to_have_text("20 s")
    click(page, "Go")
    page.clock.run_for(10_100)
    expect(page.locator("[role=timer]")).to_have_text("10 s")
    expect(page.locator("#warning")).to_have_text("10 seconds left")
    page.clock.run_for(10_000)
    expect(page.locator(".outcome")).to_have_text("There was nothing to see yet.")
    expect(page.locator(".number")).to_have_text("Drawing 2 of 6")


def test_a_page_that_slept_keeps_its_time(open_challenge):
    page = open_challenge("/help")
    page.clock.install()
    page.goto("/play?model=digits-cnn")
    click(page, "Start")
    click(page, "Go")
    page.clock.fast_forward(600_000)  # as a phone that was locked: one tick, and ten minutes on the clock
    page.clock.run_for(300)
    expect(page.locator(".outcome")).to_be_empty()
    assert int(page.locator("[role=timer]").text_content().split()[0]) > 10


def test_there_is_a_way_without_a_clock(open_challenge):
    says = []
    page = open_challenge("/help", says=says)
    page.clock.install()
    page.goto("/play?model=digits-cnn")
    page.get_by_label("Take your time").check()
    click(page, "Start")
    play_a_round(page, says, right=False)
    page.clock.run_for(600_000)
    expect(page.locator("[role=timer]")).to_be_hidden()
    expect(page.locator(".sentence")).to_be_visible()
    click(page, "Next")
    expect(page.locator(".number")).to_have_text("Drawing 2 of 6")


def test_an_erased_drawing_does_not_count(open_challenge):
    says = []
    page = open_challenge(says=says, own_time=True)
    click(page, "Start")
    play_a_round(page, says, right=False)
    expect(page.locator(".sentence")).to_contain_text(says[0])
    click(page, "Clear")
    click(page, "Next")
    expect(page.locator(".outcome")).to_have_text("There was nothing to see yet.")


def test_the_paper_is_clean_in_each_round(open_challenge):
    says = []
    page = open_challenge(says=says, own_time=True)
    click(page, "Start")
    play_a_round(page, says)
    expect(page.get_by_role("button", name="Undo")).to_be_hidden()
    click(page, "Go")
    expect(page.get_by_role("button", name="Undo")).to_have_attribute("aria-disabled", "true")


def test_a_game_by_keyboard_alone(open_challenge):
    """With the real model: a vertical line is right if a 1 is wanted, and wrong otherwise."""
    page = open_challenge()
    page.locator("#play-model").focus()
    for key in ("Tab", "ArrowDown", "Tab", "Enter"):
        page.keyboard.press(key)
    for _ in range(ROUNDS):
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.locator("#canvas")).to_be_focused()
        for key in ("ArrowUp", " ", "ArrowDown", " "):
            page.keyboard.press(key)
        expect(page.locator(".sentence, .between").filter(visible=True)).not_to_be_empty()
        if page.locator(".between").is_hidden():
            for _ in range(3):
                page.keyboard.press("Tab")
            page.keyboard.press("Enter")
            expect(page.locator(".between")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text(re.compile("^[0-6] of 6$"))


@pytest.mark.parametrize("allowed", [True, False])
def test_the_result_is_shared_as_text(open_challenge, allowed):
    says = []
    page = open_challenge(says=says, permissions=["clipboard-read", "clipboard-write"] if allowed else [])
    if not allowed:
        page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('denied')); }")
    click(page, "Start")
    for _ in range(ROUNDS):
        play_a_round(page, says)
        expect(page.locator(".outcome")).to_contain_text("Yes")
        page.locator(".outcome").evaluate("(outcome) => { outcome.textContent = ''; }")
    click(page, "See the score")
    click(page, "Copy the result")
    if allowed:
        expect(page.locator("#copied")).to_have_text("Copied.")
        text = page.evaluate("() => navigator.clipboard.readText()")
    else:
        expect(page.get_by_role("textbox")).to_be_focused()
        text = page.get_by_role("textbox").input_value()
    first, *lines, address = text.splitlines()
    assert first == "Inkling recognized 6 of my 6 drawings:"
    assert [line[0] for line in lines] == ["✓"] * ROUNDS
    assert address == page.url


def test_the_challenge_needs_javascript(open_page):
    page = open_page("/play", java_script_enabled=False)
    expect(page.locator("noscript p")).to_contain_text("needs JavaScript")
    expect(page.get_by_role("button", name="Start")).to_be_hidden()


def test_the_choice_of_model_stands_in_the_address(open_challenge):
    page = open_challenge("/play")
    expect(page.locator("#play-model")).to_have_value("doodles-cnn")
    page.select_option("#play-model", "digits-hog")
    assert page.url.endswith("/play?model=digits-hog")
    page.reload()
    expect(page.locator("#play-model")).to_have_value("digits-hog")


def test_nothing_is_kept_of_a_game(open_challenge):
    """A game sends requests only to the API, which stores nothing."""
    page, posts = open_challenge(), []
    page.on("request", lambda request: request.method == "POST" and posts.append(request.url))
    click(page, "Start")
    click(page, "Go")
    for stroke in (LINE, LOWER_LINE):
        with_mouse(page, stroke)
    expect(page.locator(".live .bars")).to_be_visible()
    assert {url.split("/", 3)[3] for url in posts} == {"api/predict?top=3&model=digits-cnn"}
