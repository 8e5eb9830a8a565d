"""A predictor answers one picture or many. A model that cannot be opened does not affect the others."""

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inkling import config
from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition import inputs, local
from inkling.recognition.card import InputSpec, ModelCard
from inkling.recognition.catalog import Catalog, Model, read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Prediction, Prepared, classify, classify_one, prepare, wording
from inkling.recognition.runtimes import base, keras, openvino


@pytest.fixture
def models(models_folder, tmp_path):
    """A copy of the shipped models. Tests break it."""
    return shutil.copytree(models_folder, tmp_path / "models")


@pytest.fixture
def copied(models):
    """A predictor of that copy. It has opened no model yet."""
    return LocalPredictor(read_catalog(models), Settings.from_env({"INKLING_THREADS": "1", "INKLING_PRECISION": "f32"}))


def toy(tmp_path, network):
    """Returns a predictor with a single model whose network is the given function, and that model."""
    spec = InputSpec(kind="photo", width=8, height=8, channels=3, scaling="unit")
    card = ModelCard(name="toy", task="objects", title="Toy", labels=("no", "yes"), input=spec, files={})
    model = Model(card, tmp_path)
    predictor = LocalPredictor(Catalog({"toy": model}), Settings.from_env({}))
    predictor._runtimes[model] = base.Runtime(network, card)
    return predictor, model


def prediction(probabilities, threshold=0.9):
    labels = tuple("abcdefgh"[: len(probabilities)])
    return Prediction(
        "m", "digits", labels, np.array(probabilities, np.float32), threshold, np.zeros((28, 28, 1), np.uint8), {}
    )


# ---- Answers ----


def test_an_answer_is_complete(shipped, classifier, drawing):
    answer = classify_one(classifier, drawing, classifier.catalog.model(shipped.card.name))
    spec = shipped.card.input
    assert (answer.model, answer.task, answer.labels) == (shipped.card.name, shipped.card.task, shipped.card.labels)
    assert answer.probabilities.shape == (len(answer.labels),)
    assert answer.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert (answer.seen.shape, answer.seen.dtype) == ((spec.height, spec.width, spec.channels), np.uint8)
    assert answer.milliseconds.keys() == {"prepare", "infer"}
    assert min(answer.milliseconds.values()) > 0


def test_answers_are_calibrated_by_the_card(shipped, classifier, drawing):
    """The network's probabilities are rescaled by the card's temperature."""
    spec = shipped.card.input
    batch = inputs.scale(inputs.prepare(drawing, spec)[None], spec.scaling)
    raw = openvino.open_model(shipped, threads=1)(batch)
    expected = base.tempered(raw, shipped.card.temperature)[0]
    assert classify_one(
        classifier, drawing, classifier.catalog.model(shipped.card.name)
    ).probabilities == pytest.approx(expected, abs=1e-5)


def test_a_blank_drawing_does_not_affect_the_others(classifier, drawing, paper, ink_model):
    lying = drawing.rotate(90)
    first, blank, second = classify(classifier, [drawing, paper, lying], classifier.catalog.model(ink_model))
    assert isinstance(blank, Problem)
    assert blank.reason == "blank"
    for answer, image in ((first, drawing), (second, lying)):
        alone = classify_one(classifier, image, classifier.catalog.model(ink_model))
        assert answer.probabilities == pytest.approx(alone.probabilities, abs=1e-5)
        assert (answer.seen == alone.seen).all()
    assert (first.seen != second.seen).any()


def test_a_batch_of_blank_drawings_is_no_error(classifier, paper, ink_model):
    assert [answer.reason for answer in classify(classifier, [paper, paper], classifier.catalog.model(ink_model))] == [
        "blank",
        "blank",
    ]


def test_a_single_blank_drawing_is_rejected(classifier, paper, ink_model):
    with pytest.raises(Problem, match="nothing drawn") as caught:
        classify_one(classifier, paper, classifier.catalog.model(ink_model))
    assert caught.value.reason == "blank"


