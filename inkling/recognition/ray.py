"""A predictor whose networks are computed by the replicas of a Ray cluster (deploy/ray).

Pictures are decoded and prepared here; what travels is the input of a network, and back come its outputs. All that
follows is as in `LocalPredictor`: calibration, familiarity, the small networks that continue a backbone.

Ray ends the process that uses it when the cluster's head has been away for a minute. So a process of its own uses it,
`raydriver`, one for each worker, which starts it at first use and so after any fork. It is never waited for longer
than the settings allow: what the cluster does not answer, the worker computes by itself.
"""

import hashlib
import itertools
import logging
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Pipe
from pathlib import Path

import numpy as np

from inkling import config
from inkling.breaker import CircuitBreaker
from inkling.config import Settings
from inkling.pictures.sandbox import receive, send
from inkling.problems import Problem
from inkling.recognition import inputs
from inkling.recognition.card import InputSpec, ModelCard
from inkling.recognition.catalog import Catalog, Model
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Predictor, Prepared
from inkling.recognition.runtimes.base import Answer, Runtime, finite, joined

LOG = logging.getLogger(__name__)
IMPORT_FOLDER = Path(__file__).resolve().parents[2]  # where `inkling` lies
BATCH = 8  # pictures in one message: fewer would leave a replica waiting for the next, more would keep others idle
TOGETHER = 4  # messages of one call that are on their way
CONNECT_SECONDS = 10.0  # that the first answer waits for the connection; later ones are computed here meanwhile
RESTART_SECONDS = 15.0  # between the starts of two driver processes, each of which takes a second of a core
DRIVER = "inkling.recognition.raydriver"


class Away(Exception):
    """The cluster does not answer now."""


class Refused(Exception):
    """A replica answered that it cannot compute this network."""


def version(card: ModelCard) -> str:
    """A name that tells a model, and the version of it, from all others: "digits-cnn@0123456789abcdef"."""
    return f"{card.name}@{hashlib.sha256(card.model_dump_json().encode()).hexdigest()[:16]}"


def outputs(predictor: Predictor, model: Model, seen: np.ndarray) -> dict[str, np.ndarray]:
    """What a replica answers: the outputs of a network by name, as in `Answer`, without those that it does not have.

    Args:
        seen: uint8 [n, height, width, channels].

    Returns:
        for each output float32 [n, ...].

    Raises:
        Problem: "model-unavailable".
    """
    pictures = [Prepared(picture) for picture in seen]
    predictor.answer(pictures, model)
    answer = joined([answer for picture in pictures for answer in picture.answers.values()])
    return {name: np.ascontiguousarray(values) for name, values in answer._asdict().items() if values is not None}


class RayPredictor(LocalPredictor):
    """A `LocalPredictor` whose networks are remote, and opened here only when the cluster is away.

    Reduced precision is never used: the replicas' INKLING_PRECISION decides.
    """

    def __init__(self, catalog: Catalog, settings: Settings, roots: Sequence[Path] = ()):
        super().__init__(catalog, settings, roots)
        self._link = Link(settings)
        self._turns = threading.BoundedSemaphore(config.cores())

    @property
    def away(self) -> str | None:
        """Why answers are computed here at the moment; None while the cluster answers."""
        return self._link.failure

    def _open_backbone(self, model: Model) -> Runtime:
        return self._open(model)

    def _new_network(self, model: Model) -> Runtime:
        return RemoteRuntime(model.card, self._link, partial(super()._new_network, model), self._turns)

    def _batches(self, pictures: Sequence[Prepared], spec: InputSpec) -> Iterator[np.ndarray]:
        """Pictures as `RemoteRuntime` takes them: uint8 [n, height, width, channels]."""
        for start in range(0, len(pictures), BATCH):
            yield np.stack([picture.seen for picture in pictures[start : start + BATCH]])


