"""The stage: its layout on small screens, the three ways to show something, the camera, and the photos to click."""

import itertools
import time

import pytest
from playwright.sync_api import expect

from tests.browser import text
from tests.browser.hands import DIGITS, arrive, send_photos, with_mouse
from tests.browser.rules import (
    LOOKS,
    SCREENS,
    assert_accessible,
    assert_laid_out,
    assert_nothing_scrolls_sideways,
    assert_targets_are_large,
)

EXAMPLES = {
    "a hot air balloon": "hot air balloon",
    "a soccer ball": "soccer ball",
    "a lighthouse": "lighthouse",
    "a traffic light": "traffic light",
    "a jack-o'-lantern": "jack-o'-lantern",
}


@pytest.mark.parametrize("locale, scheme", LOOKS)
@pytest.mark.parametrize("width, height", SCREENS)
def test_the_picture_and_the_answer_share_the_first_screen(open_page, width, height, locale, scheme):
    page = open_page("/", viewport={"width": width, "height": height}, locale=locale, color_scheme=scheme)
    assert_laid_out(page, width, height, "lead")
    heights = [page.locator(".card").locator("visible=true").bounding_box()["height"]]
    page.locator(".ways [data-way=draw]").click()
    assert_laid_out(page, width, height, "hint")
    heights.append(page.locator(".card").locator("visible=true").bounding_box()["height"])
    assert heights[0] == pytest.approx(heights[1], abs=1), "canvas and photo card are equally high"
    with_mouse(page, DIGITS["7"])
    expect(page.locator("#draw .bars li")).to_have_count(3)
    assert_laid_out(page, width, height, "bars")
    assert_accessible(page)
    if width == 360:
        assert text.faults(page, locale) == {}, "also of the choice of a model that has appeared"


@pytest.mark.parametrize("locale, scheme", LOOKS)
@pytest.mark.parametrize("width, height", SCREENS)
@pytest.mark.parametrize("example", [0, 3])
def test_the_bars_of_a_photos_answer_are_in_the_first_screen(open_page, example, width, height, locale, scheme):
    """Of one that it is sure of, and of one with a long name."""
    page = open_page("/", viewport={"width": width, "height": height}, locale=locale, color_scheme=scheme)
    page.locator(".examples button[data-picture]").nth(example).click()
    arrive(page, "**/results/*")
    expect(page.locator(".bars >> nth=0").locator("li")).to_have_count(3)
    page.wait_for_function("() => document.querySelector('.picture').complete")
    assert_laid_out(page, width, height, "bars")
    assert_targets_are_large(page)
    assert_accessible(page)
    if width == 360:
        assert text.faults(page, locale) == {}


def test_the_ways_have_addresses_and_need_no_new_document(open_page):
    page = open_page("/")
    page.evaluate("window.same = true")
    for name, part in (("Draw", "#canvas"), ("Camera", "#camera"), ("Photo", "#image")):
        page.get_by_role("link", name=name).click()
        expect(page.locator(part)).to_be_visible()
        expect(page.locator(".stage").locator("visible=true")).to_have_count(1)
        expect(page.locator(".ways [aria-current]")).to_have_text(name)
        assert page.url.endswith({"Photo": "/", "Draw": "/?way=draw", "Camera": "/?way=camera"}[name])
    assert page.evaluate("same")
    page.goto("/?way=draw")
    expect(page.locator("#canvas")).to_be_visible()


def test_nothing_has_to_be_chosen_and_auto_offers_the_others_afterwards(open_page):
    page = open_page("/?way=draw")
    expect(page.locator(".answered").locator("visible=true")).to_have_count(0)
    with_mouse(page, DIGITS["7"])
    choice = page.get_by_role("combobox", name="Answered by")
    expect(choice).to_have_value("")  # Auto
    with page.expect_request("**/api/predict?top=3&model=digits-cnn"):
        choice.select_option("digits-cnn")
    assert page.url.endswith("/?way=draw&model=digits-cnn")


def test_auto_knows_the_photos_to_click(open_page):
    page = open_page("/")
    for name, label in EXAMPLES.items():
        page.get_by_role("button", name=f"A picture of {name}").click()
        arrive(page, "**/results/*")
        expect(page.get_by_role("heading", level=1)).to_contain_text(label, ignore_case=True)
        page.go_back()
        expect(page.locator("#image")).to_be_visible()


