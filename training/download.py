"""Fetches one file over HTTP so that a broken transfer never passes for a whole file.

Bytes land in `NAME.part`, which becomes `NAME` only when size and checksum are right. A cut-off transfer
leaves its `.part` behind and goes on from there, in this run or the next; a wrong size or checksum, or a
refusal by the server, leaves nothing.
"""

import hashlib
import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

ATTEMPTS = 4  # per call of fetch
PAUSE = 1.0  # seconds before the second attempt, doubled for each further one
TIMEOUT = 30.0  # seconds without data before a connection is given up
CHUNK = 1 << 18  # bytes
BUSY = (408, 429, 500, 502, 503, 504)  # HTTP statuses worth another attempt
BROKEN_CONNECTION = (ssl.SSLError, ConnectionError, TimeoutError)  # not OSError, which includes a full disk


class DownloadError(OSError):
    """A download failed or has the wrong content; the message says what to do."""


class _Interrupted(Exception):
    """A transfer was interrupted and is worth another attempt."""


@dataclass(frozen=True)
class Source:
    """The address of a file with its `size` in bytes and `sha256` in hex, each None if not published.

    `first` limits the download to that many bytes from the start of the file.
    """

    url: str
    size: int | None = None
    sha256: str | None = None
    first: int | None = None


def fetch(source: Source, path: Path) -> Path:
    """Downloads `source` to `path` unless a valid file is there; resumes an interrupted download.

    Raises:
        DownloadError: the server refused, `ATTEMPTS` transfers failed, or size or checksum is wrong.
    """
    if path.exists():
        _verify(source, path)
        return path
    part = path.with_name(path.name + ".part")
    for attempt in range(ATTEMPTS):
        try:
            _transfer(source, part)
            break
        except _Interrupted as error:
            if attempt == ATTEMPTS - 1:
                message = f"{source.url} broke off; run again to go on. Received: {error}"
                raise DownloadError(message) from error
            time.sleep(PAUSE * 2**attempt)
    _verify(source, part)
    return part.replace(path)


def _transfer(source: Source, part: Path) -> None:
    """Appends the missing bytes of `source` to `part`.

    Raises:
        _Interrupted: the body was incomplete, the connection failed, or the server was busy.
        DownloadError: the server refused, or the file's size is not `source.size`.
    """
    have = part.stat().st_size if part.exists() else 0
    whole = source.first or source.size
    if have and have == whole:
        return
    if whole and have > whole:  # from a different version of the file
        part.unlink()
        have = 0
    try:
        with urllib.request.urlopen(_request(source, have), timeout=TIMEOUT) as response:
            _receive(response, source, part, have)
    except urllib.error.HTTPError as error:
        with error:
            _refused(error, source, part, have)
    except (urllib.error.URLError, http.client.HTTPException, *BROKEN_CONNECTION) as error:
        raise _Interrupted(f"{type(error).__name__}: {error}") from error


def _request(source: Source, have: int) -> urllib.request.Request:
    """A request for the bytes of `source` after the first `have`."""
    headers = {"User-Agent": "inkling"}
    if have or source.first:
        headers["Range"] = f"bytes={have}-{source.first - 1 if source.first else ''}"
    return urllib.request.Request(source.url, headers=headers)


def _receive(response: http.client.HTTPResponse, source: Source, part: Path, have: int) -> None:
    """Writes the body of `response` to `part`, at byte `have` if the server honored the Range header."""
    start, size = _announced(response)
    if start not in (0, have):
        raise _Interrupted(f"bytes from {start} instead of {have}")
    if source.size and size and size != source.size:
        part.unlink(missing_ok=True)
        raise DownloadError(f"{source.url} must have {source.size} bytes. Received: {size}")
    wanted = min((n for n in (source.first, source.size, size) if n is not None), default=None)
    name, have = part.name.removesuffix(".part"), start
    bar = tqdm(total=wanted, initial=have, desc=name, unit="B", unit_scale=True, leave=False)
    with bar, part.open("ab" if have else "wb") as file:
        while chunk := response.read(CHUNK if wanted is None else min(CHUNK, wanted - have)):
            file.write(chunk)
            have += len(chunk)
            bar.update(len(chunk))
    if wanted is not None and have < wanted:
        raise _Interrupted(f"{have} of {wanted} bytes")


def _announced(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """The offset of the body in the file, and the size of the whole file or None if unknown."""
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not match:
            raise _Interrupted("206 without a Content-Range")
        return int(match[1]), None if match[2] == "*" else int(match[2])
    size = response.headers.get("Content-Length", "")
    return 0, int(size) if size.isdigit() else None


def _refused(error: urllib.error.HTTPError, source: Source, part: Path, have: int) -> None:
    """Handles an HTTP error: returns if the file is complete, else raises to retry or to give up."""
    if have and error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}":
        return  # the file is already complete
    if error.code in BUSY:
        raise _Interrupted(f"{error.code} {error.reason}") from error
    part.unlink(missing_ok=True)
    if error.code == 416:  # the file changed since the partial download began
        raise _Interrupted(f"{error.code} {error.reason}") from error
    raise DownloadError(f"{source.url} must answer 200. Received: {error.code} {error.reason}") from error


def _verify(source: Source, path: Path) -> None:
    """Deletes `path` and raises DownloadError if its size or checksum is wrong."""
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    received = (path.stat().st_size, sha256)
    accepted = (source.size or received[0], source.sha256 or received[1])
    if received != accepted:
        path.unlink()
        raise DownloadError(f"{source.url} must have size and SHA-256 {accepted}. Received: {received}")
