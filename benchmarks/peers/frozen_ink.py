"""Inkling's pipeline for drawings as of commit 69133a5, frozen, without photos: what the others are compared with."""

import math

import cv2
import numpy as np
from PIL import Image

FIELD = 28  # pixels a side of an ink model's input, as in MNIST and Quick, Draw!
FINE = 10  # steps of the fine grid in one of those pixels
SIDE = FIELD * FINE
WORKING = 400  # a larger picture is shrunk to this long side before its ink is looked for
SMALL = 128  # a smaller one is enlarged: line widths below a pixel cannot be measured

# Longest side of the drawing's middle line or ink, and width of the line, in steps of the fine grid.
# Quick, Draw!: 255 of a 304 field with a 16-wide line. MNIST: ink in 20 of 28 pixels, its usual pen.
QUICKDRAW_EXTENT, QUICKDRAW_PEN = 255 / 304 * SIDE, 16 / 304 * SIDE
MNIST_EXTENT, MNIST_PEN = 20 * FINE, 2.4 * FINE
MNIST_MIDDLE = 14.5 * FINE - 0.5  # center of mass of its digits: pixel (14, 14)

FAINTEST = 16  # of 255: less difference from the paper than this is not ink
PLAIN = 48  # on even paper, this much difference is ink whatever the other strokes' colors
EVEN = 12  # paper whose rim stays this close to one color is even
WIDEST = 8  # a snapshot's lines are narrower than this part of its long side,
AROUND = 2.5  # and no part of a drawing is thicker than so many of its lines


class BlankDrawing(ValueError):
    """There is no ink in the picture."""


def ink(image: Image.Image, layout: str) -> np.ndarray:
    """A drawing of any colors, size and pen -> uint8 [28, 28, 1], ink 255 on 0, laid out as `layout` says.

    Raises:
        BlankDrawing: no ink was found.
    """
    mask = find_ink(image)
    pen = line_width(mask)
    found = without_specks(mask, pen)
    if layout == "quickdraw":
        placed, pen, move = place(found, pen, QUICKDRAW_EXTENT, QUICKDRAW_PEN)
        drawn = redraw_line(placed, pen, QUICKDRAW_PEN)
    elif layout == "mnist":
        placed, pen, move = place(found, pen, MNIST_EXTENT - MNIST_PEN, MNIST_PEN)
        drawn, shift = center_by_mass(redraw_line(placed, pen, MNIST_PEN))
        move[:, 2] += shift
    else:
        raise ValueError(f"layout must be 'mnist' or 'quickdraw'. Received: {layout!r}")
    small = cv2.resize(drawn, (FIELD, FIELD), interpolation=cv2.INTER_AREA)
    return np.rint(small * 255).astype(np.uint8)[..., None]


def find_ink(image: Image.Image) -> np.ndarray:
    """Where the ink is: uint8 [h, w], 1 on 0, in the picture brought to a working size.

    Ink is what differs from the paper, so any colors will do. Even paper (a canvas, a scan) has the color
    of the picture's rim; uneven paper (a snapshot) is looked for around each place.

    Raises:
        BlankDrawing: nothing differs from the paper.
    """
    pixels = working_size(image)
    paper = even_paper(pixels)
    if paper is None:
        return ink_on_uneven(cv2.GaussianBlur(pixels, (0, 0), 1.0))  # a camera's noise is not ink
    apart = cv2.absdiff(pixels, (*paper, 0))
    # Yellow beside black on white is ink too, but not the soft flanks of the lines of an enlarged picture.
    return marks(apart, PLAIN if max(image.size) > SMALL and is_sharp(apart) else 255)


def even_paper(pixels: np.ndarray) -> tuple[int, int, int] | None:
    """The color of a picture's rim, uint8 [h, w, 3], if that is even."""
    rims, corner = (pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:]), tuple(pixels[0, 0].tolist())
    if not any(cv2.absdiff(rim, (*corner, 0)).any() for rim in rims):  # most canvases; what follows takes longer
        return corner
    rim = np.concatenate([part.reshape(-1, 3) for part in rims])
    paper = np.median(rim, axis=0)
    off = np.abs(rim - paper).max(axis=1)
    # A canvas has paper of exactly one color: what else there is at its rim is ink, in a snapshot a shadow.
    even = np.mean(off <= EVEN) > (0.6 if np.median(off) == 0 else 0.95)
    return tuple(paper.astype(np.uint8).tolist()) if even else None


