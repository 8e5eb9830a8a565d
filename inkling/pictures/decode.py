"""Decodes a picture in this process, within limits of pixels and frames."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from PIL import Image, ImageFile

from inkling.pictures.color import upright_rgb
from inkling.problems import Problem

ImageFile.LOAD_TRUNCATED_IMAGES = False
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # one log line for each broken EXIF value
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)


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
    """

    format: str
    frames: int | None
    at_least: int
    cpu_seconds: float
    wall_seconds: float
    max_pixels: int
    max_frames: int


def decode(data: bytes | memoryview, job: Job) -> Image.Image:
    """Decodes the first frame of a file in this process.

    Returns:
        An upright RGB picture without metadata.

    Raises:
        Problem: "too-many-pixels", "animated-too-long", "too-large" if memory runs out, or "truncated" if the file is
            damaged.
    """
    file = _WholeFile(data) if job.format == "GIF" else io.BytesIO(data)
    with decoder_errors(job.format, job.max_pixels), Image.open(file, formats=[job.format]) as image:
        _check_pixels(image.size, job)
        _check_frames(getattr(image, "n_frames", 1) if job.frames is None else job.frames, job)
        if job.format == "JPEG":
            image.draft(None, _draft_size(image.size, job.at_least))
        image.load()
        _check_pixels(image.size, job)  # again: some decoders learn the size only now
        return upright_rgb(image, job.at_least)


class _WholeFile(io.BytesIO):
    """A file that raises an error at its end, where Pillow's GIF parser takes a cut file for a complete one."""

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
