"""Pictures of none of a task's labels, to measure whether a model notices.

No weight and no threshold is fitted on them. The formula of familiarity (training/familiar.py) was chosen by them.
"""

from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np
from PIL import Image

from inkling.recognition import inputs
from inkling.recognition.card import InputSpec
from training import data
from training.redraw import CANVAS, Hand, redraw

COUNT = 1000  # pictures of each kind
# Without letters that resemble digits: B D G I J O Q S T Y Z and b c g i j l o q s y z.
LETTERS = "ACEFHKLMNPRUVWXadefhkmnprtuvwx"
# The names that other data sets use for a task's labels.
ALIKE = {"cats-dogs": ("cat", "dog"), "objects": ("airplane", "bird", "car", "cat", "dog", "frog", "horse", "sailboat")}
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_SCRIPT_SIMPLEX,
    cv2.FONT_HERSHEY_SCRIPT_COMPLEX,
)

Pictures = Iterator[Image.Image]


def letters(count: int) -> Pictures:
    """Letters of OpenCV's Hershey fonts in various line widths, slanted and distorted like handwriting."""
    rng = np.random.default_rng(0)
    for _ in range(count):
        letter, font = LETTERS[rng.integers(len(LETTERS))], FONTS[rng.integers(len(FONTS))]
        paper = np.full((CANVAS, CANVAS), 255, np.uint8)
        pen = int(rng.integers(8, 28))
        (width, height), _ = cv2.getTextSize(letter, font, 9, pen)
        at = ((CANVAS - width) // 2, (CANVAS + height) // 2)
        cv2.putText(paper, letter, at, font, 9, 0, pen, cv2.LINE_AA)
        yield Image.fromarray(_bent(paper, rng)).convert("RGB")


def _bent(paper: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Slightly rotates, slants, stretches and distorts a drawing uint8 [h, w]."""
    side = np.arange(CANVAS, dtype=np.float32) - CANVAS / 2
    x, y = np.meshgrid(side, side)
    linear = np.eye(2) + rng.normal(0, 0.12, (2, 2))
    bend = [
        cv2.resize(rng.normal(0, 12, (4, 4)).astype(np.float32), (CANVAS, CANVAS), interpolation=cv2.INTER_CUBIC)
        for _ in range(2)
    ]
    map_x = linear[0, 0] * x + linear[0, 1] * y + bend[0] + CANVAS / 2
    map_y = linear[1, 0] * x + linear[1, 1] * y + bend[1] + CANVAS / 2
    return cv2.remap(paper, map_x.astype(np.float32), map_y.astype(np.float32), cv2.INTER_LINEAR, borderValue=255)


def digits(count: int) -> Pictures:
    """MNIST's test digits, redrawn on the canvas in black on white."""
    return (redraw(bitmap, Hand()) for bitmap in data.load("mnist", limit=count).test.x)


def doodles(count: int, task: str = "") -> Pictures:
    """Quick, Draw!'s test drawings, redrawn in black on white, without the task's own labels."""
    return (redraw(bitmap, Hand()) for bitmap in unlike(data.load("doodles", limit=count), task))


def objects(count: int) -> Pictures:
    """CIFAR-10's test photos without cats and dogs, 32 pixels a side."""
    return (Image.fromarray(picture) for picture in unlike(data.load("cifar10"), "cats-dogs")[:count])


def unlike(found: data.Dataset, task: str) -> np.ndarray:
    """A data set's test pictures without those of the task's own labels."""
    others = [i for i, label in enumerate(found.labels) if label not in ALIKE.get(task, ())]
    return found.test.x[np.isin(found.test.y, others)]


# Task -> kind of stranger -> its pictures and their data set.
STRANGERS: dict[str, dict[str, tuple[Callable[[int], Pictures], str | None]]] = {
    "cats-dogs": {"objects": (objects, "cifar10"), "doodles": (partial(doodles, task="cats-dogs"), "doodles")},
    "objects": {"doodles": (partial(doodles, task="objects"), "doodles"), "digits": (digits, "mnist")},
    "doodles": {"digits": (digits, "mnist"), "letters": (letters, None)},
    "digits": {"letters": (letters, None), "doodles": (doodles, "doodles")},
}


def gather(task: str, spec: InputSpec, count: int = COUNT) -> dict[str, np.ndarray]:
    """Unfamiliar pictures for a task, preprocessed as in serving.

    Kinds whose data set is not on this machine are left out, so that measuring never downloads another data set.

    Returns:
        `{kind: uint8 [n, 28, 28]}` for ink, `{kind: uint8 [n, height, width, 3]}` for photos.
    """
    here = {
        kind: make
        for kind, (make, source) in STRANGERS.get(task, {}).items()
        if source is None or (data.folder() / data.DATASETS[source].file).exists()
    }
    seen = {kind: np.stack([inputs.prepare(one, spec) for one in make(count)]) for kind, make in here.items()}
    return {kind: x[..., 0] for kind, x in seen.items()} if spec.kind == "ink" else seen
