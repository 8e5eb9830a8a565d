"""Answers questions from the stored prediction, the models' cards, the settings, and computations made now.

No sentence here has a number of its own: each is a `Value` that names its source.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from inkling.ask import intents
from inkling.ask.answer import Answer, Change, Link, Sentence, Source, Value, say, say_many
from inkling.ask.changes import ANGLE, try_changes
from inkling.pictures.budget import Budget
from inkling.pictures.formats import EXTENSIONS
from inkling.recognition import confusions
from inkling.recognition.card import Bin, ClassMetrics, ModelCard
from inkling.recognition.catalog import Model, title_of
from inkling.recognition.explain import Explanation
from inkling.recognition.groups import Groups, groups_of
from inkling.recognition.inputs import Picture
from inkling.service import Service
from inkling.storage import NONE_OF_THESE, Result

NEXT = 3  # other answers that an answer lists
PAIRS = 3  # pairs of confused labels that an answer shows
KINDS = 3  # kinds of unfamiliar pictures that an answer lists
ENOUGH = 20  # test pictures in a range of confidence, below which their accuracy says little

# What to offer to ask, in words that `intents` recognizes: about a result, and about this Inkling.
OF_A_RESULT: Mapping[str, Sentence] = {
    "what": say("What is it?"),
    "sure": say("How sure are you?"),
    "why": say("Why do you think so?"),
    "else": say("What else could it be?"),
    "none": say("Could it be none of these?"),
    "change": say("What would change your mind?"),
    "good": say("How good is this model?"),
    "errs": say("What does it confuse?"),
    "teach": say("How do I correct or teach it?"),
}
IN_GENERAL: Mapping[str, Sentence] = {
    "can": say("What can you do?"),
    "good": say("How good are the models?"),
    "calibration": say("What is calibration?"),
    "errs": say("What do the models confuse?"),
    "kept": say("Where are my pictures kept?"),
    "teach": say("How do I correct or teach it?"),
    "files": say("Which files do you accept?"),
    "self": say("Are you a language model?"),
}

COMPUTED = frozenset({"why", "change"})  # answers that take a computation

# Where the hottest part of a picture is, as `Explanation.where` names it.
PLACES: Mapping[str, Sentence] = {
    "upper-left": say("It looked mostly at the upper left."),
    "top": say("It looked mostly at the top."),
    "upper-right": say("It looked mostly at the upper right."),
    "left": say("It looked mostly at the left."),
    "middle": say("It looked mostly at the middle."),
    "right": say("It looked mostly at the right."),
    "lower-left": say("It looked mostly at the lower left."),
    "bottom": say("It looked mostly at the bottom."),
    "lower-right": say("It looked mostly at the lower right."),
    "several-places": say("It looked at several places."),
}
ROUTES: Mapping[str, Sentence] = {
    "photo": say("Auto took the picture for a photo."),
    "specialist": say("The model that knows most things is not installed here, so only specialists were asked."),
    "digit": say("Auto took the picture for a drawing, and it looks most like a digit."),
    "doodle": say("Auto took the picture for a drawing, and it looks most like a doodle."),
    "taught": say("A classifier that somebody taught here is sure of its answer, so that answer counts."),
}
CHANGED: Mapping[str, Sentence] = {
    "hidden": say("Its most important tenth hidden"),
    "turned": say("Turned by %(n)s degrees", n=Value(ANGLE, "count", "now")),
    "darker": say("Half as bright"),
    "blurred": say("Blurred"),
    "cropped": say("Cropped to its middle"),
}


@dataclass(frozen=True)
class About:
    """What a question is about, and who asks it.

    Attributes:
        service: with the models that whoever asks may see.
        result: the result that the question is about; None for a question about this Inkling.
        may_correct: whether whoever asks may say which label is right.
        label: the name of a label in the language of the answer.
        text: the same of a title.
    """

    service: Service
    result: Result | None = None
    may_correct: bool = False
    label: Callable[[str], str] = str
    text: Callable[[str], str] = str


@dataclass(frozen=True)
class Question:
    """A question that was understood, or not.

    Attributes:
        intent: one of `intents.INTENTS`; empty if it is none of them.
        about: what it was asked about.
        model: the model that it concerns: the one that it names, or the one that answered. None if there is none, or
            if that one is not installed any more.
        label: a label or a group of that model that the question names.
    """

    intent: str
    about: About
    model: Model | None = None
    label: str | None = None

    @property
    def needs_result(self) -> bool:
        """Whether it is about a picture, and there is none."""
        return self.intent in intents.ABOUT_A_PICTURE and self.about.result is None

    @property
    def needs_explanation(self) -> bool:
        """Whether its answer takes an explanation of the result."""
        return self._computes(*COMPUTED)

    @property
    def needs_picture(self) -> bool:
        """Whether the model is asked again."""
        return self._computes("change")

    def _computes(self, *names: str) -> bool:
        on = self.model and self.model.card.name not in self.about.service.predictor.catalog.broken
        return self.intent in names and self.about.result is not None and bool(on)


@dataclass(frozen=True)
class Computed:
    """What was computed for an answer, as far as its question needs it."""

    explanation: Explanation | None = None
    changes: tuple[Change, ...] = ()


def understand(text: str, about: About) -> Question:
    """What a question asks for."""
    catalog, result = about.service.predictor.catalog, about.result
    model = catalog.models.get(result.model) if result else None  # not one that has replaced it since
    label = _named_label(text, model, about) if model else None
    labels = intents.words_of(f"{label} {about.label(label)}") if label else ()
    named, title = _named_model(text, about)
    intent = intents.recognize(text, [*(card.name for card in catalog), *title], labels) or ""
    if named and intent in intents.ABOUT_A_MODEL:
        model, label = named, _named_label(text, named, about)
    return Question(intent, about, model, label)


def compute(question: Question, explanation: Explanation | None, original: Picture | None, budget: Budget) -> Computed:
    """Asks the model again, if the question needs it.

    Args:
        explanation: of the result, if the question needs it.
        original: what the result's model was asked about, likewise.

    Raises:
        Problem: "model-unavailable".
    """
    about = question.about
    if not (question.needs_picture and explanation and original and question.model and about.result):
        return Computed(explanation)
    changes = try_changes(about.service, about.result, original, question.model, explanation, budget)
    return Computed(explanation, changes)


def answer(question: Question, computed: Computed | None = None) -> Answer:
    """The answer to a question.

    Args:
        computed: what `compute` returned.
    """
    if not question.intent:
        return Answer("", (say("Inkling can't answer that. It can answer these questions:"),))
    if question.needs_result:
        sentences = (
            say("That is a question about one picture."),
            say("Show a photo or draw something first, then ask beside the answer."),
        )
        return Answer(question.intent, sentences, links=(Link("start"),))
    return _ANSWERS[question.intent](question, computed or Computed())


# ---- About a result ----


def _what(question: Question, _computed: Computed) -> Answer:
    result = _result(question)
    if not result.familiar:
        sentences = [
            say("This doesn't look like anything that this model was trained on."),
            say("The closest thing that it knows: “%(label)s”.", label=_label(result.label)),
        ]
    else:
        thing = Value(result.label, "named", "prediction")
        wordings = {"sure": say("It's %(thing)s.", thing=thing), "probably": say("Probably %(thing)s.", thing=thing)}
        sentences = [
            wordings.get(result.wording, say("Not sure. Perhaps %(thing)s.", thing=thing)),
            say("The confidence is %(share)s.", share=_percent(result.confidence, "prediction")),
        ]
    if result.group == result.label:
        sentences.append(say("No single kind is likely enough, so the answer is the whole group."))
    elif result.group:
        sentences.append(say("In general: %(group)s.", group=Value(result.group, "label", "prediction")))
    sentences += _correction(result)
    return Answer("what", tuple(sentences))


def _correction(result: Result) -> list[Sentence]:
    """What the browser that sent the picture said."""
    if result.correction is None:
        return []
    if result.correction == NONE_OF_THESE:
        return [say("Whoever sent the picture said that it is none of the labels.")]
    if result.correction == result.label:
        return [say("Whoever sent the picture said that this is right.")]
    return [say("Whoever sent the picture said: “%(label)s”.", label=_label(result.correction))]


def _sure(question: Question, _computed: Computed) -> Answer:
    result, card = _result(question), _card(question)
    if not result.familiar:
        sentences = [
            say("Not sure at all: the picture is unlike those that the model was trained on."),
            say("Its percentages mean nothing there, so Inkling shows none."),
        ]
        return Answer("sure", tuple(sentences), links=_model_link(question))
    values = {"label": _label(result.label), "share": Value(result.confidence, "tenths", "prediction")}
    sentences = [say("The confidence in “%(label)s” is %(share)s.", **values)]
    if result.group == result.label:
        sentences.append(say("That is the confidence in all kinds of “%(label)s” together.", label=values["label"]))
    if card:
        sentences += [*_threshold(result, card), *_tested(result, card)]
    return Answer("sure", tuple(sentences), links=_model_link(question))


def _threshold(result: Result, card: ModelCard) -> list[Sentence]:
    """What the model's threshold says about an answer to a familiar picture."""
    if card.threshold >= 1:
        return [say("This model never calls an answer sure.")]
    if result.sure:
        return [_sure_from(card)]
    if result.confidence < card.threshold:
        return [
            say(
                "That is less than the %(threshold)s from which this model calls an answer sure.",
                threshold=_share(card.threshold),
            )
        ]
    if card.elsewhere is not None:
        return [say("That would be enough, but a part of the picture shows something else, so it is not sure.")]
    return []


