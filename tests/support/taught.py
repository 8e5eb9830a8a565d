"""Pictures of plain colors to teach, and trainings that run in this process."""

from unittest import mock

import numpy as np
from PIL import Image

from inkling.service import Decoded, Service
from inkling.storage import taught
from inkling.storage.records import now
from inkling.teach.teaching import Teaching
from inkling.teach.training import run_due
from inkling.web.app import create_app
from tests.support.backbones import write_backbone

RED, BLUE = (250, 20, 20), (20, 20, 250)


def colored(color, label, count, seed=0):
    """Returns pictures of about one color with a label, no two of them the same."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(-20, 6, (count, 8, 8, 3))
    return [(Decoded(Image.fromarray(np.uint8(np.clip(color + one, 0, 255)))), label) for one in noise]


def train(teaching):
    """Runs the training that is due first, without waiting for the second after a change."""
    upcoming = teaching.storage.upcoming()
    with mock.patch.object(taught, "now", return_value=upcoming.due if upcoming else now()):
        while run_due(teaching):
            pass


def app_with_colors(settings, models):
    """Returns an app with a tiny backbone, and the published classifier "colors" of the owner at the machine itself."""
    write_backbone(models, name="things")
    settings = settings.replace(models=models)
    service = Service.from_settings(settings)
    teaching = Teaching(settings, service, wake=lambda: None)
    made = teaching.create("Colors", "photo", "local")
    teaching.add(made.id, colored(RED, "red", 12) + colored(BLUE, "blue", 12, 1))
    train(teaching)
    teaching.publish(made.id, 1)
    service.predictor.reload()
    return create_app(settings, service, teaching)
