"""Blobs in an S3 bucket.

Each process has one client, made at its first use: connections do not survive a fork. A call ends after a few seconds,
whatever the store does, and while the store is away further calls fail at once.
"""

import io
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

from inkling.breaker import CircuitBreaker
from inkling.storage.blobs import KEY, QUARANTINE, Blob, Opened
from inkling.storage.database import portions
from inkling.storage.errors import StoreError

CONNECT_SECONDS, READ_SECONDS = 2.0, 4.0  # of silence, after which a call has failed
ATTEMPTS = 2  # of each call, if the first one was not answered, or answered 5xx
PARALLEL = 8  # calls of one process that are made at once for many keys
AT_ONCE = 1000  # keys of one listing or deletion, as many as S3 takes
CHECK_SECONDS = 2.0  # for which a bucket that could be read counts as there
MISSING = {"NoSuchKey", "NotFound", "404"}  # codes; HEAD has no body, and so no other code than the status
EXISTS = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}  # likewise
UNSUPPORTED = {"NotImplemented", "501"}  # likewise
REASONS = {
    "NoSuchBucket": "there is no such bucket",
    "SignatureDoesNotMatch": "it refuses the secret key",
    "InvalidAccessKeyId": "it does not know the access key",
    "AccessDenied": "these keys may not do that",
    "403": "it refuses the keys",
}

T = TypeVar("T")
R = TypeVar("R")


class _Connection(NamedTuple):
    """What one process has open."""

    process: int
    client: Any  # of boto3
    pool: ThreadPoolExecutor