def _tested(result: Result, card: ModelCard) -> list[Sentence]:
    """How often answers like this one were right on test pictures."""
    if not card.metrics:
        return [_unmeasured()]
    sentences, metrics = [], card.metrics
    bin, label = _bin(result.confidence, metrics.bins), _of_label(result.label, metrics.classes)
    if bin and bin.count >= ENOUGH and result.label in card.labels:
        sentences.append(
            say_many(
                "On the %(n)s test picture about which it was about as sure, it was right %(share)s of the time.",
                "On the %(n)s test pictures about which it was about as sure, it was right %(share)s of the time.",
                n=_count(bin.count),
                share=_share(bin.accuracy),
            )
        )
    elif result.sure and metrics.sure_share:
        sentences.append(
            say(
                "Of the test pictures that it was sure about, it got %(share)s right.",
                share=_share(metrics.sure_accuracy),
            )
        )
    if label and label.support:
        sentences.append(
            say(
                "On test pictures, its answer “%(label)s” was right %(share)s of the time.",
                label=Value(label.label, "label", "card"),
                share=_share(label.precision),
            )
        )
    if sentences:
        sentences.append(say("Your picture may be harder than the test pictures."))
    return sentences


def _why(question: Question, computed: Computed) -> Answer:
    result, why = _result(question), computed.explanation
    if why is None:
        return Answer("why", (_cannot_compute(),), links=_model_link(question))
    return Answer("why", (*what_decides(why, result), what_is_enough(why)), links=(Link("why", result.id),))


