"""Measures the processor time of each stage of `POST /api/predict` for a drawing or a photo of 640 x 480.

    python -m benchmarks.profile [--requests 1000] [--model digits-cnn] [--sent png|strokes|photo]

A drawing is the same 3 as a PNG of 280 x 280 or as strokes. Without a model, Auto answers.

The benchmark calls the app in this process as gunicorn does. Each stage counts the processor time of its thread, less
the time of the stages inside it. A figure is the tenth percentile of all requests, because other work on the machine
can only add to it. The time of gunicorn and of the kernel is not included; `make bench` compares whole servers.
"""

import argparse
import io
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import wraps

import numpy as np
from flask import Flask
from flask.json.provider import DefaultJSONProvider
from tqdm import tqdm
from werkzeug.formparser import FormDataParser

from benchmarks import pictures
from inkling.config import Settings
from inkling.pictures import reading
from inkling.recognition import inputs, router, strokes
from inkling.recognition.runtimes import base
from inkling.web import jsonbodies
from inkling.web.app import create_app

WARM_UP = 50  # requests that are not counted
PERCENTILE = 10
STAGES = {  # stage -> (module or class, name) of its functions
    "read the form": [(FormDataParser, "parse")],
    "read the JSON": [(jsonbodies, "read")],
    "decode the picture": [(reading, "read_stream")],
    "strokes: check": [(strokes.Strokes, "from_body")],
    "strokes: draw": [(strokes.Strokes, "seen")],
    "photo or drawing": [(router, "is_ink")],
    "photo: resize": [(inputs, "photo")],
    "ink: find it": [(inputs, "find_ink")],
    "ink: measure the line": [(inputs, "line_width")],
    "ink: remove specks": [(inputs, "without_specks")],
    "ink: place": [(inputs, "place")],
    "ink: redraw the line": [(inputs, "redraw_line")],
    "ink: center": [(inputs, "center_by_mass")],
    "ink: the rest": [(inputs, "ink_steps")],
    "network": [(base.Answering, "answer")],
    "write the answer": [(DefaultJSONProvider, "response")],
}


class Stopwatch:
    """Records the processor time of each stage, request by request."""

    def __init__(self):
        self.stages: dict[str, list[float]] = defaultdict(list)  # stage -> microseconds of each request
        self._now: dict[str, float] = defaultdict(float)
        self._nested = [0]  # nanoseconds of the stages inside each open stage, innermost last

    def times(self, stage: str, function: Callable) -> Callable:
        """A wrapper that counts the time of a function."""

        @wraps(function)
        def timed(*args, **kwargs):
            self._nested.append(0)
            start = time.thread_time_ns()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.thread_time_ns() - start
                self._now[stage] += (took - self._nested.pop()) / 1e3
                self._nested[-1] += took

        return timed

    def lap(self) -> None:
        """Ends the request: its times are recorded."""
        for stage, took in self._now.items():
            self.stages[stage].append(took)
        self._now.clear()


def instrument(app: Flask, stopwatch: Stopwatch) -> Callable:
    """Wraps the functions of every stage, and returns the app to call."""
    for stage, places in STAGES.items():
        for owner, name in places:
            setattr(owner, name, stopwatch.times(stage, getattr(owner, name)))
    for hooks, when in ((app.before_request_funcs, "before"), (app.after_request_funcs, "after")):
        hooks[None] = [
            stopwatch.times(f"{when}: {hook.__module__.split('.')[-1]}.{hook.__name__}", hook) for hook in hooks[None]
        ]
    app.view_functions["api.predict"] = stopwatch.times("the view: the rest", app.view_functions["api.predict"])
    return stopwatch.times("Flask, Werkzeug: the rest", app)


def environ(body: bytes, kind: str, query: str) -> dict:
    """The WSGI environment that gunicorn builds for a post."""
    return {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/api/predict",
        "QUERY_STRING": query,
        "RAW_URI": f"/api/predict?{query}",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "5000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:5000",
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }


SENT: dict[str, Callable[[], tuple[bytes, str]]] = {  # -> body and content type
    "png": lambda: pictures.form(pictures.digit()),
    "strokes": pictures.strokes,
    "photo": lambda: pictures.form(pictures.photo(640, 480), "photo.jpg"),
}


def ask(app: Callable, model: str | None, body: bytes, kind: str) -> None:
    """Sends one request.

    Raises:
        RuntimeError: its status was not 200.
    """
    statuses = []
    query = f"model={model}" if model else ""
    answer = app(environ(body, kind, query), lambda status, headers, error=None: statuses.append(status))
    text = b"".join(answer)
    if statuses != ["200 OK"]:
        raise RuntimeError(f"the answer must be 200 OK. Received: {statuses}, {text.decode()}")


def report(stopwatch: Stopwatch) -> None:
    """Prints the table; the stages stand in the order in which they end."""
    found = {stage: float(np.percentile(took, PERCENTILE)) for stage, took in stopwatch.stages.items()}
    whole = sum(found.values())
    print("| stage | processor time, µs | share |\n| --- | --- | --- |")
    for stage, took in found.items():
        print(f"| {stage} | {took:.0f} | {took / whole:.0%} |")
    print(f"| all | {whole:.0f} | |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=1000, help="requests that are measured (default 1000)")
    parser.add_argument("--model", help="a model (default Auto)")
    parser.add_argument("--sent", choices=SENT, default="png", help="what is sent (default png)")
    arguments = parser.parse_args()
    os.environ.setdefault("WEB_CONCURRENCY", str(os.cpu_count()))  # as many threads as a worker has
    with tempfile.TemporaryDirectory() as scratch:
        app = create_app(
            Settings.from_env(dict(os.environ) | {"INKLING_PICTURES": scratch, "INKLING_RATE_LIMIT": "1000000"})
        )
        stopwatch = Stopwatch()
        instrumented = instrument(app, stopwatch)
        sent = SENT[arguments.sent]()
        for _ in range(WARM_UP):
            ask(instrumented, arguments.model, *sent)
            stopwatch.lap()
        stopwatch.stages.clear()
        for _ in tqdm(range(arguments.requests), leave=False):
            ask(instrumented, arguments.model, *sent)
            stopwatch.lap()
    report(stopwatch)


if __name__ == "__main__":
    main()
