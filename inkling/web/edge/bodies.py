"""Request bodies: they arrive in time, and take little memory while they are read."""

import io
import math
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import IO, cast

from flask import Flask, Request, g, request
from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge, RequestTimeout
from werkzeug.formparser import FormDataParser
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData
from werkzeug.wsgi import LimitedStream

from inkling.config import Settings
from inkling.problems import Problem
from inkling.web.edge import admission
from inkling.web.edge.ratelimit import RECEIVED

SMALL = 2**16  # bytes: a longer body takes a place of the admission control before it is read
LARGE = 2**20  # bytes: of longer bodies of text, a worker reads only a few at once
FIELDS = 3 * 2**20  # bytes of all text fields of a form; two pictures of the lab take 2.1 million
ESCAPES = 2**17  # in a URL-encoded form; base64 that fills the form has 100,000
HEADERS = 2**17  # bytes of a multipart form outside its fields and files: Werkzeug makes an object of each line
HEADERS_OF_PART = 512  # bytes for each part, if a form may have so many parts that `HEADERS` is too little
BOUNDARY = 100  # characters; RFC 2046 allows 70, and searching for a very long boundary is slow
CHUNK = 2**18  # bytes read at once
SPOOLED = 2**16  # bytes of a file that stay in memory; a longer file goes to the temporary folder
DRAINED = 8  # times the largest picture, on top of a whole batch; a longer body is cut off
SLOWEST = 2**17  # bytes a second, 1 Mbit/s: what arrives at this rate is never late
OVERDUE = "inkling.overdue"  # marks the environment of a request whose body did not arrive in time


def init_app(app: Flask, settings: Settings) -> None:
    base64 = settings.max_bytes * 4 // 3  # how long the largest picture is as text
    app.config["MAX_CONTENT_LENGTH"] = base64 + 65536
    app.config["MAX_FORM_PARTS"] = settings.max_batch + 100  # each file of a form may hold a descriptor
    app.config["MAX_FORM_MEMORY_SIZE"] = min(base64 + 4096, FIELDS)
    app.request_class = FormRequest
    app.before_request(admit)
    app.teardown_request(release)
    drain = Drain(app.wsgi_app, (DRAINED + settings.max_batch) * settings.max_bytes)
    app.wsgi_app = Deadline(drain, settings.body_seconds)  # type: ignore[method-assign]


# ---- Bodies at the same time ----


def admit() -> None:
    """Takes a place of the admission control for a body that is not small, until the request is answered.

    Raises:
        Problem: "busy", when all places are taken.
    """
    size = math.inf if "Transfer-Encoding" in request.headers else request.content_length or 0
    if size <= SMALL:
        return
    is_text = size > LARGE and request.mimetype != "multipart/form-data"
    place = ExitStack()
    place.enter_context(admission.turn(0, admission.LARGE_BODIES if is_text else admission.BODIES))
    g.place_of_body = place


def release(_error: BaseException | None) -> None:
    if "place_of_body" in g:
        g.pop("place_of_body").close()


# ---- Forms ----


class FormParser(FormDataParser):
    """Werkzeug's form parser with limits on what a form holds in memory.

    Werkzeug limits each field of a multipart form, but neither all fields together nor the parts' headers. It does not
    limit URL-encoded forms. A million fields or escapes would take gigabytes as objects.

    Raises:
        Problem: "busy", when the temporary folder for large files is full.
        RequestEntityTooLarge: the form is beyond a limit.
    """

    def parse(
        self,
        stream: IO[bytes],
        mimetype: str,
        content_length: int | None,
        options: dict[str, str] | None = None,
    ) -> tuple[IO[bytes], MultiDict[str, str], MultiDict[str, FileStorage]]:
        try:
            if mimetype == "multipart/form-data":
                return stream, *self._multipart(stream, (options or {}).get("boundary", ""))
            if mimetype == "application/x-www-form-urlencoded":
                stream = self._urlencoded(stream)
            return super().parse(stream, mimetype, content_length, options)
        except OSError as error:  # an unreadable body raises an HTTPException instead
            raise Problem("busy", "There is no room for what was sent. Try again in a few seconds.") from error

    def _multipart(self, stream: IO[bytes], boundary: str) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
        """Fields and files; none of either where the form is invalid, as Werkzeug does it."""
        fields: list[tuple[str, str]] = []
        files: list[tuple[str, FileStorage]] = []
        if not 0 < len(boundary) <= BOUNDARY:
            return self.cls(), self.cls()
        try:
            for part, content in parts(stream, boundary.encode("ascii"), *self._limits()):
                if isinstance(part, File):
                    files.append((part.name, FileStorage(content, part.filename, part.name, headers=part.headers)))
                else:
                    fields.append((part.name, content.read().decode("utf-8", "replace")))
        except ValueError:
            return self.cls(), self.cls()
        return self.cls(fields), self.cls(files)

    def _urlencoded(self, stream: IO[bytes]) -> IO[bytes]:
        """The form's text, with limits: Werkzeug would create any number of objects from it."""
        buffered = io.BufferedReader(cast(io.RawIOBase, stream))
        most_text, most_parts = self._limits()
        text = buffered.read(most_text + 1)
        buffered.detach()  # or the stream would be closed
        fields, escapes = text.count(b"&"), text.count(b"%")
        if len(text) > most_text or fields >= most_parts or escapes > ESCAPES:
            raise RequestEntityTooLarge
        return io.BytesIO(text)

    def _limits(self) -> tuple[int, int]:
        """The bytes of text and the number of parts that a form may have; the app sets both."""
        assert self.max_form_memory_size is not None
        assert self.max_form_parts is not None
        return self.max_form_memory_size, self.max_form_parts


