"""Pictures of plain colors to teach, and trainings that run in this process."""

from unittest import mock

import numpy as np
from PIL import Image

from inkling.service import Decoded
from inkling.storage import taught
from inkling.storage.records import now
from inkling.teach.training import run_due

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
