"""How long drawings take while answers of a language model are passed on, and how long each of its words takes.

    python -m benchmarks.chat [--streams 16] [--rounds 6] [--drawings 150]

A server of this program stands for the language model: it says a word each tenth of a second, without end. In each
round drawings are sent one after the other, once without streams and once beside them, so that other load of the
machine meets both alike.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx

from benchmarks import servers
from benchmarks.bench import DRAWING

PAUSE = 0.1  # seconds between two words
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers a question until the other side has enough. Each word is the time at which it is said."""
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        while not writer.is_closing():
            chunk = {"choices": [{"delta": {"content": f"{time.perf_counter()} "}}]}
            writer.write(f"data: {json.dumps(chunk)}\n\n".encode())
            await writer.drain()
            await asyncio.sleep(PAUSE)


@contextmanager
def language_model() -> Iterator[str]:
    """The address of a server that speaks."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(speak, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()


class Listener(threading.Thread):
    """Listens to one answer, and notes how long each word took."""

    def __init__(self, url: str, stop: threading.Event):
        super().__init__(daemon=True)
        self._url, self._stop_listening, self.delays = url, stop, list[float]()
        self.open = threading.Event()
        self.start()

    def run(self) -> None:
        with httpx.stream("POST", f"{self._url}/api/chat", json={"question": "What is it?"}, timeout=60) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                now = time.perf_counter()
                if line.startswith('data: {"text"'):
                    words = json.loads(line.removeprefix("data: "))["text"].split()
                    self.delays += [now - float(word) for word in words]
                    self.open.set()
                if self._stop_listening.is_set():
                    return


def drawings(server: servers.Server, count: int) -> list[float]:
    """The seconds that each of so many drawings takes."""
    found = []
    for _ in range(count):
        start = time.perf_counter()
        server.answer(DRAWING)
        found.append(time.perf_counter() - start)
    return found


def row(name: str, times: list[float]) -> str:
    """A row of the table, in milliseconds."""
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return f"| {name} | {len(times)} | {cuts[49] * 1e3:.1f} | {cuts[94] * 1e3:.1f} | {cuts[98] * 1e3:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=16, help="answers at once (default 16)")
    parser.add_argument("--rounds", type=int, default=6, help="of both measurements (default 6)")
    parser.add_argument("--drawings", type=int, default=150, help="in each measurement (default 150)")
    arguments = parser.parse_args()
    alone, beside, words = [], [], []
    with (
        tempfile.TemporaryDirectory() as scratch,
        language_model() as url,
        servers.running(servers.INKLING, Path(scratch), DRAWING, INKLING_CHAT_URL=url) as server,
    ):
        drawings(server, 50)
        for _ in range(arguments.rounds):
            alone += drawings(server, arguments.drawings)
            stop = threading.Event()
            streams = [Listener(f"http://127.0.0.1:{server.port}", stop) for _ in range(arguments.streams)]
            for stream in streams:
                if not stream.open.wait(servers.PATIENCE):
                    raise RuntimeError("a stream did not begin")
            beside += drawings(server, arguments.drawings)
            stop.set()
            for stream in streams:
                stream.join()
                words += stream.delays
    print("| request | count | median ms | 95th percentile ms | 99th percentile ms |\n| --- " + "| --- " * 4 + "|")
    print(row("drawing", alone))
    print(row(f"drawing beside {arguments.streams} streams", beside))
    print(row("word of a stream", words))
    print(f"load of the machine (1 minute): {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