def test_another_model_is_asked_on_the_results_page_and_stands_in_its_address(open_page, cat):
    page = open_page("/")
    send_photos(page, cat)
    arrive(page, "**/results/*")
    saved, headline = page.url, page.get_by_role("heading", level=1)
    auto = headline.inner_text()
    choice = page.get_by_role("combobox", name="Answered by")
    choice.select_option("digits-cnn")
    arrive(page, f"{saved}?model=digits-cnn")
    expect(headline).not_to_have_text(auto)
    expect(choice).to_be_focused()
    page.reload()
    expect(choice).to_have_value("digits-cnn")
    page.get_by_role("link", name="Try another").click()
    expect(page.locator("#photo-model")).to_have_value("digits-cnn")
    page.goto(f"{saved}?model=digits-cnn")
    choice.select_option("")
    arrive(page, saved)
    expect(headline).to_have_text(auto)


# ---- The camera ----


# Counts the requests that are in flight at once, and notes when each began.
COUNT = """() => {
    window.began = [];
    window.most = 0;
    let open = 0;
    const ask = window.fetch;
    window.fetch = async (...of) => {
        if (!String(of[0]).includes("/api/predict")) return ask(...of);
        began.push(performance.now());
        most = Math.max(most, ++open);
        try { return await ask(...of); } finally { open--; }
    };
}"""


@pytest.fixture
def open_camera(chromium_with_camera, base_url):
    """Opens the camera; a script may run before those of the page, and `answer` may answer its questions."""
    contexts = []

    def open_camera(script="", answer=None, **options):
        context = chromium_with_camera.new_context(base_url=base_url, **options)
        contexts.append(context)
        if script:
            context.add_init_script(script)
        if answer:
            context.route("**/api/predict*", answer)
        page = context.new_page()
        page.goto("/?way=camera")
        return page

    yield open_camera
    for context in contexts:
        context.close()


@pytest.mark.parametrize("locale, scheme", LOOKS)
@pytest.mark.parametrize("width, height", SCREENS)
def test_the_camera_is_answered_live_in_the_first_screen(open_camera, width, height, locale, scheme):
    page = open_camera(viewport={"width": width, "height": height}, locale=locale, color_scheme=scheme)
    expect(page.locator("#camera .bars li")).not_to_have_count(0)
    expect(page.locator("#camera .sentence")).not_to_have_text("Point and see" if locale == "en" else "Наведите камеру")
    expect(page.get_by_role("combobox", name="Answered by" if locale == "en" else "Отвечает")).to_be_visible()
    assert_laid_out(page, width, height, "bars")
    assert_accessible(page)


def test_the_shutter_keeps_one_frame_with_a_page_of_its_own(open_camera):
    page = open_camera()
    page.get_by_role("button", name="Save & share").click()
    arrive(page, "**/results/*")
    assert page.locator(".picture").evaluate("async (image) => (await image.decode(), image.naturalWidth)") >= 640
    page.go_back()
    expect(page.locator("#image")).to_be_visible()
    assert page.evaluate("document.querySelector('video').srcObject") is None, "the camera is off"