def what_decides(why: Explanation, result: Result) -> list[Sentence]:
    """Where in a picture its answer comes from, and what hiding that costs.

    The confidence with nothing hidden is the stored one: computed again, it may differ by a rounding.
    """
    if not why.decides:
        return [say("No single part decides: whichever is hidden, the answer hardly changes.")]
    return [
        PLACES[why.where],
        say(
            "With the most important part hidden, confidence in “%(label)s” drops from %(sure)s to %(less)s.",
            label=Value(why.label, "label", "now"),
            sure=_percent(result.confidence, "prediction")
            if result.label == why.label
            else _percent(why.confidence, "now"),
            less=_percent(why.confidence - why.largest, "now"),
        ),
    ]


def what_is_enough(why: Explanation) -> Sentence:
    """How much of a picture is enough for its answer."""
    label = Value(why.label, "label", "now")
    if why.enough is None:
        return say("It takes the whole picture to say “%(label)s”.", label=label)
    if why.enough == 0:
        return say("Even with every part hidden, the answer is still “%(label)s”.", label=label)
    return say(
        "The most important %(share)s of the picture alone still says “%(label)s”.",
        share=_percent(why.enough, "now"),
        label=label,
    )


def _else(question: Question, computed: Computed) -> Answer:
    result, card = _result(question), _card(question)
    if question.label == result.label:
        return _sure(question, computed)
    others = result.predictions[1 : 1 + NEXT]
    sentences: list[Sentence] = []
    if result.familiar:
        sentences += [
            say("“%(label)s”: %(share)s.", label=_label(label), share=_percent(probability, "prediction"))
            for label, probability in others
            if question.label is None
        ]
    elif question.label is None:
        names = tuple(label for label, _ in others)
        sentences.append(say("Next come: %(labels)s.", labels=Value(names, "labels", "prediction")))
    other = question.label or (others[0][0] if others else None)
    if other:
        sentences += _not_that(result, question.model, other)
    if card:
        sentences.append(
            say_many(
                "It can only choose from the %(n)s label that it knows.",
                "It can only choose from the %(n)s labels that it knows.",
                n=_count(len(card.labels)),
            )
        )
    return Answer("else", tuple(sentences), links=(Link("others", result.id), *_model_link(question)))


