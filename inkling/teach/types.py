"""What pages, API and command line are told about a person's own classifiers."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from inkling.teach.learn import Report

Kind = Literal["photo", "ink"]
Origin = Literal["file", "camera", "canvas", "correction"]
Stage = Literal["waiting", "features", "learning", "failed"]


class _All(Enum):
    ALL = "all"


ALL: Final = _All.ALL  # examples of every label, and those without one
AnyLabel = int | None | Literal[_All.ALL]


@dataclass(frozen=True)
class Label:
    """A class of a classifier."""

    id: int
    name: str
    count: int  # of its examples


@dataclass(frozen=True)
class Progress:
    """How far the training of a classifier is."""

    stage: Stage
    share: float = 0.0  # of the stage, from 0 to 1
    reason: str = ""  # why it failed


@dataclass(frozen=True)
class Classifier:
    """A classifier that somebody teaches.

    Attributes:
        id: 22 characters that nobody can guess.
        name: the name of its model, unique among all models.
        owner: the principal that may teach it.
        listed: whether others find it among the models.
        auto: whether Auto may answer with it.
        unlabeled: the number of its examples without a label.
        live: the number of the version that answers; None before the first one is published.
        newest: the number of the version that was trained last; None before the first training.
        training: how far its training is; None while there is nothing to do.
        revision: grows with each change of its examples.
    """

    id: str
    name: str
    title: str
    kind: Kind
    owner: str
    listed: bool
    auto: bool
    created: datetime
    labels: tuple[Label, ...]
    unlabeled: int
    live: int | None
    newest: int | None
    training: Progress | None
    revision: int


@dataclass(frozen=True)
class Example:
    """A picture that a classifier learns from.

    Attributes:
        label: the id of its label; None if it has none yet.
        name: the file's name, for people to read; may be empty.
    """

    id: str
    label: int | None
    name: str
    source: Origin
    created: datetime


@dataclass(frozen=True)
class Change:
    """A change of examples or labels that `Teaching.undo` can take back for a day."""

    id: str
    count: int  # of the examples that it changed


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
    report: "Report"
    better: bool | None
