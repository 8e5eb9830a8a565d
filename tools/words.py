"""Updates the translation catalogs from templates, code and data, and lists missing translations: `make words`.

A catalog is `inkling/translations/LANGUAGE.po`. The server reads it directly when it starts, so nothing is compiled.
"""

import io
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_file
from babel.messages.pofile import read_po, write_po

from inkling import problems
from inkling.config import ROOT
from inkling.lab import operations
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import TASKS, TAUGHT, read_catalog
from inkling.recognition.groups import groups_of
from inkling.web.edge import errors
from inkling.web.edge.language import CATALOGS, UNITS

SOURCES = (
    ("jinja2.ext:babel_extract", "templates", "*.html"),
    ("python", "inkling/web", "*.py"),
    ("python", "inkling/ask", "*.py"),
)
FOR_PROGRAMS = (
    "api.py",
    "openapi.py",
    "answers.py",
    "jsonbodies.py",
    "classifiers.py",
    "explained.py",
    "protocols.py",
)  # their texts are for programs and stay English
KEYWORDS = DEFAULT_KEYWORDS | {
    "abort": (2,),  # an error page translates the description passed to `abort`
    "say": None,  # sentences of `inkling.ask`
    "say_many": (1, 2),
}
WIDTH = 120


def main() -> int:
    """Updates the catalogs; returns 1 if a translation is missing, else 0."""
    template, missing = extracted(), 0
    for path in sorted(CATALOGS.glob("*.po")):
        catalog = read(path)
        template.creation_date = catalog.creation_date  # otherwise each run would change the file
        catalog.update(template, no_fuzzy_matching=True)
        file = io.BytesIO()
        write_po(file, catalog, width=WIDTH, ignore_obsolete=True, include_lineno=False)
        path.write_bytes(file.getvalue())
        for message in untranslated(catalog):
            print(f"{path.name}: {message.context or ''} {message.id!r}")
            missing += 1
    print(f"{len(template)} strings, {missing} without translation")
    return missing > 0


def extracted() -> Catalog:
    """All translatable strings of templates, code and data."""
    template = Catalog()
    for method, folder, pattern in SOURCES:
        for path in sorted((ROOT / folder).rglob(pattern)):
            if path.name in FOR_PROGRAMS:
                continue
            found = extract_from_file(method, path, KEYWORDS, options={"silent": "false"})
            for _, id, comments, context in found:
                template.add(id, None, [(_named(path), 0)], auto_comments=comments, context=context)
    for where, text, context in _data():
        if text:
            template.add(text, None, [(where, 0)], context=context)
    return template


def read(path: Path) -> Catalog:
    """The catalog of one language."""
    with path.open("rb") as file:
        return read_po(file, path.stem)


def untranslated(catalog: Catalog) -> list[Message]:
    """Messages with a missing form or a guessed (fuzzy) translation."""
    return [message for message in catalog if message.id and (message.fuzzy or not all(forms(message.string)))]


def forms(text: str | tuple[str, ...]) -> tuple[str, ...]:
    """The plural forms of a translation, or its single form."""
    return text if isinstance(text, tuple) else (text,)


def _data() -> Iterator[tuple[str, str, str | None]]:
    """(source, text, context) of strings in data: tasks, reasons, HTTP errors, and the cards of the shipped models."""
    for title in (*TASKS.values(), TAUGHT):
        yield "inkling/recognition/catalog.py", title, None
    for wording in ("sure", "probably", "not sure"):
        yield "inkling/recognition/predictor.py", wording, None
    for unit in UNITS:
        yield "inkling/web/edge/language.py", unit, None
    for reason in problems.REASONS.values():
        yield "inkling/problems.py", reason.title, None
        yield "inkling/problems.py", reason.advice, None
    for text in of_lab():
        yield "inkling/lab/operations.py", text, None
    for page in errors.WORDS.values():
        for text in page:
            yield "inkling/web/edge/errors.py", text, None
    for model in read_catalog(ROOT / "models").models.values():
        card = model.card
        for text in texts(card):
            yield f"models/{card.name}/card.json", text, None
        for label in card.labels:
            if label.isdecimal():  # digits are the same in all languages
                continue
            yield f"models/{card.name}/card.json", label, "label"
        for name in groups_of(model).names:
            yield f"models/{card.name}/groups.json", name, "label"


def of_lab() -> Iterator[str]:
    """The titles, help texts and error messages of the lab's steps."""
    yield from operations.PROBLEMS.values()
    for operation in operations.OPERATIONS.values():
        yield from (operation.title, operation.help)
        for parameter in operation.parameters:
            yield from (parameter.title, parameter.help)
            yield from parameter.options.values() if isinstance(parameter, operations.Choice) else (parameter.unit,)


def texts(card: ModelCard) -> list[str]:
    """The texts of a card, without its labels."""
    metrics = card.metrics
    return [
        card.title,
        card.summary,
        card.strengths,
        card.limitations,
        card.attribution,
        *((metrics.split, *metrics.groups, *metrics.strangers) if metrics else ()),
    ]


def _named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


if __name__ == "__main__":
    sys.exit(main())
