"""Signing in and out, without JavaScript and on a phone."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import expect

from inkling import access
from tests.browser.hands import ELSEWHERE
from tests.browser.rules import assert_accessible


@pytest.fixture
def tokens(served):
    return served.extensions["inkling"].storage.tokens


def heading(page, text):
    return expect(page.get_by_role("heading", level=1)).to_have_text(text)


def test_the_printed_link_signs_in_by_a_button(open_page, tokens):
    path = f"/sign-in?link={access.new_link(tokens)}"
    page = open_page(path, java_script_enabled=False, extra_http_headers=ELSEWHERE)
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/$"))
    page.get_by_role("link", name="Sign out").click()
    heading(page, "You are signed in")
    page.get_by_role("button", name="Sign out").click()
    heading(page, "Sign in")
    expect(page.get_by_label("Token")).to_be_visible()


def test_a_wrong_token_is_told_so_and_a_right_one_signs_in(open_page, tokens):
    page = open_page("/sign-in", viewport={"width": 360, "height": 640}, extra_http_headers=ELSEWHERE)
    page.get_by_label("Token").fill("guess")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    assert_accessible(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_label("Token").fill(access.new_token(tokens, "teach", "Ann", timedelta(days=1)))
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(re.compile("/$"))
    page.goto("/sign-in")
    expect(page.get_by_role("main")).to_contain_text("You are signed in as Ann.")