class RemoteRuntime(Runtime):
    """A network that replicas compute. It takes uint8 [n, height, width, channels], which is not scaled yet.

    Args:
        open_here: opens the same network in this process.
        turns: as many as may compute here at once.

    Raises:
        Problem: "busy".
        ValueError: as `Runtime`.
    """

    def __init__(self, card: ModelCard, link: "Link", open_here: Callable[[], Runtime], turns: threading.Semaphore):
        self._link, self._version, self._open_here, self._turns = link, version(card), open_here, turns
        self._here: Runtime | None = None
        self._opening = threading.Lock()
        self._refused = False
        super().__init__(_none, card)

    def answer_all(self, batches: Iterable[np.ndarray]) -> Answer:
        """The answer to the pictures of all batches, some of which are asked at once.

        Raises:
            Problem: "busy": the cluster has too many questions, or is away and this machine has too many.
            ValueError: the network answered with numbers that are not finite.
            RuntimeError: the library failed here.
        """
        first, *others = batches
        if not others:
            return self.answer(first)
        with ThreadPoolExecutor(TOGETHER) as pool:
            return joined(list(pool.map(self.answer, [first, *others])))

    def answer(self, batch: np.ndarray) -> Answer:
        try:
            return finite(self._link.ask(self._version, batch))
        except Away:
            pass  # the link has logged it
        except Refused as refusal:
            if not self._refused:
                LOG.warning("%s is computed here: %s", self._version, refusal)
            self._refused = True
        return self._answer_here(batch)

    def _answer_here(self, batch: np.ndarray) -> Answer:
        """Computes in this process, where as many may as there are cores.

        Raises:
            Problem: "busy": others still do after the time that a replica would have had, or the network cannot be
                opened here. It is not switched off for that, because the replicas may have it.
        """
        if not self._turns.acquire(timeout=self._link.seconds):
            raise _busy("The cluster that computes answers is away, and this server is busy.")
        try:
            with self._opening:
                if self._here is None:
                    self._here = self._open_here()
        except ValueError as error:
            LOG.warning("%s cannot be opened here either: %s", self._version, error)
            raise _busy("The cluster that computes this model's answers is away.") from error
        else:
            return self._here.answer_all([inputs.scale(batch, self._card.input.scaling)])
        finally:
            self._turns.release()

    def _answer_black(self) -> Answer:
        spec = self._card.input
        return self.answer(np.zeros((1, spec.height, spec.width, spec.channels), np.uint8))


def _busy(message: str) -> Problem:
    return Problem("busy", f"{message} Try again in a few seconds.")


def _none(_batch: np.ndarray) -> Sequence[np.ndarray]:
    raise NotImplementedError("a remote runtime has no network of its own")


# ---- The connection ----


class Link:
    """Asks the cluster, through a driver process that is replaced when it ends.

    While the cluster does not answer, one question at a time finds out whether it does again, after delays that grow;
    all others fail at once.
    """

    def __init__(self, settings: Settings):
        self.seconds = settings.ray_seconds
        self._address = settings.ray_address
        self._breaker = CircuitBreaker("Ray", Away)
        self._lock = threading.Lock()
        self._driver: Driver | None = None
        self._end = weakref.finalize(self, int)  # of the driver, with this link

    @property
    def failure(self) -> str | None:
        """Why the cluster does not answer; None while it does."""
        return self._breaker.last_failure

    def ask(self, model: str, seen: np.ndarray) -> Answer:
        """What a network answers.

        Args:
            model: its version.
            seen: uint8 [n, height, width, channels].

        Raises:
            Away: the cluster does not answer, or not in time.
            Refused: no replica has this version, or its network failed.
            Problem: "busy".
        """
        with self._breaker.guard():
            header, data = self._connected().ask({"model": model, "shape": seen.shape}, seen, self.seconds)
            if "away" in header:
                raise Away(header["away"])
        if "busy" in header:
            raise _busy("The cluster that computes answers is busy.")
        if "refused" in header:
            raise Refused(header["refused"])
        return _answer(header["shapes"], data)

    def _connected(self) -> "Driver":
        """A driver that is connected.

        Raises:
            Away: it is not.
        """
        with self._lock:
            driver = self._driver
            if driver is None or (driver.failure and driver.started + RESTART_SECONDS < time.monotonic()):
                driver = self._driver = Driver(self._address, 0 if driver else CONNECT_SECONDS)
                self._end.detach()
                self._end = weakref.finalize(self, driver.close)
        driver.wait()
        return driver