def test_one_question_is_in_flight_at_most_four_a_second_and_none_while_nobody_looks(open_camera):
    page = open_camera(f"({COUNT})()")
    page.wait_for_function("() => began.length >= 5")
    began = page.evaluate("began")
    assert page.evaluate("most") == 1
    # The pause is counted from the frame, and frames differ by milliseconds in how long they take to encode.
    assert all(later - earlier >= 240 for earlier, later in itertools.pairwise(began)), began
    page.evaluate("""() => {
        Object.defineProperty(document, "hidden", {value: true, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    page.wait_for_timeout(1500)  # the answer to the last question, and the pause after it
    paused = page.evaluate("began.length")
    page.wait_for_timeout(1500)
    assert page.evaluate("began.length") == paused
    page.evaluate("""() => {
        delete document.hidden;
        document.dispatchEvent(new Event("visibilitychange"));
    }""")
    page.wait_for_function("count => began.length > count", arg=paused)
    page.get_by_role("link", name="Draw").click()
    page.wait_for_function("() => !document.querySelector('video').srcObject")


def test_a_slow_server_is_asked_less_often_and_a_busy_one_after_its_pause(open_camera):
    page = open_camera(f"({COUNT})()")
    page.route("**/api/predict*", lambda route: (time.sleep(0.6), route.continue_()))
    page.wait_for_function("() => began.length >= 4")
    first, second = page.evaluate("began.slice(-2)")
    assert second - first >= 1200, "it rests for as long as the answer took"
    page.unroute("**/api/predict*")
    busy = {"status": 503, "headers": {"Retry-After": "2"}, "json": {"reason": "busy"}}
    page.route("**/api/predict*", lambda route: route.fulfill(**busy))
    expect(page.locator("#camera .sentence")).to_have_text("No answer just now. Inkling looks again in a moment.")
    count = page.evaluate("began.length")
    page.wait_for_function("count => began.length > count", arg=count)
    first, second = page.evaluate("began.slice(-2)")
    assert second - first >= 2000


FRAMES = [[("cat", 0.9), ("dog", 0.1)], [("dog", 0.6), ("cat", 0.4)], [("cat", 0.9), ("dog", 0.1)]]


def test_answers_are_smoothed_over_a_few_frames(open_camera):
    """One frame that looks different does not change the answer."""
    frames = iter(FRAMES)

    def answer(route):
        guesses = next(frames, FRAMES[-1])
        predictions = [{"label": label, "probability": share} for label, share in guesses]
        body = {"label": guesses[0][0], "wording": "sure", "familiar": True, "predictions": predictions}
        route.fulfill(json=body)

    note = """addEventListener("DOMContentLoaded", () => {
        window.said = [];
        const bars = document.querySelector("#camera .bars");
        const note = () => said.push(bars.querySelector("li .label")?.textContent);
        new MutationObserver(note).observe(bars, {childList: true});
    })"""
    page = open_camera(note, answer)
    page.wait_for_function("() => said.length >= 4")
    assert set(page.evaluate("said")) == {"cat"}


FAILURES = {
    "NotAllowedError": {"en": "This page may not use your camera.", "ru": "Этой странице нельзя пользоваться камерой."},
    "NotFoundError": {"en": "No camera was found.", "ru": "Камера не найдена."},
    "NotReadableError": {"en": "The camera could not be started.", "ru": "Не удалось включить камеру."},
}


@pytest.mark.parametrize("locale, scheme", LOOKS)
@pytest.mark.parametrize("error", FAILURES)
def test_without_a_camera_the_page_says_why_and_takes_a_photo(open_camera, cat, error, locale, scheme):
    page = open_camera(
        f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{error}'); }}",
        viewport={"width": 360, "height": 640},
        locale=locale,
        color_scheme=scheme,
    )
    expect(page.get_by_role("alert")).to_contain_text(FAILURES[error][locale])
    again = {"en": "Try again", "ru": "Попробовать ещё раз"}[locale]
    expect(page.get_by_role("button", name=again)).to_be_visible()
    assert_accessible(page)
    assert_targets_are_large(page)
    assert_nothing_scrolls_sideways(page, 360)
    assert text.faults(page, locale) == {}
    take = page.get_by_label({"en": "Take a photo", "ru": "Сделать снимок"}[locale])
    assert take.get_attribute("capture") == "environment"
    take.set_input_files(cat)
    arrive(page, "**/results/*")


def test_where_browsers_lend_no_camera_the_page_says_so(open_camera):
    page = open_camera("Object.defineProperty(navigator, 'mediaDevices', {value: undefined})")
    expect(page.get_by_role("alert")).to_contain_text("only to pages on HTTPS or localhost")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()
    expect(page.get_by_label("Take a photo")).to_be_attached()


def test_front_and_back_are_switched_where_there_are_two(open_camera):
    page = open_camera("""
        window.asked = [];
        const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = (wish) => { asked.push(wish.video.facingMode); return ask(wish); };
        navigator.mediaDevices.enumerateDevices = async () => [{kind: "videoinput"}, {kind: "videoinput"}];
    """)
    page.get_by_role("button", name="Switch between front and back camera").click()
    page.wait_for_function("() => asked.length === 2")
    assert page.evaluate("asked") == ["environment", "user"]
    expect(page.locator("video")).to_have_class("mirrored")