def _not_that(result: Result, model: Model | None, other: str) -> list[Sentence]:
    """Why the answer is not another label or group."""
    sentences, card = [], model.card if model else None
    probability, label = _probability(result, model, other), _label(result.label)
    if probability is None:
        count = len(result.predictions)
        sentences.append(
            say_many(
                "“%(other)s” is not among the %(n)s likeliest answer that was stored.",
                "“%(other)s” is not among the %(n)s likeliest answers that were stored.",
                n=_count(count, "prediction"),
                other=_label(other),
            )
        )
    elif result.familiar:
        sentences.append(
            say(
                "Why not “%(other)s”: the model gives it %(less)s, and “%(label)s” %(more)s.",
                other=_label(other),
                less=_percent(probability, "prediction"),
                label=label,
                more=_percent(result.confidence, "prediction"),
            )
        )
    if card and card.metrics and card.metrics.confusion and {other, result.label} <= set(card.labels):
        row = card.metrics.confusion[card.labels.index(other)]
        count, total = row[card.labels.index(result.label)], sum(row)
        known = {"other": Value(other, "label", "card"), "label": Value(result.label, "label", "card")}
        if count:
            sentences.append(
                say_many(
                    "But it can err: it took %(n)s of %(total)s test pictures of “%(other)s” for “%(label)s”.",
                    "But it can err: it took %(n)s of %(total)s test pictures of “%(other)s” for “%(label)s”.",
                    n=_count(count),
                    total=_count(total),
                    **known,
                )
            )
        elif total:
            sentences.append(
                say_many(
                    "It took none of %(n)s test picture of “%(other)s” for “%(label)s”.",
                    "It took none of %(n)s test pictures of “%(other)s” for “%(label)s”.",
                    n=_count(total),
                    **known,
                )
            )
    return sentences


def _none(question: Question, _computed: Computed) -> Answer:
    result, card = _result(question), _card(question)
    sentences: list[Sentence] = []
    if not result.familiar:
        sentences.append(say("Yes, most likely: the picture is unlike those that the model was trained on."))
    elif card and not _tells_unfamiliar(card):
        sentences.append(say("It could be: this model cannot tell what is unlike its training pictures."))
    else:
        sentences.append(say("Probably not: the picture looks like those that the model was trained on."))
    if card:
        sentences.append(
            say_many(
                "Whatever it sees, it chooses from the %(n)s label that it knows.",
                "Whatever it sees, it chooses from the %(n)s labels that it knows.",
                n=_count(len(card.labels)),
            )
        )
        kinds = sorted(card.metrics.not_sure.items(), key=lambda kind: kind[1])[:KINDS] if card.metrics else ()
        sentences += [
            say(
                "Tested with pictures of things it does not know (%(kind)s), it answered “not sure” to %(share)s.",
                kind=Value(kind, "text", "card"),
                share=_share(share),
            )
            for kind, share in kinds
        ]
    links = (Link("right", result.id),) if question.about.may_correct else ()
    if links:
        sentences.append(say("If no label fits, say so: choose “No” under the answer, then “None of these”."))
    return Answer("none", tuple(sentences), links=links)


