"""Answers to questions in words: for pages in the visitor's language, for programs as JSON."""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from flask import url_for
from flask_babel import force_locale, format_datetime, format_decimal, gettext, ngettext

from inkling.ask import grounded
from inkling.ask.answer import Answer, Change, Link, Sentence, Value
from inkling.pictures.encode import data_url
from inkling.problems import REASONS, Problem
from inkling.recognition import confusions
from inkling.storage import Result
from inkling.web import evaluation, explained, service, turns
from inkling.web.edge import language
from inkling.web.ownership import CORRECT, may_change
from inkling.web.responses import original_or_404

SMALL = 160  # pixels, longer side of a changed picture
CYRILLIC = re.compile("[а-яё]", re.IGNORECASE)


@dataclass(frozen=True)
class Said:
    """A sentence in words, and where its numbers come from."""

    text: str
    sources: tuple[str, ...]  # in words


@dataclass(frozen=True)
class Shown:
    """A changed picture, for a page."""

    title: str
    text: str
    url: str  # a data URL
    width: int
    height: int
    same: bool


def answer(text: str, result: Result | None) -> Answer:
    """The answer to a question, asked by whoever sends this request.

    Args:
        result: what it is about; None for a question about this Inkling.

    Raises:
        Problem: "busy", or "late".
        NotFound: the result was deleted in the meantime.
    """
    correct = result is not None and may_change(result, CORRECT)
    question = grounded.understand(
        text, grounded.About(service(), result, correct, language.label, language.translated)
    )
    computed = grounded.Computed()
    try:
        if result and question.needs_explanation:
            computed = grounded.Computed(explained.of_result(result))
        if result and question.needs_picture and computed.explanation:
            with turns.turn() as budget:
                computed = grounded.compute(question, computed.explanation, original_or_404(result), budget)
    except Problem as problem:
        if problem.reason not in ("unknown-model", "model-unavailable", "blank"):
            raise  # the answer says that nothing could be computed
    return grounded.answer(question, computed)


def language_of(text: str) -> AbstractContextManager:
    """A context in which answers are in the language of a question: of programs, nothing else tells it."""
    return force_locale("ru") if CYRILLIC.search(text) else nullcontext()


# ---- In words ----


def said(sentence: Sentence) -> Said:
    """A sentence in this request's language."""
    sources = dict.fromkeys(value.source for value in sentence.values.values())
    return Said(words(sentence), tuple(source(one) for one in sources))


def words(sentence: Sentence) -> str:
    """The text of a sentence in this request's language."""
    values = {name: written(value) for name, value in sentence.values.items()}
    if sentence.plural is None:
        return gettext(sentence.text, **values) if values else gettext(sentence.text)
    return ngettext(sentence.text, sentence.plural, sentence.values["n"].value, **values)


def written(value: Value) -> str:
    """A value as a sentence writes it."""
    return _FORMS[value.form](value.value)


def source(name: str) -> str:
    """Where a value comes from."""
    return {
        "prediction": gettext("stored answer"),
        "card": gettext("model card"),
        "now": gettext("computed now"),
        "settings": gettext("settings"),
    }[name]


def offers(result: Result | None, but: str = "") -> list[str]:
    """Questions that can be asked about a result, or about this Inkling.

    Args:
        but: the intent of a question that was just answered.
    """
    offered = grounded.IN_GENERAL if result is None else grounded.OF_A_RESULT
    return [words(question) for intent, question in offered.items() if intent != but]


def link(to: Link) -> tuple[str, str]:
    """The text and the address of a link."""
    return {
        "why": lambda: (gettext("Show it on the picture"), url_for("explanations.page", id=to.about)),
        "others": lambda: (gettext("Ask other models"), url_for("results.others", id=to.about)),
        "model": lambda: (gettext("More about this model"), url_for("models.model", name=to.about)),
        "models": lambda: (gettext("All models"), url_for("models.overview")),
        "right": lambda: (gettext("Say what it is"), url_for("results.show", id=to.about, _anchor="right")),
        "lab": lambda: (gettext("Try changes in the lab"), url_for("lab.show", result=to.about)),
        "teach": lambda: (gettext("Teach your own things"), url_for("teach.overview")),
        "history": lambda: (gettext("History"), url_for("history.page")),
        "help": lambda: (gettext("Help"), url_for("help.page")),
        "start": lambda: (gettext("Show a picture"), url_for("recognize.index")),
    }[to.page]()


