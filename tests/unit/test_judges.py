"""A model's familiarity as another model tells it: by the probability of some of that model's groups."""

import gc
import json
import weakref
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, save
from PIL import Image

from inkling.config import Settings
from inkling.recognition.card import sha256
from inkling.recognition.catalog import read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import classify, classify_one
from inkling.recognition.router import Router
from inkling.recognition.subject import Subject

GROUPS = {"groups": [{"name": "warm", "labels": [0]}, {"name": "cold", "labels": [1, 2]}]}
RED, BLUE = (Image.new("RGB", (30, 20), color) for color in ((255, 0, 0), (0, 0, 255)))
OWN = -0.5  # the specialist's own limit: its familiarity is minus the mean of the picture, here -1/3


def write(folder, nodes, outputs, side, **card):
    """Writes a model folder: the mean color of a picture, and what `nodes` make of it."""
    folder.mkdir()
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=[1, 2], keepdims=0),
            *(helper.make_node(kind, *names, **attributes) for kind, names, attributes in nodes),
        ],
        "toy",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", side, side, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in outputs],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "model.onnx")
    spec = {"kind": "photo", "width": side, "height": side, "channels": 3, "scaling": "unit"}
    listed = {path.name: sha256(path) for path in folder.iterdir()} | card.pop("files", {})
    values = {"name": folder.name, "task": folder.name, "title": folder.name, "input": spec, "files": listed}
    (folder / "card.json").write_text(json.dumps(values | card))


def write_models(root, side):
    """Writes a judge, whose answer is the mean color, and a specialist that is always sure."""
    judge = root / "judge"
    write(
        judge,
        [("Softmax", (["mean"], ["probabilities"]), {"axis": 1})],
        [("probabilities", 3)],
        8,
        labels=("red", "green", "blue"),
        temperature=0.1,
    )
    (judge / "groups.json").write_text(json.dumps(GROUPS))
    card = json.loads((judge / "card.json").read_text())
    card["files"]["groups.json"] = sha256(judge / "groups.json")
    (judge / "card.json").write_text(json.dumps(card))
    write(
        root / "special",
        [
            ("ReduceMean", (["mean"], ["brightness"]), {"axes": [1], "keepdims": 1}),
            ("Neg", (["brightness"], ["familiarity"]), {}),
            ("Concat", (["mean", "brightness"], ["all"]), {"axis": 1}),
            ("Softmax", (["all"], ["probabilities"]), {"axis": 1}),
        ],
        [("probabilities", 4), ("familiarity", 1)],
        side,
        labels=("a", "b", "c", "d"),
        threshold=0.0,
        familiar=OWN,
        familiar_by={"model": "judge", "groups": ["warm"], "limit": 0.5},
    )


@pytest.fixture(params=[8, 12], ids=["same size", "another size"])
def root(tmp_path, request):
    """The folder of both models."""
    write_models(tmp_path, request.param)
    return tmp_path


def predictor_of(root):
    return LocalPredictor(read_catalog(root), Settings.from_env({"INKLING_THREADS": "1"}))


def routed(predictor, image, model):
    subject, router = Subject(image), Router(predictor)
    router.prepare(subject, model)
    return router.answer([subject], model)[0]


DOORS = {
    "classify": lambda predictor, image, model: classify(predictor, [image], model)[0],
    "classify_one": classify_one,
    "router": routed,
}
every_door = pytest.mark.parametrize("ask", DOORS.values(), ids=DOORS)


@every_door
def test_a_picture_is_familiar_if_the_judge_sees_one_of_the_groups(root, ask):
    predictor = predictor_of(root)
    for image, familiar in ((RED, True), (BLUE, False)):
        answer = ask(predictor, image, predictor.catalog.models["special"])
        assert (answer.familiar, answer.sure, answer.familiar_limit) == (familiar, familiar, 0.5)
        assert answer.familiarity == pytest.approx(float(familiar), abs=1e-3)  # the judge's own temperature counts


