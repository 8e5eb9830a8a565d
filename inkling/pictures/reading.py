"""The trust boundary: bytes or a data URL in, an upright RGB picture without metadata out, or `Problem`."""

import base64
import io
import re
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

from PIL import Image, ImageFile

from inkling.config import EXTENSIONS, Settings
from inkling.pictures import sandbox
from inkling.problems import REASONS, Problem, megabytes, shorten

ImageFile.LOAD_TRUNCATED_IMAGES = False
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # a line of the log for each broken value
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

CHUNKS = 2**16  # of a PNG, or segments of a JPEG: encoders stay far below, each costs time in Python
TABLES = 2**12  # bytes of a JPEG's quantisation, which Pillow reads in Python; encoders write below 600
EXIF_BYTES = 2**16  # of a PNG, as a JPEG can have; each of its values is an object in Python
SCANS = 50  # of a progressive JPEG: encoders write about ten, each is a pass over all pixels
RLE_BYTES = 2**20  # of a run-length coded BMP, which Pillow decodes in Python
LARGE = 2**22  # pixels beyond which a picture is no longer decoded in this process, and read smaller
ANSWERING = 0.5  # seconds that a request needs after the last of several pictures, to answer and keep them
BAND = 64  # lines of a picture that are made smaller together

FORMATS = {"jpg": "JPEG", "heic": "HEIF", "heif": "HEIF"}
MEDIA_TYPES = {f"image/{name}": FORMATS.get(name, name.upper()) for name in EXTENSIONS}
KINDS = sorted(set(MEDIA_TYPES.values()))
CANVAS_TYPES = {name: MEDIA_TYPES[name] for name in ("image/png", "image/jpeg", "image/webp")}
BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class Still(NamedTuple):
    """A file without all that decoding its still picture does not need.

    Attributes:
        frames: as many as the file has, as far as they were counted.
        plain: whether decoding it takes so little that it may be done in this process.
    """

    data: bytes
    frames: int = 1
    plain: bool = False


class Job(NamedTuple):
    """What to decode bytes as, and the limits; it goes to a helper process as JSON.

    Attributes:
        frames: as `Still` has them; None where decoding is to count them.
        seconds: of the processor, that a helper may take.
        clock: seconds after which it must have answered.
    """

    kind: str
    frames: int | None
    at_least: int
    seconds: float
    clock: float
    max_pixels: int
    max_frames: int


class TooCostly(Problem):
    """Decoding takes more time or memory than it may."""

    def __init__(self, kind: str):
        super().__init__(
            "too-large",
            "Decoding this picture takes more time or memory than one may take; a smaller "
            f"one is needed, or one saved as JPEG. Received: {kind}",
            kind,
        )


class Deadline:
    """The time that a request has, from now on, to wait for its turn and have its pictures decoded.

    A request's first picture is read after it too, where it is plain, so that no helper decodes it: it takes little.
    """

    def __init__(self, settings: Settings):
        self._settings = settings
        self._end = time.monotonic() + settings.request_seconds
        self._first = True

    @property
    def left(self) -> float:
        """Seconds."""
        return max(0.0, self._end - time.monotonic())

    @contextmanager
    def share(self, instead: bool = False) -> Iterator[Settings]:
        """Around the reading of the next picture: the settings for it.

        Args:
            instead: it takes the place of the first one, which could not be read.

        Raises:
            Problem: "late", where it needed more than was left, or too little was left for one that is not the first.
        """
        left, usual = self.left, self._settings.decode_seconds
        if left < ANSWERING and not (instead or self._first):
            raise _late()
        self._first = False
        try:
            yield self._settings.replace(decode_seconds=min(usual, left), request_seconds=left)
        except TooCostly as error:
            if left >= usual:
                raise
            raise _late() from error


def _late() -> Problem:
    return Problem(
        "late",
        "Waiting, or the pictures before it, took most of the time that one request has. Send it in another one.",
    )


