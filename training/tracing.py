"""Traces 28x28 drawings into strokes, for training and benchmarks on drawings of which only bitmaps exist.

The strokes are an approximation: a bitmap shows where the pen went, but neither in which order nor in which direction.
"""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image
from skimage.morphology import skeletonize

from training.redraw import CANVAS, GRID, LINE, Hand, through_jpeg

CELLS = GRID / 28  # grid cells per pixel of the bitmap
SPUR = 3  # a side branch of fewer cells lies within the line's width: the skeleton's roughness, not a stroke
STRAIGHT = 2 / 304 * GRID  # cells by which a simplified stroke may leave the traced one, as in Quick, Draw!
LOOK = 6  # cells over which a branch's direction is measured where branches meet
TURN = 100  # degrees: a stroke turns by no more than this where branches meet
SHIFT = 4  # OpenCV draws at sixteenths of a pixel

Cell = tuple[int, int]  # row, column
Lines = list[np.ndarray]
AROUND = ((-1, 0), (0, -1), (0, 1), (1, 0), (-1, -1), (-1, 1), (1, -1), (1, 1))


def trace(bitmap: np.ndarray) -> Lines:
    """The strokes of a drawing, longest first, each from its upper left end.

    Args:
        bitmap: uint8 [28, 28], ink on 0.

    Returns:
        float32 [n, 2] per stroke: the (x, y) of its points in pixels of the bitmap, whose first pixel has its center
        at (0, 0). A dot is a stroke of one point. A closed stroke ends where it begins.
    """
    fine = cv2.resize(bitmap, (GRID, GRID), interpolation=cv2.INTER_CUBIC)
    line = skeletonize(fine > LINE)
    if not line.any():
        line[np.unravel_index(fine.argmax(), fine.shape)] = True
    paths = sorted((_from_upper_left(path) for path in _join(_branches(_graph(line)))), key=lambda path: -_length(path))
    return [_simplified(path) for path in paths]


def paint(lines: Sequence[np.ndarray], hand: Hand) -> Image.Image:
    """Draws strokes, as `trace` returns them, as a 400x400 RGB picture: as large and where `hand` says."""
    points = np.concatenate(lines)
    low, high = points.min(axis=0), points.max(axis=0)
    zoom = max(hand.size * CANVAS - hand.pen, 1) / max(*(high - low), 1 / CELLS)
    center = (CANVAS - 1) / 2 + (1 - hand.size) * CANVAS / 2 * np.array(hand.shift)
    fine = 4  # drawn four times as large, because OpenCV's lines have a whole number of pixels and rough edges
    cover = np.zeros((CANVAS * fine, CANVAS * fine), np.uint8)
    for line in lines:
        at = ((line - (low + high) / 2) * zoom + center + 0.5) * fine - 0.5
        cv2.polylines(cover, [_fixed(at)], False, 255, max(1, round(hand.pen * fine)), cv2.LINE_8, SHIFT)
    small = cv2.resize(cover, (CANVAS, CANVAS), interpolation=cv2.INTER_AREA)
    shades = np.linspace(hand.paper, hand.ink, 256).round().astype(np.uint8)  # paper to ink, [256, 3]
    picture = Image.fromarray(cv2.merge([cv2.LUT(small, shade) for shade in shades.T]))
    return picture if hand.jpeg is None else through_jpeg(picture, hand.jpeg)


def _fixed(points: np.ndarray) -> np.ndarray:
    """Points in OpenCV's fixed-point numbers; a single point becomes a line without length, which is a dot."""
    fixed = np.rint(points * 2**SHIFT).astype(np.int32)
    return fixed if len(fixed) > 1 else np.repeat(fixed, 2, axis=0)


def _graph(line: np.ndarray) -> dict[Cell, set[Cell]]:
    """The neighbors of each cell of a skeleton, bool [h, w].

    Cells that touch at a corner are no neighbors if a third cell joins them by its sides.
    """
    cells = set(map(tuple, np.argwhere(line).tolist()))
    graph: dict[Cell, set[Cell]] = {}
    for row, column in cells:
        graph[row, column] = {
            (row + down, column + right)
            for down, right in AROUND
            if (row + down, column + right) in cells
            and not (down and right and ((row + down, column) in cells or (row, column + right) in cells))
        }
    return graph


