"""A language model from a GGUF file, on this machine: `python -m inkling.ask.local` serves it, `serving` starts that.

It is a process of its own, because the web server forks, and the threads of llama.cpp would not survive that.
"""

import argparse
import importlib.util
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

CONTEXT = 8192  # tokens that all conversations share: the facts take about 1500 of them in English, Russian twice that
PARALLEL = 2  # answers at once; others wait in that process
STOP = 10  # seconds until a process that does not end is killed
QUIET = 1  # llama.cpp prints errors only


class CannotServe(Exception):
    """The file can't be served; the message is a sentence that says why."""


class Local(NamedTuple):
    """Where the model is."""

    url: str
    key: str  # so that nobody else on this machine can ask it


@contextmanager
def serving(file: Path, projector: Path | None = None) -> Iterator[Local]:
    """Serves a language model on a free port of the loopback address, as long as the context lasts.

    Args:
        file: in the GGUF format.
        projector: another one, with which the model sees.

    Raises:
        CannotServe: xllamacpp is not installed, or can't read a file.
    """
    if not importlib.util.find_spec("xllamacpp"):
        raise CannotServe("a local language model needs the extra [chat]: pip install 'inkling[chat]'")
    key = secrets.token_urlsafe()
    command = [sys.executable, "-m", __name__, str(file), *([str(projector)] if projector else [])]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(f"{key}\n")
        process.stdin.flush()
        if not (address := process.stdout.readline().strip()):
            raise CannotServe(f"{' or '.join(command[3:])} cannot be read as a language model")
        yield Local(f"{address}/v1", key)
    finally:
        process.stdin.close()  # which ends it; so does the end of this process, however it comes
        process.stdout.close()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main() -> None:
    """Serves a model until standard input ends. Its first line is the key; the address is printed."""
    import xllamacpp

    parser = argparse.ArgumentParser(description="Serves a language model until standard input ends.")
    parser.add_argument("file")
    parser.add_argument("projector", nargs="?")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C ends the web server first, which still passes on answers
    params = xllamacpp.CommonParams()
    params.model.path = given.file
    if given.projector:
        params.mmproj.path = given.projector
    params.api_keys = [sys.stdin.readline().strip()]
    params.n_ctx, params.n_parallel, params.kv_unified = CONTEXT, PARALLEL, True
    params.offline, params.ui, params.endpoint_slots = True, False, False
    params.verbosity = QUIET
    try:
        server = xllamacpp.Server(params)
    except RuntimeError:
        sys.exit(1)  # llama.cpp has printed why
    print(server.listening_address, flush=True)
    sys.stdin.read()
    del server


if __name__ == "__main__":
    main()
