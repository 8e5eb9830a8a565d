"""One call of the API: its request, what its response means, and whether it may be sent again."""

import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

import httpx

from .shapes import StrokesBody

Picture = str | os.PathLike[str] | bytes | StrokesBody  # the path of a file, the bytes of one, or a drawing

FIRST_WAIT = 0.5  # seconds before the second attempt; twice as many before each further one
LONGEST_WAIT = 60.0  # seconds; a server that asks for more time gets no further attempt


# ---- Errors ----


class InklingError(Exception):
    """Base of the errors that calls raise."""


class Unreachable(InklingError):
    """The server cannot be reached, or the connection broke."""


class Refused(InklingError):
    """The server refused the request.

    Attributes:
        status: HTTP status.
        reason: the stable code of the problem, such as "too-large"; empty if something else than Inkling answered.
        title: the problem in short.
        detail: what was received and what would be accepted.
        retry_after: seconds after which the same request may succeed; None if the server does not say.
    """

    def __init__(self, status: int, reason: str, title: str, detail: str, retry_after: float | None = None):
        super().__init__(detail or title)
        self.status, self.reason, self.title, self.detail = status, reason, title, detail
        self.retry_after = retry_after


class Unauthorized(Refused):
    """401: the request needs a token, or its token is not valid."""


class Forbidden(Refused):
    """403: the token does not allow this."""


class NotFound(Refused):
    """404: there is no such model, classifier, label, example or version."""


class RateLimited(Refused):
    """429: the client or the token has used up its points."""


class Unavailable(Refused):
    """503: the server is busy, or cannot do this at the moment."""


BY_STATUS: dict[int, type[Refused]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    429: RateLimited,
    503: Unavailable,
}


def refused(response: httpx.Response) -> Refused:
    """The error that a response with a status of 300 or more stands for."""
    problem: Any = {}
    if response.headers.get("Content-Type", "").startswith("application/problem+json"):
        problem = response.json()
    status, phrase = response.status_code, response.reason_phrase
    return BY_STATUS.get(status, Refused)(
        status,
        problem.get("reason", ""),
        problem.get("title", phrase),
        problem.get("detail") or f"The server answered {status} {phrase}.",
        retry_after(response),
    )


def retry_after(response: httpx.Response) -> float | None:
    """The seconds that the header Retry-After asks for, as a number or as a date; None without one."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


# ---- A call ----


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        path: of the address, with {placeholders} for `parts`.
        changes: whether it changes something on the server.
        query: parameters; those that are None are left out.
        json: the body, if there are no pictures.
        pictures: files for the form field `image`; a drawing is sent as JSON, together with `form`.
        archive: a zip for the form field `zip`.
        form: further fields; those that are None are left out.
        answer: what a response holds.
    """

    method: str
    path: str
    changes: bool
    parts: dict[str, str | int] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    json: dict[str, Any] | None = None
    pictures: Sequence[Picture] = ()
    archive: str | os.PathLike[str] | None = None
    form: dict[str, str | None] = field(default_factory=dict)
    answer: Literal["json", "file", "nothing"] = "json"

    @contextmanager
    def request(self) -> Iterator[dict[str, Any]]:
        """The arguments of httpx's `request`. Files are open meanwhile, and are read anew for each attempt.

        Raises:
            OSError: a file cannot be opened.
            ValueError: a drawing comes with other pictures.
        """
        url = self.path.format_map({name: quote(str(part), safe="") for name, part in self.parts.items()})
        arguments: dict[str, Any] = {"method": self.method, "url": url, "params": given(self.query)}
        form = given(self.form)
        drawings = [picture for picture in self.pictures if isinstance(picture, dict)]
        if drawings:
            if len(self.pictures) > 1 or self.archive:
                raise ValueError("A drawing is sent alone.")
            yield arguments | {"json": drawings[0] | form}
        elif self.pictures or self.archive:
            with ExitStack() as stack:
                files = [("image", _file(picture, stack)) for picture in self.pictures if not isinstance(picture, dict)]
                files += [("zip", _file(self.archive, stack))] if self.archive else []
                yield arguments | {"files": files, "data": form}
        else:
            yield arguments | ({} if self.json is None else {"json": self.json})

    def read(self, response: httpx.Response) -> Any:
        """What a response holds.

        Raises:
            Refused: it is an error.
        """
        if response.status_code >= 300:
            raise refused(response)
        return None if self.answer == "nothing" else response.content if self.answer == "file" else response.json()

    def wait(self, outcome: httpx.Response | httpx.TransportError, attempt: int) -> float | None:
        """Seconds until this call may be sent again; None if it must not be.

        A call that changes something is repeated only if the server cannot have begun it: when there was no connection,
        or when the rate limit refused it, which comes first.

        Args:
            attempt: how many were made, from 1.
        """
        backoff = FIRST_WAIT * 2 ** (attempt - 1) * random.uniform(0.5, 1)
        if isinstance(outcome, httpx.TransportError):
            unsent = isinstance(outcome, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
            return backoff if unsent or not self.changes else None
        if outcome.status_code not in ((429,) if self.changes else (429, 502, 503, 504)):
            return None
        asked = retry_after(outcome)
        if asked is None:
            return backoff
        return asked + random.uniform(0, FIRST_WAIT) if asked <= LONGEST_WAIT else None


def given(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are not None."""
    return {name: value for name, value in values.items() if value is not None}


def _file(picture: str | os.PathLike[str] | bytes, stack: ExitStack) -> tuple[str, Any]:
    """The name and the content of a file in a form."""
    if isinstance(picture, bytes):
        return "picture", picture
    path = Path(picture)
    return path.name.encode("utf-8", "replace").decode(), stack.enter_context(path.open("rb"))