def test_paper_is_a_photo_like_any_other(classifier, paper, photo_model):
    assert classify_one(classifier, paper, classifier.catalog.model(photo_model)).probabilities.shape == (2,)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1)])
def test_any_size_is_classified(shipped, classifier, size):
    (answer,) = classify(classifier, [Image.new("RGB", size, "navy")], classifier.catalog.model(shipped.card.name))
    assert isinstance(answer, Prediction) or answer.reason == "blank"


@pytest.mark.parametrize("name", ["", "no-such-model", "../digits-cnn", "digits-cnn\0", "x" * 5000])
def test_an_unknown_model_is_rejected(classifier, drawing, ink_model, name):
    with pytest.raises(Problem) as caught:
        classify(classifier, [drawing], classifier.catalog.model(name))
    assert caught.value.reason == "unknown-model"
    assert ink_model in caught.value.message
    assert len(caught.value.message) < 500


# ---- Wording ----


@pytest.mark.parametrize(
    "confidence, sure, words",
    [
        (0.95, True, "sure"),
        (0.4, True, "sure"),
        (0.75, False, "probably"),
        (0.74, False, "not sure"),
        (0.1, False, "not sure"),
    ],
)
def test_wording(confidence, sure, words):
    assert wording(confidence, sure) == words


@pytest.mark.parametrize(
    "familiarity, limit, sure, words",
    [(None, None, True, "sure"), (-9.0, None, True, "sure"), (0.5, 0.5, True, "sure"), (0.49, 0.5, False, "not sure")],
)
def test_an_unfamiliar_picture_is_neither_sure_nor_probable(familiarity, limit, sure, words):
    answer = replace(prediction([0.01, 0.99]), familiarity=familiarity, familiar_limit=limit)
    assert (answer.sure, answer.wording) == (sure, words)


def test_each_picture_has_its_own_familiarity(shipped, classifier, drawing):
    pictures = [drawing, drawing.rotate(45, fillcolor="white"), drawing]
    answers = classify(classifier, pictures, classifier.catalog.model(shipped.card.name))
    first, second, again = (answer.familiarity for answer in answers)
    judged = shipped.card.familiar_by
    assert {answer.familiar_limit for answer in answers} == {judged.limit if judged else shipped.card.familiar}
    if first is not None:
        assert first == pytest.approx(again, abs=1e-4)
        assert first != pytest.approx(second, abs=1e-4)


@pytest.mark.parametrize("top, labels", [(None, "bca"), (1, "b"), (2, "bc"), (9, "bca")])
def test_ranked_is_most_likely_first_and_at_most_top(top, labels):
    ranked = prediction([0.125, 0.625, 0.25]).ranked(top)
    assert [label for label, _ in ranked] == list(labels)
    assert [share for _, share in ranked] == sorted((share for _, share in ranked), reverse=True)


def test_equal_probabilities_keep_the_labels_order():
    assert [label for label, _ in prediction([0.25] * 4).ranked()] == list("abcd")


@pytest.mark.parametrize("threshold, sure", [(0.625, True), (0.63, False)])
def test_sure_is_at_or_above_the_threshold(threshold, sure):
    answer = prediction([0.125, 0.625, 0.25], threshold)
    assert (answer.label, answer.confidence, answer.sure) == ("b", 0.625, sure)


# ---- Models that cannot be opened ----


def truncate(path):
    path.write_bytes(path.read_bytes()[:-100])


def test_a_truncated_model_is_off_while_the_others_serve(models, copied, drawing, ink_model, photo_model):
    truncate(models / ink_model / "model.onnx")
    copied.warm()
    assert list(copied.catalog.broken) == [ink_model]
    assert "model.onnx is not the file" in copied.catalog.broken[ink_model]
    with pytest.raises(Problem, match="is switched off: model.onnx") as caught:
        classify(copied, [drawing], copied.catalog.model(ink_model))
    assert caught.value.reason == "model-unavailable"
    assert classify_one(copied, drawing, copied.catalog.model(photo_model)).model == photo_model


