"""Runtimes answer any batch in any number of threads, and refuse networks that do not fit their cards."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper, save

from inkling import config
from inkling.recognition import inputs
from inkling.recognition.card import InputSpec, ModelCard, sha256
from inkling.recognition.runtimes import base, openvino
from inkling.recognition.runtimes import keras as keras_runtime


def pictures(card, count):
    """Noise, flat gray and a stroke, scaled as the network expects."""
    spec = card.input
    batch = np.random.default_rng(0).integers(0, 256, (count, spec.height, spec.width, spec.channels), np.uint8)
    batch[1::3] = 128
    batch[2::3] = 0
    batch[2::3, 5:-5, spec.width // 2 - 1 : spec.width // 2 + 2] = 255
    return inputs.scale(batch, spec.scaling)


@pytest.mark.parametrize(
    "said, expected",
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("1600000 100000", 8),
        ("", 8),
        (None, 8),
    ],
)
def test_the_cores_are_those_that_the_container_may_use(monkeypatch, tmp_path, said, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)))
    monkeypatch.setattr(config, "QUOTA", tmp_path / "cpu.max")
    if said is not None:
        (tmp_path / "cpu.max").write_text(said + "\n")
    assert config.cores() == expected


@pytest.fixture(scope="module")
def network(shipped):
    """Each shipped model, opened as the app opens it."""
    return openvino.open_model(shipped, threads=1)


@pytest.fixture(scope="module")
def digits(classifier, ink_model):
    """One small model, for tests that do not depend on the network."""
    return classifier.catalog.model(ink_model)


@pytest.fixture(scope="module")
def digits_network(digits):
    return openvino.open_model(digits, threads=1)


def test_a_model_that_bfloat16_would_change_is_marked_exact(shipped, network):
    if not openvino.has_bfloat16():
        pytest.skip("this processor has no bfloat16")
    batch = pictures(shipped.card, 30)
    apart = np.abs(openvino.open_model(shipped, 1, "bf16")(batch) - network(batch)).max()
    assert apart > 0
    assert apart < 0.3 or shipped.card.exact


def test_reduced_precision_answers_nearly_the_same(shipped, network):
    fast = network.reduced_precision()
    assert fast is not network
    batch = pictures(shipped.card, 6)
    assert fast(batch).shape == network(batch).shape
    if not shipped.card.exact:
        assert fast(batch) == pytest.approx(network(batch), abs=0.3)


@pytest.mark.parametrize("error", [RuntimeError, ValueError])
def test_a_model_without_reduced_precision_stays_as_it_is(digits_network, monkeypatch, error):
    def refuse(compiled, precision):
        raise error("not that one")

    monkeypatch.setattr(openvino.PictureNetwork, "in_precision", refuse)
    assert digits_network.reduced_precision() is digits_network


@pytest.mark.parametrize("count", [1, 2, 7])
def test_an_answer_does_not_depend_on_the_batch(shipped, network, count):
    batch = pictures(shipped.card, 7)
    alone = np.concatenate([network(batch[i : i + 1]) for i in range(count)])
    together = network(batch[:count])
    assert together.shape == (count, len(shipped.card.labels))
    assert together == pytest.approx(alone, abs=1e-5)


def test_batches_are_answered_as_one_batch_by_any_number_of_threads(digits, digits_network):
    """Each call frees the memory of its batches when no other call is running."""
    batch = pictures(digits.card, 7)
    expected = digits_network.answer(batch)

    def ask(_):
        return [digits_network.answer_all([batch[:3], batch[3:6], batch[6:]]) for _ in range(4)]

    with ThreadPoolExecutor(3) as threads:
        answers = sum(threads.map(ask, range(3)), [])
    assert len(answers) == 12
    for answer in answers:
        assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-5)
        assert answer.familiarity == pytest.approx(expected.familiarity, abs=1e-3)


class Counting(base.Runtime):
    """A runtime that counts how often it frees memory."""

    given_back = 0

    def release(self):
        self.given_back += 1


@pytest.mark.parametrize("sizes, given_back", [([1], 0), ([1, 1], 0), ([2], 1), ([4, 4, 1], 1)])
def test_memory_is_freed_once_after_a_batch(digits, digits_network, sizes, given_back):
    counting = Counting(digits_network._network, digits.card)
    assert len(counting.answer_all(pictures(digits.card, size) for size in sizes).probabilities) == sum(sizes)
    assert counting.given_back == given_back
    counting.answer_all([pictures(digits.card, 1)])
    assert counting.given_back == given_back


def test_the_last_call_frees_the_memory(digits, digits_network):
    counting = Counting(digits_network._network, digits.card)

    def batches():
        yield pictures(digits.card, 2)
        counting.answer_all([pictures(digits.card, 2)])  # stands for another thread's call
        assert counting.given_back == 0

    counting.answer_all(batches())
    assert counting.given_back == 1


def test_a_failed_call_frees_the_memory_too(digits, digits_network):
    counting = Counting(digits_network._network, digits.card)
    with pytest.raises(RuntimeError):
        counting.answer_all([pictures(digits.card, 2), np.zeros((1, 3, 3, 9), np.float32)])
    assert counting.given_back == 1


def test_rows_are_probabilities(shipped, network):
    answer = network(pictures(shipped.card, 7))
    assert answer.dtype == np.float32
    assert answer.min() >= 0
    assert answer.sum(axis=1) == pytest.approx(np.ones(7), abs=1e-5)


def test_different_pictures_get_different_answers(shipped, network):
    """Otherwise the tests above would pass for a network whose answer is always the same."""
    answer = network(pictures(shipped.card, 3))
    assert np.abs(answer[0] - answer[2]).max() > 1e-6


def test_many_threads_get_the_answers_of_one(digits, digits_network):
    batch = pictures(digits.card, 6)
    alone = [digits_network(batch[i : i + 1]) for i in range(6)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda i: digits_network(batch[i % 6 : i % 6 + 1]), range(96)))
    for i, answer in enumerate(answers):
        assert answer == pytest.approx(alone[i % 6], abs=1e-5)


def test_an_answer_stays_as_it_is_when_the_next_comes(digits, digits_network):
    batch = pictures(digits.card, 3)
    first = digits_network(batch[:1])
    before = first.copy()
    digits_network(batch[2:])
    assert (first == before).all()


def test_a_sigmoid_becomes_two_columns():
    two = base.probabilities(np.array([[0.25], [1.0]]))
    assert two.dtype == np.float32
    assert two.tolist() == [[0.75, 0.25], [0.0, 1.0]]


def test_more_columns_stay_as_they_are():
    assert base.probabilities([[0.25, 0.75]]).tolist() == [[0.25, 0.75]]


def test_a_network_with_other_labels_than_the_card_is_refused(digits):
    card = digits.card.model_copy(update={"labels": (*digits.card.labels, "one more")})
    expected = f"must answer {len(card.labels)} labels. Received: {len(card.labels) - 1}"
    with pytest.raises(ValueError, match=expected):
        openvino.open_model(replace(digits, card=card), threads=1)(pictures(card, 1))


@pytest.mark.parametrize("second", [False, True])
def test_a_network_that_answers_no_rows_is_refused(digits, second):
    labels = len(digits.card.labels)
    row = np.full((1, labels), 1 / labels, np.float32)
    with pytest.raises(ValueError, match="must answer a row of labels for each picture"):
        base.Runtime(lambda batch: [row, np.zeros(1)] if second else [row[0]], digits.card)


def test_a_shared_network_is_read_once_and_answers_the_same(digits, digits_network, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino, "_shared", {})
    openvino.share([replace(digits, folder=tmp_path), digits])  # the first one's file is missing
    monkeypatch.setattr(openvino, "_folded", lambda path: pytest.fail(f"{path} was read again"))
    batch = pictures(digits.card, 3)
    np.testing.assert_array_equal(openvino.open_model(digits, threads=1)(batch), digits_network(batch))


def test_a_file_that_changed_after_it_was_shared_is_read_again(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino, "_shared", {})
    openvino.share([digits])
    (tmp_path / "model.onnx").write_bytes(b"another network")
    card = digits.card.model_copy(update={"files": {"model.onnx": sha256(tmp_path / "model.onnx")}})
    with pytest.raises(ValueError, match="."):
        openvino.open_model(replace(digits, card=card, folder=tmp_path))


@pytest.mark.parametrize(
    "open_model, name", [(openvino.open_model, "model.onnx"), (keras_runtime.open_model, "model.keras")]
)
def test_a_file_that_is_not_the_cards_is_not_opened(digits, tmp_path, open_model, name):
    (tmp_path / name).write_bytes((digits.folder / "model.onnx").read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"^{name} is not the file that the card describes"):
        open_model(replace(digits, folder=tmp_path))


def test_a_file_that_is_no_network_is_a_value_error(digits, tmp_path):
    """The file is refused even if its checksum matches."""
    (tmp_path / "model.onnx").write_bytes(b"not a network")
    card = digits.card.model_copy(update={"files": {"model.onnx": sha256(tmp_path / "model.onnx")}})
    with pytest.raises(ValueError, match="."):
        openvino.open_model(replace(digits, card=card, folder=tmp_path))


@pytest.mark.parametrize(
    "node, weights",
    [
        ("Tile", np.int64([1, 100_000, 100_000, 1])),
        ("Resize", np.float32([1, 30_000, 30_000, 1])),
        ("Pad", np.int64([0, 0, 0, 0, 0, 200_000, 200_000, 0])),
    ],
    ids=["Tile", "Resize", "Pad"],
)
def test_a_small_file_that_asks_for_much_memory_is_refused(tmp_path, node, weights):
    path, given = tmp_path / "model.onnx", ["x", "", "w"] if node == "Resize" else ["x", "w"]
    graph = helper.make_graph(
        [helper.make_node(node, given, ["t"]), helper.make_node("ReduceMean", ["t"], ["y"], axes=[1, 2], keepdims=0)],
        "large",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 8, 8, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(weights, "w")],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    assert path.stat().st_size < 500
    with pytest.raises(ValueError, match="has a tensor of [0-9]+ values"):
        openvino.compile_onnx(path, 1)


@pytest.mark.parametrize("outputs, familiarity", [(([[0.2, 0.8]],), None), (([[0.2, 0.8]], [[1.5]]), [1.5])])
def test_familiarity_is_the_second_output(outputs, familiarity):
    answer = base.Answering(lambda batch: [np.array(output) for output in outputs]).answer(None)
    assert answer.probabilities.tolist() == pytest.approx(np.array([[0.2, 0.8]]))
    assert (answer.familiarity is None) == (familiarity is None)
    assert familiarity is None or answer.familiarity.tolist() == familiarity


def test_a_network_may_name_its_outputs():
    """The names decide, whatever the order."""

    def network(batch):
        return np.array([[1.0, 2.0, 3.0]]), np.array([[0.2, 0.8]])

    network.outputs = ("features", "probabilities")
    answer = base.Answering(network).answer(None)
    assert answer.features.tolist() == [[1, 2, 3]]
    assert answer.probabilities.tolist() == pytest.approx(np.array([[0.2, 0.8]]))
    assert answer.familiarity is None


def test_only_unsure_pictures_are_also_shown_mirrored():
    shown = []

    def network(batch):
        """The first pixel of the first row is the probability of the first label, and the familiarity."""
        first = batch[:, 0, 0]
        shown.append(len(batch))
        return np.hstack([first, 1 - first]), first

    sure, unsure = [[[0.95], [0.1]]], [[[0.6], [0.2]]]
    answer = base.Answering(network, mirror_below=0.9).answer(np.array([sure, unsure], np.float32))
    assert answer.probabilities == pytest.approx(np.array([[0.95, 0.05], [0.4, 0.6]]))
    assert answer.familiarity == pytest.approx(np.array([0.95, 0.4]))
    assert shown == [2, 1]
    base.Answering(network, mirror_below=0.9).answer(np.array([sure], np.float32))
    assert shown == [2, 1, 1]


def test_a_network_without_the_familiarity_that_its_card_asks_for_is_refused():
    """Otherwise every picture would be familiar."""
    spec = InputSpec(kind="photo", width=8, height=8, channels=3, scaling="unit")
    card = ModelCard(name="a", task="objects", title="A", labels=("a", "b"), input=spec, files={}, familiar=0.5)
    with pytest.raises(ValueError, match="must have a second output"):
        base.Runtime(lambda batch: [np.array([[0.2, 0.8]])], card)


@pytest.mark.parametrize("answer", [[[2.0, -1.0]], [[0.2, 0.3]], [[1.7]], [[np.nan, np.nan]]])
def test_a_network_that_answers_no_probabilities_is_refused(answer):
    """Otherwise logits would pass for probabilities, and wrong answers for sure ones."""
    spec = InputSpec(kind="photo", width=8, height=8, channels=3, scaling="unit")
    card = ModelCard(name="a", task="objects", title="A", labels=("a", "b"), input=spec, files={})
    with pytest.raises(ValueError, match=r"must answer probabilities, not logits\. Received: \["):
        base.Runtime(lambda batch: [np.array(answer)], card)


@pytest.mark.parametrize("file", [True, False], ids=["listed but missing", "not listed"])
def test_without_a_keras_file_the_command_that_makes_it_is_named(digits, tmp_path, file):
    files = {"model.keras": "0" * 64} if file else {}
    card = digits.card.model_copy(update={"files": files})
    with pytest.raises(ValueError, match="model.keras") as caught:
        keras_runtime.open_model(replace(digits, card=card, folder=tmp_path))
    assert f"`{card.training.command}` makes it again" in str(caught.value)
    with pytest.raises(ValueError, match="it comes from where the model was trained"):
        keras_runtime.open_model(replace(digits, card=card.model_copy(update={"training": None}), folder=tmp_path))


@pytest.mark.parametrize("temperature", [0.25, 1, 1.7, 5])
def test_tempering_is_softmax_of_the_logits_over_the_temperature(temperature):
    def softmax(logits):
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    logits = np.random.default_rng(0).normal(0, 2, (50, 10))
    tempered = base.tempered(softmax(logits).astype(np.float32), temperature)
    assert tempered == pytest.approx(softmax(logits / temperature), abs=1e-5)


def test_tempering_bears_certainty():
    tempered = base.tempered(np.array([[1, 0, 0]], np.float32), 0.1)
    assert np.isfinite(tempered).all()
    assert tempered.sum() == pytest.approx(1)
