"""Grounded answers: each number and name comes from the source that it says, for models and results of every kind."""

import re
from dataclasses import asdict, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image, ImageDraw

from inkling.ask import changes, grounded, intents
from inkling.ask.grounded import About, Computed, Question
from inkling.pictures.budget import Budget
from inkling.pictures.formats import EXTENSIONS
from inkling.recognition.catalog import Model, title_of
from inkling.recognition.groups import groups_of
from inkling.service import Decoded, Service
from inkling.storage import NONE_OF_THESE, Result, Storage
from tests.conftest import SHIPPED
from tools import words

SPENT = {"decode": 1.25, "prepare": 2.5, "infer": 30.75}


@pytest.fixture
def service(settings, classifier):
    return Service(settings, classifier, Storage(settings))


def stored(model, **values):
    """Returns a result of a model: 80% for its first label, and the rest for the next ones."""
    labels = model.card.labels[:100]
    rest = [0.2 / (len(labels) - 1)] * (len(labels) - 1)
    fields = {
        "id": "x" * 22,
        "created": datetime(2026, 5, 4, tzinfo=UTC),
        "kind": "photo" if model.card.input.kind == "photo" else "drawing",
        "model": model.card.name,
        "task": model.card.task,
        "sure": False,
        "wording": "probably",
        "familiar": True,
        "predictions": list(zip(labels, [0.8, *rest], strict=True)),
        "milliseconds": SPENT,
    }
    return Result(**fields | values)


def asked(text, service, result=None, **about):
    question = grounded.understand(text, About(service, result, **about))
    return grounded.answer(question)


def texts(answer):
    return [sentence.text for sentence in answer.sentences]


def leaves(value):
    """All numbers and texts in a structure, and the lengths of its lists."""
    if isinstance(value, dict):
        return {*value, *(leaf for item in value.values() for leaf in leaves(item))}
    if isinstance(value, list | tuple | set | frozenset):
        return {len(value), *(leaf for item in value for leaf in leaves(item))}
    return {value}


def known(source, service, result, model, computed=Computed()):  # noqa: B008
    """Everything that a source says, or that follows from it by counting."""
    if source == "settings":
        settings = service.settings
        return leaves(settings.model_dump()) | {*EXTENSIONS, settings.max_pixels / 1e6}
    if source == "card":
        cards = [one.card for one in service.predictor.catalog.models.values()]
        found = set().union(
            *(leaves(card.model_dump()) | {title_of(card)} for card in ([model.card] if model else cards))
        )
        rows = [row for card in cards if card.metrics for row in card.metrics.confusion]
        return found | {sum(row) for row in rows}
    if source == "prediction":
        titles = {one.card.title for one in service.predictor.catalog.models.values()}
        return leaves(asdict(result)) | titles | {service.storage.expires(result)}
    why = computed.explanation
    same = sum(change.same for change in computed.changes)
    return leaves(asdict(why)) | {why.confidence - why.largest, same, len(computed.changes), changes.ANGLE}


def trace(answer, *context):
    """Checks that each value is known to the source that it names; returns how many there were."""
    count = 0
    for sentence in answer.sentences:
        for name, value in sentence.values.items():
            said = value.value if isinstance(value.value, tuple) else [value.value]
            assert set(said) <= known(value.source, *context), (sentence.text, name, value)
            count += 1
        assert set(re.findall(r"%\((\w+)\)s", sentence.text)) <= sentence.values.keys(), sentence.text
    return count


RESULTS = {
    "sure": {"sure": True, "wording": "sure"},
    "probably": {},
    "not sure": {"wording": "not sure"},
    "unfamiliar": {"familiar": False, "wording": "not sure"},
    "in auto": {"route": "photo", "asked": ("things", "digits-cnn")},
    "said to be right": {"correction": "cat"},
    "said to be none": {"correction": NONE_OF_THESE},
}


@pytest.mark.parametrize("name", SHIPPED.models)
@pytest.mark.parametrize("kind", RESULTS)
def test_each_value_comes_from_the_source_that_it_names(service, name, kind):
    model = SHIPPED.models[name]
    result = stored(model, **RESULTS[kind])
    for intent in intents.INTENTS:
        question = Question(intent, About(service, result, True), model)
        answer = grounded.answer(question)
        assert answer.intent in (intent, "sure")
        assert answer.sentences
        trace(answer, service, result, None if intent == "can" else model)  # it lists all models


