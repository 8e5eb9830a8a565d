"""Pictures in a request, as sources for the service."""

from types import SimpleNamespace

from flask import request
from flask_babel import gettext

from inkling import problems
from inkling.pictures.formats import EXTENSIONS
from inkling.problems import Problem
from inkling.service import Source, Upload
from inkling.web import service


def allow_batch() -> None:
    """Raises this request's size limit to that of a full batch; the form parser keeps large files on disk."""
    settings = service().settings
    allowed = request.max_content_length or 0
    request.max_content_length = max(allowed, settings.max_batch * settings.max_bytes + 65536)


def from_form() -> list[Source]:
    """The files in the form field `image`, as sources.

    Raises:
        Problem: "too-many".
    """
    files, most = request.files.getlist("image"), service().settings.max_batch
    if len(files) > most:
        raise Problem(
            "too-many", f"At most {most} pictures go in one request. Received: {len(files)}.", f"{len(files)} pictures"
        )
    return [Upload(file.stream, file.filename) for file in files]


def limits() -> SimpleNamespace:
    """What an upload may be, for the pages that say so."""
    settings = service().settings
    return SimpleNamespace(
        max_bytes=settings.max_bytes,
        max_megapixels=settings.max_pixels / 1e6,
        max_batch=settings.max_batch,
        extensions=EXTENSIONS,
    )


def refusal(reason: str) -> SimpleNamespace:
    """The title and the advice of a reason why a picture is refused, for the visitor."""
    about = problems.REASONS[reason]
    return SimpleNamespace(title=gettext(about.title), advice=problems.advice(reason, service().settings, gettext))
