"""Turns a picture into a model's input, for photos and for ink. Training and serving share this code.

`prepare` arranges a picture as the model expects it (uint8; the results page shows the same array), and `scale` turns
that into the network's numbers.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from PIL import Image

LONGEST = 1.5  # 3:2: a photo is squeezed by no more than this, compared with the model's shape

BAR = 10  # of 255: every pixel of a flat bar is this close to the bar's color
LEAST_BAR, MOST_BARS = 0.02, 0.8  # of the side: a thinner bar is left alone, and so are thicker bars on both sides
BLOCK = 16  # pixels a side of a JPEG's color block: the last rows of a bar that the photo may have bled into
BLED, BLED_MEAN = 60, 12  # of 255: the largest and the mean difference of such a row
EDGE, ALONG = 16, 0.4  # a photo begins where this share of a row differs by this much of 255 from the bar

FIELD = 28  # pixels a side of an ink model's input, as in MNIST and Quick, Draw!
FINE = 6  # steps of the fine grid in one of those pixels
SIDE = FIELD * FINE
WORKING = 200  # a picture with twice this long side or more is reduced by a whole factor before its ink is searched
LEAST_INK = 80  # a drawing that is shorter then is looked at twice as closely, as is one with areas colored in
LEAST_PEN = 2  # and one with thinner lines, because widths are measured to a pixel
SMALL = 128  # a smaller picture is enlarged, because lines thinner than a pixel cannot be measured

MNIST_MIDDLE = 14.5  # x and y of the center of mass of MNIST's digits, in pixels: the middle of pixel (14, 14)

FAINTEST = 16  # of 255: a smaller difference from the paper is not ink
PLAIN = 48  # of 255: on even paper, a larger difference is ink, whatever the colors of the other strokes
RIM = 3  # pixels of a picture's rim that tell the color of the paper
EVEN = 12  # of 255: paper is even if its rim differs from one color by no more
WIDEST = 8  # in a snapshot, lines are narrower than the long side divided by this
AROUND = 2.5  # in a snapshot, no part of a drawing is thicker than this many line widths
THINNEST = 10  # lines are thinner than the long side of a drawing divided by this, or all of it is thick
BROAD = 1 / 16  # of the picture's long side: half the width from which an area is too wide to be a line
FILLED = 5  # an area wider than this many line widths was colored in
ALIKE = 40  # of 255: colors that differ by no more are the same ink, in a channel
SURROUNDED = 0.6  # share of an area's border that another ink covers if it is the area's outline
FILLS = 4  # areas of different colors that are looked at, the widest first


Field = tuple[float, float, float, float]


class Layout(NamedTuple):
    """How a data set lays out drawings, in pixels of a model's input.

    Attributes:
        extent: the longer side of the box around the middle of the lines.
        pen: the width of the lines.
        by_mass: whether the drawing is centered by the mass of its ink, and not by that box.
    """

    extent: float
    pen: float
    by_mass: bool


LAYOUTS = {
    "quickdraw": Layout(255 / 304 * FIELD, 16 / 304 * FIELD, False),  # a line 16 wide on a 255 box in a 304 field
    "mnist": Layout(20 - 2.4, 2.4, True),  # ink in 20 of 28 pixels, drawn with its usual pen
}


class InputLike(Protocol):
    """The part of `card.InputSpec` that preparation needs."""

    @property
    def kind(self) -> str: ...

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def layout(self) -> str: ...


class Drawing(Protocol):
    """A drawing that makes ink models' inputs itself, such as `strokes.Strokes`."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the picture, in pixels."""
        ...

    def picture(self) -> Image.Image:
        """The drawing as an RGB picture."""
        ...

    def png(self) -> bytes:
        """The picture as a PNG file from which the drawing can be read again."""
        ...

    def seen(self, layout: str) -> np.ndarray:
        """The drawing as `ink` makes it from a picture."""
        ...

    def steps(self, layout: str) -> "InkSteps":
        """The drawing as `ink_steps` makes it from a picture."""
        ...


Picture = Image.Image | Drawing  # what models are asked about; an image is upright and RGB


class BlankDrawing(ValueError):
    """The picture has no ink."""


def use_one_thread() -> None:
    """Makes OpenCV compute in the calling thread alone, for a server whose requests keep all cores busy."""
    cv2.setNumThreads(1)