def _answer(shapes: dict[str, Sequence[int]], data: memoryview) -> Answer:
    """The answer in a message: for each output its shape, and the numbers of all, one after the other."""
    numbers = np.frombuffer(data, np.float32)
    ends = itertools.accumulate(int(np.prod(shape)) for shape in shapes.values())
    parts = np.split(numbers, list(ends)[:-1])
    return Answer(**{name: part.reshape(shapes[name]) for name, part in zip(shapes, parts, strict=True)})


class Driver:
    """One driver process and the connection to it.

    Args:
        address: of the cluster; empty for the one that this machine belongs to.
        waits: seconds that questions may wait for it to connect, all together.

    Attributes:
        started: when, by the monotonic clock.
        failure: why it ended; None while it runs.
    """

    def __init__(self, address: str, waits: float):
        self.failure: str | None = None
        self._connection, theirs = Pipe()
        self.started = time.monotonic()
        self._until = self.started + waits
        self._ready = threading.Event()  # that it is connected, or has failed
        self._sending = threading.Lock()
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[tuple[dict, memoryview]]] = {}
        try:
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", DRIVER, str(theirs.fileno()), address],
                    env=_environment(),
                    pass_fds=[theirs.fileno()],
                    process_group=0,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
        except OSError as error:
            raise Away(f"no process can be started: {error.strerror}") from error
        threading.Thread(target=self._receive, name="ray", daemon=True).start()

    def wait(self) -> None:
        """Waits until it is connected, if questions may still wait.

        Raises:
            Away: it is not connected.
        """
        connected = self._ready.wait(max(0.0, self._until - time.monotonic()))
        if self.failure or not connected:
            raise Away(self.failure or "it is not connected yet")

    def ask(self, header: dict, seen: np.ndarray, seconds: float) -> tuple[dict, memoryview]:
        """The header and the numbers of the answer.

        Raises:
            Away: there is none after so many seconds, or the process ended.
        """
        number, future = next(self._numbers), Future[tuple[dict, memoryview]]()
        self._waiting[number] = future
        try:
            if self.failure:  # noted before the futures are failed, so that none is forgotten
                raise Away(self.failure)
            with self._sending:
                send(self._connection, header | {"number": number, "seconds": seconds}, seen.tobytes())
            return future.result(seconds)
        except TimeoutError as error:
            raise Away(f"there was no answer within {seconds} s") from error
        except (OSError, ValueError) as error:  # it is closed
            raise Away(self.failure or str(error)) from error
        finally:
            self._waiting.pop(number, None)

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()

    def _receive(self) -> None:
        """Passes answers on until the process ends."""
        failure = "the process that asks it has ended"
        try:
            while True:
                header, data = receive(self._connection)
                if "number" in header:
                    if future := self._waiting.get(header["number"]):
                        future.set_result((header, data))
                elif "failed" in header:
                    failure = header["failed"]
                else:
                    self._ready.set()
        except (EOFError, OSError, ValueError):
            pass
        self.failure = failure
        self._ready.set()
        self.close()
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_exception(Away(failure))


def _environment() -> dict[str, str]:
    """This environment without Inkling's settings, some of which are secret; Ray's reports of usage are off."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("INKLING_")}
    path = [str(IMPORT_FOLDER), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"RAY_USAGE_STATS_ENABLED": "0"} | ours | {"PYTHONPATH": os.pathsep.join(path)}
