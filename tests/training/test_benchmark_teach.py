"""What `make teach` counts, on features that are made up."""

import numpy as np
import pytest

from benchmarks import teach


@pytest.fixture(scope="module")
def split():
    """Two kinds of features, 40 of each, far apart."""
    y = np.arange(80) % 2
    x = np.abs(np.eye(8)[y] + np.random.RandomState(0).normal(0, 0.15, (80, 8))).astype(np.float32)
    return teach.Split(teach.Set(x[:50], y[:50]), teach.Set(x[50:], y[50:]))


@pytest.mark.parametrize(
    ("known", "strange", "wanted"), [([3, 4], [1, 2], 1), ([1, 2], [3, 4], 0), ([1, 4], [2, 3], 0.5)]
)
def test_auroc_is_the_share_of_pairs_in_order(known, strange, wanted):
    assert teach.auroc(np.array(known), np.array(strange)) == wanted


def test_draws_are_even_and_repeatable(split):
    one, again, other = (teach.drawn(split, 12, seed) for seed in (0, 0, 1))
    assert np.bincount(one.y).tolist() == [12, 12]
    assert np.array_equal(one.x, again.x)
    assert not np.array_equal(one.x, other.x)


def test_figures_are_those_of_the_test_pictures(split):
    learned = teach.taught(teach.drawn(split, 12, 0))
    found = teach.figures(learned, split.test)
    assert found.accuracy == 1
    assert found.held
    stranger = np.eye(8, dtype=np.float32)[5:6]
    assert teach.not_sure(learned, stranger) == 1


def test_some_classes_are_numbered_in_their_order():
    x, y = np.arange(6, dtype=np.float32)[:, None], np.array([0, 1, 2, 0, 1, 2])
    some = teach.Set(x, y).of(np.array([2, 0]))
    assert some.x.ravel().tolist() == [0, 2, 3, 5]
    assert some.y.tolist() == [1, 0, 1, 0]


def test_a_peer_is_behind_only_where_we_are_better():
    ours = [teach.Beside(0.9, 0.02, 0.99, 1.0), teach.Beside(0.8, 0.02, 0.97, 2.0)]
    theirs = [teach.Beside(0.8, 0.03, 0.99, 1.0), teach.Beside(0.8, 0.03, 0.99, 1.0)]
    assert teach.advantages(ours, theirs) == ["accuracy", "calibration"]


def test_aims_are_judged_by_the_mean_of_the_draws():
    good = teach.Figures(accuracy=0.99, error=0.01, sure=0.8, right=0.99, held=True, seconds=1.0)
    bad = good._replace(accuracy=0.9, error=0.04, right=0.9, held=False)
    sizes = [*teach.ACCURACIES, *teach.CALIBRATION]
    assert all(aim.met for aim in teach.accuracy_aims(dict.fromkeys(sizes, [good] * 9 + [good._replace(held=False)])))
    missed = teach.accuracy_aims(dict.fromkeys(sizes, [good]) | {("cats or dogs", 20): [good, bad]})
    assert [aim.what for aim in missed if not aim.met] == [
        "cats or dogs, 20 each",
        "right when sure, cats or dogs, 20 each",
        "interval holds, cats or dogs, 20 each",
    ]
