"""Every way to say no, once: code, HTTP status, title and advice."""

from collections.abc import Callable
from dataclasses import dataclass

from inkling.config import EXTENSIONS, Settings

SHOWN = 40  # characters of a received value that a message repeats


class Problem(Exception):
    """A picture or request that is not accepted.

    Attributes:
        reason: stable code, a key of `REASONS`.
        message: a sentence with the value received and what would be accepted.
        received: that value, short and printable, or "".
    """

    def __init__(self, reason: str, message: str, received: str = ""):
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.received = shorten(received)


@dataclass(frozen=True)
class Reason:
    """What a stable code means: the HTTP status, a title, and what to do, with {placeholders} for limits."""

    status: int
    title: str
    advice: str


REASONS = {
    "missing": Reason(400, "No picture arrived", "Choose a photo or draw something first, then send it."),
    "empty": Reason(
        400, "The file is empty", "Its size is 0 bytes, so the copy may have failed. Choose the original file."
    ),
    "extension": Reason(415, "This kind of file is not accepted", "Send a picture that ends in one of: {extensions}."),
    "not-an-image": Reason(
        415,
        "This is not a picture",
        "Open the file in an image viewer. If it shows, save it as JPEG or PNG and send that.",
    ),
    "mismatch": Reason(
        415,
        "The name and the contents differ",
        "The file was renamed without being converted. Give it back its own ending, or save it again as JPEG or PNG.",
    ),
    "too-large": Reason(
        413,
        "The picture is too large",
        "The limit is {max_megabytes} MB, and opening it may take only so much time and memory. "
        "Save the picture smaller, or as a plain JPEG.",
    ),
    "too-many": Reason(
        413, "Too many pictures at once", "At most {max_batch} pictures go together. Send the others after them."
    ),
    "too-many-pixels": Reason(
        413,
        "The picture has too many pixels",
        "The limit is {max_megapixels} megapixels, width times height. Scale it down first.",
    ),
    "truncated": Reason(
        422,
        "The picture is cut off or damaged",
        "Part of the file is missing, often after a broken download. Copy it again and resend it.",
    ),
    "animated-too-long": Reason(
        422,
        "The animation is too long",
        "Only the first frame is looked at, and {max_frames} frames are the limit. Send a still picture.",
    ),
    "blank": Reason(
        422, "Nothing is drawn", "Draw something first; a single dot in the colour of the paper cannot be seen."
    ),
    "unknown-model": Reason(404, "There is no such model", "Choose one of the models on the models page."),
    "model-unavailable": Reason(
        503, "This model is not available", "It could not be loaded. Choose another model, or try again later."
    ),
    "busy": Reason(503, "Too much to do at the moment", "Wait a few seconds and send it again."),
    "late": Reason(
        503,
        "There was no time left for this picture",
        "Waiting, or the pictures before it, took most of the time that one request has. Send it again in "
        "a few seconds, by itself.",
    ),
    "rate-limited": Reason(429, "Too many requests", "Wait a minute and try again."),
}


def advice(reason: str, settings: Settings, translate: Callable[[str], str] = str) -> str:
    """What to do about a reason, with the limits filled in.

    Args:
        translate: makes another language of the sentence, before its limits.

    Raises:
        KeyError: the reason is not one of `REASONS`.
    """
    return translate(REASONS[reason].advice).format(
        max_megabytes=megabytes(settings.max_bytes),
        max_megapixels=f"{settings.max_pixels / 1e6:.3g}",
        max_frames=settings.max_frames,
        max_batch=settings.max_batch,
        extensions=", ".join(EXTENSIONS),
    )


def shorten(text: str) -> str:
    """At most 40 printable characters of anything received, safe to show and to log."""
    kept = text if len(text) <= SHOWN else text[: SHOWN // 2] + "…" + text[-(SHOWN // 2 - 1) :]
    return "".join(letter if letter.isprintable() else "?" for letter in kept)


def megabytes(count: int) -> str:
    return f"{count / 2**20:.3g}"
