"""Auto asks the models that suit a picture, and joins their answers by rules that are stated here in tables."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from inkling.problems import Problem
from inkling.recognition.card import InputSpec, ModelCard, sha256
from inkling.recognition.catalog import Catalog, Model
from inkling.recognition.predictor import Prediction
from inkling.recognition.router import ROUTES, Router, is_ink
from inkling.recognition.subject import Subject

LABELS = {
    "things": ("beagle", "poodle", "tabby", "pizza", "sparrow"),
    "cats-dogs": ("cat", "dog"),
    "objects": ("airplane", "automobile", "bird", "cat", "dog"),
    "digits": ("0", "1"),
    "doodles": ("fish", "moon"),
}
GROUPS = [
    {"name": "dog", "labels": [0, 1]},
    {"name": "cat", "labels": [2]},
    {"name": "songbird", "labels": [4]},
    {"name": "bird", "labels": [4]},
    {"name": "animal", "labels": [0, 1, 2, 4]},
]
ACCURACY = {"things": 0.83, "cats-dogs": 0.99, "objects": 0.94, "digits": 0.99, "doodles": 0.9}
KINDS = {"digits": "mnist", "doodles": "quickdraw"}


class Scripted:
    """A predictor with a model of each task, whose answers a test writes down."""

    def __init__(self, folder, tasks=tuple(LABELS)):
        self.catalog = Catalog({task: model(folder, task) for task in tasks})
        self.says = {}
        self.calls = []

    def answer(self, pictures, model, fast=False):
        task = model.card.task
        if pictures:
            self.calls.append((task, len(pictures)))
        probabilities, familiarity = self.says.get(task, ([1 / len(model.card.labels)] * len(model.card.labels), 1.0))
        answer = Prediction(
            model.card.name,
            task,
            model.card.labels,
            np.array(probabilities, np.float32),
            0.95,
            np.zeros((28, 28, 1), np.uint8),
            {"prepare": 1.0, "infer": 2.0},
            familiarity,
            0.0,
        )
        return [answer] * len(pictures)


def model(folder, task, **changes):
    ink = task in KINDS
    side, channels = (28, 1) if ink else (32, 3)
    spec = InputSpec(
        kind="ink" if ink else "photo",
        width=side,
        height=side,
        channels=channels,
        scaling="unit",
        layout=KINDS.get(task, "squeeze"),
    )
    files = {}
    if task == "things":
        (folder / "groups.json").write_text(json.dumps({"groups": GROUPS}))
        files["groups.json"] = sha256(folder / "groups.json")
    card = ModelCard(name=task, task=task, title=task, labels=LABELS[task], input=spec, files=files, **changes)
    return Model(card, folder)


@pytest.fixture
def scripted(tmp_path):
    return Scripted(tmp_path)


def drawn():
    image = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(image).line([(60, 40), (140, 160)], "black", 10)
    return image


def photo(width=64, height=48):
    noise = np.random.default_rng(0).integers(0, 255, (12, 16, 3)).astype(np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def ask(predictor, image, from_canvas=False, model=None):
    """Returns the answer to one picture; in Auto unless a model is given."""
    router, subject = Router(predictor), Subject(image, from_canvas)
    router.prepare(subject, model)
    (answer,) = router.answer([subject], model)
    return answer


# ---- Photos ----

SURE_DOG, SURE_CAT = ([0.001, 0.999], 1.0), ([0.999, 0.001], 1.0)
LIKELY_DOG, STRANGE_DOG = ([0.1, 0.9], 1.0), ([0.001, 0.999], -1.0)
BEAGLE, SURE_BEAGLE = [0.8, 0.15, 0.02, 0.02, 0.01], [0.99, 0.01, 0, 0, 0]
SOME_DOG, PERHAPS_DOG = [0.5, 0.45, 0.02, 0.02, 0.01], [0.3, 0.25, 0.05, 0.35, 0.05]
SOME_ANIMAL, PIZZA = [0.3, 0.2, 0.2, 0.02, 0.28], [0, 0, 0.01, 0.99, 0]

PHOTOS = {  # what things says, what the specialist for cats and dogs says -> the answer
    "a sure kind that the specialist confirms": (SURE_BEAGLE, SURE_DOG, ("things", "beagle", "dog", "sure")),
    "a likely kind": (BEAGLE, SURE_DOG, ("things", "beagle", "dog", "probably")),
    "a kind that the specialist doubts": (SURE_BEAGLE, SURE_CAT, ("things", "beagle", "dog", "not sure")),
    "a kind that a strange specialist doubts": (
        SURE_BEAGLE,
        ([0.999, 0.001], -1.0),
        ("things", "beagle", "dog", "sure"),
    ),
    "no likely kind, but its group": (SOME_DOG, LIKELY_DOG, ("things", "dog", "dog", "probably")),
    "a group that the specialist settles": (SOME_DOG, SURE_DOG, ("cats-dogs", "dog", "dog", "sure")),
    "a group that the specialist doubts": (SOME_DOG, ([0.6, 0.4], 1.0), ("things", "dog", "dog", "not sure")),
    "a wider group that the specialist settles": (SOME_ANIMAL, SURE_DOG, ("cats-dogs", "dog", "dog", "sure")),
    "nothing likely, settled": (PERHAPS_DOG, SURE_DOG, ("cats-dogs", "dog", "dog", "sure")),
    "nothing likely, and strange to the specialist": (PERHAPS_DOG, STRANGE_DOG, ("things", "pizza", None, "not sure")),
    "neither a cat nor a dog": (PIZZA, SURE_DOG, ("things", "pizza", None, "sure")),
}


@pytest.mark.parametrize("general, special, expected", PHOTOS.values(), ids=PHOTOS)
def test_things_answers_a_photo_and_the_specialist_refines(scripted, general, special, expected):
    scripted.says = {"things": (general, None), "cats-dogs": special}
    answer = ask(scripted, photo())
    assert (answer.model, answer.label, answer.group, answer.wording) == expected
    assert answer.route == "photo"
    wanted = ("things",) if general is PIZZA else ("things", "cats-dogs")
    assert answer.asked == wanted == tuple(task for task, _ in scripted.calls)


def test_a_specialist_never_makes_an_answer_coarser(scripted):
    scripted.says = {"things": ([0, 0, 0, 0.05, 0.95], None), "objects": ([0, 0, 0.999, 0, 0.001], 1.0)}
    answer = ask(scripted, photo())
    assert (answer.model, answer.label, answer.group) == ("things", "sparrow", "songbird")
    assert answer.asked == ("things", "objects")


def test_one_specialist_is_asked_the_most_accurate_that_knows_the_thing(tmp_path, monkeypatch):
    monkeypatch.setattr("inkling.recognition.router.accuracy", lambda card: ACCURACY[card.task])
    scripted = Scripted(tmp_path)
    scripted.says = {"things": (SOME_DOG, None)}
    assert ask(scripted, photo()).asked == ("things", "cats-dogs")


@pytest.mark.parametrize(
    "cats, objects, expected",
    [
        (SURE_DOG, ([0.9, 0.1, 0, 0, 0], -1.0), ("cats-dogs", "dog")),
        (([0.6, 0.4], -1.0), ([0.9, 0.1, 0, 0, 0], 1.0), ("objects", "airplane")),
        (([0.6, 0.4], -1.0), ([0.9, 0.1, 0, 0, 0], -1.0), ("objects", "airplane")),
    ],
)
def test_without_things_the_surest_familiar_specialist_answers_and_says_so(tmp_path, cats, objects, expected):
    scripted = Scripted(tmp_path, ("cats-dogs", "objects", "digits"))
    scripted.says = {"cats-dogs": cats, "objects": objects}
    answer = ask(scripted, photo())
    assert (answer.model, answer.label) == expected
    assert (answer.route, answer.asked) == ("specialist", ("cats-dogs", "objects"))


def test_a_chosen_model_names_groups_too(scripted):
    scripted.says = {"things": (SOME_DOG, None)}
    answer = ask(scripted, photo(), model=scripted.catalog.models["things"])
    assert (answer.label, answer.group, answer.route, answer.asked) == ("dog", "dog", None, ())
    assert answer.ranked(2) == [("dog", pytest.approx(0.95)), ("beagle", pytest.approx(0.5))]


# ---- Drawings ----

FISH, ZERO = ([0.99, 0.01], 3.0), ([0.99, 0.01], 3.0)
DRAWINGS = {  # what digits and doodles say -> route, the model, and the first labels
    "a digit": (ZERO, ([0.6, 0.4], -1.0), ("digit", "digits", ["0", "1"])),
    "a doodle": (([0.6, 0.4], -3.0), FISH, ("doodle", "doodles", ["fish", "moon"])),
    "a circle": (([0.99, 0.01], 1.0), ([0.01, 0.99], 1.0), ("digit", "digits", ["0", "moon"])),
}


@pytest.mark.parametrize("from_canvas", [True, False])
@pytest.mark.parametrize("digits, doodles, expected", DRAWINGS.values(), ids=DRAWINGS)
def test_the_more_familiar_model_answers_a_drawing(scripted, digits, doodles, expected, from_canvas):
    scripted.says = {"digits": digits, "doodles": doodles}
    answer = ask(scripted, drawn(), from_canvas)
    assert (answer.route, answer.model, [label for label, _ in answer.ranked(2)]) == expected
    assert answer.asked == ("digits", "doodles")
    assert answer.probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize(
    "from_canvas, general, expected", [(True, PIZZA, "doodle"), (False, PIZZA, "photo"), (False, PERHAPS_DOG, "doodle")]
)
def test_an_upload_that_is_no_known_drawing_is_tried_as_a_photo(scripted, from_canvas, general, expected):
    scripted.says = {"digits": ([0.5, 0.5], -4.0), "doodles": ([0.5, 0.5], -1.0), "things": (general, None)}
    assert ask(scripted, drawn(), from_canvas).route == expected


def test_nothing_drawn_is_said(scripted, paper):
    with pytest.raises(Problem) as raised:
        ask(scripted, paper, from_canvas=True)
    assert raised.value.reason == "blank"


# ---- The decision ----


def test_every_route_has_a_rule():
    assert {"photo", "specialist", "taught"} | {route for _, _, (route, *_) in DRAWINGS.values()} == set(ROUTES)


def lit(image, darkest=0.6):
    """A photographed sheet: darker to the right, with a camera's noise."""
    light = np.linspace(1, darkest, image.width)[None, :, None]
    noise = np.random.default_rng(0).normal(0, 4, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) * light * 0.9 + noise, 0, 255).astype(np.uint8))