class FormDecoder(MultipartDecoder):
    """Werkzeug's decoder, which would refuse a form because of one file whose name is not UTF-8.

    Old browsers and programs write names in the encoding of their system.
    """

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        return super()._parse_headers(data.decode("utf-8", "replace").encode())


def parts(
    stream: IO[bytes], boundary: bytes, most_text: int, most_parts: int
) -> Iterator[tuple[Field | File, IO[bytes]]]:
    """The parts of a multipart form with their content, which is open at its start.

    Args:
        most_text: bytes of all text fields together.
        most_parts: fields and files.

    Raises:
        RequestEntityTooLarge: the form is beyond a limit.
        ValueError: it is not a valid form.
    """
    decoder = FormDecoder(boundary, max_parts=most_parts)
    most_headers = max(HEADERS, HEADERS_OF_PART * most_parts)
    text = headers = 0  # bytes received
    part: Field | File
    content: IO[bytes]
    for chunk in chain(iter(partial(stream.read, CHUNK), b""), [None]):
        decoder.receive_data(chunk)
        headers += len(chunk or b"")
        while not isinstance(event := decoder.next_event(), NeedData | Epilogue):
            if isinstance(event, File):
                part, content = event, SpooledTemporaryFile(SPOOLED)  # noqa: SIM115  the request closes it
            elif isinstance(event, Field):
                part, content = event, io.BytesIO()
            elif isinstance(event, Data):
                headers -= len(event.data)
                text += len(event.data) if isinstance(part, Field) else 0
                if text > most_text:
                    raise RequestEntityTooLarge
                content.write(event.data)
                if not event.more_data:
                    content.seek(0)
                    yield part, content
        if headers > most_headers:
            raise RequestEntityTooLarge


class FormRequest(Request):
    form_data_parser_class = FormParser


# ---- The stream ----


class KnownLength(LimitedStream):
    """A body whose length the client announced."""

    def __init__(self, environ: dict, length: int):
        super().__init__(environ["wsgi.input"], length)
        self._environ = environ

    def on_disconnect(self, error: Exception | None = None) -> None:
        raise _incomplete(self._environ)


class Chunked:
    """A body in chunked transfer encoding. An invalid chunk ends the request with 400."""

    def __init__(self, environ: dict):
        self._input, self._environ = environ["wsgi.input"], environ

    def read(self, size: int = -1) -> bytes:
        try:
            data = self._input.read(size)
        except Exception as error:  # gunicorn's exceptions have no common base class
            raise _incomplete(self._environ) from error
        self._environ[RECEIVED] = self._environ.get(RECEIVED, 0) + len(data)
        return data


def _incomplete(environ: dict) -> HTTPException:
    """The error for a body that ends early: 408 where its time ran out, else 400."""
    return RequestTimeout() if OVERDUE in environ else ClientDisconnected()


class Drain:
    """WSGI middleware that reads what the app left of a body, up to `most` bytes, before the response goes out.

    A client that still sends when the connection closes would see a reset instead of the response.
    """

    def __init__(self, app: Callable, most: int):
        self._app, self._most = app, most

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH", "")
        if not length.isdecimal():
            environ["wsgi.input"] = Chunked(environ)
            return self._app(environ, start_response)
        body = environ["wsgi.input"] = KnownLength(environ, int(length))
        response = self._app(environ, start_response)
        left = self._most
        try:
            while left > 0 and (chunk := body.read(CHUNK)):
                left -= len(chunk)
        except (ClientDisconnected, RequestTimeout):
            pass
        return response


class Deadline:
    """WSGI middleware that stops reading from a client whose body has not arrived after `seconds`.

    Each `SLOWEST` bytes that arrived give it another second, as Apache's mod_reqtimeout does: a zip of photos may take
    minutes, and whoever wants to hold a thread for as long has to send all the time.

    One thread watches all requests and closes the reading side of a late client's socket, so that a read that waits
    finds the end of the body. Only gunicorn passes the socket on; elsewhere there is no deadline.
    """

    def __init__(self, app: Callable, seconds: float):
        self._app, self._seconds = app, seconds
        self._due: dict[int, tuple[float, dict]] = {}  # time by the monotonic clock, and environment of each request
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        if not _has_body(environ) or "gunicorn.socket" not in environ:
            return self._app(environ, start_response)
        self._start()
        self._due[id(environ)] = time.monotonic() + self._seconds, environ
        try:
            return self._app(environ, start_response)
        finally:
            del self._due[id(environ)]

    def _start(self) -> None:
        """Starts the thread, with the first request: a thread would not survive the fork of a worker."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="body-deadline", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            time.sleep(min(1, self._seconds / 4))
            for due, environ in list(self._due.values()):
                if due + _received(environ) / SLOWEST < time.monotonic() and OVERDUE not in environ:
                    environ[OVERDUE] = True
                    try:
                        environ["gunicorn.socket"].shutdown(socket.SHUT_RD)
                    except OSError:  # the client has closed the connection
                        continue


def _received(environ: dict) -> int:
    """The bytes of the body that the app has read, which never waits with reading it."""
    body = environ["wsgi.input"]
    return body.tell() if isinstance(body, KnownLength) else environ.get(RECEIVED, 0)


def _has_body(environ: dict) -> bool:
    """Whether the client announced a body, with whatever method."""
    return environ.get("CONTENT_LENGTH") not in (None, "", "0") or "HTTP_TRANSFER_ENCODING" in environ
