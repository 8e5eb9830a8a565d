"""The labels that may be the right one for a result, by their names in the visitor's language."""

from functools import cache

from inkling.recognition.groups import Groups, groups_of
from inkling.storage import Result
from inkling.web import service
from inkling.web.edge import language

FEW = 12  # labels that a visitor takes in at a glance, in any order
LIKELIEST = 7  # of more labels, those listed before the alphabetical rest; the answer is among them


def all_of(result: Result) -> list[str]:
    """The labels that the result's model knows, the likeliest first.

    Of a model that is not installed any more, these are the labels that were stored with the result.
    """
    model = service().predictor.catalog.find(result.model)
    return list(dict.fromkeys([*dict(result.predictions), *(model.card.labels if model else ())]))


def searched(result: Result) -> list[tuple[str, str]]:
    """(name, other words to find it by) of each label: its English name, and the groups that it belongs to.

    The likeliest come first, then the others by the alphabet.
    """
    model = service().predictor.catalog.find(result.model)
    groups = groups_of(model) if model else Groups()
    index = {label: i for i, label in enumerate(model.card.labels)} if model else {}
    name = cache(language.label)
    labels = all_of(result)
    rows = []
    for label in labels[:LIKELIEST] + sorted(labels[LIKELIEST:], key=lambda label: _key(name(label))):
        english = [label, *(groups.of(index[label]) if label in index else ())]
        words = dict.fromkeys([*english, *map(name, english)])
        rows.append((name(label), ", ".join(word for word in words if word != name(label))))
    return rows


def find(result: Result, text: str) -> str | None:
    """The label that a visitor chose or typed, as it is or by its name; None if the result has no such label."""
    labels = [result.label, *all_of(result)]
    wanted = _key(text)
    return (
        text if text in labels else next((it for it in labels if wanted in (_key(it), _key(language.label(it)))), None)
    )


def _key(text: str) -> str:
    """A text as it is compared and sorted: without regard to case, and in Russian to the dots of "ё"."""
    return text.strip().casefold().replace("ё", "е")
