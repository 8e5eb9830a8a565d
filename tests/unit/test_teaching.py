"""Taught classifiers: what is added is there, what is deleted comes back for a day, and quotas hold."""

from datetime import timedelta
from unittest import mock

import pytest
from PIL import Image

from inkling.problems import Problem
from inkling.recognition import strokes
from inkling.service import Decoded, File, Service
from inkling.storage import taught
from inkling.storage.records import now
from inkling.teach.teaching import Teaching, slug
from tests.support.backbones import write_backbone

OWNER = "local"


@pytest.fixture
def settings(settings, tmp_path):
    """Settings whose only model is a tiny backbone for photos."""
    write_backbone(tmp_path / "models", name="things")
    return settings.replace(models=tmp_path / "models")


@pytest.fixture
def teaching(settings):
    return Teaching(settings, Service.from_settings(settings))


@pytest.fixture
def birds(teaching):
    return teaching.create("Our birds", "photo", OWNER)


def photo(shade, label="robin", name=""):
    return Decoded(Image.new("RGB", (8, 8), (shade * 40, 100, 100)), name=name), label


def names(teaching, id):
    return {label.name: label.count for label in teaching.get(id).labels}


def a_day_later():
    return mock.patch.object(taught, "now", return_value=now() + timedelta(days=1, seconds=1))


def refused(reason):
    return pytest.raises(Problem, check=lambda problem: problem.reason == reason)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Our birds", "our-birds"),
        ("  Ça va?  ", "ca-va"),
        ("Птицы", "classifier"),
        ("x" * 90, "x" * 48),
        ("-", "classifier"),
    ],
)
def test_a_title_becomes_the_name_of_a_model(title, name):
    assert slug(title) == name


def test_names_of_models_are_unique(teaching):
    assert [teaching.create("Things", "photo", OWNER).name for _ in range(3)] == ["things-2", "things-3", "things-4"]


def test_examples_arrive_with_their_labels(teaching, birds):
    added = teaching.add(birds.id, [photo(1, name="a/b.jpg"), photo(2, "wren"), photo(3, None)], "camera")
    assert names(teaching, birds.id) == {"robin": 1, "wren": 1}
    assert teaching.get(birds.id).unlabeled == 1
    assert teaching.examples(birds.id) == added
    assert [example.label for example in teaching.examples(birds.id, None)] == [None]
    assert (added[0].name, added[0].source) == ("b.jpg", "camera")
    assert teaching.picture(birds.id, added[0].id).startswith(b"\xff\xd8")
    assert teaching.thumbnail(birds.id, added[0].id).startswith(b"\xff\xd8")


def test_a_bad_picture_costs_itself_alone(teaching, birds, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    results = teaching.add(birds.id, [photo(1), (File(tmp_path / "bad.jpg"), "robin"), photo(2), photo(2)])
    assert [getattr(result, "reason", None) for result in results] == [None, "truncated", None, "duplicate"]
    assert names(teaching, birds.id) == {"robin": 2}


def test_a_drawing_keeps_its_strokes(settings, models_folder):
    teaching = Teaching(settings, Service.from_settings(settings.replace(models=models_folder)))
    marks = teaching.create("Marks", "ink", OWNER)
    line = strokes.Strokes.from_body({"strokes": [[[0, 200], [0, 200]]]})
    blank = Image.new("RGB", (50, 50), "white")
    results = teaching.add(
        marks.id, [(Decoded(line, "drawing"), "slash"), (Decoded(blank, "drawing"), "slash")], "canvas"
    )
    assert strokes.read(teaching.picture(marks.id, results[0].id)) is not None
    assert results[1].reason == "blank"


def test_examples_come_in_pages(teaching, birds):
    added = teaching.add(birds.id, [photo(shade) for shade in range(5)])
    assert teaching.examples(birds.id, limit=2) == added[:2]
    assert teaching.examples(birds.id, after=added[1].id, limit=2) == added[2:4]
    assert teaching.examples(birds.id, after=added[4].id) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda teaching, id, examples, label: teaching.move(id, examples, None),
        lambda teaching, id, examples, label: teaching.remove(id, examples),
        lambda teaching, id, examples, label: teaching.delete_label(id, label),
    ],
    ids=["move", "remove", "delete label"],
)
def test_a_change_can_be_undone_once_and_for_a_day(teaching, birds, change):
    added = [example.id for example in teaching.add(birds.id, [photo(1), photo(2)])]
    before = teaching.get(birds.id)

    def make():
        return change(teaching, birds.id, added, before.labels[0].id)

    first = make()
    assert first.count == 2
    assert teaching.get(birds.id).labels != before.labels
    teaching.undo(birds.id, first.id)
    assert teaching.get(birds.id).labels == before.labels
    assert [example.id for example in teaching.examples(birds.id)] == added
    with refused("unknown-change"):
        teaching.undo(birds.id, first.id)
    second = make()
    with a_day_later(), refused("unknown-change"):
        teaching.undo(birds.id, second.id)


