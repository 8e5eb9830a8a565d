"""The shapes of requests and answers, written by `python -m tools.client` from the OpenAPI document."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class Added(TypedDict):
    """What became of each picture, in the order of the request or of the zip."""

    results: list[Example | Refused]


class Answered(TypedDict):
    """The answer to a question. Each number in it says where it comes from."""

    # what the question was understood as; null: not understood
    intent: str | None
    # of the answer: that of the question
    language: Literal["en", "ru"]
    # all sentences
    text: str
    sentences: list[AnsweredSentence]
    # for “What would change your mind?”
    changes: list[AnsweredChange]
    # for “What does it confuse?”, those with pictures
    confusions: list[AnsweredConfusion]
    links: list[AnsweredLink]
    # other questions to ask
    questions: list[str]


class AnsweredChange(TypedDict):
    """A changed copy of the picture, and the same model's answer to it; null where it gave none."""

    change: Literal["hidden", "turned", "darker", "blurred", "cropped"]
    title: str
    # whether the label is still the stored one
    same: bool
    label: str | None
    confidence: float | None
    familiar: bool | None
    # a data URL, at most 160 pixels a side
    picture: str


class AnsweredConfusion(TypedDict):
    """Test pictures of one label that the model took for another."""

    true: str
    predicted: str
    count: int
    # test pictures of the true label
    total: int


class AnsweredLink(TypedDict):
    text: str
    url: str


class AnsweredSentence(TypedDict):
    text: str
    values: list[AnsweredValue]


class AnsweredValue(TypedDict):
    """A number or a name in a sentence."""

    name: str
    # as the sentence writes it
    text: str
    value: float | str | list[str]
    # the stored prediction, the model's card, a computation made now, or the server's settings
    source: Literal["prediction", "card", "now", "settings"]


class AskBody(TypedDict):
    """A question, in English or Russian."""

    question: str
    # the id of a saved result; without it, about this Inkling
    result: NotRequired[str | None]


class Change(TypedDict):
    """A change of examples or labels that can be undone for a day."""

    # its id, for `undo`
    change: str
    # number of examples that it changed
    count: int


class ChatBody(TypedDict):
    """A question to the language model."""

    question: str
    # the id of a saved result; without it, about this Inkling
    result: NotRequired[str | None]
    # questions and answers before, oldest first: the server keeps none
    history: NotRequired[list[ChatTurn]]


class ChatTurn(TypedDict):
    question: str
    answer: str


class Chosen(TypedDict):
    """Some examples."""

    # ids of examples
    examples: list[str]


class Classifier(TypedDict):
    """A classifier that somebody teaches."""

    id: str
    # of its model, for `?model=`
    name: str
    title: str
    kind: Literal["photo", "ink"]
    owner: str
    # others find it among the models
    listed: bool
    # Auto may answer with it
    auto: bool
    created: str
    labels: list[Label]
    # number of examples without a label
    unlabeled: int
    # number of the version that answers; null if none is published
    live: int | None
    # number of the version that was trained last
    newest: int | None
    training: Progress | None
    # grows with each change of the examples
    revision: int


class ClassifierChange(TypedDict):
    """What is absent stays as it is."""

    title: NotRequired[str | None]
    listed: NotRequired[bool | None]
    auto: NotRequired[bool | None]


class Classifiers(TypedDict):
    classifiers: list[Classifier]


class Doubt(TypedDict):
    """An example whose label looks wrong."""

    example: Example
    # its label
    given: Label
    # the label that looks right
    suggested: Label
    # probability that the given label is wrong, by the held-out answer
    suspicion: float


class Example(TypedDict):
    """A picture that a classifier learns from."""

    id: str
    # id of its label; null if it has none yet
    label: int | None
    # of the file
    name: str
    source: Literal["file", "camera", "canvas", "correction"]
    created: str


class Examples(TypedDict):
    examples: list[Example]
    # as `after`, it gets the next examples; null at the end
    next: str | None


class ExplainMilliseconds(TypedDict):
    decode: float
    explain: float


