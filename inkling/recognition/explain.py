"""Explains an answer by the parts of the picture that it depends on, for any model.

Occlusion sensitivity (Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks"): hide the parts
of the picture in turn, and measure how much confidence each one costs. The network itself is not looked into.

Insertion (Petsiuk et al. 2018, "RISE") then finds the smallest part that is enough: start with everything hidden, and
show the picture again from its most important part on until the answer is the same.
"""

import io
import json
import threading
import time
import weakref
from collections.abc import MutableMapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from inkling.recognition import inputs
from inkling.recognition.catalog import Model
from inkling.recognition.predictor import Prediction, Predictor, Prepared, prepare

GRIDS = {"ink": (10, 7), "photo": (10, 7, 5, 4)}  # parts a side, finest first
LONGEST_RUN = {"ink": 50.0, "photo": 400.0}  # milliseconds that the network may take for all parts of a grid
TRIALS = 6  # runs that measure a model; the first ones are slow
BLUR = 0.1  # of the side: the blur that hides a part of a photo and leaves its colors

OVERLAY = 320  # pixels of the overlay's longer side
SMOOTH = 0.35  # of a part: the overlay is blurred to hide the grid
MOST_OPAQUE = 0.85  # opacity of the most important parts
HOTTEST = 0.1  # share of the picture that decides where its most important part is
SPREAD = 0.3  # of the side: if the hottest parts are further apart, they count as several places
LEAST_DROP = 0.05  # a smaller loss of confidence hardly changes the answer: it has no place and no color
MOST_DROP = 0.5  # the loss of confidence from which on the overlay has its strongest color, in every picture
SHARES = tuple(i / 20 for i in range(20))  # of the picture, shown in turn to find the smallest that is enough
VEIL = (127, 127, 127, 235)  # color and opacity of what lies outside the smallest part that is enough
WHOLE = (0.0, 0.0, 1.0, 1.0)  # the field of a model that sees exactly the picture
NOTE = "occlusion"  # key of the numbers in the PNG file

PLACES = (
    ("upper-left", "top", "upper-right"),
    ("left", "middle", "right"),
    ("lower-left", "bottom", "lower-right"),
)