def prepare(image: Picture, spec: InputLike) -> np.ndarray:
    """The picture as a model's input.

    Args:
        image: upright RGB picture of any size, or a drawing.
        spec: the model's input; layout "squeeze" resizes a photo, "mnist" and "quickdraw" lay out ink.

    Returns:
        uint8 [height, width, 3] for a photo; uint8 [28, 28, 1], ink 255 on 0, for ink.

    Raises:
        BlankDrawing: an ink model was given a picture without ink.
    """
    if spec.kind == "photo":
        return photo(as_image(image), spec.width, spec.height)
    return ink(image, spec.layout)


def as_image(picture: Picture) -> Image.Image:
    """The picture; that of a drawing is painted now."""
    return picture if isinstance(picture, Image.Image) else picture.picture()


def enough(spec: InputLike) -> int:
    """The least pixels of the longer side that a picture may be reduced to, if only this input is made from it.

    `photo` then enlarges neither side, except between flat bars.
    """
    return 2 * WORKING if spec.kind == "ink" else math.ceil(LONGEST * max(spec.width, spec.height))


def scale(pictures: np.ndarray, scaling: str) -> np.ndarray:
    """uint8 pictures [..., height, width, channels] -> float32 in 0..1 ("unit") or -1..1 ("signed")."""
    if scaling not in ("unit", "signed"):
        raise ValueError(f"scaling must be 'unit' or 'signed'. Received: {scaling!r}")
    scaled = pictures.astype(np.float32)
    scaled /= 255 if scaling == "unit" else 127.5  # in place, because a batch of photos is large
    if scaling == "signed":
        scaled -= 1
    return scaled


def photo(image: Image.Image, width: int, height: int) -> np.ndarray:
    """A photo without flat bars, resized to the model's size: uint8 [height, width, 3]. Nothing else is cropped.

    A photo longer than `LONGEST` is squeezed no further than that, and padded with its mirror image. Networks know such
    margins from training (`training/augment.py`), but not stronger squeezing.
    """
    box = content(image)
    left, top, right, bottom = margins((box[2] - box[0], box[3] - box[1]), width, height)
    size = (width - left - right, height - top - bottom)
    if box != (0, 0, *image.size):
        image = image.crop(box)  # because `resize` with a box mixes in pixels from beyond it
    resized = np.asarray(image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0))
    return cv2.copyMakeBorder(resized, top, bottom, left, right, cv2.BORDER_REFLECT)


def detail(seen: np.ndarray) -> float:
    """How much fine detail a photo uint8 [h, w, 3] has, compared with its contrast; a blurred one has little."""
    gray = cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return float(np.abs(gray - cv2.GaussianBlur(gray, (0, 0), 1.0)).mean() / (gray.std() + 1))


def content(image: Image.Image) -> tuple[int, int, int, int]:
    """The part of a photo between flat bars, as in a screenshot: left, top, right and bottom in pixels.

    Two bars of one color lie at opposite sides, and the photo between them begins with a sharp edge along most of each.
    A white wall, a night sky and the paper around a product have no such edge, so that they are kept.
    """
    width, height = image.size
    rows, columns = (
        ((0, 0, width, 1), (0, height - 1, width, height)),
        ((0, 0, 1, height), (width - 1, 0, width, height)),
    )
    if not any(_one_color([np.asarray(image.crop(line)) for line in lines]) for lines in (rows, columns)):
        return 0, 0, width, height  # as for most photos, without looking at the rest of their pixels
    pixels = np.asarray(image)
    top, bottom = bars(pixels)
    left, right = bars(pixels[top : height - bottom].transpose(1, 0, 2))
    return left, top, width - right, height - bottom


def bars(pixels: np.ndarray) -> tuple[int, int]:
    """The rows of the flat bars at the top and at the bottom of a photo uint8 [h, w, 3]; 0 and 0 without such bars."""
    if not _one_color([pixels[0], pixels[-1]]):
        return 0, 0
    difference = _difference(np.ascontiguousarray(pixels), np.median(pixels[0], axis=0)).max(axis=2)
    top, bottom = _bar(difference), _bar(difference[::-1])
    within = difference[top : len(difference) - bottom]
    is_wide = min(top, bottom) >= max(2, LEAST_BAR * len(pixels))
    is_photo = top + bottom <= MOST_BARS * len(pixels) and np.mean(within > EDGE) >= ALONG  # lines on paper are not
    return (top, bottom) if is_wide and is_photo else (0, 0)


