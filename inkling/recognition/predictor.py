"""The protocol between the app and whatever computes answers: a local runtime now, a remote engine later."""

import time
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from inkling.problems import Problem
from inkling.recognition import inputs
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import Catalog, Model
from inkling.recognition.runtimes.base import Answer, Runtime

PROBABLY = 0.75  # from this confidence on, answers below their model's threshold are still right three times in four


@dataclass(frozen=True, eq=False)
class Prepared:
    """A picture as a model's input.

    Attributes:
        seen: uint8 [height, width, channels].
        milliseconds: the time that preparing took.
        answers: what each opened network answered about it, for one picture. A network that several models build on, or
            that tells them whether the picture is familiar, is therefore asked once.
        judged: the same picture as the input of the model that tells whether it is familiar; None without one.
    """

    seen: np.ndarray
    milliseconds: float = 0.0
    answers: MutableMapping[Runtime, Answer] = field(default_factory=dict, repr=False)
    judged: "Prepared | None" = field(default=None, repr=False)


@dataclass(frozen=True)
class Prediction:
    """A model's answer to one picture.

    Attributes:
        model: the model's name.
        task: the task of its card.
        labels: the labels of its card.
        probabilities: float32 [labels], calibrated.
        threshold: the confidence from which on the answer is sure.
        seen: the picture as the model's input, uint8 [height, width, channels].
        milliseconds: time by stage, "prepare" and "infer"; pictures of one batch share the time of the network evenly.
        familiarity: how much the picture looks like those of training; None for a model that does not tell.
        familiar_limit: pictures with less familiarity most likely show none of the labels; None likewise.
        approximate: whether the network ran in reduced precision.
        elsewhere: the highest probability of another label in any part of the picture, at temperature 1; None for a
            model that does not look at parts.
        elsewhere_limit: from this probability on, the picture most likely shows two labels; None likewise.
        group: the finest group that the label belongs to, such as "dog" for a beagle, or the label itself where it is a
            group; None for a model without groups.
        route: in Auto, the code of the reason why this model answered: one of `router.ROUTES`; else None.
        asked: in Auto, the names of all models that were asked, in this order; else empty.
    """

    model: str
    task: str
    labels: tuple[str, ...]
    probabilities: np.ndarray
    threshold: float
    seen: np.ndarray
    milliseconds: dict[str, float]
    familiarity: float | None = None
    familiar_limit: float | None = None
    approximate: bool = False
    elsewhere: float | None = None
    elsewhere_limit: float | None = None
    group: str | None = None
    route: str | None = None
    asked: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """The most likely label."""
        return self.labels[int(self.probabilities.argmax())]

    @property
    def confidence(self) -> float:
        """The probability of the most likely label."""
        return float(self.probabilities.max())

    @property
    def sure(self) -> bool:
        """Whether the picture is familiar, shows one label, and the confidence reaches the model's threshold.

        A threshold of 1 stands for never, because rounding lets confidences reach it.
        """
        return self.familiar and not self.divided and self.confidence >= self.threshold and self.threshold < 1

    @property
    def divided(self) -> bool:
        """Whether a part of the picture shows another label, such as a dog beside the cat."""
        limit = self.elsewhere_limit
        return self.elsewhere is not None and limit is not None and self.elsewhere >= limit

    @property
    def familiar(self) -> bool:
        """Whether the picture looks like those of training, as far as the model tells."""
        return self.familiar_limit is None or self.familiarity is None or self.familiarity >= self.familiar_limit

    @property
    def wording(self) -> str:
        """How sure the answer is: "sure", "probably" or "not sure"."""
        return wording(self.confidence, self.sure, self.familiar)

    def ranked(self, top: int | None = None) -> list[tuple[str, float]]:
        """(label, probability), most likely first; at most `top` of them."""
        order = np.argsort(-self.probabilities, kind="stable")[:top]
        return [(self.labels[i], float(self.probabilities[i])) for i in order]