@pytest.mark.parametrize("intent", [intent for intent in intents.INTENTS if intent not in intents.ABOUT_A_PICTURE])
def test_so_do_answers_about_this_inkling(service, intent):
    answer = grounded.answer(Question(intent, About(service)))
    trace(answer, service, None, None)
    assert intent in ("teach", "kept", "self", "calibration", "errs") or any(one.values for one in answer.sentences)


def test_no_sentence_has_a_number_of_its_own():
    own = [
        text
        for message in words.extracted()
        for where, _ in message.locations
        if where.startswith("inkling/ask/")
        for text in (message.id if isinstance(message.id, tuple) else (message.id,))
    ]
    assert len(own) > 100
    assert [text for text in own if re.search(r"\d", text)] == []


def test_probabilities_of_an_unfamiliar_picture_are_not_told(service):
    model = SHIPPED.models["digits-hog"]
    result = stored(model, familiar=False, wording="not sure")
    for intent in ("what", "sure", "else", "none"):
        for sentence in grounded.answer(Question(intent, About(service, result), model)).sentences:
            assert not [
                one
                for one in sentence.values.values()
                if one.source == "prediction" and one.form in ("percent", "tenths")
            ]


# ---- What each answer says ----


def test_an_answer_below_the_threshold_says_so_and_one_above_it_too(service):
    model = SHIPPED.models["digits-hog"]  # its threshold is 0.9
    low = asked("how sure are you", service, stored(model))
    assert any("less than the %(threshold)s" in text for text in texts(low))
    high = stored(model, sure=True, wording="sure", predictions=[("0", 0.95), ("1", 0.05)])
    assert any("sure from %(threshold)s on" in text for text in texts(asked("how sure are you", service, high)))


def test_a_picture_of_two_things_is_the_reason_for_a_confident_answer_that_is_not_sure(service):
    found = next(model for model in SHIPPED.models.values() if model.card.elsewhere is not None)
    label, *_ = found.card.labels
    result = stored(found, predictions=[(label, 0.9999), (found.card.labels[1], 0.0001)])
    assert any("a part of the picture shows something else" in text for text in texts(asked("sure?", service, result)))


def test_the_accuracy_of_answers_as_sure_is_that_of_their_bin(service):
    model = SHIPPED.models["digits-logistic"]
    answer = asked("how sure are you", service, stored(model))
    (said,) = [sentence for sentence in answer.sentences if "about as sure" in sentence.text]
    bin = model.card.metrics.bins[11]  # 0.8 of 15 bins
    assert bin.confidence == pytest.approx(0.77, abs=0.04)
    assert (said.values["n"].value, said.values["share"].value) == (bin.count, bin.accuracy)


def test_why_not_a_label_that_the_question_names(service):
    model = SHIPPED.models["digits-cnn"]
    result = stored(model, predictions=[("7", 0.9), ("1", 0.06), ("2", 0.04)])
    answer = asked("why not a 2?", service, result)
    why = answer.sentences[0]
    assert (why.values["other"].value, why.values["less"].value, why.values["more"].value) == ("2", 0.04, 0.9)
    took = answer.sentences[1].values
    assert took["total" if "total" in took else "n"].value == sum(model.card.metrics.confusion[2])
    assert not any(sentence.values.get("other", why.values["other"]).value != "2" for sentence in answer.sentences)


@pytest.mark.parametrize("text", ["почему не собака", "а почему это не собаку?", "это собака?"])
def test_labels_are_found_by_their_names_in_the_other_language(service, text):
    model = SHIPPED.models["cats-dogs-cnn"]
    result = stored(model, predictions=[("cat", 0.9), ("dog", 0.1)])
    russian = {"cat": "кошка", "dog": "собака"}.get
    answer = asked(text, service, result, label=lambda name: russian(name, name))
    assert answer.sentences[0].values["other"].value == "dog"


def test_a_label_beyond_those_stored_is_said_to_be_missing(service):
    model = SHIPPED.models["things"]
    last = model.card.labels[-1]
    answer = asked(f"why not a {last}", service, stored(model))
    assert "not among the" in answer.sentences[0].text
    assert answer.sentences[0].values["n"].value == 100


