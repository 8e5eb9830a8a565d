"""Saying whether an answer is right: one tap or two, with and without JavaScript."""

from urllib.parse import urljoin

import pytest
from playwright.sync_api import expect

from tests.browser.hands import arrive, send_photos
from tests.browser.rules import assert_accessible

PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1280, "height": 800}
both_widths = pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
with_and_without_scripts = pytest.mark.parametrize("scripts", [True, False], ids=["", "without JavaScript"])


@pytest.fixture
def result(open_page, cat):
    """Opens a photo's result from a model with two labels, or with sixty."""

    def result(model="cats-dogs-cnn", **options):
        page = open_page(f"/?model={model}", **options)
        send_photos(page, cat)
        arrive(page, "**/results/*")
        return page

    return result


@both_widths
@with_and_without_scripts
def test_yes_is_one_tap_and_can_be_taken_back(result, viewport, scripts):
    page = result(viewport=viewport, java_script_enabled=scripts)
    expect(page.locator(".correction")).to_contain_text("keeps this picture on this server")
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".correction")).to_contain_text("You said that this is right.")
    expect(page.locator(".correction")).to_be_in_viewport()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("heading", name="Did we get it right?")).to_be_in_viewport()


@both_widths
@with_and_without_scripts
def test_no_opens_the_labels_and_one_of_them_is_the_answer(result, viewport, scripts):
    page = result(viewport=viewport, java_script_enabled=scripts)
    labels = page.locator("#right-labels .labels button")
    expect(labels.first).to_be_hidden()
    page.locator(".correction summary").click()
    expect(labels).to_have_count(1)
    box = labels.first.bounding_box()
    assert min(box["width"], box["height"]) >= 44
    labels.first.click()
    expect(page.locator(".correction")).to_contain_text("You said: dog.")


def test_none_of_these_is_an_answer(result):
    page = result(viewport=PHONE)
    page.locator(".correction summary").click()
    page.get_by_role("button", name="None of these").click()
    expect(page.locator(".correction")).to_contain_text("You said: none of these.")


@pytest.fixture
def search(result):
    """Opens the search of a photo's result among sixty labels, and returns its field."""

    def search(viewport=PHONE, **options):
        page = result("doodles-cnn", viewport=viewport, **options)
        page.locator(".correction summary").click()
        return page.locator(".search input")

    return search


@both_widths
@with_and_without_scripts
def test_of_sixty_labels_six_are_offered_and_each_can_be_typed(search, viewport, scripts):
    field = search(viewport, java_script_enabled=scripts)
    page = field.page
    expect(page.locator("#right-labels .labels button")).to_have_count(6)
    field.fill("Giraffe ")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".correction")).to_contain_text("You said: giraffe.")


@with_and_without_scripts
def test_nothing_is_saved_for_a_name_that_is_no_label(search, scripts):
    field = search(java_script_enabled=scripts)
    address = field.page.url
    field.fill("griffin")
    field.press("Enter")
    message = "No label fits." if scripts else "There is no label “griffin”. Choose one of the labels of this answer."
    expect(field.page.get_by_text(message)).to_be_visible()
    field.page.goto(address)
    expect(field.page.get_by_role("heading", name="Did we get it right?")).to_be_visible()


def beginning(page, start):
    """The labels that begin so, in the order in which the server sends them: the likely ones first."""
    labels = page.request.get(urljoin(page.url, page.locator(".search").get_attribute("data-labels"))).json()
    names = [name for name, _ in labels if name.startswith(start)]
    assert sorted(names) == ["cake", "camel", "car", "cat"]
    return names


def test_the_list_narrows_as_one_types_and_the_only_label_is_taken_by_enter(search):
    field = search()
    options = field.page.locator(".search").get_by_role("option")
    field.press_sequentially(" GI")
    expect(options).to_have_text(["giraffe"])
    field.press("Backspace")
    field.press("Backspace")
    field.press_sequentially("ca")
    expect(options).to_have_count(4)
    assert options.all_inner_texts() == beginning(field.page, "ca")
    field.fill("")
    expect(options).to_have_count(0)
    field.fill("gir")
    expect(options).to_have_count(1)
    field.press("Enter")
    expect(field.page.locator(".correction")).to_contain_text("You said: giraffe.")