class Predictor(Protocol):
    """Whatever answers pictures with the models of a catalog.

    A request takes its model from the catalog once, and passes that `Model` on. It is answered by this version of the
    model even if the model is replaced meanwhile.
    """

    @property
    def catalog(self) -> Catalog:
        """The models as they are now, including those that are switched off."""
        ...

    @property
    def milliseconds(self) -> Mapping[Model, float]:
        """The median time for one picture, preparation not included, of each model that was measured."""
        ...

    def warm(self) -> None:
        """Makes every model ready to answer. One that cannot be opened is switched off in the catalog."""
        ...

    def answer(self, pictures: Sequence[Prepared], model: Model, fast: bool = False) -> list[Prediction]:
        """Answers pictures that were prepared for this model.

        Args:
            fast: allow reduced precision, if that makes the model faster; see `Prediction.approximate`.

        Raises:
            Problem: "model-unavailable".
        """
        ...

    def features(self, pictures: Sequence[Prepared], model: Model) -> np.ndarray:
        """What a network computes before its last layer: float32 [n, d].

        Raises:
            Problem: "model-unavailable".
        """
        ...

    def layers(self, picture: Prepared, model: Model) -> list[np.ndarray]:
        """The feature maps of a network's first layers: float32 [maps, h, w] for each layer, or an empty list.

        Raises:
            Problem: "model-unavailable".
        """
        ...


class SeenBy:
    """A predictor as somebody sees it: without the models that are other owners' only.

    Args:
        predictor: answers.
        owner: a principal's; empty for a visitor.
    """

    def __init__(self, predictor: Predictor, owner: str):
        self._predictor, self._owner = predictor, owner
        self.warm, self.answer = predictor.warm, predictor.answer
        self.features, self.layers = predictor.features, predictor.layers

    @property
    def catalog(self) -> Catalog:
        """The models that its owner may ask."""
        return self._predictor.catalog.seen_by(self._owner)

    @property
    def milliseconds(self) -> Mapping[Model, float]:
        """As the predictor measured them."""
        return self._predictor.milliseconds


def wording(confidence: float, sure: bool, familiar: bool = True) -> str:
    """How sure an answer is: "sure", "probably" or "not sure". It is always "not sure" for an unfamiliar picture."""
    return "sure" if sure else "probably" if familiar and confidence >= PROBABLY else "not sure"


def prepare(image: inputs.Picture, card: ModelCard, judge: ModelCard | None = None) -> Prepared:
    """A picture as a model's input, which is much smaller than the picture.

    Args:
        judge: the model that tells whether the picture is familiar (`Catalog.judge`); the picture is prepared for it
            as well.

    Raises:
        Problem: "blank", for a drawing without ink.
    """
    start = time.perf_counter()
    try:
        seen = inputs.prepare(image, card.input)
    except inputs.BlankDrawing as error:
        raise Problem("blank", "There is nothing drawn in this picture: every part of it looks like paper.") from error
    prepared = Prepared(seen, round((time.perf_counter() - start) * 1e3, 3))
    if judge is None:
        return prepared
    return replace(prepared, judged=prepared if judge.input == card.input else prepare(image, judge))


def answer_each(
    predictor: Predictor, pictures: Sequence[Prepared | Problem], model: Model
) -> list[Prediction | Problem]:
    """Answers the prepared pictures among `pictures` in one call; each problem is returned in its place.

    Raises:
        Problem: "model-unavailable".
    """
    predictions = iter(predictor.answer([picture for picture in pictures if isinstance(picture, Prepared)], model))
    return [next(predictions) if isinstance(picture, Prepared) else picture for picture in pictures]


def classify(predictor: Predictor, images: Sequence[inputs.Picture], model: Model) -> list[Prediction | Problem]:
    """Answers pictures in one call.

    Returns:
        for each picture its prediction, or `Problem("blank")` for a drawing without ink.

    Raises:
        Problem: "model-unavailable".
    """
    judge = predictor.catalog.judge(model.card)
    return answer_each(predictor, [_prepared_or_problem(image, model.card, judge) for image in images], model)


def classify_one(predictor: Predictor, image: inputs.Picture, model: Model) -> Prediction:
    """The answer to one picture.

    Raises:
        Problem: "blank" or "model-unavailable".
    """
    (prediction,) = predictor.answer([prepare(image, model.card, predictor.catalog.judge(model.card))], model)
    return prediction


def _prepared_or_problem(image: inputs.Picture, card: ModelCard, judge: ModelCard | None) -> Prepared | Problem:
    try:
        return prepare(image, card, judge)
    except Problem as problem:
        return problem