def read_file(data: bytes | None, filename: str | None, settings: Settings, at_least: int = 1024) -> Image.Image:
    """Reads an uploaded file, whose name's extension and bytes must agree.

    Args:
        data: the file's contents.
        filename: the name it came with; only its extension counts.
        settings: holds the limits.
        at_least: a large picture may be read smaller, with a longer side of no less than this.

    Returns:
        An upright RGB picture without metadata.

    Raises:
        Problem: the file is not accepted.
    """
    extension = _extension(None if data is None else filename)
    return _read(data, {MEDIA_TYPES["image/" + extension]}, f"name ends in .{extension}", settings, at_least)


def read_stream(file: BinaryIO | None, filename: str | None, settings: Settings, at_least: int = 1024) -> Image.Image:
    """`read_file` of an open file, which is read into memory only if its name will do and it is not too large."""
    _extension(None if file is None else filename)
    _check_bytes(file.seek(0, io.SEEK_END), settings)
    file.seek(0)
    return read_file(file.read(), filename, settings, at_least)


def read_data_url(text: str | None, settings: Settings, at_least: int = 1024) -> Image.Image:
    """Reads a drawing: `data:image/png;base64,…`, or image/jpeg or image/webp; type and bytes must agree.

    Returns:
        An upright RGB picture without metadata.

    Raises:
        Problem: the text is not accepted.
    """
    return _read_data_url(text, CANVAS_TYPES, settings, at_least)


def read_base64(text: str | None, settings: Settings, at_least: int = 1024) -> Image.Image:
    """Reads bare base64 of a picture in any accepted format, or a data URL whose type and bytes agree.

    Returns:
        An upright RGB picture without metadata.

    Raises:
        Problem: the text is not accepted.
    """
    if isinstance(text, str) and text[:5].lower() == "data:":
        return _read_data_url(text, MEDIA_TYPES, settings, at_least)
    return _read(_decode(text, settings), set(KINDS), "", settings, at_least)


def _extension(filename: str | None) -> str:
    """An accepted extension, in lower case, or `Problem`."""
    if not filename:
        raise Problem("missing", "No file was received. Send one with its name.")
    base = re.split(r"[/\\]", filename)[-1]
    extension = base.rpartition(".")[2].lower() if "." in base else ""
    if extension not in EXTENSIONS:
        raise Problem(
            "extension", f"The name must end in one of {', '.join(EXTENSIONS)}. Received: {shorten(base)}", base
        )
    return extension


def _read_data_url(text: object, types: dict[str, str], settings: Settings, at_least: int) -> Image.Image:
    if not text:
        raise Problem("missing", "No picture was received. Send it as a data URL.")
    head, comma, payload = text.partition(",") if isinstance(text, str) else (repr(text), "", "")
    if comma and head.lower().startswith("data:") and not payload:
        raise Problem("empty", "The data URL holds no bytes after its comma.", head)
    media_type = re.fullmatch(r"data:([a-z/+-]+);base64", head.lower())
    if not comma or media_type is None or media_type[1] not in types:
        raise Problem(
            "not-an-image",
            f"A data URL must begin with data:TYPE;base64, where TYPE is one of "
            f"{', '.join(types)}. Received: {shorten(head)}",
            head,
        )
    declared = media_type[1]
    data = _decode(payload, settings)
    return _read(data, {types[declared]}, f"data URL says {declared}", settings, at_least)


def _decode(text: object, settings: Settings) -> bytes:
    if text is None or text == "":
        raise Problem("missing", "No picture was received. Send it as base64.")
    if not isinstance(text, str):
        raise Problem(
            "not-an-image", f"The picture must be a string. Received: {type(text).__name__}", type(text).__name__
        )
    _check_bytes(len(text) // 4 * 3 - text.count("=", len(text) - 2), settings)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Problem(
            "not-an-image",
            f"The picture must be plain base64 without spaces or line breaks. Received: {shorten(text)}",
            text,
        ) from error