def test_a_broken_model_is_noted_at_its_first_use(models, copied, drawing, ink_model):
    (models / ink_model / "model.onnx").unlink()
    assert copied.catalog.broken == {}
    with pytest.raises(Problem):
        classify(copied, [drawing], copied.catalog.model(ink_model))
    assert copied.catalog.broken == {ink_model: "model.onnx is missing"}


def test_a_broken_card_is_unavailable_not_unknown(models, ink_model):
    (models / ink_model / "card.json").write_text("{")
    with pytest.raises(Problem) as caught:
        LocalPredictor(read_catalog(models), Settings.from_env({})).catalog.model(ink_model)
    assert caught.value.reason == "model-unavailable"


@pytest.mark.parametrize(
    "change",
    [
        lambda card: {"labels": (*card.labels, "one more")},
        lambda card: {"input": card.input.model_copy(update={"channels": 3})},
    ],
    ids=["labels", "input"],
)
def test_a_network_that_contradicts_its_card_is_switched_off(models, ink_model, drawing, change):
    model = read_catalog(models).models[ink_model]
    wrong = Model(model.card.model_copy(update=change(model.card)), model.folder)
    classifier = LocalPredictor(Catalog({ink_model: wrong}), Settings.from_env({"INKLING_THREADS": "1"}))
    with pytest.raises(Problem) as caught:
        classify(classifier, [drawing], classifier.catalog.model(ink_model))
    assert caught.value.reason == "model-unavailable"


def never_finite(batch):
    """Returns probabilities for the black picture of the warm-up check and NaN for any other."""
    return [np.full((len(batch), 2), np.nan if batch.any() else 0.5, np.float32)]


def failing(batch):
    if batch.any():
        raise RuntimeError("out of registers\nand a trace")
    return [np.full((len(batch), 2), 0.5, np.float32)]


@pytest.mark.parametrize(
    "network, reason",
    [(never_finite, "the network answered with numbers that are not finite"), (failing, "out of registers")],
)
def test_a_network_that_fails_switches_its_model_off(tmp_path, photo, caplog, network, reason):
    predictor, model = toy(tmp_path, network)
    with pytest.raises(Problem, match=f"'toy' is switched off: {reason}.") as caught:
        classify_one(predictor, photo, model)
    assert caught.value.reason == "model-unavailable"
    assert predictor.catalog.broken == {"toy": reason}
    assert predictor.catalog.models == {"toy": model}
    with pytest.raises(Problem, match="switched off"):
        predictor.catalog.model("toy")
    assert caplog.messages == [f"the model 'toy' is switched off: {reason}"]


# ---- Measured speed ----


def test_warm_measures_every_model_by_the_median_of_five_runs(copied, ink_model, monkeypatch):
    runs = []
    answer = base.Runtime.answer
    monkeypatch.setattr(base.Runtime, "answer", lambda self, batch: runs.append(len(batch)) or answer(self, batch))
    model = copied.catalog.model(ink_model)
    predictor = LocalPredictor(Catalog({ink_model: model}), Settings.from_env({"INKLING_THREADS": "1"}))
    assert not predictor.milliseconds
    predictor.warm()
    assert runs == [1] * (1 + local.RUNS), "the check of the network takes one run"
    assert 0 < predictor.milliseconds[model] < 1000
    predictor.warm()
    assert len(runs) == 1 + local.RUNS


def test_a_slow_model_is_measured_by_fewer_runs(copied, ink_model, monkeypatch):
    monkeypatch.setattr(local, "RUN_SECONDS", 1e-9)
    runs = []
    answer = base.Runtime.answer
    monkeypatch.setattr(base.Runtime, "answer", lambda self, batch: runs.append(len(batch)) or answer(self, batch))
    model = copied.catalog.model(ink_model)
    LocalPredictor(Catalog({ink_model: model}), Settings.from_env({"INKLING_THREADS": "1"})).warm()
    assert len(runs) == 1 + 1, "the check of the network takes one run"


