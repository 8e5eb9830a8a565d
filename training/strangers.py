"""Pictures of none of a task's labels, to measure whether a model notices.

No weight and no threshold is fitted on them. The formula of familiarity (training/familiar.py) was chosen by them.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import skimage.data
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
# Wild animals, by the groups of `things`; in ImageNet, foxes and wild dogs stand beside the wolves.
WILD = {
    "bears": ("bear",),
    "wolves and foxes": ("wolf", "fox"),
    "big cats": ("wild cat",),
    "hoofed animals": ("hoofed animal",),
}
THINGS = Path("models/things")
# The photos that scikit-image ships with itself, without the one of a cat.
SKIMAGE = (
    "astronaut", "brick", "camera", "cell", "clock", "coffee", "coins", "grass", "gravel", "hubble_deep_field",
    "immunohistochemistry", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip
DRAWN = 200  # at most, of pictures that are drawn by code
FLOWERS = "flowers/test"  # in the data folder
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
    return _imagenet(count, lambda y: ~np.isin(y, _labels(GROUPS[task])))


def wild(count: int, kind: str) -> Pictures:
    """ImageNet validation photos of the wild animals of a kind in `WILD`."""
    return _imagenet(count, lambda y: np.isin(y, _labels(WILD[kind])))


def _imagenet(count: int, picked: Callable[[np.ndarray], np.ndarray]) -> Pictures:
    """The first ImageNet validation photos whose labels int64 [n] are picked, bool [n]."""
    found = data.load("imagenet-val").test
    return (Image.fromarray(found.x[i]) for i in np.flatnonzero(picked(found.y))[:count])


def _labels(groups: Sequence[str]) -> list[int]:
    """The labels of `things` in some of its groups."""
    return sorted({label for group in Groups.read(THINGS).groups if group.name in groups for label in group.labels})


def flowers(count: int) -> Pictures:
    """Photos of flowers: `flowers/test/<kind>/*.jpg` in the data folder."""
    for path in sorted((data.folder() / FLOWERS).glob("*/*.jpg"))[:count]:
        with Image.open(path) as photo:
            yield photo.convert("RGB")


def skimage_photos(count: int) -> Pictures:
    """scikit-image's own photos."""
    return (Image.fromarray(getattr(skimage.data, name)()).convert("RGB") for name in SKIMAGE[:count])


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


# Task -> kind of stranger -> its pictures, and the file or folder in the data folder that they are made from.
STRANGERS: dict[str, dict[str, tuple[Callable[[int], Pictures], str | None]]] = {
    "cats-dogs": {
        "objects": (objects, "cifar10.npz"),
        "other photos": (partial(other_photos, task="cats-dogs"), "imagenet-val"),
        **{kind: (partial(wild, kind=kind), "imagenet-val") for kind in WILD},
        "flowers": (flowers, FLOWERS),
        "scikit-image's photos": (skimage_photos, None),
        "doodles": (partial(doodles, task="cats-dogs"), "doodles.npz"),
        "drawn scenes": (drawn_scenes, None),
        "textures": (textures, None),
    },
    "objects": {
        "other photos": (partial(other_photos, task="objects"), "imagenet-val"),
        "flowers": (flowers, FLOWERS),
        "scikit-image's photos": (skimage_photos, None),
        "doodles": (partial(doodles, task="objects"), "doodles.npz"),
        "digits": (digits, "mnist.npz"),
        "drawn scenes": (drawn_scenes, None),
        "textures": (textures, None),
    },
    "doodles": {"digits": (digits, "mnist.npz"), "letters": (letters, None)},
    "digits": {"letters": (letters, None), "doodles": (doodles, "doodles.npz")},
}


def pictures(task: str, count: int = COUNT) -> dict[str, Pictures]:
    """Unfamiliar pictures for a task, by kind.

    Kinds whose data set is not on this machine are left out, so that measuring never downloads another data set.
    """
    return {
        kind: make(count)
        for kind, (make, source) in STRANGERS.get(task, {}).items()
        if source is None or (data.folder() / source).exists()
    }


def gather(task: str, spec: InputSpec, count: int = COUNT) -> dict[str, np.ndarray]:
    """`pictures`, preprocessed as in serving.

    Returns:
        `{kind: uint8 [n, 28, 28]}` for ink, `{kind: uint8 [n, height, width, 3]}` for photos.
    """
    found = pictures(task, count)
    seen = {kind: np.stack([inputs.prepare(one, spec) for one in some]) for kind, some in found.items()}
    return {kind: x[..., 0] for kind, x in seen.items()} if spec.kind == "ink" else seen
