"""Unfamiliar pictures are the same each time, preprocessed as in serving, and never downloaded."""

import numpy as np
import pytest

from inkling.recognition.card import InputSpec
from inkling.recognition.catalog import TASKS
from inkling.recognition.groups import Groups
from training import data, strangers

PHOTO = InputSpec(kind="photo", width=32, height=24, channels=3, scaling="unit", layout="squeeze")
INK = InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="mnist")


@pytest.fixture
def prepared(tmp_path, monkeypatch):
    """Prepares two data sets: MNIST, and CIFAR-10 with pictures of the gray level 20 * label."""
    monkeypatch.setenv("INKLING_DATA", str(tmp_path))
    y = np.arange(100) % 10
    bars = np.zeros((100, 28, 28), np.uint8)
    bars[:, 4:24, 13:16] = 255
    np.savez(tmp_path / "mnist.npz", x_train=bars, y_train=y, x_test=bars, y_test=y)
    photos = np.broadcast_to((20 * y).astype(np.uint8)[:, None, None, None], (100, 32, 32, 3))
    np.savez(tmp_path / "cifar10.npz", x_train=photos, y_train=y, x_test=photos, y_test=y)


def test_every_task_has_its_strangers():
    assert strangers.STRANGERS.keys() == TASKS.keys() - {"things"}  # hardly any photo is strange to it


@pytest.mark.parametrize(
    ("task", "spec", "kinds", "shape"),
    [
        ("digits", INK, {"letters"}, (28, 28)),
        ("doodles", INK, {"letters", "digits"}, (28, 28)),
        ("cats-dogs", PHOTO, {"objects", "scikit-image's photos", "drawn scenes", "textures"}, (24, 32, 3)),
        ("objects", PHOTO, {"scikit-image's photos", "digits", "drawn scenes", "textures"}, (24, 32, 3)),
    ],
)
def test_unfamiliar_pictures_are_prepared_for_the_model(prepared, monkeypatch, task, spec, kinds, shape):
    monkeypatch.setattr(data, "prepare", lambda name: data.folder() / data.DATASETS[name].file)  # no download
    found = strangers.gather(task, spec, 6)
    assert found.keys() == kinds
    assert {pictures.shape for pictures in found.values()} == {(6, *shape)}
    assert {pictures.dtype for pictures in found.values()} == {np.dtype(np.uint8)}


def test_objects_are_neither_cats_nor_dogs(prepared):
    grays = {int(np.asarray(picture)[0, 0, 0]) for picture in strangers.objects(100)}
    labels = {data.CIFAR10_LABELS[gray // 20] for gray in grays}
    assert labels == set(data.CIFAR10_LABELS) - {"cat", "dog"}


def test_doodles_are_of_none_of_the_tasks_things(prepared, monkeypatch):
    """The gray level of each drawing is the number of its label."""
    monkeypatch.setattr(strangers, "redraw", lambda bitmap, hand: bitmap)
    labels, y = ["cat", "fish", "dog", "car", "tree", "bird"], np.arange(120) % 6
    x = np.broadcast_to(y.astype(np.uint8)[:, None, None], (120, 28, 28))
    np.savez(
        data.folder() / "doodles.npz",
        classes=np.array(labels),
        x_train=x,
        y_train=y,
        x_test=x,
        y_test=y,
        x_tu_berlin=x[:6],
        y_tu_berlin=y[:6],
    )
    for task, others in (("", labels), ("cats-dogs", ["fish", "car", "tree", "bird"]), ("objects", ["fish", "tree"])):
        assert {labels[picture[0, 0]] for picture in strangers.doodles(120, task)} == set(others)


@pytest.mark.parametrize("task", strangers.GROUPS)
def test_other_photos_show_none_of_the_tasks_things(monkeypatch, task):
    """The gray level of each photo tells its label."""
    y = np.arange(1000)
    x = np.broadcast_to((y % 256).astype(np.uint8)[:, None, None, None], (1000, 2, 2, 3))
    found = type("Set", (), {"test": data.Split(x, y)})
    monkeypatch.setattr(strangers.data, "load", lambda name: found)
    groups = {group.name: group.labels for group in Groups.read(strangers.THINGS).groups}
    own = {label for name in strangers.GROUPS[task] for label in groups[name]}
    levels = [int(np.asarray(picture)[0, 0, 0]) for picture in strangers.other_photos(1000, task)]
    assert levels == [label % 256 for label in y if label not in own]


@pytest.mark.parametrize("make", [strangers.drawn_scenes, strangers.textures])
def test_drawn_strangers_differ_and_are_the_same_each_time(make):
    first, again = ([picture.tobytes() for picture in make(12)] for _ in range(2))
    assert first == again
    assert len(set(first)) == 12


def test_letters_are_drawings_the_same_each_time():
    first, again = ([np.asarray(picture) for picture in strangers.letters(8)] for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert len({picture.tobytes() for picture in first}) == 8
    for picture in first:
        assert (picture[0] == 255).all()  # paper at the rim, ink inside
        assert 0.01 < np.mean(picture < 128) < 0.4


def test_no_letter_looks_like_a_digit():
    assert not set("BDGIJOQSTYZbcgijloqsyz") & set(strangers.LETTERS)