def _one_color(lines: Sequence[np.ndarray]) -> bool:
    """Whether all pixels of these lines uint8 [..., 3] have nearly the same color."""
    color = np.median(lines[0].reshape(-1, 3), axis=0)
    return all(np.abs(line - color).max() <= BAR for line in lines)


def _bar(difference: np.ndarray) -> int:
    """The number of first rows of uint8 [h, w] that are a bar with a sharp edge; 0 without such an edge."""
    flat = _leading(difference.max(axis=1) <= BAR)
    bled = difference[flat : flat + BLOCK]
    rows = flat + _leading((bled.max(axis=1) <= BLED) & (bled.mean(axis=1) <= BLED_MEAN))
    edge = difference[rows : rows + max(2, round(LEAST_BAR * len(difference)))]
    return rows if len(edge) and np.mean(edge.max(axis=0) > EDGE) >= ALONG else 0


def _leading(flags: np.ndarray) -> int:
    """How many of the first flags bool [n] are true."""
    return len(flags) if flags.all() else int(flags.argmin())


def margins(size: tuple[int, int], width: int, height: int) -> tuple[int, int, int, int]:
    """Pixels on the left, top, right and bottom that a photo of `size` leaves empty in width x height."""
    length = size[0] / size[1] / (width / height)
    across = max(1, round(width * min(1, length * LONGEST)))
    down = max(1, round(height * min(1, LONGEST / length)))
    left, top = (width - across) // 2, (height - down) // 2
    return left, top, width - across - left, height - down - top


def ink(image: Picture, layout: str) -> np.ndarray:
    """A drawing of any colors, size and pen as uint8 [28, 28, 1], ink 255 on 0, laid out as `layout` says.

    Raises:
        BlankDrawing: no ink was found.
    """
    return ink_steps(image, layout).seen if isinstance(image, Image.Image) else image.seen(layout)


class InkSteps(NamedTuple):
    """The stages of preparing a drawing for an ink model.

    Attributes:
        found: the ink at the working size, uint8 [h, w], 1 on 0.
        placed: the ink cropped, centered and scaled, uint8 [168, 168] or twice as large, 1 on 0.
        drawn: the ink with the line width that the model knows, float32 of the same shape, coverage 0..1.
        seen: the model's input, uint8 [28, 28, 1].
        field: the square of the picture that `seen` shows: left, top, right and bottom in shares of the picture's width
            and height. It may reach beyond the picture.
    """

    found: np.ndarray
    placed: np.ndarray
    drawn: np.ndarray
    seen: np.ndarray
    field: Field


def ink_steps(image: Picture, layout: str) -> InkSteps:
    """`ink` with its intermediate stages.

    Raises:
        BlankDrawing: no ink was found.
    """
    if not isinstance(image, Image.Image):
        return image.steps(layout)
    if layout not in LAYOUTS:
        raise ValueError(f"layout must be 'mnist' or 'quickdraw'. Received: {layout!r}")
    spec = LAYOUTS[layout]
    mask, pen, closer = find_ink(image)
    found, cells = without_specks(mask, pen), closer * FINE
    placed, pen, move = place(found, pen, cells * spec.extent, cells * spec.pen, cells * FIELD)
    drawn = redraw_line(placed, pen, cells * spec.pen)
    if spec.by_mass:
        drawn, shift = center_by_mass(drawn)
        move[:, 2] += shift
    small = cv2.resize(drawn, (FIELD, FIELD), interpolation=cv2.INTER_AREA)
    seen = np.rint(small * 255).astype(np.uint8)[..., None]
    return InkSteps(found, placed, drawn, seen, _field(move, found.shape, len(placed)))


def field(image: Picture, spec: InputLike) -> Field:
    """The part of a picture that the model sees, as `InkSteps.field`; for a photo all but flat bars, with its margins.

    Raises:
        BlankDrawing: an ink model was given a picture without ink.
    """
    if spec.kind == "ink":
        return ink_steps(image, spec.layout).field
    image = as_image(image)
    box = content(image)
    size = (box[2] - box[0], box[3] - box[1])
    left, top, right, bottom = margins(size, spec.width, spec.height)
    across, down = size[0] / (spec.width - left - right), size[1] / (spec.height - top - bottom)
    return (
        (box[0] - left * across) / image.width,
        (box[1] - top * down) / image.height,
        (box[2] + right * across) / image.width,
        (box[3] + bottom * down) / image.height,
    )


