"""The rules of the trust boundary, checked with real files that the tests create."""

import base64
import os
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st
from PIL import Image

from inkling import problems
from inkling.config import Settings
from inkling.pictures import decode, reading
from inkling.pictures.budget import Budget
from inkling.pictures.formats import EXTENSIONS, PICTURE_EXTENSIONS
from tests.hostile.build import GIF_FRAME, chunk, encode, gif, png
from tests.support.pictures import READ_NAMES, REFUSED_NAMES

pytestmark = pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")

SETTINGS = Settings.from_env({})
SECONDS = 60  # for each picture; generous, because the machine may be busy
SMALL = SETTINGS.replace(max_bytes=200_000, max_pixels=40_000, max_frames=5)
SAVERS = {
    "jpg": "JPEG",
    "jpeg": "MPO",
    "png": "PNG",
    "webp": "WEBP",
    "gif": "GIF",
    "bmp": "BMP",
    "heic": "HEIF",
    "heif": "HEIF",
    "avif": "AVIF",
}
KINDS = {**SAVERS, "jpeg": "JPEG"}
CANVAS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


def scene(width=120, height=80):
    """A picture that looks different after every turn or flip: red left of blue, brighter at the top."""
    x, y = np.arange(width) < width // 2, np.arange(height)[:, None] * 90 // height
    channels = [(220 - y) * x, 90 - y + 0 * x, (220 - y) * ~x]
    return Image.fromarray(np.stack(channels, axis=-1).astype("uint8"))


@pytest.fixture(scope="module")
def files():
    return {extension: encode(scene(), kind) for extension, kind in SAVERS.items()}


def close(image, expected, tolerance=16):
    difference = np.abs(np.asarray(image, int) - np.asarray(expected.convert("RGB"), int))
    return image.size == expected.size and difference.mean() < tolerance


def rejected(call, *arguments, **options):
    with pytest.raises(problems.Problem) as caught:
        call(*arguments, **options)
    safe(caught.value)
    return caught.value


def safe(refusal):
    """Asserts that the reason is known and that everything to be shown is short and printable."""
    assert refusal.reason in problems.REASONS
    assert len(refusal.received) <= 40
    assert len(refusal.message) < 400
    assert (refusal.received + refusal.message).isprintable()
    assert str(refusal) == refusal.message


def reason(call, *arguments, **options):
    return rejected(call, *arguments, **options).reason


def read(data, name="a.png", settings=SETTINGS, **options):
    return reading.read_file(data, name, settings, Budget(SECONDS), **options)


def url(data, media_type="image/png"):
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


# ---- Accepted files ----


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_format_is_read(files, extension):
    image = read(files[extension], f"photo.{extension}")
    assert type(image) is Image.Image
    assert image.mode == "RGB"
    assert close(image, scene())


def test_extension_may_be_upper_case(files):
    assert read(files["jpg"], "PHOTO.JpG").size == (120, 80)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd.png",
        "C:\\fakepath\\me.png",
        "a\x00b\n\x1b[31m.png",
        "\u202egnp.png",
        "x" * 4096 + ".png",
        ".png",
        "\ud800.png",
        "two.dots.png",
    ],
)
def test_only_the_extension_of_a_name_counts(files, name):
    assert read(files["png"], name).size == (120, 80)
    refusal = rejected(read, files["png"], name + ".\u202e\x07x" * 2000)
    assert refusal.reason == "extension"


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_thin_pictures_pass(extension, size):
    data = encode(Image.new("RGB", size, "white"), SAVERS[extension])
    assert read(data, f"a.{extension}").size == size


