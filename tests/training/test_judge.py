"""A general model's limit is fitted on held-out photos alone, and the answers are measured as they are served."""

import json
from collections import namedtuple

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
    monkeypatch.setenv("INKLING_DATA", str(tmp_path / "data"))
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
    assert written.metrics.wrongly_sure == {"blue": 0}
    assert written.metrics.strangers_count == {"blue": 3}
    assert written.familiar_by.detail == 0  # of plain colors
    assert written.elsewhere is None  # nobody looks at parts
    assert written.metrics.strangers["blue"] == pytest.approx(5 / 6, abs=1e-3)  # the green photo is as strange


def test_the_limit_of_parts_leaves_out_its_share_of_sure_photos(monkeypatch):
    """Photos that are not sure for another reason do not count, and neither does the limit that is in the card."""
    answer = namedtuple("Answer", "elsewhere confidence familiar threshold")
    found = [answer(i / 100, 0.95, True, 0.9) for i in range(101)]
    found += [answer(1.0, 0.8, True, 0.9), answer(1.0, 0.95, False, 0.9)] * 50
    monkeypatch.setattr(judge, "serving", lambda model, found: None)
    monkeypatch.setattr(judge, "answers", lambda predictor, pictures, model: found)
    dataset = Dataset("toy", ("a",), *[Split(photos(RED), np.zeros(1, int))] * 3, "")
    assert judge.elsewhere(None, None, dataset) == pytest.approx(1 - judge.DIVIDED)


def test_answers_of_networks_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("INKLING_DATA", str(tmp_path / "data"))
    write_models(tmp_path, 12)
    found, asked = read_catalog(tmp_path), []
    usual = judge.LocalPredictor._run
    monkeypatch.setattr(judge.LocalPredictor, "_run", lambda *args: asked.append(args[2].card.name) or usual(*args))
    pictures = [judge.Image.new("RGB", (9, 9), color) for color in (RED, BLUE)]
    first, second = (
        judge.answers(judge.Remembering(found, judge.Settings.from_env()), pictures, found.models["special"])
        for _ in range(2)
    )
    assert sorted(asked) == ["judge", "special"]  # once
    assert [one.familiarity for one in first] == [one.familiarity for one in second]
    assert all((one.probabilities == other.probabilities).all() for one, other in zip(first, second, strict=True))