def _field(move: np.ndarray, shape: tuple[int, int], side: int) -> Field:
    """The borders of a grid of `side` in a picture of `shape`, given the affine transform [2, 3] between them."""
    height, width = shape
    (zoom, _, x), (_, _, y) = move
    left, top, right, bottom = ((at - offset) / zoom + 0.5 for at in (-0.5, side - 0.5) for offset in (x, y))
    return float(left / width), float(top / height), float(right / width), float(bottom / height)


def find_ink(image: Image.Image) -> tuple[np.ndarray, float, int]:
    """The ink of a picture at the working size.

    Ink is whatever differs from the paper, in any color. Even paper (a canvas, a scan) has the color of the picture's
    rim; uneven paper (a snapshot) is estimated from the surroundings of each pixel.

    Returns:
        the ink, uint8 [h, w], 1 on 0; the width of its lines in pixels; how closely it was looked at: 1, or 2 for a
        picture with twice the side of most.

    Raises:
        BlankDrawing: nothing differs from the paper.
    """
    mask, pen, is_filled = _ink_at(WORKING, image)
    is_fine = is_filled or pen < LEAST_PEN or max(mask[box(mask)].shape) < LEAST_INK
    if not is_fine or max(image.size) < 2 * WORKING:
        return mask, pen, 1
    mask, pen, _ = _ink_at(2 * WORKING, image)
    return mask, pen, 2


def _ink_at(working: int, image: Image.Image) -> tuple[np.ndarray, float, bool]:
    """The ink and its width in a picture of that working size, and whether areas of it were colored in."""
    pixels = working_size(image, working)
    paper, difference = even_paper(pixels)
    if difference is None:
        mask = ink_on_uneven(cv2.GaussianBlur(pixels, (0, 0), 1.0))  # a camera's noise is not ink
        return mask, line_width(mask), False
    mask = marks(difference, may_be_plain=max(image.size) > SMALL)  # an enlarged picture has soft edges
    lines = Lines(mask)
    outline = without_fills(lines, pixels, paper)
    is_filled = outline is not mask
    return outline, line_width(outline) if is_filled else lines.width(), is_filled


class Lines:
    """The lines of a mask, measured once.

    Args:
        mask: uint8 [h, w], 1 on 0.

    Attributes:
        part: the bounding box of the ink.
        ink: the mask within it.
        distance: the distance of each of its pixels from the paper, float32 [h, w].
    """

    def __init__(self, mask: np.ndarray):
        self.mask = mask
        self.part = box(mask)
        self.ink = mask[self.part]
        self.distance = distance_inside(self.ink)
        self._ridge = np.sort(self.distance[ridge(self.distance)])

    def width(self, share: float = 0.5) -> float:
        """The width in pixels that this share of the lines' ridges does not exceed; the median by default."""
        place = share * (len(self._ridge) - 1)
        low, high = self._ridge[math.floor(place)], self._ridge[math.ceil(place)]
        return max(1.0, 2 * float(low + (high - low) * (place % 1)) - 1)

    @property
    def thin(self) -> float:
        """The width of the thinner lines: the lower quartile."""
        return self.width(0.25)


