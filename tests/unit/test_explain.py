"""Occlusion sensitivity finds the part of a picture that decides the answer, whatever the model.

`python -m benchmarks.explain` measures the shipped models.
"""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition import explain, inputs
from inkling.recognition.card import InputSpec, ModelCard
from inkling.recognition.catalog import Catalog, Model
from inkling.recognition.explain import GRIDS, Explainer, Explanation
from inkling.recognition.local import BATCH, LocalPredictor
from inkling.recognition.predictor import classify_one, prepare
from inkling.recognition.runtimes import base

PHOTO = InputSpec(kind="photo", width=40, height=40, channels=3, scaling="unit")
INK = InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="quickdraw")
CORNERS = {"upper-left": (0, 0), "upper-right": (0, 1), "lower-left": (1, 0), "lower-right": (1, 1)}
every_kind = pytest.mark.parametrize("spec", [PHOTO, INK], ids=["photo", "ink"])


def toy(spec, network):
    """Returns a predictor with one model whose network is a function of float32 [n, h, w, c], and that model."""
    card = ModelCard(
        name="toy", task="objects", title="Toy", labels=("no", "yes"), input=spec, files={}, exact=True
    )  # it has no faster network
    model = Model(card, None)
    predictor = LocalPredictor(Catalog({"toy": model}), Settings.from_env({}))
    predictor._runtimes[model] = base.Runtime(network, card)
    return predictor, model


def by_corner(row, column):
    """Returns a network that answers "yes" for patterns or ink in one corner of a picture and ignores all else."""

    def network(batch):
        half_h, half_w = batch.shape[1] // 3, batch.shape[2] // 3
        part = batch[:, :half_h] if row == 0 else batch[:, -half_h:]
        part = part[:, :, :half_w] if column == 0 else part[:, :, -half_w:]
        seen = 4 * np.abs(np.diff(part, axis=2)) if batch.shape[3] == 3 else 2 * part
        return [np.clip(seen.mean(axis=(1, 2, 3)), 0.01, 0.99)[:, None].astype(np.float32)]

    return network


def busy_picture():
    """A picture with patterns everywhere: rings in each corner and in the middle."""
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    for x, y in ((50, 50), (250, 50), (50, 250), (250, 250), (150, 150)):
        for radius in (45, 30, 15):
            draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline="black", width=6)
    return image


def explanation_of(predictor, model, picture, label=None):
    return Explainer().explain(predictor, picture, model, label)


def explanation(drops, field=(0.0, 0.0, 1.0, 1.0)):
    return Explanation("toy", "yes", 0.9, tuple(map(tuple, drops)), field, 1.0)


# ---- The decisive part ----


@every_kind
@pytest.mark.parametrize("corner", CORNERS)
def test_the_decisive_corner_is_found(spec, corner):
    row, column = CORNERS[corner]
    why = explanation_of(*toy(spec, by_corner(row, column)), busy_picture(), "yes")
    assert why.where == corner
    assert why.decides
    far = np.rot90(np.asarray(why.drops), 2)  # the drop in the opposite corner
    place = np.unravel_index(np.asarray(why.drops).argmax(), far.shape)
    assert abs(far[place]) < 1e-6


@every_kind
def test_a_constant_model_has_no_decisive_part(spec):
    def network(batch):
        return [np.full((len(batch), 1), 0.8, np.float32)]

    why = explanation_of(*toy(spec, network), busy_picture())
    assert np.abs(why.drops).max() < 1e-6
    assert not why.decides
    assert np.isfinite(np.asarray(why.overlay(30, 20))).all()


@pytest.mark.parametrize("label, explained", [("no", "no"), ("yes", "yes"), (None, "yes"), ("maybe", "yes")])
def test_it_explains_the_label_that_is_asked_for_or_its_own(label, explained):
    why = explanation_of(*toy(PHOTO, by_corner(0, 0)), busy_picture(), label)
    assert why.label == explained
    assert why.decides == (explained == "yes")  # for "no", hiding raises the confidence
    assert (why.confidence > 0.5) == (explained == "yes")


def test_hiding_nothing_of_a_drawing_changes_nothing(classifier, drawing, ink_model):
    """Hiding bare paper replaces paper by paper."""
    why = explanation_of(classifier, classifier.catalog.model(ink_model), drawing)  # an upright line in the middle
    drops = np.asarray(why.drops)
    assert np.abs(drops[:, [0, -1]]).max() < 1e-4
    assert np.abs(drops[:, 1:-1]).max() > 1e-4


# ---- The smallest part that is enough ----