def test_a_group_has_the_probability_of_its_stored_labels_together(service):
    model = SHIPPED.models["things"]
    dogs = [label for i, label in enumerate(model.card.labels) if "dog" in groups_of(model).of(i)][:3]
    cat = "Egyptian cat"
    result = stored(model, predictions=[(cat, 0.7), *((dog, 0.1) for dog in dogs)])
    values = asked("why not a dog", service, result).sentences[0].values
    assert (values["other"].value, values["less"].value) == ("dog", pytest.approx(0.3))


def test_an_answer_that_is_a_group_says_so(service):
    model = SHIPPED.models["things"]
    result = stored(model, predictions=[("dog", 0.95), ("beagle", 0.5)], group="dog")
    assert any("the whole group" in text for text in texts(asked("what is it", service, result)))
    assert any("all kinds" in text for text in texts(asked("how sure", service, result)))


def test_a_model_without_familiarity_says_that_it_cannot_tell(service):
    things, cnn = SHIPPED.models["things"], SHIPPED.models["digits-cnn"]
    assert any("cannot tell" in text for text in texts(asked("none of these?", service, stored(things))))
    assert any("Probably not" in text for text in texts(asked("none of these?", service, stored(cnn))))


def test_the_confusions_of_the_answers_label_come_first(service):
    model = SHIPPED.models["digits-logistic"]
    answer = asked("where does it err", service, stored(model, predictions=[("3", 0.9), ("5", 0.1)]))
    assert answer.pairs
    assert all("3" in (pair.true, pair.predicted) for pair in answer.pairs)
    for pair in answer.pairs:
        i, j = map(model.card.labels.index, (pair.true, pair.predicted))
        assert pair.count == model.card.metrics.confusion[i][j]


@pytest.mark.parametrize("text", ["how good is digits-cnn", "насколько точна digits-cnn", "How good is “Digits, CNN”?"])
def test_a_question_may_name_another_model(service, text):
    result = stored(SHIPPED.models["cats-dogs-cnn"])
    for about in (None, result):
        (first, *_) = asked(text, service, about).sentences
        assert first.values["model"].value == SHIPPED.models["digits-cnn"].card.title


def test_things_is_a_word_and_names_no_model(service):
    model = SHIPPED.models["cats-dogs-cnn"]
    answer = asked("which things does it confuse", service, stored(model))
    assert answer.sentences[0].values["model"].value == model.card.title


def test_without_its_model_an_answer_says_only_what_was_stored(service):
    result = replace(stored(SHIPPED.models["digits-cnn"]), model="gone")
    for intent in intents.ABOUT_A_PICTURE - {"why", "change"}:
        answer = grounded.answer(Question(intent, About(service, result)))
        assert answer.sentences
        assert {value.source for sentence in answer.sentences for value in sentence.values.values()} <= {"prediction"}
    for intent in ("why", "change"):
        assert "not available now" in grounded.answer(Question(intent, About(service, result))).sentences[0].text
    for intent in ("good", "errs"):
        assert "no longer installed" in grounded.answer(Question(intent, About(service, result))).sentences[0].text


def test_an_imported_model_without_measurements_says_so(service, tmp_path):
    card = SHIPPED.models["digits-cnn"].card.model_copy(update={"metrics": None, "training": None, "taught": None})
    model = Model(card, tmp_path)
    for intent in ("sure", "good", "errs", "none", "calibration"):
        trace(grounded.answer(Question(intent, About(service, stored(model)), model)), service, stored(model), model)
    good = texts(grounded.answer(Question("good", About(service), model)))
    assert any("Nobody has measured" in text for text in good)
    assert any("does not say what it was trained on" in text for text in good)


@pytest.mark.parametrize("correct, page", [(True, "right"), (False, "teach")])
def test_only_whoever_may_correct_an_answer_is_told_how(service, correct, page):
    answer = asked("how do I correct you", service, stored(SHIPPED.models["digits-cnn"]), may_correct=correct)
    assert answer.links[0].page == page
    assert any("Only the browser" in text for text in texts(answer)) != correct


def test_a_question_about_a_picture_without_one_asks_for_one(service):
    for intent in intents.ABOUT_A_PICTURE:
        answer = grounded.answer(Question(intent, About(service)))
        assert [link.page for link in answer.links] == ["start"]


# ---- What is computed ----


