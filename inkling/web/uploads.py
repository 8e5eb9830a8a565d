"""Pictures in a form, as sources for the service."""

from types import SimpleNamespace

from flask import request
from flask_babel import gettext

from inkling import problems
from inkling.pictures.formats import EXTENSIONS, PICTURE_EXTENSIONS
from inkling.problems import Problem
from inkling.service import Upload
from inkling.web import service


def allow_batch() -> None:
    """Raises this request's size limit to that of a full batch."""
    settings = service().settings
    allow(settings.max_batch * settings.max_bytes)


def allow(size: int) -> None:
    """Raises this request's size limit to that of files of so many bytes; the form parser keeps large files on disk."""
    request.max_content_length = max(request.max_content_length or 0, size + 65536)


def from_form(kind: str = "photo") -> list[Upload]:
    """The files in the form field `image`, as sources of this kind.

    Raises:
        Problem: "too-many".
    """
    files, most = request.files.getlist("image"), service().settings.max_batch
    if len(files) > most:
        raise Problem(
            "too-many", f"At most {most} pictures go in one request. Received: {len(files)}.", f"{len(files)} pictures"
        )
    return [Upload(file.stream, file.filename, kind) for file in files]


def limits() -> SimpleNamespace:
    """What an upload may be, for the pages that say so."""
    settings = service().settings
    return SimpleNamespace(
        max_bytes=settings.max_bytes,
        max_megapixels=settings.max_pixels / 1e6,
        max_batch=settings.max_batch,
        extensions=EXTENSIONS,
        picture_extensions=PICTURE_EXTENSIONS,
    )


def refusal(reason: str) -> SimpleNamespace:
    """The title and the advice of a reason why a picture is refused, for the visitor."""
    about = problems.REASONS[reason]
    return SimpleNamespace(title=gettext(about.title), advice=problems.advice(reason, service().settings, gettext))