def without_fills(drawn: Lines, pixels: np.ndarray, paper: Sequence[int]) -> np.ndarray:
    """The ink without areas that were colored in, whose outlines stay: uint8 [h, w], 1 on 0.

    An area of one color was colored in if it is much wider than the lines, or if another ink surrounds it. Where such
    an area borders on the paper, a line along its border stays in its place.

    Args:
        drawn: all ink; its mask itself is returned if nothing was colored in.
        pixels: the picture, uint8 [h, w, 3].
        paper: the paper's color.
    """
    ink, colors = drawn.ink, pixels[drawn.part]
    widest = max(ink.shape) / THINNEST  # a wider line would be wide for a drawing of this size
    broad = BROAD * max(drawn.mask.shape)
    is_narrow = drawn.distance.max() <= max(FILLED / 2 * min(drawn.thin, widest), broad)
    if is_narrow and not has_inks(drawn.distance, colors):
        return drawn.mask
    lines, border = ink, np.zeros_like(ink)
    even = (cv2.morphologyEx(colors, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)).max(axis=2) <= ALIKE).astype(
        np.uint8
    )
    for _ in range(FILLS):
        distance = distance_inside(lines & even)
        if not distance.any():
            break
        same, other = by_ink(lines, colors, colors[np.unravel_index(distance.argmax(), distance.shape)], paper)
        reach = distance_inside(same)
        surrounded = other.any() and is_surrounded(same, other)
        pen = min(line_width(other) if other.any() else Lines(same).thin, widest)
        if reach.max() <= (pen / 2 + 1 if surrounded else max(FILLED / 2 * pen, broad)):
            break
        if surrounded:
            _, spots = cv2.connectedComponents(same)
            fill = np.isin(spots, np.unique(spots[reach > pen / 2])).astype(np.uint8) & same
        else:  # what opening leaves, so that lines of the same ink that lead away from the area stay
            fill = cv2.dilate((reach > pen).astype(np.uint8), disc(2 * pen + 2)) & same
        lines = lines & ~fill
        framed = cv2.copyMakeBorder(1 - ink, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
        border |= cv2.dilate(framed, disc(2 * pen))[1:-1, 1:-1] & fill
    if lines is ink:
        return drawn.mask
    outline = np.zeros_like(drawn.mask)
    outline[drawn.part] = lines | border
    return outline


def by_ink(lines: np.ndarray, colors: np.ndarray, color: np.ndarray, paper: Sequence[int]) -> list[np.ndarray]:
    """The part of a drawing, uint8 [h, w], in an ink of this color, and the part in other inks.

    Soft edges of this ink, whose colors lie between its own and the paper's, are in neither part.
    """
    toward = color.astype(np.float32) - paper
    away = colors.astype(np.float32) - paper
    share = away @ toward / max(float(toward @ toward), 1)
    beside = np.abs(away - np.clip(share, 0, 1)[..., None] * toward).max(axis=2) > ALIKE
    same = np.abs(away - toward).max(axis=2) <= ALIKE
    return [lines & part.astype(np.uint8) for part in (same, beside)]


def is_surrounded(same: np.ndarray, other: np.ndarray) -> bool:
    """Whether most of one ink's border is next to another ink."""
    near = np.ones((5, 5), np.uint8)
    rim = cv2.dilate(same, near) & ~same
    return bool((rim & cv2.dilate(other, near)).sum() > SURROUNDED * rim.sum())


def has_inks(distance: np.ndarray, colors: np.ndarray) -> bool:
    """Whether the insides of the lines differ in color."""
    inside = colors[::3, ::3][distance[::3, ::3] > 2]
    return len(inside) > 0 and bool((np.ptp(inside, axis=0) > 2 * ALIKE).any())


def disc(width: float) -> np.ndarray:
    """A structuring element of this width in pixels."""
    side = round(width) | 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))


def even_paper(pixels: np.ndarray) -> tuple[Sequence[int], np.ndarray | None]:
    """The color of the rim of a picture uint8 [h, w, 3], and each pixel's difference from it: uint8 [h, w, 3].

    The difference is None if the rim is not even.
    """
    corner = pixels[0, 0].tolist()
    difference = _difference(pixels, corner)
    rows, columns = box(difference)
    if rows.start >= RIM <= columns.start and rows.stop <= len(pixels) - RIM and columns.stop <= pixels.shape[1] - RIM:
        return corner, difference  # a shortcut for most canvases
    sides = (pixels[:RIM], pixels[-RIM:], pixels[:, :RIM], pixels[:, -RIM:])
    rim = np.concatenate([side.reshape(-1, 3) for side in sides])
    paper = np.median(rim, axis=0)
    off = np.abs(rim - paper).max(axis=1)
    # A canvas has paper of exactly one color: anything else at its rim is ink. In a snapshot it may be a shadow.
    even = np.mean(off <= EVEN) > (0.6 if np.median(off) == 0 else 0.95)
    paper = paper.astype(np.uint8).tolist()
    return paper, _difference(pixels, paper) if even else None


def _difference(pixels: np.ndarray, color: Sequence[float]) -> np.ndarray:
    """The absolute difference of pixels uint8 [h, w, 3] from a color, by channel."""
    return cv2.absdiff(pixels, np.array((*color, 0.0)))


