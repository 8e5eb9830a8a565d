"""The card of a result: its picture and its answer as one picture, for chats and link previews.

OpenCV writes the text: its own font has Cyrillic letters, and Pillow's has not.
"""

import cv2
import numpy as np
from PIL import Image

WIDTH, HEIGHT = 1200, 630  # the size that link previews show, https://ogp.me
MARGIN = 48
SIDE = HEIGHT - 2 * MARGIN  # of the square that the picture fits into
PAPER, INK, SOFT, ACCENT = (250, 249, 246), (28, 29, 34), (93, 94, 102), (48, 73, 196)
BOLD, REGULAR = 700, 400
LARGEST, SMALLEST = 88, 28  # sizes of the title
MOST_LINES = 4


def card(picture: Image.Image, title: str, note: str) -> Image.Image:
    """The card.

    Args:
        picture: in RGB.
        title: the answer; broken between words, and made smaller until it fits.
        note: how sure the answer is.
    """
    sheet = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    zoom = SIDE / max(picture.size)
    small = picture.resize([max(1, round(side * zoom)) for side in picture.size], Image.Resampling.LANCZOS)
    sheet.paste(small, (MARGIN + (SIDE - small.width) // 2, MARGIN + (SIDE - small.height) // 2))
    canvas = np.array(sheet)
    left, wide = 2 * MARGIN + SIDE, WIDTH - 3 * MARGIN - SIDE
    size, lines = _fit(title, wide)
    y = max(MARGIN + size, (HEIGHT - round(1.15 * size * len(lines))) // 2 + size // 2)
    for line in lines:
        _write(canvas, line, left, y, INK, size, BOLD)
        y += round(1.15 * size)
    _write(canvas, note, left, y, SOFT, 32, REGULAR)
    _write(canvas, "Inkling", left, HEIGHT - MARGIN, ACCENT, 30, BOLD)
    return Image.fromarray(canvas)


def _fit(title: str, wide: int) -> tuple[int, list[str]]:
    """The largest size at which a title fits, and its lines; at the smallest size, the last line may be cut off."""
    for size in range(LARGEST, SMALLEST - 1, -4):
        lines = _lines(title, wide, size)
        if len(lines) <= MOST_LINES and all(_wide(line, size) <= wide for line in lines):
            break
    return size, lines[:MOST_LINES]


def _lines(title: str, wide: int, size: int) -> list[str]:
    lines = [""]
    for word in title.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _wide(longer, size) > wide:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _wide(text: str, size: int) -> int:
    _, _, wide, _ = cv2.getTextSize((WIDTH, HEIGHT), text, (0, 0), cv2.FontFace("sans"), size, BOLD)
    return wide


def _write(canvas: np.ndarray, text: str, x: int, y: int, color: tuple[int, int, int], size: int, weight: int) -> None:
    cv2.putText(canvas, text, (x, y), color, cv2.FontFace("sans"), size, weight)