PICTURES = {
    "canvas": (drawn(), True),
    "photographed": (lit(drawn()), True),
    "chalk": (Image.eval(lit(drawn()), lambda value: 255 - value), True),
    "bitmap": (drawn().resize((28, 28)), True),
    "thick pen": (drawn().resize((40, 40)).resize((200, 200)), True),
    "photo": (photo(), False),
    "large photo": (photo(400, 300), False),
}


@pytest.mark.parametrize("image, expected", PICTURES.values(), ids=PICTURES)
def test_lines_on_flat_paper_are_ink(image, expected):
    assert is_ink(image) == expected


# ---- Many pictures ----


def test_a_batch_asks_each_model_once_and_keeps_the_order(scripted):
    scripted.says = {"things": (PIZZA, None), "digits": ZERO, "doodles": ([0.5, 0.5], -1.0)}
    router = Router(scripted)
    subjects = [Subject(image) for image in (photo(), drawn(), photo(), drawn())]
    for subject in subjects:
        router.prepare(subject, None)
    assert [answer.label for answer in router.answer(subjects, None)] == ["pizza", "0", "pizza", "0"]
    assert sorted(scripted.calls) == [("digits", 2), ("doodles", 2), ("things", 2)]


def test_the_time_is_that_of_all_models_that_were_asked(scripted):
    scripted.says = {"things": (SOME_DOG, None)}
    answer = ask(scripted, photo())
    assert answer.milliseconds["infer"] == 4.0
    assert answer.milliseconds["prepare"] > 0


def test_without_any_model_auto_says_so(tmp_path):
    with pytest.raises(Problem) as raised:
        ask(Scripted(tmp_path, ()), photo())
    assert raised.value.reason == "unknown-model"


def test_a_model_whose_groups_changed_meanwhile_is_unavailable(scripted, tmp_path):
    (tmp_path / "groups.json").write_text("{}")
    with pytest.raises(Problem) as raised:
        ask(scripted, photo())
    assert raised.value.reason == "model-unavailable"
