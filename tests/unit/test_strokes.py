"""Drawings as strokes: validation, the model's input, and the picture that is kept."""

import io
import json

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inkling.problems import Problem
from inkling.recognition import inputs
from inkling.recognition.inputs import LAYOUTS
from inkling.recognition.strokes import MOST_BYTES, MOST_POINTS, Strokes, read

SEVEN = [[[120, 290, 240, 190], [90, 90, 200, 330]]]
FACE = [
    [[100, 150, 250, 300, 250, 150, 100], [200, 110, 110, 200, 290, 290, 200]],
    [[160], [170]],
    [[240], [170]],
    [[160, 200, 240], [230, 250, 230]],
]
DRAWINGS = {"seven": SEVEN, "face": FACE, "line": [[[0, 90], [5, 5]]]}

layouts = pytest.mark.parametrize("layout", LAYOUTS)
coordinates = st.integers(-1000, 1000)
lines = st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=6)
drawings = st.lists(lines.map(lambda line: [list(axis) for axis in zip(*line, strict=True)]), min_size=1, max_size=4)


def drawing(strokes, **more):
    return Strokes.from_body({"strokes": strokes} | more)


def moved(strokes, factor, right, down):
    return [[[at * factor + right for at in x], [at * factor + down for at in y]] for x, y in strokes]


def zigzag(left, top, right, bottom, step):
    """One stroke that goes from side to side of a box, and down."""
    points = [(x, y) for i, y in enumerate(range(top, bottom + 1, step)) for x in [(left, right), (right, left)][i % 2]]
    return [list(axis) for axis in zip(*points, strict=True)]


def sheet(*pens):
    return {"side": 400, "paper": "#ffffff", "pens": [{"width": width, "ink": ink} for width, ink in pens]}


# ---- The model's input ----


@layouts
@settings(deadline=None, max_examples=60)
@given(drawings, st.floats(0.01, 100), coordinates, coordinates)
def test_place_and_size_do_not_matter(layout, strokes, factor, right, down):
    assert np.array_equal(drawing(strokes).seen(layout), drawing(moved(strokes, factor, right, down)).seen(layout))


@layouts
@pytest.mark.parametrize("name", DRAWINGS)
def test_the_input_looks_like_that_of_the_picture(layout, name):
    strokes = drawing(DRAWINGS[name])
    seen = strokes.seen(layout)
    assert (seen.dtype, seen.shape) == (np.uint8, (28, 28, 1))
    of_picture = inputs.ink(strokes.picture(), layout)
    alike = cv2.matchTemplate(seen[..., 0], of_picture[..., 0], cv2.TM_CCORR_NORMED).item()
    assert alike > 0.97


BLACK, YELLOW = "#000000", "#ffdc3c"
HOUSE = [[[100, 100, 300, 300, 100], [180, 340, 340, 180, 180]], [[100, 200, 300], [180, 60, 180]]]
PENS = [(12, BLACK), (12, BLACK)]
COLORED = {
    "another ink": ([zigzag(112, 192, 288, 328, 11)], [(12, YELLOW)]),
    "another ink, with gaps": ([zigzag(112, 192, 288, 328, 20)], [(12, YELLOW)]),
    "another ink, in many strokes": ([[[112, 288], [y, y]] for y in range(192, 330, 12)], [(12, YELLOW)] * 12),
    "the same ink": ([zigzag(112, 192, 288, 328, 11)], [(12, BLACK)]),
    "a wide pen": ([zigzag(120, 200, 280, 320, 30)], [(40, YELLOW)]),
}


@layouts
@pytest.mark.parametrize(("filling", "pens"), COLORED.values(), ids=COLORED)
def test_strokes_that_color_in_an_area_are_not_seen(layout, filling, pens):
    colored = drawing(HOUSE + filling, page=sheet(*PENS, *pens))
    outline = drawing(HOUSE, page=sheet(*PENS))
    assert np.array_equal(colored.seen(layout), outline.seen(layout))
    assert np.array_equal(colored.steps(layout).found, outline.steps(layout).found)
    assert np.any(np.array(colored.picture()) != np.array(outline.picture())), "the kept picture has its colors"


