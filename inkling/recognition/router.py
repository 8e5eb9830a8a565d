"""Auto: decides which models answer a picture when nobody has chosen one.

A photo is answered by a model for photos. A drawing is answered by the model that finds it more familiar: that of the
digits or that of the doodles.
"""

from collections.abc import Sequence
from dataclasses import replace

from inkling.problems import Problem
from inkling.recognition import inputs
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import Model
from inkling.recognition.predictor import Prediction, Predictor
from inkling.recognition.subject import Subject

# Why a model answered in Auto: the codes of `Prediction.route`.
ROUTES = ("photo", "digit", "doodle")
INK = {"digits": "digit", "doodles": "doodle"}  # task -> route


class Router:
    """Answers pictures with the models that suit them, or with the one that was chosen.

    Args:
        predictor: answers prepared pictures.
    """

    def __init__(self, predictor: Predictor):
        self._predictor = predictor

    def enough(self, model: Model | None) -> int:
        """The least pixels of the longer side that a picture may be reduced to.

        Args:
            model: the chosen model; None in Auto.
        """
        catalog = self._predictor.catalog
        cards = [card for card in (model.card, catalog.judge(model.card)) if card] if model else list(catalog)
        return max((inputs.enough(card.input) for card in cards), default=inputs.WORKING)

    def prepare(self, subject: Subject, model: Model | None) -> None:
        """Prepares a picture for the models that will surely be asked, and reduces it.

        Raises:
            Problem: "blank", for a drawing without ink; "unknown-model" if Auto finds no model to ask.
        """
        for card in [model.card] if model else self._first(subject):
            subject.prepared(card, self._predictor.catalog.judge(card))
        if model or subject.drawn:
            subject.release()
        else:
            subject.reduce(self.enough(None))

    def answer(self, subjects: Sequence[Subject], model: Model | None) -> list[Prediction]:
        """Answers pictures, each of which `prepare` was called with.

        Args:
            model: the chosen model; None in Auto.

        Raises:
            Problem: "unknown-model" or "model-unavailable".
        """
        if model:
            return self._ask(subjects, model)
        return [self._choose(subject) for subject in subjects]

    def _ask(self, subjects: Sequence[Subject], model: Model) -> list[Prediction]:
        judge = self._predictor.catalog.judge(model.card)
        return self._predictor.answer([subject.prepared(model.card, judge) for subject in subjects], model)

    def _first(self, subject: Subject) -> list[ModelCard]:
        """The models that answer a picture: the most accurate one of each task that suits it."""
        catalog = self._predictor.catalog
        if subject.drawn:
            cards = [card for task in INK if (card := catalog.best(task))]
        else:
            cards = [group[0] for _, group in catalog.by_task("photo")][:1]
        if not cards:
            raise Problem("unknown-model", "No model is installed that could answer this picture.")
        return cards

    def _choose(self, subject: Subject) -> Prediction:
        catalog = self._predictor.catalog
        answers = [self._ask([subject], catalog.model(card.name))[0] for card in self._first(subject)]
        chosen = max(answers, key=_margin)
        return replace(chosen, route=INK.get(chosen.task, "photo"), asked=tuple(answer.model for answer in answers))


def _margin(answer: Prediction) -> float:
    """By how much the picture's familiarity exceeds the limit; 0 for a model that does not tell."""
    if answer.familiarity is None or answer.familiar_limit is None:
        return 0.0
    return answer.familiarity - answer.familiar_limit
