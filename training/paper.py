"""Photographs drawings on paper as a phone would: for training data and benchmarks of pictures that show a drawing."""

import cv2
import numpy as np
from PIL import Image

from training.redraw import Hand, redraw, through_jpeg

MATERIALS = (  # (ink, paper)
    ((90, 90, 95), (230, 228, 222)),  # pencil
    ((60, 80, 170), (230, 225, 210)),  # ballpoint pen
    ((35, 35, 40), (238, 236, 232)),  # felt pen
    ((150, 40, 40), (240, 215, 130)),  # red on yellow
    ((40, 35, 30), (196, 164, 120)),  # felt pen on cardboard
    ((225, 225, 220), (40, 60, 50)),  # chalk
    ((30, 90, 60), (215, 225, 235)),  # green on light blue
)
SHAPES = ((640, 480), (480, 640), (560, 560))  # width and height of a photo
DARKEST = 0.45  # of the brightest light, in the darkest corner of a photo
SHADOW = (0.55, 0.8)  # light that is left in a shadow
GRAIN = (1.5, 6.0)  # standard deviation of a camera's noise, of 255
TURN = 12.0  # degrees that the sheet may be turned


def photographed(bitmap: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """A drawing, uint8 [28, 28] with ink on 0, as a photo of a sheet of paper.

    The sheet is turned, lit unevenly, sometimes ruled, and sometimes crossed by a shadow. The photo is slightly
    blurred, has a camera's noise, and was compressed as JPEG.
    """
    ink, paper = MATERIALS[rng.integers(len(MATERIALS))]
    width, height = SHAPES[rng.integers(len(SHAPES))]
    x, y = np.linspace(0, 1, width, dtype=np.float32), np.linspace(0, 1, height, dtype=np.float32)[:, None]
    share = _drawn(bitmap, width, height, rng)[..., None]
    sheet = np.tile(np.array(paper, np.float32), (height, width, 1))
    if rng.random() < 0.2:
        sheet[int(rng.integers(20)) :: height // int(rng.integers(12, 20))] *= (0.8, 0.87, 0.97)
    scene = (share * ink + (1 - share) * sheet) * _light(x, y, rng)[..., None]
    scene = cv2.GaussianBlur(scene.astype(np.float32), (0, 0), width / rng.uniform(500, 1200))
    scene += rng.standard_normal(scene.shape, np.float32) * np.float32(rng.uniform(*GRAIN))
    seen = Image.fromarray(np.clip(np.rint(scene), 0, 255).astype(np.uint8))
    return through_jpeg(seen, int(rng.integers(60, 92)))


def _drawn(bitmap: np.ndarray, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """The share of ink in each pixel of a photo: float32 [height, width] in 0..1."""
    hand = Hand(pen=float(rng.uniform(8, 24)), size=0.85, ink=(255, 255, 255), paper=(0, 0, 0))
    drawn = np.asarray(redraw(bitmap, hand).convert("L"), np.float32) / 255
    zoom = rng.uniform(0.4, 0.8) * min(width, height) / len(drawn)
    turn = cv2.getRotationMatrix2D((len(drawn) / 2, len(drawn) / 2), float(rng.uniform(-TURN, TURN)), zoom)
    room = (np.array([width, height]) - zoom * len(drawn)) / 2
    turn[:, 2] += np.array([width, height]) / 2 - len(drawn) / 2 + room * rng.uniform(-0.7, 0.7, 2)
    return cv2.warpAffine(drawn, turn, (width, height), flags=cv2.INTER_LINEAR)


def _light(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The light on each pixel, in 0..1, given positions in 0..1: brighter on one side, with a shadow in half of all."""
    angle = rng.uniform(0, 2 * np.pi)
    along = (np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)) / np.sqrt(2) + 0.5
    light = rng.uniform(DARKEST, 1) + (1 - rng.uniform(DARKEST, 1)) * along
    if rng.random() < 0.5:
        angle, soft = rng.uniform(0, 2 * np.pi), rng.uniform(0.002, 0.05)
        edge = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5) - rng.uniform(-0.1, 0.5)
        light = light * (1 - (1 - rng.uniform(*SHADOW)) / (1 + np.exp(-np.clip(edge / soft, -50, 50))))
    return np.minimum(light, 1).astype(np.float32)
