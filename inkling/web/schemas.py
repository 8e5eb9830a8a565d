"""Schemas of the JSON API. The OpenAPI document is generated from them, and tests check every answer against them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Probability(Shape):
    label: str
    probability: Share


class Milliseconds(Shape):
    """Time that each stage took. The time of a stage that ran on several pictures at once is divided evenly."""

    decode: float
    prepare: float
    infer: float


class Result(Shape):
    """One picture's answer."""

    model: str
    task: str
    label: str
    confidence: Annotated[Share, Field(description="calibrated: nine in ten answers at 0.9 are right")]
    sure: Annotated[
        bool, Field(description="the confidence reaches the model's threshold, and the picture looks familiar")
    ]
    wording: Annotated[Literal["sure", "probably", "not sure"], Field(description="how sure, as a code")]
    familiar: Annotated[bool, Field(description="false: the picture is unlike what the model was trained on")]
    group: Annotated[
        str | None,
        Field(
            description="the finest group that the label belongs to, such as dog for a beagle; the label itself if it "
            "is a group, because no kind is likely; null for a model without groups"
        ),
    ]
    route: Annotated[
        Literal["photo", "specialist", "digit", "doodle", "taught"] | None,
        Field(description="in Auto: why this model answered; absent if the request names a model"),
    ] = None
    asked: Annotated[
        list[str] | None,
        Field(description="in Auto: all models that were asked, in this order; absent if the request names a model"),
    ] = None
    format: Annotated[
        Literal["AVIF", "BMP", "GIF", "HEIF", "JPEG", "PNG", "WEBP"] | None,
        Field(description="the picture's format by its bytes, whatever its name says; null for a drawing as strokes"),
    ]
    predictions: Annotated[list[Probability], Field(description="most likely first, `top` of them")]
    milliseconds: Milliseconds


class ExplainMilliseconds(Shape):
    decode: float
    explain: float


class Explanation(Shape):
    """Which parts of a picture its answer depends on, measured by hiding each in turn (Zeiler and Fergus 2014)."""

    model: str
    task: str
    label: str
    confidence: Annotated[Share, Field(description="calibrated, with nothing hidden")]
    where: Annotated[
        str, Field(description='where the most important parts are: "upper-left", "middle", "several-places" …')
    ]
    drops: Annotated[
        list[list[Annotated[float, Field(ge=-1, le=1)]]],
        Field(description="for each part, row by row: the drop in confidence while it is hidden; below 0 it rises"),
    ]
    field: Annotated[
        list[float],
        Field(
            min_length=4,
            max_length=4,
            description="the area of the grid: left, top, right and bottom as fractions of the picture's width and "
            "height. It can extend beyond the picture: the grid of a drawing covers the square that the model saw, "
            "and that of a photo longer than 3:2 includes its padding",
        ),
    ]
    enough: Annotated[
        Share | None,
        Field(
            description="the smallest share of the picture whose most important parts alone get the same answer (a "
            "sure one, if the answer is sure), in steps of 0.05; 0 if it needs none of them, null if it needs all"
        ),
    ]
    overlay: Annotated[
        str | None,
        Field(
            description="with `overlay=1`: a picture to lay over yours, as a data URL of a transparent PNG. Its colors "
            "stand for a drop from 0.05, below which there is none, to 0.5 and more, in every picture; null if no part "
            "has such a drop"
        ),
    ] = None
    milliseconds: ExplainMilliseconds


class Problem(Shape):
    """RFC 9457 problem details. Programs can rely on `reason`, which is stable."""

    type: str
    title: str
    status: int
    detail: str
    reason: str


class Failure(Shape):
    """Takes the place of a picture that could not be classified, in an answer for several."""

    error: Problem


class Results(Shape):
    """Several pictures' answers, in the order they were sent."""

    results: list[Result | Failure]


class PictureBody(Shape):
    """A picture as JSON."""

    image: Annotated[str, Field(description="a data URL of any accepted kind, or plain base64")]


class ModelShort(Shape):
    """A summary of a model's card."""

    name: str
    task: str
    title: str
    summary: str
    kind: Annotated[Literal["photo", "ink"], Field(description="what it recognizes: photos or drawings")]
    labels: list[str]
    parameters: int
    accuracy: Annotated[Share | None, Field(description="on its test pictures; null if not measured")]
    threshold: Annotated[Share, Field(description="the least confidence of a sure answer")]


class Models(Shape):
    models: list[ModelShort]


class AskBody(Shape):
    """A question, in English or Russian."""

    question: Annotated[str, Field(min_length=1, max_length=500)]
    result: Annotated[
        str | None, Field(max_length=64, description="the id of a saved result; without it, about this Inkling")
    ] = None


class AnsweredValue(Shape):
    """A number or a name in a sentence."""

    name: str
    text: Annotated[str, Field(description="as the sentence writes it")]
    value: float | str | list[str]
    source: Annotated[
        Literal["prediction", "card", "now", "settings"],
        Field(description="the stored prediction, the model's card, a computation made now, or the server's settings"),
    ]


class AnsweredSentence(Shape):
    text: str
    values: list[AnsweredValue]


class AnsweredChange(Shape):
    """A changed copy of the picture, and the same model's answer to it; null where it gave none."""

    change: Literal["hidden", "turned", "darker", "blurred", "cropped"]
    title: str
    same: Annotated[bool, Field(description="whether the label is still the stored one")]
    label: str | None
    confidence: Share | None
    familiar: bool | None
    picture: Annotated[str, Field(description="a data URL, at most 160 pixels a side")]


class AnsweredConfusion(Shape):
    """Test pictures of one label that the model took for another."""

    true: str
    predicted: str
    count: int
    total: Annotated[int, Field(description="test pictures of the true label")]


class AnsweredLink(Shape):
    text: str
    url: str


class Answered(Shape):
    """The answer to a question. Each number in it says where it comes from."""

    intent: Annotated[str | None, Field(description="what the question was understood as; null: not understood")]
    language: Annotated[Literal["en", "ru"], Field(description="of the answer: that of the question")]
    text: Annotated[str, Field(description="all sentences")]
    sentences: list[AnsweredSentence]
    changes: Annotated[list[AnsweredChange], Field(description="for “What would change your mind?”")]
    confusions: Annotated[
        list[AnsweredConfusion], Field(description="for “What does it confuse?”, those with pictures")
    ]
    links: list[AnsweredLink]
    questions: Annotated[list[str], Field(description="other questions to ask")]


class ChatTurn(Shape):
    question: Annotated[str, Field(min_length=1, max_length=500)]
    answer: Annotated[str, Field(max_length=10_000)]


class ChatBody(Shape):
    """A question to the language model."""

    question: Annotated[str, Field(min_length=1, max_length=500)]
    result: Annotated[
        str | None, Field(max_length=64, description="the id of a saved result; without it, about this Inkling")
    ] = None
    history: Annotated[
        list[ChatTurn],
        Field(max_length=10, description="questions and answers before, oldest first: the server keeps none"),
    ] = []