class Explanation(TypedDict):
    """Which parts of a picture its answer depends on, measured by hiding each in turn (Zeiler and Fergus
    2014).
    """

    model: str
    task: str
    label: str
    # calibrated, with nothing hidden
    confidence: float
    # where the most important parts are: "upper-left", "middle", "several-places" …
    where: str
    # for each part, row by row: the drop in confidence while it is hidden; below 0 it rises
    drops: list[list[float]]
    # the area of the grid: left, top, right and bottom as fractions of the picture's width and height. It can
    # extend beyond the picture: the grid of a drawing covers the square that the model saw, and that of a
    # photo longer than 3:2 includes its padding
    field: list[float]
    # the smallest share of the picture whose most important parts alone get the same answer (a sure one, if
    # the answer is sure), in steps of 0.05; 0 if it needs none of them, null if it needs all
    enough: float | None
    # with `overlay=1`: a picture to lay over yours, as a data URL of a transparent PNG. Its colors stand for
    # a drop from 0.05, below which there is none, to 0.5 and more, in every picture; null if no part has such
    # a drop
    overlay: NotRequired[str | None]
    milliseconds: ExplainMilliseconds


class Failure(TypedDict):
    """Takes the place of a picture that could not be classified, in an answer for several."""

    error: Problem


class Figures(TypedDict):
    """How good a version is, from held-out answers."""

    accuracy: float
    # lower end of the 95% interval of the accuracy
    low: float
    # its upper end
    high: float
    calibration_error: float
    # share of the answers that are sure
    sure_share: float
    # accuracy among them; 0 without any
    sure_accuracy: float
    # time that learning took, without features
    seconds: float


class Label(TypedDict):
    """A class of a classifier."""

    id: int
    name: str
    # number of its examples
    count: int


class LabelName(TypedDict):
    name: str


class Milliseconds(TypedDict):
    """Time that each stage took. The time of a stage that ran on several pictures at once is divided
    evenly.
    """

    decode: float
    prepare: float
    infer: float


class ModelShort(TypedDict):
    """A summary of a model's card."""

    name: str
    task: str
    title: str
    summary: str
    # what it recognizes: photos or drawings
    kind: Literal["photo", "ink"]
    labels: list[str]
    parameters: int
    # on its test pictures; null if not measured
    accuracy: float | None
    # the least confidence of a sure answer
    threshold: float


class Models(TypedDict):
    models: list[ModelShort]


class Move(TypedDict):
    """Some examples, and the label that they get."""

    # ids of examples
    examples: list[str]
    # id of the label; null takes the label away
    label: int | None


class NewClassifier(TypedDict):
    title: str
    kind: NotRequired[Literal["photo", "ink"]]


class NewDrawing(TypedDict):
    """A drawing with its label."""

    # as in Quick, Draw!: for each stroke the x and the y of its points, from the upper left. A third list,
    # the times, is ignored. Size and place do not matter.
    strokes: list[list[list[float]]]
    page: NotRequired[Page | None]
    # name of its label, which is created if it is new
    label: NotRequired[str | None]
    # where the picture comes from; file by default
    origin: NotRequired[Literal["file", "camera", "canvas"] | None]


class NewPicture(TypedDict):
    """A picture with its label."""

    # a data URL of any accepted kind, or plain base64
    image: str
    # name of its label, which is created if it is new
    label: NotRequired[str | None]
    # where the picture comes from; file by default
    origin: NotRequired[Literal["file", "camera", "canvas"] | None]


class NewWebhook(TypedDict):
    """A webhook that was just set, with its secret, which is shown only once."""

    url: str
    # all answers, those that are sure, or those that change the state of a source
    events: Literal["all", "sure", "changed"]
    # why the last attempt failed; empty if it did not
    failure: str
    # number of messages that are still to be delivered
    waiting: int
    # signs the messages, as Standard Webhooks says
    secret: str


class Page(TypedDict):
    """What was drawn on: a square with its upper left corner at (0, 0). It decides only how the kept
    picture looks.
    """

    # in the units of the strokes
    side: float
    paper: str
    # one for each stroke
    pens: list[Pen]


class Pen(TypedDict):
    """The pen of one stroke: its width in the units of the strokes, and its color."""

    width: float
    ink: str


class PictureBody(TypedDict):
    """A picture as JSON."""

    # a data URL of any accepted kind, or plain base64
    image: str


class Probability(TypedDict):
    label: str
    probability: float


class Problem(TypedDict):
    """RFC 9457 problem details. Programs can rely on `reason`, which is stable."""

    type: str
    title: str
    status: int
    detail: str
    reason: str


class Progress(TypedDict):
    """How far a training is."""

    stage: Literal["waiting", "features", "learning", "failed"]
    # of the stage
    share: float
    # why it failed; else empty
    reason: str


class Published(TypedDict):
    version: int


class Refused(TypedDict):
    """Takes the place of a picture that was not added."""

    # of the file
    name: str
    error: Problem


