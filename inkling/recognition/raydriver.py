"""The process that asks a Ray cluster for one worker: `python -m inkling.recognition.raydriver DESCRIPTOR ADDRESS`.

It connects, tells so, and passes on what the worker asks until the worker ends. Messages are a header in JSON and the
bytes of an array, as in `inkling.pictures.sandbox`.
"""

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from inkling.pictures.sandbox import receive, send
from inkling.problems import Problem

APP = "inkling"  # the name of the application in the cluster: deploy/ray/serve.yaml
CONNECT_SECONDS = 60.0


class Full(Exception):
    """More questions wait for replicas than may."""


def main() -> None:
    connection = Connection(int(sys.argv[1]))
    loop = asyncio.new_event_loop()
    questions = Questions(connection, loop)
    threading.Thread(target=questions.receive, daemon=True).start()  # ends this process when the worker ends
    timer = threading.Timer(CONNECT_SECONDS, questions.fail, ["there is no connection"])
    timer.daemon = True
    timer.start()
    try:
        questions.handle = connect(sys.argv[2])
    except Exception as error:  # whatever it is, the worker goes on without a cluster
        questions.fail(_first_line(error))
    timer.cancel()
    send(connection, {"connected": True}, b"")
    loop.run_forever()


def connect(address: str) -> Any:
    """The handle of the application.

    Raises:
        Exception: there is no cluster, or no such application in it.
    """
    import ray
    from ray import serve

    ray.init(address=address or "auto", log_to_driver=False, logging_level=logging.ERROR)
    return serve.get_app_handle(APP)


class Questions:
    """Receives questions, and sends each answer when it is there.

    Args:
        connection: to the worker.
        loop: runs `ask`.

    Attributes:
        handle: of the application.
    """

    def __init__(self, connection: Connection, loop: asyncio.AbstractEventLoop):
        self._connection, self._loop = connection, loop
        self._sending = threading.Lock()
        self._tasks: set[asyncio.Task] = set()
        self.handle: Any = None

    def receive(self) -> None:
        """Begins to answer each question that arrives."""
        try:
            while True:
                header, data = receive(self._connection)
                seen = np.frombuffer(data, np.uint8).reshape(header["shape"])
                self._loop.call_soon_threadsafe(self._begin, header, seen)
        except (EOFError, OSError):
            os._exit(0)

    def fail(self, message: str) -> None:
        """Tells the worker why this process cannot go on, and ends it."""
        self._send({"failed": message}, b"")
        os._exit(1)

    def _begin(self, header: dict, seen: np.ndarray) -> None:
        task = self._loop.create_task(self._answer(header, seen))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, header: dict, seen: np.ndarray) -> None:
        number: dict[str, Any] = {"number": header["number"]}
        try:
            outputs = await ask(self.handle, header["model"], seen, header["seconds"])
        except Problem as problem:
            self._send(number | {"refused": problem.message}, b"")  # `str` would be Ray's report of the replica
        except Full as error:
            self._send(number | {"busy": _first_line(error)}, b"")
        except Exception as error:
            self._send(number | {"away": _first_line(error)}, b"")
        else:
            shapes = {name: values.shape for name, values in outputs.items()}
            self._send(number | {"shapes": shapes}, b"".join(values.tobytes() for values in outputs.values()))

    def _send(self, header: dict, data: bytes) -> None:
        with self._sending:
            send(self._connection, header, data)


async def ask(handle: Any, model: str, seen: np.ndarray, seconds: float) -> dict[str, np.ndarray]:
    """A network's outputs by name, each float32 [n, ...].

    Args:
        model: the version of the model.
        seen: uint8 [n, height, width, channels].

    Raises:
        Full: too many questions wait.
        Problem: the replica does not have this version, or its network failed.
        Exception: there is no answer.
    """
    from ray.exceptions import RayActorError
    from ray.serve.exceptions import BackPressureError

    ask_once: Callable = handle.options(multiplexed_model_id=model).remote
    try:
        async with asyncio.timeout(seconds):
            with suppress(RayActorError):  # the replica died; the next one is another
                return await ask_once(seen)
            return await ask_once(seen)
    except BackPressureError as error:
        raise Full(str(error)) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


if __name__ == "__main__":
    main()