class Bucket:
    """A bucket, or the part of it below a prefix. Every method raises StoreError if the store cannot be used.

    Args:
        url: `s3://bucket` or `s3://bucket/prefix`. Endpoint, region and keys come from the AWS_ variables, or from
            where boto3 also finds them.
    """

    def __init__(self, url: str):
        self._name, _, prefix = url.removeprefix("s3://").partition("/")
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._lock = threading.Lock()
        self._connection: _Connection | None = None
        self._breaker = CircuitBreaker("the object store", StoreError)
        self._checked = 0.0  # when the bucket could last be read, by the monotonic clock
        self._conditional = True  # whether the store knows conditional writes

    def check(self) -> None:
        """Reads one name from the bucket, unless that was possible a moment ago."""
        if not self._checked or time.monotonic() - self._checked > CHECK_SECONDS:
            self._call("list_objects_v2", Prefix=self._prefix, MaxKeys=1)
            self._checked = time.monotonic()

    def put(self, key: str, data: bytes) -> None:
        """Writes an object; readers see all of it or nothing."""
        self._call("put_object", Key=self._prefix + key, Body=data)

    def put_new(self, key: str, data: bytes) -> None:
        """Writes an object whose key determines its bytes, unless it is there."""
        if self._conditional:
            try:
                self._call("put_object", EXISTS | UNSUPPORTED, Key=self._prefix + key, Body=data, IfNoneMatch="*")
                return
            except _Passed as error:
                if error.code in EXISTS:
                    return
                self._conditional = False
        self.put(key, data)

    def get(self, key: str) -> bytes | None:
        """An object's bytes; None if it is missing."""
        found = self._found("get_object", key)
        return self.read(found["Body"]) if found else None

    def head(self, key: str) -> tuple[int, str] | None:
        """An object's size in bytes and its entity tag; None if it is missing."""
        found = self._found("head_object", key)
        if found:
            return found["ContentLength"], found["ETag"].strip('"')
        self.check()  # the response is the same where the whole bucket is missing
        return None

    def body(self, key: str, tag: str, start: int) -> Any:
        """The body of an object from a byte on, for `read`. It must still have the entity tag."""
        place = {"Key": self._prefix + key, "IfMatch": f'"{tag}"', "Range": f"bytes={start}-"}
        try:
            return self._call("get_object", MISSING | EXISTS, **place)["Body"]
        except _Passed as error:
            raise StoreError("a file was deleted or replaced while it was read") from error

    def read(self, body: Any, size: int | None = None) -> bytes:
        """The next bytes of a body, at most `size`; all of them by default.

        One that breaks off does not count as a failure of the store, which may have waited too long for a slow client.
        """
        with _translated():
            return body.read() if size is None else body.read(size)

    def move(self, key: str, to: str) -> None:
        """Renames an object and sets its modification date to now; does nothing if it is missing."""
        source, target = self._prefix + key, self._prefix + to
        with suppress(_Passed):
            self._call("copy_object", MISSING, Key=target, CopySource={"Bucket": self._name, "Key": source})
            self.delete([key])

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes objects; ignores missing ones."""
        for some in portions(keys, AT_ONCE):
            objects = [{"Key": self._prefix + key} for key in some]
            answer = self._call("delete_objects", Delete={"Objects": objects, "Quiet": True})
            refused = [error for error in answer.get("Errors", ()) if error.get("Code") not in MISSING]
            if refused:
                raise _error(REASONS.get(refused[0]["Code"]) or refused[0]["Code"])

    def iterate(self, prefix: str = "", delimiter: str = "/") -> Iterator[tuple[Blob, str]]:
        """Yields the objects directly below a prefix with their entity tags, page by page.

        Args:
            prefix: of their keys, and left in them.
            delimiter: empty for those further below as well.
        """
        after: dict[str, str] = {}
        while True:
            place = {"Prefix": self._prefix + prefix, "Delimiter": delimiter} | after
            page = self._call("list_objects_v2", MaxKeys=AT_ONCE, **place)
            for found in page.get("Contents", ()):
                key = found["Key"].removeprefix(self._prefix)
                yield Blob(key, found["Size"], found["LastModified"]), found["ETag"].strip('"')
            if not page.get("IsTruncated"):
                return
            after = {"ContinuationToken": page["NextContinuationToken"]}

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """The function's value for each item; some are computed at once. An error is raised once all have ended."""
        items = list(items)
        if len(items) == 1:
            return [function(items[0])]
        futures = [self._connected().pool.submit(function, item) for item in items]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]

    def _found(self, operation: str, key: str) -> dict[str, Any] | None:
        try:
            return self._call(operation, MISSING, Key=self._prefix + key)
        except _Passed:
            return None

    def _call(self, operation: str, passed: Iterable[str] = (), **arguments: Any) -> dict[str, Any]:
        """Calls the store.

        Args:
            passed: codes of errors that are raised as `_Passed` instead, and are no failure of the store.
        """
        from botocore.exceptions import ClientError

        with self._breaker.guard(), _translated():
            try:
                return cast(
                    dict[str, Any], getattr(self._connected().client, operation)(Bucket=self._name, **arguments)
                )
            except ClientError as error:
                code = _code(error)
                if code not in passed:
                    raise
        raise _Passed(code)

    def _connected(self) -> _Connection:
        with self._lock:
            if not self._connection or self._connection.process != os.getpid():
                pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="s3")
                self._connection = _Connection(os.getpid(), _client(), pool)
            return self._connection


class _Passed(Exception):
    """An error of the store that the caller expects."""

    def __init__(self, code: str):
        super().__init__(code)
        self.code = code