class RenamedLabel(TypedDict):
    """A class with its new name."""

    id: int
    name: str
    # number of its examples
    count: int
    # id of the change, for `undo`
    change: str


class Report(TypedDict):
    """What is known about a training, all of it from held-out answers. Indexes are those of the examples."""

    counts: list[int]
    accuracy: float
    low: float
    high: float
    calibration_error: float
    sure_share: float
    sure_accuracy: float
    seconds: float
    labels: list[str]
    confusion: list[list[int]]
    held_out: list[list[float]]
    calibration_error_before: float
    curve: list[list[int | float]]
    doubtful: list[list[int | float]]
    duplicates: list[list[int]]
    uniform: NotRequired[list[int]]
    familiar: float
    method: Literal["logistic", "ridge"]
    penalty: float
    temperature: float


class Result(TypedDict):
    """One picture's answer."""

    model: str
    task: str
    label: str
    # calibrated: nine in ten answers at 0.9 are right
    confidence: float
    # the confidence reaches the model's threshold, and the picture looks familiar
    sure: bool
    # how sure, as a code
    wording: Literal["sure", "probably", "not sure"]
    # false: the picture is unlike what the model was trained on
    familiar: bool
    # the finest group that the label belongs to, such as dog for a beagle; the label itself if it is a group,
    # because no kind is likely; null for a model without groups
    group: str | None
    # in Auto: why this model answered; absent if the request names a model
    route: NotRequired[Literal["photo", "specialist", "digit", "doodle", "taught"] | None]
    # in Auto: all models that were asked, in this order; absent if the request names a model
    asked: NotRequired[list[str] | None]
    # the picture's format by its bytes, whatever its name says; null for a drawing as strokes
    format: Literal["AVIF", "BMP", "GIF", "HEIF", "JPEG", "PNG", "WEBP"] | None
    # most likely first, `top` of them
    predictions: list[Probability]
    milliseconds: Milliseconds


class Results(TypedDict):
    """Several pictures' answers, in the order they were sent."""

    results: list[Result | Failure]


class Review(TypedDict):
    """What to look at next, by the newest version. Examples that were changed since then are left out."""

    # most suspicious first
    doubtful: list[Doubt]
    # groups of examples that are nearly the same
    duplicates: list[list[Example]]
    # nearly all examples of these labels look alike
    uniform: list[Label]
    # to label next, the most uncertain first
    next: list[Suggestion]
    # more examples would help
    more: bool
    # of this label most; null before the first version, and where all are alike
    most_needed: Label | None


class Source(TypedDict):
    """What a model says about a source, such as a camera."""

    model: str
    name: str
    # a label, or `unknown`: three readings in a row change it
    state: str
    changed: str


class Sources(TypedDict):
    sources: list[Source]


class StrokesBody(TypedDict):
    """A drawing as JSON, at most 64 KB."""

    # as in Quick, Draw!: for each stroke the x and the y of its points, from the upper left. A third list,
    # the times, is ignored. Size and place do not matter.
    strokes: list[list[list[float]]]
    page: NotRequired[Page | None]


class Suggestion(TypedDict):
    """An example without a label, and the labels that it may have."""

    example: Example
    # most likely first
    labels: list[Label]


class Undo(TypedDict):
    # id of the change
    change: str


class Version(TypedDict):
    """A trained version with its whole report."""

    number: int
    created: str
    revision: int
    # ids, in the order of the report's indexes
    examples: list[str]
    labels: list[str]
    better: bool | None
    report: Report


class VersionShort(TypedDict):
    """A trained version with its figures."""

    number: int
    created: str
    # of the examples that it learned from
    revision: int
    labels: list[str]
    # than the version that was live, on the examples that both have seen
    better: bool | None
    # whether it can be published; false if only its figures are kept
    available: bool
    report: Figures


class Versions(TypedDict):
    # newest first
    versions: list[VersionShort]


class Webhook(TypedDict):
    """Where the answers of a classifier are sent."""

    url: str
    # all answers, those that are sure, or those that change the state of a source
    events: Literal["all", "sure", "changed"]
    # why the last attempt failed; empty if it did not
    failure: str
    # number of messages that are still to be delivered
    waiting: int


class WebhookBody(TypedDict):
    """Where to send answers, and which."""

    # of http or https
    url: str
    # all answers, those that are sure, or those that change the state of a source
    events: NotRequired[Literal["all", "sure", "changed"]]