def is_sharp(difference: np.ndarray) -> bool:
    """Whether differences uint8 [h, w] have an edge that rises by half of the largest one within a pixel."""
    edges = cv2.morphologyEx(difference, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8))
    return edges.max() > difference.max() / 2


def box(array: np.ndarray, margin: int = 0) -> tuple[slice, slice]:
    """The bounding box of all nonzero values of uint8 [h, w] or [h, w, c], with a margin around it, as slices."""
    depth = array[0, 0].size
    left, top, width, height = cv2.boundingRect(array.reshape(len(array), -1))
    return (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left // depth - margin), (left + width - 1) // depth + 1 + margin),
    )


def ink_on_uneven(pixels: np.ndarray) -> np.ndarray:
    """The ink of a snapshot, uint8 [h, w]: lines that differ from the median of a wide neighborhood.

    The median follows soft light, but it rounds off the hard edge of a shadow, and the corner in between would look
    like ink. Two bounds on the paper prevent that: it is no lighter than the morphological closing, and no darker than
    the opening, with a disc wider than the lines. Both keep every shape that the disc fits into.
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
    disc = max(9, round(AROUND * line_width(mask))) | 1  # again, now that the pen is known
    return without_rim(lines(disc) if disc < widest else mask)


def marks(difference: np.ndarray, may_be_plain: bool = False) -> np.ndarray:
    """The pixels that differ from the paper, uint8 [h, w], by Otsu's threshold (1979).

    Args:
        difference: the difference of each pixel from the paper, uint8 [h, w, 3].
        may_be_plain: whether any pixel that differs by `PLAIN` is ink, if the edges are sharp. Such a threshold finds
            yellow next to black on white; it would find soft edges, too.

    Raises:
        BlankDrawing: no pixel differs.
    """
    largest, part = np.zeros(difference.shape[:2], np.uint8), box(difference, 1)
    red, green, blue = cv2.split(np.ascontiguousarray(difference[part]))  # it takes eight times as long on a slice
    inked = largest[part] = cv2.max(cv2.max(red, green), blue)
    if inked.max() < FAINTEST:
        raise BlankDrawing("nothing differs from the paper")
    threshold, _ = cv2.threshold(largest, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    if may_be_plain and threshold > PLAIN and is_sharp(inked):
        threshold = PLAIN
    return cv2.threshold(largest, max(threshold, FAINTEST / 2), 1, cv2.THRESH_BINARY)[1]


def without_rim(mask: np.ndarray) -> np.ndarray:
    """The mask without spots at the picture's rim (a shadow's tip, a ruled line), unless they are most of it."""
    count, spots, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    inner = np.ones(count, bool)
    inner[np.concatenate([spots[0], spots[-1], spots[:, 0], spots[:, -1], [0]])] = False
    area = stats[:, cv2.CC_STAT_AREA]
    return inner[spots].astype(np.uint8) if area[inner].sum() > area[1:].sum() / 3 else mask


def working_size(image: Image.Image, least: int) -> np.ndarray:
    """A picture with a long side of at least `least` pixels and less than twice as many: uint8 [h, w, 3].

    A smaller picture stays as it is; one of `SMALL` or less is enlarged.
    """
    longest = max(image.size)
    if longest <= SMALL:
        width, height = (max(1, round(side * WORKING / longest)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    elif longest >= 2 * least:
        image = image.reduce(longest // least)
    return np.asarray(image)


def line_width(mask: np.ndarray) -> float:
    """The width of a mask's lines in pixels: the median over the ridge of its distance transform."""
    return Lines(mask).width()


def distance_inside(mask: np.ndarray) -> np.ndarray:
    """The distance of each pixel of a mask from its outside, float32 [h, w]; beyond the rim is outside."""
    framed = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return cv2.distanceTransform(framed, cv2.DIST_L2, 5)[1:-1, 1:-1]


def ridge(distance: np.ndarray) -> np.ndarray:
    """The ridge of a distance transform, bool [h, w]: pixels that no neighbor exceeds, in the middle of each line."""
    return (distance > 0) & (distance >= cv2.dilate(distance, np.ones((3, 3), np.uint8)))


