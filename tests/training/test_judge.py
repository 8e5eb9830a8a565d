"""A general model's limit is fitted on held-out photos alone, and the answers are measured as they are served."""

import json

import numpy as np
import pytest

from inkling.recognition.catalog import read_catalog
from tests.unit.test_judges import write_models
from training import judge, strangers
from training.data import Dataset, Split


def photos(*colors):
    return np.stack([np.full((12, 12, 3), color, np.uint8) for color in colors])


RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def test_the_limit_leaves_out_its_share_of_held_out_photos(tmp_path, monkeypatch):
    write_models(tmp_path, 12)
    path = tmp_path / "special" / "card.json"
    card = json.loads(path.read_text())
    del card["familiar_by"]
    metrics = {"split": "toy test", "test_size": 3, "accuracy": 1, "classes": [], "confusion": []}
    metrics |= dict.fromkeys(("calibration_error_before", "calibration_error", "sure_share", "sure_accuracy"), 0)
    metrics["confusion"] = np.zeros((4, 4), int).tolist()
    path.write_text(json.dumps(card | {"metrics": metrics}))
    monkeypatch.setattr(strangers, "pictures", lambda task, count: {"blue": [judge.Image.new("RGB", (9, 9), BLUE)] * 3})
    held_out = Split(photos(*[RED] * 9, GREEN), np.zeros(10, int))
    dataset = Dataset(
        "toy", ("a", "b", "c", "d"), held_out, held_out, Split(photos(RED, RED, GREEN), np.zeros(3, int)), ""
    )
    written = judge.judged(read_catalog(tmp_path).models["special"], dataset, ("warm",), "judge", 0.2)
    assert written == read_catalog(tmp_path).models["special"].card
    assert written.familiar_by.limit == pytest.approx(1, abs=1e-3)  # one photo in ten is not red
    assert written.metrics.sure_share == pytest.approx(2 / 3, abs=1e-6)
    assert written.metrics.sure_accuracy == 1
    assert written.metrics.not_sure == {"blue": 1}
    assert written.metrics.strangers["blue"] == pytest.approx(5 / 6, abs=1e-3)  # the green photo is as strange
