"""A model card: `card.json`, the contract between training and serving."""

import hashlib
import io
import os
import stat
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

CARD_BYTES = 2**22  # of a card or another JSON file; the largest shipped one has 75 kB
FILE_BYTES = 2**31  # of any other file; a protocol buffer, and so an ONNX file, cannot be larger
UNMEASURED = 0.99  # threshold of a card that gives none: its network was not calibrated, and may be overconfident
NAME = r"^[a-z0-9]+(-[a-z0-9]+)*$"
FILE_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"  # no path separator, no "..", no hidden file
PACKAGE_FILE = r"^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)+$"  # a path of such names


Name = Annotated[str, Field(pattern=NAME, max_length=64)]
FileName = Annotated[str, Field(pattern=FILE_NAME, max_length=128)]
Label = Annotated[str, Field(max_length=200)]
Text = Annotated[str, Field(max_length=10_000)]
Checksum = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Card(BaseModel):
    """Base of every part of a card: unknown keys are an error, and values never change."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputSpec(Card):
    """The network's input: float32 [height, width, channels], made by `inputs.prepare` and `inputs.scale`."""

    kind: Literal["photo", "ink"]
    width: Annotated[int, Field(ge=8, le=1024)]
    height: Annotated[int, Field(ge=8, le=1024)]
    channels: Literal[1, 3]
    scaling: Literal["unit", "signed"]  # 0..1 or -1..1
    layout: Literal["squeeze", "mnist", "quickdraw"] = "squeeze"  # how the picture is placed, see `inputs.prepare`

    @model_validator(mode="after")
    def _fits_one_pipeline(self) -> Self:
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


class Output(Card):
    """How the network's output is read: `single` is one label a picture, with probabilities that sum to 1."""

    kind: Literal["single"] = "single"


class Layer(Card):
    """One row of the network's table."""

    name: str
    kind: str
    output: tuple[int | None, ...]
    parameters: int


class Training(Card):
    """How the model was trained, in enough detail to do it again."""

    dataset: str
    train_size: int
    held_out_size: int
    corrections: int = 0  # pictures that visitors corrected, used in addition
    epochs: int
    seconds: float
    seed: int
    command: str
    versions: dict[str, str]


class Pretrained(Card):
    """A network that others trained: `inkling models build` makes `model.onnx` from weights in a Python package."""

    package: str  # name of the pinned distribution
    version: str
    file: Annotated[str, Field(pattern=PACKAGE_FILE, max_length=256)]  # the weights, below the package's folder
    sha256: Checksum  # of the weights
    network: Literal["efficientnet-lite2"]
    dataset: str  # what it was trained on
    accuracy: Share  # as published, see `test`
    test: str  # the pictures that the published accuracy is of
    test_size: int


class Calibration(Card):
    """The pictures that temperature and threshold were fitted on, for a model that was not trained here."""

    dataset: str
    size: int


class Backbone(Card):
    """The model whose network another one continues: `head.onnx` takes its features instead of pictures."""

    model: Name
    checksum: Checksum  # of its `model.onnx`


class Taught(Card):
    """What makes a model one that somebody taught here."""

    classifier: str  # its id
    version: Annotated[int, Field(ge=1)]
    owner: str  # the principal that may teach it
    listed: bool = False  # others find it among the models; otherwise only its owner may ask it
    auto: bool = False  # Auto may answer with it


class FamiliarBy(Card):
    """The model that tells whether a picture is familiar to another one, by the probability of some of its groups."""

    model: Name
    groups: Annotated[tuple[str, ...], Field(min_length=1)]  # of its `groups.json`, without a label in common
    limit: Share  # a picture is familiar if the groups together have at least this calibrated probability
    detail: Annotated[float, Field(ge=0)] = 0  # a picture with less (`inputs.detail`) is too blurred to be familiar


class ClassMetrics(Card):
    """Precision and recall of one label on the test pictures."""

    label: str
    precision: Share
    recall: Share
    support: int


class Bin(Card):
    """Answers within one range of confidence: their number, mean confidence and accuracy."""

    count: int
    confidence: Share
    accuracy: Share


class Mistake(Card):
    """A test picture that the model got wrong with high confidence. `mistakes.png` shows them in this order."""

    true: str
    predicted: str
    confidence: Share


class Trial(Card):
    """One training of the same recipe, with its accuracies on held-out and test pictures (one pass over each)."""

    seed: int
    held_out: Share
    accuracy: Share


class Metrics(Card):
    """Measurements on a test split, made with the ONNX file that is served."""

    split: str
    test_size: int
    accuracy: Share
    calibration_error_before: Share  # expected calibration error, 15 bins, temperature 1
    calibration_error: Share  # the same at the card's temperature
    sure_share: Share  # share of test pictures that are called sure
    sure_accuracy: Share  # accuracy among them
    classes: tuple[ClassMetrics, ...]
    confusion: tuple[tuple[int, ...], ...]  # [true][predicted]; empty for a model with too many labels to show it
    groups: dict[str, Share] = {}  # accuracy on some of the labels, such as "six animals"
    bins: tuple[Bin, ...] = ()  # of the calibration error, lowest confidence first, at the card's temperature
    mistakes: tuple[Mistake, ...] = ()  # the most confident ones of each pair of labels
    strangers: dict[str, Share] = {}  # kind of unfamiliar picture -> AUROC of telling it from the test pictures
    not_sure: dict[str, Share] = {}  # kind of unfamiliar picture -> share that is answered "not sure"
    wrongly_sure: dict[str, Share] = {}  # kind of unfamiliar picture -> share that is called sure
    strangers_count: dict[str, int] = {}  # kind of unfamiliar picture -> number of them


