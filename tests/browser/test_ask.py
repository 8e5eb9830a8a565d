"""Questions in the tab of a result and on their own page: in place, by keyboard, narrow, and without JavaScript."""

import pytest
from playwright.sync_api import expect

from tests.browser.hands import arrive, started
from tests.browser.rules import TARGETS, assert_accessible

WORDS = {
    "en-US": ("Ask", "What would change your mind?", "What does it confuse?", "Your question"),
    "ru-RU": ("Спросить", "Что изменит ваш ответ?", "Что она путает?", "Ваш вопрос"),
}


@pytest.fixture(scope="module")
def owner(browser, base_url, cat):
    """The cookies of the browser that made the result of a photo, and the result's address."""
    context = browser.new_context(base_url=base_url)
    answer = context.request.post("/predict", multipart={"model": "cats-dogs-cnn", "image": cat})
    yield context.cookies(), answer.url
    context.close()


@pytest.fixture
def open_result(open_page, owner):
    """Opens the result in the browser that made it."""

    def open_result(**options):
        page = open_page("/help", **options)
        page.context.add_cookies(owner[0])
        page.goto(owner[1])
        started(page)
        return page

    return open_result


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("locale", WORDS)
def test_answers_come_in_place_and_are_accessible_and_narrow(open_result, width, locale):
    tab, change, confuse, _ = WORDS[locale]
    page = open_result(viewport={"width": width, "height": 800}, locale=locale)
    address = page.url
    page.get_by_role("tab", name=tab, exact=True).click()
    panel = page.get_by_role("tabpanel")
    for count, question in enumerate((change, confuse), 1):
        panel.get_by_role("button", name=question).click()
        expect(panel.locator(".asked")).to_have_count(count)
        expect(panel.locator(".asked .question").first).to_contain_text(question)
    expect(panel.locator(".changes img")).to_have_count(5)
    for shown in panel.locator(".changes img").all():
        assert shown.evaluate("(image) => image.complete && image.naturalWidth > 0")
    assert page.url == address
    assert_accessible(page)
    assert page.evaluate(TARGETS) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_question_is_typed_and_asked_by_keyboard_and_its_answer_is_announced(open_result):
    page = open_result()
    page.get_by_role("tab", name="Why").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Ask", exact=True)).to_be_focused()
    page.keyboard.press("Tab")  # the panel
    page.keyboard.press("Tab")
    expect(page.get_by_label("Your question")).to_be_focused()
    page.keyboard.type("<b>how sure</b> are you")
    page.keyboard.press("Enter")
    live = page.locator(".replies[aria-live=polite]")
    expect(live.locator(".asked")).to_contain_text("The confidence in “cat” is")
    expect(live.locator(".question")).to_have_text("You asked: <b>how sure</b> are you")
    expect(page.get_by_label("Your question")).to_be_focused()
    expect(page.get_by_label("Your question")).to_have_value("")


def test_when_the_server_is_away_it_says_so_and_the_question_can_be_asked_again(open_result):
    page = open_result()
    page.get_by_role("tab", name="Ask", exact=True).click()
    page.route("**/ask/*", lambda route: route.abort())
    page.get_by_role("button", name="How sure are you?").click()
    expect(page.locator(".replies")).to_contain_text("Inkling could not be reached")
    page.unroute("**/ask/*")
    page.get_by_role("button", name="How sure are you?").click()
    expect(page.locator(".asked")).to_have_count(1)


def test_without_javascript_the_answer_is_a_page(open_result):
    page = open_result(java_script_enabled=False)
    page.get_by_role("button", name="What would change your mind?").click()
    arrive(page, "**/ask/*")
    expect(page.locator(".changes img")).to_have_count(5)
    page.get_by_label("Your question").fill("is it a dog?")
    page.get_by_label("Your question").press("Enter")
    expect(page.locator(".asked")).to_contain_text("Why not “dog”")
    page.get_by_role("link", name="Back to the answer").click()
    arrive(page, "**/results/*")


def test_the_page_of_general_questions_is_reached_by_the_menu(open_page):
    page = open_page("/")
    page.locator(".menu summary", has_text="Explore").click()
    page.get_by_role("link", name="Ask", exact=True).click()
    arrive(page, "**/ask")
    page.get_by_role("button", name="What can you do?").click()
    expect(page.locator(".asked")).to_contain_text("Inkling looks at a photo")