# ---- Opened once ----


def test_a_model_is_opened_once_a_process(copied, drawing, ink_model, monkeypatch):
    opened, right = [], openvino.open_model

    def count(model, *rest):
        opened.append(model.card.name)
        return right(model, *rest)

    monkeypatch.setattr(openvino, "open_model", count)
    together = threading.Barrier(8)

    def ask(_):
        together.wait()
        return classify_one(copied, drawing, copied.catalog.model(ink_model))

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(8)))
    assert opened == [ink_model]
    assert {answer.label for answer in answers} == {answers[0].label}


@pytest.mark.parametrize(
    "settings, exact, processor, faster",
    [
        ({"INKLING_PRECISION": "f32"}, False, True, True),
        ({"INKLING_PRECISION": "f32"}, False, False, False),
        ({"INKLING_PRECISION": "f32"}, True, True, False),
        ({"INKLING_PRECISION": "auto"}, False, True, False),
        ({"INKLING_PRECISION": "bf16"}, False, True, False),
        ({"INKLING_RUNTIME": "keras"}, False, True, False),
    ],
)
def test_a_fast_answer_is_approximate_where_bfloat16_is_faster(
    copied, ink_model, drawing, monkeypatch, settings, exact, processor, faster
):
    class Network(base.Runtime):
        def reduced_precision(self):
            return base.Runtime(self._network, self._card)

    def opened(model, *_):
        return Network(lambda batch: [np.full((len(batch), 10), 0.1)] * 2, model.card)

    for runtime in (openvino, keras):
        monkeypatch.setattr(runtime, "open_model", opened)
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: processor)
    card = copied.catalog.models[ink_model].card.model_copy(update={"exact": exact})
    model = Model(card, copied.catalog.models[ink_model].folder)
    predictor = LocalPredictor(Catalog({ink_model: model}), Settings.from_env(settings))
    prepared = prepare(drawing, card)
    assert not predictor.answer([prepared], model)[0].approximate
    assert predictor.answer([prepared], model, fast=True)[0].approximate == faster


@pytest.mark.parametrize(
    "wanted, kind, exact, processor, precision",
    [
        ("bf16", "ink", False, True, "bf16"),
        ("bf16", "ink", True, True, "f32"),
        ("bf16", "ink", False, False, "f32"),
        ("auto", "ink", False, True, "bf16"),
        ("auto", "ink", True, True, "f32"),
        ("auto", "photo", False, True, "bf16"),
        ("f32", "ink", False, True, "f32"),
    ],
)
def test_bfloat16_needs_a_setting_a_processor_and_a_model_that_support_it(
    copied, ink_model, monkeypatch, wanted, kind, exact, processor, precision
):
    asked = []

    def note(model, threads, precision):
        asked.append(precision)
        raise ValueError("enough")

    monkeypatch.setattr(openvino, "has_bfloat16", lambda: processor)
    monkeypatch.setattr(openvino, "open_model", note)
    model = copied.catalog.models[ink_model]
    seen = model.card.input.model_copy(update={"kind": kind})
    models = {ink_model: replace(model, card=model.card.model_copy(update={"exact": exact, "input": seen}))}
    LocalPredictor(Catalog(models), Settings.from_env({"INKLING_PRECISION": wanted})).warm()
    assert asked == [precision]


def test_features_are_computed_in_float32_while_drawings_are_answered_in_bfloat16(classifier, drawing, monkeypatch):
    asked, right = [], openvino.open_model
    model = classifier.catalog.models["doodles-cnn"]
    expected = classifier.features([prepare(drawing, model.card)], model)

    def note(model, threads, precision):
        asked.append(precision)
        return right(model, threads, "f32")

    monkeypatch.setattr(openvino, "has_bfloat16", lambda: True)
    monkeypatch.setattr(openvino, "open_model", note)
    predictor = LocalPredictor(Catalog({model.card.name: model}), Settings.from_env({}))
    picture = prepare(drawing, model.card)
    predictor.answer([picture], model)
    assert asked == ["bf16"]
    assert np.array_equal(predictor.features([picture], model), expected)
    assert asked == ["bf16", "f32"]


