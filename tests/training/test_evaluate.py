"""Every figure of a card is computed correctly for examples with a known result."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix, precision_recall_fscore_support, roc_auc_score

from inkling.recognition.card import InputSpec
from inkling.recognition.predictor import wording
from inkling.recognition.runtimes.base import Answer, Answering, tempered
from training import evaluate
from training.data import DOODLE_LABELS, Dataset, Split, halves

INK = InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="mnist")


def binary(confidence, right):
    """Two-label answers that give label 0 the stated confidences, and labels that are 1 where the answer is wrong."""
    confidence = np.asarray(confidence, np.float32)
    return np.stack([confidence, 1 - confidence], axis=1), np.where(right, 0, 1)


@pytest.fixture
def drawn_by_lot():
    """Probabilities of 20,000 pictures of 10 labels. The labels are drawn from them, so they are calibrated."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (20_000, 10))
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = (probabilities.cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1).clip(max=9)
    return probabilities.astype(np.float32), y


def test_counts_are_those_of_scikit_learn(drawn_by_lot):
    probabilities, y = drawn_by_lot
    matrix = evaluate.confusion(probabilities, y)
    predicted = probabilities.argmax(axis=1)
    assert np.array_equal(matrix, confusion_matrix(y, predicted))
    assert evaluate.accuracy(probabilities, y) == pytest.approx(np.trace(matrix) / len(y))
    classes = evaluate.class_metrics(matrix, "0123456789")
    precision, recall, _, support = precision_recall_fscore_support(y, predicted)
    assert [row.precision for row in classes] == pytest.approx(precision, abs=1e-6)
    assert [row.recall for row in classes] == pytest.approx(recall, abs=1e-6)
    assert [row.support for row in classes] == support.tolist()


def crossed(drawn_by_lot, count):
    """Probabilities at temperature 2 and a crossed data set of as many pictures."""
    probabilities, y = (part[:count] for part in drawn_by_lot)
    photos = Split(np.zeros((count, 1, 1, 3), np.uint8), y)
    dataset = Dataset("few", tuple("0123456789"), photos, photos, photos, "", crossed=True)
    return tempered(probabilities, 2), dataset


def test_with_few_pictures_each_half_is_calibrated_by_the_other(drawn_by_lot):
    raw, dataset = crossed(drawn_by_lot, 600)
    probabilities, thresholds = evaluate.calibrated(raw, dataset, temperature=9, threshold=0.1)
    for fitted, measured in halves(dataset.test.y):
        temperature, threshold = evaluate.fit_few(raw[fitted], dataset.test.y[fitted])
        assert temperature == pytest.approx(0.5, abs=0.1)
        assert probabilities[measured] == pytest.approx(tempered(raw[measured], temperature))
        assert set(thresholds[measured]) == {threshold}


def test_a_threshold_of_few_pictures_leaves_four_in_ten_sure(drawn_by_lot):
    raw, dataset = crossed(drawn_by_lot, 600)
    temperature, threshold = evaluate.fit_few(raw, dataset.test.y)
    share, _ = evaluate.sure(tempered(raw, temperature), dataset.test.y, threshold)
    assert share >= 0.4 or threshold == evaluate.LEAST_SURE


def test_many_labels_are_measured_without_tables(drawn_by_lot, monkeypatch):
    monkeypatch.setattr(evaluate, "MOST_TABLED", 9)
    raw, dataset = crossed(drawn_by_lot, 600)
    network = Answering(lambda batch: [raw[: len(batch)]])
    photo = InputSpec(kind="photo", width=8, height=8, channels=3, scaling="signed")
    metrics = evaluate.measure(network, dataset, photo, 1, 0.9)
    assert metrics.test_size == 600
    assert (metrics.classes, metrics.confusion, metrics.mistakes) == ((), (), ())


def test_a_label_that_never_comes_up_has_zeros():
    absent = evaluate.class_metrics(np.array([[3, 0], [0, 0]]), ("seen", "absent"))[1]
    assert (absent.precision, absent.recall, absent.support) == (0, 0, 0)


