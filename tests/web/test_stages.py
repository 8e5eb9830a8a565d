"""The steps shown on the page are the steps taken: the last one is the model's input."""

import io
import weakref

import numpy as np
import pytest
from PIL import Image

from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition import inputs, stages
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import classify_one, prepare
from inkling.recognition.runtimes import openvino

LAYERED = {"digits-cnn", "doodles-cnn", "objects-cnn", "cats-dogs-cnn", "cats-dogs-efficientnet", "cats-dogs-mobilenet"}


def opened(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_every_step_of_every_model_is_a_picture(shipped, drawing):
    names = stages.names(shipped.card)
    assert names
    for name in names:
        made = opened(stages.render(drawing, shipped.card, name))
        assert made.dtype == np.uint8
        assert max(made.shape[:2]) in (280, 400)
        assert made.max() > made.min()


@pytest.mark.parametrize("name", ["seen", "field", "squeezed", "", "../found"])
def test_there_is_no_other_step(classifier, ink_model, drawing, name):
    with pytest.raises(KeyError):
        stages.render(drawing, classifier.catalog.model(ink_model).card, name)


@pytest.mark.parametrize("layout", ["mnist", "quickdraw"])
def test_the_last_step_shrunk_is_what_the_model_gets(drawing, layout):
    made = inputs.ink_steps(drawing, layout)
    assert (made.seen == inputs.ink(drawing, layout)).all()
    shrunk = made.drawn.reshape(28, inputs.FINE, 28, inputs.FINE).mean(axis=(1, 3)) * 255
    assert np.abs(shrunk - made.seen[..., 0]).max() < 1
    assert made.found.dtype == np.uint8
    assert made.placed.shape == made.drawn.shape == (inputs.SIDE, inputs.SIDE)


def test_a_photo_squeezed_and_shrunk_is_what_the_model_gets(classifier, photo, photo_model):
    card = classifier.catalog.model(photo_model).card
    squeezed = Image.fromarray(opened(stages.render(photo.resize((500, 200)), card, "squeezed")))
    seen = inputs.prepare(photo.resize((500, 200)), card.input)
    assert squeezed.size[0] == squeezed.size[1]
    assert np.abs(inputs.prepare(squeezed, card.input).astype(int) - seen).mean() < 3


@pytest.mark.parametrize("at", [(0.3, 0.3), (0.75, 0.4)])
@pytest.mark.parametrize("width", [1, 3, 16])
@pytest.mark.parametrize("layout", ["mnist", "quickdraw"])
def test_the_field_is_where_the_model_looks(layout, width, at):
    """The ink's center has the same place in the field as in the model's input, even for hairlines."""
    from PIL import ImageDraw

    image = Image.new("RGB", (600, 300), "white")
    x, y = 600 * at[0], 300 * at[1]
    ImageDraw.Draw(image).line([(x - 60, y - 40), (x + 60, y - 40), (x - 20, y + 50)], "black", width)
    made = inputs.ink_steps(image, layout)
    left, top, right, bottom = made.field
    assert (right - left) * 600 == pytest.approx((bottom - top) * 300, rel=0.01)  # the field is a square
    for axis, (first, last) in enumerate(((top, bottom), (left, right))):
        ink = (made.found.sum(axis=1 - axis) > 0).nonzero()[0]
        size = made.found.shape[axis]
        seen = (made.seen[..., 0].max(axis=1 - axis) > 100).nonzero()[0]
        expected = (np.mean([ink[0], ink[-1] + 1]) / size - first) / (last - first)
        assert np.mean([seen[0], seen[-1] + 1]) / 28 == pytest.approx(expected, abs=0.04)


def test_layers_are_shown_of_networks_that_have_them(shipped, classifier, drawing):
    sheet = stages.layers(classifier, drawing, classifier.catalog.model(shipped.card.name))
    assert (sheet is not None) == stages.has_layers(shipped.card)
    if shipped.card.name in LAYERED:
        assert stages.has_layers(shipped.card)
    if sheet is not None:
        made = opened(sheet)
        assert made.shape == (4 * 60, 8 * 60)  # two layers of sixteen channels
        tiles = made[2:-2, 2:-2]
        assert np.std(tiles) > 10


@pytest.mark.parametrize("name", ["digits-logistic", "digits-hog"])
def test_fixed_filters_are_no_layers_to_look_at(classifier, drawing, name):
    assert not stages.has_layers(classifier.catalog.model(name).card)
    assert stages.layers(classifier, drawing, classifier.catalog.model(name)) is None


def test_the_first_layers_are_opened_for_a_look_and_not_kept(monkeypatch, classifier, drawing, ink_model):
    opened_now, open_layers = [], openvino.open_layers

    def note(*args):
        layers = open_layers(*args)
        opened_now.append(weakref.ref(layers))
        return layers

    monkeypatch.setattr(openvino, "open_layers", note)
    fresh = LocalPredictor(classifier.catalog, Settings.from_env({"INKLING_THREADS": "1"}))
    model = fresh.catalog.model(ink_model)
    classify_one(fresh, drawing, model)
    assert opened_now == []
    for _ in range(2):
        first, later = fresh.layers(prepare(drawing, model.card), model)
    assert [layers() for layers in opened_now] == [None, None]
    assert first.shape[0] >= 16
    assert first.shape[1:] == (28, 28)
    assert later.shape[1] <= 28


def test_a_replaced_model_file_shows_no_layers_and_the_model_still_answers(monkeypatch, classifier, drawing, ink_model):

    def changed(*_):
        raise ValueError("model.onnx is not the card's")

    monkeypatch.setattr(openvino, "open_layers", changed)
    fresh = LocalPredictor(classifier.catalog, Settings.from_env({"INKLING_THREADS": "1"}))
    model = fresh.catalog.model(ink_model)
    with pytest.raises(Problem) as caught:
        fresh.layers(prepare(drawing, model.card), model)
    assert caught.value.reason == "model-unavailable"
    assert fresh.catalog.broken == {}
    assert classify_one(fresh, drawing, model).model == ink_model


def test_keras_shows_no_layers(classifier, drawing, ink_model):
    by_keras = LocalPredictor(classifier.catalog, Settings.from_env({"INKLING_RUNTIME": "keras"}))
    assert stages.layers(by_keras, drawing, by_keras.catalog.model(ink_model)) is None
