"""A model card: `card.json`, the contract between learning and serving."""

import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

UNMEASURED = 0.99  # the threshold of a card that states none: its network was not calibrated, and may be too sure


Share = Annotated[float, Field(ge=0, le=1)]


class Card(BaseModel):
    """Base of every part of a card: unknown keys are an error, values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class InputSpec(Card):
    """What the network takes: float32 [height, width, channels], made by `pixels.prepare` and `pixels.scale`."""

    kind: Literal["photo", "ink"]
    width: Annotated[int, Field(ge=8, le=1024)]
    height: Annotated[int, Field(ge=8, le=1024)]
    channels: Literal[1, 3]
    scaling: Literal["unit", "signed"]  # 0..1 or -1..1
    layout: Literal["squeeze", "mnist", "quickdraw"] = "squeeze"  # how the picture is placed, see pixels.prepare

    @model_validator(mode="after")
    def _one_pipeline(self):
        if (self.kind == "photo") != (self.layout == "squeeze"):
            raise ValueError(
                "a photo takes layout 'squeeze', ink takes 'mnist' or 'quickdraw'. "
                f"Received: kind={self.kind!r}, layout={self.layout!r}"
            )
        if self.kind == "photo" and self.channels != 3:
            raise ValueError(f"a photo has 3 channels. Received: {self.channels}")
        if self.kind == "ink" and (self.width, self.height, self.channels) != (28, 28, 1):
            raise ValueError(
                f"ink is 28 x 28 with one channel. Received: {self.width} x {self.height} with {self.channels}"
            )
        return self


class Layer(Card):
    """One row of the network's table."""

    name: str
    kind: str
    output: tuple[int | None, ...]
    parameters: int


class Training(Card):
    """How the model came to be: enough to do it again."""

    dataset: str
    train_size: int
    held_out_size: int
    corrections: int = 0  # of visitors, learned beside them
    epochs: int
    seconds: float
    seed: int
    command: str
    versions: dict[str, str]


class ClassMetrics(Card):
    """How one label fares on the test pictures."""

    label: str
    precision: Share
    recall: Share
    support: int


class Bin(Card):
    """The answers of one range of confidence: how sure they were on average, and how often right."""

    count: int
    confidence: Share
    accuracy: Share


class Mistake(Card):
    """A test picture that the model was surely wrong about; pictures lie in `mistakes.png`, in this order."""

    true: str
    predicted: str
    confidence: Share


class Trial(Card):
    """One training of the same recipe; accuracies on held-out and test pictures, when asked once about each."""

    seed: int
    held_out: Share
    accuracy: Share


class Metrics(Card):
    """Measured on the test split named, from the ONNX file that is served."""

    split: str
    test_size: int
    accuracy: Share
    calibration_error_before: Share  # expected calibration error, 15 bins, temperature 1
    calibration_error: Share  # the same at the card's temperature
    sure_share: Share  # share of test pictures that are called sure
    sure_accuracy: Share  # accuracy among them
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]  # [true][predicted]
    groups: dict[str, Share] = {}  # accuracy among a part of the labels, as "six animals"
    bins: tuple[Bin, ...] = ()  # of the calibration error, least sure first, at the card's temperature
    mistakes: tuple[Mistake, ...] = ()  # the most confident ones of each pair of labels
    strangers: dict[str, Share] = {}  # other pictures -> AUROC of telling them from the test pictures
    not_sure: dict[str, Share] = {}  # other pictures -> share that is answered "not sure"


class ModelCard(Card):
    """`card.json`, validated: the contract between learning and serving.

    A card written by hand needs `name`, `task`, `title`, `labels`, `input` and `files`: docs/guide/own-model.md.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=64)]
    task: Literal["digits", "doodles", "cats-dogs", "objects"]
    title: str
    summary: str = ""
    strengths: str = ""
    limitations: str = ""
    labels: Annotated[tuple[str, ...], Field(min_length=2)]
    input: InputSpec
    network: tuple[Layer, ...] = ()  # empty, and 0 parameters, where nobody counted
    parameters: int = 0
    training: Training | None = None  # None where the model was imported
    metrics: Metrics | None = None  # None where it was not measured
    trials: tuple[Trial, ...] = ()  # all seeds that were trained; the median on held-out pictures is shipped
    history: dict[str, tuple[float, ...]] = {}
    temperature: Annotated[float, Field(gt=0)] = 1.0
    threshold: Share = UNMEASURED  # below it the answer is never "sure"
    familiar: float | None = None  # below this second output of the network, neither
    exact: bool = False  # in bfloat16 it would answer worse, so that it is always computed in float32
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]  # name -> SHA-256
    attribution: str = ""

    @model_validator(mode="after")
    def _labels_agree(self):
        count = len(self.labels)
        if not all(self.labels):
            raise ValueError(f"no label may be empty. Received: {', '.join(self.labels)}")
        if len(set(self.labels)) < count:
            raise ValueError(f"labels must differ. Received: {', '.join(self.labels)}")
        rows = [len(row) for row in self.metrics.confusion] if self.metrics else [count] * count
        if rows != [count] * count:
            raise ValueError(f"the confusion matrix must be {count} x {count}, as the labels. Received: rows of {rows}")
        return self


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason(error: ValidationError) -> str:
    """The first thing that is wrong with a card, in a sentence."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the card"
    if first["type"] == "value_error":  # ours, which says what it received
        return f"{where}: {first['ctx']['error']}"
    return f"{where}: {first['msg']}. Received: {first['input']!r:.80}"


def read_card(folder: Path) -> ModelCard:
    """The card of one model folder.

    Raises:
        ValueError: the card cannot be read, breaks a rule, or names another model than its folder.
    """
    try:
        card = ModelCard.model_validate_json((folder / "card.json").read_bytes())
    except OSError as error:
        raise ValueError(f"card.json cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ValueError(f"card.json: {reason(error)}") from error
    if card.name != folder.name:
        raise ValueError(f"card.json: name must be the folder's, {folder.name!r}. Received: {card.name!r}")
    return card