@contextmanager
def _translated() -> Iterator[None]:
    """Translates errors of boto3 into StoreError."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise _error(REASONS.get(_code(error)) or _code(error)) from error
    except BotoCoreError as error:
        raise _error(_sentence(error)) from error


def _client() -> Any:
    import boto3
    from botocore.config import Config

    session = boto3.session.Session()
    own = any(os.environ.get(name) for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"))
    config = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=PARALLEL + 4,
        tcp_keepalive=True,
        # Other stores than Amazon's often lack the checksums that boto3 adds, and the names of hosts for each bucket.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": "path" if own else "auto"},
    )
    return session.client("s3", region_name=session.region_name or "us-east-1", config=config)


def _error(reason: str) -> StoreError:
    return StoreError(f"the object store cannot be used: {reason}")


def _code(error: Any) -> str:
    """The code of an error that the store answered."""
    return error.response.get("Error", {}).get("Code") or "an error without a code"


def _sentence(error: Exception) -> str:
    """Why there was no response. Nothing of boto3's own message is shown, for it may name hosts and keys."""
    from botocore import exceptions

    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set"
    if isinstance(error, exceptions.ConnectTimeoutError | exceptions.ReadTimeoutError):
        return "it did not answer in time"
    if isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError):
        return "it cannot be reached"
    return type(error).__name__


class S3Blobs:
    """Blobs as objects of a bucket. Other objects may lie below its prefix; `iterate` leaves them out.

    Args:
        prefix: of all keys, such as `examples/`.
    """

    def __init__(self, bucket: Bucket, prefix: str = ""):
        self._bucket, self._prefix = bucket, prefix

    def check(self) -> None:
        """Raises StoreError if the bucket cannot be used."""
        self._bucket.check()

    def put(self, key: str, data: bytes) -> None:
        """Writes a blob; readers see all of it or nothing."""
        self._bucket.put(self._key(key), data)

    def put_all(self, files: Mapping[str, bytes]) -> None:
        """Writes blobs, some at once."""
        self._bucket.map(lambda item: self.put(*item), files.items())

    def get(self, key: str) -> bytes | None:
        """A blob's bytes; None if it is missing or empty."""
        return self._bucket.get(self._key(key)) or None

    def open(self, key: str) -> Opened | None:
        """A blob to read from; None if it is missing or empty."""
        found = self._bucket.head(self._key(key))
        if not found or not found[0]:
            return None
        file = io.BufferedReader(_Object(self._bucket, self._key(key), *found), 2**16)
        return Opened(cast(BinaryIO, file), *found)

    def size(self, key: str) -> int | None:
        """A blob's size in bytes; None if it is missing."""
        found = self._bucket.head(self._key(key))
        return found[0] if found else None

    def sizes(self, keys: Iterable[str]) -> dict[str, int]:
        """The sizes in bytes of the blobs that there are; some are asked for at once."""
        keys = list(keys)
        return {
            key: size for key, size in zip(keys, self._bucket.map(self.size, keys), strict=True) if size is not None
        }

    def move(self, key: str, to: str) -> None:
        """Renames a blob and sets its modification date to now; does nothing if it is missing."""
        self._bucket.move(self._key(key), self._key(to))

    def delete(self, keys: Iterable[str]) -> None:
        """Deletes blobs; ignores missing ones."""
        self._bucket.delete(map(self._key, keys))

    def iterate(self) -> Iterator[Blob]:
        """Yields all blobs, page by page."""
        for prefix in ("", QUARANTINE):
            for blob, _ in self._bucket.iterate(self._prefix + prefix):
                key = blob.key.removeprefix(self._prefix)
                if KEY.fullmatch(key.removeprefix(prefix)):
                    yield blob._replace(key=key)

    def _key(self, key: str) -> str:
        if not KEY.fullmatch(key.removeprefix(QUARANTINE)):
            raise ValueError(f"not the key of a blob: {key!r}")
        return self._prefix + key


class _Object(io.RawIOBase):
    """Reads an object from any place; the request is made when the first bytes are read."""

    def __init__(self, bucket: Bucket, key: str, size: int, tag: str):
        super().__init__()
        self._bucket, self._at, self._size = bucket, (key, tag), size
        self._position, self._body = 0, None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset != self._position:
            self._drop()
            self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= self._size:
            return 0
        if self._body is None:
            self._body = self._bucket.body(*self._at, self._position)
        data = self._bucket.read(self._body, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            body.close()
