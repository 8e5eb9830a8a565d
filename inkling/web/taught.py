"""Taught classifiers, arranged for pages: columns of examples, figures in words, and what would make them better."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flask_babel import gettext, ngettext

from inkling.teach import calibration
from inkling.teach import review as learning
from inkling.teach.learn import FEWEST
from inkling.teach.types import Classifier, Example, Label, Review, Version, VersionShort
from inkling.web import evaluation, teaching

SHOWN = 60  # pictures of a class that a page shows at first, and adds with each request for more
PEEKS = 4  # pictures on the card of a classifier
NAMED = 6  # labels on the card of a classifier
MATRIX = 20  # labels of the largest table of errors; for more, so many of the most frequent errors are listed
DOUBTS = 30  # suspicious labels, groups of duplicates and pictures to label that a page lists
POOR = 0.8  # accuracy below which labels are looked at first
CELL = 60  # pictures of one kind of error that a page shows


@dataclass(frozen=True)
class Card:
    """A classifier in the list of all."""

    classifier: Classifier
    labels: str
    pictures: Sequence[Example]
    report: "Figures | None"


@dataclass(frozen=True)
class Column:
    """The first examples of a class, or with `label` None, of those that have no label."""

    label: Label | None
    count: int
    examples: Sequence[Example]
    more: str | None  # the last example's id, if there are more


@dataclass(frozen=True)
class Figures:
    """A version's figures as a page writes them."""

    number: int
    share: str  # "94%"
    low: int  # percent
    high: int
    sure_share: str  # empty where it is never sure
    sure_right: str


@dataclass(frozen=True)
class Cell:
    """One kind of error: pictures of label `i` that were taken for label `j`."""

    i: int
    j: int
    examples: Sequence[str]


def card(classifier: Classifier) -> Card:
    """The card of a classifier in the list."""
    names = [label.name for label in classifier.labels]
    rest = len(names) - NAMED
    shown = ", ".join(names[:NAMED])
    if rest > 0:
        shown = gettext("%(things)s and %(count)s more", things=shown, count=rest)
    each = -(-PEEKS // max(1, len(names)))
    pictures = [
        example
        for label in classifier.labels[:PEEKS]
        for example in teaching().examples(classifier.id, label.id, limit=each)
    ][:PEEKS]
    number = classifier.live or classifier.newest
    known = next((figures(one) for one in teaching().versions(classifier.id) if one.number == number), None)
    return Card(classifier, shown, pictures, known)


def columns(classifier: Classifier) -> list[Column]:
    """A column for each label, and one for examples without a label if there are any."""
    found = [column(classifier, label) for label in classifier.labels]
    return ([column(classifier, None)] if classifier.unlabeled else []) + found


def column(classifier: Classifier, label: Label | None, after: str | None = None) -> Column:
    """The next `SHOWN` examples of a label after one of them, or the first."""
    examples = teaching().examples(classifier.id, label.id if label else None, after, SHOWN + 1)
    more = examples[SHOWN - 1].id if len(examples) > SHOWN else None
    return Column(label, label.count if label else classifier.unlabeled, examples[:SHOWN], more)


def figures(version: Version | VersionShort) -> Figures:
    """A version's figures in whole percent."""
    report = version.report
    return Figures(
        version.number,
        f"{report.accuracy:.0%}",
        round(report.low * 100),
        round(report.high * 100),
        f"{report.sure_share:.0%}" if report.sure_share else "",
        f"{report.sure_accuracy:.0%}" if report.sure_share else "",
    )


def idle(classifier: Classifier, newest: Version | None) -> bool:
    """Whether there is something new to learn but no training, as after a failure or a cancelled one."""
    if classifier.training and classifier.training.stage != "failed":
        return False
    enough = sum(label.count >= FEWEST for label in classifier.labels) >= 2
    return enough and (newest is None or newest.revision != classifier.revision)


def advice(classifier: Classifier, version: Version, review: Review) -> list[str]:
    """Sentences that say whether more examples would help, and of which class."""
    few = [label for label in classifier.labels if label.count < calibration.FEWEST]
    sentences = []
    if version.report.accuracy < POOR and review.doubtful:
        sentences.append(gettext("Look through the labels below first: some may be wrong."))
    if few and version.report.sure_share:
        sentences.append(
            gettext(
                "It cannot be sure yet about %(names)s: that takes %(n)s pictures of each.",
                names=_names(few),
                n=calibration.FEWEST,
            )
        )
    if review.uniform:
        sentences.append(
            gettext(
                "Within a class, nearly all pictures look alike: %(names)s. Add different ones.",
                names=_names(review.uniform),
            )
        )
    curve = version.report.curve
    if review.more and len(curve) > 1:
        (before, lower), (now, higher) = curve[-2:]
        if higher - lower > learning.GAIN:
            sentences.append(
                ngettext(
                    "More pictures would help: going from %(before)s to %(now)s per class raised the accuracy by "
                    "%(num)s point.",
                    "More pictures would help: going from %(before)s to %(now)s per class raised the accuracy by "
                    "%(num)s points.",
                    max(1, round((higher - lower) * 100)),
                    before=before,
                    now=now,
                )
            )
        else:
            sentences.append(gettext("More pictures would help."))
        if review.most_needed:
            sentences.append(gettext("The class that needs them most: %(name)s.", name=review.most_needed.name))
    elif not review.more:
        sentences.append(gettext("More pictures of the same sort would hardly help."))
    return sentences


@dataclass(frozen=True)
class Errors:
    """The pictures that a version got wrong while they were held out.

    Attributes:
        matrix: each cell of the table of errors with its shade; empty for more than `MATRIX` labels.
        pairs: for so many labels, the most frequent errors instead: (count, i, j).
        mistakes: how many errors there are.
        cell: the kind of error that was asked for.
    """

    matrix: list[list[tuple[int, int]]]
    pairs: list[tuple[int, int, int]]
    mistakes: int
    cell: Cell | None


def errors(version: Version, review: Review, requested: str) -> Errors:
    """The errors of a version.

    Args:
        requested: "2-0" for pictures of the third label that were taken for the first.
    """
    confusion = version.report.confusion
    pairs = [(count, i, j) for i, row in enumerate(confusion) for j, count in enumerate(row) if count and i != j]
    place = {name: i for i, name in enumerate(version.labels)}
    cell = None
    if match := re.fullmatch(r"(\d{1,3})-(\d{1,3})", requested):
        i, j = map(int, match.groups())
        if max(i, j) < len(confusion):
            found = [
                error.example.id
                for error in review.errors
                if (place.get(error.given.name), place.get(error.suggested.name)) == (i, j)
            ]
            cell = Cell(i, j, found[:CELL])
    mistakes = sum(count for count, _, _ in pairs)
    if len(confusion) > MATRIX:
        return Errors([], sorted(pairs, key=lambda pair: -pair[0])[:MATRIX], mistakes, cell)
    return Errors(evaluation.shaded(confusion), [], mistakes, cell)


def _names(labels: Sequence[Label]) -> str:
    return ", ".join(label.name for label in labels)
