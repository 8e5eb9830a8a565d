"""Pages that change only with the models: rendered once for each worker and variant, and sent with an ETag.

A variant is what such a page depends on besides the models: its address with the host, the language and the theme. Only
what every visitor gets is kept: a browser with a sign-in cookie, and whoever owns models that others do not see, get a
page of their own.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, NamedTuple

from flask import Flask, Response, current_app, request
from flask.typing import ResponseReturnValue

from inkling.web import cookies
from inkling.web.edge import access, language, ratelimit

MOST = 64  # pages; the largest has 110 kB
LONGEST = 20  # characters of a parameter; a longer one means nothing to these pages


class Page(NamedTuple):
    """A rendered page."""

    html: str
    etag: str


class Models(NamedTuple):
    """What the pages show of the models. A change of the models makes another catalog, and each is measured once."""

    catalog: object
    measured: int


class Pages:
    """The last pages that were asked for, as long as the models are the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._models: Models | None = None
        self._pages: OrderedDict[Hashable, Page] = OrderedDict()

    def find(self, models: Models, variant: Hashable) -> Page | None:
        """A page that was rendered with these models."""
        with self._lock:
            if models != self._models:
                self._models = models
                self._pages.clear()
            page = self._pages.get(variant)
            if page:
                self._pages.move_to_end(variant)
            return page

    def keep(self, models: Models, variant: Hashable, page: Page) -> None:
        """Keeps a page, unless the models are others by now."""
        with self._lock:
            if models == self._models:
                self._pages[variant] = page
                while len(self._pages) > MOST:
                    self._pages.popitem(last=False)


def init_app(app: Flask) -> None:
    app.extensions["pages"] = Pages()


def cached(*parameters: str) -> Callable[[Callable], Callable]:
    """A view whose page depends on nothing but the models, its path and these parameters of its query.

    What is no page, such as a redirect, is not kept. To render a page costs the client a point.
    """

    def decorate(view: Callable) -> Callable:
        @wraps(view)
        def page(**path: str) -> ResponseReturnValue:
            if not _is_everybodys():
                ratelimit.admit()
                return view(**path)
            pages: Pages = current_app.extensions["pages"]
            models, variant = _models(), _variant(parameters)
            found = pages.find(models, variant)
            if found is None:
                ratelimit.admit()
                rendered: Any = view(**path)
                if not isinstance(rendered, str):
                    return rendered
                found = Page(rendered, hashlib.sha256(rendered.encode()).hexdigest()[:32])
                pages.keep(models, variant, found)
            response = Response(found.html, mimetype="text/html")
            response.set_etag(found.etag)
            response.headers["Cache-Control"] = "no-cache"
            return response.make_conditional(request)

        return page

    return decorate


def _is_everybodys() -> bool:
    """Whether this request gets what every visitor gets."""
    if access.COOKIE in request.cookies:
        return False
    everything = current_app.extensions["inkling"].predictor.catalog
    return not everything.has_unlisted or not access.principal().owner


def _models() -> Models:
    predictor = current_app.extensions["inkling"].predictor
    return Models(predictor.catalog, len(predictor.milliseconds))


def _variant(parameters: tuple[str, ...]) -> Hashable:
    given = (request.args.get(name, "") for name in parameters)
    shown = tuple(value if len(value) <= LONGEST else "" for value in given)
    return request.base_url, language.language(), cookies.theme(), shown
