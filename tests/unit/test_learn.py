"""Learning a head from features: what it answers, what it claims about itself, and what it refuses."""

import numpy as np
import openvino
import pytest

from inkling.recognition.runtimes.base import tempered
from inkling.teach import calibration, folds, head, review, solvers
from inkling.teach.learn import directions, learn


def clusters(each, classes=2, apart=1.0, size=16, seed=0):
    """Features of `each` examples of each class around a direction of its own, and their labels."""
    rng = np.random.RandomState(seed)
    middles = np.eye(size)[:classes] * apart
    y = np.repeat(np.arange(classes), each)
    return np.abs(middles[y] + rng.normal(0, 0.15, (len(y), size))).astype(np.float32), y


def names(count):
    return [f"label {i}" for i in range(count)]


@pytest.fixture(scope="module")
def learned():
    return learn(*clusters(12), names(2))


def test_it_answers_new_pictures_of_its_labels(learned):
    features, y = clusters(50, seed=1)
    answer = learned.answer(features)
    assert (answer.probabilities.argmax(axis=1) == y).mean() > 0.95
    assert np.allclose(answer.probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_same_examples_give_the_same_bits(learned):
    again = learn(*clusters(12), names(2))
    for name in ("weights", "bias", "subspace"):
        assert getattr(again, name).tobytes() == getattr(learned, name).tobytes()
    assert (again.threshold, again.familiar) == (learned.threshold, learned.familiar)
    assert again.report.model_copy(update={"seconds": 0}) == learned.report.model_copy(update={"seconds": 0})


def test_a_stranger_is_less_familiar_than_the_examples(learned):
    stranger = np.zeros((1, 16), np.float32)
    stranger[0, 9] = 1
    answer = learned.answer(stranger)
    assert answer.familiarity[0] < learned.familiar


@pytest.mark.parametrize(("each", "may"), [(9, False), (12, True)])
def test_below_ten_examples_of_a_label_no_answer_is_sure(each, may):
    features, y = clusters(12)
    kept = np.flatnonzero((y == 0) | (np.cumsum(y == 1) <= each))
    found = learn(features[kept], y[kept], names(2))
    sure = found.answer(features).probabilities.max(axis=1) >= found.threshold
    assert sure.any() == may
    assert (found.report.sure_share > 0) == may


@pytest.mark.parametrize(
    ("each", "labels", "message"), [(5, 1, "two labels"), (1, 2, "2 examples"), (0, 2, "2 examples")]
)
def test_too_little_to_learn_from_is_refused(each, labels, message):
    features, y = clusters(max(each, 1), labels)
    with pytest.raises(ValueError, match=message):
        learn(features[: each * labels], y[: each * labels], names(labels))


def test_progress_grows_to_one_and_can_end_a_training():
    told = []
    learn(*clusters(5), names(2), told.append)
    assert told == sorted(told)
    assert told[-1] == 1

    def cancel(share):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        learn(*clusters(5), names(2), cancel)


def test_near_duplicates_cannot_flatter():
    """Ten bursts of ten frames of random labels: a frame's neighbors know its label, and must not be asked."""
    rng = np.random.RandomState(0)
    scenes, y = rng.normal(size=(10, 16)), np.repeat(np.arange(10) % 2, 10)
    frames = np.repeat(scenes, 10, axis=0) + rng.normal(0, 0.01, (100, 16))
    report = learn(frames, y, names(2)).report
    assert [len(group) for group in report.duplicates] == [10] * 10
    assert report.accuracy < 0.9
    assert report.high - report.low > 0.25  # ten scenes are no hundred examples


@pytest.mark.parametrize("each", [3, 30, 60])
def test_every_fold_is_answered_without_its_near_duplicates(each):
    features, y = clusters(each, 3)
    group = folds.groups(np.repeat(directions(features), 2, axis=0).astype(float))
    fold = folds.folds(np.repeat(y, 2), group)
    assert all(len(set(fold[group == name])) == 1 for name in set(group))
    assert all(len(set(np.repeat(y, 2)[fold != name])) == 3 for name in set(fold))


def test_logistic_regression_is_solved_to_convergence():
    features, y = clusters(20, 3)
    z, weights, penalty = features.astype(float), np.ones(60), 0.01
    found = solvers.logistic(z, y, weights, 3, penalty)
    residual = calibration.softmax(z @ found[:-1] + found[-1]) - np.eye(3)[y]
    assert np.abs(z.T @ residual / 60 + penalty * found[:-1]).max() < 1e-5
    assert np.abs(residual.mean(axis=0)).max() < 1e-5


def test_ridge_regression_is_the_solution_of_its_normal_equations():
    features, y = clusters(20, 3)
    z, penalty = features.astype(float), 0.01
    (found,) = solvers.ridge(z, y, np.ones(60), 3, (penalty,))
    residual = z @ found[:-1] + found[-1] - np.eye(3)[y]
    assert np.abs(z.T @ residual / 60 + penalty * found[:-1]).max() < 1e-9


def test_classes_are_balanced():
    """Ninety of a hundred examples say nothing about which of two labels a picture between them has."""
    features, y = clusters(90, apart=0.3)
    kept = np.flatnonzero((y == 0) | (np.cumsum(y == 1) <= 10))
    found = learn(features[kept], y[kept], names(2))
    new, truth = clusters(200, apart=0.3, seed=1)
    chosen = found.answer(new).probabilities.argmax(axis=1)
    assert 0.25 < chosen.mean() < 0.75
    assert (chosen == truth).mean() > 0.5


def test_temperature_is_finite_where_all_answers_are_right():
    logits = np.array([[1.0, 0.0], [0.0, 1.0]] * 10)
    found, _ = calibration.temperature(logits, np.array([0, 1] * 10), np.ones(20))
    confidence = calibration.softmax(logits, found).max()
    assert confidence == pytest.approx(20.5 / 21, abs=0.005)  # 20 of 20 by the prior of Jeffreys


@pytest.mark.parametrize(("right", "count", "low", "high"), [(1.0, 10, 0.722, 1.0), (0.5, 100, 0.404, 0.596)])
def test_interval_is_that_of_wilson(right, count, low, high):
    assert calibration.interval(right, count) == pytest.approx((low, high), abs=0.001)


def test_wrong_labels_are_listed_first():
    features, y = clusters(20)
    wrong = [3, 25]
    y[wrong] = 1 - y[wrong]
    report = learn(features, y, names(2)).report
    assert sorted(index for index, *_ in report.doubtful[:2]) == wrong
    assert all(suggested == 1 - y[index] for index, suggested, _ in report.doubtful)


@pytest.mark.parametrize("others, is_uniform", [(0, True), (1, True), (2, False)])
def test_a_label_of_one_burst_is_named(others, is_uniform):
    features, y = clusters(12, 3)
    burst = np.flatnonzero(y == 2)[others:]
    features[burst] = features[0]  # as the first label looks, so that nothing else would tell them
    features[burst] += np.random.RandomState(1).uniform(0, 0.001, features[burst].shape)
    report = learn(features, y, names(3)).report
    assert report.uniform == (tuple(burst) if is_uniform else ())


def test_the_least_certain_picture_is_to_be_labeled_next():
    assert review.label_next(np.array([[0.9, 0.1], [0.55, 0.45], [0.3, 0.7]])) == [1, 2, 0]


@pytest.mark.parametrize(
    "confusion, needed",
    {((8, 0), (0, 8)): None, ((6, 2), (0, 8)): 0, ((8, 0), (0, 5)): 1, ((8, 0), (2, 6)): 1}.items(),
)
def test_more_pictures_are_asked_of_the_label_that_needs_them_if_there_is_one(learned, confusion, needed):
    counts = tuple(map(sum, confusion))
    report = learned.report.model_copy(update={"confusion": confusion, "counts": counts})
    assert review.advice(report) == (True, needed)


def test_a_head_file_answers_as_the_head(learned, tmp_path):
    head.write(learned, tmp_path / "head.onnx")
    compiled = openvino.Core().compile_model(
        tmp_path / "head.onnx",
        "CPU",
        {"INFERENCE_PRECISION_HINT": "f32"},  # some processors would take bfloat16
    )
    features, _ = clusters(20, seed=2)
    probabilities, familiarity = compiled(features).values()
    answer = learned.answer(features)
    assert np.abs(probabilities - answer.probabilities).max() < 1e-5
    assert np.abs(familiarity[:, 0] - answer.familiarity).max() < 1e-4
    data = (tmp_path / "head.onnx").read_bytes()
    head.write(learned, tmp_path / "head.onnx")
    assert (tmp_path / "head.onnx").read_bytes() == data


# ---- Complaints from the field ----


def test_a_stranger_to_two_classes_is_not_sure():
    """There is no class "other": the picture of a third thing is still not called one of the two."""
    features, y = clusters(20, 3)
    found = learn(features[y < 2], y[y < 2], names(2))
    answer = found.answer(clusters(50, 3, seed=1)[0][100:])
    assert (answer.familiarity < found.familiar).mean() > 0.8


def test_noise_is_no_background():
    """A class of plain walls, whose features hardly vary, does not take everything that it has not seen."""
    rng = np.random.RandomState(0)
    walls = np.abs(np.full(16, 0.3) + rng.normal(0, 0.05, (20, 16)))
    things = np.abs(np.eye(16)[3] + rng.normal(0, 0.15, (20, 16)))
    found = learn(np.vstack([walls, things]).astype(np.float32), np.repeat([0, 1], 20), ["background", "gate"])
    noise = np.abs(rng.normal(0, 1, (100, 16))) ** 3
    answer = found.answer(noise.astype(np.float32))
    sure = (answer.familiarity >= found.familiar) & (answer.probabilities.max(axis=1) >= found.threshold)
    assert sure.mean() < 0.05


def test_no_answer_reaches_the_threshold_of_one():
    """With too few examples the threshold is 1, and rounding must not lift a confidence to it."""
    features, y = clusters(9, apart=5)
    found = learn(features, y, names(2))
    assert found.threshold == 1
    certain = np.eye(16, dtype=np.float32)[:2] * 1e6
    shown = tempered(found.answer(certain).probabilities, 1.0)
    assert shown.max() < 1


def test_every_training_leaves_its_figures(learned):
    report = learned.report
    again = type(report).model_validate_json(report.model_dump_json())
    assert again == report
    assert sum(map(sum, report.confusion)) == len(report.held_out) == sum(report.counts) == 24
    assert report.low <= report.accuracy <= report.high
    assert [size for size, _ in report.curve] == [2, 5, 10, 12]
