"""The language of a page: which one, what its strings are in it, and the switch."""

import io
from functools import cache
from urllib.parse import urlsplit

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import get_decimal_symbol
from babel.support import Translations
from flask import Blueprint, Flask, Response, abort, current_app, redirect, request
from flask_babel import Babel, Domain, get_locale, gettext, pgettext

from inkling.config import PACKAGE
from inkling.web.edge import errors

blueprint = Blueprint("words", __name__)

LANGUAGES = {"en": "English", "ru": "Русский"}  # the first where nothing is asked for
CATALOGUES = PACKAGE / "translations"
UNITS = ("bytes", "pixels", "pictures", "or more frames")  # of what was received
COOKIE = "inkling-language"
YEAR = 365 * 24 * 3600


class Catalogue(Domain):
    """Flask-Babel's domain, read from LANGUAGE.po itself: there is no compiled copy that could differ."""

    def get_translations(self) -> Translations:
        return _read(get_locale().language)


class Words(Babel):
    domain_instance = Catalogue()


def init_app(app: Flask) -> None:
    Words(app, locale_selector=wanted)
    app.jinja_env.globals.update(languages=LANGUAGES, language=language)
    app.jinja_env.filters.update(decimal=decimal, label=label, named=named, received=received, translated=translated)
    app.after_request(add_headers)


@blueprint.post("/language")
def choose():
    """Keeps the visitor's choice of a language in a cookie, and leads back to the page they were on."""
    chosen = request.form.get("language", "")
    if chosen not in LANGUAGES:
        abort(400, gettext("Choose one of %(languages)s.", languages=", ".join(LANGUAGES.values())))
    response = redirect(back(), 303)
    response.set_cookie(COOKIE, chosen, max_age=YEAR, httponly=True, samesite="Lax", secure=request.is_secure)
    return response


def wanted() -> str:
    """The language chosen, else the browser's wish; programs are always answered in the first."""
    first, *_ = LANGUAGES
    if errors.for_programs() and request.endpoint != "api.docs":
        return first
    chosen = request.cookies.get(COOKIE)
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES, first)


def language() -> str:
    """The code of the language of the page that is being made."""
    return get_locale().language


def label(name: str) -> str:
    """A model's label in the visitor's language; one that is not in the catalogue stays as it is."""
    return pgettext("label", name)


def named(name: str) -> str:
    """A label within a sentence: "a camel", "an 8", "the Mona Lisa", "headphones"; Russian has no articles."""
    if language() != "en":
        return label(name)
    if name.startswith("The "):
        return f"the {name[4:]}"
    if name[-1] == "s" and name[-2:] not in ("us", "ss"):
        return name
    return f"an {name}" if name[0].lower() in "aeiou8" else f"a {name}"


def translated(text: str) -> str:
    """A sentence that came as data, such as a card's summary; one that is not in the catalogue stays as it is."""
    return gettext(text) if text else ""  # the catalogue's own head is filed under ""


def received(value: str) -> str:
    """What a `Problem` says was received: the unit of a number in the visitor's language, all else as it is."""
    number, _, unit = value.partition(" ")
    return f"{number} {translated(unit)}" if number.isdecimal() and unit in UNITS else value


def decimal(text: str) -> str:
    """A number as Python writes it, with the visitor's decimal sign."""
    return text.replace(".", get_decimal_symbol(get_locale()))


def add_headers(response: Response) -> Response:
    """Tells caches what a page depends on."""
    if response.mimetype == "text/html":
        response.vary.update(("Accept-Language", "Cookie"))
        response.content_language.add(language())
    return response


def back() -> str:
    """The page that the post came from, without its host, or the first page where that is not one of ours, or was the
    answer to a post."""
    host, _, page = (request.referrer or "").partition("://")[2].partition("/")
    # Two slashes at the start would lead to another host.
    back = "/" + page.lstrip("/\\") if host == request.host else "/"
    try:
        methods = current_app.create_url_adapter(request).allowed_methods(urlsplit(back).path)
    except ValueError:  # brackets that are no address
        return "/"
    return back if "GET" in methods or not methods else "/"


@cache
def _read(code: str) -> Translations:
    path = CATALOGUES / f"{code}.po"
    if not path.exists():  # the language that the strings are written in
        return Translations()
    compiled = io.BytesIO()
    with path.open("rb") as file:
        write_mo(compiled, read_po(file, code))
    compiled.seek(0)
    return Translations(compiled)
