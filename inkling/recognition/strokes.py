"""Drawings as strokes, in the JSON form of Quick, Draw! (https://github.com/googlecreativelab/quickdraw-dataset).

An ink model's input is drawn from the strokes as the drawings of its data set were drawn, so that no picture has to be
encoded, decoded and searched for ink.
"""

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import Annotated, Any, Self

import cv2
import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from inkling.problems import Problem, shorten
from inkling.recognition import inputs

MOST_BYTES = 2**16  # of a drawing as JSON
MOST_POINTS = 10_000
REACH = 1e6  # the largest coordinate
SMALLEST = 1e-6  # a drawing whose longer side is shorter is a dot

SHIFT = 4  # binary digits after the point of OpenCV's coordinates
PICTURE = 400  # pixels a side of a drawing's picture
SMOOTH = 4  # the picture is drawn this many times as large and shrunk, for smooth edges
AREA_GRID = 96  # cells along the longer side of a drawing, to look for strokes that color in an area
DEEP = 0.9  # such a stroke has ink on all sides for this many widths of the thinnest pen,
MOST = 0.4  # along more than this share of its length
PASSES = 2.5  # and is more than this many times as long as the diagonal of its box, because it goes to and fro
NOTE = "strokes"  # key of the strokes in the file of the picture

FORM = '{"strokes": [[[x…],[y…]], …]}'
QUICKDRAW_BOX, QUICKDRAW_FIELD, QUICKDRAW_PEN = 255.0, 304.0, 16.0  # in Quick, Draw!'s own units


# ---- The JSON form ----


class Part(BaseModel):
    """Base of the JSON form: unknown keys are an error, and so are numbers in quotes."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _without_times(stroke: Any) -> Any:
    """The lists of x and y. Raw drawings of Quick, Draw! have a third list with the time of each point."""
    return stroke[:2] if isinstance(stroke, list) and len(stroke) == 3 else stroke


Axis = Annotated[
    list[Annotated[float, Field(ge=-REACH, le=REACH, allow_inf_nan=False)]], Field(min_length=1), FailFast()
]
LISTS = {"type": "array", "items": {"type": "array", "items": {"type": "number"}, "minItems": 1}}
Stroke = Annotated[
    list[Axis],
    Field(min_length=2, max_length=2),
    BeforeValidator(_without_times),
    WithJsonSchema(LISTS | {"minItems": 2, "maxItems": 3}),
]
Length = Annotated[float, Field(gt=0, le=10 * REACH, allow_inf_nan=False)]
Color = Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")]


class Pen(Part):
    """The pen of one stroke: its width in the units of the strokes, and its color."""

    width: Length
    ink: Color


class Page(Part):
    """What was drawn on: a square with its upper left corner at (0, 0). It decides only how the kept picture looks."""

    side: Annotated[Length, Field(description="in the units of the strokes")]
    paper: Color
    pens: Annotated[list[Pen], Field(description="one for each stroke"), FailFast()]


class StrokesBody(Part):
    """A drawing as JSON, at most 64 KB."""

    strokes: Annotated[
        list[Stroke],
        FailFast(),
        Field(
            description="as in Quick, Draw!: for each stroke the x and the y of its points, from the upper left. A "
            "third list, the times, is ignored. Size and place do not matter."
        ),
    ]
    page: Page | None = None

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        for i, (x, y) in enumerate(self.strokes):
            if len(x) != len(y):
                raise ValueError(f"Stroke {i} must have as many y as x. Received: {len(x)} x and {len(y)} y")
        points = sum(len(x) for x, _ in self.strokes)
        if points > MOST_POINTS:
            raise ValueError(f"A drawing may have at most {MOST_POINTS} points. Received: {points}")
        if self.page and len(self.page.pens) != len(self.strokes):
            raise ValueError(
                "Each stroke must have a pen of its own. "
                f"Received: {len(self.strokes)} strokes and {len(self.page.pens)} pens"
            )
        return self


@contextmanager
def _refused() -> Iterator[None]:
    """Turns the first validation error into `Problem("strokes")`."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        if first["type"] == "value_error":
            message = first["msg"].removeprefix("Value error, ")
            raise Problem("strokes", f"{message}.", message.partition("Received: ")[2]) from None
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"]).lstrip(".")
        received = shorten(repr(first["input"]))
        raise Problem(
            "strokes",
            f"A drawing must be {FORM} with numbers from {-REACH:.0f} to {REACH:.0f}. "
            f"{place or 'JSON'}: {first['msg']}. Received: {received}",
            received,
        ) from None


