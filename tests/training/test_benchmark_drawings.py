"""The benchmarks of drawings and of Auto's routes measure each of their conditions and kinds, here on two pictures."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import ink, route
from inkling.recognition.runtimes import openvino
from training.data import Split
from training.tracing import paint


@pytest.fixture(scope="module")
def drawings():
    """A triangle and a slanted line as bitmaps of 28 x 28, ink 255 on 0."""
    triangle = np.array([(60, 340), (200, 60), (340, 340), (60, 340)], float)
    line = np.array([(80, 320), (320, 80)], float)
    pictures = [paint([shape], ink.PLAIN).convert("L").resize((28, 28)) for shape in (triangle, line)]
    return Split(np.stack([255 - np.asarray(picture) for picture in pictures]), np.array([0, 1]))


@pytest.mark.parametrize("name", ["digits-cnn", "doodles-cnn"])
def test_each_condition_of_a_drawing_is_measured(classifier, drawings, name):
    model = classifier.catalog.model(name)
    network = openvino.open_model(model, threads=1)
    for condition, make in ink.conditions(model.card.task).items():
        x, y = make(drawings, model.card.input.layout)
        assert x.shape == (len(y), 28, 28, 1), condition
        row = ink.measure(network, model.card, (x, y))
        assert row.count == (1 if condition in ink.FILLS else 2), condition  # only the triangle encloses an area
        assert 0 <= row.accuracy <= 1, condition


def test_the_conditions_change_the_drawings(drawings):
    made = {name: make(drawings, "quickdraw")[0] for name, make in ink.conditions("doodles").items()}
    for name in ("plain hand", "pen 40", "size 30%", "half the line"):
        assert not np.array_equal(made[name], made["data set's bitmap"]), name


@pytest.fixture
def two_of_each(monkeypatch, drawings):
    """Two pictures of each kind in the mixture of routes, and one of the ten photos."""
    noise = np.random.default_rng(0).integers(0, 256, (2, 160, 160, 3), np.uint8)
    sets = {"cats-dogs": noise, "cifar10": noise[:, :32, :32], "imagenet-val": noise, "mnist": drawings.x}
    made = {name: type("Set", (), {"test": Split(x, np.array([0, 1]))}) for name, x in sets.items()}
    monkeypatch.setattr(route.data, "load", lambda name, limit: made.get(name, made["mnist"]))
    monkeypatch.setattr(route, "TIMED", 1)
    flowers = route.Kind("flowers", 2, lambda count: map(Image.fromarray, noise[:count]), route.PHOTO)
    kinds = [flowers if kind.name == "flowers" else kind._replace(count=2) for kind in route.MIXTURE]
    monkeypatch.setattr(route, "MIXTURE", kinds)
    return kinds


def test_the_route_of_each_kind_of_picture_is_measured(classifier, two_of_each, capsys):
    route.report(classifier, 1.0)
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [row[0].removeprefix("| ") for row in rows] == [*(kind.name for kind in two_of_each), "all"]
    assert [row[1] for row in rows] == ["2"] * len(two_of_each) + [str(2 * len(two_of_each))]
    by_name = {row[0]: row for row in rows}
    assert by_name["| cats and dogs"][2] == "100.0%"  # noise is no drawing
    each = [float(by_name[f"| {kind} on a canvas"][2].removesuffix("%")) for kind in ("doodles", "digits")]
    assert sum(each) >= 100  # both kinds have the same drawings here, and each is a digit, a doodle, or both
    for row in rows[:-1]:
        assert float(row[4].removesuffix(" |")) > 0


def test_the_answers_to_single_photos_are_shown(classifier, capsys, monkeypatch):
    monkeypatch.setattr(route, "TRIES", 1)
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (160, 160, 3), np.uint8))
    route.show(classifier, [("coffee.png", photo)])
    row = capsys.readouterr().out.splitlines()[2].split(" | ")
    assert row[:2] == ["| `coffee.png`", "a cup of coffee"]
    assert "`things`" in row[4]
    assert float(row[5].removesuffix(" |")) > 0
