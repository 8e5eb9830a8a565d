"""What several views respond with: saved results, classifiers and their files, or 404."""

import hashlib
from collections.abc import Iterable
from io import BytesIO
from itertools import chain
from typing import TYPE_CHECKING, cast

from flask import Response, abort, request, send_file
from flask_babel import gettext
from werkzeug.wsgi import FileWrapper

from inkling.problems import Problem
from inkling.storage import Result
from inkling.storage.blobs import Opened
from inkling.teach.types import Classifier
from inkling.web import service, teaching
from inkling.web.edge.access import principal

if TYPE_CHECKING:
    from PIL import Image

    from inkling.recognition.inputs import Picture


PART_BYTES = 2**16  # that are read from a file at once


def result_or_404(id: str) -> Result:
    """A saved result.

    Raises:
        NotFound: there is none with this id.
    """
    return service().storage.get(id) or abort(404, gettext("This result is not here, or no longer."))


def picture_or_404(result: Result) -> "Image.Image":
    """A saved result's picture as a PIL image.

    Raises:
        NotFound: it was deleted in the meantime.
    """
    return service().picture(result) or abort(404, gettext("This picture is not here, or no longer."))


def original_or_404(result: Result) -> "Picture":
    """What a saved result's model was asked about: a PIL image, or the strokes of a drawing.

    Raises:
        NotFound: it was deleted in the meantime.
    """
    return service().original(result) or abort(404, gettext("This picture is not here, or no longer."))


def own_classifier(id: str) -> Classifier:
    """A classifier that this request may teach.

    Raises:
        Problem: "unknown-classifier": there is none with this id, or it is somebody else's.
    """
    found = teaching().get(id)
    if not principal().manages(found.owner):
        raise Problem("unknown-classifier", f"There is no classifier {id[:64]!r}.", id)
    return found


def file_or_404(file: bytes | None, mimetype: str) -> Response:
    """A file of a result.

    Raises:
        NotFound: it was deleted in the meantime.
    """
    if file is None:
        abort(404, gettext("This picture is not here, or no longer."))
    etag = hashlib.sha256(file).hexdigest()[:32]
    return private(send_file(BytesIO(file), mimetype, max_age=0, etag=etag))


def stored_or_404(opened: Opened | None, mimetype: str) -> Response:
    """A stored file, or the range of it that the request asks for, in parts as the client takes them.

    Raises:
        NotFound: it was deleted in the meantime.
        StoreError: its first part cannot be read.
    """
    if opened is None:
        abort(404, gettext("This picture is not here, or no longer."))
    response = Response(FileWrapper(opened.file, PART_BYTES), mimetype=mimetype, direct_passthrough=True)
    response.content_length = opened.size
    response.set_etag(opened.tag)
    response.make_conditional(request, accept_ranges=True, complete_length=opened.size)
    if request.method == "GET" and response.status_code != 304:  # an error can only be told before the first part
        parts = iter(cast(Iterable[bytes], response.response))
        response.response = chain([next(parts, b"")], parts)
        response.call_on_close(opened.file.close)
    else:
        opened.file.close()
    return private(response)


def private(response: Response) -> Response:
    """The response, cached by this browser alone, which asks before each use whether it is still valid.

    The edge says so of every response that search engines may not list and that says nothing else.
    """
    response.headers["Cache-Control"] = "private, no-cache"
    return response