@every_kind
@pytest.mark.parametrize("corner", CORNERS)
def test_a_part_of_the_decisive_corner_is_enough(spec, corner):
    """The model sees a ninth of the picture, so a ninth and what is hotter beside it is all that it needs."""
    row, column = CORNERS[corner]
    why = explanation_of(*toy(spec, by_corner(row, column)), busy_picture(), "yes")
    assert 0 < why.enough <= 0.3
    veil = np.asarray(why.veil(300, 300))[..., 3]
    shown = (veil == 0).mean()
    assert shown == pytest.approx(why.enough, abs=0.08) or spec is INK  # a drawing's margin is no part of its picture
    seen = np.zeros((3, 3), bool)
    seen[2 * row, 2 * column] = True
    thirds = (veil.reshape(veil.shape[0], -1)[:318, :318].reshape(3, 106, 3, 106) == 0).mean(axis=(1, 3))
    assert thirds[seen].item() == thirds.max()


@pytest.mark.parametrize(
    "probability, enough", [(0.8, 0.0), (0.2, 0.0)], ids=["the answer hangs on nothing", "nor does the other"]
)
def test_where_no_part_counts_none_is_needed(probability, enough):
    why = explanation_of(*toy(PHOTO, lambda batch: [np.full((len(batch), 1), probability, np.float32)]), busy_picture())
    assert why.enough == enough


def test_a_sure_answer_needs_a_part_that_makes_it_sure_and_another_only_the_same_label():
    predictor, model = toy(INK, lambda batch: [np.clip(9 * batch.mean(axis=(1, 2, 3)), 0.01, 0.9)[:, None]])
    shares = []
    for threshold in (0.5, 0.7, 0.99):
        other = Model(model.card.model_copy(update={"threshold": threshold}), None)
        predictor._runtimes[other] = predictor._runtimes[model]
        shares.append(explanation_of(predictor, other, busy_picture()).enough)
    same, sure, unsure = shares
    assert same < sure
    assert unsure == same


def test_another_label_than_the_answer_has_no_part_that_is_enough():
    assert explanation_of(*toy(PHOTO, by_corner(0, 0)), busy_picture(), "no").enough is None


def test_the_part_lies_in_the_picture_and_not_in_its_mirrored_rims():
    field = inputs.field(Image.new("RGB", (400, 100)), PHOTO)
    drops = np.zeros((10, 10))
    drops[0, 9], drops[4, 1] = 0.9, 0.3
    part = explanation(drops, field).part(0.25, 40, 40)
    rows = np.flatnonzero(part.any(axis=1))
    assert 12 <= rows.min() <= rows.max() <= 27
    inside = explanation(drops, field).part(1.0, 40, 40)
    assert part.sum() == pytest.approx(inside.sum() / 4, abs=1)


# ---- One run in batches ----


