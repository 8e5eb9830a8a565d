"""Drawings of the same thing give the same input, whatever their pen, place, colors, paper or light."""

import io
from itertools import combinations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image, ImageDraw

from inkling.recognition import inputs
from inkling.recognition.card import InputSpec

pytestmark = pytest.mark.filterwarnings("error")

LAYOUTS = ("mnist", "quickdraw")
CANVAS = 400
BLACK, WHITE = (0, 0, 0), (255, 255, 255)
COLORS = [  # pairs of (ink, paper)
    (WHITE, BLACK),
    ((30, 60, 220), WHITE),
    ((255, 220, 40), WHITE),
    ((200, 30, 30), (60, 160, 60)),
    ((130, 130, 130), (190, 190, 190)),
    ((255, 150, 30), (15, 20, 70)),
    ((0, 0, 255), (255, 0, 0)),
    ((235, 235, 235), (255, 255, 255)),
]


def around(turns):
    """Points on a circle of diameter 1."""
    angle = 2 * np.pi * np.asarray(turns)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) / 2


# Strokes centered at (0, 0). Their longer side is 1.
SHAPES = {
    "seven": [[(-0.3, -0.5), (0.3, -0.5), (-0.1, 0.5)]],
    "ring": [around(np.linspace(0, 1, 33))],
    "house": [[(-0.4, 0.5), (-0.4, 0), (0, -0.5), (0.4, 0), (0.4, 0.5), (-0.4, 0.5)]],
    "zigzag": [[(-0.5, -0.1), (-0.25, 0.1), (0, -0.1), (0.25, 0.1), (0.5, -0.1)]],
    "two parts": [[(-0.4, -0.5), (-0.4, 0.5)], [(0.1, -0.2), (0.4, 0.2)]],
}
every_shape = pytest.mark.parametrize("shape", SHAPES)
every_layout = pytest.mark.parametrize("layout", LAYOUTS)


