"""Every step of the lab accepts any picture, and its printed code gives the same result."""

import ast
import contextlib
import io
import re
import tempfile
from urllib.parse import parse_qsl, urlencode

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from inkling.lab import operations
from inkling.lab.operations import OPERATIONS, Choice

NOISE = np.random.default_rng(0)
PICTURES = {
    "sample": operations.sample(),
    "1 x 1": np.full((1, 1, 3), 200, np.uint8),
    "one row": operations.sample()[200:201],
    "16:1": NOISE.integers(0, 256, (8, 128, 3), np.uint8),
    "one color": np.full((9, 7, 3), (10, 20, 30), np.uint8),
    "gray": operations.as_gray(operations.sample()),
}
EXTREMES = [
    (name, parameter.name, value)
    for name, operation in OPERATIONS.items()
    for parameter in operation.parameters
    for value in (parameter.options if isinstance(parameter, Choice) else (parameter.low, parameter.high))
]


def a_value(parameter):
    """A strategy for any value that a parameter accepts."""
    if isinstance(parameter, Choice):
        return st.sampled_from(list(parameter.options))
    return st.integers(0, (parameter.high - parameter.low) // parameter.step).map(
        lambda i: parameter.low + i * parameter.step
    )


def a_step(operation):
    return st.fixed_dictionaries({one.name: a_value(one) for one in operation.parameters}).map(
        lambda values: operation.step(**values)
    )


CHAINS = st.lists(st.sampled_from(list(OPERATIONS.values())).flatmap(a_step), max_size=operations.MOST_STEPS)
SMALL = st.tuples(st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**32 - 1)).map(
    lambda drawn: np.random.default_rng(drawn[2]).integers(0, 256, (*drawn[:2], 3), np.uint8)
)