# ---- The drawing ----


MIDDLE = inputs.FIELD / 2


class Strokes:
    """A drawing as strokes. It stands for a picture wherever a model is asked; see `inputs.Drawing`.

    Args:
        body: the JSON form.

    Raises:
        Problem: "blank": there is no stroke.
    """

    size = (PICTURE, PICTURE)  # of the picture, in pixels

    def __init__(self, body: StrokesBody):
        if not body.strokes:
            raise Problem("blank", "There is no stroke in this drawing.")
        self.body = body
        self._drawn = [np.array(stroke).T for stroke in body.strokes]  # float64 [n, 2] each
        self._center, self._unit = _box(self._drawn)
        pens = self._page.pens
        self._outline = _outline(self._drawn, pens)
        lines = [self._drawn[i] for i in self._outline]
        if len(lines) < len(self._drawn):
            self._center, self._unit = _box(lines)
        # Rounded, so that a drawing is exactly the same when it is moved or enlarged.
        self._lines = [np.round((line - self._center) / self._unit, 6) for line in lines]

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The drawing in a JSON text.

        Raises:
            Problem: "strokes": the text has another form; "too-large"; or "blank": there is no stroke.
        """
        if len(text) > MOST_BYTES:
            received = f"{len(text)} bytes"
            raise Problem("too-large", f"A drawing may have at most {MOST_BYTES} bytes. Received: {received}", received)
        with _refused():
            body = StrokesBody.model_validate_json(text)
        return cls(body)

    @classmethod
    def from_body(cls, value: object) -> Self:
        """The drawing in a JSON value that is parsed already.

        Raises:
            Problem: "strokes": the value has another form; or "blank": there is no stroke.
        """
        with _refused():
            body = StrokesBody.model_validate(value)
        return cls(body)

    # ---- As a model's input ----

    def seen(self, layout: str) -> np.ndarray:
        """The input of a model whose data set is laid out like this: uint8 [28, 28, 1], ink 255 on 0.

        It does not depend on where and how large the strokes were drawn. Strokes that color in an area are left out,
        because the drawings of the data sets are outlines.

        Args:
            layout: a key of `inputs.LAYOUTS`.
        """
        spec = inputs.LAYOUTS[layout]
        cover = _cover(self._laid_out(spec), inputs.FINE, spec.pen)
        return cv2.resize(cover, (inputs.FIELD, inputs.FIELD), interpolation=cv2.INTER_AREA)[..., None]

    def steps(self, layout: str) -> inputs.InkSteps:
        """`seen` with intermediate stages, which are drawn larger to be looked at."""
        spec = inputs.LAYOUTS[layout]
        lines = self._laid_out(spec)
        pens = [self._page.pens[i].width / self._unit * spec.extent for i in self._outline]
        placed = np.maximum.reduce([_cover([line], inputs.FINE, pen) for line, pen in zip(lines, pens, strict=True)])
        edges = (np.array([[0.0], [inputs.FIELD]]) - self._offset(spec)) / spec.extent * self._unit + self._center
        (left, top), (right, bottom) = ((edges - self._corner) / self._page.side).tolist()
        return inputs.InkSteps(
            found=self._painted("#000000", dict.fromkeys(self._outline, "#ffffff"))[..., 0] // 128,
            placed=placed // 128,
            drawn=_cover(lines, inputs.FINE, spec.pen).astype(np.float32) / 255,
            seen=self.seen(layout),
            field=(left, top, right, bottom),
        )

    def _laid_out(self, spec: inputs.Layout) -> list[np.ndarray]:
        """The strokes in pixels of a model's input, from its upper left corner: float64 [n, 2] each."""
        offset = self._offset(spec)
        return [line * spec.extent + offset for line in self._lines]

    def _offset(self, spec: inputs.Layout) -> np.ndarray:
        """Where the center of the strokes' box lies in a model's input: float64 [2]."""
        offset = np.full(2, MIDDLE)
        if spec.by_mass:
            moments = cv2.moments(_cover([line * spec.extent + offset for line in self._lines], inputs.FINE, spec.pen))
            mass = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
            offset += inputs.MNIST_MIDDLE - (mass + 0.5) / inputs.FINE
        return offset

    # ---- As a picture ----

    def picture(self) -> Image.Image:
        """The drawing on its page, RGB, 400 x 400; without a page, in black on white with Quick, Draw!'s margins."""
        return Image.fromarray(self._painted(self._page.paper, {i: pen.ink for i, pen in enumerate(self._page.pens)}))

    def png(self) -> bytes:
        """The picture as a PNG file that also holds the strokes, for `read`."""
        info, file = PngInfo(), io.BytesIO()
        info.add_text(NOTE, self.body.model_dump_json(exclude_none=True))
        self.picture().save(file, "PNG", pnginfo=info)
        return file.getvalue()

    @property
    def _page(self) -> Page:
        """The page; without one, a square with Quick, Draw!'s margins."""
        unit = self._unit / QUICKDRAW_BOX
        pen = Pen(width=QUICKDRAW_PEN * unit, ink="#000000")
        return self.body.page or Page(side=QUICKDRAW_FIELD * unit, paper="#ffffff", pens=[pen] * len(self._drawn))

    @property
    def _corner(self) -> np.ndarray:
        """The upper left corner of the page: float64 [2]."""
        return np.zeros(2) if self.body.page else self._center - self._page.side / 2

    def _painted(self, paper: str, inks: dict[int, str]) -> np.ndarray:
        """Some strokes on the page, each in a color: uint8 [400, 400, 3]."""
        page, zoom = self._page, PICTURE * SMOOTH / self._page.side
        large = np.full((PICTURE * SMOOTH, PICTURE * SMOOTH, 3), _rgb(paper), np.uint8)
        for i, ink in inks.items():
            line = (self._drawn[i] - self._corner) * zoom
            _draw(large, _fixed([line]), page.pens[i].width * zoom, _rgb(ink))
        return cv2.resize(large, (PICTURE, PICTURE), interpolation=cv2.INTER_AREA)


