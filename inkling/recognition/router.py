"""Auto: decides which models answer a picture when nobody has chosen one, and joins their answers.

| picture | models asked | who answers | route |
| --- | --- | --- | --- |
| a drawing | digits, doodles | the one that finds it more familiar; both if it is close | `digit`, `doodle` |
| a photo | things; a specialist if things sees one of its labels | see `_refined` | `photo` |
| a photo, without things | all specialists | the surest | `specialist` |
| any | classifiers whose owner chose Auto, in addition | the surest that finds it familiar, if one is sure | `taught` |

A drawing comes from the canvas, or is a picture of flat paper (`is_ink`). An uploaded picture that looks like paper,
but like no digit and no doodle, is answered as a photo if a model for photos recognizes it: a product on a white table
and a plane in the sky have flat surroundings, too. Of each task, the most accurate model that is switched on is asked.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
from PIL import Image

from inkling.problems import Problem
from inkling.recognition import inputs
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import TASKS, Model, accuracy, unavailable
from inkling.recognition.groups import Groups, groups_of
from inkling.recognition.predictor import Prediction, Predictor
from inkling.recognition.subject import Subject

# Why a model answered in Auto: the codes of `Prediction.route`.
ROUTES = ("photo", "specialist", "digit", "doodle", "taught")
INK = {"digits": "digit", "doodles": "doodle"}  # task -> route
# Task -> the logit that a drawing belongs to it, given by how much its familiarity exceeds the model's limit. Logistic
# regression on drawings of the training sets, redrawn on a canvas or photographed: `python -m benchmarks.route --fit`.
INK_LOGITS: dict[str, Callable[[float], float]] = {
    "digits": lambda margin: 1.89 * margin + 0.94,
    "doodles": lambda margin: 2.49 * margin,
}
CLEAR = 0.9  # an answer to a drawing names labels of one task alone if its share is at least this
GENERAL = "things"  # the task of the model that knows most photos
GROUP_OF = {"automobile": "car", "deer": "antelope"}  # a specialist's label -> the general model's group, if not equal
WORTH = 0.3  # a specialist is asked if the general model gives its labels at least this probability

# Chosen on pictures of training sets: outside of the ink, 299 of 300 photos differed from their smoothed copy by 5.9 of
# 255 or more, and 80 of 80 photographed drawings by 3.8 or less.
GRID, SMOOTH = 64, 21  # pixels: the longer side at which paper is judged, and the window of the median that smooths it
ROUGHEST = 5.0  # of 255: the largest mean difference of paper from its smoothed copy
ROUGHEST_EXACT = 12.0  # the same where the rim has exactly one color, as in a drawing program: thick lines fill more


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
        cards = [one.card for one in ([model] if model else [*self._ink(), *self._photo(), *self._taught()])]
        judges = [judge for card in cards if (judge := self._predictor.catalog.judge(card))]
        return max((inputs.enough(card.input) for card in (*cards, *judges)), default=2 * inputs.WORKING)

    def prepare(self, subject: Subject, model: Model | None) -> None:
        """Prepares a picture for the models that will surely be asked, and keeps no more of it than others need.

        Raises:
            Problem: "blank", for a drawing without ink.
        """
        if model:
            subject.prepared(model.card, self._predictor.catalog.judge(model.card))
            subject.release()
            return
        start = time.perf_counter()
        subject.is_ink = bool(self._ink()) and (subject.drawn or is_ink(inputs.as_image(subject.image)))
        subject.deciding = (time.perf_counter() - start) * 1e3
        firsts = [*self._ink(), *self._taught("ink")] if subject.is_ink else self._photo()[:1]
        for first in firsts:
            subject.prepared(first.card)
        if subject.drawn:
            subject.release()
        else:
            subject.reduce(self.enough(None))

    def answer(self, subjects: Sequence[Subject], model: Model | None) -> list[Prediction]:
        """Answers pictures, each of which `prepare` was called with.

        Args:
            model: the chosen model; None in Auto.

        Raises:
            Problem: "unknown-model" if Auto finds no model to ask, or "model-unavailable".
        """
        if model:
            return [self._named(answer, model) for answer in self._ask(subjects, model)]
        found: dict[Subject, Prediction] = {}
        found |= self._drawings([subject for subject in subjects if subject.is_ink])
        strange = [subject for subject, answer in found.items() if not (answer.familiar or subject.drawn)]
        photos = self._photos([subject for subject in subjects if not subject.is_ink] + strange)
        for subject in strange:
            if subject in photos and photos[subject].wording == "not sure":
                photos[subject] = found[subject]
        answers = {**found, **photos}
        answers |= self._own([subject for subject in subjects if subject.is_ink and subject not in photos], "ink")
        answers |= self._own([subject for subject in subjects if subject in photos], "photo")
        return [_timed(answers[subject], subject) for subject in subjects]

    # ---- The models ----

    def _ink(self) -> list[Model]:
        """The models that drawings are asked of."""
        return self._best(INK)

    def _photo(self) -> list[Model]:
        """The models that photos are asked of, the general one first."""
        return [model for model in self._best(TASKS) if model.card.input.kind == "photo"]

    def _taught(self, kind: str | None = None) -> list[Model]:
        """The taught classifiers that may answer in Auto, of one kind or of both."""
        catalog = self._predictor.catalog
        return [
            catalog.models[card.name]
            for card in catalog
            if card.taught and card.taught.auto and kind in (None, card.input.kind)
        ]

    def _best(self, tasks: Mapping[str, str]) -> list[Model]:
        catalog = self._predictor.catalog
        cards = [card for task in tasks if (card := catalog.best(task))]
        return [catalog.models[card.name] for card in cards]

    def _ask(self, subjects: Sequence[Subject], model: Model) -> list[Prediction]:
        judge = self._predictor.catalog.judge(model.card)
        answers = self._predictor.answer([subject.prepared(model.card, judge) for subject in subjects], model)
        for subject, answer in zip(subjects, answers, strict=True):
            subject.asked[model.card.name] = answer.milliseconds["infer"]
        return answers

    # ---- Taught classifiers ----

    def _own(self, subjects: Sequence[Subject], kind: str) -> dict[Subject, Prediction]:
        """The answers of taught classifiers to pictures that are familiar to one, and of which it is sure."""
        sure: dict[Subject, Prediction] = {}
        for model in self._taught(kind) if subjects else ():
            for subject, answer in zip(subjects, self._ask(subjects, model), strict=True):
                if answer.sure and (subject not in sure or answer.confidence > sure[subject].confidence):
                    sure[subject] = replace(answer, route="taught")
        return sure

    # ---- Drawings ----

    def _drawings(self, subjects: Sequence[Subject]) -> dict[Subject, Prediction]:
        """The answer to each drawing: that of the model that finds it most familiar."""
        rows = [self._ask(subjects, model) for model in self._ink()] if subjects else []
        return {
            subject: _most_familiar(answers) for subject, answers in zip(subjects, zip(*rows, strict=True), strict=True)
        }

    # ---- Photos ----

    def _photos(self, subjects: Sequence[Subject]) -> dict[Subject, Prediction]:
        """The answer to each photo."""
        if not subjects:
            return {}
        models = self._photo()
        if not models:
            raise Problem("unknown-model", "No model is installed that Auto could ask about this picture.")
        if models[0].card.task != GENERAL:
            rows = [self._ask(subjects, model) for model in models]
            chosen = (max(answers, key=_certainty) for answers in zip(*rows, strict=True))
            return {
                subject: replace(answer, route="specialist") for subject, answer in zip(subjects, chosen, strict=True)
            }
        general, specialists = models[0], sorted(models[1:], key=lambda model: accuracy(model.card), reverse=True)
        answers = dict(zip(subjects, self._ask(subjects, general), strict=True))
        known = self._groups_of(general)
        refined: dict[Subject, Prediction] = {}
        for special in specialists:
            some = [
                subject
                for subject, answer in answers.items()
                if subject not in refined and _share(answer, special.card, known) >= WORTH
            ]
            for subject, second in zip(some, self._ask(some, special), strict=True):
                refined[subject] = _refined(answers[subject], second, known)
        plain = {subject: self._named(answer, general) for subject, answer in answers.items() if subject not in refined}
        return {subject: replace(answer, route="photo") for subject, answer in {**refined, **plain}.items()}

    # ---- Groups ----

    def _named(self, answer: Prediction, model: Model) -> Prediction:
        """The answer with its group; the group itself is the answer where no label is likely."""
        return _grouped(answer, self._groups_of(model))

    def _groups_of(self, model: Model) -> Groups:
        """A model's groups; none for a model without them.

        Raises:
            Problem: "model-unavailable": the file cannot be read.
        """
        try:
            return groups_of(model)
        except ValueError as error:
            raise unavailable(model.card.name, str(error)) from error


def is_ink(image: Image.Image) -> bool:
    """Whether a picture shows lines on flat paper: a drawing, on a screen or photographed.

    Paper is smooth: a median over a wide window removes lines from it and changes it little elsewhere, however uneven
    the light. The background of a photo changes more.

    Args:
        image: upright, in RGB.
    """
    width, height = (max(1, round(side * GRID / max(image.size))) for side in image.size)
    method = Image.Resampling.BOX if max(image.size) > GRID else Image.Resampling.BICUBIC
    small = np.asarray(image.resize((width, height), method, reducing_gap=2.0))
    difference = cv2.absdiff(small, cv2.medianBlur(small, SMOOTH)).max(axis=2)
    threshold, _ = cv2.threshold(difference, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    paper = difference[difference <= max(threshold, inputs.FAINTEST)]
    roughness = float(paper.mean())
    return roughness <= (ROUGHEST_EXACT if _has_one_color_at_its_rim(image) else ROUGHEST)


def shares(answers: Sequence[Prediction]) -> np.ndarray:
    """The probability that a drawing is of each answer's task, by its familiarity: float64 [answers], sum 1."""
    logits = [
        INK_LOGITS[answer.task](answer.familiarity - answer.familiar_limit)
        if answer.familiarity is not None and answer.familiar_limit is not None
        else 0.0
        for answer in answers
    ]
    powers = np.exp(np.array(logits) - max(logits))
    return powers / powers.sum()


