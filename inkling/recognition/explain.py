"""Why an answer is what it is: which parts of the picture it hangs on, for any model.

Occlusion sensitivity (Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks"): hide one part
of the picture after the other, and see by how much the confidence drops. No look inside the model is needed.
"""

import io
import json
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from inkling.problems import Problem
from inkling.recognition import inputs
from inkling.recognition.card import ModelCard
from inkling.recognition.predictor import Classifier, Prediction, Prepared

GRIDS = {"ink": (10, 7), "photo": (10, 7, 5, 4)}  # parts a side, the finest that is fast enough
ENOUGH = {"ink": 50.0, "photo": 400.0}  # milliseconds that the network may take, less than may pass
TRIALS = 6  # runs that tell how fast a model is, the first of which are slow
PLACES = 4  # explanations under way in a process: one is computed, the others wait
BLUR = 0.1  # of the side: what is hidden in a photo is blurred by so much, its colours stay

OVERLAY = 320  # pixels of the overlay's longer side
SMOOTH = 0.35  # of a part: by how much the overlay is blurred, so that the grid is not seen
VEIL, MOST = 0.25, 0.85  # how opaque the overlay is where nothing, and where most hangs on the picture
TENTH = 0.1  # the hottest share of the picture, which is looked at to say where it is
SPREAD = 0.3  # of the side: a hottest tenth that lies further apart is in several places
FAINT = 0.05  # a smaller loss of confidence hardly changes the answer: no place is named as if it did
NOTE = "explanation"  # the key in the PNG file under which the numbers stand


