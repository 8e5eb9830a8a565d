"""The drawing challenge lists the models that guess, and each model's words from easy to hard."""

import json
import re
from html import unescape

import pytest


def words_of(page):
    """Returns the words of each model in the page's order. The selected model comes first."""
    found = re.findall(r"<option value=\"([\w-]+)\" data-words='([^']*)'( selected)?", page.text)
    return {name: json.loads(unescape(words)) for name, words, _ in sorted(found, key=lambda one: not one[2])}


def test_each_ink_model_lists_its_words_easiest_first(client, classifier):
    words = words_of(client.get("/play"))
    cards = {card.name: card for card in classifier.catalog if card.input.kind == "ink"}
    assert words.keys() == cards.keys()
    for name, card in cards.items():
        recall = {one.label: one.recall for one in card.metrics.classes}
        assert sorted(words[name]) == sorted(card.labels)
        assert [recall[word] for word in words[name]] == sorted(recall.values(), reverse=True)


@pytest.mark.parametrize(
    "query, chosen",
    [
        ("", "doodles-cnn"),
        ("?model=digits-hog", "digits-hog"),
        ("?model=cats-dogs-cnn", "doodles-cnn"),
        ("?model=<b>", "doodles-cnn"),
    ],
)
def test_the_address_selects_the_guessing_model(client, query, chosen):
    assert next(iter(words_of(client.get(f"/play{query}")))) == chosen


def test_without_a_model_for_drawings_the_page_says_so(app_without_models):
    client = app_without_models.test_client()
    page = client.get("/play")
    assert page.status_code == 200
    assert "No model for drawings is available" in page.text
    assert "<canvas" not in page.text
    assert client.get("/").status_code == 200