@layouts
@pytest.mark.parametrize(
    ("strokes", "pens"),
    [
        ([zigzag(100, 100, 300, 300, 10)], [(12, BLACK)]),
        ([zigzag(100, 100, 300, 300, 10), [[340, 350], [200, 200]]], PENS),
        ([zigzag(100, 100, 300, 300, 40), HOUSE[1]], PENS),
        (HOUSE, [(12, BLACK), (12, YELLOW)]),
        (HOUSE, [(1e6, BLACK), (1e6, BLACK)]),
    ],
    ids=["nothing else", "next to nothing else", "wide apart", "an outline in two inks", "pens wider than the page"],
)
def test_other_strokes_are_seen(layout, strokes, pens):
    found = drawing(strokes, page=sheet(*pens)).steps(layout).found
    for x, y in strokes:
        assert found[y, x].all()


@layouts
@pytest.mark.parametrize(
    "dot",
    [[[[0], [0]]], [[[7, 7, 7], [9, 9, 9]]], [[[1], [1]], [[1], [1]]], [[[1, 1 + 1e-9], [1, 1]]]],
    ids=["a point", "a point again and again", "two points in one place", "a line of no length"],
)
def test_a_dot_is_as_wide_as_a_line(layout, dot):
    seen = drawing(dot).seen(layout)[..., 0] / 255
    rows, columns = np.nonzero(seen)
    assert np.ptp(rows) == np.ptp(columns)
    assert seen.sum() == pytest.approx(np.pi / 4 * LAYOUTS[layout].pen ** 2, rel=0.35)
    middle = np.average(rows, weights=seen[rows, columns]) + 0.5
    assert middle == pytest.approx(14.5 if layout == "mnist" else 14, abs=0.3)


@layouts
@pytest.mark.parametrize("name", DRAWINGS)
def test_the_steps_lead_to_the_same_input(layout, name):
    strokes = drawing(DRAWINGS[name])
    steps = strokes.steps(layout)
    assert np.array_equal(steps.seen, strokes.seen(layout))
    shrunk = cv2.resize(steps.drawn * 255, (28, 28), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk - steps.seen[..., 0]).mean() < 3
    left, top, right, bottom = steps.field
    expected = inputs.field(strokes.picture(), Ink(layout))
    assert (left, top, right, bottom) == pytest.approx(expected, abs=0.05)


class Ink:
    """The input of a model for ink."""

    kind, width, height = "ink", 28, 28

    def __init__(self, layout):
        self.layout = layout


# ---- Validation ----

GOOD = {
    "whole numbers": SEVEN,
    "fractions": [[[0.5, 1.25], [2.5, 1e-3]]],
    "with times": [[[1, 2], [3, 4], [0, 1.6e12]]],
    "the largest numbers": [[[-1e6, 1e6], [1e6, -1e6]]],
    "as many points as allowed": [[list(range(MOST_POINTS)), [0] * MOST_POINTS]],
}
BAD = {
    "no object": ("[]", "strokes"),
    "no JSON": ("strokes", "strokes"),
    "nothing": ("", "strokes"),
    "no strokes": ("{}", "strokes"),
    "another name": ('{"strokes": [[[1], [1]]], "line": 1}', "strokes"),
    "an empty list": ('{"strokes": []}', "blank"),
    "an empty stroke": ('{"strokes": [[]]}', "strokes"),
    "a stroke without points": ('{"strokes": [[[], []]]}', "strokes"),
    "x without y": ('{"strokes": [[[1, 2]]]}', "strokes"),
    "four lists": ('{"strokes": [[[1], [1], [1], [1]]]}', "strokes"),
    "fewer y than x": ('{"strokes": [[[1, 2], [1]]]}', "strokes"),
    "points instead of lists": ('{"strokes": [[1, 2], [3, 4]]}', "strokes"),
    "a number too large": ('{"strokes": [[[1e308], [0]]]}', "strokes"),
    "a number just too large": ('{"strokes": [[[1000001], [0]]]}', "strokes"),
    "a number just too small": ('{"strokes": [[[0], [-1000001]]]}', "strokes"),
    "a number beyond all": ('{"strokes": [[[1e999], [0]]]}', "strokes"),
    "no number": ('{"strokes": [[[NaN], [0]]]}', "strokes"),
    "infinity": ('{"strokes": [[[-Infinity], [0]]]}', "strokes"),
    "a number in quotes": ('{"strokes": [[["1"], [0]]]}', "strokes"),
    "true": ('{"strokes": [[[true], [0]]]}', "strokes"),
    "null": ('{"strokes": null}', "strokes"),
    "lists in lists": ('{"strokes": [[[[1]], [0]]]}', "strokes"),
    "ten thousand deep": ('{"strokes": ' + "[" * 10_000 + "]" * 10_000 + "}", "strokes"),
    "too many points": (json.dumps({"strokes": [[[1] * (MOST_POINTS + 1)] * 2]}, separators=(",", ":")), "strokes"),
    "a million points": (json.dumps({"strokes": [[[1] * 10**6] * 2]}), "too-large"),
    "one byte too many": ('{"strokes": [[[1], [1]]]}' + " " * (MOST_BYTES - 24), "too-large"),
    "a page without pens": (
        '{"strokes": [[[1], [1]]], "page": {"side": 1, "paper": "#ffffff", "pens": []}}',
        "strokes",
    ),
    "a page of no size": ('{"strokes": [[[1], [1]]], "page": {"side": 0, "paper": "#ffffff", "pens": []}}', "strokes"),
    "a color by name": ('{"strokes": [[[1], [1]]], "page": {"side": 1, "paper": "red", "pens": []}}', "strokes"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_strokes_are_drawn(name):
    strokes = drawing(GOOD[name])
    assert strokes.seen("quickdraw").any()
    assert strokes.seen("mnist").any()


@pytest.mark.parametrize("name", BAD)
def test_bad_strokes_are_refused(name):
    text, reason = BAD[name]
    with pytest.raises(Problem) as refused:
        Strokes.from_json(text)
    assert refused.value.reason == reason
    assert len(str(refused.value)) < 300
    assert ("Received: " in str(refused.value)) == (reason != "blank")


def test_times_do_not_matter():
    assert np.array_equal(drawing([[[1, 2], [3, 9], [0, 80]]]).seen("mnist"), drawing([[[1, 2], [3, 9]]]).seen("mnist"))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["strokes", "page", "x"]), inner),
    max_leaves=30,
)