def _most_familiar(answers: Sequence[Prediction]) -> Prediction:
    """The answer of the model that finds a drawing most familiar; with the labels of all where it is no clear case."""
    weights = shares(answers)
    first = int(weights.argmax())
    chosen = replace(answers[first], route=INK[answers[first].task])
    if weights[first] >= CLEAR:
        return chosen
    return replace(
        chosen,
        labels=sum((answer.labels for answer in answers), ()),
        probabilities=np.concatenate(
            [answer.probabilities * np.float32(weight) for answer, weight in zip(answers, weights, strict=True)]
        ),
    )


def _has_one_color_at_its_rim(image: Image.Image) -> bool:
    width, height = image.size
    rim = ((0, 0, width, 1), (0, height - 1, width, height), (0, 0, 1, height), (width - 1, 0, width, height))
    colors = [image.crop(line).getcolors(1) for line in rim]  # None for more than one color
    return all(colors) and len({line[0][1] for line in colors if line}) == 1


def _share(answer: Prediction, card: ModelCard, known: Groups) -> float:
    """The probability that a general model gives a specialist's labels, as far as it has groups for them."""
    own = card.familiar_by.groups if card.familiar_by else [GROUP_OF.get(label, label) for label in card.labels]
    names = set(own).intersection(known.names)
    return known.probability(answer.probabilities, *names)