@pytest.mark.parametrize(
    ("mode", "color", "kind", "options", "expected"),
    [
        ("RGBA", (255, 0, 0, 128), "PNG", {}, (255, 127, 127)),
        ("RGBA", (0, 0, 0, 0), "PNG", {}, (255, 255, 255)),
        ("RGBA", (200, 30, 90, 255), "PNG", {}, (200, 30, 90)),
        ("LA", (77, 255), "PNG", {}, (77, 77, 77)),
        ("RGBA", (255, 0, 0, 128), "WEBP", {"lossless": True}, (255, 127, 127)),
        ("RGBA", (255, 0, 0, 128), "AVIF", {}, (255, 127, 127)),
        ("RGBA", (255, 0, 0, 128), "HEIF", {}, (255, 127, 127)),
        ("LA", (0, 128), "PNG", {}, (127, 127, 127)),
        ("L", 9, "PNG", {}, (9, 9, 9)),
        ("L", 9, "PNG", {"transparency": 9}, (255, 255, 255)),
        ("RGB", (1, 2, 3), "PNG", {"transparency": (1, 2, 3)}, (255, 255, 255)),
        ("P", 0, "PNG", {}, (0, 0, 0)),
        ("P", 0, "PNG", {"transparency": 0}, (255, 255, 255)),
        ("P", 0, "GIF", {"transparency": 0}, (255, 255, 255)),
        ("1", 1, "PNG", {}, (255, 255, 255)),
        ("1", 1, "BMP", {}, (255, 255, 255)),
        ("I;16", 0x8040, "PNG", {}, (128, 128, 128)),
        ("I;16", 0x00FF, "PNG", {}, (0, 0, 0)),
        ("CMYK", (255, 0, 0, 0), "JPEG", {}, (0, 255, 255)),
        ("L", 200, "JPEG", {}, (200, 200, 200)),
    ],
)
def test_every_mode_becomes_rgb_on_white(mode, color, kind, options, expected):
    extension = next(name for name in SAVERS if SAVERS[name] == kind)
    image = read(encode(Image.new(mode, (64, 64), color), kind, **options), f"a.{extension}")
    assert image.mode == "RGB"
    assert np.abs(np.subtract(image.getpixel((32, 32)), expected)).max() <= 3


def test_sixteen_bits_keep_their_order():
    ramp = Image.fromarray(np.arange(256, dtype="uint16")[None] * 257)
    assert np.array_equal(np.asarray(read(encode(ramp, "PNG")))[0, :, 0], np.arange(256))


# ---- Metadata ----


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "avif", "heic"])
def test_orientation_is_applied(extension, turn):
    undo = {
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
    }
    stored = scene().transpose(undo[turn]) if turn > 1 else scene()
    exif = Image.Exif()
    exif[0x0112] = turn
    image = read(encode(stored, SAVERS[extension], exif=exif.tobytes()), f"a.{extension}")
    assert close(image, scene())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0" + b"\xff" * 200,
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x01abcd",
    ],
)
@pytest.mark.parametrize("extension", ["jpg", "png", "webp"])
def test_broken_exif_is_ignored(extension, exif):
    assert close(read(encode(scene(), SAVERS[extension], exif=exif), f"a.{extension}"), scene())


@pytest.mark.parametrize("extension", ["jpg", "jpeg", "png", "webp", "avif", "heic"])
def test_metadata_is_dropped(extension):
    exif = Image.Exif()
    exif[0x010F] = "SECRETMAKER"
    exif.get_ifd(0x8825)[1] = "N"
    image = read(encode(scene(), SAVERS[extension], exif=exif.tobytes()), f"a.{extension}")
    assert image.info == {}
    assert not image.getexif()
    assert b"SECRET" not in encode(image, "PNG")
    assert b"SECRET" not in encode(image, "JPEG")


def test_result_does_not_depend_on_the_input():
    data = bytearray(encode(scene(), "BMP"))
    image = read(bytes(data), "a.bmp")
    before = image.tobytes()
    image.putpixel((0, 0), (1, 2, 3))
    assert read(bytes(data), "a.bmp").tobytes() == before


def test_tail_after_a_jpeg_is_no_harm(files):
    assert close(read(files["jpg"] + b"phone's trailer \xff\xd8\xff" * 9, "a.jpg"), scene())


# ---- Name and contents ----


@pytest.mark.parametrize("content", ["jpg", "png", "webp", "gif", "bmp", "heic", "avif"])
@pytest.mark.parametrize("name", [*(f"a.{extension}" for extension in PICTURE_EXTENSIONS), *READ_NAMES])
def test_the_bytes_say_what_a_picture_is(files, name, content):
    image = read(files[content], name)
    assert close(image, scene())
    assert image.format == KINDS[content]


@pytest.mark.parametrize("name", REFUSED_NAMES)
def test_names_of_other_files_are_refused(files, name):
    refusal = rejected(read, files["png"], name)
    assert refusal.reason == "extension"
    assert all(extension in refusal.message for extension in EXTENSIONS)


@pytest.mark.parametrize("data", [encode(scene(), "PPM"), encode(scene(), "TGA"), b"<?xml version='1.0'?><html/>"])
def test_all_else_is_no_image(data):
    assert reason(read, data) == "not-an-image"


