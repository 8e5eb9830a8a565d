"""Groups of labels: a hierarchy, finest first, that answers where no single label is likely."""

import json

import numpy as np
import pytest

from inkling.config import ROOT
from inkling.recognition.card import read_card
from inkling.recognition.groups import LIKELY_GROUP, LIKELY_LABEL, Groups
from tools import groups as tool

PETS = [("cat", [0, 1]), ("dog", [2, 3, 4]), ("animal", [0, 1, 2, 3, 4, 5])]  # 6 is a pizza, in no group


def written(folder, groups):
    rows = [{"name": name, "labels": labels} for name, labels in groups]
    (folder / "groups.json").write_text(json.dumps({"groups": rows}))
    return folder


@pytest.fixture
def pets(tmp_path):
    return Groups.read(written(tmp_path, PETS))


@pytest.mark.parametrize(
    "index, names", [(0, ("cat", "animal")), (4, ("dog", "animal")), (5, ("animal",)), (6, ())], ids=str
)
def test_the_groups_of_a_label_are_finest_first(pets, index, names):
    assert pets.of(index) == names


@pytest.mark.parametrize("name, probability", [("cat", 0.25), ("dog", 0.5), ("animal", 0.875)])
def test_the_probability_of_a_group_is_the_sum_over_its_labels(pets, name, probability):
    each = np.array([0.125, 0.125, 0.25, 0.125, 0.125, 0.125, 0.125], np.float32)
    assert pets.probability(each, name) == probability


def test_the_probabilities_of_several_groups_add_up(pets):
    each = np.array([0.125, 0.125, 0.25, 0.125, 0.125, 0.125, 0.125], np.float32)
    assert pets.probability(each, "cat", "dog") == 0.75
    assert pets.probability(each) == 0


def test_an_unknown_group_has_no_probability(pets):
    with pytest.raises(KeyError, match="unicorn"):
        pets.probability(np.full(7, 1 / 7, np.float32), "unicorn")


@pytest.mark.parametrize(
    "probabilities, answer",
    [
        ({3: LIKELY_LABEL}, (3, None)),
        ({6: LIKELY_LABEL}, (6, None)),
        ({2: LIKELY_GROUP / 2, 3: LIKELY_GROUP / 2}, (None, "dog")),
        ({1: LIKELY_GROUP / 2, 3: LIKELY_GROUP / 2}, (None, "animal")),
        ({1: LIKELY_GROUP / 3, 3: LIKELY_GROUP / 3, 6: 1 - LIKELY_GROUP * 2 / 3}, (None, None)),
    ],
    ids=["a label", "a label without a group", "a group", "a wider group", "nothing"],
)
def test_the_finest_likely_answer_is_given(pets, probabilities, answer):
    each = np.zeros(7)
    each[list(probabilities)] = list(probabilities.values())
    assert pets.answer(each) == answer


@pytest.mark.parametrize(
    "groups, problem",
    [
        ([("dog", [2, 3]), ("dog", [2, 3, 4])], "names must differ"),
        ([("dog", [3, 2])], "ascending"),
        ([("dog", [2, 2])], "ascending"),
        ([("dog", [2, 3]), ("pet", [0, 3])], "'dog' before 'pet'"),
        ([("animal", [0, 1, 2]), ("cat", [0, 1])], "'animal' before 'cat'"),
        ([("dog", [])], "at least 1"),
        ([("dog", [-1])], "greater than or equal to 0"),
        ([("", [1])], "at least 1"),
    ],
)
def test_groups_that_are_no_hierarchy_are_refused(tmp_path, groups, problem):
    with pytest.raises(ValueError, match=rf"^groups\.json: .*{problem}"):
        Groups.read(written(tmp_path, groups))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"^groups\.json cannot be read: No such file"):
        Groups.read(tmp_path)


# ---- The shipped groups ----


@pytest.fixture(scope="module")
def things():
    return Groups.read(ROOT / "models" / "things")


@pytest.fixture(scope="module")
def labels():
    return read_card(ROOT / "models" / "things").labels


def test_the_card_has_a_label_for_each_class_in_the_networks_order(labels):
    ids, names = zip(*tool.classes(), strict=True)
    assert len(ids) == 1000
    assert list(ids) == sorted(ids)
    assert names == labels


def test_the_shipped_groups_hold_labels_of_the_card_and_have_names_of_their_own(things, labels):
    assert {i for group in things.groups for i in group.labels} <= set(range(len(labels)))
    assert set(things.names).isdisjoint(labels)


@pytest.mark.parametrize(
    "group, label",
    [
        ("airplane", "airliner"),
        ("antelope", "gazelle"),
        ("bird", "magpie"),
        ("boat", "canoe"),
        ("car", "taxi"),
        ("cat", "Siamese cat"),
        ("dog", "beagle"),
        ("frog", "bullfrog"),
        ("horse", "sorrel horse"),
        ("ship", "ocean liner"),
        ("truck", "tow truck"),
        ("watercraft", "canoe"),
    ],
)
def test_the_groups_that_specialists_need_are_there(things, labels, group, label):
    assert group in things.of(labels.index(label))


@pytest.mark.parametrize(
    "label, groups",
    [
        ("beagle", ("dog", "mammal", "animal")),
        ("tiger", ("wild cat", "mammal", "animal")),
        ("giant panda", ("bear", "mammal", "animal")),
        ("crane", ("wading bird", "bird", "animal")),
        ("construction crane", ()),
        ("cup", ("cup or glass", "container")),
        ("hay", ()),
    ],
)
def test_a_thing_is_in_the_groups_that_a_visitor_expects(things, labels, label, groups):
    assert things.of(labels.index(label)) == groups


@pytest.mark.skipif(not tool.WORDNET.exists(), reason="needs Debian's wordnet-base")
def test_the_shipped_groups_are_those_of_wordnet(things):
    assert {group.name: set(group.labels) for group in things.groups} == tool.members(tool.WORDNET)
