"""What a request's body may be: it arrives in time, and as text it takes little memory."""

import io
import math
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterable

from flask import Flask, Request, g, request
from werkzeug import formparser
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge, RequestTimeout
from werkzeug.formparser import FormDataParser
from werkzeug.sansio.multipart import MultipartDecoder
from werkzeug.wsgi import LimitedStream

from inkling.config import Settings
from inkling.problems import Problem

DRAINED = 8  # times the largest picture, beyond a whole batch of them: what a client sends beyond is cut off
LARGE = 2**20  # bytes of a body that is text, of which a worker reads few at once: they are held in memory
FIELDS = 3 * 2**20  # bytes of text in a form: a drawing takes some thousand, two pictures of the lab 2.1 million
HEADS = 2**17  # bytes that the heads of its parts may take beside: werkzeug makes objects of each line and parameter
HEAD = 512  # of one, where so many parts are allowed that more is needed
SPOOLED = 2**16  # bytes of a file that are held in memory; a longer one goes into the temporary folder
BOUNDARY = 100  # letters, of 70 that RFC 2046 allows: werkzeug takes long to look for much longer ones
ESCAPES = 2**17  # of a form: base64 that fills it has 100,000
OVERDUE = "inkling.overdue"  # in a request's environment, once nobody waits for its body any longer


def init_app(app: Flask, settings: Settings) -> None:
    app.request_class = FormRequest
    places = threading.BoundedSemaphore(settings.concurrent)
    app.before_request(lambda: take(places))
    app.teardown_request(give_back)
    drained = Drained(app.wsgi_app, (DRAINED + settings.max_batch) * settings.max_bytes)
    app.wsgi_app = Awaited(drained, settings.body_seconds)


def take(places: threading.Semaphore) -> None:
    """Takes one of the places for large bodies that are held in memory.

    Raises:
        Problem: "busy", when all are taken.
    """
    size = math.inf if "Transfer-Encoding" in request.headers else request.content_length or 0
    if request.mimetype == "multipart/form-data" or size <= LARGE:
        return
    if not places.acquire(blocking=False):
        raise Problem("busy", "As many large bodies as can be read are being read. Try again in a few seconds.")
    g.place = places


def give_back(_error: BaseException | None) -> None:
    if "place" in g:
        g.pop("place").release()


class Parts:
    """The body of a multipart form, of which little goes anywhere but into files: werkzeug limits each field alone."""

    def __init__(self, stream, most: int):
        self._stream, self._left = stream, most

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise RequestEntityTooLarge
        return data

    def file(self, **_) -> "File":
        """A new file for a part that is one."""
        return File(self)

    def filed(self, data: bytes) -> None:
        """This went into a file."""
        self._left += len(data)


def heads(parts: int) -> int:
    """Bytes that the heads of so many parts may take."""
    return max(HEADS, HEAD * parts)


class Decoder(MultipartDecoder):
    """Werkzeug's, which holds the heads of parts to no limit."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._left = heads(self.max_parts or 0)

    def _parse_headers(self, data: bytes) -> Headers:
        self._left -= len(data)
        if self._left < 0:
            raise RequestEntityTooLarge
        return super()._parse_headers(data)


formparser.MultipartDecoder = Decoder  # it takes no other


class File(tempfile.SpooledTemporaryFile):
    """A file that was sent."""

    def __init__(self, parts: Parts):
        super().__init__(max_size=SPOOLED, mode="w+b")
        self._parts = parts

    def write(self, data: bytes) -> int:
        self._parts.filed(data)
        return super().write(data)


class FormParser(FormDataParser):
    """Holds forms to limits: a million fields or escapes, or much text, would take gigabytes as objects.

    Raises:
        Problem: "busy", where the temporary folder, into which large files go, is full.
    """

    def parse(self, stream, mimetype, content_length, options=None):
        try:
            return self._parse(stream, mimetype, content_length, options)
        except OSError as error:  # what could not be read of a body is no OSError
            raise Problem("busy", "There is no room for what was sent. Try again in a few seconds.") from error

    def _parse(self, stream, mimetype, content_length, options):
        if mimetype == "multipart/form-data":
            if len((options or {}).get("boundary", "")) > BOUNDARY:
                options = {}  # as without one
            stream = Parts(stream, self.max_form_memory_size + heads(self.max_form_parts))
            self.stream_factory = stream.file
        if mimetype == "application/x-www-form-urlencoded":
            buffered = io.BufferedReader(stream)
            text = buffered.read(self.max_form_memory_size + 1)
            buffered.detach()  # or it would close the stream
            if (
                len(text) > self.max_form_memory_size
                or text.count(b"&") >= self.max_form_parts
                or text.count(b"%") > ESCAPES
            ):
                raise RequestEntityTooLarge
            stream = io.BytesIO(text)
        return super().parse(stream, mimetype, content_length, options)


class FormRequest(Request):
    form_data_parser_class = FormParser


class Body(LimitedStream):
    """A body of a known length."""

    def __init__(self, environ: dict, length: int):
        super().__init__(environ["wsgi.input"], length)
        self._environ = environ

    def on_disconnect(self, error: Exception | None = None) -> None:
        raise _gone(self._environ)


class Pieces:
    """A body that comes in pieces of lengths that the client tells; a piece that is none ends the request."""

    def __init__(self, environ: dict):
        self._input, self._environ = environ["wsgi.input"], environ

    def read(self, size: int = -1) -> bytes:
        try:
            return self._input.read(size)
        except Exception as error:  # gunicorn's have nothing in common
            raise _gone(self._environ) from error


def _announced(environ: dict) -> bool:
    """Whether a body is to come, with whatever method."""
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ


def _gone(environ: dict) -> HTTPException:
    """What is said where a body ends early: 400, or 408 where it was not waited for."""
    return RequestTimeout() if OVERDUE in environ else ClientDisconnected()


class Drained:
    """WSGI middleware that reads what an app has left of a body, up to `most` bytes, before its answer goes out.

    A client that is still sending when the connection closes would see a reset, not the answer.
    """

    def __init__(self, app: Callable, most: int):
        self._app, self._most = app, most

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH", "")
        if not length.isdecimal():
            environ["wsgi.input"] = Pieces(environ)
            return self._app(environ, start_response)
        body = environ["wsgi.input"] = Body(environ, int(length))
        answer = self._app(environ, start_response)
        left = self._most
        try:
            while left > 0 and (chunk := body.read(2**16)):
                left -= len(chunk)
        except (ClientDisconnected, RequestTimeout):
            pass
        return answer


class Awaited:
    """WSGI middleware that stops to listen to a client whose body has not arrived after `seconds`.

    One thread looks after all requests; reads that wait find the body ended. It needs gunicorn's socket.
    """

    def __init__(self, app: Callable, seconds: float):
        self._app, self._seconds = app, seconds
        self._due: dict[int, tuple[float, dict]] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        if not _announced(environ) or "gunicorn.socket" not in environ:
            return self._app(environ, start_response)
        self._watch()
        self._due[id(environ)] = time.monotonic() + self._seconds, environ
        try:
            return self._app(environ, start_response)
        finally:
            del self._due[id(environ)]

    def _watch(self) -> None:
        """Starts the thread, in the process that serves."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="bodies", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        while True:
            time.sleep(min(1, self._seconds / 4))
            for due, environ in list(self._due.values()):
                if due < time.monotonic() and OVERDUE not in environ:
                    environ[OVERDUE] = True
                    try:
                        environ["gunicorn.socket"].shutdown(socket.SHUT_RD)
                    except OSError:  # it is gone
                        continue
