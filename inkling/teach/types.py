"""What pages, API and command line are told about a person's own classifiers. Most of it is what storage hands out."""

from dataclasses import dataclass
from datetime import datetime

from inkling.storage.taught import (
    ALL,
    AnyLabel,
    Change,
    Classifier,
    Example,
    Kind,
    Label,
    Origin,
    Progress,
    Stage,
)
from inkling.teach.learn import Figures, Report

__all__ = [
    "ALL",
    "AnyLabel",
    "Change",
    "Classifier",
    "Doubt",
    "Example",
    "Kind",
    "Label",
    "Origin",
    "Progress",
    "Review",
    "Stage",
    "Suggestion",
    "Version",
    "VersionShort",
]


@dataclass(frozen=True)
class Version:
    """One training of a classifier.

    Attributes:
        number: from 1.
        revision: of the classifier's examples, at the start of the training.
        examples: the ids of the examples, in the order of the report's indexes.
        labels: the names of the labels, in the order of the answers.
        better: whether it is better than the version that was live, on the examples that both have seen; None without
            such a version.
    """

    number: int
    created: datetime
    revision: int
    examples: tuple[str, ...]
    labels: tuple[str, ...]
    report: Report
    better: bool | None


@dataclass(frozen=True)
class VersionShort:
    """One training in the list of all, as `Version` describes it, with the figures that the list shows.

    Attributes:
        available: whether it can be published; False if only its figures are kept.
    """

    number: int
    created: datetime
    revision: int
    labels: tuple[str, ...]
    report: Figures
    better: bool | None
    available: bool


@dataclass(frozen=True)
class Doubt:
    """An example whose label looks wrong.

    Attributes:
        given: its label.
        suggested: the label that looks right.
        suspicion: the probability that the given one is wrong, by the held-out answer.
    """

    example: Example
    given: Label
    suggested: Label
    suspicion: float


@dataclass(frozen=True)
class Suggestion:
    """An example without a label, and the labels that it may have, most likely first."""

    example: Example
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class Review:
    """What to look at next, by the newest version. Examples that were changed since then are left out.

    Attributes:
        errors: examples whose held-out answer is another label, most suspicious first.
        doubtful: those whose label may be wrong. Where nearly all examples of a label look alike, little is left to
            learn from while they are held out, and an error says nothing against their label.
        duplicates: groups of examples that are nearly the same.
        uniform: labels of which nearly all examples look alike, so that it cannot be known how well they are told.
        next: examples to label next, the most uncertain first.
        more: whether more examples would help.
        most_needed: the label that needs them most; None before the first version, and where all are alike.
    """

    errors: tuple[Doubt, ...] = ()
    doubtful: tuple[Doubt, ...] = ()
    duplicates: tuple[tuple[Example, ...], ...] = ()
    uniform: tuple[Label, ...] = ()
    next: tuple[Suggestion, ...] = ()
    more: bool = True
    most_needed: Label | None = None