def _change(question: Question, computed: Computed) -> Answer:
    result, changes = _result(question), computed.changes
    if not changes:
        return Answer("change", (_cannot_compute(),), links=_model_link(question))
    same = sum(change.same for change in changes)
    sentences = [
        say("Inkling changed the picture and asked the model again."),
        say_many(
            "%(n)s of %(all)s changes left the answer “%(label)s” as it is.",
            "%(n)s of %(all)s changes left the answer “%(label)s” as it is.",
            n=_count(same, "now"),
            all=_count(len(changes), "now"),
            label=_label(result.label),
        ),
    ]
    return Answer("change", tuple(sentences), changes=changes, links=(Link("lab", result.id),))


def _who(question: Question, _computed: Computed) -> Answer:
    result, catalog = _result(question), question.about.service.predictor.catalog
    found = catalog.find(result.model)
    title = Value(found.card.title if found else result.model, "text", "prediction")
    sentences = [say("The model that answered: “%(model)s”.", model=title)]
    if result.route is None:
        sentences.append(say("It was chosen by name, so Inkling asked no other."))
    else:
        sentences.append(ROUTES[result.route])
        models = (catalog.find(name) for name in result.asked)
        titles = tuple(model.card.title for model in models if model)
        if titles:
            sentences.append(say("Auto asked: %(models)s.", models=Value(titles, "texts", "prediction")))
    return Answer("who", tuple(sentences), links=(*_model_link(question), Link("others", result.id)))


def _time(question: Question, _computed: Computed) -> Answer:
    result = _result(question)
    spent = {
        name: Value(result.milliseconds[name], "milliseconds", "prediction")
        for name in ("decode", "prepare", "infer")
        if name in result.milliseconds
    }
    if len(spent) < 3:
        return Answer("time", (say("Its times were not stored."),))
    text = say(
        "Decoding the picture took %(decode)s ms, preparing it %(prepare)s ms, and the model %(infer)s ms.", **spent
    )
    return Answer("time", (text,))


# ---- About a model ----


def _good(question: Question, _computed: Computed) -> Answer:
    if question.model is None:
        return _without_model(question, "good", _measured(question.about.service))
    card = question.model.card
    sentences: list[Sentence] = [_about(card)]
    metrics = card.metrics
    if metrics:
        sentences.append(
            say_many(
                "It got %(share)s of %(n)s test picture right (%(split)s).",
                "It got %(share)s of %(n)s test pictures right (%(split)s).",
                n=_count(metrics.test_size),
                share=_share(metrics.accuracy),
                split=Value(metrics.split, "text", "card"),
            )
        )
        if metrics.sure_share:
            sentences.append(
                say(
                    "It was sure about %(share)s of them, and right about %(right)s of those.",
                    share=_share(metrics.sure_share),
                    right=_share(metrics.sure_accuracy),
                )
            )
    else:
        sentences.append(_unmeasured())
    return Answer("good", (*sentences, *_trained(card)), links=(Link("model", card.name),))


def _trained(card: ModelCard) -> list[Sentence]:
    """What a model was trained on."""
    if card.pretrained:
        others = card.pretrained
        sentences = [
            say("Others trained its network on %(dataset)s.", dataset=Value(others.dataset, "text", "card")),
            say_many(
                "They published that it gets %(share)s of %(n)s picture right (%(test)s).",
                "They published that it gets %(share)s of %(n)s pictures right (%(test)s).",
                n=_count(others.test_size),
                share=_share(others.accuracy),
                test=Value(others.test, "text", "card"),
            ),
        ]
        if card.calibration:
            sentences.append(
                say_many(
                    "Its confidence was calibrated here on %(n)s picture.",
                    "Its confidence was calibrated here on %(n)s pictures.",
                    n=_count(card.calibration.size),
                )
            )
        return sentences
    if card.training:
        training = card.training
        sentences = [
            say_many(
                "It was trained on %(n)s picture of the data set %(dataset)s.",
                "It was trained on %(n)s pictures of the data set %(dataset)s.",
                n=_count(training.train_size),
                dataset=Value(training.dataset, "text", "card"),
            )
        ]
        if training.corrections:
            sentences.append(
                say_many(
                    "In addition, it learned from %(n)s picture that visitors corrected.",
                    "In addition, it learned from %(n)s pictures that visitors corrected.",
                    n=_count(training.corrections),
                )
            )
        return sentences
    if card.taught and card.metrics:
        count = card.metrics.test_size
        return [
            say_many(
                "Somebody taught it here with %(n)s example.",
                "Somebody taught it here with %(n)s examples.",
                n=_count(count),
            )
        ]
    return [say("Its card does not say what it was trained on.")]


