"""Many files at once: read in threads while the network answers those before them, in batches."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from inkling import config
from inkling.config import Settings
from inkling.pictures import reading
from inkling.problems import Problem
from inkling.recognition import inputs
from inkling.recognition.predictor import Classifier, Prediction, Prepared

BATCH = 16  # pictures that are answered in one call: more are no faster
AHEAD = 2 * BATCH  # pictures that are read before the network is ready for them


class Answered(NamedTuple):
    """A file and what is said of it."""

    file: Path
    answer: Prediction | Problem
    decode: float = 0.0  # milliseconds


def files(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths` and, in order of name, all files below the folders among them.

    What a folder hides (names that begin with a dot) and what is no file (pipes, links to folders) is left out.
    """
    return [file for path in paths for file in (_below(path) if path.is_dir() else [path])]


def classify(files: Iterable[Path], name: str, classifier: Classifier, settings: Settings) -> Iterator[Answered]:
    """Answers each file, in order; never holds more than a few decoded pictures at a time.

    Raises:
        Problem: "unknown-model" or "model-unavailable".
    """
    enough = inputs.enough(classifier.card(name).input)

    def read(file: Path) -> tuple[Path, Prepared | Problem, float]:
        start, decode = time.perf_counter(), 0.0
        try:
            with file.open("rb") as stream:
                image = reading.read_stream(stream, file.name, settings, enough)
            decode = round((time.perf_counter() - start) * 1e3, 3)
            return file, classifier.prepare(image, name), decode
        except Problem as error:
            return file, error, decode
        except OSError as error:
            return file, Problem("missing", f"The file cannot be read: {error.strerror}.", file.name[:40]), decode

    pictures = _ahead(read, files, config.cores())
    while batch := list(islice(pictures, BATCH)):
        read_files, seen, decoded = zip(*batch, strict=True)
        yield from map(Answered, read_files, classifier.answer(seen, name), decoded)


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (file for name in sorted(names) if not name.startswith(".") and (file := Path(root, name)).is_file())


def _ahead(function: Callable, items: Iterable, threads: int) -> Iterator:
    """`map` in threads that work at most `AHEAD` items ahead of who takes the results."""
    with ThreadPoolExecutor(threads) as pool:
        waiting = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
