"""The application factory."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from flask.json.provider import DefaultJSONProvider

from inkling.config import Settings, resources
from inkling.notify.notifier import Notifier
from inkling.service import Service
from inkling.storage import Housekeeper, StoreError
from inkling.teach.teaching import Teaching
from inkling.web import cached, chats, edge
from inkling.web.edge import errors
from inkling.web.views import (
    about,
    api,
    ask,
    batches,
    classifiers,
    explanations,
    health,
    help,
    history,
    lab,
    models,
    offline,
    play,
    preferences,
    protocols,
    recognize,
    results,
    sign_in,
    sources,
    teach,
)

VIEWS = (
    *(recognize, results, help, explanations, teach, play, batches, history, models, lab, ask),
    *(api, protocols, classifiers, sources, health, preferences, sign_in, offline, about),
)


class App(Flask):
    """Flask without coroutines: no function of ours is one, and Flask would look at fifteen for each request."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func


class StrictJSON(DefaultJSONProvider):
    """JSON with keys in their order. NaN and infinity are a ValueError: they would make it invalid."""

    sort_keys = False

    def dumps(self, obj: Any, **options: Any) -> str:
        return super().dumps(obj, allow_nan=False, **options)


def create_app(
    settings: Settings | None = None, service: Service | None = None, teaching: Teaching | None = None
) -> Flask:
    """The web app. Its models and its database are opened when they are first used.

    Args:
        settings: read from the environment by default.
        service: made from the settings by default.
        teaching: likewise.

    Raises:
        BadSetting: an INKLING_ variable has a value that cannot be used.
    """
    settings = settings or Settings.from_env()
    app = App("inkling", root_path=str(resources()))
    app.json = StrictJSON(app)
    service = service or Service.from_settings(settings)
    app.extensions["inkling"] = service
    app.extensions["teaching"] = teaching or Teaching(settings, service)
    app.extensions["notifier"] = Notifier(settings, service)
    app.extensions["housekeeper"] = Housekeeper(service.storage, settings)
    edge.install(app, settings)
    cached.init_app(app)
    chats.init_app(app, settings)
    app.register_error_handler(StoreError, errors.unavailable)
    for view in VIEWS:
        app.register_blueprint(view.blueprint)
    return app
