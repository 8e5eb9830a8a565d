"""Questions are placed by rules that were fitted to one half of the phrasings and are judged by the other."""

import pytest

from inkling.ask import intents
from inkling.ask.intents import INTENTS, is_near, recognize
from tests.conftest import SHIPPED
from tests.support.phrasings import HELD_OUT, KNOWN, PHRASINGS

MODELS = tuple(SHIPPED.models)


def wrong(phrasings):
    """Returns (intent, question, what it was taken for) of those that are placed wrongly."""
    placed = [(intent, text, recognize(text, MODELS) or "") for intent, text in phrasings]
    return [one for one in placed if one[0] != one[2]]


def test_nine_in_ten_held_out_phrasings_are_placed_right():
    right = 1 - len(wrong(HELD_OUT)) / len(HELD_OUT)
    print(f"{right:.1%} of {len(HELD_OUT)} held-out phrasings are placed right")
    assert right >= 0.9


def test_each_half_of_the_held_out_phrasings_is_placed_as_well():
    """Neither language is served worse than the test above allows for both."""
    for russian in (False, True):
        some = [one for one in HELD_OUT if any("а" <= letter <= "я" for letter in one[1].lower()) == russian]
        assert len(wrong(some)) / len(some) <= 0.15, wrong(some)


def test_the_phrasings_are_three_hundred_of_all_intents_in_two_equal_halves():
    assert len({text for _, text in PHRASINGS}) == 300
    assert len(KNOWN) == len(HELD_OUT) == 150
    assert set(KNOWN).isdisjoint(HELD_OUT)
    assert {intent for intent, _ in HELD_OUT} == {intent for intent, _ in KNOWN} == {*INTENTS, ""}


def test_the_rules_fit_the_phrasings_that_they_were_made_for():
    assert wrong(KNOWN) == []


@pytest.mark.parametrize("text", ["", " ", "?!", "🙂", "\0", "<script>alert(1)</script>", "9" * 10_000, "a b " * 500])
def test_a_text_that_asks_nothing_has_no_intent(text):
    assert recognize(text) is None


@pytest.mark.parametrize(
    "text", ["HOW SURE ARE YOU???", "how sure, are you", "How  sure\nare you", "how  suer are you"]
)
def test_case_signs_and_a_typing_error_change_nothing(text):
    assert recognize(text) == "sure"


@pytest.mark.parametrize(
    "word, other, near",
    [
        ("sure", "sure", True),
        ("sure", "suer", True),
        ("sure", "sur", True),
        ("sur", "sure", True),
        ("sure", "pure", True),
        ("sure", "pore", False),
        ("sure", "surely", False),
        ("", "a", True),
        ("ab", "ba", True),
        ("abc", "cba", False),
    ],
)
def test_one_typing_error_is_one_letter_or_two_that_changed_places(word, other, near):
    assert is_near(word, other) == near


@pytest.mark.parametrize("text", ["is it a cat?", "a cat", "это кошка?"])
def test_a_question_of_a_label_alone_asks_about_that_label(text):
    assert recognize(text) is None
    assert recognize(text, labels=["cat", "кошка"]) == "else"


def test_a_label_among_other_words_is_no_question_about_it():
    assert recognize("what color is the cat", labels=["cat"]) is None


def test_every_rule_has_an_intent_and_every_intent_a_rule():
    assert {row.intent for row in intents._read().rows} == set(INTENTS)


@pytest.mark.parametrize(
    "text",
    ["какая порода", "какой это породы кот", "who is this person", "what breed is it", "сколько это стоит", "thanks"],
)
def test_short_words_that_look_like_those_of_rules_are_not_taken_for_them(text):
    assert recognize(text, MODELS) is None
