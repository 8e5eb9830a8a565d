"""The drawing challenge. Its page asks the API about each drawing, and nothing is saved."""

from flask import Blueprint, render_template, request

from inkling.recognition.card import ModelCard
from inkling.web import service

blueprint = Blueprint("play", __name__)

ROUNDS = 6
SECONDS = 20  # for one drawing


@blueprint.get("/play")
def play() -> str:
    """A page that names things to draw, with or without a time limit; `?model=` chooses the model that guesses."""
    catalog = service().predictor.catalog
    groups = catalog.by_task("ink")
    cards = {card.name: card for _, cards in groups for card in cards}
    asked = catalog.current(request.args.get("model", ""))
    return render_template(
        "play.html",
        groups=groups,
        chosen=asked if asked in cards else next(iter(cards), None),
        words={name: _by_ease(card) for name, card in cards.items()},
        rounds=ROUNDS,
        seconds=SECONDS,
    )


def _by_ease(card: ModelCard) -> list[str]:
    """A model's labels, those that it recognizes best first."""
    recall = {one.label: one.recall for one in card.metrics.classes} if card.metrics else {}
    return sorted(card.labels, key=lambda label: -recall.get(label, 0))
