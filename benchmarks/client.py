"""A load generator: each connection sends its next request as soon as the last one is answered.

    python -m benchmarks.client PORT CONNECTIONS SECONDS < REQUEST

It is one process with one thread and keeps its raw sockets open, so that it uses little processor time. When the time
is over, it waits for the answers that are due, so that the server has nothing left to do. It prints JSON: elapsed
seconds, its own processor seconds, the number of answers by status, the milliseconds of each, and the number of answers
that came later, which are not among the former.
"""

import json
import selectors
import socket
import sys
import time
from collections import Counter


class Connection:
    """One connection, which sends the same request again and again."""

    def __init__(self, port: int, request: bytes):
        self._port, self._request = port, request
        self.socket = self._connect()

    def _connect(self) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def ask(self) -> None:
        self._answer, self._length = b"", None
        self._began = time.perf_counter()
        self.socket.sendall(self._request)

    def read(self) -> tuple[int, float] | None:
        """Reads the bytes that have arrived, and returns (status, milliseconds) when the answer is complete.

        Raises:
            ConnectionError: the server closed the connection in the middle of an answer.
        """
        chunk = self.socket.recv(2**16)
        if not chunk:
            raise ConnectionError(f"the server closed a connection. Received: {self._answer[:200]!r}")
        self._answer += chunk
        if self._length is None and (end := self._answer.find(b"\r\n\r\n")) >= 0:
            self._head = self._answer[:end].lower()
            self._length = end + 4 + int(self._head.partition(b"\r\ncontent-length:")[2].split(b"\r\n")[0])
        if self._length is None or len(self._answer) < self._length:
            return None
        return int(self._head[9:12]), (time.perf_counter() - self._began) * 1e3

    @property
    def closing(self) -> bool:
        """Whether the server announced that it closes the connection after this answer."""
        return b"\r\nconnection: close" in self._head

    def ask_again(self, selector: selectors.BaseSelector) -> None:
        """Sends the request again, over a new socket if the server closes this one."""
        if self.closing:
            selector.unregister(self.socket)
            self.socket.close()
            self.socket = self._connect()
            selector.register(self.socket, selectors.EVENT_READ, self)
        self.ask()


def drive(port: int, connections: int, seconds: float, request: bytes) -> dict:
    """Loads a server for some seconds and returns the figures that the module prints."""
    selector, milliseconds, statuses = selectors.DefaultSelector(), [], Counter()
    start, used = time.perf_counter(), time.process_time()
    for _ in range(connections):
        connection = Connection(port, request)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.ask()
    while time.perf_counter() - start < seconds:
        for key, _ in selector.select(1):
            if answer := key.data.read():
                statuses[answer[0]] += 1
                milliseconds.append(round(answer[1], 3))
                key.data.ask_again(selector)
    figures = {
        "seconds": time.perf_counter() - start,
        "own": time.process_time() - used,
        "statuses": statuses,
        "milliseconds": milliseconds,
        "late": len(selector.get_map()),
    }
    while selector.get_map():
        for key, _ in selector.select(1):
            if key.data.read():
                selector.unregister(key.fileobj)
    return figures


if __name__ == "__main__":
    print(json.dumps(drive(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.stdin.buffer.read())))
