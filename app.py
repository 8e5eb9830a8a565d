"""The front door: `create_app`, and `app` for gunicorn and `flask run`."""

import os
from dataclasses import dataclass, field

from flask import Flask

from inkling import cli
from inkling.batches import Batches
from inkling.catalog import read_catalog
from inkling.classifier import Classifier
from inkling.explain import Explainer
from inkling.latency import Stopwatch
from inkling.prune import Housekeeper
from inkling.settings import ROOT, BadSetting, Settings
from inkling.store import Store
from inkling.web import (
    api,
    bodies,
    compress,
    errors,
    guard,
    history,
    lab,
    many,
    models,
    ops,
    pages,
    play,
    proxies,
    rate,
    watch,
    why,
    words,
)
from inkling.web.gate import Gate


@dataclass(frozen=True)
class Inkling:
    """What every request may use: `current_app.extensions["inkling"]`."""

    settings: Settings
    classifier: Classifier
    store: Store
    batches: Batches
    housekeeper: Housekeeper
    gate: Gate
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    explainer: Explainer = field(default_factory=Explainer)


def create_app(settings: Settings | None = None) -> Flask:
    """The web app. Reads the cards; models and database are opened when first used.

    Args:
        settings: read from the environment by default.

    Raises:
        BadSetting: an INKLING_ variable has a value that cannot be used.
    """
    settings = settings or Settings.from_env()
    app = Flask("inkling", root_path=str(ROOT))
    # Base64, of which JSON and drawings are, is a third longer than its bytes.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_bytes * 4 // 3 + 65536
    app.config["MAX_FORM_PARTS"] = settings.max_batch + 100  # each file may hold a descriptor
    app.config["MAX_FORM_MEMORY_SIZE"] = min(max(settings.max_bytes * 4 // 3 + 4096, bodies.HEADS), bodies.FIELDS)
    app.json.sort_keys = False
    store = Store(settings)
    app.extensions["inkling"] = Inkling(
        settings, Classifier(read_catalog(settings.models), settings), store, Batches(store, settings),
        Housekeeper(store, settings), Gate(settings))
    watch.init_app(app)  # first, for it times the rest
    guard.init_app(app)
    bodies.init_app(app, settings)
    rate.init_app(app, settings)
    compress.init_app(app)
    errors.init_app(app)
    words.init_app(app)
    history.init_app(app)
    for room in (pages, why, play, many, history, models, lab, api, ops, words):
        app.register_blueprint(room.blueprint)
    proxies.init_app(app, settings.trusted_proxies)  # last, for it goes before the rest
    app.cli.add_command(cli.classify)
    app.cli.add_command(cli.models)
    app.cli.add_command(cli.corrections)
    app.cli.add_command(cli.prune)
    return app


try:
    app = create_app()
except BadSetting as error:
    raise SystemExit(f"Inkling did not start. {error}") from None

if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "5000")))