def test_what_was_deleted_a_day_ago_is_purged(teaching, birds, settings):
    kept, gone = (example.id for example in teaching.add(birds.id, [photo(1), photo(2)]))
    teaching.remove(birds.id, [gone])
    storage = Service.from_settings(settings).storage.taught
    assert storage.purge() == 0
    with a_day_later():
        assert storage.purge() == 1
    assert [path.name for path in (settings.pictures / "examples").iterdir()] == [f"{kept}.jpg"]


def test_deleting_a_classifier_leaves_nothing(teaching, birds, settings):
    other = teaching.create("Others", "photo", OWNER)
    (left,) = teaching.add(other.id, [photo(1)])
    teaching.add(birds.id, [photo(1), photo(2, "wren")])
    teaching.delete(birds.id)
    with refused("unknown-classifier"):
        teaching.get(birds.id)
    assert [path.stem for path in (settings.pictures / "examples").iterdir()] == [left.id]
    assert teaching.all() == [teaching.get(other.id)]


def test_labels_have_names_of_their_own(teaching, birds):
    robin = teaching.add_label(birds.id, " robin ")
    assert robin.name == "robin"
    with refused("label-taken"):
        teaching.add_label(birds.id, "robin")
    wren = teaching.add_label(birds.id, "wren")
    with refused("label-taken"):
        teaching.rename_label(birds.id, wren.id, "robin")
    for bad in ("", " ", "a\0b", "x" * 65):
        with refused("bad-name"):
            teaching.rename_label(birds.id, wren.id, bad)
    assert teaching.rename_label(birds.id, wren.id, "Zaunkönig").name == "Zaunkönig"
    with refused("unknown-label"):
        teaching.delete_label(birds.id, 10**6)


@pytest.mark.parametrize(
    ("limit", "reason", "sentence"),
    [
        ({"teach_examples": 2}, "too-many-examples", "2 are allowed"),
        ({"teach_mb": 1}, "teaching-full", "1 MiB are allowed"),
    ],
)
def test_quotas_of_examples(settings, limit, reason, sentence):
    teaching = Teaching(settings.replace(**limit), Service.from_settings(settings))
    birds = teaching.create("Birds", "photo", OWNER)
    noise = [(Decoded(Image.effect_noise((1024, 1024), 100 + i).convert("RGB")), "x") for i in range(3)]
    results = teaching.add(birds.id, noise)
    assert results[-1].reason == reason
    assert sentence in results[-1].message
    teaching.remove(birds.id, [example.id for example in teaching.examples(birds.id)])
    assert not isinstance(teaching.add(birds.id, noise[-1:])[0], Problem)


def test_the_quota_of_classifiers_is_each_owners(settings):
    teaching = Teaching(settings.replace(teach_classifiers=1), Service.from_settings(settings))
    teaching.create("Birds", "photo", OWNER)
    teaching.create("Birds", "photo", "other")
    with refused("too-many-classifiers"):
        teaching.create("Fish", "photo", OWNER)
    assert [one.owner for one in teaching.all(OWNER)] == [OWNER]
