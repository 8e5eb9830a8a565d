"""Measures how long answers to questions take: through the whole app, in one process, one question after the other.

    python -m benchmarks.ask [--rounds 20]

Each question that the pages offer, and some that name a label or mean nothing, is asked about a photo answered by Auto
and about a drawing of a digit. "Computed" are the questions for which the model is asked again; their explanation is
made before, as it is stored after the first time, and its time stands in the last row. The load of the machine is
printed, because other work makes all times longer.
"""

import argparse
import io
import os
import statistics
import tempfile
import time
from collections.abc import Sequence

from flask.testing import FlaskClient
from PIL import Image

from inkling.ask import grounded
from inkling.config import ROOT, Settings
from inkling.web.app import create_app

PICTURES = (
    ("static/examples/hot-air-balloon.webp", ""),
    ("docs/examples/seven.png", "digits-cnn"),
)
COMPUTED = ("why", "change")
MORE = (
    "why not a dog?",
    "is it an 8?",
    "how good is digits-hog",
    "tell me a joke",
    "почему не собака",
    "сколько ему лет",
)


def result_of(client: FlaskClient, path: str, model: str) -> str:
    """The id of a new result of the picture in a file."""
    file = io.BytesIO()
    Image.open(ROOT / path).convert("RGB").save(file, "JPEG")
    file.seek(0)
    return client.post("/predict", data={"model": model, "image": (file, "a.jpg")}).location.rpartition("/")[2]


def milliseconds(client: FlaskClient, question: str, result: str) -> float:
    """The time that one question takes."""
    start = time.perf_counter()
    answer = client.post("/api/ask", json={"question": question, "result": result})
    spent = (time.perf_counter() - start) * 1e3
    if answer.status_code != 200:
        raise RuntimeError(f"{question!r} must be answered. Received: {answer.status_code} {answer.text[:200]}")
    return spent


def row(name: str, times: Sequence[float]) -> str:
    """A row of the table."""
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    return f"| {name} | {len(ordered)} | {statistics.median(ordered):.0f} | {p95:.0f} | {ordered[-1]:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="times that each question is asked (default 20)")
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_env({**os.environ, "INKLING_PICTURES": folder, "INKLING_RATE_LIMIT": "0"})
        app = create_app(settings)
        app.extensions["inkling"].predictor.warm()
        client = app.test_client()
        results = [result_of(client, *picture) for picture in PICTURES]
        first = [milliseconds(client, "why", result) for result in results]
        plain = [one.text for intent, one in grounded.OF_A_RESULT.items() if intent not in COMPUTED]
        asked = {
            "stored and card": [*plain, *MORE],
            "computed": [grounded.OF_A_RESULT[intent].text for intent in COMPUTED],
        }
        print("| answers | questions | median ms | 95th percentile ms | slowest ms |\n| --- " + "| --- " * 4 + "|")
        for name, questions in asked.items():
            times = [
                milliseconds(client, text, result) for _ in range(rounds) for result in results for text in questions
            ]
            print(row(name, times))
        print(row("first explanation", first))
        print(f"load of the machine (1 minute): {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