def _branches(graph: dict[Cell, set[Cell]]) -> list[list[Cell]]:
    """The paths between the ends and crossings of a skeleton, and its loops, without short side branches."""
    knots = {cell for cell, near in graph.items() if len(near) != 2}
    left = {cell: set(near) for cell, near in graph.items()}

    def follow(start: Cell) -> list[Cell]:
        path = [start]
        while left[path[-1]]:
            step = left[path[-1]].pop()
            left[step].discard(path[-1])
            path.append(step)
            if step in knots or step == start:
                break
        return path

    branches = [[knot] for knot in knots if not graph[knot]]  # dots
    for start in sorted(knots) + sorted(graph.keys() - knots):
        while left[start]:
            branches.append(follow(start))
    return [b for b in branches if len(b) > SPUR or sum(len(graph[end]) == 1 for end in (b[0], b[-1])) != 1]


def _join(branches: list[list[Cell]]) -> list[list[Cell]]:
    """Joins branches where they meet, the straightest pairs first, so that lines that cross go on."""
    meeting: dict[Cell, list[tuple[int, bool]]] = {}  # branch, and whether it is its last cell that lies there
    for index, branch in enumerate(branches):
        if branch[0] != branch[-1] or len(branch) == 1:
            for last in (False, True):
                meeting.setdefault(branch[-1 if last else 0], []).append((index, last))
    pairs = sorted(
        (_turn(branches, one, other), one, other)
        for ends in meeting.values()
        for i, one in enumerate(ends)
        for other in ends[i + 1 :]
        if one[0] != other[0]
    )
    partner: dict[tuple[int, bool], tuple[int, bool]] = {}
    for turn, one, other in pairs:
        if turn <= TURN and one not in partner and other not in partner:
            partner[one], partner[other] = other, one
    paths, done = [], set()
    free = [(index, last) for index in range(len(branches)) for last in (False, True) if (index, last) not in partner]
    for index, last in free + [(index, False) for index in range(len(branches))]:
        if index in done:
            continue
        path: list[Cell] = []
        end: tuple[int, bool] | None = (index, last)
        while end is not None and end[0] not in done:
            index, last = end
            done.add(index)
            branch = branches[index][::-1] if last else branches[index]
            path += branch[1:] if path else branch
            end = partner.get((index, not last))
        paths.append(path)
    return paths


def _turn(branches: list[list[Cell]], one: tuple[int, bool], other: tuple[int, bool]) -> float:
    """The degrees by which the pen turns as it goes from one branch to the other; 0 is straight on."""
    away = []
    for index, last in (one, other):
        branch = branches[index][::-1] if last else branches[index]
        (row, column), (end_row, end_column) = branch[0], branch[min(LOOK, len(branch) - 1)]
        away.append(math.atan2(end_row - row, end_column - column))
    between = abs(math.degrees(away[0] - away[1])) % 360
    return 180 - min(between, 360 - between)


def _from_upper_left(path: list[Cell]) -> list[Cell]:
    return path if sum(path[0]) <= sum(path[-1]) else path[::-1]


def _length(path: list[Cell]) -> float:
    return sum(math.dist(one, other) for one, other in zip(path, path[1:], strict=False))


def _simplified(path: list[Cell]) -> np.ndarray:
    """A path's points as float32 [n, 2], (x, y) in pixels of the bitmap, without those on a straight way."""
    points = np.array(path, np.float32)[:, None, ::-1]
    closed = len(path) > 1 and path[0] == path[-1]  # OpenCV would leave it open
    kept = cv2.approxPolyDP(points[:-1] if closed else points, STRAIGHT, False)
    return (np.concatenate([kept, points[-1:]] if closed else [kept])[:, 0] + 0.5) / CELLS - 0.5