def test_enter_takes_nothing_while_several_labels_fit(search):
    field = search()
    address = field.page.url
    field.fill("ca")
    expect(field.page.locator(".search").get_by_role("option")).to_have_count(4)
    field.press("Enter")
    expect(field.page.locator(".search").get_by_role("option")).to_have_count(4)
    assert field.page.url == address


@both_widths
def test_a_label_is_taken_by_a_tap_and_its_target_is_large(search, viewport):
    field = search(viewport)
    field.fill("octo")
    option = field.page.locator(".search").get_by_role("option", name="octopus")
    expect(option).to_be_visible()
    assert option.bounding_box()["height"] >= 44
    assert field.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    option.click()
    expect(field.page.locator(".correction")).to_contain_text("You said: octopus.")


def test_the_arrow_keys_mark_a_label_that_screen_readers_announce(search):
    field = search(DESKTOP)
    expect(field).to_have_role("combobox")
    expect(field).to_have_attribute("aria-expanded", "false")
    field.fill("ca")
    expect(field).to_have_attribute("aria-expanded", "true")
    options, marked = (
        field.page.locator(".search").get_by_role("option"),
        field.page.locator(".search").get_by_role("option", selected=True),
    )
    expect(options).to_have_count(4)
    first, second, _, last = beginning(field.page, "ca")
    for key, name in (("ArrowDown", first), ("ArrowDown", second), ("ArrowUp", first)):
        field.press(key)
        expect(marked).to_have_text([name])
        expect(field).to_have_attribute("aria-activedescendant", marked.get_attribute("id"))
        expect(field).to_be_focused()
    field.press("Escape")
    expect(options).to_have_count(0)
    expect(field).to_have_attribute("aria-expanded", "false")
    field.press("ArrowDown")
    field.press("ArrowUp")
    field.press("ArrowUp")
    expect(marked).to_have_text([last])
    field.press("Enter")
    expect(field.page.locator(".correction")).to_contain_text(f"You said: {last}.")


@pytest.mark.parametrize("typed", ["жира", "giraf"])
def test_a_russian_page_finds_labels_by_russian_and_by_english_names(search, typed):
    field = search(locale="ru-RU")
    field.fill(typed)
    expect(field.page.locator(".search").get_by_role("option")).to_have_text(["жираф"])
    field.press("Enter")
    expect(field.page.locator(".correction")).to_contain_text("Вы сказали: жираф.")


def test_a_group_offers_its_labels(search):
    field = search(DESKTOP)
    names = [["beagle", "dog, mammal"], ["hot dog", "food"], ["pizza", "food"], ["dog sled", "vehicle"]]
    field.page.route("**/labels", lambda route: route.fulfill(json=names))
    field.page.reload()
    field.page.locator(".correction summary").click()
    field.fill("dog")
    expect(field.page.locator(".search").get_by_role("option")).to_have_text(["dog sled", "hot dog", "beagle"])


def test_of_a_thousand_labels_fifty_are_shown_and_the_rest_is_said(search):
    field = search(DESKTOP)
    field.page.route("**/labels", lambda route: route.fulfill(json=[[f"dog {i}", ""] for i in range(1000)]))
    field.page.reload()
    field.page.locator(".correction summary").click()
    field.fill("dog")
    expect(field.page.locator(".search").get_by_role("option")).to_have_count(50)
    expect(field.page.locator(".search [role=status]")).to_have_text("More labels fit. Keep typing.")


def test_where_the_labels_cannot_be_loaded_a_whole_name_is_taken(search):
    field = search()
    field.page.route("**/labels", lambda route: route.abort())
    field.page.reload()
    field.page.locator(".correction summary").click()
    field.fill("giraffe")
    field.press("Enter")
    expect(field.page.locator(".correction")).to_contain_text("You said: giraffe.")


def test_by_keyboard_alone(result):
    page = result(viewport=DESKTOP)
    page.get_by_role("button", name="Yes").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator(".correction")).to_contain_text("You said: dog.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@both_widths
def test_axe_finds_nothing_before_and_after(result, viewport, scheme):
    page = result("doodles-cnn", viewport=viewport, color_scheme=scheme)
    page.evaluate("document.querySelectorAll('details:not(.menu)').forEach((fold) => { fold.open = true; })")
    page.locator(".search input").fill("ca")
    page.locator(".search input").press("ArrowDown")
    assert_accessible(page)
    page.get_by_role("button", name="Yes").click()
    expect(page.locator(".correction")).to_contain_text("Thank you")
    assert_accessible(page)