def _measured(service: Service) -> list[Sentence]:
    """The accuracy of each task's best model."""
    best = (cards[0] for _, cards in service.predictor.catalog.by_task())
    return [
        say_many(
            "“%(model)s”: %(share)s of %(n)s test picture right.",
            "“%(model)s”: %(share)s of %(n)s test pictures right.",
            model=Value(card.title, "text", "card"),
            share=_share(card.metrics.accuracy),
            n=_count(card.metrics.test_size),
        )
        for card in best
        if card.metrics
    ]


def _errs(question: Question, _computed: Computed) -> Answer:
    if question.model is None:
        return _without_model(question, "errs", [say("Each model's page shows what it confuses, with pictures.")])
    card = question.model.card
    pairs = confusions.confused_pairs(card.labels, card.metrics)
    label = question.label or (question.about.result.label if question.about.result else None)
    if label:  # the errors that concern this answer come first
        pairs.sort(key=lambda pair: label not in (pair.predicted, pair.true))
    sentences = [_about(card)]
    for pair in pairs[:PAIRS]:
        sentences.append(
            say_many(
                "It took %(n)s of %(total)s test pictures of “%(true)s” for “%(predicted)s”.",
                "It took %(n)s of %(total)s test pictures of “%(true)s” for “%(predicted)s”.",
                n=_count(pair.count),
                total=_count(pair.total),
                true=Value(pair.true, "label", "card"),
                predicted=Value(pair.predicted, "label", "card"),
            )
        )
    if not pairs:
        sentences.append(
            say("It made no mistake on its test pictures.")
            if card.metrics and card.metrics.accuracy == 1
            else say("Its card does not list which labels it confuses.")
        )
    if card.limitations:
        sentences.append(say("Its limits: %(what)s", what=Value(card.limitations, "text", "card")))
    shown = tuple(pair for pair in pairs[:PAIRS] if pair.tiles)
    return Answer("errs", tuple(sentences), pairs=shown, model=card.name, links=(Link("model", card.name),))


def _without_model(question: Question, intent: str, sentences: Sequence[Sentence]) -> Answer:
    """The answer about all models, or about a result's model that is gone."""
    if question.about.result:
        return Answer(intent, (say("The model that answered is no longer installed."),), links=(Link("models"),))
    if not list(question.about.service.predictor.catalog):
        sentences = [say("There is no model here that can answer.")]
    names = [cards[0].name for _, cards in question.about.service.predictor.catalog.by_task()]
    if names:
        name = Value(names[-1], "text", "card")
        sentences = [*sentences, say("To ask about one of them, write its name, such as %(name)s.", name=name)]
    return Answer(intent, tuple(sentences), links=(Link("models"),))


# ---- About this Inkling ----


def _teach(question: Question, _computed: Computed) -> Answer:
    result, links = question.about.result, [Link("teach")]
    sentences: list[Sentence] = []
    if result and question.about.may_correct:
        links.insert(0, Link("right", result.id))
        if result.correction is None:
            sentences += [
                say("To correct this answer, choose “No” under it and say what it is."),
                say("The picture is then kept, so that the model can learn from it."),
            ]
        else:
            sentences.append(say("You have said what it is. You can take that back under the answer."))
    elif result:
        sentences.append(say("Only the browser that sent this picture can correct it."))
    else:
        sentences.append(say("To correct an answer, choose “No” under it and say what it is."))
    sentences += [
        say("To teach Inkling your own things, make a classifier: name them and add pictures of each."),
        say("It learns in seconds, on this server, and says how good it is."),
    ]
    return Answer("teach", tuple(sentences), links=tuple(links))