def test_the_network_runs_in_batches_not_once_a_part():
    sizes = []

    def network(batch):
        sizes.append(len(batch))
        return [np.full((len(batch), 1), 0.8, np.float32)]

    explainer, (predictor, model) = Explainer(), toy(PHOTO, network)
    explainer.explain(predictor, busy_picture(), model)
    sizes.clear()  # the first explanation also measures the model's speed
    why = explainer.explain(predictor, busy_picture(), model)
    runs = (len(why.drops) ** 2 + 1, len(explain.SHARES))
    assert sum(sizes) == sum(runs)
    assert len(sizes) == sum(-(-pictures // BATCH["photo"]) for pictures in runs)


@pytest.mark.parametrize(
    "spec, milliseconds, parts",
    [
        (PHOTO, 0.1, 10),
        (PHOTO, 8.0, 7),
        (PHOTO, 15.0, 5),
        (PHOTO, 67.0, 4),
        (PHOTO, 900.0, 4),
        (INK, 0.1, 10),
        (INK, 0.9, 7),
        (INK, 900.0, 7),
    ],
)
def test_a_slow_model_gets_a_coarse_grid(monkeypatch, spec, milliseconds, parts):
    answer = LocalPredictor.answer

    def slow(self, pictures, model, fast=False):
        return [replace(one, milliseconds={"infer": milliseconds}) for one in answer(self, pictures, model, fast)]

    monkeypatch.setattr(LocalPredictor, "answer", slow)
    why = explanation_of(*toy(spec, by_corner(0, 0)), busy_picture())
    assert len(why.drops) == parts


@pytest.mark.parametrize(
    "spec, milliseconds, fast_milliseconds, reduced, parts",
    [
        (PHOTO, 24.0, 1.0, False, 4),
        (PHOTO, 60.0, 8.0, True, 7),
        (PHOTO, 900.0, 60.0, True, 4),
        (PHOTO, 60.0, 60.0, False, 4),
        (INK, 2.0, 0.5, True, 10),
    ],
)
def test_a_model_that_is_too_slow_for_every_grid_runs_in_reduced_precision(
    monkeypatch, spec, milliseconds, fast_milliseconds, reduced, parts
):
    """Only the variants run in reduced precision. The confidence is that of a normal answer."""
    answer, asked = LocalPredictor.answer, []

    def slow(self, pictures, model, fast=False):
        asked.append(fast)
        took = {"infer": fast_milliseconds if fast else milliseconds}
        return [replace(one, milliseconds=took) for one in answer(self, pictures, model, fast)]

    monkeypatch.setattr(LocalPredictor, "answer", slow)
    monkeypatch.setattr(LocalPredictor, "_is_faster_in_bfloat16", lambda self, model: True)
    (predictor, model), picture = toy(spec, by_corner(0, 0)), busy_picture()
    usual = classify_one(predictor, picture, model)

    def rough(batch):
        return [(0.9 * by_corner(0, 0)(batch)[0]).astype(np.float32)]

    predictor._fast_runtimes[model] = base.Runtime(rough, model.card)
    explainer = Explainer()
    for _ in range(2):
        asked.clear()
        why = explainer.explain(predictor, picture, model, "yes")
        assert why.confidence == pytest.approx(float(usual.probabilities[1]), abs=1e-6)
        assert len(why.drops) == parts
    # The times are known in the second explanation. The last run shows parts alone.
    assert asked == ([True, False, True] if reduced else [False, False])


def test_no_drop_exceeds_the_confidence_in_reduced_precision(monkeypatch):
    """This holds even if the fast network is surer of the whole picture than the normal one."""
    monkeypatch.setattr(LocalPredictor, "_is_faster_in_bfloat16", lambda self, model: True)
    (predictor, model), picture = toy(PHOTO, lambda batch: [np.full((len(batch), 1), 0.6, np.float32)]), busy_picture()
    whole = inputs.scale(prepare(picture, model.card).seen, PHOTO.scaling)

    def surer(batch):
        return [np.where((batch == whole).all(axis=(1, 2, 3)), 0.95, 0.01).astype(np.float32)[:, None]]

    predictor._fast_runtimes[model] = base.Runtime(surer, model.card)
    explainer = Explainer()
    explainer._fastest[model] = 1.0
    explainer._in_reduced_precision.add(model)
    why = explainer.explain(predictor, picture, model, "yes")
    assert why.confidence == pytest.approx(0.6)
    assert why.largest == pytest.approx(0.6, abs=1e-5)


# ---- One explanation at a time ----


def test_a_drawing_without_ink_is_refused_and_holds_up_nobody(paper):
    explainer, (predictor, model) = Explainer(), toy(INK, by_corner(0, 0))
    for _ in range(3):
        with pytest.raises(Problem) as caught:
            explainer.explain(predictor, paper, model)
        assert caught.value.reason == "blank"
    assert explainer.explain(predictor, busy_picture(), model).label == "yes"


def test_pictures_are_explained_one_at_a_time():
    inside, most = threading.Semaphore(0), []

    def network(batch):
        inside.release()
        most.append(inside._value)
        time.sleep(0.001)
        inside.acquire()
        return [np.full((len(batch), 1), 0.8, np.float32)]

    explainer, (predictor, model) = Explainer(), toy(PHOTO, network)
    with ThreadPoolExecutor(3) as threads:
        found = list(threads.map(lambda _: explainer.explain(predictor, busy_picture(), model), range(3)))
    assert [one.label for one in found] == ["yes"] * 3
    assert max(most) == 1


# ---- Parts of an explanation ----


@pytest.mark.parametrize("parts", GRIDS["photo"])
@pytest.mark.parametrize("side", [28, 32, 150])
def test_windows_hide_their_own_part_wholly_and_cover_all_evenly(parts, side):
    rows = explain.windows(parts, side)
    assert rows.shape == (parts, side)
    own = ((np.arange(side) + 0.5) * parts // side).astype(int)
    assert rows[own, np.arange(side)] == pytest.approx(np.ones(side))
    assert rows.max() <= 1
    inside = (own > 0) & (own < parts - 1)
    assert rows.sum(axis=0)[inside] == pytest.approx(np.full(inside.sum(), 2), abs=1e-4)


@pytest.mark.parametrize(
    "kind, seen",
    [
        ("ink", np.full((28, 28, 1), 255, np.uint8)),
        ("photo", np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)),
    ],
)
def test_hiding_leaves_what_is_far_as_it_is(kind, seen):
    pictures = explain.hidden(seen, 7, kind)
    assert (pictures.shape, pictures.dtype) == ((49, *seen.shape), np.uint8)
    for first, far in ((pictures[0], np.s_[-8:, -8:]), (pictures[-1], np.s_[:8, :8])):
        assert (first[far] == seen[far]).all()
    assert (pictures[0][:4, :4] != seen[:4, :4]).any()
    if kind == "ink":
        assert pictures[0][:4, :4].max() == 0


@pytest.mark.parametrize(
    "place, where",
    [
        ((0, 0), "upper-left"),
        ((0, 3), "top"),
        ((0, 6), "upper-right"),
        ((3, 0), "left"),
        ((3, 3), "middle"),
        ((3, 6), "right"),
        ((6, 0), "lower-left"),
        ((6, 3), "bottom"),
        ((6, 6), "lower-right"),
    ],
)
def test_the_decisive_place_is_named_in_words(place, where):
    drops = np.zeros((7, 7))
    drops[place] = 0.5
    assert explanation(drops).where == where


def test_two_far_places_are_several():
    drops = np.zeros((7, 7))
    drops[0, 0] = drops[6, 6] = 0.5
    assert explanation(drops).where == "several-places"


@pytest.mark.parametrize("size, shape", [((400, 400), (320, 320)), ((1000, 500), (320, 160)), ((90, 900), (32, 320))])
def test_an_overlay_has_the_pictures_shape_and_is_most_opaque_where_it_is_hot(size, shape):
    drops = np.zeros((5, 5))
    drops[4, 0] = 0.4
    drops[0, 4] = -0.4  # parts that speak against the answer are not highlighted
    overlay = explanation(drops).overlay(*size)
    assert (overlay.mode, overlay.size) == ("RGBA", shape)
    alpha = np.asarray(overlay)[..., 3]
    assert alpha[-1, 0] == alpha.max() > 150
    assert alpha[0, -1] == alpha.min() == 0


def test_a_color_stands_for_the_same_loss_in_every_picture():
    strength = []
    for loss in (0, explain.LEAST_DROP, 0.1, 0.3, explain.MOST_DROP, 0.9):
        drops = np.zeros((5, 5))
        drops[2, 2] = loss
        strength.append(int(np.asarray(explanation(drops).overlay(100, 100))[..., 3].max()))
    assert strength[:2] == [0, 0]
    assert strength == sorted(strength)
    assert 0 < strength[2] < strength[3] < strength[4] == strength[5] == round(255 * explain.MOST_OPAQUE)


def test_the_overlay_of_a_drawing_lies_where_the_drawing_is():
    """The drawing is in the lower right of a wide canvas, and only its right end decides the answer."""
    image = Image.new("RGB", (800, 400), "white")
    ImageDraw.Draw(image).line([(600, 300), (760, 300)], "black", 12)
    drops = np.zeros((7, 7))
    drops[3, 5] = 0.5
    why = explanation(drops, inputs.field(image, INK))
    alpha = np.asarray(why.overlay(800, 400))[..., 3]
    y, x = np.unravel_index(alpha.argmax(), alpha.shape)
    assert (x / 320 * 800, y / 320 * 800) == pytest.approx((730, 300), abs=12)
    assert why.where == "lower-right"


def test_the_rims_of_a_long_photo_are_not_named():
    """The mirrored rims fill the outer rows. The decisive part of the picture itself is the upper left."""
    field = inputs.field(Image.new("RGB", (400, 100)), PHOTO)
    drops = np.zeros((10, 10))
    drops[0, 9], drops[3, 1] = 0.9, 0.3
    why = explanation(drops, field)
    assert (why.where, why.largest) == ("upper-left", 0.3)


@pytest.mark.parametrize("parts", [4, 10])
def test_a_very_long_photo_always_has_a_named_part(parts):
    """A few cells still reach into the picture, however thin it is between its rims."""
    field = inputs.field(Image.new("RGB", (4000, 100)), PHOTO)
    drops = np.zeros((parts, parts))
    drops[:, 0] = 0.4
    why = explanation(drops, field)
    assert why.decides
    assert why.where == "left"


def test_a_png_holds_the_numbers_too():
    why = explanation(np.random.default_rng(0).random((7, 7)).round(4).tolist())
    data = why.png(300, 200)
    read = explain.read(io.BytesIO(data))
    assert read.where == why.where
    assert read.largest == why.largest
    assert np.asarray(read.drops).tolist() == np.asarray(why.drops).tolist()
    assert Image.open(io.BytesIO(data)).size == (320, 213)