@settings(deadline=None, max_examples=300)
@given(anything | anything.map(lambda value: {"strokes": value}))
def test_any_json_is_drawn_or_refused(value):
    reason = None
    try:
        strokes = Strokes.from_body(value)
    except Problem as problem:
        reason = problem.reason
    assert reason in ("strokes", "blank") or strokes.seen("quickdraw").shape == (28, 28, 1)


# ---- The picture ----


def page(*pens, side=400, paper="#ffffff"):
    return {"side": side, "paper": paper, "pens": [{"width": width, "ink": ink} for width, ink in pens]}


@pytest.mark.parametrize("width", [4, 16, 40])
def test_the_picture_has_the_page_s_pens_and_colors(width):
    strokes = drawing(
        [[[100, 300], [200, 200]], [[100, 300], [300, 300]]],
        page=page((width, "#ffcc00"), (6, "#ff0000"), paper="#003366"),
    )
    picture = strokes.picture()
    assert (picture.size, picture.mode) == (strokes.size, "RGB")
    assert picture.getpixel((200, 200)) == (255, 204, 0)
    assert picture.getpixel((200, 300)) == (255, 0, 0)
    assert picture.getpixel((10, 10)) == (0, 51, 102)
    column = [picture.getpixel((200, y))[0] > 128 for y in range(250)]
    assert abs(sum(column) - width) <= 1


@pytest.mark.parametrize(
    "more",
    [
        {"page": page((1e6, "#000000"), side=1e-6)},
        {"page": page((1e-6, "#000000"), side=1e6)},
        {"page": page((1e6, "#000000"), side=1e6)},
        {},
    ],
    ids=["a tiny page", "a huge page", "a huge pen", "no page"],
)
def test_every_valid_page_is_drawn(more):
    assert drawing([[[-1e6, 1e6, 0], [1e6, 0, -1e6]]], **more).picture().size == (400, 400)


def test_the_page_does_not_change_the_input():
    bare, on_page = drawing(SEVEN), drawing(SEVEN, page=page((40, "#ffffff")))
    for layout in LAYOUTS:
        assert np.array_equal(bare.seen(layout), on_page.seen(layout))


@pytest.mark.parametrize("more", [{}, {"page": page(*[(16, "#112233")] * len(FACE))}], ids=["bare", "on a page"])
def test_the_file_of_the_picture_holds_the_strokes(more):
    strokes = drawing(FACE, **more)
    again = read(strokes.png())
    assert again.body == strokes.body
    with Image.open(io.BytesIO(strokes.png())) as picture:
        assert np.array_equal(np.asarray(picture), np.asarray(strokes.picture()))
    for layout in LAYOUTS:
        assert np.array_equal(again.seen(layout), strokes.seen(layout))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_another_picture_holds_no_strokes(encode, kind):
    assert read(encode(drawing(FACE).picture(), kind)) is None
