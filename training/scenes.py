"""Drawn places for photos to be pasted into, and other changes of a photo that a visitor's camera or screen makes.

Two families of backgrounds never mix: `SCENES` (a house, a lawn, a room, a road) measure, and `backdrop` trains. No
scene uses a photo, so that the subject that was pasted is the only thing to recognize.
"""

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageDraw

SIDE = 480  # pixels a side of a drawn scene, before it is resized
CELL = 24  # pixels of a pattern's smallest tile, before it is resized

Color = tuple[int, int, int]
Scene = Callable[[np.random.Generator], Image.Image]


# ---- Scenes that measure ----


def near(color: Color, rng: np.random.Generator, spread: int = 24) -> Color:
    """A color that differs from this one by up to `spread` in each channel."""
    return tuple(np.clip(np.array(color) + rng.integers(-spread, spread + 1, 3), 0, 255).tolist())


def grainy(scene: Image.Image, rng: np.random.Generator, amount: float = 6.0) -> Image.Image:
    """A drawn scene with a photo's grain, because flat color is rare in photos."""
    grain = rng.normal(0, amount, (SIDE // 2, SIDE // 2, 3)).astype(np.float32)
    grain = cv2.resize(grain, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return Image.fromarray(np.clip(np.asarray(scene) + grain, 0, 255).astype(np.uint8))


def house(rng: np.random.Generator) -> Image.Image:
    """A house with a roof, windows and a door, under the sky."""
    scene = Image.new("RGB", (SIDE, SIDE), near((150, 190, 225), rng))
    draw = ImageDraw.Draw(scene)
    ground, left, right = (int(rng.integers(*limits)) for limits in ((380, 430), (20, 110), (370, 460)))
    top = int(rng.integers(150, 210))
    draw.rectangle((0, ground, SIDE, SIDE), near((120, 130, 100), rng))
    draw.rectangle((left, top, right, ground), near((200, 170, 140), rng, 50))
    draw.polygon(
        ((left - 25, top), ((left + right) // 2, int(rng.integers(30, 90))), (right + 25, top)),
        near((130, 60, 50), rng),
    )
    for x in np.linspace(left + 30, right - 90, int(rng.integers(2, 4))).astype(int).tolist():
        draw.rectangle((x, top + 40, x + 55, top + 105), near((90, 110, 130), rng), near((240, 240, 235), rng, 10), 5)
    door = int(rng.integers(left + 40, right - 100))
    draw.rectangle((door, ground - 110, door + 55, ground), near((90, 60, 40), rng))
    return grainy(scene, rng)


def lawn(rng: np.random.Generator) -> Image.Image:
    """A lawn with blades of grass below a hedge and the sky."""
    scene = Image.new("RGB", (SIDE, SIDE), near((165, 200, 230), rng))
    draw = ImageDraw.Draw(scene)
    horizon = int(rng.integers(90, 210))
    for x in range(-40, SIDE + 40, 35):
        size = int(rng.integers(30, 75))
        draw.ellipse((x - size, horizon - size, x + size, horizon + size), near((40, 90, 45), rng))
    green = near((95, 145, 60), rng)
    draw.rectangle((0, horizon, SIDE, SIDE), green)
    for x, y in zip(rng.integers(0, SIDE, 1500).tolist(), rng.integers(horizon, SIDE, 1500).tolist(), strict=True):
        draw.line((x, y, x + int(rng.integers(-4, 5)), y - int(rng.integers(4, 14))), near(green, rng, 40), 2)
    return grainy(scene, rng)


def room(rng: np.random.Generator) -> Image.Image:
    """A room with a floor of boards, a window, a picture on the wall and a sofa."""
    scene = Image.new("RGB", (SIDE, SIDE), near((215, 205, 190), rng))
    draw = ImageDraw.Draw(scene)
    floor = int(rng.integers(300, 370))
    wood = near((150, 105, 65), rng)
    draw.rectangle((0, floor, SIDE, SIDE), wood)
    for x in range(-SIDE, 2 * SIDE, 60):
        draw.line((SIDE // 2 + (x - SIDE // 2) // 2, floor, x, SIDE), near(wood, rng, 30), 3)
    draw.rectangle((0, floor - 12, SIDE, floor), near((235, 230, 220), rng, 10))
    x = int(rng.integers(20, 120))
    draw.rectangle((x, 50, x + 110, 200), near((190, 215, 235), rng), near((245, 245, 240), rng, 8), 8)
    draw.line((x + 55, 50, x + 55, 200), (240, 240, 235), 6)
    x = int(rng.integers(220, 330))
    draw.rectangle((x, 70, x + 110, 150), near((120, 100, 140), rng, 60), near((70, 50, 40), rng), 6)
    x, color = int(rng.integers(150, 250)), near((110, 80, 90), rng, 60)
    draw.rounded_rectangle((x, floor - 90, x + 210, floor + 50), 18, color)
    draw.rounded_rectangle((x - 15, floor - 40, x + 225, floor + 60), 18, near(color, rng, 12))
    return grainy(scene, rng)


def road(rng: np.random.Generator) -> Image.Image:
    """A road with a dashed line that leads to the horizon between fields."""
    scene = Image.new("RGB", (SIDE, SIDE), near((160, 195, 225), rng))
    draw = ImageDraw.Draw(scene)
    horizon, middle = int(rng.integers(140, 220)), int(rng.integers(180, 300))
    draw.rectangle((0, horizon, SIDE, SIDE), near((130, 140, 80), rng, 40))
    draw.polygon(
        ((middle - 25, horizon), (middle + 25, horizon), (SIDE + 120, SIDE), (-120, SIDE)), near((95, 95, 98), rng, 16)
    )
    for part in np.linspace(0, 0.85, 6):
        near_end, far_end = (horizon + (SIDE - horizon) * (1 - at) ** 2 for at in (part, part + 0.07))
        across = [middle + (SIDE // 2 - middle) * (y - horizon) / (SIDE - horizon) for y in (near_end, far_end)]
        draw.line((across[0], near_end, across[1], far_end), (235, 235, 225), max(2, round((near_end - horizon) / 30)))
    for _ in range(int(rng.integers(2, 6))):
        x, size = int(rng.integers(0, SIDE)), int(rng.integers(15, 45))
        draw.rectangle((x - 3, horizon - 10, x + 3, horizon + 12), near((90, 70, 50), rng))
        draw.ellipse((x - size // 2, horizon - 10 - size, x + size // 2, horizon - 4), near((50, 100, 50), rng))
    return grainy(scene, rng)


SCENES: dict[str, Scene] = {"house": house, "lawn": lawn, "room": room, "road": road}


# ---- Backdrops that train ----


def backdrop(rng: np.random.Generator, side: int) -> np.ndarray:
    """A random pattern of random colors: uint8 [side, side, 3]. None of them shows what a scene of `SCENES` shows."""
    pattern = PATTERNS[rng.integers(len(PATTERNS))](rng)  # uint8 [h, w, 3] of any size
    quarter = int(rng.integers(4))
    turned = np.rot90(pattern, quarter)
    zoom = rng.uniform(0.4, 1)
    height, width = (max(2, round(length * zoom)) for length in turned.shape[:2])
    top, left = rng.integers(0, turned.shape[0] - height + 1), rng.integers(0, turned.shape[1] - width + 1)
    return cv2.resize(
        np.ascontiguousarray(turned[top : top + height, left : left + width]),
        (side, side),
        interpolation=cv2.INTER_LINEAR,
    )


def clouds(rng: np.random.Generator) -> np.ndarray:
    """Soft patches of random colors, such as what is out of focus."""
    cells = int(rng.integers(2, 9))
    coarse = rng.uniform(0, 255, 3) + rng.normal(0, rng.uniform(10, 60), (cells, cells, 3))
    fine = cv2.resize(np.clip(coarse, 0, 255).astype(np.float32), (128, 128), interpolation=cv2.INTER_CUBIC)
    fine += rng.normal(0, rng.uniform(0, 14), (128, 128, 1))
    return np.clip(fine, 0, 255).astype(np.uint8)


def tiles(rng: np.random.Generator) -> np.ndarray:
    """Tiles in two colors with joints, such as a wall or a floor."""
    across, down = rng.integers(2, 12, 2)
    colors = rng.uniform(0, 255, (2, 3)) if rng.random() < 0.5 else rng.uniform(0, 255, (1, 3)).repeat(2, axis=0)
    cells = np.indices((down, across)).sum(axis=0) % 2
    pattern = colors[cells] + rng.normal(0, rng.uniform(0, 20), (down, across, 3))
    pattern = np.clip(pattern, 0, 255).astype(np.uint8).repeat(CELL, axis=0).repeat(CELL, axis=1)
    if rng.random() < 0.6:
        joint = rng.integers(0, 256, 3)
        pattern[::CELL], pattern[:, ::CELL] = joint, joint
    return pattern


def stripes(rng: np.random.Generator) -> np.ndarray:
    """Boards or stripes of random widths and related colors."""
    base, spread = rng.uniform(0, 255, 3), rng.uniform(5, 60)
    widths = rng.integers(3, 40, int(rng.integers(4, 20)))
    row = np.repeat(base + rng.normal(0, spread, (len(widths), 3)), widths, axis=0)
    pattern = np.broadcast_to(row, (128, *row.shape)) + rng.normal(0, rng.uniform(0, 12), (128, *row.shape))
    return np.clip(pattern, 0, 255).astype(np.uint8)


def shapes(rng: np.random.Generator) -> np.ndarray:
    """Overlapping triangles, boxes and discs on a slope of two colors."""
    slope = np.linspace(*rng.uniform(0, 255, (2, 3)), 128)[:, None]
    pattern = np.ascontiguousarray(np.broadcast_to(slope, (128, 128, 3)).astype(np.uint8))
    for _ in range(int(rng.integers(2, 14))):
        color, (x, y, width, height) = rng.integers(0, 256, 3).tolist(), rng.integers(-10, 128, 4).tolist()
        kind = rng.integers(3)
        if kind == 0:
            cv2.rectangle(pattern, (x, y), (x + abs(width) // 2, y + abs(height) // 2), color, -1)
        elif kind == 1:
            cv2.circle(pattern, (x, y), abs(width) // 3 + 2, color, -1)
        else:
            cv2.fillPoly(pattern, [rng.integers(-10, 138, (3, 2)).astype(np.int32)], color)
    return cv2.GaussianBlur(pattern, (0, 0), rng.uniform(0.3, 2))


PATTERNS = (clouds, tiles, stripes, shapes)


# ---- Photos in a frame ----


def pasted(photo: np.ndarray, frame: np.ndarray, share: float, place: tuple[float, float]) -> np.ndarray:
    """A photo shrunk into a frame.

    Args:
        photo: uint8 [h, w, 3].
        frame: uint8 [side, side, 3]; it is not changed.
        share: the photo's longer side as a share of the frame's.
        place: x and y of the photo in the room that is left, 0 to 1 each.

    Returns:
        uint8 [side, side, 3].
    """
    longest = max(photo.shape[:2])
    height, width = (max(1, round(length * share * len(frame) / longest)) for length in photo.shape[:2])
    method = cv2.INTER_AREA if height < photo.shape[0] else cv2.INTER_CUBIC
    small = cv2.resize(photo, (width, height), interpolation=method)
    left, top = (round(at * (len(frame) - length)) for at, length in zip(place, (width, height), strict=True))
    out = frame.copy()
    out[top : top + height, left : left + width] = small
    return out


def barred(photo: np.ndarray, before: int, after: int, upright: bool, color: Color) -> np.ndarray:
    """A photo between two flat bars, as in a screenshot; `upright` puts them above and below.

    Args:
        photo: uint8 [h, w, 3].
        before: pixels of the bar above, or on the left.
        after: pixels of the bar below, or on the right.
    """
    top, bottom, left, right = (before, after, 0, 0) if upright else (0, 0, before, after)
    return cv2.copyMakeBorder(photo, top, bottom, left, right, cv2.BORDER_CONSTANT, value=color)


def noisy(photo: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """A photo uint8 [h, w, 3] with Gaussian noise of this standard deviation, in steps of 255."""
    noise = rng.standard_normal(photo.shape, np.float32) * np.float32(sigma)
    return np.clip(photo + noise, 0, 255).astype(np.uint8)