def _read(data: bytes, accepted: set[str], claim: str, settings: Settings, at_least: int) -> Image.Image:
    """Bytes to picture; `claim` says in words where `accepted` comes from."""
    if not data:
        raise Problem("empty", "The file holds no bytes. Send one with a picture in it.", "0 bytes")
    _check_bytes(len(data), settings)
    kind = _sniff(data)
    if kind is None:
        raise Problem(
            "not-an-image", f"The contents are none of {', '.join(KINDS)}. They begin with: {data[:8].hex(' ')}"
        )
    if kind not in accepted:
        raise Problem("mismatch", f"The {claim}, but the contents are {kind}. They must agree.", kind)
    with _reasons(kind, settings.max_pixels):
        still = STILLS[kind](data, settings.max_frames) if kind in STILLS else Still(data, None)
        job = Job(
            kind,
            still.frames,
            at_least,
            settings.decode_seconds,
            settings.request_seconds,
            settings.max_pixels,
            settings.max_frames,
        )
        return decode(still.data, job) if still.plain else _decode_elsewhere(still.data, job, settings)


@contextmanager
def _reasons(kind: str, max_pixels: int) -> Iterator[None]:
    """Makes `Problem` of whatever decoders raise."""
    try:
        yield
    except Problem:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels(re.search(r"\d+ pixels", str(error))[0], max_pixels) from error
    except MemoryError as error:
        raise TooCostly(kind) from error
    except Exception as error:  # decoders raise whatever they like on hostile bytes
        raise _damaged(kind) from error


def decode(data: bytes, job: Job) -> Image.Image:
    """Decodes in this process.

    Returns:
        An upright RGB picture without metadata.

    Raises:
        Problem: it is damaged, or beyond a limit.
    """
    with _reasons(job.kind, job.max_pixels), Image.open(io.BytesIO(data), formats=[job.kind]) as image:
        _check_pixels(image.size, job)
        _check_frames(job.frames or getattr(image, "n_frames", 1), job)
        if job.kind == "JPEG":
            image.draft(None, _draft_size(image.size, job.at_least))
        image.load()
        _check_pixels(image.size, job)
        turn = UPRIGHT.get(_orientation(image))
        result = _small_rgb(image, job.at_least)
        result = result.transpose(turn) if turn is not None else result
        result.info = {}
        return result


def _decode_elsewhere(data: bytes, job: Job, settings: Settings) -> Image.Image:
    """`decode` in a helper process, which may be killed or crash."""
    if not job.seconds:
        raise TooCostly(job.kind)
    try:
        answer, pixels = sandbox.pool(settings.decode_memory).ask(job._asdict(), data)
    except sandbox.Ended as error:
        if error.late:
            raise Problem(
                "late", "There was too much to do to decode this picture in time. Try again in a few seconds."
            ) from error
        raise TooCostly(job.kind) if error.overrun else _damaged(job.kind) from error
    except OSError as error:
        raise Problem("busy", "The machine has no room for another decoder. Try again in a few seconds.") from error
    return picture_of(answer, pixels)


def picture_of(answer: dict, pixels: bytes | memoryview) -> Image.Image:
    """The picture that a helper process has answered.

    Raises:
        Problem: it has answered why not.
        KeyError: for no reason that we know.
    """
    if "rejected" in answer:
        reason, message, received = answer["rejected"]
        if reason not in REASONS:
            raise KeyError(reason)
        raise Problem(reason, message, received)
    return Image.frombytes("RGB", answer["size"], pixels)


def _check_bytes(count: int, settings: Settings) -> None:
    if count > settings.max_bytes:
        raise Problem(
            "too-large",
            f"A picture may have {settings.max_bytes} bytes "
            f"({megabytes(settings.max_bytes)} MB). Received: {count} bytes",
            f"{count} bytes",
        )