def test_the_probabilities_of_all_groups_count(root):
    card = json.loads((root / "special" / "card.json").read_text())
    card["familiar_by"]["groups"] = ["warm", "cold"]
    (root / "special" / "card.json").write_text(json.dumps(card))
    predictor = predictor_of(root)
    answer = classify_one(predictor, BLUE, predictor.catalog.models["special"])
    assert answer.familiarity == pytest.approx(1)


@every_door
def test_a_blurred_picture_is_unfamiliar_whatever_the_judge_sees(root, ask):
    card = json.loads((root / "special" / "card.json").read_text())
    card["familiar_by"]["detail"] = 0.01
    (root / "special" / "card.json").write_text(json.dumps(card))
    predictor = predictor_of(root)
    stripes = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    stripes[::2] = (200, 0, 0)
    for image, familiarity in ((RED, 0), (Image.fromarray(stripes), 1)):
        answer = ask(predictor, image, predictor.catalog.models["special"])
        assert answer.familiarity == pytest.approx(familiarity, abs=1e-3)


@every_door
@pytest.mark.parametrize("missing", ["folder", "network", "groups"])
def test_without_the_judge_the_models_own_familiarity_decides(root, ask, missing):
    if missing == "folder":
        (root / "judge").rename(root / ".judge")
    elif missing == "network":
        (root / "judge" / "model.onnx").unlink()
    else:
        (root / "judge" / "groups.json").write_text("{}")
    predictor = predictor_of(root)
    for _ in range(2):  # the second time the judge is known to be switched off
        answer = ask(predictor, BLUE, predictor.catalog.models["special"])
        assert (answer.familiar, answer.familiar_limit) == (True, OWN)
        assert answer.familiarity == pytest.approx(-1 / 3, abs=1e-3)


@every_door
def test_a_group_that_the_judge_does_not_have_leaves_the_models_own_familiarity(root, ask):
    card = json.loads((root / "special" / "card.json").read_text())
    card["familiar_by"]["groups"] = ["unicorn"]
    (root / "special" / "card.json").write_text(json.dumps(card))
    predictor = predictor_of(root)
    assert ask(predictor, BLUE, predictor.catalog.models["special"]).familiar_limit == OWN
    assert "judge" not in predictor.catalog.broken


def test_groups_do_not_keep_a_replaced_judge_in_memory(root):
    predictor = predictor_of(root)
    model = predictor.catalog.models["special"]
    classify_one(predictor, RED, model)
    runtime = weakref.ref(predictor._runtimes[predictor.catalog.models["judge"]])
    predictor._catalog = predictor.catalog.without("judge", "gone")
    predictor._catalog = replace(predictor._catalog, models={"special": model})
    gc.collect()
    assert runtime() is None


def test_the_judge_is_asked_once_about_a_picture(root, monkeypatch):
    """In Auto it has answered already when a specialist is asked."""
    predictor = predictor_of(root)
    judge, special = (predictor.catalog.models[name] for name in ("judge", "special"))
    asked, run = [], predictor._run
    monkeypatch.setattr(
        predictor, "_run", lambda pictures, model, runtime: asked.append(model) or run(pictures, model, runtime)
    )
    subject = Subject(RED)
    first = predictor.answer([subject.prepared(judge.card)], judge)[0]
    second = predictor.answer([subject.prepared(special.card, judge.card)], special)[0]
    assert asked == [judge, special]
    assert second.familiarity == pytest.approx(float(first.probabilities[0]))


def test_a_picture_that_was_not_prepared_for_the_judge_is_answered_without_it(root):
    """Explanations hide parts of a picture, of which only the model's own input is there."""
    predictor = predictor_of(root)
    special = predictor.catalog.models["special"]
    prepared = Subject(BLUE).prepared(special.card, predictor.catalog.judge(special.card))
    (answer,) = predictor.answer([replace(prepared, judged=None)], special)
    assert answer.familiar_limit == OWN
    assert np.isfinite(answer.familiarity)
