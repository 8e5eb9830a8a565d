"""Random changes that leave a picture what it is. uint8 in, uint8 out; OpenCV does the pixels."""

import cv2
import numpy as np


def photos(pictures: np.ndarray, rng: np.random.Generator, side: int) -> np.ndarray:
    """Flip, zoom, aspect, shift and brightness: uint8 [n, h, w, 3] -> uint8 [n, side, side, 3].

    The aspect changes by up to a third either way: the pictures come squeezed to a square, and phones send
    3:4 and 9:16.
    """
    out = np.empty((len(pictures), side, side, 3), np.uint8)
    for i, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        zoom = np.exp(rng.uniform(-0.1, 0.35))
        aspect = np.exp(rng.uniform(-0.3, 0.3) / 2)
        sx, sy = zoom * aspect * side / width, zoom / aspect * side / height
        flip = -1 if rng.random() < 0.5 else 1
        turn = np.deg2rad(rng.normal(0, 5))
        linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag([flip * sx, sy])
        room = np.maximum(0, np.array([width * sx, height * sy]) - side) / 2
        middle = side / 2 + rng.uniform(-1, 1, 2) * (room + 0.04 * side)
        move = np.hstack([linear, (middle - linear @ [width / 2, height / 2])[:, None]])
        warped = cv2.warpAffine(picture, move, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        gain, shift = rng.uniform(0.7, 1.3), rng.uniform(-25, 25)
        out[i] = cv2.convertScaleAbs(warped, alpha=gain, beta=max(shift, 0)) if shift >= 0 else cv2.subtract(
            cv2.convertScaleAbs(warped, alpha=gain), (-shift,) * 4)
    return out


def drawings(pictures: np.ndarray, rng: np.random.Generator, flip: bool, turn: float = 10, bend: float = 1.0,
             ) -> np.ndarray:
    """Turn, stretch, shear, shift, bend and thicken: uint8 [n, 28, 28], ink on 0 -> uint8 [n, 28, 28, 1].

    Args:
        flip: mirror every other drawing (doodles, never digits).
        turn: standard deviation of the angle, in degrees.
        bend: strength of the elastic distortion (Simard 2003), in pixels.
    """
    count, side = pictures.shape[:2]
    grid_y, grid_x = np.mgrid[:side, :side].astype(np.float32) - (side - 1) / 2
    out = np.empty((count, side, side, 1), np.uint8)
    # Smooth random fields: coarse noise, enlarged.
    coarse = rng.normal(0, bend, (count, 2, 5, 5)).astype(np.float32)
    for i, picture in enumerate(pictures):
        angle = np.deg2rad(rng.normal(0, turn))
        sx, sy = np.exp(rng.normal(0, 0.08, 2))
        if flip and rng.random() < 0.5:
            sx = -sx
        shear = rng.normal(0, 0.1)
        a, b = np.cos(angle) * sx, -np.sin(angle) * sy + shear
        c, d = np.sin(angle) * sx, np.cos(angle) * sy
        dx, dy = rng.normal(0, 0.8, 2) + (side - 1) / 2
        field_x, field_y = (cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC) for part in coarse[i])
        map_x = (a * grid_x + b * grid_y + field_x + dx).astype(np.float32)
        map_y = (c * grid_x + d * grid_y + field_y + dy).astype(np.float32)
        moved = cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR)
        out[i, ..., 0] = line(moved, rng)
    return out


def line(drawing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One drawing in four gets thicker or thinner lines, by a fraction of a pixel."""
    if rng.random() > 0.25:
        return drawing
    change = cv2.dilate if rng.random() < 0.5 else cv2.erode
    share = rng.uniform(0, 0.7)
    return cv2.addWeighted(change(drawing, np.ones((2, 2), np.uint8)), share, drawing, 1 - share, 0)