def is_sharp(apart: np.ndarray) -> bool:
    """Whether some edge in uint8 [h, w, 3] is no softer than half of the strongest difference."""
    edges = apart[box(apart, 1)]
    return cv2.morphologyEx(edges, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max() > edges.max() / 2


def box(array: np.ndarray, margin: int = 0) -> tuple[slice, slice]:
    """Rows and columns of uint8 [h, w] or [h, w, c] that hold all that is not 0, and a margin around it."""
    depth = array[0, 0].size
    left, top, width, height = cv2.boundingRect(array.reshape(len(array), -1))
    return (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left // depth - margin), (left + width - 1) // depth + 1 + margin),
    )


def ink_on_uneven(pixels: np.ndarray) -> np.ndarray:
    """The ink of a snapshot, uint8 [h, w]: lines that differ from the median of a wide neighborhood.

    The median follows soft light. The hard edge of a shadow it rounds off, and what lies between looks like
    ink, but vanishes as the paper may be no lighter than the closing with a disc wider than the lines, and no
    darker than the opening: those keep every shape that the disc fits into.
    """
    longest = max(pixels.shape[:2])
    paper = cv2.medianBlur(pixels, longest // 3 | 1)

    def lines(disc: int) -> np.ndarray:
        shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (disc, disc))
        lightest = cv2.min(paper, cv2.morphologyEx(pixels, cv2.MORPH_CLOSE, shape))
        darkest = cv2.max(paper, cv2.morphologyEx(pixels, cv2.MORPH_OPEN, shape))
        return marks(cv2.max(cv2.subtract(lightest, pixels), cv2.subtract(pixels, darkest)))

    widest = longest // WIDEST | 1
    mask = lines(widest)
    disc = max(9, round(AROUND * line_width(mask))) | 1  # now that the pen is known
    return without_rim(lines(disc) if disc < widest else mask)


def marks(apart: np.ndarray, plain: int = 255) -> np.ndarray:
    """Which pixels differ from the paper, uint8 [h, w], by Otsu's threshold (1979) or by `plain` if that is less.

    Args:
        apart: by how much they differ, uint8 [h, w, 3].

    Raises:
        BlankDrawing: none differs.
    """
    if apart.max() < FAINTEST:
        raise BlankDrawing("nothing differs from the paper")
    difference, part = np.zeros(apart.shape[:2], np.uint8), box(apart)
    red, green, blue = np.moveaxis(apart[part], 2, 0)  # not cv2.split: of a part it takes eight times as long
    difference[part] = np.maximum(np.maximum(red, green), blue)
    threshold, _ = cv2.threshold(difference, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return (difference > max(min(threshold, plain), FAINTEST / 2)).astype(np.uint8)


def without_rim(mask: np.ndarray) -> np.ndarray:
    """The mask without what touches the picture's rim, unless that is most of it: a shadow's tip, a ruled line."""
    count, spots, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    inner = np.ones(count, bool)
    inner[np.concatenate([spots[0], spots[-1], spots[:, 0], spots[:, -1], [0]])] = False
    area = stats[:, cv2.CC_STAT_AREA]
    return inner[spots].astype(np.uint8) if area[inner].sum() > area[1:].sum() / 3 else mask


def working_size(image: Image.Image) -> np.ndarray:
    """uint8 [h, w, 3] with a long side of `WORKING` at most, and not below `SMALL`."""
    longest = max(image.size)
    if longest > WORKING:
        factor, method = WORKING / longest, Image.Resampling.BOX
    elif longest <= SMALL:
        factor, method = SIDE / longest, Image.Resampling.BICUBIC
    else:
        return np.asarray(image)
    size = tuple(max(1, round(side * factor)) for side in image.size)
    return np.asarray(image.resize(size, method, reducing_gap=2.0 if factor < 1 else None))


def line_width(mask: np.ndarray) -> float:
    """Width of the lines of a mask in pixels: the median over the ridge of its distance transform."""
    distance = distance_inside(mask[box(mask)])
    return max(1.0, 2 * float(np.median(distance[ridge(distance)])) - 1)


def distance_inside(mask: np.ndarray) -> np.ndarray:
    """float32 [h, w]: how far each pixel of a mask is from its outside; the picture's rim is outside."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]


def ridge(distance: np.ndarray) -> np.ndarray:
    """bool [h, w]: the pixels of a distance transform that no neighbor exceeds, the middle of each line."""
    return (distance > 0) & (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)))


def without_specks(mask: np.ndarray, pen: float) -> np.ndarray:
    """The mask without spots much smaller than a dot of the pen: dust, or a camera's noise."""
    part = box(mask)
    count, spots = cv2.connectedComponents(mask[part], connectivity=8)
    if count <= 2:
        return mask
    area = np.bincount(spots.ravel())
    keep = area >= min(0.3 * pen**2, area[1:].max())
    keep[0] = False
    clean = np.zeros_like(mask)
    clean[part] = keep[spots]
    return clean


def place(mask: np.ndarray, pen: float, extent: float, target: float) -> tuple[np.ndarray, float, np.ndarray]:
    """Moves the ink onto the fine grid: its box in the middle, the middle line's longest side `extent` long.

    Returns:
        the mask, uint8 [280, 280], the pen's width there, and the move, float64 [2, 3], from (x, y) in the one to
        the other.
    """
    left, top, width, height = cv2.boundingRect(mask)
    # A dot has no extent: it grows to a few pen widths and no further.
    zoom = min(extent / max(max(width, height) - pen, 1e-3), 4 * target / pen)
    if pen * zoom < 1.5:  # a hairline would fall through the grid
        grow = math.ceil(1 / zoom)
        framed = cv2.copyMakeBorder(mask, grow, grow, grow, grow, cv2.BORDER_CONSTANT, value=0)
        thick = cv2.dilate(framed, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8))
        placed, pen, move = place(thick, pen + 2 * grow, extent, target)
        move[:, 2] += move[:, :2].sum(axis=1) * grow
        return placed, pen, move
    x, y = left + (width - 1) / 2, top + (height - 1) / 2
    middle = (SIDE - 1) / 2
    move = np.array([[zoom, 0, middle - zoom * x], [0, zoom, middle - zoom * y]])
    placed = cv2.warpAffine(mask * 255, move, (SIDE, SIDE), flags=cv2.INTER_LINEAR)
    return (placed > 127).astype(np.uint8), pen * zoom, move


def redraw_line(mask: np.ndarray, pen: float, target: float) -> np.ndarray:
    """The drawing with lines `target` wide instead of `pen`: float32 [h, w], coverage 0..1.

    Lines grow or shrink by the same amount everywhere, so that what is thicker stays thicker; the middle of
    each line is kept, so that none breaks.
    """
    part = box(mask, math.ceil(target / 2) + 1)
    ink, grow = mask[part], (target - pen) / 2
    if grow > 0.5:  # all of the ink stays, however deep it lies
        cover = grow - cv2.distanceTransform(1 - ink, cv2.DIST_L2, 5)
    else:
        inside = distance_inside(ink)
        cover = inside - (1 - ink) + grow  # no pixel outside is nearer than 1, which growing so little does not reach
        if pen > target:
            from_middle = cv2.distanceTransform(1 - ridge(inside).astype(np.uint8), cv2.DIST_L2, 5)
            cover = np.maximum(cover, target / 2 - from_middle)
    drawn = np.zeros(mask.shape, np.float32)
    drawn[part] = np.clip(cover + 0.5, 0, 1, dtype=np.float32)
    return drawn


def center_by_mass(cover: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """The drawing moved so that its center of mass is where MNIST's digits have it, and by how much: (x, y).

    In whole steps of the fine grid, which are a tenth of what the model can see.
    """
    moments = cv2.moments(cover)
    dx, dy = (round(MNIST_MIDDLE - moments[axis] / moments["m00"]) for axis in ("m10", "m01"))
    left, top = max(0, -dx), max(0, -dy)
    wide = cv2.copyMakeBorder(cover, max(0, dy), top, max(0, dx), left, cv2.BORDER_CONSTANT, value=0)
    return wide[top : top + SIDE, left : left + SIDE], (dx, dy)
