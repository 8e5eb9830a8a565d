"""Selects the language of a page and translates its strings."""

import io
from functools import cache

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import get_decimal_symbol
from babel.support import Translations
from flask import Flask, Response, request
from flask_babel import Babel, Domain, get_locale, gettext, pgettext

from inkling.config import PACKAGE
from inkling.web.edge import clients

LANGUAGES = {"en": "English", "ru": "Русский"}  # the first is the default
CATALOGS = PACKAGE / "translations"
UNITS = ("bytes", "pixels", "pictures", "or more frames")  # of `Problem.received`
MEGABYTE = 2**20  # as limits on pages count
COOKIE = "inkling-language"
NAMES = {"automobile": "car"}  # English names of labels that pages call otherwise than their model does
ENDING_IN_S = {
    "Bouvier des Flandres",
    "Great Pyrenees",
    "hen of the woods",
    "pair of sunglasses",
    "triceratops",
}  # labels in the singular
UNCOUNTABLE = {  # labels and groups without an article
    "broccoli", "cabbage", "carbonara", "cauliflower", "chain mail", "chocolate sauce", "corn", "dough", "eggnog",
    "face powder", "food", "French bread", "guacamole", "hair spray", "hay", "ice cream", "meat loaf", "rapeseed",
    "red wine", "sunscreen", "toilet paper", "velvet", "wool",
}  # fmt: skip


class Catalog(Domain):
    """Flask-Babel's domain, but read from LANGUAGE.po itself: a compiled copy could be out of date."""

    def get_translations(self) -> Translations:
        return _read(get_locale().language)


class CatalogBabel(Babel):
    domain_instance = Catalog()


def init_app(app: Flask) -> None:
    CatalogBabel(app, locale_selector=selected)
    app.jinja_env.globals.update(languages=LANGUAGES, language=language, percent=percent)
    app.jinja_env.filters.update(decimal=decimal, label=label, named=named, received=received, translated=translated)
    app.after_request(add_headers)


def selected() -> str:
    """The visitor's choice of language, or else the browser's preference. Programs always get the default."""
    default, *_ = LANGUAGES
    if clients.is_program() and request.endpoint != "api.docs":
        return default
    chosen = request.cookies.get(COOKIE, "")
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES, default)


def language() -> str:
    """The code of the language of this request's page."""
    return get_locale().language


def label(name: str) -> str:
    """The name of a model's label on pages; the label itself where neither `NAMES` nor the catalog has another name."""
    return NAMES.get(name, name) if language() == "en" else pgettext("label", name)


def named(name: str) -> str:
    """A label within a sentence: "a camel", "an 8", "the Mona Lisa", "headphones", "hay". Russian has no articles."""
    if language() != "en":
        return label(name)
    name = label(name)
    if name.startswith("The "):
        return f"the {name[4:]}"
    plural = name[-1] == "s" and name[-2:] not in ("us", "ss", "is") and name not in ENDING_IN_S
    if plural or name in UNCOUNTABLE:
        return name
    an = name[0].lower() in "aeiou8" and not name.startswith(("uni", "one-")) or name.startswith("hour")
    return f"an {name}" if an else f"a {name}"


def translated(text: str) -> str:
    """A sentence from data, such as a card's summary, or as it is where the catalog does not have it."""
    return gettext(text) if text else ""  # gettext("") would return the catalog's header


def received(value: str) -> str:
    """`Problem.received` for a page: a number has a unit that people use, everything else stays as it is."""
    number, _, unit = value.partition(" ")
    if not number.isdecimal() or unit not in UNITS:
        return value
    if unit == "bytes" and int(number) >= MEGABYTE:
        return gettext("%(n)s MB", n=decimal(f"{int(number) / MEGABYTE:.1f}"))
    if unit == "pixels" and int(number) >= 1e6:
        return gettext("%(n)s megapixels", n=decimal(f"{int(number) / 1e6:.1f}"))
    return f"{number} {translated(unit)}"


def percent(probability: float) -> str:
    """A probability as people read it: never a round 0% or 100%, because the model is never that certain."""
    return "<1%" if probability < 0.01 else ">99%" if probability > 0.99 else f"{probability:.0%}"


def decimal(text: str) -> str:
    """A number that Python formatted, with the decimal sign of the visitor's language."""
    return text.replace(".", get_decimal_symbol(get_locale()))


def add_headers(response: Response) -> Response:
    """Tells caches that a page depends on the visitor's language and cookies."""
    if response.mimetype == "text/html":
        response.vary.update(("Accept-Language", "Cookie"))
        response.content_language.add(language())
    return response


@cache
def _read(code: str) -> Translations:
    path = CATALOGS / f"{code}.po"
    if not path.exists():  # English: the strings themselves
        return Translations()
    compiled = io.BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, code))
    compiled.seek(0)
    return Translations(compiled)
