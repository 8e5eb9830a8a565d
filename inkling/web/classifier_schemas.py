"""Schemas of the API of taught classifiers. The answers are made from them, and so is the OpenAPI document."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from inkling.recognition.strokes import StrokesBody
from inkling.teach.learn import Report
from inkling.web.schemas import PictureBody, Problem, Shape, Share

MOST_IDS = 10_000  # examples in one change
MOST_LISTED = 1000  # examples in one answer

LARGEST = 2**31 - 1  # number of a label or a version
Number = Annotated[int, Field(ge=0, le=LARGEST)]
Events = Annotated[
    Literal["all", "sure", "changed"],
    Field(description="all answers, those that are sure, or those that change the state of a source"),
]
Id = Annotated[str, Field(max_length=64)]


class Told(BaseModel):
    """Base of the answers that are made from what `Teaching` returns."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


# ---- Answers ----


class Label(Told):
    """A class of a classifier."""

    id: int
    name: str
    count: Annotated[int, Field(description="number of its examples")]


class RenamedLabel(Label):
    """A class with its new name."""

    change: Annotated[str, Field(description="id of the change, for `undo`")]


class Progress(Told):
    """How far a training is."""

    stage: Literal["waiting", "features", "learning", "failed"]
    share: Annotated[Share, Field(description="of the stage")]
    reason: Annotated[str, Field(description="why it failed; else empty")]


class Classifier(Told):
    """A classifier that somebody teaches."""

    id: str
    name: Annotated[str, Field(description="of its model, for `?model=`")]
    title: str
    kind: Literal["photo", "ink"]
    owner: str
    listed: Annotated[bool, Field(description="others find it among the models")]
    auto: Annotated[bool, Field(description="Auto may answer with it")]
    created: datetime
    labels: list[Label]
    unlabeled: Annotated[int, Field(description="number of examples without a label")]
    live: Annotated[int | None, Field(description="number of the version that answers; null if none is published")]
    newest: Annotated[int | None, Field(description="number of the version that was trained last")]
    training: Progress | None
    revision: Annotated[int, Field(description="grows with each change of the examples")]


class Classifiers(Told):
    classifiers: list[Classifier]


class Example(Told):
    """A picture that a classifier learns from."""

    id: str
    label: Annotated[int | None, Field(description="id of its label; null if it has none yet")]
    name: Annotated[str, Field(description="of the file")]
    source: Literal["file", "camera", "canvas", "correction"]
    created: datetime


class Examples(Told):
    examples: list[Example]
    next: Annotated[str | None, Field(description="as `after`, it gets the next examples; null at the end")]


class Refused(Told):
    """Takes the place of a picture that was not added."""

    name: Annotated[str, Field(description="of the file")]
    error: Problem


class Added(Told):
    """What became of each picture, in the order of the request or of the zip."""

    results: list[Example | Refused]


class Change(Told):
    """A change of examples or labels that can be undone for a day."""

    change: Annotated[str, Field(description="its id, for `undo`")]
    count: Annotated[int, Field(description="number of examples that it changed")]


class Figures(Told):
    """How good a version is, from held-out answers."""

    accuracy: Share
    low: Annotated[Share, Field(description="lower end of the 95% interval of the accuracy")]
    high: Annotated[Share, Field(description="its upper end")]
    calibration_error: Share
    sure_share: Annotated[Share, Field(description="share of the answers that are sure")]
    sure_accuracy: Annotated[Share, Field(description="accuracy among them; 0 without any")]
    seconds: Annotated[float, Field(description="time that learning took, without features")]


class VersionShort(Told):
    """A trained version with its figures."""

    number: int
    created: datetime
    revision: Annotated[int, Field(description="of the examples that it learned from")]
    labels: list[str]
    better: Annotated[
        bool | None, Field(description="than the version that was live, on the examples that both have seen")
    ]
    available: Annotated[bool, Field(description="whether it can be published; false if only its figures are kept")]
    report: Figures


class Versions(Told):
    versions: Annotated[list[VersionShort], Field(description="newest first")]


class Version(Told):
    """A trained version with its whole report."""

    number: int
    created: datetime
    revision: int
    examples: Annotated[list[str], Field(description="ids, in the order of the report's indexes")]
    labels: list[str]
    better: bool | None
    report: Report


class Doubt(Told):
    """An example whose label looks wrong."""

    example: Example
    given: Annotated[Label, Field(description="its label")]
    suggested: Annotated[Label, Field(description="the label that looks right")]
    suspicion: Annotated[Share, Field(description="probability that the given label is wrong, by the held-out answer")]


class Suggestion(Told):
    """An example without a label, and the labels that it may have."""

    example: Example
    labels: Annotated[list[Label], Field(description="most likely first")]


class Review(Told):
    """What to look at next, by the newest version. Examples that were changed since then are left out."""

    doubtful: Annotated[list[Doubt], Field(description="most suspicious first")]
    duplicates: Annotated[list[list[Example]], Field(description="groups of examples that are nearly the same")]
    uniform: Annotated[list[Label], Field(description="nearly all examples of these labels look alike")]
    next: Annotated[list[Suggestion], Field(description="to label next, the most uncertain first")]
    more: Annotated[bool, Field(description="more examples would help")]
    most_needed: Annotated[
        Label | None, Field(description="of this label most; null before the first version, and where all are alike")
    ]


class Webhook(Told):
    """Where the answers of a classifier are sent."""

    url: str
    events: Events
    failure: Annotated[str, Field(description="why the last attempt failed; empty if it did not")]
    waiting: Annotated[int, Field(description="number of messages that are still to be delivered")]


class NewWebhook(Webhook):
    """A webhook that was just set, with its secret, which is shown only once."""

    secret: Annotated[str, Field(description="signs the messages, as Standard Webhooks says")]


class Source(Told):
    """What a model says about a source, such as a camera."""

    model: str
    name: str
    state: Annotated[str, Field(description="a label, or `unknown`: three readings in a row change it")]
    changed: datetime


class Sources(Told):
    sources: list[Source]


# ---- Bodies ----


class WebhookBody(Shape):
    """Where to send answers, and which."""

    url: Annotated[str, Field(max_length=2000, description="of http or https")]
    events: Events = "all"


class NewClassifier(Shape):
    title: str
    kind: Literal["photo", "ink"] = "photo"


class ClassifierChange(Shape):
    """What is absent stays as it is."""

    title: str | None = None
    listed: bool | None = None
    auto: bool | None = None


class LabelName(Shape):
    name: str


Origin = Annotated[
    Literal["file", "camera", "canvas"] | None, Field(description="where the picture comes from; file by default")
]


class NewPicture(PictureBody):
    """A picture with its label."""

    label: Annotated[str | None, Field(description="name of its label, which is created if it is new")] = None
    origin: Origin = None


class NewDrawing(StrokesBody):
    """A drawing with its label."""

    label: Annotated[str | None, Field(description="name of its label, which is created if it is new")] = None
    origin: Origin = None


class Chosen(Shape):
    """Some examples."""

    examples: Annotated[list[Id], Field(min_length=1, max_length=MOST_IDS, description="ids of examples")]


class Move(Chosen):
    """Some examples, and the label that they get."""

    label: Annotated[Number | None, Field(description="id of the label; null takes the label away")]


class Undo(Shape):
    change: Annotated[Id, Field(description="id of the change")]


class Published(Shape):
    version: Number
