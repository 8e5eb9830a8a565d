"""The preprocessing stages between a picture and a model's input, as pictures that are shown to the visitor.

They are made again from the saved picture, by the code that prepares the model's input.
"""

import io

import cv2
import numpy as np
from PIL import Image

from inkling.recognition import inputs
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import Model
from inkling.recognition.predictor import Predictor, prepare

SIDE = 280  # pixels of the longer side of a stage
MAPS, COLUMNS = 16, 8  # feature maps shown of a layer, in all and in a row
TILE, GAP = 56, 4  # pixels of a feature map on the sheet, and between two
BACKGROUND = 128  # gray between feature maps, which suits light and dark pages


def names(card: ModelCard) -> tuple[str, ...]:
    """The names of a model's stages, in their order."""
    return ("squeezed",) if card.input.kind == "photo" else ("found", "placed", "drawn")


def render(image: inputs.Picture, card: ModelCard, name: str) -> bytes:
    """One stage of a picture, as a PNG file.

    Raises:
        KeyError: the model has no such stage.
        inputs.BlankDrawing: an ink model was given a picture without ink.
    """
    if name not in names(card):
        raise KeyError(name)
    spec = card.input
    if name == "squeezed":
        zoom = SIDE / max(spec.width, spec.height)
        return _png(inputs.photo(inputs.as_image(image), round(spec.width * zoom), round(spec.height * zoom)))
    stage = np.rint(getattr(inputs.ink_steps(image, spec.layout), name) * 255.0).astype(np.uint8)
    zoom = max(1.0, SIDE / max(stage.shape))
    return _png(cv2.resize(stage, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_LINEAR))


def layers(predictor: Predictor, image: inputs.Picture, model: Model) -> bytes | None:
    """A sheet of feature maps of a network's first layers. A map is light where its filter matches.

    Returns:
        a PNG file, or None for a network without such layers.

    Raises:
        Problem: "blank" or "model-unavailable".
    """
    found = predictor.layers(prepare(image, model.card), model)
    return _png(np.concatenate([_sheet(maps[_evenly_chosen(len(maps))]) for maps in found])) if found else None


def has_layers(card: ModelCard) -> bool:
    """Whether `layers` has something to show, as far as the card tells."""
    return any(row.kind == "Conv2D" and (row.output[-1] or 0) >= MAPS for row in card.network)


def _evenly_chosen(count: int) -> np.ndarray:
    """The indices of at most `MAPS` of `count` maps, evenly spaced: the order of maps has no meaning."""
    return np.linspace(0, count - 1, min(MAPS, count)).round().astype(int)


def _sheet(maps: np.ndarray) -> np.ndarray:
    """Maps float32 [n, h, w] in rows, each scaled from black (its minimum) to white (its maximum): uint8 [h, w]."""
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    shades = np.rint(255 * (maps - low) / np.maximum(high - low, 1e-9)).astype(np.uint8)
    pitch = TILE + GAP
    rows = -(-len(maps) // COLUMNS)
    sheet = np.full((rows * pitch, COLUMNS * pitch), BACKGROUND, np.uint8)
    for i, shade in enumerate(shades):
        top, left = i // COLUMNS * pitch + GAP // 2, i % COLUMNS * pitch + GAP // 2
        sheet[top : top + TILE, left : left + TILE] = cv2.resize(shade, (TILE, TILE), interpolation=cv2.INTER_NEAREST)
    return sheet


def _png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()
