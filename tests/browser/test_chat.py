"""The language model on the pages: whom it asks first, what it says beside measured answers, how it stops and fails."""

import threading

import pytest
from playwright.sync_api import expect

from inkling.service import Service
from inkling.storage import Storage
from inkling.web.app import create_app
from tests.browser.hands import started
from tests.browser.rules import TARGETS, assert_accessible
from tests.support.chat import Exchange, Fake, chunk, serving
from tests.support.injections import SCRIPTS

WORDS = {
    "en-US": ("Ask", "How sure are you?", "Ask it too", "Don't ask it", "not measured", "Stop"),
    "ru-RU": ("Спросить", "Насколько вы уверены?", "Спрашивать и её", "Не спрашивать её", "не измерено", "Остановить"),
}
FIELD = {"en-US": "Your question", "ru-RU": "Ваш вопрос"}


@pytest.fixture(scope="module")
def fake():
    server = Fake()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def forget(fake):
    fake.behave, fake.asked = Exchange.answer, []


def beside(served, tmp_path_factory, url):
    """The app of the session, with a language model and its own results."""
    shared = served.extensions["inkling"]
    settings = shared.settings.replace(chat_url=url, pictures=tmp_path_factory.mktemp("pictures"))
    return create_app(settings, Service(settings, shared.predictor, Storage(settings)))


@pytest.fixture(scope="module")
def here(served, tmp_path_factory, fake):
    """The address of an app whose language model is on the same machine."""
    with serving(beside(served, tmp_path_factory, fake.url)) as url:
        yield url


@pytest.fixture(scope="module")
def elsewhere(served, tmp_path_factory, fake):
    """The same with one elsewhere: 0.0.0.0 is no loopback address, although it leads to this machine."""
    with serving(beside(served, tmp_path_factory, fake.url.replace("127.0.0.1", "0.0.0.0"))) as url:
        yield url


@pytest.fixture
def open_result(open_page, cat):
    """Opens the tab of questions beside a new result."""

    def open_result(url, locale="en-US", **options):
        page = open_page(f"{url}/help", locale=locale, **options)
        answer = page.context.request.post(f"{url}/predict", multipart={"model": "cats-dogs-cnn", "image": cat})
        page.goto(answer.url)
        started(page)
        page.get_by_role("tab", name=WORDS[locale][0], exact=True).click()
        return page

    return open_result


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("locale", WORDS)
def test_a_server_elsewhere_is_named_and_gets_nothing_before_the_visitor_agrees(
    open_result, elsewhere, fake, width, locale
):
    tab, question, agree, refuse, mark, _ = WORDS[locale]
    page = open_result(elsewhere, locale, viewport={"width": width, "height": 800})
    panel = page.get_by_role("tabpanel")
    expect(panel.locator(".chat .note")).to_contain_text(fake.url.split("/")[2].replace("127.0.0.1", "0.0.0.0"))
    panel.get_by_role("button", name=question).click()
    expect(panel.locator(".asked")).to_have_count(1)
    assert not fake.asked
    assert panel.locator(".said").count() == 0

    panel.get_by_role("button", name=agree).click()
    expect(panel.get_by_role("button", name=refuse)).to_be_focused()
    panel.get_by_role("button", name=question).click()
    said = panel.locator(".said")
    expect(said).to_contain_text("It is a one.")
    expect(said).to_contain_text(mark)
    expect(said).to_have_attribute("aria-busy", "false")
    expect(panel.locator(".asked")).to_have_count(2)
    assert fake.questions[0].pictures
    assert_accessible(page)
    assert page.evaluate(TARGETS) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.reload()
    started(page)
    page.get_by_role("tab", name=tab, exact=True).click()
    page.get_by_role("button", name=refuse).click()  # it has remembered
    asked = len(fake.asked)
    page.get_by_role("button", name=question).click()
    expect(page.locator(".asked")).to_have_count(1)
    assert len(fake.asked) == asked


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("locale", WORDS)
def test_a_server_on_this_machine_is_asked_at_once_and_remembers_nothing(open_page, here, fake, width, locale):
    page = open_page(f"{here}/ask", locale=locale, viewport={"width": width, "height": 800})
    field = page.get_by_label(FIELD[locale])
    for question in ("tell me a joke", "another one"):
        field.fill(question)
        field.press("Enter")
        expect(page.locator(".said").first).to_have_attribute("aria-busy", "false")
    expect(page.locator(".said")).to_have_count(2)
    expect(page.locator(".asked ul")).to_have_count(0)  # no list of what else it could answer
    first, second = (exchange.body["messages"][1:] for exchange in fake.questions)
    assert [turn["content"] for turn in first] == ["tell me a joke"]
    assert [turn["content"] for turn in second] == ["tell me a joke", "It is a one.", "another one"]
    assert_accessible(page)
    assert page.evaluate(TARGETS) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.reload()
    started(page)
    field.fill("and now")
    field.press("Enter")
    expect(page.locator(".said")).to_have_attribute("aria-busy", "false")
    assert len(fake.questions[-1].body["messages"]) == 2


