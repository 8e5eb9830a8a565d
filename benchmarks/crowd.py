"""How long others wait while many clients hold connections of a server that no proxy protects; fails above a second.

    python -m benchmarks.crowd [--seconds 30] [--silent 240] [--begun 240] [--half 240] [--slow 64]
    python -m benchmarks.crowd --silent 0 --begun 0 --half 0 --slow 0 --full 600 [--field 8190]

Silent clients send nothing. The others send a byte each second: of the request line (begun), of a header (half-headed),
of a picture (slow), or of the last header of a head that is as large as the server's limits on lines allow (full). A
connection that the server closes is opened again at once. Meanwhile one client asks for /healthz and sends a drawing,
in turns, each over a new connection.
"""

import argparse
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from tqdm import tqdm

from benchmarks import pictures, servers
from benchmarks.bench import DRAWING
from inkling.web.server import HEADERS

LIMIT = 1.0  # seconds
HEALTH = servers.get("/healthz")
BEGUN = b"GET /"
HALF = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "
PHOTO = servers.post("/api/predict?model=cats-dogs-mobilenet", *pictures.form(pictures.photo(640, 480), "photo.jpg"))
SLOW = PHOTO[: len(PHOTO) // 2]


class Crowd:
    """Clients that hold connections. As a context, it opens them all before it begins.

    Args:
        silent, begun, half, slow, full: numbers of clients of each kind.
        field: bytes of each header of the full ones.
    """

    def __init__(
        self, port: int, silent: int = 0, begun: int = 0, half: int = 0, slow: int = 0, full: int = 0, field: int = 0
    ):
        self._port = port
        self._said = [b""] * silent + [BEGUN] * begun + [HALF] * half + [SLOW] * slow + [full_head(field)] * full
        self._clients: list[socket.socket] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._hold, daemon=True)

    def __enter__(self) -> Self:
        self._clients = [self._connect(said) for said in self._said]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for client in self._clients:
            client.close()

    def _connect(self, said: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self._port), timeout=servers.PATIENCE)
        with suppress(OSError):  # closed already
            client.sendall(said)
        client.setblocking(False)
        return client

    def _hold(self) -> None:
        while not self._stop.wait(1):
            for i, said in enumerate(self._said):
                if _is_closed(self._clients[i]):
                    self._clients[i].close()
                    self._clients[i] = self._connect(said)
                elif said:
                    with suppress(OSError):
                        self._clients[i].send(b"x")


def full_head(field: int) -> bytes:
    """The largest head that the server reads, without its end."""
    lines = (f"X-{number}: ".ljust(field, "x") for number in range(HEADERS - 1))
    return "\r\n".join(["GET / HTTP/1.1", *lines, "X-Slow: "]).encode()


def _is_closed(client: socket.socket) -> bool:
    """Whether the server has closed the connection, maybe after an answer."""
    try:
        client.recv(2**16)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def threads_and_memory(server: servers.Server) -> tuple[int, float]:
    """The threads of all workers, and their private memory in MB."""
    return (
        sum(len(os.listdir(f"/proc/{pid}/task")) for pid in server.workers),
        sum(servers.memory(pid)["Private_Dirty"] for pid in server.workers),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30, help="length of the measurement (default 30)")
    parser.add_argument("--silent", type=int, default=240, help="clients that send nothing (default 240)")
    parser.add_argument("--begun", type=int, default=240, help="clients that send half a request line (default 240)")
    parser.add_argument("--half", type=int, default=240, help="clients that send half a head (default 240)")
    parser.add_argument("--slow", type=int, default=64, help="clients that send a picture slowly (default 64)")
    parser.add_argument("--full", type=int, default=0, help="clients that send a head of many headers (default 0)")
    parser.add_argument("--field", type=int, default=8190, help="bytes that a header may have (default 8190)")
    arguments = parser.parse_args()
    counts = {kind: getattr(arguments, kind) for kind in ("silent", "begun", "half", "slow", "full")}
    found: dict[str, list[float]] = {"/healthz": [], "drawing": []}
    with (
        tempfile.TemporaryDirectory() as scratch,
        servers.running(
            servers.INKLING, Path(scratch), DRAWING, GUNICORN_CMD_ARGS=f"--limit-request-field_size {arguments.field}"
        ) as server,
    ):
        for _ in range(100):  # each worker has answered, and has its usual threads
            server.answer(DRAWING)
        before = threads_and_memory(server)
        alone = seconds(lambda: server.answer(DRAWING))
        with (
            Crowd(server.port, **counts, field=arguments.field),
            tqdm(total=arguments.seconds, desc="asking", leave=False) as bar,
        ):
            end = time.perf_counter() + arguments.seconds
            while time.perf_counter() < end:
                found["/healthz"].append(seconds(lambda: server.answer(HEALTH)))
                found["drawing"].append(seconds(lambda: server.answer(DRAWING)))
                bar.update(min(arguments.seconds, arguments.seconds - end + time.perf_counter()) - bar.n)
                time.sleep(0.1)
            after = threads_and_memory(server)
    print(
        f"{', '.join(f'{count} {kind}' for kind, count in counts.items() if count)} clients on "
        f"{os.cpu_count()} cores; a drawing took {alone * 1e3:.0f} ms without them. All workers together had "
        f"{after[0] - before[0]} more threads and {after[1] - before[1]:.1f} MB more with them.\n"
    )
    print("| request | answers | median, ms | slowest, ms |\n| --- | --- | --- | --- |")
    for name, times in found.items():
        print(f"| {name} | {len(times)} | {statistics.median(times) * 1e3:.0f} | {max(times) * 1e3:.0f} |")
    if max(map(max, found.values())) > LIMIT:
        sys.exit(f"An answer took more than {LIMIT:g} s.")


if __name__ == "__main__":
    main()
