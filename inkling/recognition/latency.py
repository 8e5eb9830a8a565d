"""How long each model takes for one picture on this machine: measured once a process, in the background."""

import atexit
import statistics
import threading
import time

from PIL import Image, ImageDraw

from inkling.problems import Problem
from inkling.recognition.predictor import Classifier

RUNS = 31
SECONDS = 1.0  # of work for one model, at most
DELAY = 2.0  # seconds until the first run, so that the first answers have the processor to themselves


class Stopwatch:
    """Measures every model's median time for one picture, preparing left out, after `start`.

    Each process measures its own models, under whatever else the machine does meanwhile.
    """

    def __init__(self):
        self.milliseconds: dict[str, float] = {}  # model -> median
        self.done = False
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self, classifier: Classifier, delay: float = DELAY) -> None:
        """Begins to measure in the background; does nothing when called again."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._measure, args=(classifier, delay), name="stopwatch", daemon=True
                )
                self._thread.start()
                # A thread inside a model while the interpreter goes away would crash it.
                atexit.register(self.stop)

    def stop(self) -> None:
        """Ends the measuring after the run that is under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)

    def _measure(self, classifier: Classifier, delay: float) -> None:
        try:
            self._stop.wait(delay)
            for name in classifier.catalog.models:
                if self._stop.is_set():
                    break
                times = self._times(classifier, name)
                if times:
                    self.milliseconds[name] = statistics.median(times)
        finally:
            self.done = True

    def _times(self, classifier: Classifier, name: str) -> list[float]:
        """Milliseconds of single runs; none where the model cannot be opened."""
        picture, times = _picture(), []
        try:
            classifier.classify_one(picture, name)  # opens the model, and is slower than those that follow
            while len(times) < RUNS and sum(times) < SECONDS * 1e3 and not self._stop.is_set():
                start = time.perf_counter()
                times.append(classifier.classify_one(picture, name).milliseconds["infer"])
                self._stop.wait(time.perf_counter() - start)  # rests as long as it worked, for those who ask meanwhile
        except Problem:
            pass
        return times


def _picture() -> Image.Image:
    """Paper with one stroke: as blank as a drawing may be."""
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).line([(32, 12), (32, 52)], "black", 4)
    return image