def cover(shape, pen=16.0, size=0.7, at=(0.5, 0.5), canvas=(CANVAS, CANVAS)):
    """Returns how much of each pixel is ink, as float32 [h, w]. Strokes have round ends.

    Args:
        size: longer side of the drawing without the pen's width, as a share of the canvas' shorter side.
        at: center of the drawing, as shares of the canvas.
    """
    width, height = canvas
    steps = 4  # samples per pixel in each direction
    middle = np.array(at) * (width, height)
    fine = np.zeros((height * steps, width * steps), np.uint8)
    for stroke in SHAPES[shape]:
        points = (np.asarray(stroke) * size * min(canvas) + middle) * steps
        cv2.polylines(fine, [np.rint(points).astype(np.int32)], False, 255, round(pen * steps))
    return cv2.resize(fine, canvas, interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def draw(shape, ink=BLACK, paper=WHITE, **how):
    """A clean drawing in one color on a background of another."""
    share = cover(shape, **how)[..., None]
    return Image.fromarray(np.rint(share * ink + (1 - share) * paper).astype(np.uint8))


def through_jpeg(image, quality=75):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def alike(one, other):
    """Returns the cosine similarity of two inputs: 1 for equal inputs."""
    one, other = (array.astype(float).ravel() for array in (one, other))
    return one @ other / np.linalg.norm(one) / np.linalg.norm(other)


def box(seen):
    """Returns left, top, right and bottom of the ink in pixels. A gray border pixel counts by its share."""
    sides = []
    for axis in (0, 1):
        line = seen[..., 0].max(axis=axis).astype(float) / 255
        full = np.flatnonzero(line > 0.5)
        before, after = line[: full[0] + 1], line[full[-1] :]
        sides.append((full[0] + 1 - min(before[-2:].sum(), 2), full[-1] + min(after[:2].sum(), 2)))
    return sides[0][0], sides[1][0], sides[0][1], sides[1][1]


def is_input(seen):
    """A dot that lies across four pixels gives each of them a quarter of its brightness."""
    return seen.shape == (28, 28, 1) and seen.dtype == np.uint8 and seen.max() > 60 and seen.min() == 0


# ---- The layouts ----


@every_layout
@every_shape
def test_input_is_white_on_black_28_pixels_a_side(shape, layout):
    assert is_input(inputs.ink(draw(shape), layout))


@every_shape
@pytest.mark.parametrize("how", [{}, {"pen": 4}, {"pen": 36}, {"size": 0.2, "at": (0.2, 0.7)}], ids=str)
def test_digits_fill_20_pixels_around_their_center_of_mass(shape, how):
    seen = inputs.ink(draw(shape, **how), "mnist")
    left, top, right, bottom = box(seen)
    assert max(right - left, bottom - top) == pytest.approx(20, abs=1)
    moments = cv2.moments(seen[..., 0].astype(np.float32))
    center = (moments["m10"] / moments["m00"], moments["m01"] / moments["m00"])
    assert center == pytest.approx((14, 14), abs=0.6)


@every_shape
@pytest.mark.parametrize("how", [{}, {"pen": 4}, {"pen": 36}, {"size": 0.2, "at": (0.2, 0.7)}], ids=str)
def test_doodles_fill_25_pixels_around_the_middle_of_their_box(shape, how):
    left, top, right, bottom = box(inputs.ink(draw(shape, **how), "quickdraw"))
    assert max(right - left, bottom - top) == pytest.approx(25, abs=1.5)
    assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx((14, 14), abs=0.6)


def test_aspect_is_kept():
    left, top, right, bottom = box(inputs.ink(draw("zigzag"), "quickdraw"))
    pen = inputs.LAYOUTS["quickdraw"].pen
    assert (right - left - pen) / (bottom - top - pen) == pytest.approx(5, rel=0.15)


def test_unknown_layout_is_an_error():
    with pytest.raises(ValueError, match="Received: 'polar'"):
        inputs.ink(draw("ring"), "polar")


# ---- The same drawing in other forms ----


@every_layout
@every_shape
def test_pen_does_not_matter(shape, layout):
    seen = [inputs.ink(draw(shape, pen=pen), layout) for pen in (1, 2, 4, 8, 16, 28, 40)]
    assert min(alike(*pair) for pair in combinations(seen, 2)) > 0.95


@every_layout
@pytest.mark.parametrize("ink, paper", COLORS, ids=str)
def test_colors_do_not_matter(ink, paper, layout):
    plain = inputs.ink(draw("house"), layout)
    assert alike(inputs.ink(draw("house", ink, paper), layout), plain) > 0.98


@every_layout
def test_strokes_of_several_colors_are_one_drawing(layout):
    """Pale yellow lines count as ink even beside black ones."""
    share = cover("two parts")[..., None]
    colors = np.where(np.arange(CANVAS)[:, None] < 180, BLACK, (255, 225, 60))  # [CANVAS, 3], one for each row
    image = Image.fromarray(np.rint(share * colors + (1 - share) * WHITE).astype(np.uint8))
    assert alike(inputs.ink(image, layout), inputs.ink(draw("two parts"), layout)) > 0.98


def colored_in(shape, color, ink=BLACK):
    """A drawing on white whose inside is filled up to the line."""
    share = cover(shape)[..., None]
    _, areas = cv2.connectedComponents((share[..., 0] < 0.5).astype(np.uint8), connectivity=4)
    inner = cv2.dilate((areas == areas[CANVAS // 2, CANVAS // 2]).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    paper = np.where(inner[..., None], color, WHITE)
    return Image.fromarray(np.rint(share * ink + (1 - share) * paper).astype(np.uint8))


@every_layout
@pytest.mark.parametrize("color", [(255, 220, 60), (220, 40, 30), (60, 60, 220)], ids=str)
@pytest.mark.parametrize("shape", ["house", "ring"])
def test_coloring_in_does_not_matter(shape, color, layout):
    assert alike(inputs.ink(colored_in(shape, color), layout), inputs.ink(draw(shape), layout)) > 0.95


@every_layout
@pytest.mark.parametrize("shape", ["house", "ring"])
def test_an_area_filled_with_its_own_ink_keeps_its_outline(shape, layout):
    assert alike(inputs.ink(colored_in(shape, BLACK), layout), inputs.ink(draw(shape), layout)) > 0.8


@every_shape
@pytest.mark.parametrize("pen, size", [(5, 0.7), (16, 0.3), (16, 0.7), (40, 0.7)])
def test_lines_are_no_areas(shape, pen, size):
    image = draw(shape, pen=pen, size=size)
    pixels = np.asarray(image)
    mask = inputs.marks(255 - pixels)
    assert inputs.without_fills(inputs.Lines(mask), pixels, WHITE) is mask


@every_layout
@pytest.mark.parametrize("quality", [75, 40])
def test_jpeg_does_not_matter(quality, layout):
    image = draw("house", pen=8)
    assert alike(inputs.ink(through_jpeg(image, quality), layout), inputs.ink(image, layout)) > 0.98


@every_layout
@pytest.mark.parametrize("canvas", [(100, 100), (150, 150), (800, 800), (400, 900), (1600, 1200)], ids=str)
def test_size_of_the_picture_does_not_matter(canvas, layout):
    image = draw("house", pen=0.06 * min(canvas), canvas=canvas)
    assert alike(inputs.ink(image, layout), inputs.ink(draw("house"), layout)) > 0.95


@pytest.mark.parametrize("canvas, size, side", [(400, 0.5, 200), (400, 0.15, 400), (800, 0.5, 200), (300, 0.15, 300)])
def test_a_small_drawing_is_looked_at_more_closely(canvas, size, side):
    """Ink is searched in at most 399 pixels, or 799 if there is little of it."""
    mask, pen, closer = inputs.find_ink(draw("house", pen=0.02 * canvas, size=size, canvas=(canvas, canvas)))
    assert mask.shape == (side, side)
    assert pen == pytest.approx(0.02 * side, abs=1)
    assert closer == (2 if side == 400 else 1)


@every_layout
def test_a_drawing_with_an_area_colored_in_is_looked_at_more_closely(layout):
    plain, filled = draw("ring"), draw("ring")
    ImageDraw.floodfill(filled, (CANVAS // 2, CANVAS // 2), (220, 40, 30))
    assert inputs.ink_steps(plain, layout).placed.shape == (inputs.SIDE, inputs.SIDE)
    steps = inputs.ink_steps(filled, layout)
    assert steps.placed.shape == steps.drawn.shape == (2 * inputs.SIDE, 2 * inputs.SIDE)
    assert steps.field == pytest.approx(inputs.ink_steps(plain, layout).field, abs=0.01)


@every_layout
def test_dust_does_not_matter(layout):
    """Specks much smaller than the lines change neither the size nor the place of the drawing."""
    image = draw("house", size=0.4)
    dusty = image.copy()
    for place in ((20, 30), (380, 50), (350, 390)):
        dusty.putpixel(place, BLACK)
    assert np.array_equal(inputs.ink(dusty, layout), inputs.ink(image, layout))


@every_layout
def test_soft_edges_do_not_close_small_holes(layout):
    """Another program enlarged a tiny picture. The paper inside its lines becomes gray but still counts as paper."""
    tiny = draw("ring", canvas=(9, 9), pen=2.2, size=0.6)
    seen = inputs.ink(tiny.resize((280, 280), Image.Resampling.BICUBIC), layout)
    assert seen[12:16, 12:16].max() == 0
    assert alike(seen, inputs.ink(tiny, layout)) > 0.95


@every_layout
def test_ink_may_touch_the_rim(layout):
    """A drawing that is cut off by the canvas fills the field with the part that is left."""
    seen = inputs.ink(draw("ring", at=(0, 0.5)), layout)
    assert is_input(seen)
    assert alike(seen[:, ::-1], seen) < 0.9  # half a ring is open on one side
    framed = draw("house", size=1, pen=6)
    assert alike(inputs.ink(framed, layout), inputs.ink(draw("house"), layout)) > 0.9


@every_layout
@pytest.mark.parametrize("radius", [0, 2, 20, 100])
def test_a_dot_is_a_drawing(radius, layout):
    canvas = np.full((CANVAS, CANVAS, 3), 255, np.uint8)
    image = Image.fromarray(cv2.circle(canvas, (150, 250), radius, BLACK, -1))
    seen = inputs.ink(image, layout)
    assert is_input(seen)
    columns, rows = (np.count_nonzero(seen.any(axis=axis)) for axis in (0, 1))
    assert columns == pytest.approx(rows, abs=1)


@given(st.sampled_from(list(SHAPES)), st.sampled_from(LAYOUTS), st.floats(0.2, 0.8), st.floats(0.2, 0.8))
@settings(max_examples=25, deadline=None)
def test_place_does_not_matter(shape, layout, x, y):
    plain = inputs.ink(draw(shape, size=0.3), layout)
    assert alike(inputs.ink(draw(shape, size=0.3, at=(x, y)), layout), plain) > 0.97


@given(st.sampled_from(list(SHAPES)), st.sampled_from(LAYOUTS), st.floats(0.25, 0.9), st.floats(6, 30))
@settings(max_examples=25, deadline=None)
def test_size_does_not_matter(shape, layout, size, pen):
    plain = inputs.ink(draw(shape), layout)
    pen = min(pen, 0.12 * size * CANVAS)  # a pen as thick as the details of the drawing hides them
    assert alike(inputs.ink(draw(shape, size=size, pen=pen), layout), plain) > 0.9


colors = st.tuples(*[st.integers(0, 255)] * 3)


@given(colors, colors, st.sampled_from(LAYOUTS))
@settings(max_examples=25, deadline=None)
def test_swapped_colors_give_the_same(ink, paper, layout):
    if max(abs(a - b) for a, b in zip(ink, paper, strict=True)) < 2 * inputs.FAINTEST:
        return  # the contrast is below the faintest ink
    one, other = (inputs.ink(draw("house", *pair), layout) for pair in ((ink, paper), (paper, ink)))
    assert alike(one, other) > 0.98


# ---- Blank and odd pictures ----


@given(colors, st.integers(1, 90), st.integers(1, 90), st.sampled_from(LAYOUTS))
@settings(max_examples=25, deadline=None)
def test_one_color_is_blank(color, width, height, layout):
    with pytest.raises(inputs.BlankDrawing):
        inputs.ink(Image.new("RGB", (width, height), color), layout)


@every_layout
@pytest.mark.parametrize("side", [60, 400, 1000])
def test_noise_is_blank(side, layout):
    """A camera's picture of an empty sheet has slightly uneven light, noise and JPEG artifacts. It is still blank."""
    rng = np.random.default_rng(side)
    light = np.linspace(200, 170, side)[:, None, None]
    sheet = np.rint(light + rng.normal(0, 2, (side, side, 3))).astype(np.uint8)
    with pytest.raises(inputs.BlankDrawing):
        inputs.ink(through_jpeg(Image.fromarray(sheet)), layout)


def assert_input_or_blank(image, layout):
    try:
        seen = inputs.ink(image, layout)
    except inputs.BlankDrawing:
        return
    assert (seen.shape, seen.dtype) == ((28, 28, 1), np.uint8)
    assert seen.any()


@every_layout
@pytest.mark.parametrize("size", [(1, 1), (1, 64), (64, 1), (1, 3000), (3000, 1), (2, 2), (5000, 40)], ids=str)
def test_strips_give_an_input_or_are_blank(size, layout):
    strip = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    assert_input_or_blank(Image.fromarray(strip), layout)


sides = st.integers(1, 64)
noise = st.tuples(sides, sides).flatmap(lambda size: arrays(np.uint8, (*size, 3)))
blocks = (
    st.tuples(sides, sides)
    .flatmap(lambda size: arrays(np.uint8, (*size, 1), elements=st.sampled_from([0, 90, 255])))
    .map(lambda gray: np.repeat(gray, 3, axis=2))
)


@given(noise | blocks, st.sampled_from(LAYOUTS), st.sampled_from([1, 5]))
@settings(max_examples=150, deadline=None)
def test_any_picture_gives_an_input_or_is_blank(picture, layout, enlarged):
    image = Image.fromarray(picture).resize((picture.shape[1] * enlarged, picture.shape[0] * enlarged))
    assert_input_or_blank(image, layout)


# ---- Snapshots ----


def gradient(x, y):
    return 1 - (x + y) / 2 * (1 - 110 / 230)


def vignette(x, y):
    return 1 - 0.55 * 2 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)


def shadow(x, y):
    """Light with a hard edge across the drawing."""
    return np.where(x + 0.7 * y > 0.75, 0.6, 1)


def corner(x, y):
    """Light with a hard edge beside the drawing."""
    return np.where(x + 0.7 * y > 1.35, 0.6, 1)


MATERIALS = {  # name: (ink, paper)
    "pencil": ((90, 90, 95), (230, 228, 222)),
    "biro": ((60, 80, 170), (230, 225, 210)),
    "red on yellow": ((150, 40, 40), (240, 215, 130)),
    "chalk": ((225, 225, 220), (40, 60, 50)),
}


def snapshot(share, light, ink, paper, ruled=False, quality=60):
    """Simulates a phone's photo of a drawing: uneven light, blur, noise of 6 of 255 and JPEG compression."""
    height, width = share.shape
    y, x = np.mgrid[:height, :width] / np.array([height, width])[:, None, None]
    sheet = np.tile(np.array(paper, np.float32), (height, width, 1))
    if ruled:
        sheet[:: height // 14] *= (0.8, 0.87, 0.97)
    share = share[..., None]
    scene = (share * ink + (1 - share) * sheet) * light(x, y)[..., None]
    scene = cv2.GaussianBlur(scene.astype(np.float32), (0, 0), width / 800)
    scene += np.random.default_rng(0).normal(0, 6, scene.shape)
    return through_jpeg(Image.fromarray(np.clip(np.rint(scene), 0, 255).astype(np.uint8)), quality)


@pytest.mark.parametrize("material", MATERIALS)
@pytest.mark.parametrize("light", [gradient, vignette, corner], ids=lambda light: light.__name__)
@pytest.mark.parametrize(
    "shape, size, at, canvas",
    [
        ("seven", 0.55, (0.45, 0.45), (800, 600)),
        ("house", 0.3, (0.3, 0.35), (600, 800)),
    ],
    ids=["large", "small"],
)
def test_light_on_a_snapshot_does_not_matter(light, material, shape, size, at, canvas):
    image = snapshot(cover(shape, 0.08 * size * 600, size, at, canvas), light, *MATERIALS[material])
    for layout in LAYOUTS:
        assert alike(inputs.ink(image, layout), inputs.ink(draw(shape), layout)) > 0.96


@pytest.mark.parametrize("material", MATERIALS)
@pytest.mark.parametrize("shape", ["ring", "house"])
def test_a_shadow_may_cross_the_drawing(shape, material):
    """Where the shadow's edge meets a line at a narrow angle, the area between them counts as ink."""
    image = snapshot(cover(shape, 24, 0.5, (0.45, 0.45), (800, 600)), shadow, *MATERIALS[material])
    for layout in LAYOUTS:
        assert alike(inputs.ink(image, layout), inputs.ink(draw(shape), layout)) > 0.9


@every_layout
def test_ruled_lines_are_paper(layout):
    share = cover("seven", pen=18, size=0.5, at=(0.6, 0.4), canvas=(800, 600))
    image = snapshot(share, gradient, *MATERIALS["biro"], ruled=True)
    assert alike(inputs.ink(image, layout), inputs.ink(draw("seven"), layout)) > 0.95


def test_snapshot_of_a_phone():
    """A photo of twelve megapixels whose drawing is off center."""
    share = cv2.resize(cover("ring", 22, 0.4, (0.35, 0.6), (750, 1000)), (3000, 4000))
    gray = (230 - 180 * share) * np.linspace(1, 0.5, 3000, dtype=np.float32)
    image = Image.fromarray(gray.astype(np.uint8)).convert("RGB")
    for layout in LAYOUTS:
        assert alike(inputs.ink(image, layout), inputs.ink(draw("ring"), layout)) > 0.97


@pytest.mark.parametrize("light", [gradient, vignette, corner], ids=lambda light: light.__name__)
def test_ink_at_the_rim_of_a_snapshot_is_ink(light):
    """Marks that touch the rim, such as shadows and ruled lines, are dropped only if there is ink elsewhere."""
    share = cover("seven", pen=30, size=0.8, at=(0.5, 0.3), canvas=(600, 600))
    mask, _, _ = inputs.find_ink(snapshot(share, light, *MATERIALS["biro"]))
    assert mask.shape == (200, 200)
    truth = cv2.resize(share, mask.shape, interpolation=cv2.INTER_AREA) > 0.5
    assert np.mean(mask[truth]) > 0.95
    assert np.mean(mask[~truth]) < 0.01


# ---- Photos, and scaling for the network ----


def spec(**change):
    photo = {"kind": "photo", "width": 50, "height": 40, "channels": 3, "scaling": "signed", "layout": "squeeze"}
    return InputSpec(**photo | change)


def ramp(width, height):
    """A picture whose red channel rises from 0 to 255 to the right, and whose green channel rises downwards."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(0, 255, width)
    picture[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(picture)


def mirrored(places):
    """Maps places outside 0 to 1 to the places that two facing mirrors would show there."""
    return 1 - np.abs(1 - np.abs(places) % 2)


@pytest.mark.parametrize(
    "size",
    [(200, 100), (100, 200), (150, 100), (160, 90), (90, 160), (40, 50), (3000, 200), (3000, 20), (60, 2000)],
    ids=str,
)
def test_a_photo_is_seen_whole_and_its_field_tells_where(size):
    """A photo of any aspect ratio is not cropped. Its mirror image fills the rest of the input."""
    image = ramp(*size)
    seen = inputs.prepare(image, spec())
    assert (seen.shape, seen.dtype) == ((40, 50, 3), np.uint8)
    left, top, right, bottom = inputs.field(image, spec())
    assert left <= 0 <= 1 <= right
    assert top <= 0 <= 1 <= bottom
    across = mirrored(left + (np.arange(50) + 0.5) / 50 * (right - left))
    down = mirrored(top + (np.arange(40) + 0.5) / 40 * (bottom - top))
    wide, high = 255 / 50 * (right - left), 255 / 40 * (bottom - top)  # change of the ramp within one pixel
    assert np.abs(seen[..., 0] - 255 * across).max() < 1 + wide
    assert np.abs(seen[..., 1] - 255 * down[:, None]).max() < 1 + high
    assert seen[..., 2].max() == 0


@pytest.mark.parametrize(
    "size, margins",
    [
        ((300, 200), (0, 0, 0, 0)),
        ((200, 300), (0, 0, 0, 0)),
        ((128, 128), (0, 0, 0, 0)),
        ((1, 1), (0, 0, 0, 0)),
        ((400, 200), (0, 16, 0, 16)),
        ((200, 400), (16, 0, 16, 0)),
        ((1, 5000), (63, 0, 64, 0)),
    ],
    ids=str,
)
def test_a_photo_longer_than_3_to_2_is_squeezed_no_further(size, margins):
    assert inputs.margins(size, 128, 128) == margins
    assert inputs.photo(Image.new("RGB", size, "teal"), 128, 128).tolist() == [[[0, 128, 128]] * 128] * 128


def scene(width=300, height=200):
    """A photo without flat rows or columns: smooth noise."""
    coarse = np.random.default_rng(0).integers(60, 200, (12, 12, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def between_bars(photo, left=0, top=0, right=0, bottom=0, color=(0, 0, 0)):
    """A photo with flat bars around it."""
    picture = Image.new("RGB", (left + photo.width + right, top + photo.height + bottom), color)
    picture.paste(photo, (left, top))
    return picture


BARS = {
    "letterbox": {"top": 60, "bottom": 60},
    "uneven": {"top": 20, "bottom": 110},
    "pillarbox": {"left": 90, "right": 90},
    "both": {"left": 40, "top": 70, "right": 40, "bottom": 30},
}
COLORS = ((0, 0, 0), (255, 255, 255), (236, 229, 221))


@pytest.mark.parametrize("color", COLORS, ids=str)
@pytest.mark.parametrize("place", BARS.values(), ids=BARS)
def test_flat_bars_are_cut_off_before_a_photo_is_resized(place, color):
    photo = scene()
    picture = between_bars(photo, color=color, **place)
    left, top = place.get("left", 0), place.get("top", 0)
    assert inputs.content(picture) == (left, top, left + photo.width, top + photo.height)
    assert np.array_equal(inputs.prepare(picture, spec()), inputs.prepare(photo, spec()))
    shares = np.divide(inputs.content(picture), (*picture.size, *picture.size))
    assert inputs.field(picture, spec()) == pytest.approx(shares)


@pytest.mark.parametrize("quality", [30, 60, 90])
@pytest.mark.parametrize("place", BARS.values(), ids=BARS)
def test_bars_are_found_in_a_jpeg(place, quality):
    """Colors of the photo bleed into a bar, so that its border is found to within one block of the JPEG."""
    photo, file = scene(), io.BytesIO()
    between_bars(photo, **place).save(file, "JPEG", quality=quality)
    left, top, right, bottom = inputs.content(Image.open(file).convert("RGB"))
    assert abs(right - left - photo.width) <= inputs.BLOCK
    assert abs(bottom - top - photo.height) <= inputs.BLOCK


def product():
    """A dark vase on white paper, which leaves more than half of each border free."""
    picture = Image.new("RGB", (400, 300), "white")
    ImageDraw.Draw(picture).polygon([(200, 40), (240, 90), (260, 260), (140, 260), (160, 90)], (90, 50, 40))
    return picture


def night():
    """A dark sky above lights, and dark ground below them."""
    picture = Image.new("RGB", (400, 300), (4, 4, 8))
    draw = ImageDraw.Draw(picture)
    for x in range(20, 400, 60):
        draw.ellipse((x, 140 + x % 40, x + 12, 152 + x % 40), (255, 230, 160))
    return picture


def wall():
    """A white wall on three sides of something that reaches the bottom."""
    return between_bars(scene(200, 100), left=100, top=200, right=100, color=(250, 250, 250))


KEPT = {
    "product": product(),
    "night": night(),
    "wall": wall(),
    "one bar": between_bars(scene(), bottom=90),
    "two colors": between_bars(between_bars(scene(), top=50), bottom=50, color=(255, 255, 255)),
    "hardly more than bars": between_bars(scene(300, 60), top=200, bottom=200),
    "one color": Image.new("RGB", (300, 200), "teal"),
    "a pixel": Image.new("RGB", (1, 1), "teal"),
    "a drawing": draw("house"),
    "no bars": scene(),
}


@pytest.mark.parametrize("picture", KEPT.values(), ids=KEPT)
def test_a_picture_without_two_bars_is_kept_whole(picture):
    assert inputs.content(picture) == (0, 0, *picture.size)


def test_a_drawing_keeps_its_flat_borders():
    """Bars are trimmed from photos alone: the ink's place follows from the ink."""
    ink = spec(kind="ink", width=28, height=28, channels=1, layout="quickdraw")
    framed = between_bars(scene(), top=60, bottom=60, color=(255, 255, 255))
    assert np.array_equal(inputs.prepare(framed, ink), inputs.ink(framed, "quickdraw"))


def test_prepare_takes_the_layout_of_the_card():
    image = draw("house")
    for layout in LAYOUTS:
        ink = spec(kind="ink", width=28, height=28, channels=1, layout=layout)
        assert np.array_equal(inputs.prepare(image, ink), inputs.ink(image, layout))


@pytest.mark.parametrize("scaling, lowest", [("unit", 0), ("signed", -1)])
def test_scale(scaling, lowest):
    pictures = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    numbers = inputs.scale(pictures, scaling)
    assert (numbers.shape, numbers.dtype) == (pictures.shape, np.float32)
    assert (numbers.min(), numbers.max()) == (lowest, 1)
    assert np.all(np.diff(numbers.ravel()) > 0)


def test_unknown_scaling_is_an_error():
    with pytest.raises(ValueError, match="Received: 'percent'"):
        inputs.scale(np.zeros((1, 2, 2, 1), np.uint8), "percent")


def test_a_blurred_photo_has_less_detail_and_a_darker_one_as_much():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    blurred = [cv2.GaussianBlur(noise, (0, 0), sigma) for sigma in (1, 2, 4)]
    found = [inputs.detail(photo) for photo in (noise, *blurred)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 10 * found[-1]
    assert inputs.detail(noise // 2) == pytest.approx(found[0], rel=0.03)
    assert inputs.detail(np.full((8, 8, 3), 200, np.uint8)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (4, 3), (3, 4), (3, 2), (16, 9), (5, 1)])
def test_a_photo_that_was_decoded_smaller_is_never_enlarged(shape):
    spec = InputSpec(kind="photo", width=260, height=260, channels=3, scaling="unit")
    scale = inputs.enough(spec) / max(shape)
    size = (round(shape[0] * scale), round(shape[1] * scale))
    left, top, right, bottom = inputs.margins(size, 260, 260)
    assert 260 - left - right <= size[0]
    assert 260 - top - bottom <= size[1]
