"""What the model saw, step by step, as pictures: made anew from the picture that was kept, by the code that serves."""

import io

import cv2
import numpy as np
from PIL import Image

from inkling.recognition import inputs
from inkling.recognition.card import ModelCard
from inkling.recognition.predictor import Classifier

SIDE = 280  # pixels of a step's longer side
MAPS, ACROSS, TILE, GAP = 16, 8, 56, 4  # of a layer: maps shown, maps in a row, and pixels of one and between two
GROUND = 128  # grey between maps, calm in light and dark


def steps(card: ModelCard) -> tuple[str, ...]:
    """The names of what is made between the picture and what the model gets."""
    return ("squeezed",) if card.input.kind == "photo" else ("found", "placed", "drawn")


def step(image: Image.Image, card: ModelCard, name: str) -> bytes:
    """One of a model's `steps` from an upright RGB picture to its input, as a PNG file.

    Raises:
        KeyError: the model has no such step.
        inputs.BlankDrawing: an ink model was given a picture without ink.
    """
    if name not in steps(card):
        raise KeyError(name)
    spec = card.input
    if name == "squeezed":
        zoom = SIDE / max(spec.width, spec.height)
        return _png(inputs.photo(image, round(spec.width * zoom), round(spec.height * zoom)))
    made = getattr(inputs.ink_steps(image, spec.layout), name)
    return _png(np.rint(made * 255.0).astype(np.uint8))


def layers(classifier: Classifier, image: Image.Image, name: str) -> bytes | None:
    """A sheet of what a network's first layers find, a few maps of each, light where a filter finds its pattern.

    Returns:
        a PNG file, or None where there are no layers to look at: see `Classifier.layers`.

    Raises:
        Problem: "blank", "unknown-model" or "model-unavailable".
    """
    found = classifier.layers(classifier.prepare(image, name), name)
    return _png(np.concatenate([_sheet(maps[_spread(len(maps))]) for maps in found])) if found else None


def has_layers(card: ModelCard) -> bool:
    """Whether `layers` has something to show, as far as the card tells."""
    return any(row.kind == "Conv2D" and (row.output[-1] or 0) >= MAPS for row in card.network)


def _spread(count: int) -> np.ndarray:
    """Which of `count` maps to show: evenly chosen, because neighbours were not sorted by anybody."""
    return np.linspace(0, count - 1, min(MAPS, count)).round().astype(int)


def _sheet(maps: np.ndarray) -> np.ndarray:
    """Maps float32 [n, h, w] in rows, each from black where it is lowest to white: uint8 [h, w]."""
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    shades = np.rint(255 * (maps - low) / np.maximum(high - low, 1e-9)).astype(np.uint8)
    pitch = TILE + GAP
    rows = -(-len(maps) // ACROSS)
    sheet = np.full((rows * pitch, ACROSS * pitch), GROUND, np.uint8)
    for i, shade in enumerate(shades):
        top, left = i // ACROSS * pitch + GAP // 2, i % ACROSS * pitch + GAP // 2
        sheet[top : top + TILE, left : left + TILE] = cv2.resize(shade, (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    return sheet


def _png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()