@pytest.mark.parametrize(
    ("data", "name", "expected"),
    [(None, "a.png", "missing"), (b"x", None, "missing"), (b"x", "", "missing"), (b"", "a.png", "empty")],
)
def test_nothing_sent(data, name, expected):
    assert reason(read, data, name) == expected


# ---- Limits ----


def test_size_limit_from_both_sides(files):
    exact = SETTINGS.replace(max_bytes=len(files["bmp"]))
    assert read(files["bmp"], "a.bmp", exact).size == (120, 80)
    refusal = rejected(read, files["bmp"], "a.bmp", exact.replace(max_bytes=exact.max_bytes - 1))
    assert refusal.reason == "too-large"
    assert str(len(files["bmp"])) in refusal.message


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_pixel_limit_from_both_sides(files, extension):
    exact = SETTINGS.replace(max_pixels=120 * 80)
    assert read(files[extension], f"a.{extension}", exact).size == (120, 80)
    for less in (1, 5000, 9000):
        settings = exact.replace(max_pixels=exact.max_pixels - less)
        assert reason(read, files[extension], f"a.{extension}", settings) == "too-many-pixels"


def test_pixels_are_counted_before_decoding():
    """The refusal comes from our own count, not from Pillow's warning. Decoding would call this file incomplete."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert reason(read, png(7072, 7072, chunk(b"IDAT"))) == "too-many-pixels"


def test_pillow_may_open_one_format_only(files, monkeypatch):
    asked, real = [], Image.open
    monkeypatch.setattr(Image, "open", lambda *given, **named: asked.append(named) or real(*given, **named))
    for extension, data in files.items():
        decode.decode(data, decode.Job(KINDS[extension], None, 1024, 1, 1, SETTINGS.max_pixels, SETTINGS.max_frames))
        assert asked.pop() == {"formats": [KINDS[extension]]}


def test_first_frame_keeps_its_own_transparency():
    see_through, opaque = b"!\xf9\x04\x01\0\0\0\0", b"!\xf9\x04\0\0\0\0\0"
    assert read(gif(see_through, GIF_FRAME, opaque, GIF_FRAME), "a.gif").getpixel((0, 0)) == (255, 255, 255)
    assert read(gif(opaque, GIF_FRAME, see_through, GIF_FRAME), "a.gif").getpixel((0, 0)) == (0, 0, 0)


@pytest.mark.parametrize("extension", ["gif", "webp", "png", "avif"])
def test_frame_limit_from_both_sides(extension):
    frames = [Image.new("RGB", (64, 64), (255 - 40 * at, 40 * at, 0)) for at in range(6)]

    def animation(count):
        return encode(frames[0], SAVERS[extension], save_all=True, append_images=frames[1:count], duration=40)

    image = read(animation(5), f"a.{extension}", SMALL)
    assert np.abs(np.subtract(image.getpixel((32, 32)), (255, 0, 0))).max() < 12, "the first frame is read"
    refusal = rejected(read, animation(6), f"a.{extension}", SMALL)
    assert refusal.reason == "animated-too-long"
    assert "5 frames" in refusal.message


# ---- Incomplete and damaged files ----


# Format -> bytes at a file's end without which all pixels are there.
SPARE = {"JPEG": 2, "MPO": 2, "PNG": 12, "GIF": 1}


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_files_without_their_last_pixels_are_refused(files, extension):
    data, spare = files[extension], SPARE.get(SAVERS[extension], 0)
    if SAVERS[extension] == "MPO":
        data = files["jpg"]  # what follows the first picture of an MPO does not matter
    for few in range(1, spare + 1):
        assert close(read(data[:-few], f"a.{extension}"), scene()), few
    for few in range(spare + 1, spare + 13):
        assert reason(read, data[:-few], f"a.{extension}") == "truncated", few


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_blocks": 4}, {"optimize": True}], ids=str)
def test_cut_large_jpegs_are_refused(options):
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), "uint8")
    data = encode(Image.fromarray(noise).resize((2400, 2400), Image.Resampling.NEAREST), "JPEG", **options)
    assert read(data, "a.jpg", at_least=300).size == (300, 300)
    for tenth in range(1, 10):
        assert reason(read, data[: len(data) * tenth // 10], "a.jpg", at_least=300) == "truncated"


# ---- Large JPEGs ----


@pytest.mark.parametrize(
    ("size", "at_least", "expected"),
    [
        ((2400, 1600), 300, (300, 200)),
        ((2400, 1600), 301, (600, 400)),
        ((1600, 2400), 1024, (800, 1200)),
        ((2400, 1600), 1201, (2400, 1600)),
        ((200, 100), 1024, (200, 100)),
        ((1, 4000), 100, (1, 4000)),
    ],
)
def test_large_jpegs_are_read_smaller(size, at_least, expected):
    data = encode(scene(*size), "JPEG")
    image = read(data, "a.jpg", at_least=at_least)
    assert image.size == expected
    assert max(image.size) >= min(at_least, max(size))
    if size[0] > 1:
        assert close(image, scene(*expected))


# ---- Data URLs and base64 ----


@pytest.mark.parametrize("media_type", CANVAS)
def test_data_urls_are_read(files, media_type):
    text = url(files[CANVAS[media_type]], media_type)
    assert close(reading.read_data_url(text, SETTINGS, Budget(SECONDS)), scene())
    assert close(reading.read_base64(text, SETTINGS, Budget(SECONDS)), scene())


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_base64_is_read_in_every_format(files, extension):
    assert close(reading.read_base64(base64.b64encode(files[extension]).decode(), SETTINGS, Budget(SECONDS)), scene())
    assert close(reading.read_base64(url(files[extension], f"image/{extension}"), SETTINGS, Budget(SECONDS)), scene())


@pytest.mark.parametrize("call", [reading.read_data_url, reading.read_base64])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "missing"),
        ("", "missing"),
        ("data:,", "empty"),
        ("data:image/png;base64,", "empty"),
        ("data:image/png", "not-an-image"),
        ("data:image/png;base64", "not-an-image"),
        ("data:image/png,iVBO", "not-an-image"),
        ("data:image/png;base64;x,iVBO", "not-an-image"),
        ("data:text/html;base64,PGI+", "not-an-image"),
        ("data:image/svg+xml;base64,PGI+", "not-an-image"),
        ("data:image/png;base64,iVBOR", "not-an-image"),
        ("data:image/png;base64,iV BO", "not-an-image"),
        ("data:image/png;base64,iVBO\n", "not-an-image"),
        ("data:image/png;base64,iV-_", "not-an-image"),
        ("data:image/png;base64,éééé", "not-an-image"),
        ("data:image/png;base64,====", "not-an-image"),
        ("data:image/png;base64,AAAA", "not-an-image"),
        ("http://example.org/a.png", "not-an-image"),
        ("\x00\x1b[31m\u202e" * 999, "not-an-image"),
        ("\ud800", "not-an-image"),
        (7, "not-an-image"),
        (["data:,"], "not-an-image"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_bad_texts_are_refused(call, text, expected):
    assert reason(call, text, SETTINGS, Budget(SECONDS)) == expected


@pytest.mark.parametrize("call", [reading.read_data_url, reading.read_base64])
def test_the_bytes_count_and_not_the_declared_type(files, call):
    image = call(url(files["jpg"], "image/png"), SETTINGS, Budget(SECONDS))
    assert image.format == "JPEG"
    assert close(image, scene())


@pytest.mark.parametrize("extension", ["gif", "bmp", "heic", "avif"])
def test_a_drawing_is_png_jpeg_or_webp(files, extension):
    text = url(files[extension], f"image/{extension}")
    assert reason(reading.read_data_url, text, SETTINGS, Budget(SECONDS)) == "not-an-image"


@pytest.mark.parametrize("extra", [0, 1, 2])
def test_size_limit_counts_decoded_bytes(extra):
    data = png(2, 1, chunk(b"IDAT", zlib.compress(b"\0\0\0"))) + bytes(3000 + extra)
    exact = SETTINGS.replace(max_bytes=len(data))
    assert reading.read_data_url(url(data), exact, Budget(SECONDS)).size == (2, 1)
    assert (
        reason(reading.read_data_url, url(data), exact.replace(max_bytes=len(data) - 1), Budget(SECONDS)) == "too-large"
    )


def test_a_huge_text_is_refused_before_it_is_decoded():
    text = "!" * (2 * SETTINGS.max_bytes)
    assert reason(reading.read_base64, text, SETTINGS, Budget(SECONDS)) == "too-large"


# ---- Reasons ----


def test_reasons_have_the_promised_codes():
    assert {code: entry.status for code, entry in problems.REASONS.items()} == {
        "missing": 400,
        "empty": 400,
        "extension": 415,
        "not-an-image": 415,
        "unsupported": 415,
        "too-large": 413,
        "too-many": 413,
        "too-many-pixels": 413,
        "truncated": 422,
        "animated-too-long": 422,
        "blank": 422,
        "strokes": 422,
        "zip": 422,
        "zip-too-large": 413,
        "path": 422,
        "unknown-model": 404,
        "model-unavailable": 503,
        "unknown-classifier": 404,
        "unknown-label": 404,
        "unknown-example": 404,
        "unknown-version": 404,
        "unknown-change": 404,
        "not-trained": 409,
        "duplicate": 409,
        "label-taken": 409,
        "bad-name": 422,
        "too-many-classifiers": 409,
        "too-many-examples": 409,
        "teaching-full": 409,
        "too-many-sources": 409,
        "webhook-address": 422,
        "busy": 503,
        "late": 503,
        "rate-limited": 429,
        "chat-quota": 429,
        "chat-away": 502,
        "chat-late": 504,
        "chat-limited": 502,
        "chat-blind": 502,
        "chat-refused": 502,
        "chat-failed": 502,
        "chat-garbled": 502,
        "chat-empty": 502,
    }


@pytest.mark.parametrize("code", problems.REASONS)
def test_advice_is_a_sentence_with_its_limits(code):
    text = problems.advice(code, SETTINGS)
    assert text.endswith(".")
    assert "{" not in text
    assert problems.REASONS[code].title
    limits = {
        "too-large": "16 MB",
        "too-many": "20 pictures",
        "too-many-pixels": "50 megapixels",
        "animated-too-long": "1000 frames",
        "extension": "jpg, jpeg, png, webp, gif, bmp, heic, heif or avif",
    }
    assert limits.get(code, "") in text


@pytest.mark.parametrize("text", ["", "a.png", "x" * 41, "\x00\x1b\u202e\u2028" * 99, "\ud800", "字" * 99])
def test_received_is_short_and_printable(text):
    received = problems.Problem("extension", "no", text).received
    assert len(received) <= 40
    assert received.isprintable()
    assert received == text or len(text) > 40 or not text.isprintable()


# ---- Properties ----


def holds(call, *arguments):
    """Asserts that a call returns an RGB picture or raises a known reason, and nothing else."""
    image = refusal = None
    try:
        image = call(*arguments, SMALL, Budget(SECONDS))
    except problems.Problem as error:
        refusal = error
    if refusal is None:
        assert image.mode == "RGB"
        assert image.info == {}
        assert len(image.tobytes()) == image.width * image.height * 3 <= SMALL.max_pixels * 3
    else:
        safe(refusal)


EXAMPLES = budget(
    max_examples=int(os.environ.get("INTAKE_EXAMPLES", 60)),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
MAGIC = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"BM",
    b"RIFF\x40\0\0\0WEBPVP8 ",
    b"\0\0\0\x18ftypavif\0\0\0\0mif1avif",
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
]
NAMES = st.one_of(st.text(max_size=30), st.sampled_from([f"a.{extension}" for extension in EXTENSIONS]))


@EXAMPLES
@given(st.sampled_from(MAGIC), st.binary(max_size=300), NAMES)
def test_any_bytes_with_any_name(magic, tail, name):
    holds(reading.read_file, magic + tail, name)
    holds(reading.read_base64, base64.b64encode(magic + tail).decode())


@EXAMPLES
@given(st.one_of(st.text(max_size=80), st.text(max_size=80).map("data:image/png;base64,".__add__)))
def test_any_text(text):
    holds(reading.read_data_url, text)
    holds(reading.read_base64, text)


@pytest.mark.parametrize("extension", EXTENSIONS)
@EXAMPLES
@given(data=st.data())
def test_mutated_files(files, extension, data):
    content = bytearray(files[extension])
    # Half of the changed bytes are in the first 200 bytes, where a file's structure is.
    places = st.one_of(st.integers(0, min(200, len(content)) - 1), st.integers(0, len(content) - 1))
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=6)):
        content[place] = value
    start, end = sorted(data.draw(st.tuples(places, places)))
    match data.draw(st.sampled_from(["keep", "cut", "drop", "repeat"])):
        case "cut":
            del content[end:]
        case "drop":
            del content[start:end]
        case "repeat":
            content[end:end] = content[start:end]
    holds(reading.read_file, bytes(content), f"a.{extension}")