def _kept(question: Question, _computed: Computed) -> Answer:
    service, result = question.about.service, question.about.result
    sentences = [
        say("Your pictures stay on this server, and you can delete each one."),
        say("A photo is saved with its answer. A drawing or a camera's frame is saved only when you choose to."),
        say("Before Inkling saves a photo, it removes where and when the photo was taken."),
        say("Whoever has the link of a result can see it. Only the browser that sent it can delete it."),
    ]
    days = service.settings.retention_days
    if days:
        sentences.append(
            say_many(
                "Inkling deletes a result after %(n)s day, unless somebody corrected it.",
                "Inkling deletes a result after %(n)s days, unless somebody corrected it.",
                n=_count(days, "settings"),
            )
        )
    sentences += _leaves(question)
    if result and (expires := service.storage.expires(result)):
        sentences.append(say("This one is deleted on %(day)s at the latest.", day=Value(expires, "date", "prediction")))
    return Answer("kept", tuple(sentences), links=(Link("history"),))


def _can(question: Question, _computed: Computed) -> Answer:
    groups = question.about.service.predictor.catalog.by_task()
    sentences = [
        say("Inkling looks at a photo, a drawing or a camera's frame, and says what it is and how sure it is.")
    ]
    for _, cards in groups:
        for card in cards[:1] if not cards[0].taught else cards:
            sentences.append(
                say_many(
                    "“%(task)s”: it tells %(n)s thing apart.",
                    "“%(task)s”: it tells %(n)s things apart.",
                    task=Value(title_of(card), "text", "card"),
                    n=_count(len(card.labels)),
                )
            )
    sentences += [
        say("It also shows why it answers so, and learns your own things from examples."),
        say("Beside each answer you can ask about it."),
    ]
    return Answer("can", tuple(sentences), links=(Link("start"), Link("models")))


def _calibration(question: Question, _computed: Computed) -> Answer:
    card = question.model.card if question.model else None
    sentences = [
        say("A confidence is calibrated if it is right as often as it says."),
        say("Of ten answers at ninety percent, nine are then right."),
    ]
    if card and card.metrics:
        sentences.append(
            say(
                "On its test pictures, the confidence of “%(model)s” was off by %(share)s on average.",
                model=Value(card.title, "text", "card"),
                share=_share(card.metrics.calibration_error),
            )
        )
    if card and card.threshold < 1:
        sentences.append(_sure_from(card))
    sentences.append(
        say("To a picture unlike those of its training a model is never sure, and Inkling shows no percentage.")
    )
    return Answer("calibration", tuple(sentences), links=_model_link(question) or (Link("models"),))


def _files(question: Question, _computed: Computed) -> Answer:
    settings = question.about.service.settings
    sentences = [
        say("Inkling reads these kinds of files: %(kinds)s.", kinds=Value(tuple(EXTENSIONS), "texts", "settings")),
        say(
            "A file may have up to %(size)s MB and %(pixels)s megapixels.",
            size=Value(settings.max_bytes, "megabytes", "settings"),
            pixels=Value(settings.max_pixels / 1e6, "count", "settings"),
        ),
        say_many(
            "You can send %(n)s picture at once.",
            "You can send up to %(n)s pictures at once.",
            n=_count(settings.max_batch, "settings"),
        ),
    ]
    return Answer("files", tuple(sentences), links=(Link("help"),))


def _self(question: Question, _computed: Computed) -> Answer:
    has_chat = question.about.service.settings.chat_url
    beside = [say("A language model can answer beside them. What it says is not measured.")] if has_chat else []
    sentences = (
        say("Inkling recognizes what is in a picture. It runs on this server."),
        say(
            "These answers come from no language model: they say what Inkling measured, and where each number is from."
        ),
        *beside,
        *_leaves(question),
    )
    return Answer("self", sentences, links=(Link("models"), Link("help")))


def _leaves(question: Question) -> list[Sentence]:
    """What a language model on another server gets."""
    settings = question.about.service.settings
    if not settings.chat_url or settings.chat_is_here:
        return []
    return [
        say(
            "If you agree, the language model at %(host)s gets your questions and the picture that they are about.",
            host=Value(settings.chat_host, "host", "settings"),
        )
    ]


_ANSWERS: Mapping[str, Callable[[Question, Computed], Answer]] = {
    "what": _what,
    "sure": _sure,
    "why": _why,
    "else": _else,
    "none": _none,
    "change": _change,
    "good": _good,
    "errs": _errs,
    "teach": _teach,
    "who": _who,
    "time": _time,
    "kept": _kept,
    "can": _can,
    "calibration": _calibration,
    "files": _files,
    "self": _self,
}


