"""Responses that several views share: saved results and their files, or 404."""

from io import BytesIO
from pathlib import Path

from flask import Response, abort, send_file
from flask_babel import gettext

from inkling.storage.store import Result
from inkling.web import inkling


def result_or_404(id: str) -> Result:
    """A saved result.

    Raises:
        NotFound: there is none with this id.
    """
    return inkling().store.get(id) or abort(404, gettext("This result is not here, or no longer."))


def picture_or_404(result: Result):
    """A saved result's picture as a PIL image.

    Raises:
        NotFound: it was deleted in the meantime.
    """
    return inkling().store.open(result) or abort(404, gettext("This picture is not here, or no longer."))


def file_or_404(file: Path | BytesIO, mimetype: str | None = None) -> Response:
    """A file of a result.

    Raises:
        NotFound: it was deleted in the meantime.
    """
    try:
        return private(send_file(file, mimetype, max_age=0))
    except FileNotFoundError:
        abort(404, gettext("This picture is not here, or no longer."))


def private(response: Response) -> Response:
    """The response, cached by this browser alone, which asks before each use whether it is still valid."""
    response.headers["Cache-Control"] = "private, no-cache"
    return response