@pytest.mark.parametrize("begun", [False, True], ids=["before the first word", "in the middle"])
@pytest.mark.parametrize("locale", WORDS)
def test_stop_ends_it_on_the_page_and_on_the_server(open_page, here, fake, begun, locale):
    left = threading.Event()

    def endless(exchange):
        if begun:
            exchange.begin()
            exchange.say(chunk("It"), end="")
        exchange.wait_until_left()
        left.set()

    fake.behave = endless
    page = open_page(f"{here}/ask", locale=locale)
    page.get_by_label(FIELD[locale]).fill("hello")
    page.keyboard.press("Enter")
    said = page.locator(".said")
    expect(said).to_have_attribute("aria-busy", "true")
    if begun:
        expect(said.locator(".words")).to_have_text("It")
    said.get_by_role("button", name=WORDS[locale][-1]).click()
    expect(said).to_have_attribute("aria-busy", "false")
    assert left.wait(60) or not fake.asked


@pytest.mark.parametrize(
    "locale, title",
    [("en-US", "The language model's server has had enough questions"), ("ru-RU", "Сервер языковой модели больше не")],
)
def test_a_failure_is_one_sentence_beside_the_measured_answer(open_page, here, fake, locale, title):
    fake.behave = lambda exchange: exchange.refuse(429, {"error": {"message": "slow down"}})
    page = open_page(f"{here}/ask", locale=locale)
    page.locator(".labels button").first.click()
    expect(page.locator(".said .state")).to_contain_text(title)
    expect(page.locator(".asked")).to_contain_text("Inkling")
    fake.behave = Exchange.answer
    page.locator(".labels button").first.click()
    expect(page.locator(".said .words").first).to_have_text("It is a one.")


def test_what_it_says_is_shown_as_text(open_page, here, fake):
    """Twenty scripts, as questions and as answers; the page fails the test if it violates the policy."""
    scripts = iter(SCRIPTS)
    fake.behave = lambda exchange: exchange.answer(next(scripts))
    page = open_page(f"{here}/ask")
    field = page.get_by_label("Your question")
    for count, script in enumerate(SCRIPTS, 1):
        field.fill(script)
        field.press("Enter")
        expect(page.locator(".said[aria-busy=false]")).to_have_count(count)
        said = page.locator(".said .words").first
        assert said.evaluate("(one) => [one.textContent, one.childElementCount]") == [script, 0]
    assert (
        page.locator(".replies :is(script, img, svg, iframe, a[href^=javascript], style, base, meta, form)").count()
        == 0
    )


def test_without_javascript_only_measured_answers_are_offered(open_page, elsewhere, fake):
    page = open_page(f"{elsewhere}/ask", java_script_enabled=False)
    assert page.get_by_role("button", name="Ask it too").count() == 0
    page.get_by_role("button", name="What can you do?").click()
    expect(page.locator(".asked")).to_contain_text("Inkling looks at a photo")
    expect(page.locator(".measured")).to_be_visible()
    assert not fake.asked
