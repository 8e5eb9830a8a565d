"""A head is asked about parts of a picture and about its mirror image; other labels in parts make it not sure."""

from dataclasses import replace

import numpy as np
import pytest

from inkling.config import Settings
from inkling.recognition import local
from inkling.recognition.card import FamiliarBy, InputSpec, ModelCard
from inkling.recognition.catalog import Catalog, Model
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Prepared
from inkling.recognition.runtimes.base import Answer, HeadRuntime
from tests.unit.test_router import LABELS, Scripted, ask, photo

SIDE = 8
CAT, DOG = 1.0, 0.0  # the red of a pixel


class Backbone:
    """Its features are the mean red of the picture; its parts are the left and the right half."""

    def __init__(self):
        self.black = self.answer(np.zeros((1, SIDE, SIDE, 3), np.float32))

    def answer(self, batch):
        red = batch[..., :1]
        halves = np.stack([red[:, :, : SIDE // 2].mean((1, 2)), red[:, :, SIDE // 2 :].mean((1, 2))], axis=1)
        probabilities = np.full((len(batch), 1), 1, np.float32)
        return Answer(probabilities, features=red.mean((1, 2)), parts=halves[:, None])


def cat_by_red(features):
    """The more red, the more a cat."""
    return [np.hstack([features, 1 - features])]


def card(**changes):
    spec = InputSpec(kind="photo", width=SIDE, height=SIDE, channels=3, scaling="unit", layout="squeeze")
    values = {"name": "pets", "task": "pets", "title": "Pets", "labels": ("cat", "dog"), "input": spec, "files": {}}
    return ModelCard(**values | {"threshold": 0.6} | changes)


def picture(left, right):
    halves = np.zeros((SIDE, SIDE, 3), np.uint8)
    halves[:, : SIDE // 2, 0], halves[:, SIDE // 2 :, 0] = round(left * 255), round(right * 255)
    return halves


PICTURES = {  # left half, right half -> the highest probability of the other label in a part
    "cats": (0.9, 0.8, 0.2),
    "dogs": (0.1, 0.3, 0.3),
    "a cat beside a dog": (CAT, 0.25, 0.75),
    "a dog beside a cat": (0.05, 0.7, 0.7),
}


@pytest.mark.parametrize("elsewhere", [None, 0.65])
@pytest.mark.parametrize(("left", "right", "expected"), PICTURES.values(), ids=PICTURES)
def test_two_labels_in_one_picture_are_never_sure(left, right, expected, elsewhere, tmp_path, monkeypatch):
    model = Model(card(elsewhere=elsewhere), tmp_path)
    head = HeadRuntime(cat_by_red, Backbone(), model.card)
    monkeypatch.setattr(local.openvino, "open_model", lambda *args, **kwargs: head)
    predictor = LocalPredictor(Catalog({"pets": model}), Settings.from_env({}))
    monkeypatch.setattr(predictor, "_run", lambda pictures, model, runtime: head.answer_all([batch(pictures)]))
    (answer,) = predictor.answer([Prepared(picture(left, right))], model)
    assert answer.elsewhere == (elsewhere and pytest.approx(expected, abs=0.01))  # not looked for without a limit
    assert answer.divided is (elsewhere is not None and expected >= 0.65)
    assert answer.sure is not answer.divided


def batch(pictures):
    return np.stack([one.seen for one in pictures]).astype(np.float32) / 255


class Always:
    """A network of its own that calls every picture a cat."""

    def answer_all(self, batches):
        count = sum(len(one) for one in batches)
        return Answer(np.tile(np.array([[0.99, 0.01]], np.float32), (count, 1)))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 0.75),
        ({"switched off": "looker"}, None),
        ({"switched off": "judge"}, None),
        ({"labels": ("dog", "cat")}, None),  # of which its own do not say which is which
        ({"not prepared": True}, None),
    ],
    ids=str,
)
def test_a_head_on_the_judge_looks_at_the_parts_for_another_model(change, expected, tmp_path, monkeypatch):
    judged = FamiliarBy(model="judge", groups=("pet",), limit=0.5)
    cards = {
        "pets": card(elsewhere=0.65, elsewhere_by="looker", familiar_by=judged),
        "looker": card(name="looker", elsewhere=0.5, labels=change.get("labels", ("cat", "dog"))),
        "judge": card(name="judge"),
    }
    models = {name: Model(one, tmp_path) for name, one in cards.items()}
    runtimes = {"pets": Always(), "judge": Always(), "looker": HeadRuntime(cat_by_red, Backbone(), cards["looker"])}
    broken = {change["switched off"]: "gone"} if "switched off" in change else {}
    predictor = LocalPredictor(Catalog(models, broken), Settings.from_env({}))
    monkeypatch.setattr(predictor, "_open", lambda model: runtimes[model.card.name])
    monkeypatch.setattr(predictor, "_run", lambda pictures, model, runtime: runtime.answer_all([batch(pictures)]))
    seen = Prepared(picture(CAT, 0.25))
    (answer,) = predictor.answer([replace(seen, judged=None if "not prepared" in change else seen)], models["pets"])
    assert answer.elsewhere == (expected and pytest.approx(expected, abs=0.01))
    assert answer.sure is (expected is None)


def test_a_backbone_without_parts_divides_nothing():
    seen = Answer(np.ones((1, 1), np.float32), features=np.array([[0.5]], np.float32))
    assert HeadRuntime(cat_by_red, Backbone(), card()).continued(seen, lambda _: seen).anywhere is None


class Left(Backbone):
    """Its features are the mean red of the left half."""

    def answer(self, batch):
        return super().answer(batch)._replace(features=batch[:, :, : SIDE // 2, 0].mean((1, 2))[:, None])

    def answer_all(self, batches):
        (batch,) = batches
        return self.answer(batch)


@pytest.mark.parametrize(("below", "expected"), [(None, [0.6, 0.9]), (0.7, [0.8, 0.9]), (1.0, [0.8, 0.5])])
def test_a_head_is_also_asked_about_the_mirror_image_of_an_uncertain_picture(below, expected, tmp_path):
    model, backbone = Model(card(mirror_below=below), tmp_path), Model(card(), tmp_path)
    head = HeadRuntime(cat_by_red, Left(), model.card)
    pictures = [Prepared(picture(0.6, 1.0)), Prepared(picture(0.9, 0.1))]
    assert head.answer(batch(pictures)).probabilities[:, 0] == pytest.approx(expected, abs=0.01)

    predictor = LocalPredictor(Catalog({"pets": model}), Settings.from_env({}))
    predictor._runtimes[model], predictor._backbones[model] = head, backbone
    answers = predictor.answer(pictures, model)
    assert [one.probabilities[0] for one in answers] == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("familiar", [True, False])
def test_auto_is_not_sure_where_a_familiar_specialist_sees_two_labels(tmp_path, familiar, monkeypatch):
    scripted = Scripted(tmp_path)
    scripted.says = {"things": ([0.99, 0.01, 0, 0, 0], None), "cats-dogs": ([0.01, 0.99], 1.0 if familiar else -1.0)}
    usual = scripted.answer

    def divided(pictures, model, fast=False):
        return [
            replace(answer, elsewhere=0.9, elsewhere_limit=0.8) if answer.task == "cats-dogs" else answer
            for answer in usual(pictures, model, fast)
        ]

    monkeypatch.setattr(scripted, "answer", divided)
    answer = ask(scripted, photo())
    assert (answer.label, answer.sure) == (LABELS["things"][0], not familiar)