@dataclass(frozen=True)
class Explanation:
    """How much an answer depends on each part of a picture.

    Attributes:
        model: the model's name.
        label: the label that is explained.
        confidence: the probability of that label with nothing hidden.
        drops: [row][column], the confidence that is lost when this part is hidden; negative where it rises.
        field: the region that the grid covers: left, top, right, bottom in shares of the picture. It may reach beyond.
        milliseconds: the time that explaining took.
        enough: the smallest share of the picture whose hottest parts alone get the same answer: a sure one if the
            answer is sure. 0 if it needs no part, as the hidden picture is answered like that; None if it needs all.
    """

    model: str
    label: str
    confidence: float
    drops: tuple[tuple[float, ...], ...]
    field: tuple[float, float, float, float]
    milliseconds: float
    enough: float | None = None

    @property
    def largest(self) -> float:
        """The confidence that is lost when the most important part of the picture is hidden; 0 where none is lost."""
        drops, _ = self._in_picture(np.asarray(self.drops))
        return float(np.max(drops, initial=0))

    @property
    def decides(self) -> bool:
        """Whether hiding any one part changes the answer noticeably."""
        return self.largest >= LEAST_DROP

    @property
    def where(self) -> str:
        """The place of the picture's hottest share: one of `PLACES`, or "several-places"."""
        heat, places = self._in_picture(self.heat(40, 40))
        hot = hottest(heat, HOTTEST)
        weights = np.maximum(heat[hot], 0)
        if not weights.any():
            return "several-places"
        places = places[hot]
        middle = np.average(places, axis=0, weights=weights)
        if np.sqrt(np.average(((places - middle) ** 2).sum(axis=1), weights=weights)) > SPREAD:
            return "several-places"
        row, column = np.digitize(middle, (0.4, 0.6))
        return PLACES[row][column]

    def _in_picture(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values [parts, parts] of the field, without those that lie beyond the picture.

        Returns:
            values [rows, columns], and y and x of their centers in shares of the picture, float64 [rows, columns, 2].
        """
        left, top, right, bottom = self.field
        edges = np.linspace((top, left), (bottom, right), len(values) + 1)
        inside = np.ix_(*((edges[1:] > 0) & (edges[:-1] < 1)).T)
        centers = np.stack(np.meshgrid(*((edges[1:] + edges[:-1]) / 2).T, indexing="ij"), axis=-1)
        return values[inside], centers[inside]

    def heat(self, height: int, width: int) -> np.ndarray:
        """The drops as a smooth map of the field: float32 [height, width]."""
        drops = np.asarray(self.drops, np.float32)
        rows, columns = windows(len(drops), height), windows(len(drops), width)
        return rows.T @ drops @ columns / np.outer(rows.sum(axis=0), columns.sum(axis=0))

    def part(self, share: float, height: int, width: int) -> np.ndarray:
        """The hottest share of the picture, as bool [height, width] of the field."""
        left, top, right, bottom = self.field
        x = left + (right - left) * (np.arange(width) + 0.5) / width
        y = top + (bottom - top) * (np.arange(height) + 0.5) / height
        inside = np.outer((y > 0) & (y < 1), (x > 0) & (x < 1))
        heat = np.where(inside, self.heat(height, width), -np.inf)
        return hottest(heat, share * inside.mean())

    def overlay(self, width: int, height: int) -> Image.Image:
        """The map to lay over a picture of that shape: RGBA, from transparent blue to nearly opaque yellow.

        A color stands for the same loss of confidence in every picture, and a loss below `LEAST_DROP` has none. The
        colors are Cividis (Nuñez et al. 2018), which looks the same with any color vision.
        """
        side = inputs.SIDE
        heat, blur = self._on_picture(np.maximum(self.heat(side, side), 0), width, height)
        heat = cv2.GaussianBlur(heat, (0, 0), SMOOTH * blur / len(self.drops))
        heat = heat / max(float(heat.max()), 1e-9) * self.largest  # smoothing has lowered the drops
        strength = np.clip((heat - LEAST_DROP) / (MOST_DROP - LEAST_DROP), 0, 1)
        colors = cv2.applyColorMap(np.rint(strength * 255).astype(np.uint8), cv2.COLORMAP_CIVIDIS)[..., ::-1]
        alpha = np.rint(255 * MOST_OPAQUE * np.sqrt(strength)).astype(np.uint8)
        return Image.fromarray(np.dstack([colors, alpha]))

    def veil(self, width: int, height: int) -> Image.Image:
        """An overlay for a picture of that shape that leaves only the smallest part in sight that is enough: RGBA."""
        side, share = inputs.SIDE, 1.0 if self.enough is None else self.enough
        shown, _ = self._on_picture(self.part(share, side, side).astype(np.float32), width, height)
        *color, opacity = VEIL
        alpha = np.rint(opacity * (1 - np.clip(shown, 0, 1))).astype(np.uint8)
        return Image.fromarray(np.dstack([np.full((*alpha.shape, 3), color, np.uint8), alpha]))

    def covers(self, share: float, width: int, height: int) -> np.ndarray:
        """The hottest share of the picture, as bool [height, width] of a picture of that size."""
        side = inputs.SIDE
        shown, _ = self._on_picture(self.part(share, side, side).astype(np.float32), width, height)
        return cv2.resize(shown, (width, height), interpolation=cv2.INTER_LINEAR) > 0.5

    def _on_picture(self, values: np.ndarray, width: int, height: int) -> tuple[np.ndarray, float]:
        """A map of the field, moved to its place in a picture of that shape, `OVERLAY` pixels long.

        Returns:
            the map, 0 outside of the field, and the field's longer side in pixels.
        """
        zoom = OVERLAY / max(width, height)
        width, height = max(1, round(width * zoom)), max(1, round(height * zoom))
        left, top, right, bottom = np.multiply(self.field, (width, height, width, height))
        across, down = (right - left) / values.shape[1], (bottom - top) / values.shape[0]
        move = np.array([[across, 0, left + (across - 1) / 2], [0, down, top + (down - 1) / 2]])
        moved = cv2.warpAffine(values, move, (width, height), flags=cv2.INTER_LINEAR)
        return moved, float(max(right - left, bottom - top))

    def png(self, width: int, height: int) -> bytes:
        """The overlay as a PNG file that also holds the numbers, for `read`."""
        info, file = PngInfo(), io.BytesIO()
        info.add_text(NOTE, json.dumps(asdict(self)))
        self.overlay(width, height).save(file, "PNG", pnginfo=info)
        return file.getvalue()


def read(file: BinaryIO) -> Explanation | None:
    """The explanation in a file that `Explanation.png` made; None if an older version made it, with other contents."""
    with Image.open(file, formats=["PNG"]) as image:
        return Explanation(**json.loads(image.info[NOTE])) if NOTE in image.info else None


class Explainer:
    """Explains one picture at a time, because all variants of a picture together take much memory."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Milliseconds for one picture, the best so far, in the precision that `explain` uses.
        self._fastest: MutableMapping[Model, float] = weakref.WeakKeyDictionary()
        self._in_reduced_precision: weakref.WeakSet[Model] = weakref.WeakSet()

    def explain(
        self, predictor: Predictor, image: inputs.Picture, model: Model, label: str | None = None
    ) -> Explanation:
        """Explains a model's answer to a picture. All variants with a hidden part go to the model in one call.

        A model that is too slow for every grid runs in reduced precision, if it is faster then. The confidence is
        always that of an answer in full precision.

        Args:
            image: upright RGB picture, or a drawing.
            label: the label to explain; the model's answer if it is None or unknown to the model.

        Raises:
            Problem: "blank" or "model-unavailable".
        """
        start = time.perf_counter()
        prepared, field = prepare(image, model.card), inputs.field(image, model.card.input)
        found = self.explain_input(predictor, prepared, model, label, field)
        return replace(found, milliseconds=round((time.perf_counter() - start) * 1e3, 3))

    def explain_input(
        self,
        predictor: Predictor,
        prepared: Prepared,
        model: Model,
        label: str | None = None,
        field: tuple[float, float, float, float] = WHOLE,
    ) -> Explanation:
        """`explain` for a picture that is prepared already; by default, the field is the input itself."""
        with self._lock:
            card, start = model.card, time.perf_counter()
            parts = self._parts(predictor, prepared, model)
            fast = model in self._in_reduced_precision
            variants = [Prepared(seen) for seen in hidden(prepared.seen, parts, card.input.kind)]
            whole, *others = answers = predictor.answer([prepared, *variants], model, fast)
            self._note(model, answers)
            usual = predictor.answer([prepared], model)[0] if fast else whole
            if label not in card.labels:
                label = usual.label
            confidence = 1 - _doubt(usual, label)
            drops = np.reshape([_doubt(other, label) - _doubt(whole, label) for other in others], (parts, parts))
            drops = drops.clip(confidence - 1, confidence)  # reduced precision may exceed this range slightly
            found = Explanation(card.name, label, confidence, tuple(map(tuple, drops.round(6).tolist())), field, 0.0)
            if usual.label == label:
                sure = usual.confidence >= usual.threshold
                found = replace(found, enough=_enough(predictor, prepared.seen, model, fast, found, sure))
            return replace(found, milliseconds=round((time.perf_counter() - start) * 1e3, 3))

    def _parts(self, predictor: Predictor, picture: Prepared, model: Model) -> int:
        """Parts a side of the finest grid that is fast enough on this machine; of the coarsest if none is.

        On a busy machine the first grids are coarser than later ones, which rely on the best run so far.
        """
        if model not in self._fastest:
            self._note(model, _trials(predictor, picture, model))
            if not self._finest(model) and predictor.answer([picture], model, fast=True)[0].approximate:
                fastest = _fastest(_trials(predictor, picture, model, fast=True))
                if fastest < self._fastest[model]:
                    self._fastest[model] = fastest
                    self._in_reduced_precision.add(model)
        return self._finest(model) or GRIDS[model.card.input.kind][-1]

    def _finest(self, model: Model) -> int | None:
        """Parts a side of the finest grid that is fast enough, if one is."""
        kind, each = model.card.input.kind, self._fastest[model]
        return next((parts for parts in GRIDS[kind] if parts**2 * each <= LONGEST_RUN[kind]), None)

    def _note(self, model: Model, answers: Sequence[Prediction]) -> None:
        fastest = _fastest(answers)
        self._fastest[model] = min(fastest, self._fastest.get(model, fastest))


def windows(parts: int, side: int) -> np.ndarray:
    """How much each part hides of each of `side` pixels: float32 [parts, side].

    A part hides its own share of the side wholly, and fades out over its neighbors' shares. A hard edge would be
    something to see that the picture does not have.
    """
    share = side / parts
    centers = (np.arange(parts) + 0.5) * share - 0.5
    return np.clip(1.5 - np.abs(np.arange(side) - centers[:, None]) / share, 0, 1).astype(np.float32)


def cover(seen: np.ndarray, kind: str) -> np.ndarray:
    """What replaces a hidden part of a picture uint8 [h, w, c]: paper for ink, a blur for a photo; float32."""
    if kind == "ink":
        return np.zeros(seen.shape, np.float32)
    return cv2.GaussianBlur(seen.astype(np.float32), (0, 0), BLUR * max(seen.shape))


def hidden(seen: np.ndarray, parts: int, kind: str) -> np.ndarray:
    """A picture uint8 [h, w, c] with each of parts x parts places hidden in turn: uint8 [parts², h, w, c]."""
    height, width = seen.shape[:2]
    change = cover(seen, kind) - seen
    masks = (np.outer(row, column)[..., None] for row in windows(parts, height) for column in windows(parts, width))
    return np.stack([np.rint(seen + mask * change).astype(np.uint8) for mask in masks])


def showing(seen: np.ndarray, parts: Sequence[np.ndarray], kind: str) -> list[np.ndarray]:
    """A picture uint8 [h, w, c] with all hidden but a part, for each part bool [h, w]."""
    hiding = np.rint(cover(seen, kind)).astype(np.uint8)
    return [np.where(part[..., None], seen, hiding) for part in parts]


def hottest(heat: np.ndarray, share: float) -> np.ndarray:
    """The hottest share of a map [h, w], as bool [h, w]."""
    order = np.argsort(-heat, axis=None, kind="stable")
    mask = np.zeros(heat.size, bool)
    mask[order[: round(share * heat.size)]] = True
    return mask.reshape(heat.shape)


def _enough(
    predictor: Predictor, seen: np.ndarray, model: Model, fast: bool, why: Explanation, sure: bool
) -> float | None:
    """`Explanation.enough`. The familiarity of these pictures does not count: none looks like those of training."""
    parts = [why.part(share, *seen.shape[:2]) for share in SHARES]
    shown = [Prepared(one) for one in showing(seen, parts, model.card.input.kind)]
    for share, answer in zip(SHARES, predictor.answer(shown, model, fast), strict=True):
        if answer.label == why.label and (not sure or answer.confidence >= answer.threshold):
            return share
    return None


def _fastest(answers: Sequence[Prediction]) -> float:
    return min(answer.milliseconds["infer"] for answer in answers)


def _trials(predictor: Predictor, picture: Prepared, model: Model, fast: bool = False) -> list[Prediction]:
    # A new input each time, because a picture keeps its answer.
    return [predictor.answer([Prepared(picture.seen)], model, fast)[0] for _ in range(TRIALS)]


def _doubt(answer: Prediction, label: str) -> float:
    """The probability of all other labels: more precise than 1 minus the label's own where an answer is sure."""
    others = [
        probability for other, probability in zip(answer.labels, answer.probabilities, strict=True) if other != label
    ]
    return float(np.sum(others, dtype=np.float64))