def read(file: bytes) -> Strokes | None:
    """The strokes in a file that `Strokes.png` made; None for any other picture."""
    with Image.open(io.BytesIO(file), formats=["JPEG", "PNG"]) as image:
        text = image.info.get(NOTE)
    return Strokes.from_json(text) if isinstance(text, str) else None


def _box(lines: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
    """The center of the box around some lines, float64 [2], and its longer side."""
    points = np.concatenate(lines)
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float(max(high - low))
    return (low + high) / 2, extent if extent > SMALLEST else QUICKDRAW_BOX  # the size of a dot in such a drawing


def _outline(lines: Sequence[np.ndarray], pens: Sequence[Pen]) -> list[int]:
    """The indexes of the strokes that do not color in an area.

    A stroke in the first ink colors in if its own ink surrounds it. A stroke in another ink colors in if any ink
    surrounds it. All strokes stay if the others cover less than half of the drawing's extent.

    Args:
        lines: float64 [n, 2] each.
        pens: one for each line, with its width in the units of the lines.
    """
    everything = list(range(len(lines)))
    if len(lines) == 1:
        return everything
    center, extent = _box(lines)
    thinnest = min(pen.width for pen in pens)
    if thinnest > extent / 8:  # such a thick pen leaves no room between lines
        return everything
    # With one pen, a stroke's own ink must surround it.
    if len({(pen.width, pen.ink) for pen in pens}) == 1 and not _doubles_back(lines):
        return everything
    zoom = AREA_GRID / extent
    widths = [min(pen.width, extent) * zoom for pen in pens]
    side = math.ceil(AREA_GRID + max(widths) + 2 * thinnest * zoom)  # the drawing in the middle of a grid
    at = _fixed([(line - center) * zoom + side // 2 for line in lines])
    gap = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (round(thinnest * zoom),) * 2)

    def deep(among: Sequence[int]) -> np.ndarray:
        ink = np.zeros((side, side), np.uint8)
        for width in {widths[i] for i in among}:
            _draw(ink, [at[i] for i in among if widths[i] == width], width, (255,))
        room = cv2.distanceTransform(cv2.morphologyEx(ink, cv2.MORPH_CLOSE, gap), cv2.DIST_L2, 3)
        return (room > DEEP * thinnest * zoom).view(np.uint8)

    def within(i: int, area: np.ndarray) -> bool:
        track = np.zeros((side, side), np.uint8)
        _draw(track, [at[i]], 1, (1,))
        return cv2.countNonZero(area & track) > MOST * cv2.countNonZero(track)

    def surrounded(i: int) -> bool:
        if not within(i, whole):
            return False  # and what all ink does not surround, its own ink does not either
        return pens[i].ink != pens[0].ink or within(i, deep([i]))

    whole = deep(everything)
    kept = [i for i in everything if not surrounded(i)]
    return kept if kept and _box([lines[i] for i in kept])[1] >= extent / 2 else everything


def _doubles_back(lines: Sequence[np.ndarray]) -> bool:
    """Whether any line, float64 [n, 2], is more than `PASSES` times as long as the diagonal of the box around it."""
    points = np.concatenate(lines)
    starts = np.array([0, *accumulate(len(line) for line in lines[:-1])])
    steps = np.hypot(*np.diff(points, axis=0, append=points[-1:]).T)
    steps[starts[1:] - 1] = 0  # between two lines
    boxes = np.maximum.reduceat(points, starts) - np.minimum.reduceat(points, starts)
    return bool((np.add.reduceat(steps, starts) > PASSES * np.hypot(*boxes.T)).any())


def _cover(lines: Sequence[np.ndarray], fine: int, pen: float) -> np.ndarray:
    """Lines, in pixels of a model's input, on a grid with `fine` cells a pixel: uint8, ink 255 on 0."""
    grid = np.zeros((inputs.FIELD * fine, inputs.FIELD * fine), np.uint8)
    _draw(grid, _fixed([line * fine for line in lines]), pen * fine, (255,))
    return grid


def _fixed(lines: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Lines in cells of a grid, whose upper left corner is (0, 0), as OpenCV draws them: int32 [n, 2] each."""
    points = np.rint((np.concatenate(lines) - 0.5) * 2**SHIFT).clip(-(2**30), 2**30).astype(np.int32)
    ends = list(accumulate(len(line) for line in lines))
    cut = [points[end - len(line) : end] for line, end in zip(lines, ends, strict=True)]
    return [line if len(line) > 1 else np.repeat(line, 2, axis=0) for line in cut]  # a dot is a line of no length


def _draw(grid: np.ndarray, lines: Sequence[np.ndarray], width: float, color: Sequence[int]) -> None:
    """Draws round lines of `width` cells, as `_fixed` returns them, into a grid."""
    # OpenCV draws a line of an even thickness one cell wider.
    thickness = max(1, 2 * round((width - 1) / 2))
    cv2.polylines(grid, lines, False, color, min(thickness, 2 * len(grid)), cv2.LINE_8, SHIFT)


def _rgb(color: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(color[1:]))