def without_specks(mask: np.ndarray, pen: float) -> np.ndarray:
    """The mask without spots much smaller than a dot of the pen, such as dust or a camera's noise."""
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


def place(
    mask: np.ndarray, pen: float, extent: float, target: float, side: int
) -> tuple[np.ndarray, float, np.ndarray]:
    """Scales the ink and centers its bounding box on the fine grid.

    Args:
        mask: the ink, uint8 [h, w], 1 on 0.
        pen: the width of its lines.
        extent: the longest side of the centerline on the grid.
        target: the line width that the model knows.
        side: of the grid.

    Returns:
        the mask on the grid, uint8 [side, side]; the width of its lines; the affine transform, float64 [2, 3], from
        (x, y) in `mask` to (x, y) on the grid.
    """
    left, top, width, height = cv2.boundingRect(mask)
    # A dot has no extent, so the zoom is limited to a few pen widths.
    zoom = min(extent / max(max(width, height) - pen, 1e-3), 4 * target / pen)
    if pen * zoom < 1.5:  # the grid would miss parts of a hairline
        grow = math.ceil(1 / zoom)
        framed = cv2.copyMakeBorder(mask, grow, grow, grow, grow, cv2.BORDER_CONSTANT, value=0)
        thick = cv2.dilate(framed, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8))
        placed, pen, move = place(thick, pen + 2 * grow, extent, target, side)
        move[:, 2] += move[:, :2].sum(axis=1) * grow
        return placed, pen, move
    x, y = left + (width - 1) / 2, top + (height - 1) / 2
    middle = (side - 1) / 2
    move = np.array([[zoom, 0, middle - zoom * x], [0, zoom, middle - zoom * y]])
    # Only the box of the ink is moved, to its box on the grid.
    across, down = (min(side, 2 * math.ceil(zoom * length / 2) + 2) for length in (width, height))
    at = np.array([(side - across) // 2, (side - down) // 2])
    within = move.copy()
    within[:, 2] += zoom * np.array([left, top]) - at
    ink = mask[top : top + height, left : left + width] * 255
    moved = cv2.warpAffine(ink, within, (across, down), flags=cv2.INTER_LINEAR)
    placed = np.zeros((side, side), np.uint8)
    placed[at[1] : at[1] + down, at[0] : at[0] + across] = cv2.threshold(moved, 127, 1, cv2.THRESH_BINARY)[1]
    return placed, pen * zoom, move


def redraw_line(mask: np.ndarray, pen: float, target: float) -> np.ndarray:
    """The drawing with lines `target` wide instead of `pen`: float32 [h, w], coverage 0..1.

    All lines grow or shrink by the same amount, so that thick ones stay thicker than thin ones. The middle of each line
    is kept, so that no line breaks.
    """
    part = box(mask, math.ceil(target / 2) + 1)
    ink, grow = mask[part], (target - pen) / 2
    if grow > 0.5:  # all ink stays
        cover = grow - cv2.distanceTransform(1 - ink, cv2.DIST_L2, 5)
    else:
        inside = distance_inside(ink)
        cover = inside - (1 - ink) + grow  # a pixel outside is at least 1 away, and the line grows by less
        # Where a line is at least as wide as the pen, more is left of it than `target`.
        if pen > target and (thin := ridge(inside) & (inside < pen / 2)).any():
            from_middle = cv2.distanceTransform(1 - thin.astype(np.uint8), cv2.DIST_L2, 5)
            cover = np.maximum(cover, target / 2 - from_middle)
    drawn = np.zeros(mask.shape, np.float32)
    drawn[part] = np.clip(cover + 0.5, 0, 1, dtype=np.float32)
    return drawn


def center_by_mass(cover: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """The drawing with its center of mass where MNIST's digits have theirs, and the shift (x, y) that it took.

    The shift is a whole number of steps of the grid.
    """
    moments = cv2.moments(cover)
    side = len(cover)
    middle = MNIST_MIDDLE / FIELD * side - 0.5
    dx, dy = (round(middle - moments[axis] / moments["m00"]) for axis in ("m10", "m01"))
    left, top = max(0, -dx), max(0, -dy)
    wide = cv2.copyMakeBorder(cover, max(0, dy), top, max(0, dx), left, cv2.BORDER_CONSTANT, value=0)
    return wide[top : top + side, left : left + side], (dx, dy)
