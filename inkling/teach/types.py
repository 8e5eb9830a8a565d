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
from inkling.teach.learn import Report

__all__ = [
    "ALL",
    "AnyLabel",
    "Change",
    "Classifier",
    "Example",
    "Kind",
    "Label",
    "Origin",
    "Progress",
    "Stage",
    "Version",
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
