"""Reads pictures from files, data URLs and base64 into upright RGB without metadata, or raises `Problem`.

The bytes say which format a file has. The picture's `format` tells it.

All functions take the limits from `settings` and the time from `budget`. They decode a large picture at a smaller size,
with its longer side at least `at_least` pixels.
"""

import base64
import io
import re
from collections.abc import Iterable
from typing import IO

from PIL import Image

from inkling.config import Settings
from inkling.pictures import sandbox
from inkling.pictures.budget import Budget
from inkling.pictures.containers import strip
from inkling.pictures.decode import Job, decode, decoder_errors
from inkling.pictures.formats import CANVAS_TYPES, FORMATS, MEDIA_TYPES, check_name, sniff, unread
from inkling.problems import Problem, megabytes, shorten


def read_file(
    data: bytes | None, filename: str | None, settings: Settings, budget: Budget, at_least: int = 1024
) -> Image.Image:
    """The picture in an uploaded file.

    Args:
        data: the file's contents.
        filename: the name it was sent with; it must not be that of another kind of file.

    Raises:
        Problem: the file is refused.
    """
    check_name(None if data is None else filename)
    return _read(data or b"", settings, budget, at_least)


def read_stream(
    file: IO[bytes] | None, filename: str | None, settings: Settings, budget: Budget, at_least: int = 1024
) -> Image.Image:
    """`read_file` for an open file, which is loaded only if its name and its size are accepted."""
    if file is None:
        return read_file(None, filename, settings, budget, at_least)
    check_name(filename)
    _check_bytes(file.seek(0, io.SEEK_END), settings)
    file.seek(0)
    return read_file(file.read(), filename, settings, budget, at_least)


def read_data_url(text: object, settings: Settings, budget: Budget, at_least: int = 1024) -> Image.Image:
    """The picture in the data URL of a drawing: a media type of PNG, JPEG or WebP, and base64.

    Raises:
        Problem: the text is refused.
    """
    return _read_data_url(text, CANVAS_TYPES, settings, budget, at_least)


def read_base64(text: object, settings: Settings, budget: Budget, at_least: int = 1024) -> Image.Image:
    """The picture in plain base64 of any accepted format, or in a data URL.

    Raises:
        Problem: the text is refused.
    """
    if isinstance(text, str) and text[:5].lower() == "data:":
        return _read_data_url(text, MEDIA_TYPES, settings, budget, at_least)
    return _read(_from_base64(text, settings), settings, budget, at_least)


def _read_data_url(
    text: object, types: Iterable[str], settings: Settings, budget: Budget, at_least: int
) -> Image.Image:
    if not text:
        raise Problem("missing", "No picture was received. Send one as a data URL.")
    head, comma, payload = text.partition(",") if isinstance(text, str) else (repr(text), "", "")
    if comma and head.lower().startswith("data:") and not payload:
        raise Problem("empty", "The data URL has no bytes after its comma. Send one with a picture in it.", head)
    declared = re.fullmatch(r"data:([a-z/+-]+);base64", head.lower())
    if not comma or declared is None or declared[1] not in types:
        raise Problem(
            "not-an-image",
            f"A data URL must begin with data:TYPE;base64, where TYPE is one of {', '.join(types)}. "
            f"Received: {shorten(head)}",
            head,
        )
    return _read(_from_base64(payload, settings), settings, budget, at_least)


def _from_base64(text: object, settings: Settings) -> bytes:
    if text is None or text == "":
        raise Problem("missing", "No picture was received. Send one as base64.")
    if not isinstance(text, str):
        received = type(text).__name__
        raise Problem("not-an-image", f"The picture must be a string of base64. Received: {received}", received)
    _check_bytes(len(text) // 4 * 3 - text.count("=", len(text) - 2), settings)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise Problem(
            "not-an-image",
            f"The picture must be base64 without spaces or line breaks. Received: {shorten(text)}",
            text,
        ) from error


def _read(data: bytes, settings: Settings, budget: Budget, at_least: int) -> Image.Image:
    if not data:
        raise Problem("empty", "The file has 0 bytes. Send one with a picture in it.", "0 bytes")
    _check_bytes(len(data), settings)
    format = sniff(data)
    if format is None:
        accepted = f"The contents must be one of {', '.join(FORMATS)}."
        if name := unread(data):
            raise Problem("unsupported", f"{accepted} Received: {name}", name)
        raise Problem("not-an-image", f"{accepted} Received a file that begins with: {data[:8].hex(' ')}")
    with budget.reading(), decoder_errors(format, settings.max_pixels):
        still = strip(format, data)
        left = budget.left
        job = Job(
            format,
            still.frames,
            at_least,
            cpu_seconds=min(settings.decode_seconds, left),
            wall_seconds=left,
            max_pixels=settings.max_pixels,
            max_frames=settings.max_frames,
            ended=still.ended,
        )
        if still.plain:
            image = decode(still.data, job)
        else:
            image = sandbox.decode(still.data, job, settings.decode_memory, hurried=left < settings.decode_seconds)
        image.format = format
        return image


def _check_bytes(count: int, settings: Settings) -> None:
    if count > settings.max_bytes:
        raise Problem(
            "too-large",
            f"A picture may have at most {settings.max_bytes} bytes ({megabytes(settings.max_bytes)} MB). "
            f"Received: {count} bytes",
            f"{count} bytes",
        )
