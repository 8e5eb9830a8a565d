"""Decodes a picture in this process, within limits of pixels and frames."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from PIL import Image, ImageFile

from inkling.pictures.color import upright_rgb
from inkling.pictures.profiles import is_srgb, of_boxes
from inkling.problems import Problem

ImageFile.LOAD_TRUNCATED_IMAGES = False
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # one log line for each broken EXIF value
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)

END = b"\xff\xd9"  # of a JPEG
RESTART = re.compile(rb"\xff[\xd0-\xd7]")  # markers in a JPEG's pixels, which count to 8


class Job(NamedTuple):
    """How to decode a file, and the limits. It is sent to a decoder process as JSON.

    Attributes:
        format: Pillow's name of the file's format; no other one is tried.
        frames: number of frames that the container announces; None if decoding has to count them.
        at_least: pixels; a large picture may be decoded smaller, with its longer side at least this long.
        cpu_seconds: processor time that a decoder process may use.
        wall_seconds: seconds after which a decoder process must have answered.
        max_pixels: largest accepted width times height.
        max_frames: largest accepted number of frames.
        ended: whether the file has the mark of its end; a JPEG without one is accepted if it has all of its pixels.
    """

    format: str
    frames: int | None
    at_least: int
    cpu_seconds: float
    wall_seconds: float
    max_pixels: int
    max_frames: int
    ended: bool = True


def decode(data: bytes | memoryview, job: Job) -> Image.Image:
    """Decodes the first frame of a file in this process.

    Returns:
        An upright RGB picture without metadata.

    Raises:
        Problem: "too-many-pixels", "animated-too-long", "too-large" if memory runs out, or "truncated" if the file is
            damaged.
    """
    with decoder_errors(job.format, job.max_pixels):
        if job.ended:
            return _decode(data, job)
        image, *others = (_decode(bytes(data) + more + END, job) for more in _endings(data))
        if any(other.tobytes() != image.tobytes() for other in others):
            raise ValueError("pixels are missing")
        return image


def _endings(data: bytes | memoryview) -> list[bytes]:
    """Bytes that a JPEG's decoder takes for pixels if some are missing, and skips if none are.

    After the first, which is empty, the decoder takes zeros, so the second begins with ones. A file that was cut
    between two restart markers goes on with the next, and one that was cut within FF 00 with the latter.
    """
    rest = b"\0" if bytes(data[-1:]) == b"\xff" else b""
    restarts = RESTART.findall(data)
    restart = b"\xff" + bytes([0xD0 | (restarts[-1][1] + 1) % 8]) if restarts else b""
    return [b"", *(rest + junk + restart + junk for junk in (bytes(range(254, 127, -1)), b"\xaa" * 128))]


def _decode(data: bytes | memoryview, job: Job) -> Image.Image:
    file = _WholeFile(bytes(data) + b";") if job.format == "GIF" else io.BytesIO(data)
    with Image.open(file, formats=[job.format]) as image:
        _check_pixels(image.size, job)
        _check_frames(getattr(image, "n_frames", 1) if job.frames is None else job.frames, job)
        if job.format == "JPEG":
            image.draft(None, _draft_size(image.size, job.at_least))
        image.load()
        _check_pixels(image.size, job)  # again: some decoders learn the size only now
        return upright_rgb(image, job.at_least, _profile(image, data))


def _profile(image: Image.Image, data: bytes | memoryview) -> bytes | None:
    """The ICC profile of an open file's colors; None for sRGB."""
    profile = image.info.get("icc_profile")
    if profile:
        return None if is_srgb(profile) else profile
    return of_boxes(data) if image.format in ("AVIF", "HEIF") else None


class _WholeFile(io.BytesIO):
    """A file that raises an error at its end, where Pillow's GIF parser takes a cut file for a complete one.

    One that only lacks its trailer is complete; so `_decode` appends one, which no parser of a whole file reaches.
    """

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if size and not data:
            raise ValueError("the file ends early")
        return data


@contextmanager
def decoder_errors(format: str, max_pixels: int) -> Iterator[None]:
    """Translates whatever a parser or decoder raises into `Problem`."""
    try:
        yield
    except Problem:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        received = str(error).partition("(")[2].partition(")")[0]  # Pillow's message has "(123 pixels)"
        raise _too_many_pixels(received, max_pixels) from error
    except MemoryError as error:
        raise too_costly(format) from error
    except Exception as error:  # hostile bytes make decoders raise errors of every type
        if str(error).startswith(f"Unsupported {format}"):  # Pillow, of a kind of BMP
            raise Problem("unsupported", f"Inkling does not read this file. {error}.", f"unusual {format}") from error
        raise Problem(
            "truncated", f"The {format} file is incomplete or damaged. Send a complete copy.", format
        ) from error


def too_costly(format: str) -> Problem:
    """The refusal of a file that takes more processor time or memory to decode than one picture may take."""
    return Problem(
        "too-large",
        "Decoding this picture takes more time or memory than one picture may take. "
        f"Send a smaller one, or save it as JPEG. Received: {format}",
        format,
    )


def _too_many_pixels(received: str, most: int) -> Problem:
    return Problem(
        "too-many-pixels",
        f"A picture may have at most {most} pixels, width times height. Received: {received}",
        received,
    )


def _check_pixels(size: tuple[int, int], job: Job) -> None:
    width, height = size
    if width * height > job.max_pixels:
        raise _too_many_pixels(f"{width} x {height}", job.max_pixels)


def _check_frames(frames: int, job: Job) -> None:
    if frames > job.max_frames:
        raise Problem(
            "animated-too-long",
            f"An animation may have at most {job.max_frames} frames. Received: {frames} or more",
            f"{frames} or more frames",
        )


def _draft_size(size: tuple[int, int], at_least: int) -> tuple[int, int]:
    """The size to ask libjpeg for: its scaled decoding is faster, and never goes below this."""
    longest = max(size)
    width, height = (max(1, -(-side * at_least // longest)) for side in size)
    return width, height
