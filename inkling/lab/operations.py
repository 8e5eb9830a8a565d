"""Edges, thresholds and augmentation: a table of operations, each with the OpenCV code that does the same.

A picture is a uint8 array: [height, width, 3] (RGB) or, once a step has made it gray, [height, width].
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
from PIL import Image

SIDE = 512  # pixels, longer side of a picture in the lab
MOST_STEPS = 6
BINS = 64  # of a histogram
FLAT = 0.5  # share of pixels that equal their left neighbor; above it a PNG is small, and photos are far below it
QUALITIES = (90, 75, 50, 25)  # of a JPEG, tried in this order until the file is small enough
LONGEST_SHOWN = 40  # characters of a received value that a message repeats

PROBLEMS = {
    "step": "There is no step %(got)s. Accepted are: %(options)s.",
    "steps": "At most %(most)s steps can follow each other. Received: %(got)s.",
    "setting": "%(operation)s has no setting %(got)s. It has: %(options)s.",
    "no settings": "%(operation)s has no settings. Received: %(got)s.",
    "no such step": "There is no step number %(number)s to set %(got)s of.",
    "number": "%(operation)s, %(setting)s: a whole number from %(low)s to %(high)s is accepted. Received: %(got)s.",
    "odd": "%(operation)s, %(setting)s: an odd number from %(low)s to %(high)s is accepted. Received: %(got)s.",
    "choice": "%(operation)s, %(setting)s: one of %(options)s is accepted. Received: %(got)s.",
}


@dataclass(frozen=True)
class BadStep:
    """Why a value was refused: a key of `PROBLEMS`, and the values of its placeholders."""

    reason: str
    values: dict[str, str]

    def __str__(self) -> str:
        return PROBLEMS[self.reason] % self.values


# ---- Parameters ----


@dataclass(frozen=True)
class Number:
    """A parameter that takes a whole number from `low` to `high` in steps of `step`.

    `reach` is the end of its slider, if that is less than `high`.
    """

    name: str
    title: str
    low: int
    high: int
    default: int
    help: str
    step: int = 1
    unit: str = ""
    reach: int | None = None

    def read(self, text: str) -> int | None:
        """The number in a text, or None if it is not accepted."""
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", text):
            return None
        number = int(text)
        accepted = self.low <= number <= self.high and (number - self.low) % self.step == 0
        return number if accepted else None

    def accepts(self) -> tuple[str, dict[str, str]]:
        """The key in `PROBLEMS` of the sentence that says what is accepted, and its placeholders."""
        return "number" if self.step == 1 else "odd", {"low": str(self.low), "high": str(self.high)}


@dataclass(frozen=True)
class Choice:
    """A parameter that takes one of `options` (value -> title)."""

    name: str
    title: str
    options: dict[str, str]
    default: str
    help: str

    def read(self, text: str) -> str | None:
        """The option that a text names, or None if there is none."""
        return text if text in self.options else None

    def accepts(self) -> tuple[str, dict[str, str]]:
        """As `Number.accepts`."""
        return "choice", {"options": ", ".join(self.options)}


@dataclass(frozen=True)
class Operation:
    """A kind of step.

    Attributes:
        help: what it does, in a sentence.
        run: `run(picture, **values)` returns a new picture.
        code: `code(**values)` returns Python code that does the same to the variable `picture`.
        gray: whether both expect a gray picture.
    """

    name: str
    title: str
    help: str
    run: Callable[..., np.ndarray]
    code: Callable[..., str]
    parameters: tuple[Number | Choice, ...] = ()
    gray: bool = False

    def step(self, **values: int | str) -> "Step":
        """A step of this kind. Values that are not given have their defaults."""
        return Step(self, {one.name: one.default for one in self.parameters} | values)


@dataclass(frozen=True)
class Step:
    """An operation with the values of its parameters."""

    operation: Operation
    values: dict[str, int | str]


# ---- Operations, each with its code ----


def _canny(picture: np.ndarray, low: int, high: int, aperture: str) -> np.ndarray:
    """Canny, "A Computational Approach to Edge Detection" (1986).

    Sobel gradients, thinned to one pixel, and two thresholds with hysteresis.
    """
    return cv2.Canny(picture, low, high, apertureSize=int(aperture))


def _canny_code(low: int, high: int, aperture: str) -> str:
    return f"picture = cv2.Canny(picture, {low}, {high}, apertureSize={aperture})"


def _binary(picture: np.ndarray, level: int) -> np.ndarray:
    return cv2.threshold(picture, level, 255, cv2.THRESH_BINARY)[1]


def _binary_code(level: int) -> str:
    return f"level, picture = cv2.threshold(picture, {level}, 255, cv2.THRESH_BINARY)"


def _otsu(picture: np.ndarray) -> np.ndarray:
    """Otsu, "A Threshold Selection Method from Gray-Level Histograms" (1979)."""
    return cv2.threshold(picture, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1]


def _otsu_code() -> str:
    return "level, picture = cv2.threshold(picture, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)"


AROUND = {"mean": "ADAPTIVE_THRESH_MEAN_C", "gaussian": "ADAPTIVE_THRESH_GAUSSIAN_C"}


def _adaptive(picture: np.ndarray, around: str, block: int, c: int) -> np.ndarray:
    return cv2.adaptiveThreshold(picture, 255, getattr(cv2, AROUND[around]), cv2.THRESH_BINARY, block, c)


def _adaptive_code(around: str, block: int, c: int) -> str:
    return f"picture = cv2.adaptiveThreshold(picture, 255, cv2.{AROUND[around]}, cv2.THRESH_BINARY, {block}, {c})"


def _flip(picture: np.ndarray) -> np.ndarray:
    return cv2.flip(picture, 1)


def _flip_code() -> str:
    return "picture = cv2.flip(picture, 1)"


RIMS = {"edge": "BORDER_REPLICATE", "mirror": "BORDER_REFLECT_101", "black": "BORDER_CONSTANT"}


def _rotate(picture: np.ndarray, angle: int, fit: str, rim: str) -> np.ndarray:
    height, width = picture.shape[:2]
    middle = ((width - 1) / 2, (height - 1) / 2)
    turn = cv2.getRotationMatrix2D(middle, angle, 1)
    if fit == "shrink":
        cos, sin = abs(turn[0, :2])
        scale = min(width / (width * cos + height * sin), height / (width * sin + height * cos))
        turn = cv2.getRotationMatrix2D(middle, angle, scale)
    return cv2.warpAffine(picture, turn, (width, height), borderMode=getattr(cv2, RIMS[rim]))


def _rotate_code(angle: int, fit: str, rim: str) -> str:
    shrink = (
        (
            "cos, sin = abs(turn[0, :2])",
            "scale = min(width / (width * cos + height * sin), height / (width * sin + height * cos))",
            f"turn = cv2.getRotationMatrix2D(middle, {angle}, scale)",
        )
        if fit == "shrink"
        else ()
    )
    return "\n".join(
        (
            "height, width = picture.shape[:2]",
            "middle = ((width - 1) / 2, (height - 1) / 2)",
            f"turn = cv2.getRotationMatrix2D(middle, {angle}, 1)",
            *shrink,
            f"picture = cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.{RIMS[rim]})",
        )
    )


def _brightness(picture: np.ndarray, add: int) -> np.ndarray:
    return cv2.addWeighted(picture, 1, picture, 0, add)


def _brightness_code(add: int) -> str:
    return f"picture = cv2.addWeighted(picture, 1, picture, 0, {add})"


def _contrast(picture: np.ndarray, percent: int) -> np.ndarray:
    return cv2.addWeighted(picture, percent / 100, picture, 0, 128 - 1.28 * percent)


def _contrast_code(percent: int) -> str:
    return f"picture = cv2.addWeighted(picture, {percent} / 100, picture, 0, 128 - 1.28 * {percent})"


# ---- The table of operations ----


OPERATIONS = {
    operation.name: operation
    for operation in (
        Operation(
            "canny",
            "Canny edges",
            "Draws a thin white line wherever brightness changes sharply. Everything else turns black.",
            _canny,
            _canny_code,
            (
                Number("low", "Lower threshold", 0, 50_000, 50, "Gradients below this are ignored.", reach=500),
                Number(
                    "high",
                    "Upper threshold",
                    0,
                    50_000,
                    150,
                    "Gradients above this are edges. Those in between count only where they touch an edge.",
                    reach=500,
                ),
                Choice(
                    "aperture",
                    "Aperture",
                    {"3": "3 pixels", "5": "5 pixels", "7": "7 pixels"},
                    "3",
                    "The width of the area that the gradient is measured over. 5 and 7 give larger values, so they "
                    "need higher thresholds, often in the thousands.",
                ),
            ),
            gray=True,
        ),
        Operation(
            "binary",
            "Binary threshold",
            "Turns every pixel above this level white, and all others black.",
            _binary,
            _binary_code,
            (Number("level", "Level", 0, 255, 127, "0 is black, 255 is white."),),
            gray=True,
        ),
        Operation(
            "otsu",
            "Otsu's threshold",
            "Turns pixels black or white, and finds the level itself: it splits the histogram into two groups that are "
            "each as uniform as possible.",
            _otsu,
            _otsu_code,
            gray=True,
        ),
        Operation(
            "adaptive",
            "Adaptive threshold",
            "Compares each pixel with its neighbors, so shadows don't matter.",
            _adaptive,
            _adaptive_code,
            (
                Choice(
                    "around",
                    "Compared with",
                    {"mean": "the mean", "gaussian": "a weighted mean"},
                    "mean",
                    "Weighted: nearer pixels count more (Gaussian).",
                ),
                Number(
                    "block",
                    "Block size",
                    3,
                    255,
                    31,
                    "The width of the square around each pixel, an odd number.",
                    step=2,
                    unit="px",
                    reach=99,
                ),
                Number(
                    "c",
                    "C",
                    -100,
                    100,
                    5,
                    "A pixel turns black if it is this much darker than its neighbors.",
                    reach=40,
                ),
            ),
            gray=True,
        ),
        Operation(
            "flip",
            "Horizontal flip",
            "Mirrors the picture left to right. A cat stays a cat, but a mirrored 3 is not a 3.",
            _flip,
            _flip_code,
        ),
        Operation(
            "rotate",
            "Rotation",
            "Turns the picture around its center.",
            _rotate,
            _rotate_code,
            (
                Number("angle", "Angle", -180, 180, 20, "Angles above 0 turn it counterclockwise.", unit="°"),
                Choice(
                    "fit",
                    "Size",
                    {"cut": "same size, corners cut off", "shrink": "smaller, whole picture visible"},
                    "cut",
                    "What happens to corners that would stick out.",
                ),
                Choice(
                    "rim",
                    "Beyond the edge",
                    {"edge": "the last pixel repeated", "mirror": "the mirrored picture", "black": "black"},
                    "edge",
                    "What fills the new corners. It can mislead a model.",
                ),
            ),
        ),
        Operation(
            "brightness",
            "Brightness",
            "Adds the same value to every pixel. Values beyond black or white are cut off.",
            _brightness,
            _brightness_code,
            (Number("add", "Add", -255, 255, 40, "Values below 0 make it darker."),),
        ),
        Operation(
            "contrast",
            "Contrast",
            "Moves every pixel away from middle gray, or toward it.",
            _contrast,
            _contrast_code,
            (Number("percent", "Contrast", 0, 400, 150, "100 changes nothing; 0 leaves plain gray.", unit="%"),),
        ),
    )
}


# ---- Steps ----


def apply(picture: np.ndarray, steps: Sequence[Step]) -> np.ndarray:
    """The picture after all steps. The given picture is not changed."""
    for step in steps:
        if step.operation.gray:
            picture = as_gray(picture)
        picture = step.operation.run(picture, **step.values)
    return picture


def as_gray(picture: np.ndarray) -> np.ndarray:
    """The picture in gray: uint8 [height, width]."""
    return picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


READ = f"""\
picture = cv2.imread("picture.png")
height, width = picture.shape[:2]
scale = {SIDE} / max(height, width)
if scale < 1:
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)"""


def code(steps: Sequence[Step]) -> str:
    """A Python program that applies the steps to picture.png and writes result.png. OpenCV reads files as BGR."""
    blocks, gray = ["import cv2", READ], False
    for step in steps:
        lines = [f"# {step.operation.title}"]
        if step.operation.gray and not gray:
            gray = True
            lines.append("picture = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)")
        blocks.append("\n".join([*lines, step.operation.code(**step.values)]))
    return "\n\n".join([*blocks, 'cv2.imwrite("result.png", picture)']) + "\n"


def read(names: Sequence[str], settings: Mapping[str, str]) -> tuple[list[Step], list[BadStep]]:
    """Parses steps from an address or a form.

    Args:
        names: the operations in order; empty names are ignored.
        settings: "NUMBER.PARAMETER" -> value, where NUMBER counts `names` from 1; other keys are ignored.

    Returns:
        at most `MOST_STEPS` steps, and what was refused. An unknown step is left out; a wrong value is replaced by the
        parameter's default.
    """
    names = [name for name in names if name]
    problems = []
    if len(names) > MOST_STEPS:
        problems.append(_too_many(len(names)))
        names = names[:MOST_STEPS]
    given: dict[int, dict[str, str]] = {number: {} for number in range(1, len(names) + 1)}
    for key, text in settings.items():
        if not (found := re.fullmatch(r"([0-9]{1,9})\.(.*)", key or "", re.DOTALL)):
            continue
        number, parameter = int(found[1]), found[2]
        if number in given:
            given[number][parameter] = text
        elif not problems:  # with too many steps, settings of the excess ones are no further problem
            problems.append(BadStep("no such step", {"number": str(number), "got": _shown(parameter)}))
    steps = []
    for number, name in enumerate(names, 1):
        if name not in OPERATIONS:
            problems.append(_unknown(name))
            continue
        steps.append(_step(OPERATIONS[name], given[number], problems))
    return steps, problems


def written(steps: Sequence[Step]) -> dict[str, Any]:
    """Query parameters from which `read` makes the same steps; no steps are written as one empty name."""
    settings = {
        f"{number}.{name}": str(value) for number, step in enumerate(steps, 1) for name, value in step.values.items()
    }
    return {"step": [step.operation.name for step in steps] or [""]} | settings


def edit(steps: Sequence[Step], do: str, name: str = "") -> tuple[list[Step], list[BadStep]]:
    """The steps after a change: "add" (appends the operation `name`), "up N", "down N" or "remove N".

    Any other `do` changes nothing.

    Returns:
        the steps, and why a step could not be added.
    """
    steps = list(steps)
    if do == "add":
        if len(steps) >= MOST_STEPS:
            return steps, [_too_many(len(steps) + 1)]
        if name not in OPERATIONS:
            return steps, [_unknown(name)]
        return [*steps, OPERATIONS[name].step()], []
    move = re.fullmatch(r"(up|down|remove) ([0-9]{1,9})", do)
    if move and 1 <= int(move[2]) <= len(steps):
        at = int(move[2]) - 1
        step = steps.pop(at)
        if move[1] != "remove":
            steps.insert(max(0, at - 1) if move[1] == "up" else at + 1, step)
    return steps, []


def _too_many(count: int) -> BadStep:
    return BadStep("steps", {"most": str(MOST_STEPS), "got": str(count)})


def _unknown(name: str) -> BadStep:
    return BadStep("step", {"got": _shown(name), "options": ", ".join(OPERATIONS)})


def _step(operation: Operation, given: Mapping[str, str], problems: list[BadStep]) -> Step:
    names = [parameter.name for parameter in operation.parameters]
    for name in given:
        if name not in names:
            reason = "setting" if names else "no settings"
            problems.append(
                BadStep(reason, {"operation": operation.title, "got": _shown(name), "options": ", ".join(names)})
            )
    values = {}
    for parameter in operation.parameters:
        text = given.get(parameter.name, str(parameter.default))
        value = parameter.read(text)
        if value is None:
            reason, accepted = parameter.accepts()
            problems.append(
                BadStep(
                    reason, accepted | {"operation": operation.title, "setting": parameter.title, "got": _shown(text)}
                )
            )
        values[parameter.name] = parameter.default if value is None else value
    return operation.step(**values)


def _shown(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 1] + "…")


# ---- Converting pictures ----


def working(image: Image.Image) -> np.ndarray:
    """A picture as the lab works on it: uint8 [height, width, 3], at most `SIDE` pixels a side."""
    scale = SIDE / max(image.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.array(image.convert("RGB"))


def image(picture: np.ndarray) -> Image.Image:
    """A picture for a model: RGB."""
    return Image.fromarray(picture).convert("RGB")


def png(picture: np.ndarray) -> bytes:
    """A PNG file of the picture."""
    return _encoded(".png", picture, cv2.IMWRITE_PNG_COMPRESSION, 1)


def data_url(picture: np.ndarray, most: int) -> str:
    """A data URL of the picture: PNG for flat colors, JPEG for photos.

    The file has at most `most` bytes if a low JPEG quality achieves that.
    """
    kind, data = "png", png(picture) if _is_flat(picture) else b""
    for quality in QUALITIES:
        if data and len(data) <= most:
            break
        kind, data = "jpeg", _jpeg(picture, quality)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def _jpeg(picture: np.ndarray, quality: int) -> bytes:
    sampling = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
    return _encoded(".jpg", picture, cv2.IMWRITE_JPEG_QUALITY, quality, *sampling)


def _is_flat(picture: np.ndarray) -> bool:
    return picture.shape[1] == 1 or float((picture[:, 1:] == picture[:, :-1]).mean()) >= FLAT


def _encoded(ending: str, picture: np.ndarray, *options: int) -> bytes:
    bgr = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(ending, bgr, options)[1].tobytes()


@dataclass(frozen=True)
class Histogram:
    """The distribution of brightness in a picture."""

    shares: tuple[float, ...]  # of the pixels in each of `BINS` ranges of brightness, from dark to light
    mean: float  # 0 is black, 255 is white
    black: float  # share of the pixels at 0
    white: float  # share of the pixels at 255


def histogram(picture: np.ndarray) -> Histogram:
    """The histogram of the gray picture."""
    gray = as_gray(picture)
    counts = cv2.calcHist([gray], [0], None, [256], [0, 256]).ravel() / gray.size
    return Histogram(
        tuple(counts.reshape(BINS, -1).sum(axis=1).tolist()),
        float(counts @ np.arange(256)),
        float(counts[0]),
        float(counts[255]),
    )


@cache
def sample() -> np.ndarray:
    """A drawing of a sailing boat with smooth gradients and plain shapes: uint8 [360, 480, 3], read-only."""
    sky = np.linspace((105, 155, 225), (185, 205, 225), 240)
    sea = np.linspace((60, 120, 160), (30, 70, 110), 120)
    picture = np.vstack([sky, sea])[:, None].repeat(480, axis=1).round().astype(np.uint8)
    cv2.circle(picture, (400, 80), 36, (255, 226, 120), -1, cv2.LINE_AA)
    cv2.line(picture, (235, 235), (235, 50), (80, 55, 45), 7, cv2.LINE_AA)
    for corners, color in (
        ([(110, 235), (370, 235), (325, 295), (150, 295)], (105, 35, 35)),
        ([(247, 62), (247, 222), (350, 222)], (250, 248, 240)),
        ([(224, 90), (224, 222), (140, 222)], (250, 244, 226)),
    ):
        cv2.fillPoly(picture, [np.array(corners, np.int32)], color, cv2.LINE_AA)
    picture.flags.writeable = False
    return picture