def shown(change: Change, kind: str) -> Shown:
    """A changed picture with the new answer.

    Args:
        kind: "photo" or "drawing".
    """
    longest = max(change.picture.size)
    width, height = (max(1, round(side * min(1, SMALL / longest))) for side in change.picture.size)
    return Shown(_title(change), _new_answer(change), data_url(change.picture, kind, SMALL), width, height, change.same)


def _title(change: Change) -> str:
    return words(grounded.CHANGED[change.name])


def _new_answer(change: Change) -> str:
    if isinstance(change.answer, Problem):
        return gettext(REASONS[change.answer.reason].title)
    values = {"label": language.label(change.answer.label), "share": language.percent(change.answer.confidence)}
    if not change.answer.familiar:
        return gettext("“%(label)s”, but it looks unfamiliar", label=values["label"])
    return (
        gettext("still “%(label)s”: %(share)s", **values)
        if change.same
        else gettext("“%(label)s”: %(share)s", **values)
    )


def tenths(probability: float) -> str:
    """As `language.percent` with one decimal, to compare it with a threshold."""
    return "<0.1%" if probability < 0.001 else ">99.9%" if probability > 0.999 else f"{probability:.1%}"


def _many(values: Sequence[str]) -> str:
    return ", ".join(values)


_FORMS = {
    "percent": language.percent,
    "tenths": lambda value: language.decimal(tenths(value)),
    "share": lambda value: language.decimal(f"{value:.1%}"),
    "count": format_decimal,
    "milliseconds": lambda value: language.decimal(f"{value:.1f}"),
    "megabytes": lambda value: language.decimal(f"{round(value / 2**20, 1):g}"),
    "date": lambda value: format_datetime(value, "d MMMM y"),
    "label": language.label,
    "labels": lambda values: _many([language.label(one) for one in values]),
    "named": language.named,
    "text": language.translated,
    "texts": lambda values: _many([language.translated(one) for one in values]),
    "host": str,
}


# ---- For pages and programs ----


def for_page(found: Answer, question: str, result: Result | None) -> dict:
    """What the template of an answer shows."""
    model = service().predictor.catalog.find(found.model) if found.pairs else None
    return {
        "question": question,
        "sentences": [said(sentence) for sentence in found.sentences],
        "changes": [shown(change, result.kind) for change in found.changes] if result else [],
        "pairs": found.pairs,
        "sheet": evaluation.sheet(model) if model else None,
        "tile": confusions.TILE,
        "links": [link(to) for to in found.links],
        "unknown": not found.intent,
        "offers": offers(result, found.intent),
    }


def as_json(found: Answer, result: Result | None) -> dict:
    """The answer as `schemas.Answered` describes it."""
    sentences = [words(sentence) for sentence in found.sentences]
    return {
        "intent": found.intent or None,
        "language": language.language(),
        "text": " ".join(sentences),
        "sentences": [
            {
                "text": text,
                "values": [
                    {"name": name, "text": written(value), "value": _plain(value), "source": value.source}
                    for name, value in sentence.values.items()
                ],
            }
            for text, sentence in zip(sentences, found.sentences, strict=True)
        ],
        "changes": [_change_as_json(change, result.kind) for change in found.changes] if result else [],
        "confusions": [
            {"true": pair.true, "predicted": pair.predicted, "count": pair.count, "total": pair.total}
            for pair in found.pairs
        ],
        "links": [dict(zip(("text", "url"), link(to), strict=True)) for to in found.links],
        "questions": offers(result, found.intent),
    }


def _change_as_json(change: Change, kind: str) -> dict:
    new = None if isinstance(change.answer, Problem) else change.answer
    return {
        "change": change.name,
        "title": _title(change),
        "same": change.same,
        "label": new.label if new else None,
        "confidence": round(new.confidence, 6) if new else None,
        "familiar": new.familiar if new else None,
        "picture": data_url(change.picture, kind, SMALL),
    }


def _plain(value: Value) -> float | str | list[str]:
    """A value as JSON has it."""
    if isinstance(value.value, tuple):
        return list(value.value)
    return value.value if isinstance(value.value, int | float | str) else value.value.isoformat()
