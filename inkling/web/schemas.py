"""The shapes of the JSON API. The OpenAPI document is made from these, and a test holds every answer to them."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Probability(Shape):
    label: str
    probability: Share


class Milliseconds(Shape):
    """Time taken by each stage; stages done for a whole batch are shared evenly."""

    decode: float
    prepare: float
    infer: float


class Result(Shape):
    """One picture's answer."""

    model: str
    task: str
    label: str
    confidence: Annotated[Share, Field(description="calibrated: of answers at 0.9, nine in ten are right")]
    sure: Annotated[bool, Field(description="the confidence reaches the model's threshold, and it knows such things")]
    wording: Annotated[Literal["sure", "probably", "not sure"], Field(description="the same in words")]
    predictions: Annotated[list[Probability], Field(description="most likely first, `top` of them")]
    milliseconds: Milliseconds


class ExplainMilliseconds(Shape):
    decode: float
    explain: float


class Explanation(Shape):
    """Which parts of a picture its answer hangs on: each was hidden in turn (Zeiler and Fergus 2014)."""

    model: str
    task: str
    label: str
    confidence: Annotated[Share, Field(description="calibrated, with nothing hidden")]
    where: Annotated[str, Field(description='where most of it lies: "upper-left", "middle", "several-places" …')]
    drops: Annotated[
        list[list[Annotated[float, Field(ge=-1, le=1)]]],
        Field(description="row by row, by how much the confidence drops when this part is hidden; below 0 it rises"),
    ]
    field: Annotated[
        list[float],
        Field(
            min_length=4,
            max_length=4,
            description="what the grid covers: left, top, right, bottom, in shares of the picture's width and height; "
            "it may reach beyond: for a drawing it is the square that the model saw, "
            "and a photo longer than 3:2 has rims",
        ),
    ]
    milliseconds: ExplainMilliseconds


class Problem(Shape):
    """RFC 9457 problem details; `reason` is stable and meant for programs."""

    type: str
    title: str
    status: int
    detail: str
    reason: str


class Failure(Shape):
    """Stands in a batch in the place of a picture that could not be classified."""

    error: Problem


class Results(Shape):
    """Several pictures' answers, in the order they were sent."""

    results: list[Result | Failure]


class PictureBody(Shape):
    """A picture as JSON."""

    image: Annotated[str, Field(description="a data URL of any accepted kind, or plain base64")]


class ModelShort(Shape):
    """A model's card in short."""

    name: str
    task: str
    title: str
    summary: str
    kind: Annotated[Literal["photo", "ink"], Field(description="what it reads: photos, or drawings")]
    labels: list[str]
    parameters: int
    accuracy: Annotated[Share | None, Field(description="on its test pictures; null where it was not measured")]
    threshold: Annotated[
        Share, Field(description="answers at or above it are called sure, where the picture looks familiar")
    ]


class Models(Shape):
    models: list[ModelShort]