@pytest.fixture
def drawn(service, ink_model):
    """A 7, of which the bar decides; its stored result, and its explanation."""
    drawing = Image.new("RGB", (400, 400), "white")
    ImageDraw.Draw(drawing).line([(120, 90), (280, 90), (180, 330)], "black", 16)
    (outcome,) = service.look([Decoded(drawing, "drawing")], ink_model, Budget(60), for_saving=True)
    saved = service.keep([outcome], ink_model)
    return drawing, service.storage.get(saved.results[0]), service.explain(drawing, ink_model)


def test_why_is_the_explanation(service, drawn, ink_model):
    _, result, why = drawn
    question = grounded.understand("why?", About(service, result))
    assert question.needs_explanation
    answer = grounded.answer(question, Computed(why))
    assert trace(answer, service, result, SHIPPED.models[ink_model], Computed(why)) >= 2


def test_the_confidence_that_drops_is_the_one_that_was_stored(service, drawn):
    """Computed again from the saved picture, it differs a little."""
    _, result, why = drawn
    again = replace(why, confidence=result.confidence - 0.006, drops=((0.2, 0.0), (0.0, 0.0)))
    _, drop = grounded.what_decides(again, result)
    assert drop.values["sure"].value == result.confidence
    assert drop.values["less"].value == pytest.approx(result.confidence - 0.206)


def test_what_would_change_it_is_answered_by_the_same_model_and_the_same_path(service, drawn, ink_model):
    drawing, result, why = drawn
    question = grounded.understand("what would change your mind", About(service, result))
    assert question.needs_picture
    computed = grounded.compute(question, why, drawing, Budget(60))
    assert [change.name for change in computed.changes] == list(grounded.CHANGED)
    for change in computed.changes:
        (again,) = service.look([Decoded(change.picture, "drawing")], ink_model, Budget(60))
        assert again.prediction.label == change.answer.label
        assert again.prediction.confidence == pytest.approx(change.answer.confidence)
        assert change.same == (change.answer.label == result.label)
    answer = grounded.answer(question, computed)
    trace(answer, service, result, SHIPPED.models[ink_model], computed)
    assert answer.sentences[1].values["n"].value == sum(change.same for change in computed.changes)


def test_a_change_that_leaves_nothing_to_see_is_a_problem_in_its_place(service, drawn, monkeypatch):
    drawing, result, why = drawn
    monkeypatch.setitem(changes.CHANGES, "cropped", lambda pixels, _ink: np.full_like(pixels, 255))
    question = grounded.understand("what would change your mind", About(service, result))
    last = grounded.compute(question, why, drawing, Budget(60)).changes[-1]
    assert (last.answer.reason, last.same) == ("blank", False)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (60, 90, 3), np.uint8)


def test_only_the_hottest_tenth_is_hidden(service, drawn, pixels):
    _, _, why = drawn
    part = why.covers(0.1, 90, 60)
    assert part.shape == (60, 90)
    assert 0.02 < part.mean() < 0.2
    for ink in (True, False):
        left = changes.hidden(pixels, part, ink)
        assert (left[~part] == pixels[~part]).all()
        assert (left[part] != pixels[part]).any()


def test_a_drawing_is_hidden_by_its_paper_and_turned_on_it():
    paper = np.full((40, 40, 3), (250, 240, 230), np.uint8)
    drawing = paper.copy()
    drawing[15:25, 15:25] = 0
    everything = np.ones((40, 40), bool)
    assert (changes.hidden(drawing, everything, True) == paper).all()
    assert (changes.turned(drawing, True)[0] == paper[0]).all()


def test_each_change_does_what_its_title_says(pixels):
    assert changes.darker(pixels, False).mean() == pytest.approx(pixels.mean() / 2, rel=0.01)
    assert changes.blurred(pixels, False).std() < pixels.std()
    assert changes.cropped(pixels, False).shape == (42, 62, 3)
    line = np.zeros((101, 101, 3), np.uint8)
    line[49:52] = 255  # a level line through the middle
    turned = np.asarray(Image.fromarray(changes.turned(line, True)).convert("L"))
    y, x = np.nonzero(turned > 128)
    slope = np.polyfit(x, y, 1)[0]
    assert np.degrees(np.arctan(-slope)) == pytest.approx(changes.ANGLE, abs=1)
