"""The parts of an answer: sentences whose values say where they come from, and pictures.

A sentence is a translation key. Whoever shows an answer translates it, and writes each value by its form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from PIL import Image

from inkling.problems import Problem
from inkling.recognition.confusions import Pair
from inkling.recognition.predictor import Prediction

# Where a value comes from: the stored prediction, the model's card, a computation made now, or the server's settings.
Source = Literal["prediction", "card", "now", "settings"]
# How a value is written. "percent" and "tenths" are probabilities, in whole percent or with a decimal, and never a
# round 0% or 100%; a "share" of test pictures may be one.
Number = Literal["percent", "tenths", "share", "count", "milliseconds", "megabytes", "date"]
Name = Literal["label", "labels", "named", "text", "texts", "host"]
Form = Number | Name


class Value(NamedTuple):
    """A number or a name in a sentence."""

    value: float | str | datetime | tuple[str, ...]
    form: Form
    source: Source


@dataclass(frozen=True)
class Sentence:
    """A sentence of an answer.

    Attributes:
        text: a translation key with %(placeholders)s; the singular if there is a plural.
        plural: the plural of the key, or None; the value `n` decides between both.
    """

    text: str
    values: Mapping[str, Value] = field(default_factory=dict)
    plural: str | None = None


class Change(NamedTuple):
    """A changed picture and the model's new answer to it, or the problem that prevented one."""

    name: str  # a key of `inkling.ask.changes.CHANGES`
    picture: Image.Image
    answer: Prediction | Problem
    same: bool  # whether the label is still the one that was stored


class Link(NamedTuple):
    """Where to go on: a code of a page, and what it is about."""

    page: Literal["why", "others", "model", "models", "right", "lab", "teach", "history", "help", "start"]
    about: str = ""  # the id of a result, or the name of a model


@dataclass(frozen=True)
class Answer:
    """The answer to a question.

    Attributes:
        intent: one of `intents.INTENTS`; empty for a question that Inkling cannot answer.
        pairs: labels that the model confuses, with pictures where its card has some.
        model: the name of the model that `pairs` are of.
    """

    intent: str
    sentences: tuple[Sentence, ...]
    changes: tuple[Change, ...] = ()
    pairs: tuple[Pair, ...] = ()
    model: str = ""
    links: tuple[Link, ...] = ()


def say(text: str, **values: Value) -> Sentence:
    """A sentence."""
    return Sentence(text, values)


def say_many(one: str, many: str, *, n: Value, **values: Value) -> Sentence:
    """A sentence with a plural; the value `n` is the number that decides."""
    return Sentence(one, {"n": n, **values}, many)
