"""Every refusal, once: its stable code, HTTP status, title and advice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

MAX_RECEIVED = 40  # characters of a received value that an error repeats


class Limits(Protocol):
    """The settings that an advice mentions; `inkling.config.Settings` has them."""

    @property
    def max_bytes(self) -> int: ...

    @property
    def max_pixels(self) -> int: ...

    @property
    def max_frames(self) -> int: ...

    @property
    def max_batch(self) -> int: ...

    @property
    def zip_mb(self) -> int: ...

    @property
    def zip_files(self) -> int: ...


class Problem(Exception):
    """Raised when a picture or a request is refused. It survives `pickle`, and so other processes.

    Attributes:
        reason: stable code, a key of `REASONS`.
        message: a sentence that says what was received and what would be accepted.
        received: the refused value, at most `MAX_RECEIVED` printable characters, or "".
        retry_after: seconds after which the same request may succeed; 0 if that is not known.
    """

    def __init__(self, reason: str, message: str, received: str = "", retry_after: int = 0) -> None:
        received = shorten(received)
        super().__init__(reason, message, received, retry_after)  # pickle calls the class again with exactly these
        self.reason = reason
        self.message = message
        self.received = received
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Reason:
    """The meaning of a stable code.

    Attributes:
        status: HTTP status.
        title: a short sentence for the help page; a translation key.
        advice: what the visitor can do, with {placeholders} for the limits; a translation key.
    """

    status: int
    title: str
    advice: str


REASONS = {
    "missing": Reason(400, "No picture arrived", "Choose a photo or draw something first, then send it."),
    "empty": Reason(400, "The file is empty", "It has 0 bytes: copying it may have failed. Choose the original file."),
    "extension": Reason(
        415,
        "This kind of file is not accepted",
        "Send a picture. Its name ends in jpg, jpeg, png, webp, gif, bmp, heic, heif or avif, or has no ending.",
    ),
    "not-an-image": Reason(
        415,
        "This is not a picture",
        "Open the file in an image viewer. If you can see it there, save it as JPEG or PNG and send that.",
    ),
    "unsupported": Reason(
        415,
        "Inkling cannot read this format",
        "TIFF, SVG, PDF, JPEG XL and some others are not accepted. Open the file in an image viewer, save it as JPEG "
        "or PNG, and send that.",
    ),
    "too-large": Reason(
        413,
        "The picture is too large",
        "The limit is {max_megabytes} MB, and decoding the picture must not take too much time or memory. "
        "Save a smaller version, or a plain JPEG.",
    ),
    "too-many": Reason(
        413, "Too many pictures at once", "You can send up to {max_batch} pictures at once. Send the rest afterwards."
    ),
    "too-many-pixels": Reason(
        413,
        "The picture has too many pixels",
        "The limit is {max_megapixels} megapixels (width times height). Scale the picture down first.",
    ),
    "truncated": Reason(
        422,
        "The picture is incomplete or damaged",
        "Part of the file is missing, often because a download broke off. Download or copy it again, then resend it.",
    ),
    "animated-too-long": Reason(
        422,
        "The animation is too long",
        "Inkling looks at the first frame only, and accepts up to {max_frames} frames. Send a still picture instead.",
    ),
    "strokes": Reason(422, "This drawing cannot be read", "Clear the canvas and draw it again."),
    "blank": Reason(
        422,
        "Nothing stands out in this picture",
        "All of it has about the same color. Draw something, or choose a picture that shows something.",
    ),
    "zip": Reason(
        422,
        "This zip cannot be read",
        "Make it again with your system's own tool, without a password, and check that all of it was copied.",
    ),
    "zip-too-large": Reason(
        413,
        "The zip is too large",
        "A zip may have {zip_mb} MB, also when it is unpacked, and {zip_files} files. Divide it into several.",
    ),
    "path": Reason(
        422, "This path is not accepted", "A file in a zip must stay in its folder. Make the zip again from the folder."
    ),
    "unknown-model": Reason(404, "There is no such model", "Choose one of the models on the models page."),
    "model-unavailable": Reason(
        503, "This model is not available", "It could not be loaded. Choose another model, or try again later."
    ),
    "unknown-classifier": Reason(404, "There is no such classifier", "It may have been deleted. Choose another one."),
    "unknown-label": Reason(404, "There is no such label", "It may have been deleted. Reload the page."),
    "unknown-example": Reason(404, "There is no such example", "It may have been deleted. Reload the page."),
    "unknown-version": Reason(404, "There is no such version", "Choose one of the versions in the list."),
    "unknown-change": Reason(
        404, "This can't be undone any more", "A change can be undone once, and for one day. Make it again by hand."
    ),
    "not-trained": Reason(
        409, "This classifier has not been trained yet", "Add at least two examples to each of two labels."
    ),
    "duplicate": Reason(409, "This picture is there already", "It was not added again. Add a different picture."),
    "label-taken": Reason(409, "There is a label of this name already", "Choose another name."),
    "bad-name": Reason(422, "This name can't be used", "Choose a short name of printable characters."),
    "too-many-classifiers": Reason(
        409, "You have as many classifiers as allowed", "Delete one that you no longer need."
    ),
    "too-many-examples": Reason(
        409, "You have as many examples as allowed", "Delete examples that you no longer need."
    ),
    "teaching-full": Reason(
        409, "Your examples take as much space as allowed", "Delete examples or classifiers that you no longer need."
    ),
    "webhook-address": Reason(
        422,
        "Webhooks can't be sent to this address",
        "Use an http or https address that leads to a public server, or ask the operator of this Inkling to allow it.",
    ),
    "too-many-sources": Reason(
        409, "There are as many sources as allowed", "Use the name of an existing source, or delete one first."
    ),
    "busy": Reason(503, "Inkling is busy right now", "Wait a few seconds, then try again."),
    "late": Reason(
        503,
        "There was no time left for this picture",
        "Waiting in the queue and reading other pictures used up the time of this request. "
        "Send this picture again on its own in a few seconds.",
    ),
    "rate-limited": Reason(429, "Too many requests", "Wait a minute and try again."),
    "chat-quota": Reason(
        429,
        "The language model has answered enough questions today",
        "Ask it again tomorrow. The measured answers work without it.",
    ),
    "chat-away": Reason(
        502,
        "The language model can't be reached",
        "Its server does not answer, or closed the connection. Ask again later. The measured answers work without it.",
    ),
    "chat-late": Reason(
        504,
        "The language model took too long",
        "It may still be loading. Ask again in a few minutes. The measured answers work without it.",
    ),
    "chat-limited": Reason(
        502,
        "The language model's server has had enough questions",
        "It limits how much this Inkling may ask. Ask again later. The measured answers work without it.",
    ),
    "chat-blind": Reason(
        502,
        "The language model can't look at this picture",
        "Its server refused the picture. The measured answers work without it.",
    ),
    "chat-refused": Reason(
        502,
        "The language model's server refused the question",
        "The operator of this Inkling may have to correct the address, the key or the name of the model. The "
        "measured answers work without it.",
    ),
    "chat-failed": Reason(
        502,
        "The language model's server failed",
        "Ask again later, or tell the operator of this Inkling. The measured answers work without it.",
    ),
    "chat-garbled": Reason(
        502,
        "The language model's answer can't be read",
        "Its server does not send what Inkling expects. The operator should check the address. The measured answers "
        "work without it.",
    ),
    "chat-empty": Reason(
        502,
        "The language model said nothing",
        "Ask again, or in other words. The measured answers work without it.",
    ),
}


def advice(reason: str, limits: Limits, translate: Callable[[str], str] = str) -> str:
    """What a visitor can do about a refusal, with the limits filled in.

    Args:
        reason: a key of `REASONS`.
        limits: the settings of the app.
        translate: translates the sentence, before the limits are filled in.

    Raises:
        KeyError: `reason` is not one of `REASONS`.
    """
    return translate(REASONS[reason].advice).format(
        max_megabytes=megabytes(limits.max_bytes),
        max_megapixels=f"{limits.max_pixels / 1e6:.3g}",
        max_frames=limits.max_frames,
        max_batch=limits.max_batch,
        zip_mb=limits.zip_mb,
        zip_files=limits.zip_files,
    )


def shorten(text: str) -> str:
    """At most `MAX_RECEIVED` printable characters of a received value, safe to show and to log."""
    if len(text) > MAX_RECEIVED:
        text = text[: MAX_RECEIVED // 2] + "…" + text[-(MAX_RECEIVED // 2 - 1) :]
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def megabytes(count: int) -> str:
    """A number of bytes in MiB, with three digits."""
    return f"{count / 2**20:.3g}"