@pytest.mark.parametrize(
    ("confidence", "right", "error"),
    [
        ([1.0] * 4, [True] * 4, 0.0),
        ([1.0] * 4, [False] * 4, 1.0),
        ([0.8] * 10, [True] * 6 + [False] * 4, 0.2),
        ([0.8] * 10, [True] * 8 + [False] * 2, 0.0),
        # Two bins, weighted by their pictures: one is 0.1 overconfident, the other 0.3 underconfident.
        ([0.9] * 30 + [0.7] * 10, [True] * 24 + [False] * 6 + [True] * 10, 0.75 * 0.1 + 0.25 * 0.3),
        # Errors within one bin cancel: 0.61 and 0.65 are both in (9/15, 10/15].
        ([0.61, 0.65], [False, True], 0.13),
    ],
)  # fmt: skip
def test_calibration_error(confidence, right, error):
    assert evaluate.calibration_error(*binary(confidence, right)) == pytest.approx(error, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_fitted_temperature_restores_calibration(drawn_by_lot, temperature):
    probabilities, y = drawn_by_lot
    spoiled = tempered(probabilities, 1 / temperature)
    found = evaluate.fit_temperature(spoiled, y)
    assert found == pytest.approx(temperature, rel=0.05)
    assert evaluate.calibration_error(tempered(spoiled, found), y) < 0.01


def test_the_temperature_stays_within_bounds_where_every_answer_is_right():
    assert evaluate.fit_temperature(*binary([0.6] * 50, [True] * 50)) >= evaluate.TEMPERATURES[0]


def test_the_threshold_is_the_smallest_that_keeps_the_promise():
    confidence = np.linspace(0.9, 0.9999, 1000)
    probabilities, y = binary(confidence, confidence > 0.96)
    threshold = evaluate.choose_threshold(probabilities, y)
    share, accuracy = evaluate.sure(probabilities, y, threshold)
    assert accuracy >= 0.99
    below = evaluate.sure(probabilities, y, threshold - 0.001)
    assert below[0] > share
    assert below[1] < 0.99


def test_three_pictures_do_not_decide_the_threshold():
    """Only the three surest answers are all right. Below them, one in ten is wrong."""
    confidence = np.linspace(0.5, 0.999, 1000)
    right = np.arange(1000) % 10 > 0
    right[-12:-3], right[-3:] = False, True
    probabilities, y = binary(confidence, right)
    share, accuracy = evaluate.sure(probabilities, y, evaluate.choose_threshold(probabilities, y))
    assert share * 1000 >= evaluate.FEWEST
    assert 0.85 < accuracy < 0.95  # the best accuracy that is possible


def test_pictures_of_equal_confidence_stay_together():
    """99 right answers and 100 wrong ones have the same confidence, so no threshold separates them."""
    probabilities, y = binary([0.99] * 150 + [0.9] * 199, [True] * 150 + [True] * 99 + [False] * 100)
    threshold = evaluate.choose_threshold(probabilities, y)
    assert 0.9 < threshold <= 0.99
    assert evaluate.sure(probabilities, y, threshold) == pytest.approx((150 / 349, 1.0))


def test_a_few_pictures_are_judged_together():
    assert evaluate.choose_threshold(*binary([0.99, 0.95, 0.92], [True, True, False])) <= 0.92


def test_low_confidence_is_never_sure():
    """Low confidence is never called sure, even if every answer is right."""
    probabilities = np.full((200, 4), 0.1, np.float32)
    probabilities[:, 0] = 0.7
    assert evaluate.choose_threshold(probabilities, np.zeros(200, int)) == evaluate.LEAST_SURE


def test_nothing_is_sure():
    assert evaluate.sure(*binary([0.6, 0.7], [True, True]), 0.9) == (0.0, 0.0)


# ---- Familiarity ----


def test_an_unfamiliar_picture_is_never_sure():
    probabilities, y = binary([0.99, 0.99, 0.6], [True, False, True])
    assert evaluate.sure(probabilities, y, 0.9, np.array([True, False, True])) == pytest.approx((1 / 3, 1.0))


@pytest.mark.parametrize("strange", [0.025, 0.1])
def test_all_held_out_pictures_are_familiar_but_a_share(strange):
    familiarity = np.random.default_rng(0).normal(size=4_000)
    share = np.mean(familiarity >= evaluate.choose_familiar(familiarity, strange))
    assert share == pytest.approx(1 - strange, abs=1e-3)


@pytest.mark.parametrize("familiar", [None, 0.0])
@pytest.mark.parametrize("threshold", [0.6, 0.9])
def test_the_shares_of_sure_and_not_sure_match_the_wording(familiar, threshold):
    rng = np.random.default_rng(0)
    probabilities, _ = binary(rng.uniform(0.5, 1, 500), True)
    answer = Answer(probabilities, rng.normal(size=500))
    calibrated, known = tempered(probabilities, 0.8).max(axis=1), evaluate.known(answer, familiar)
    words = [
        wording(one, is_known and one >= threshold, is_known) for one, is_known in zip(calibrated, known, strict=True)
    ]
    for measured, word in ((evaluate.not_sure, "not sure"), (evaluate.called_sure, "sure")):
        assert measured(answer, 0.8, threshold, familiar) == pytest.approx(words.count(word) / len(words))


def test_auroc_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    familiar, strange = rng.normal(1, 1, 300).round(1), rng.normal(0, 1, 200).round(1)  # rounded, so there are ties
    expected = roc_auc_score([1] * 300 + [0] * 200, np.concatenate([familiar, strange]))
    assert evaluate.auroc(familiar, strange) == pytest.approx(expected)


# ---- Figures of a model's page ----


def test_bins_hold_all_pictures(drawn_by_lot):
    probabilities, y = drawn_by_lot
    bins = evaluate.bins(probabilities, y)
    assert len(bins) == 15
    assert sum(one.count for one in bins) == len(y)
    assert sum(one.count * one.accuracy for one in bins) / len(y) == pytest.approx(evaluate.accuracy(probabilities, y))
    filled = [one.confidence for one in bins if one.count]
    assert filled == sorted(filled)


def test_mistakes_are_the_commonest_pairs_with_their_surest_pictures():
    """Label 0 is taken for 1 five times and label 1 for 2 once. The other answers are right."""
    predicted, y = np.array([1, 1, 1, 1, 1, 2, 0, 1]), np.array([0, 0, 0, 0, 0, 1, 0, 1])
    confidence = np.array([0.5, 0.9, 0.6, 0.8, 0.7, 0.99, 1, 1])
    probabilities = np.zeros((8, 3))
    probabilities[np.arange(8), predicted] = confidence
    assert evaluate.mistakes(probabilities, y).tolist() == [1, 3, 4, 5]


def test_mistakes_are_not_too_many():
    rng = np.random.default_rng(0)
    assert len(evaluate.mistakes(rng.dirichlet(np.ones(20), 3_000), rng.integers(0, 20, 3_000))) == evaluate.AT_MOST


@pytest.mark.parametrize("shown", [True, False])
def test_the_sheet_shows_mistakes_in_their_order_where_the_licence_lets_it(tmp_path, shown):
    x = np.random.default_rng(0).integers(0, 256, (50, 28, 28), np.uint8)
    dataset = Dataset("toy", ("a", "b"), None, None, Split(x, np.ones(50, int)), "made here", shown)
    sure = np.linspace(0.9, 0.6, 50)
    network = Answering(lambda batch: [np.stack([sure, 1 - sure], axis=1)])
    metrics = evaluate.measure(network, dataset, INK, 1.0, 0.5, sheet=tmp_path / "mistakes.png")
    assert [(one.true, one.predicted) for one in metrics.mistakes] == [("b", "a")] * evaluate.WORST
    assert (tmp_path / "mistakes.png").exists() == shown
    if shown:
        sheet = np.asarray(Image.open(tmp_path / "mistakes.png"))
        assert sheet.shape == (28, 28 * 20)
        for i in range(evaluate.WORST):
            assert (sheet[:, 28 * i : 28 * (i + 1)] == x[i]).all()


def test_a_sheet_goes_on_in_the_next_row(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (23, 28, 28), np.uint8)
    evaluate.draw_mistakes(x, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (2 * 28, 20 * 28)
    assert (sheet[28:, 2 * 28 : 3 * 28] == x[22]).all()
    assert not sheet[28:, 3 * 28 :].any()


def test_group_accuracy_ignores_other_labels():
    probabilities = np.array([[0.3, 0.1, 0.6], [0.3, 0.2, 0.5], [0.9, 0.05, 0.05]], np.float32)
    y = np.array([0, 1, 2])
    assert evaluate.accuracy(probabilities, y) == 0
    assert evaluate.group_accuracy(probabilities, y, 2) == 0.5  # the third picture's label is outside the group


def test_measure_sees_every_picture_in_batches():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = np.zeros((300, 28, 28), np.uint8)
    x[np.arange(300), 0, y] = 255
    sizes = []

    def network(batch):
        assert batch.dtype == np.float32
        assert batch.shape[1:] == (28, 28, 1)
        assert batch.max() == 1
        sizes.append(len(batch))
        return 0.7 * batch[:, 0, :3, 0] + 0.1  # 0.8 for the true label, 0.1 for the others

    dataset = Dataset("toy", ("a", "b", "c"), None, None, Split(x, y), "made here")
    served = Answering(lambda batch: [network(batch)])
    metrics = evaluate.measure(served, dataset, INK, 0.5, 0.9, {"first two": 2})
    assert sizes == [128, 128, 44]
    assert (metrics.split, metrics.test_size, metrics.accuracy) == ("toy test", 300, 1.0)
    assert metrics.groups == {"first two": 1.0}
    assert metrics.calibration_error_before == pytest.approx(0.2, abs=1e-6)
    assert metrics.calibration_error == pytest.approx(1 - 0.64 / 0.66, abs=1e-5)
    assert (metrics.sure_share, metrics.sure_accuracy) == (
        1.0,
        1.0,
    )  # the temperature raises 0.8 to 0.64 / 0.66, above 0.9
    assert np.array_equal(metrics.confusion, np.diag(np.bincount(y)))


def matrix_of(labels):
    rng = np.random.default_rng(0)
    return rng.integers(0, 9, (len(labels), len(labels))) + 400 * np.eye(len(labels), dtype=int)


def text_of(path):
    return [element.text.strip() for element in ET.parse(path).iter("{http://www.w3.org/2000/svg}text")]


def test_a_small_confusion_matrix_has_its_numbers(tmp_path):
    matrix = matrix_of("abc")
    evaluate.draw_confusion(matrix, ("cat & <dog>", "b", "c"), tmp_path / "confusion.svg")
    text = text_of(tmp_path / "confusion.svg")
    assert text.count("cat & <dog>") == 2
    assert {str(count) for count in matrix.flat} <= set(text)


def test_a_large_confusion_matrix_has_its_labels_only(tmp_path):
    evaluate.draw_confusion(matrix_of(DOODLE_LABELS), DOODLE_LABELS, tmp_path / "confusion.svg")
    assert sorted(text_of(tmp_path / "confusion.svg")) == sorted([*DOODLE_LABELS * 2, "predicted", "true"])


@pytest.mark.parametrize("epochs", [1, 14, 60])
def test_curves_name_what_they_show(tmp_path, epochs):
    falling = np.linspace(1, 0.1, epochs)
    history = {"loss": falling, "val_loss": falling, "accuracy": 1 - falling, "val_accuracy": 1 - falling}
    evaluate.draw_curves(history, tmp_path / "curves.svg")
    text = text_of(tmp_path / "curves.svg")
    assert {"loss", "accuracy", "training", "validation", "epoch"} <= set(text)
    assert not {"0.5", "1.5"} & set(text[: text.index("epoch")])  # only whole epochs are marked


def test_figures_are_small_reproducible_and_without_metadata(tmp_path):
    for name in ("one", "two"):
        evaluate.draw_confusion(matrix_of(DOODLE_LABELS), DOODLE_LABELS, tmp_path / f"{name}.svg")
    content = (tmp_path / "one.svg").read_bytes()
    assert content == (tmp_path / "two.svg").read_bytes()
    assert len(content) < 60_000
    for word in (b"metadata", b"atplotlib v", b"<style", b"style=", b"<script"):
        assert word not in content