def _refined(general: Prediction, special: Prediction, known: Groups) -> Prediction:
    """What a general model and a specialist say together about a photo.

    The specialist answers where the general model names no label, and no group as fine as the specialist's answer, or
    is less certain of that group. Otherwise the general model answers, and its certainty falls as far as a specialist
    that finds the photo familiar doubts it. It is not sure if the specialist sees another of its labels elsewhere.
    """
    answer = _grouped(general, known)
    index, group = known.answer(general.probabilities)
    own = GROUP_OF.get(special.label, special.label)
    wider = known.of(next((one.labels[0] for one in known.groups if one.name == own), -1))
    wider = wider[wider.index(own) :] if own in wider else ()  # the group itself, and those that hold it
    is_finer = index is None and (group is None or group in wider)
    is_surer = group != own or special.confidence > answer.confidence
    if special.wording != "not sure" and is_finer and is_surer:
        return replace(special, group=special.label if special.label in known.names else None)
    within = {*known.of(index), group} if index is not None else {group}
    agreed = sum(
        probability
        for label, probability in zip(special.labels, special.probabilities.tolist(), strict=True)
        if GROUP_OF.get(label, label) in within
    )
    doubted = special.familiar and not within.isdisjoint(GROUP_OF.get(label, label) for label in special.labels)
    if not doubted:
        return answer
    return replace(
        answer,
        probabilities=answer.probabilities * np.float32(min(1.0, agreed / special.threshold)),
        elsewhere=special.elsewhere,
        elsewhere_limit=special.elsewhere_limit,
    )


def _grouped(answer: Prediction, known: Groups) -> Prediction:
    """An answer with its group; the group itself is the most likely label where no kind is likely."""
    if not known.groups:
        return answer
    index, group = known.answer(answer.probabilities)
    if group is None:
        best = int(answer.probabilities.argmax()) if index is None else index
        return replace(answer, group=next(iter(known.of(best)), None))
    probability = np.float32(known.probability(answer.probabilities, group))
    labels, rest = [group], [probability]
    for label, value in zip(answer.labels, answer.probabilities, strict=True):
        if label != group:
            labels.append(label)
            rest.append(value)
    return replace(answer, labels=tuple(labels), probabilities=np.array(rest, np.float32), group=group)


def _timed(answer: Prediction, subject: Subject) -> Prediction:
    """An answer with the names of all models that were asked, and with the time that they took together."""
    times = {"prepare": round(subject.preparing, 3), "infer": round(sum(subject.asked.values()), 3)}
    return replace(answer, asked=tuple(subject.asked), milliseconds=times)


def _certainty(answer: Prediction) -> tuple[bool, float]:
    return answer.familiar, answer.confidence