def run_code(code, picture):
    """Runs a printed program in a folder that holds the picture as a file. Returns the picture that it wrote, gray or
    RGB."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        cv2.imwrite("picture.png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        exec(compile(code, "copied", "exec"), {})
        written = cv2.imread("result.png", cv2.IMREAD_UNCHANGED)
    return written if written.ndim == 2 else cv2.cvtColor(written, cv2.COLOR_BGR2RGB)


# ---- The table ----


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_a_record_is_complete(operation):
    assert re.fullmatch("[a-z]+", operation.name)
    assert operation.help.endswith(".")
    for parameter in operation.parameters:
        assert re.fullmatch("[a-z]+", parameter.name)
        assert parameter.title
        assert parameter.help.endswith(".")
        assert parameter.read(str(parameter.default)) == parameter.default


@pytest.mark.parametrize("picture", PICTURES.values(), ids=list(PICTURES))
@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_a_step_gives_a_picture_of_the_same_size(operation, picture):
    before = picture.copy()
    result = operations.apply(picture, [operation.step()])
    assert result.dtype == np.uint8
    assert result.shape[:2] == picture.shape[:2]
    assert result.ndim == (2 if operation.gray else picture.ndim)
    assert np.array_equal(picture, before), "a function must not write to the picture it is given"


@pytest.mark.parametrize("name, parameter, value", EXTREMES)
def test_the_ends_of_each_range_work_and_print_what_they_do(name, parameter, value):
    steps = [OPERATIONS[name].step(**{parameter: value})]
    for picture in (PICTURES["1 x 1"], PICTURES["16:1"]):
        assert np.array_equal(run_code(operations.code(steps), picture), operations.apply(picture, steps))


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_the_code_names_the_call_with_the_values(operation):
    text = operations.code([operation.step()])
    ast.parse(text)
    assert "cv2." in operation.step().operation.code(**operation.step().values)
    for value in operation.step().values.values():
        shown = {**operations.AROUND, **operations.RIMS, "cut": "warpAffine"}.get(str(value), str(value))
        assert shown in text


@settings(deadline=None, max_examples=150)
@given(steps=CHAINS, picture=SMALL)
def test_any_chain_gives_a_picture_and_code_that_gives_it_again(steps, picture):
    result = operations.apply(picture, steps)
    assert result.dtype == np.uint8
    assert result.shape[:2] == picture.shape[:2]
    assert np.array_equal(run_code(operations.code(steps), picture), result)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=list(OPERATIONS))
def test_the_code_does_to_a_large_photo_what_the_lab_does_to_its_copy(operation):
    large = cv2.resize(operations.sample(), (1600, 1200), interpolation=cv2.INTER_CUBIC)
    ours = operations.apply(operations.working(Image.fromarray(large)), [operation.step()])
    theirs = run_code(operations.code([operation.step()]), large)
    assert theirs.shape == ours.shape
    assert np.mean(cv2.absdiff(theirs, ours) > 32) < 0.02, "the code shrinks by another method: pixels may differ"


# ---- What each does ----


def test_a_flip_mirrors():
    assert np.array_equal(
        operations.apply(operations.sample(), [OPERATIONS["flip"].step()]), operations.sample()[:, ::-1]
    )


def test_thresholds_leave_black_and_white():
    for name in ("canny", "binary", "otsu", "adaptive"):
        assert set(np.unique(operations.apply(operations.sample(), [OPERATIONS[name].step()]))) == {0, 255}, name


def test_the_binary_level_splits():
    ramp = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(operations.apply(ramp, [OPERATIONS["binary"].step(level=100)]) > 0, ramp > 100)


@pytest.mark.parametrize("add, lost", [(60, 255), (-60, 0)])
def test_brightness_stops_at_black_and_white(add, lost):
    ramp = np.arange(256, dtype=np.uint8)[None]
    result = operations.apply(ramp, [OPERATIONS["brightness"].step(add=add)])
    assert np.array_equal(result, np.clip(ramp.astype(int) + add, 0, 255))
    assert (result == lost).sum() == 61


def test_contrast_turns_about_middle_gray():
    ramp = np.arange(256, dtype=np.uint8)[None]
    same, none, more = (operations.apply(ramp, [OPERATIONS["contrast"].step(percent=p)])[0] for p in (100, 0, 200))
    assert np.array_equal(same, ramp[0])
    assert set(none) == {128}
    assert more[128] == 128
    assert more[160] == 192


def test_a_rotation_goes_to_the_left_and_four_quarters_bring_it_back():
    square = PICTURES["sample"][:360, :360]
    quarter = OPERATIONS["rotate"].step(angle=90)
    assert np.array_equal(operations.apply(square, [quarter]), np.rot90(square))
    assert np.array_equal(operations.apply(square, [quarter] * 4), square)


@pytest.mark.parametrize("angle", [-135, -90, 20, 45, 90, 180])
def test_a_shrunk_rotation_keeps_the_whole_picture(angle):
    """The white corners of a black picture are still in it after the rotation."""
    picture = np.zeros((60, 120), np.uint8)
    for y in (slice(0, 12), slice(-12, None)):
        for x in (slice(0, 12), slice(-12, None)):
            picture[y, x] = 255
    kept = operations.apply(picture, [OPERATIONS["rotate"].step(angle=angle, fit="shrink", rim="black")])
    assert cv2.connectedComponents((kept > 100).astype(np.uint8))[0] - 1 == 4


# ---- What an address says ----


@settings(deadline=None)
@given(steps=CHAINS)
def test_an_address_is_read_back_as_it_was_written(steps):
    pairs = parse_qsl(urlencode(operations.written(steps), doseq=True), keep_blank_values=True)
    names = [value for key, value in pairs if key == "step"]
    assert operations.read(names, dict(pairs)) == (steps, [])


def test_what_is_not_given_has_its_default():
    assert operations.read(["canny"], {"1.low": "7"}) == ([OPERATIONS["canny"].step(low=7)], [])


@pytest.mark.parametrize(
    "name, key, text, said",
    [
        ("canny", "1.low", "-1", "a whole number from 0 to 50000 is accepted. Received: '-1'"),
        ("canny", "1.low", "NaN", "from 0 to 50000 is accepted. Received: 'NaN'"),
        ("canny", "1.high", "9" * 400, "from 0 to 50000 is accepted. Received: '" + "9" * 39 + "…'"),
        ("canny", "1.high", "1e3", "Received: '1e3'"),
        ("canny", "1.high", "", "Received: ''"),
        ("canny", "1.high", "١٢", "Received: '١٢'"),
        ("canny", "1.high", "inf", "Received: 'inf'"),
        ("canny", "1.high", "5_0", "Received: '5_0'"),
        ("canny", "1.aperture", "4", "one of 3, 5, 7 is accepted. Received: '4'"),
        ("adaptive", "1.block", "10", "an odd number from 3 to 255 is accepted. Received: '10'"),
        ("adaptive", "1.block", "257", "an odd number from 3 to 255 is accepted. Received: '257'"),
        ("adaptive", "1.around", "<script>", "one of mean, gaussian is accepted. Received: '<script>'"),
        ("rotate", "1.angle", "181", "from -180 to 180 is accepted. Received: '181'"),
        ("rotate", "1.speed", "2", "Rotation has no setting 'speed'. It has: angle, fit, rim."),
        ("flip", "1.angle", "2", "Horizontal flip has no settings. Received: 'angle'."),
        ("flip", "2.angle", "2", "There is no step number 2 to set 'angle' of."),
        ("blur", "1.size", "2", "There is no step 'blur'. Accepted are: canny, binary,"),
        ("__class__", "1.x", "2", "There is no step '__class__'."),
        ("can\0ny\u202e", "1.x", "2", r"There is no step 'can\x00ny\u202e'."),
    ],
)
def test_an_invalid_value_is_reported_and_ignored(name, key, text, said):
    steps, (problem,) = operations.read([name], {key: text})
    assert said in str(problem)
    assert steps == ([OPERATIONS[name].step()] if name in OPERATIONS else [])


def test_a_thousand_steps_are_too_many():
    steps, (problem,) = operations.read(["flip"] * 1000, {f"{n}.low": "1" for n in range(7, 1000)})
    assert steps == [OPERATIONS["flip"].step()] * operations.MOST_STEPS
    assert str(problem) == "At most 6 steps can follow each other. Received: 1000."


def test_other_fields_are_not_ours():
    assert operations.read(["flip", ""], {"step": "flip", "utm_source": "x", "1": "y", "x.low": "2"}) == (
        [OPERATIONS["flip"].step()],
        [],
    )


@settings(deadline=None)
@given(
    names=st.lists(st.text(max_size=9) | st.sampled_from(list(OPERATIONS))),
    texts=st.dictionaries(st.text(max_size=9) | st.sampled_from(["1.low", "2.angle", "1.block"]), st.text()),
)
def test_any_address_is_read_without_an_error(names, texts):
    steps, problems = operations.read(names, texts)
    assert len(steps) <= operations.MOST_STEPS
    assert all(str(problem) for problem in problems)
    operations.apply(PICTURES["16:1"], steps)


# ---- Pictures in and out ----


@pytest.mark.parametrize(
    "size, expected",
    [((4000, 3000), (384, 512, 3)), ((1, 1), (1, 1, 3)), ((300, 200), (200, 300, 3)), ((3000, 2), (1, 512, 3))],
)
def test_the_lab_works_on_a_small_copy(size, expected):
    picture = operations.working(Image.new("RGB", size, (1, 2, 3)))
    assert picture.shape == expected
    assert picture.dtype == np.uint8
    assert picture[0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("picture", PICTURES.values(), ids=list(PICTURES))
def test_a_png_holds_every_pixel(picture):
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(operations.png(picture)))), picture)
    assert operations.image(picture).mode == "RGB"
    assert operations.image(picture).size == picture.shape[1::-1]


@pytest.mark.parametrize("most, kind", [(10**6, "jpeg"), (90_000, "jpeg")])
def test_a_data_url_is_bounded(most, kind):
    noise = NOISE.integers(0, 256, (operations.SIDE, operations.SIDE, 3), np.uint8)
    url = operations.data_url(cv2.GaussianBlur(noise, (0, 0), 1), most)
    assert url.startswith(f"data:image/{kind};base64,")
    assert len(url) * 3 // 4 < most + 64


def test_plain_pictures_are_shown_to_the_pixel():
    assert operations.data_url(operations.sample(), 10**6).startswith("data:image/png;")


def test_a_histogram_counts_all_pixels():
    found = operations.histogram(np.array([[0, 0, 255, 100]], np.uint8))
    assert len(found.shares) == operations.BINS
    assert sum(found.shares) == pytest.approx(1)
    assert (found.shares[0], found.shares[25], found.shares[63]) == (0.5, 0.25, 0.25)
    assert (found.mean, found.black, found.white) == (88.75, 0.5, 0.25)