# ---- Values ----


def _percent(probability: float, source: Source) -> Value:
    return Value(probability, "percent", source)


def _share(share: float) -> Value:
    return Value(share, "share", "card")


def _count(number: int, source: Source = "card") -> Value:
    return Value(number, "count", source)


def _label(name: str) -> Value:
    return Value(name, "label", "prediction")


# ---- What a question is about ----


def _result(question: Question) -> Result:
    """The result of a question that needs one."""
    if question.about.result is None:
        raise ValueError(f"{question.intent!r} is asked about a result. Received: none")
    return question.about.result


def _card(question: Question) -> ModelCard | None:
    return question.model.card if question.model else None


def _model_link(question: Question) -> tuple[Link, ...]:
    return (Link("model", question.model.card.name),) if question.model else ()


def _about(card: ModelCard) -> Sentence:
    return say("The model “%(model)s”.", model=Value(card.title, "text", "card"))


def _unmeasured() -> Sentence:
    return say("Nobody has measured on test pictures how often this model is right.")


def _sure_from(card: ModelCard) -> Sentence:
    return say("This model calls an answer sure from %(threshold)s on.", threshold=_share(card.threshold))


def _cannot_compute() -> Sentence:
    return say("The model that answered is not available now, so Inkling cannot find out.")


def _tells_unfamiliar(card: ModelCard) -> bool:
    return card.familiar is not None or card.familiar_by is not None


def _bin(confidence: float, bins: Sequence[Bin]) -> Bin | None:
    """The bin of a card that a confidence belongs to."""
    place = math.ceil(confidence * len(bins)) - 1
    return bins[min(max(place, 0), len(bins) - 1)] if bins else None


def _of_label(label: str, classes: Sequence[ClassMetrics]) -> ClassMetrics | None:
    return next((one for one in classes if one.label == label), None)


def _named_model(text: str, about: About) -> tuple[Model | None, list[str]]:
    """The model that a question names by its name or title, and the words of that. "Things" alone names no model."""
    words, catalog = intents.words_of(text), about.service.predictor.catalog
    for card in catalog:
        for name in (_words(title) for title in (card.name, card.title, about.text(card.title))):
            if (len(name) > 1 or not intents.is_word(*name)) and _contains(words, name):
                return catalog.models[card.name], name
    return None, []


@lru_cache(maxsize=8192)
def _words(name: str) -> list[str]:
    return intents.words_of(name)


def _named_label(text: str, model: Model, about: About) -> str | None:
    """The label or group of a model that a question names; the longest, so that "hot dog" is not "dog"."""
    words = intents.words_of(text)
    found = [
        (len(name), label)
        for label in dict.fromkeys((*model.card.labels, *_groups(model).names))
        for name in (_words(label), _words(about.label(label)))
        if _contains(words, name)
    ]
    return max(found)[1] if found else None


def _groups(model: Model) -> Groups:
    try:
        return groups_of(model)
    except ValueError:  # its file is damaged, which makes the model unavailable and leaves its results
        return Groups()


def _probability(result: Result, model: Model | None, name: str) -> float | None:
    """The stored probability of a label, or of all labels of a group together; None for a label that was not stored."""
    ranked = dict(result.predictions)
    if model and name not in ranked and name in _groups(model).names:
        labels, groups = model.card.labels, _groups(model)
        return sum(
            share for label, share in ranked.items() if label in labels and name in groups.of(labels.index(label))
        )
    return ranked.get(name)


def _contains(words: Sequence[str], name: Sequence[str]) -> bool:
    """Whether a name stands among words, in the singular or with the ending of another form."""
    return any(
        all(_is_form(word, other) for word, other in zip(words[i : i + len(name)], name, strict=True))
        for i in range(len(words) - len(name) + 1)
    ) and bool(name)


def _is_form(word: str, name: str) -> bool:
    """Whether a word is a name or a form of it: "cats", "собаку"."""
    if word == name or word in (f"{name}s", f"{name}es"):
        return True
    return name[:1] >= "а" and len(name) > 3 and word.startswith(name[:-1]) and len(word) <= len(name) + 2
