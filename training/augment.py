"""Random augmentation that preserves the label. Arrays are uint8 in and out."""

from collections.abc import Callable

import cv2
import numpy as np

from training import scenes

Harm = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # photo uint8 [h, w, 3], generator -> such a photo


def photos(pictures: np.ndarray, rng: np.random.Generator, side: int) -> np.ndarray:
    """Augments photos: zoom, aspect ratio, shift, brightness, and occasionally a defect of `HARMS`.

    The aspect ratio changes by up to a third in either direction, because the training photos were squeezed to a
    square while phones send 3:4 and 9:16.

    Args:
        pictures: uint8 [n, h, w, 3].
        side: side of the returned pictures in pixels.

    Returns:
        uint8 [n, side, side, 3].
    """
    out = np.empty((len(pictures), side, side, 3), np.uint8)
    for i, picture in enumerate(pictures):
        move = photo_move(picture.shape[1], picture.shape[0], rng, side)
        # Pixels outside the picture are mirrored from its border.
        warped = cv2.warpAffine(picture, move, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        for harm, chance in HARMS:
            if rng.random() < chance:
                warped = harm(warped, rng)
        out[i] = warped
    return out


def crops(pictures: np.ndarray, rng: np.random.Generator, side: int, shift: int = 2, hole: int = 8) -> np.ndarray:
    """Random shift and cutout (DeVries and Taylor 2017); uint8 [n, side, side, 3] in and out."""
    out = np.pad(pictures, ((0, 0), (shift, shift), (shift, shift), (0, 0)), "reflect")
    places = rng.integers(0, 2 * shift + 1, (len(out), 2))
    out = np.stack([one[y : y + side, x : x + side] for one, (y, x) in zip(out, places, strict=True)])
    for one, (y, x) in zip(out, rng.integers(-hole // 2, side - hole // 2, (len(out), 2)), strict=True):
        one[max(0, y) : y + hole, max(0, x) : x + hole] = 128
    return out


def mostly_crops(pictures: np.ndarray, rng: np.random.Generator, side: int, share: float = 0.3) -> np.ndarray:
    """`crops` for most pictures and `photos` for a share, to cover other aspect ratios and poor light."""
    out = crops(pictures, rng, side)
    picked = rng.random(len(pictures)) < share
    out[picked] = photos(pictures[picked], rng, side)
    return out


def light(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random brightness and contrast."""
    table = np.clip(np.arange(256) * rng.uniform(0.7, 1.3) + rng.uniform(-25, 25), 0, 255)
    return cv2.LUT(photo, table.astype(np.uint8))


def dark(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Darkens to between a fifth and two thirds of the brightness."""
    return cv2.LUT(photo, (np.arange(256) * rng.uniform(0.2, 0.65)).astype(np.uint8))


def grey(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Removes color."""
    return cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def small(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Reduces resolution to between a third and two thirds, then enlarges again."""
    less = tuple(round(side * rng.uniform(0.33, 0.67)) for side in photo.shape[1::-1])
    return cv2.resize(cv2.resize(photo, less, interpolation=cv2.INTER_AREA), photo.shape[1::-1])


def compressed(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds the artifacts of a low-quality JPEG."""
    _, file = cv2.imencode(".jpg", photo, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(12, 50))])
    return cv2.imdecode(file, cv2.IMREAD_COLOR)


def hidden(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Covers a random rectangle with gray (random erasing, Zhong et al. 2017)."""
    height, width = (int(side * rng.uniform(0.15, 0.45)) for side in photo.shape[:2])
    top, left = rng.integers(0, photo.shape[0] - height), rng.integers(0, photo.shape[1] - width)
    photo[top : top + height, left : left + width] = rng.integers(0, 256)
    return photo


def framed(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shrinks a photo to between a fifth and three quarters of its side, at a random place on a drawn backdrop."""
    height, width = photo.shape[:2]
    frame = scenes.backdrop(rng, max(height, width))
    share = float(np.exp(rng.uniform(np.log(0.2), np.log(0.75))))
    return cv2.resize(scenes.pasted(photo, frame, share, tuple(rng.uniform(0, 1, 2))), (width, height))


def bars(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds flat bars of one color above and below, or left and right, and squeezes the photo to make room for them."""
    height, width = photo.shape[:2]
    upright = bool(rng.random() < 0.5)
    room = rng.uniform(0.05, 0.6) * (height if upright else width)
    before = round(room * rng.uniform(0.3, 0.7))
    color = tuple(rng.integers(0, 256, 3).tolist()) if rng.random() < 0.4 else (int(rng.choice([0, 24, 255])),) * 3
    barred = scenes.barred(photo, before, round(room) - before, upright, color)
    return cv2.resize(barred, (width, height), interpolation=cv2.INTER_AREA)


def noise(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise, in half of the photos to a darkened picture, as a camera does in poor light."""
    if rng.random() < 0.5:
        photo = dark(photo, rng)
    return scenes.noisy(photo, rng.uniform(4, 32), rng)


def quarter(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turns a square photo by 90 degrees in either direction."""
    return np.ascontiguousarray(np.rot90(photo, rng.choice([1, 3])))


# Changes that a recipe may add to `HARMS`, in the order in which a picture meets them: (change, share of pictures).
UNUSUAL = ((quarter, 0.06), (framed, 0.15), (bars, 0.04), (noise, 0.08))


def unusual(
    pictures: np.ndarray, rng: np.random.Generator, changes: tuple[tuple[Harm, float], ...] = UNUSUAL
) -> np.ndarray:
    """Makes each of these changes to its share of the pictures; uint8 [n, side, side, 3] in and out."""
    out = pictures.copy()
    for change, chance in changes:
        for i in np.flatnonzero(rng.random(len(out)) < chance):
            out[i] = change(out[i], rng)
    return out


def hard_photos(pictures: np.ndarray, rng: np.random.Generator, side: int) -> np.ndarray:
    """`photos`, then `unusual`; uint8 [n, side, side, 3]."""
    return unusual(photos(pictures, rng, side), rng)


HARMS = ((light, 0.8), (dark, 0.1), (grey, 0.1), (small, 0.12), (compressed, 0.12), (hidden, 0.25))


def photo_move(width: int, height: int, rng: np.random.Generator, side: int) -> np.ndarray:
    """A random affine map, float64 [2, 3], from a width x height photo to side x side."""
    zoom, aspect = np.exp(rng.uniform(-0.1, 0.35)), np.exp(rng.uniform(-0.3, 0.3) / 2)
    stretch = np.array([zoom * aspect * side / width, zoom / aspect * side / height])
    turn = np.deg2rad(rng.normal(0, 5))
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.diag(stretch)
    room = np.maximum(0, np.array([width, height]) * stretch - side) / 2
    middle = side / 2 + rng.uniform(-1, 1, 2) * (room + 0.04 * side)
    return np.hstack([linear, (middle - linear @ [width / 2, height / 2])[:, None]])


def drawings(
    pictures: np.ndarray,
    rng: np.random.Generator,
    side: int,
    turn: float = 10,
    bend: float = 1.0,
) -> np.ndarray:
    """Augments drawings: affine map, elastic distortion and line width.

    uint8 [n, 28, 28], ink on 0, becomes uint8 [n, 28, 28, 1].

    Args:
        side: side of the returned pictures; must equal that of the input.
        turn: standard deviation of the rotation in degrees.
        bend: strength of the elastic distortion (Simard 2003) in pixels.
    """
    count = len(pictures)
    out = np.empty((count, side, side, 1), np.uint8)
    bends = rng.normal(0, bend, (count, 2, 5, 5)).astype(np.float32)  # coarse noise becomes smooth when enlarged
    for i, picture in enumerate(pictures):
        map_x, map_y = drawing_move(side, rng, turn)
        bend_x, bend_y = (cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC) for part in bends[i])
        moved = cv2.remap(picture, map_x + bend_x, map_y + bend_y, cv2.INTER_CUBIC)
        out[i, ..., 0] = line(moved, rng)
    return out


def drawing_move(side: int, rng: np.random.Generator, turn: float) -> tuple[np.ndarray, np.ndarray]:
    """A random affine map for `cv2.remap`: x and y coordinates, float32 [side, side] each."""
    grid_y, grid_x = np.mgrid[:side, :side].astype(np.float32) - (side - 1) / 2
    angle, shear = np.deg2rad(rng.normal(0, turn)), rng.normal(0, 0.07)
    sx, sy = np.exp(rng.normal(0, 0.08, 2))
    dx, dy = rng.normal(0, 0.8, 2) + (side - 1) / 2
    map_x = np.cos(angle) * sx * grid_x + (shear - np.sin(angle) * sy) * grid_y + dx
    map_y = np.sin(angle) * sx * grid_x + np.cos(angle) * sy * grid_y + dy
    return map_x.astype(np.float32), map_y.astype(np.float32)


def line(drawing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Thickens or thins the lines of one drawing in four by a fraction of a pixel."""
    if rng.random() > 0.25:
        return drawing
    change = cv2.dilate if rng.random() < 0.5 else cv2.erode
    share = rng.uniform(0, 0.6)
    return cv2.addWeighted(change(drawing, np.ones((2, 2), np.uint8)), share, drawing, 1 - share, 0)