class ModelCard(Card):
    """`card.json`, validated.

    A card written by hand needs `name`, `task`, `title`, `labels`, `input` and `files`: docs/guide/own-model.md.
    Models share a `task` if their labels mean the same.
    """

    name: Name
    formerly: tuple[Name, ...] = ()  # names of models that this one replaced; they lead to it
    task: Name
    title: Label
    summary: Text = ""
    strengths: Text = ""
    limitations: Text = ""
    labels: Annotated[tuple[Label, ...], Field(min_length=2)]
    input: InputSpec
    output: Output = Output()
    backbone: Backbone | None = None  # None for a model whose network takes pictures
    network: tuple[Layer, ...] = ()  # empty, with 0 parameters, if unknown
    parameters: int = 0
    training: Training | None = None  # None for a model that was not trained here
    taught: Taught | None = None
    pretrained: Pretrained | None = None  # where its weights come from, if its network is built here
    calibration: Calibration | None = None  # None where `training` tells, or nothing was fitted
    metrics: Metrics | None = None  # None where nothing was measured
    trials: tuple[Trial, ...] = ()  # all seeds that were trained; the median on held-out pictures is shipped
    history: dict[str, tuple[float, ...]] = {}
    temperature: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0  # beyond it, float32 probabilities may become NaN
    threshold: Share = UNMEASURED  # an answer with less confidence is never "sure"; with 1 none is
    familiar: float | None = None  # a picture with less familiarity is unlike the training pictures
    familiar_by: FamiliarBy | None = None  # decides instead of `familiar` where that model is switched on
    elsewhere: Share | None = None  # a part that shows another label this likely, at temperature 1, makes it not sure
    elsewhere_by: Name | None = None  # a head on the model of `familiar_by` that looks at the parts; None: the model
    mirror_below: Share | None = None  # less confidence than this, at temperature 1, asks about the mirror image, too
    exact: bool = False  # bfloat16 makes its answers worse, so it is always computed in float32
    files: dict[FileName, Checksum]  # name -> SHA-256
    attribution: Text = ""

    @model_validator(mode="after")
    def _labels_agree(self) -> Self:
        count = len(self.labels)
        if not all(self.labels):
            raise ValueError(f"no label may be empty. Received: {', '.join(self.labels)}")
        if len(set(self.labels)) < count:
            raise ValueError(f"labels must differ. Received: {', '.join(self.labels)}")
        rows = [len(row) for row in self.metrics.confusion] if self.metrics else []
        if rows and rows != [count] * count:
            raise ValueError(f"the confusion matrix must be {count} x {count}, as the labels. Received: rows of {rows}")
        return self

    @property
    def dataset(self) -> str | None:
        """The data set that the model was trained or calibrated on, and is measured on; None for an imported model."""
        source = self.training or self.calibration
        return source.dataset if source else None


def open_regular(path: Path, most: int = FILE_BYTES) -> io.BufferedReader:
    """Opens a file for reading, if it is a regular file: symbolic links are not followed.

    Args:
        most: bytes that it may have.

    Raises:
        OSError: it cannot be opened, is something else, or is too large.
    """
    if path.is_symlink():
        raise OSError(None, "it is a symbolic link, which is never followed")
    file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    found = os.fstat(file.fileno())
    if not stat.S_ISREG(found.st_mode):
        wrong = "it is not a regular file"
    elif found.st_size > most:
        wrong = f"it may have at most {most} bytes. Received: {found.st_size}"
    else:
        return file
    file.close()
    raise OSError(None, wrong)


def sha256(path: Path) -> str:
    """Hex SHA-256 of a regular file.

    Raises:
        OSError: the file cannot be read.
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason(error: ValidationError) -> str:
    """The first error of a card, as a sentence."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the card"
    if first["type"] == "value_error":  # from a validator above, whose message says what it received
        return f"{where}: {first['ctx']['error']}"
    return f"{where}: {first['msg']}. Received: {first['input']!r:.80}"


def read_card(folder: Path, name: str | None = None) -> ModelCard:
    """The card of one model folder.

    Args:
        name: that the model must have; by default the folder's.

    Raises:
        ValueError: the card cannot be read, breaks a rule, or names another model than its folder.
    """
    try:
        with open_regular(folder / "card.json", CARD_BYTES) as file:
            card = ModelCard.model_validate_json(file.read())
    except OSError as error:
        raise ValueError(f"card.json cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ValueError(f"card.json: {reason(error)}") from error
    if card.name != (name or folder.name):
        raise ValueError(f"card.json: name must be the folder's, {name or folder.name!r}. Received: {card.name!r}")
    return card