@dataclass(frozen=True)
class Explanation:
    """By how much each part of a picture carries an answer."""

    model: str
    label: str
    confidence: float  # of that label, with nothing hidden
    drops: tuple[tuple[float, ...], ...]  # [row][column]: how much of it is lost when this part is hidden; may be < 0
    field: tuple[float, float, float, float]  # what the grid covers: left, top, right, bottom in shares of the picture
    milliseconds: float

    @property
    def largest(self) -> float:
        """What is lost when the most important part of the picture is hidden; 0 where nothing is."""
        drops, _ = self._in_picture(np.asarray(self.drops))
        return float(np.max(drops, initial=0))

    @property
    def decides(self) -> bool:
        """Whether hiding any one part changes the answer."""
        return self.largest >= FAINT

    @property
    def where(self) -> str:
        """Where in the picture its hottest tenth lies: "upper-left", "top", … "middle", or "several-places"."""
        heat, places = self._in_picture(self.heat(40, 40))
        hot = hottest(heat, TENTH)
        weights = np.maximum(heat[hot], 0)
        if not weights.any():
            return "several-places"
        places = places[hot]
        middle = np.average(places, axis=0, weights=weights)
        if np.sqrt(np.average(((places - middle) ** 2).sum(axis=1), weights=weights)) > SPREAD:
            return "several-places"
        row, column = np.digitize(middle, (0.4, 0.6))
        return PLACE_NAMES[row][column]

    def _in_picture(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of values [parts, parts] of what the model saw, those that reach into the picture, for it may see beyond.

        Returns:
            values [rows, columns], and y and x of their middles in shares of the picture, float64 [rows, columns, 2].
        """
        left, top, right, bottom = self.field
        edges = np.linspace((top, left), (bottom, right), len(values) + 1)
        inside = np.ix_(*((edges[1:] > 0) & (edges[:-1] < 1)).T)
        middles = np.stack(np.meshgrid(*((edges[1:] + edges[:-1]) / 2).T, indexing="ij"), axis=-1)
        return values[inside], middles[inside]

    def heat(self, height: int, width: int) -> np.ndarray:
        """The drops as a smooth map of what the model saw: float32 [height, width]."""
        drops = np.asarray(self.drops, np.float32)
        rows, columns = windows(len(drops), height), windows(len(drops), width)
        return rows.T @ drops @ columns / np.outer(rows.sum(axis=0), columns.sum(axis=0))

    def overlay(self, width: int, height: int) -> Image.Image:
        """The map to lay over a picture of that shape: RGBA, from hardly veiled blue to nearly opaque yellow.

        The colours are Cividis (Nuñez et al. 2018), which reads the same with any colour vision. Beyond the part of
        the picture that the model saw, the overlay is as where nothing hangs on it.
        """
        zoom = OVERLAY / max(width, height)
        width, height = max(1, round(width * zoom)), max(1, round(height * zoom))
        left, top, right, bottom = np.multiply(self.field, (width, height, width, height))
        side = inputs.SIDE
        heat = np.maximum(self.heat(side, side), 0)
        across, up = (right - left) / side, (bottom - top) / side
        move = np.array([[across, 0, left + (across - 1) / 2], [0, up, top + (up - 1) / 2]])
        heat = cv2.warpAffine(heat, move, (width, height), flags=cv2.INTER_LINEAR)
        heat = cv2.GaussianBlur(heat, (0, 0), SMOOTH * side * max(across, up) / len(self.drops))
        heat /= max(float(heat.max()), 1e-9)
        colours = cv2.applyColorMap(np.rint(heat * 255).astype(np.uint8), cv2.COLORMAP_CIVIDIS)[..., ::-1]
        alpha = np.rint(255 * (VEIL + (MOST - VEIL) * heat)).astype(np.uint8)
        return Image.fromarray(np.dstack([colours, alpha]))

    def png(self, width: int, height: int) -> bytes:
        """The overlay as a PNG file that holds the numbers too, for `read`."""
        info, file = PngInfo(), io.BytesIO()
        info.add_text(NOTE, json.dumps(asdict(self)))
        self.overlay(width, height).save(file, "PNG", pnginfo=info)
        return file.getvalue()


PLACE_NAMES = (
    ("upper-left", "top", "upper-right"),
    ("left", "middle", "right"),
    ("lower-left", "bottom", "lower-right"),
)


def read(file: Path | BinaryIO) -> Explanation:
    """What `Explanation.png` wrote.

    Raises:
        OSError: there is no such file.
    """
    with Image.open(file) as image:
        return Explanation(**json.loads(image.text[NOTE]))


class Explainer:
    """Explains one picture at a time: answers come first, and a batch takes memory."""

    def __init__(self):
        self._turn = threading.Lock()
        self._places = threading.BoundedSemaphore(PLACES)
        self._fastest: dict[str, float] = {}  # model -> milliseconds for one picture, in the best case seen
        self._hasty: set[str] = set()  # models that are too slow unless they hurry

    def explain(
        self, classifier: Classifier, image: Image.Image, name: str, label: str | None = None, seconds: float = -1
    ) -> Explanation:
        """Why a model gives a picture its answer; all that is hidden goes in one call.

        Args:
            image: upright RGB picture.
            label: the answer to explain; the model's own where it is None or unknown to the model.
            seconds: to wait for others at most; any number if negative.

        Raises:
            Problem: "blank", "unknown-model", "model-unavailable", or "busy" when others wait, or take too long.
        """
        classifier.card(name)
        if not self._places.acquire(blocking=False):
            raise _busy()
        try:
            if not self._turn.acquire(timeout=seconds):
                raise _busy()
            try:
                return self._explain(classifier, image, name, label)
            finally:
                self._turn.release()
        finally:
            self._places.release()

    def _explain(self, classifier: Classifier, image: Image.Image, name: str, label: str | None) -> Explanation:
        card, start = classifier.card(name), time.perf_counter()
        prepared = classifier.prepare(image, name)
        parts = self._parts(classifier, prepared, card)
        hasty = name in self._hasty
        pictures = [prepared, *(Prepared(seen, 0.0) for seen in hidden(prepared.seen, parts, card.input.kind))]
        answers = classifier.answer(pictures, name, hasty)
        self._note(name, answers)
        whole, *others = answers
        said = classifier.answer([prepared], name)[0] if hasty else whole
        label = label if label in card.labels else said.label
        confidence = 1 - _doubt(said, label)
        drops = np.reshape([_doubt(other, label) - _doubt(whole, label) for other in others], (parts, parts))
        drops = drops.clip(confidence - 1, confidence)  # what hurries may say a little more
        return Explanation(
            name,
            label,
            confidence,
            tuple(map(tuple, drops.round(6).tolist())),
            inputs.field(image, card.input),
            round((time.perf_counter() - start) * 1e3, 3),
        )

    def _parts(self, classifier: Classifier, picture: Prepared, card: ModelCard) -> int:
        """The finest grid that is fast enough here and now; the coarsest where none is.

        A busy machine makes the first grids coarser; later ones are as fine as the best run so far allows. A model for
        which all are too slow hurries as long as the process lives, if it can and is faster so.
        """
        name = card.name
        if name not in self._fastest:
            self._note(name, _trials(classifier, picture, name))
            if not self._finest(card) and classifier.hastens(name):
                hasty = _fastest(_trials(classifier, picture, name, hasty=True))
                if hasty < self._fastest[name]:
                    self._fastest[name] = hasty
                    self._hasty.add(name)
        return self._finest(card) or GRIDS[card.input.kind][-1]

    def _finest(self, card: ModelCard) -> int | None:
        """Parts a side of the finest grid that is fast enough, if one is."""
        kind, each = card.input.kind, self._fastest[card.name]
        return next((parts for parts in GRIDS[kind] if parts**2 * each <= ENOUGH[kind]), None)

    def _note(self, name: str, answers: Sequence[Prediction]) -> None:
        fastest = _fastest(answers)
        self._fastest[name] = min(fastest, self._fastest.get(name, fastest))


def _busy() -> Problem:
    return Problem("busy", "Other pictures are being explained. Try again in a few seconds.")


def windows(parts: int, side: int) -> np.ndarray:
    """How much of each of `side` pixels each part hides: float32 [parts, side].

    A part is whole within its share of the side and fades out over its neighbours', so that no hard edge is seen
    that the picture does not have.
    """
    share = side / parts
    middles = (np.arange(parts) + 0.5) * share - 0.5
    return np.clip(1.5 - np.abs(np.arange(side) - middles[:, None]) / share, 0, 1).astype(np.float32)


def cover(seen: np.ndarray, kind: str) -> np.ndarray:
    """What a picture uint8 [h, w, c] looks like where it is hidden: paper for ink, a blur for a photo; float32."""
    if kind == "ink":
        return np.zeros(seen.shape, np.float32)
    return cv2.GaussianBlur(seen.astype(np.float32), (0, 0), BLUR * max(seen.shape))


def hidden(seen: np.ndarray, parts: int, kind: str) -> np.ndarray:
    """A picture uint8 [h, w, c] with each of parts x parts places hidden in turn: uint8 [parts², h, w, c]."""
    height, width = seen.shape[:2]
    change = cover(seen, kind) - seen
    masks = (np.outer(row, column)[..., None] for row in windows(parts, height) for column in windows(parts, width))
    return np.stack([np.rint(seen + mask * change).astype(np.uint8) for mask in masks])


def hottest(heat: np.ndarray, share: float) -> np.ndarray:
    """The hottest share of a map [h, w], as bool [h, w]."""
    order = np.argsort(-heat, axis=None, kind="stable")
    mask = np.zeros(heat.size, bool)
    mask[order[: round(share * heat.size)]] = True
    return mask.reshape(heat.shape)


def _fastest(answers: Sequence[Prediction]) -> float:
    return min(answer.milliseconds["infer"] for answer in answers)


def _trials(classifier: Classifier, picture: Prepared, name: str, hasty: bool = False) -> list[Prediction]:
    return [classifier.answer([picture], name, hasty)[0] for _ in range(TRIALS)]


def _doubt(answer: Prediction, label: str) -> float:
    """The probability of all other labels: where an answer is sure, it is finer than one less the label's own."""
    others = [
        probability for other, probability in zip(answer.labels, answer.probabilities, strict=True) if other != label
    ]
    return float(np.sum(others, dtype=np.float64))
