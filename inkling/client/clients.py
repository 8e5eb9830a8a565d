"""The two clients. Their methods, one for each operation of the API, are in `operations`."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from .operations import AsyncOperations, Operations
from .shapes import Result
from .transport import Call, Forbidden, NotFound, Picture, Refused, Unauthorized, Unreachable

ATTEMPTS = 4
TIMEOUT = 60.0  # seconds to connect, and between two parts of a request or a response
AT_ONCE = 4  # requests of `classify`
CONCERNS_ALL = (Unauthorized, Forbidden, NotFound)  # of these errors, all pictures would get the same

P = TypeVar("P", bound=Picture)
Progress = Callable[[int, int], object]


class Client(Operations):
    """A client for one server; threads may share it. Close it, or use it in a `with` block.

    Args:
        url: the server's address, such as "https://inkling.example.org".
        token: a secret that `inkling tokens add` printed.
        attempts: how often a call is sent at most, if it may be repeated.
        timeout: seconds to connect, and between two parts of a request or a response.
        transport: replaces the network, for tests.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        attempts: int = ATTEMPTS,
        timeout: float = TIMEOUT,
        transport: httpx.BaseTransport | None = None,
    ):
        self._http = httpx.Client(base_url=url, headers=_headers(token), timeout=timeout, transport=transport)
        self._attempts = attempts

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def classify(
        self,
        pictures: Sequence[P],
        model: str | None = None,
        top: int | None = None,
        *,
        at_once: int = AT_ONCE,
        progress: Progress | None = None,
    ) -> Iterator[tuple[P, Result | Refused | OSError]]:
        """Yields each picture with its answer, or with the error for which it has none, in their order.

        An `OSError` says why a file cannot be read.

        Args:
            at_once: number of requests that are sent at once.
            progress: is called with the number of pictures done and of all.

        Raises:
            InklingError: one that concerns all pictures: the server cannot be reached, or refuses the token or the
                model.
        """

        def one(picture: P) -> Result | Refused | OSError:
            try:
                return self.predict(picture, model=model, top=top)
            except Refused as error:
                if isinstance(error, CONCERNS_ALL):
                    raise
                return error
            except OSError as error:
                return error

        with ThreadPoolExecutor(at_once) as threads:
            running = deque((picture, threads.submit(one, picture)) for picture in pictures[: 2 * at_once])
            rest = iter(pictures[2 * at_once :])
            try:
                for done in range(1, len(pictures) + 1):
                    picture, future = running.popleft()
                    answer = future.result()
                    for following in rest:
                        running.append((following, threads.submit(one, following)))
                        break
                    if progress:
                        progress(done, len(pictures))
                    yield picture, answer
            finally:
                threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, call: Call) -> Any:
        for attempt in range(1, self._attempts + 1):
            outcome: httpx.Response | httpx.TransportError
            with call.request() as arguments:
                try:
                    outcome = self._http.request(**arguments)
                except httpx.TransportError as error:
                    outcome = error
            wait = call.wait(outcome, attempt) if attempt < self._attempts else None
            if wait is None:
                break
            time.sleep(wait)
        return _read(call, outcome)


class AsyncClient(AsyncOperations):
    """`Client` for asyncio. Close it, or use it in an `async with` block.

    Args:
        url, token, attempts, timeout, transport: as for `Client`.
    """

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        attempts: int = ATTEMPTS,
        timeout: float = TIMEOUT,
        transport: httpx.AsyncBaseTransport | None = None,
    ):
        self._http = httpx.AsyncClient(base_url=url, headers=_headers(token), timeout=timeout, transport=transport)
        self._attempts = attempts

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def classify(
        self,
        pictures: Sequence[P],
        model: str | None = None,
        top: int | None = None,
        *,
        at_once: int = AT_ONCE,
        progress: Progress | None = None,
    ) -> AsyncIterator[tuple[P, Result | Refused | OSError]]:
        """As `Client.classify`."""

        async def one(picture: P) -> Result | Refused | OSError:
            try:
                return await self.predict(picture, model=model, top=top)
            except Refused as error:
                if isinstance(error, CONCERNS_ALL):
                    raise
                return error
            except OSError as error:
                return error

        running = deque((picture, asyncio.create_task(one(picture))) for picture in pictures[:at_once])
        rest = iter(pictures[at_once:])
        try:
            for done in range(1, len(pictures) + 1):
                picture, task = running.popleft()
                answer = await task
                for following in rest:
                    running.append((following, asyncio.create_task(one(following))))
                    break
                if progress:
                    progress(done, len(pictures))
                yield picture, answer
        finally:
            for _, task in running:
                task.cancel()

    async def _send(self, call: Call) -> Any:
        for attempt in range(1, self._attempts + 1):
            outcome: httpx.Response | httpx.TransportError
            with call.request() as arguments:
                try:
                    outcome = await self._http.request(**arguments)
                except httpx.TransportError as error:
                    outcome = error
            wait = call.wait(outcome, attempt) if attempt < self._attempts else None
            if wait is None:
                break
            await asyncio.sleep(wait)
        return _read(call, outcome)


def _headers(token: str | None) -> dict[str, str]:
    """Headers of all requests."""
    return {"User-Agent": "inkling-client"} | ({"Authorization": f"Bearer {token}"} if token else {})


def _read(call: Call, outcome: httpx.Response | httpx.TransportError) -> Any:
    if isinstance(outcome, httpx.TransportError):
        raise Unreachable(f"The server cannot be reached: {outcome or type(outcome).__name__}.") from outcome
    return call.read(outcome)