def _too_many_pixels(received: str, most: int) -> Problem:
    return Problem(
        "too-many-pixels", f"A picture may have {most} pixels, width times height. Received: {received}", received
    )


def _check_pixels(size: tuple[int, int], job: Job) -> None:
    width, height = size
    if width * height > job.max_pixels:
        raise _too_many_pixels(f"{width} x {height}", job.max_pixels)


def _check_frames(frames: int, job: Job) -> None:
    if frames > job.max_frames:
        raise Problem(
            "animated-too-long",
            f"An animation may have {job.max_frames} frames. Received: {frames} or more",
            f"{frames} or more frames",
        )


def _damaged(kind: str) -> Problem:
    return Problem("truncated", f"The {kind} picture is cut off or damaged; a complete one is needed.", kind)


def _sniff(data: bytes) -> str | None:
    """The format that the first bytes announce, if it is one of ours."""
    for start, kind in (
        (b"\xff\xd8\xff", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"GIF87a", "GIF"),
        (b"GIF89a", "GIF"),
    ):
        if data.startswith(start):
            return kind
    if data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in BMP_HEADERS:
        return "BMP"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] != b"ftyp":
        return None
    box = data[8 : min(int.from_bytes(data[:4], "big"), 256)]
    brands = {box[at : at + 4] for at in range(0, len(box), 4) if at != 4}
    if brands & {b"avif", b"avis"}:
        return "AVIF"
    return "HEIF" if brands & HEIF_BRANDS else None


