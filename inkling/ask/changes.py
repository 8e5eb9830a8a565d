"""What would change an answer: the same model is asked about changed copies of the picture."""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from PIL import Image

from inkling.ask.answer import Change
from inkling.pictures.budget import Budget
from inkling.pictures.encode import at_most
from inkling.problems import Problem
from inkling.recognition import explain
from inkling.recognition.catalog import Model
from inkling.recognition.explain import HOTTEST, Explanation
from inkling.recognition.inputs import Picture, as_image
from inkling.service import Decoded, Service
from inkling.storage import Result

ANGLE = 20  # degrees, counterclockwise
DARKER = 0.5  # of the brightness
BLUR = 0.015  # of the longer side: the deviation of the blur
SMALLER = 8  # times: a picture before it is blurred that much
CROPPED = 0.7  # of each side is left, from the middle


def hidden(pixels: np.ndarray, part: np.ndarray, ink: bool) -> np.ndarray:
    """A picture uint8 [h, w, 3] with a part, bool [h, w], covered: by paper in a drawing, by a blur in a photo."""
    cover = np.broadcast_to(paper(pixels), pixels.shape) if ink else veil(pixels)
    return np.where(part[..., None], cover, pixels)


def turned(pixels: np.ndarray, ink: bool) -> np.ndarray:
    """A picture turned around its middle. What comes in from outside is paper, or for a photo its mirror image."""
    height, width = pixels.shape[:2]
    move = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), ANGLE, 1)
    if ink:
        rim = tuple(map(int, paper(pixels)))
        return cv2.warpAffine(pixels, move, (width, height), borderMode=cv2.BORDER_CONSTANT, borderValue=rim)
    return cv2.warpAffine(pixels, move, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def darker(pixels: np.ndarray, _ink: bool) -> np.ndarray:
    """A picture with half the brightness."""
    return np.rint(pixels * DARKER).astype(np.uint8)


def veil(pixels: np.ndarray) -> np.ndarray:
    """What hides a part of a photo: the photo so blurred that only its colors are left. Blurred small, to be quick."""
    height, width = pixels.shape[:2]
    small = cv2.resize(pixels, (-(-width // SMALLER), -(-height // SMALLER)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), explain.BLUR * max(small.shape))
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def blurred(pixels: np.ndarray, _ink: bool) -> np.ndarray:
    """A picture out of focus."""
    return cv2.GaussianBlur(pixels, (0, 0), BLUR * max(pixels.shape))


def cropped(pixels: np.ndarray, _ink: bool) -> np.ndarray:
    """The middle of a picture."""
    height, width = pixels.shape[:2]
    top, left = round(height * (1 - CROPPED) / 2), round(width * (1 - CROPPED) / 2)
    return np.ascontiguousarray(pixels[top : height - top, left : width - left])


def paper(pixels: np.ndarray) -> np.ndarray:
    """The color of a drawing's rim: uint8 [3]."""
    rim = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return np.median(rim, axis=0).astype(np.uint8)


# Name -> the change of a picture uint8 [h, w, 3]. Hiding the hottest tenth, "hidden", comes before these.
CHANGES: Mapping[str, Callable[[np.ndarray, bool], np.ndarray]] = {
    "turned": turned,
    "darker": darker,
    "blurred": blurred,
    "cropped": cropped,
}


def try_changes(
    service: Service, result: Result, original: Picture, model: Model, explanation: Explanation, budget: Budget
) -> tuple[Change, ...]:
    """Asks the model of a result about changed copies of its picture, all in one call.

    Args:
        original: what the model was asked about.
        explanation: of the result; says which tenth of the picture is the hottest.
        budget: the time that is left.

    Raises:
        Problem: "model-unavailable".
    """
    image, ink = at_most(as_image(original), service.router.enough(model)), model.card.input.kind == "ink"
    pixels = np.asarray(image)
    pictures = {"hidden": hidden(pixels, explanation.covers(HOTTEST, *image.size), ink)}
    pictures |= {name: change(pixels, ink) for name, change in CHANGES.items()}
    images = {name: Image.fromarray(changed) for name, changed in pictures.items()}
    outcomes = service.look([Decoded(one, result.kind) for one in images.values()], model, budget)
    return tuple(
        Change(name, one, answer, not isinstance(answer, Problem) and answer.label == result.label)
        for (name, one), answer in zip(images.items(), (outcome.answer for outcome in outcomes), strict=True)
    )
