"""Pictures of none of a task's labels, to measure whether a model notices.

No weight and no threshold is fitted on them. The formula of familiarity (training/familiar.py) was chosen by them.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from inkling.recognition import inputs
from inkling.recognition.card import InputSpec
from inkling.recognition.groups import Groups
from training import data, scenes
from training.redraw import CANVAS, Hand, redraw

COUNT = 1000  # pictures of each kind
# Without letters that resemble digits: B D G I J O Q S T Y Z and b c g i j l o q s y z.
LETTERS = "ACEFHKLMNPRUVWXadefhkmnprtuvwx"
# The names that other data sets use for a task's labels.
ALIKE = {"cats-dogs": ("cat", "dog"), "objects": ("airplane", "bird", "car", "cat", "dog", "frog", "horse", "sailboat")}
# The groups of `things` that hold a task's labels, or what a photo of them may be taken for.
GROUPS = {
    "cats-dogs": ("cat", "dog"),
    "objects": ("aircraft", "bird", "boat", "bus", "car", "cat", "dog", "frog", "hoofed animal", "ship", "truck"),
}
THINGS = Path("models/things")
DRAWN = 200  # at most, of pictures that are drawn by code
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


def other_photos(count: int, task: str) -> Pictures:
    """ImageNet validation photos of none of the task's labels, as the groups of `things` tell."""
    found, things = data.load("imagenet-val"), Groups.read(THINGS)
    own = {label for group in things.groups if group.name in GROUPS[task] for label in group.labels}
    picked = np.flatnonzero(~np.isin(found.test.y, sorted(own)))[:count]
    return (Image.fromarray(found.test.x[i]) for i in picked)


def drawn_scenes(count: int) -> Pictures:
    """Drawn houses, lawns, rooms and roads with nothing in them."""
    makers = list(scenes.SCENES.values())
    return (makers[i % len(makers)](np.random.default_rng(i)) for i in range(min(count, DRAWN)))


def textures(count: int) -> Pictures:
    """Noise of various grain and patterns of random colors."""
    for i in range(min(count, DRAWN)):
        rng = np.random.default_rng(i)
        grain = int(2 ** rng.integers(3, 9))
        noise = rng.integers(0, 256, (grain, grain, 3), np.uint8)
        yield Image.fromarray(noise if i % 2 else scenes.backdrop(rng, 200)).resize((200, 200))


def unlike(found: data.Dataset, task: str) -> np.ndarray:
    """A data set's test pictures without those of the task's own labels."""
    others = [i for i, label in enumerate(found.labels) if label not in ALIKE.get(task, ())]
    return found.test.x[np.isin(found.test.y, others)]


# Task -> kind of stranger -> its pictures and their data set.
STRANGERS: dict[str, dict[str, tuple[Callable[[int], Pictures], str | None]]] = {
    "cats-dogs": {
        "objects": (objects, "cifar10"),
        "other photos": (partial(other_photos, task="cats-dogs"), "imagenet-val"),
        "doodles": (partial(doodles, task="cats-dogs"), "doodles"),
        "drawn scenes": (drawn_scenes, None),
        "textures": (textures, None),
    },
    "objects": {
        "other photos": (partial(other_photos, task="objects"), "imagenet-val"),
        "doodles": (partial(doodles, task="objects"), "doodles"),
        "digits": (digits, "mnist"),
        "drawn scenes": (drawn_scenes, None),
        "textures": (textures, None),
    },
    "doodles": {"digits": (digits, "mnist"), "letters": (letters, None)},
    "digits": {"letters": (letters, None), "doodles": (doodles, "doodles")},
}


def pictures(task: str, count: int = COUNT) -> dict[str, Pictures]:
    """Unfamiliar pictures for a task, by kind.

    Kinds whose data set is not on this machine are left out, so that measuring never downloads another data set.
    """
    return {
        kind: make(count)
        for kind, (make, source) in STRANGERS.get(task, {}).items()
        if source is None or (data.folder() / data.DATASETS[source].file).exists()
    }


def gather(task: str, spec: InputSpec, count: int = COUNT) -> dict[str, np.ndarray]:
    """`pictures`, preprocessed as in serving.

    Returns:
        `{kind: uint8 [n, 28, 28]}` for ink, `{kind: uint8 [n, height, width, 3]}` for photos.
    """
    found = pictures(task, count)
    seen = {kind: np.stack([inputs.prepare(one, spec) for one in some]) for kind, some in found.items()}
    return {kind: x[..., 0] for kind, x in seen.items()} if spec.kind == "ink" else seen
