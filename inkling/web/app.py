"""The application factory."""

from dataclasses import dataclass, field

from flask import Flask

from inkling.batches import Batches
from inkling.config import Settings, resources
from inkling.recognition.explain import Explainer
from inkling.recognition.predictor import Predictor
from inkling.service import Service
from inkling.storage.retention import Housekeeper
from inkling.storage.store import Store
from inkling.web.edge import accesslog, bodies, compression, errors, headers, language, proxies, ratelimit
from inkling.web.edge.admission import Gate
from inkling.web.views import api, batches, explanations, health, help, history, lab, models, play, recognize, results


@dataclass(frozen=True)
class Inkling:
    """What every request may use: `current_app.extensions["inkling"]`."""

    settings: Settings
    service: Service
    housekeeper: Housekeeper
    gate: Gate
    explainer: Explainer = field(default_factory=Explainer)

    @property
    def classifier(self) -> Predictor:
        return self.service.predictor

    @property
    def store(self) -> Store:
        return self.service.storage

    @property
    def batches(self) -> Batches:
        return self.service.batches


def create_app(settings: Settings | None = None, service: Service | None = None) -> Flask:
    """The web app. It reads the cards now, and opens models and database when they are first used.

    Args:
        settings: read from the environment by default.
        service: made from the settings by default.

    Raises:
        BadSetting: an INKLING_ variable has a value that cannot be used.
    """
    settings = settings or Settings.from_env()
    app = Flask("inkling", root_path=str(resources()))
    # Base64, of which JSON and drawings are, is a third longer than its bytes.
    app.config["MAX_CONTENT_LENGTH"] = settings.max_bytes * 4 // 3 + 65536
    app.config["MAX_FORM_PARTS"] = settings.max_batch + 100  # each file may hold a descriptor
    app.config["MAX_FORM_MEMORY_SIZE"] = min(max(settings.max_bytes * 4 // 3 + 4096, bodies.HEADS), bodies.FIELDS)
    app.json.sort_keys = False
    service = service or Service.from_settings(settings)
    app.extensions["inkling"] = Inkling(
        settings,
        service,
        Housekeeper(service.storage, settings),
        Gate(settings),
    )
    accesslog.init_app(app)  # first, for it times the rest
    headers.init_app(app)
    bodies.init_app(app, settings)
    ratelimit.init_app(app, settings)
    compression.init_app(app)
    errors.init_app(app)
    language.init_app(app)
    history.init_app(app)
    for room in (recognize, results, help, explanations, play, batches, history, models, lab, api, health, language):
        app.register_blueprint(room.blueprint)
    proxies.init_app(app, settings.trusted_proxies)  # last, for it goes before the rest
    return app
