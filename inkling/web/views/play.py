"""The drawing challenge. It keeps nothing: the page asks the API what it sees."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from inkling.recognition.card import ModelCard
from inkling.web import service

blueprint = Blueprint("play", __name__)

ROUNDS, SECONDS = 6, 20


@blueprint.get("/play")
def play() -> ResponseReturnValue:
    """Six things to draw against the clock, or without one; `?model=` chooses who guesses."""
    groups = service().predictor.catalog.by_task("ink")
    cards = {card.name: card for _, cards in groups for card in cards}
    asked = request.args.get("model")
    return render_template(
        "play.html",
        groups=groups,
        chosen=asked if asked in cards else next(iter(cards), None),
        words={name: _by_ease(card) for name, card in cards.items()},
        rounds=ROUNDS,
        seconds=SECONDS,
    )


def _by_ease(card: ModelCard) -> list[str]:
    """A model's labels, first those whose test pictures it knows best."""
    recall = {one.label: one.recall for one in card.metrics.classes} if card.metrics else {}
    return sorted(card.labels, key=lambda label: -recall.get(label, 0))