def test_a_fast_answer_is_of_a_second_network_that_is_compiled_once(copied, ink_model, drawing, monkeypatch):
    asked, right = [], openvino.PictureNetwork.in_precision

    def count(compiled, precision):
        asked.append(precision)
        return right(compiled, precision)

    has_bfloat16 = openvino.has_bfloat16()
    monkeypatch.setattr(openvino.PictureNetwork, "in_precision", count)
    monkeypatch.setattr(openvino, "has_bfloat16", lambda: True)
    model = copied.catalog.model(ink_model)
    prepared = prepare(drawing, model.card)
    (usual,), (fast,), (again,) = (copied.answer([prepared], model, fast) for fast in (False, True, True))
    assert asked == ["bf16"]
    assert usual.label == fast.label
    assert not has_bfloat16 or (usual.probabilities != fast.probabilities).any()
    assert usual.probabilities == pytest.approx(fast.probabilities, abs=0.05)
    assert (fast.probabilities == again.probabilities).all()


def test_warm_opens_every_model(copied, models, monkeypatch):
    copied.warm()
    monkeypatch.setattr(openvino, "open_model", None)  # raises an error if called again
    copied.warm()
    assert copied.catalog.broken == {}


@pytest.mark.parametrize("name", ["openvino", "keras"])
def test_the_runtime_of_the_settings_is_used(copied, models, ink_model, drawing, monkeypatch, name):
    def refuse(model, *_):
        raise ValueError(f"{name} was asked")

    monkeypatch.setattr({"openvino": openvino, "keras": keras}[name], "open_model", refuse)
    classifier = LocalPredictor(copied.catalog, Settings.from_env({"INKLING_RUNTIME": name}))
    with pytest.raises(Problem, match=f"{name} was asked"):
        classify(classifier, [drawing], classifier.catalog.model(ink_model))


@pytest.mark.parametrize(
    "threads, workers, cores, expected", [("0", "1", 8, 8), ("0", "4", 8, 2), ("0", "16", 8, 1), ("3", "4", 8, 3)]
)
def test_the_cores_are_shared_among_workers(copied, ink_model, drawing, monkeypatch, threads, workers, cores, expected):
    asked = []

    def note(model, threads, precision):
        asked.append((threads, precision))
        raise ValueError("enough")

    monkeypatch.setattr(openvino, "open_model", note)
    monkeypatch.setattr(config, "cores", lambda: cores)
    settings = Settings.from_env({"INKLING_THREADS": threads, "WEB_CONCURRENCY": workers, "INKLING_PRECISION": "f32"})
    classifier = LocalPredictor(copied.catalog, settings)
    with pytest.raises(Problem):
        classify(classifier, [drawing], classifier.catalog.model(ink_model))
    assert asked == [(expected, "f32")]


def test_a_prepared_picture_is_answered_once(tmp_path):
    """Several models may build on one network."""
    asked = []

    def network(batch):
        asked.append(len(batch))
        return np.tile(np.float32([0.2, 0.8]), (len(batch), 1)), np.full((len(batch), 1), len(asked), np.float32)

    predictor, model = toy(tmp_path, network)
    asked.clear()  # the runtime has checked the network
    picture, other = Prepared(np.zeros((8, 8, 3), np.uint8)), Prepared(np.zeros((8, 8, 3), np.uint8))
    (first,) = predictor.answer([picture], model)
    again, new = predictor.answer([picture, other], model)
    assert asked == [1, 1]
    assert (first.familiarity, again.familiarity, new.familiarity) == (1, 1, 2)
