"""Redraws 28x28 drawings as a visitor would on the canvas, for training and benchmarks."""

import io
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from PIL import Image
from skimage.morphology import skeletonize
from tqdm import tqdm

from inkling.recognition import inputs

CANVAS = 400  # side in pixels, as on the page
TINY = 32  # side in pixels of a noisy picture
GRID = 112  # side of the grid on which center lines are found, four cells per pixel
LINE = 170  # ink threshold of 255; at 128, lines that nearly touch would merge


@dataclass(frozen=True)
class Hand:
    """How a simulated visitor draws."""

    pen: float = 16.0  # pen width in canvas pixels
    size: float = 0.7  # longer side of the drawing, as a share of the canvas
    shift: tuple[float, float] = (0.0, 0.0)  # offset from the center, as a share of the remaining space
    ink: tuple[int, int, int] = (0, 0, 0)
    paper: tuple[int, int, int] = (255, 255, 255)
    jpeg: int | None = None  # JPEG quality; None skips compression


def middle_line(bitmap: np.ndarray) -> np.ndarray:
    """Distance to the nearest center line, float32 [112, 112], of a drawing uint8 [28, 28], ink on 0."""
    fine = cv2.resize(bitmap, (GRID, GRID), interpolation=cv2.INTER_CUBIC)
    line = skeletonize(fine > LINE)
    if not line.any():
        line[np.unravel_index(fine.argmax(), fine.shape)] = True
    return cv2.distanceTransform(1 - line.astype(np.uint8), cv2.DIST_L2, 5)


def redraw(bitmap: np.ndarray, hand: Hand) -> Image.Image:
    """Redraws a drawing, uint8 [28, 28] with ink on 0, as a 400x400 RGB picture."""
    distance = middle_line(bitmap)
    top, left = np.min(np.nonzero(distance == 0), axis=1)
    bottom, right = np.max(np.nonzero(distance == 0), axis=1)
    extent = max(bottom - top, right - left, 1)
    zoom = max(hand.size * CANVAS - hand.pen, 1) / extent
    middle = np.array([(left + right) / 2, (top + bottom) / 2])
    room = (1 - hand.size) * CANVAS / 2
    target = (CANVAS - 1) / 2 + room * np.array(hand.shift)
    move = np.hstack([np.eye(2) * zoom, (target - zoom * middle)[:, None]])
    far = float(GRID)
    away = cv2.warpAffine(distance, move, (CANVAS, CANVAS), borderMode=cv2.BORDER_CONSTANT, borderValue=far)
    cover = cv2.convertScaleAbs(np.clip(hand.pen / 2 - away * zoom + 0.5, 0, 1), alpha=255)
    shades = np.linspace(hand.paper, hand.ink, 256).round().astype(np.uint8)  # paper to ink, [256, 3]
    picture = Image.fromarray(cv2.merge([cv2.LUT(cover, shade) for shade in shades.T]))
    return picture if hand.jpeg is None else through_jpeg(picture, hand.jpeg)


def through_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    """The picture after JPEG compression at this quality."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def in_noise(bitmap: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """A thin, faint drawing in a noisy picture of 32x32 pixels, as a cheap scanner or a thumbnail shows it."""
    thin = Hand(pen=rng.uniform(1.0, 1.6) * CANVAS / TINY, size=rng.uniform(0.6, 0.9))
    cover = 255 - np.asarray(redraw(bitmap, thin).convert("L").resize((TINY, TINY), Image.Resampling.BOX), np.float32)
    paper, contrast, noise = rng.uniform(150, 235), rng.uniform(60, 100), rng.uniform(4, 10)
    shades = paper - contrast * cover / 255 + rng.normal(0, noise, cover.shape)
    return Image.fromarray(np.clip(shades, 0, 255).astype(np.uint8)).convert("RGB")


def random_hand(rng: np.random.Generator) -> Hand:
    """A random visitor: pens of 5 to 40 pixels, mostly thin; any place and size; occasionally JPEG."""
    return Hand(
        pen=float(np.exp(rng.uniform(np.log(5), np.log(40)))),
        size=float(rng.uniform(0.35, 0.95)),
        shift=tuple(rng.uniform(-1, 1, 2)),
        jpeg=int(rng.integers(40, 95)) if rng.random() < 0.3 else None,
    )


def through_canvas(x: np.ndarray, layout: str, seed: int) -> np.ndarray:
    """Drawings uint8 [n, 28, 28], each redrawn by a random visitor and preprocessed as in serving."""
    return in_processes(partial(_through_canvas, layout=layout), x, seed * len(x) + np.arange(len(x)), "redrawing")


def in_processes(function: Callable[..., np.ndarray], jobs: Sequence, seeds: np.ndarray, title: str) -> np.ndarray:
    """`function(job, seed)` for each job, computed on all cores: the arrays that it returns, stacked."""
    # Spawned processes, because forking a process with TensorFlow's threads is unsafe.
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(mp_context=fresh, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        drawn = pool.map(function, jobs, seeds.tolist(), chunksize=256)
        return np.stack(list(tqdm(drawn, title, len(jobs), unit="drawing", mininterval=5)))


def _through_canvas(bitmap: np.ndarray, seed: int, layout: str) -> np.ndarray:
    return inputs.ink(redraw(bitmap, random_hand(np.random.default_rng(seed))), layout)[..., 0]