def _draft_size(size: tuple[int, int], at_least: int) -> tuple[int, int]:
    longest = max(size)
    return tuple(max(1, -(-side * at_least // longest)) for side in size)


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(0x0112, 1)
    except Exception:  # broken EXIF is no reason to refuse a picture
        return 1


def _small_rgb(image: Image.Image, at_least: int) -> Image.Image:
    """The picture in RGB; one beyond `LARGE` smaller, band by band, for a copy of the whole takes much memory."""
    factor = max(image.size) // at_least if image.width * image.height > LARGE else 1
    if factor <= 1:
        return _to_rgb(image)
    small = Image.new("RGB", tuple(-(-side // factor) for side in image.size))
    for line in range(0, small.height, BAND):
        top, bottom = line * factor, min((line + BAND) * factor, image.height)
        small.paste(_to_rgb(image.crop((0, top, image.width, bottom))).reduce(factor), (0, line))
    return small


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "I;16":
        # Pillow's own conversion clips at 255 instead of keeping the high byte.
        return Image.frombytes("L", image.size, image.tobytes()[1::2]).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    layers = image.convert("RGBA")
    opacity = layers.getchannel("A")
    if opacity.getextrema() == (255, 255):  # as a canvas sends it; the paste would take as long as the decoding
        return layers.convert("RGB")
    white = Image.new("RGB", image.size, "white")
    white.paste(layers, mask=opacity)
    return white


def _still_gif(data: bytes, most: int) -> Still:
    """A GIF of the first frame alone; frames are counted up to most + 1.

    Pillow joins comments in quadratic time and takes a file without its end; this does neither.

    Raises:
        Problem: the blocks make no sense or do not reach the end.
        IndexError: the file is cut.
    """
    at = head = 13 + _gif_colours(data[10])
    patience = 4096 + len(data) // 32  # sub-blocks hold 255 bytes; a file full of tiny ones is made to stall
    control = first = b""
    frames = 0
    while data[at] != 0x3B and frames <= most:
        start = at
        if data[at] == 0x2C:
            at += 11 + _gif_colours(data[at + 9])
            frames += 1
        elif data[at] == 0x21:
            at += 2
        elif data[at]:
            raise _damaged("GIF")
        while data[at] and patience:
            at += data[at] + 1
            patience -= 1
        at += 1
        patience -= 1
        if patience < 0:
            raise _damaged("GIF")
        if data[start] == 0x2C:
            first = first or data[start:at]
        elif data[start : start + 2] == b"\x21\xf9" and not first:
            control = data[start:at]
    if not frames:
        raise _damaged("GIF")
    return Still(data[:head] + control + first + b";", frames)


def _gif_colours(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _still_png(data: bytes, most: int) -> Still:
    """A PNG of the still picture alone; frames are as many as it announces.

    Raises:
        Problem: the chunks do not reach the end, or are too many.
    """
    at, frames, has_data, kept = 8, 1, False, [data[:8]]
    for _ in range(CHUNKS):
        name, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data) or (name == b"IHDR") != (at == 8):  # its size must be the one that counts
            break
        has_data = has_data or name == b"IDAT"
        if name in PNG_CHUNKS and not (name == b"eXIf" and end - at > EXIF_BYTES):
            kept.append(data[at:end])
        elif name == b"acTL":
            frames = int.from_bytes(data[at + 8 : at + 12], "big")
        if name == b"IEND" and has_data:
            pixels = int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big")
            return Still(b"".join(kept), frames, pixels <= LARGE)
        at = end
    raise _damaged("PNG")


def _still_jpeg(data: bytes, most: int) -> Still:
    """The first JPEG of the file without comments and makers' segments, which Pillow reads in Python.

    Raises:
        Problem: the markers do not reach the end, or are too many.
    """
    at, exif, frames, scans, tables, plain, kept = 2, False, [], 0, 0, False, [data[:2]]
    for _ in range(CHUNKS):
        marker = JPEG_MARKER.search(data, at)
        if marker is None:
            break
        start, code = marker.start(), data[marker.start() + 1]
        if code == 0xD9:
            return Still(b"".join(kept) + data[at : start + 2], plain=plain and tables <= TABLES)
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        head = not scans
        # A length counts itself, and of other codes decoders read none: they would go on elsewhere than we do.
        if end < start + 4 or (head and code not in JPEG_HEAD):
            break
        tables += (end - start) * (code == 0xDB)
        if code == 0xDA:
            plain = head and frames == [data[start + 4]]  # one scan of all components needs no room for the whole
            scans += 1
        elif code in JPEG_FRAMES:
            plain = False
            frames.append(data[start + 9] if code in JPEG_SEQUENTIAL else None)
        if not head:
            kept.append(data[at:end])
        elif code == 0xE1 and not exif and data[start + 4 : end].startswith(b"Exif\0\0"):
            exif = True
            kept.append(data[start:end])
        elif code not in JPEG_DROPPED:
            kept.append(data[start:end])
        at = end
        if scans > SCANS:
            break
    raise _damaged("JPEG")


def _still_bmp(data: bytes, most: int) -> Still:
    """The file as it is, if it is not run-length coded and large.

    Raises:
        Problem: it is.
    """
    if len(data) > RLE_BYTES and data[14] >= 40 and int.from_bytes(data[30:34], "little") in (1, 2):
        raise Problem(
            "too-large",
            f"A run-length coded BMP may have {RLE_BYTES} bytes; save it as PNG. Received: {len(data)} bytes",
            f"{len(data)} bytes",
        )
    return Still(data)


PNG_CHUNKS = {b"IHDR", b"PLTE", b"tRNS", b"eXIf", b"IDAT", b"IEND"}
JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
JPEG_SEQUENTIAL = {0xC0, 0xC1}  # Huffman codes, in one pass: all cameras
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # each says how a picture is coded, and of what components
JPEG_HEAD = {*range(0xC0, 0xD0), *range(0xDA, 0xDE), *range(0xE0, 0xF0), 0xFE} - {0xC8}  # all that encoders write
JPEG_DROPPED = {*range(0xE1, 0xEE), 0xEF, 0xFE}  # keeps JFIF and Adobe's colour model
STILLS: dict[str, Callable[[bytes, int], Still]] = {
    "GIF": _still_gif,
    "PNG": _still_png,
    "JPEG": _still_jpeg,
    "BMP": _still_bmp,
}
