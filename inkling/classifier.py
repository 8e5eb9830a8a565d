"""Picture + model name -> `Prediction`; the one way in, for pages, API and command line."""

import os
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from inkling import pixels, runtime
from inkling.catalog import Catalog, Model, ModelCard
from inkling.intake import Rejected
from inkling.settings import Settings

PROBABLY = 0.75  # below the threshold, but right three times in four


@dataclass(frozen=True)
class Prediction:
    """What one model says of one picture."""

    model: str
    task: str
    labels: tuple[str, ...]
    probabilities: np.ndarray  # float32 [labels], calibrated
    threshold: float
    seen: np.ndarray  # uint8 [height, width, channels]: what the model got
    milliseconds: dict[str, float]  # stage -> time; those of a batch are shared evenly
    familiarity: float | None = None  # how much it looks like what the model learned from, where the model tells
    familiar: float | None = None  # below it the picture is likely none of the labels

    @property
    def label(self) -> str:
        return self.labels[int(self.probabilities.argmax())]

    @property
    def confidence(self) -> float:
        return float(self.probabilities.max())

    @property
    def sure(self) -> bool:
        return self.known and self.confidence >= self.threshold

    @property
    def known(self) -> bool:
        return self.familiar is None or self.familiarity >= self.familiar

    @property
    def wording(self) -> str:
        return wording(self.confidence, self.sure, self.known)

    def ranked(self, top: int | None = None) -> list[tuple[str, float]]:
        """(label, probability), most likely first; at most `top` of them."""
        order = np.argsort(-self.probabilities, kind="stable")[:top]
        return [(self.labels[i], float(self.probabilities[i])) for i in order]


def wording(confidence: float, sure: bool, known: bool = True) -> str:
    """How sure, in words: "sure", "probably" or "not sure", which is all that is said of an unknown thing."""
    return "sure" if sure else "probably" if known and confidence >= PROBABLY else "not sure"


class Classifier:
    """The models of a catalog, each opened once a process, at its first use or by `warm`."""

    def __init__(self, catalog: Catalog, settings: Settings):
        self.catalog = catalog
        self.broken = dict(catalog.broken)  # model -> why it cannot be served
        self._settings = settings
        self._opened: dict[str, runtime.Runtime] = {}
        self._lock = threading.Lock()

    def card(self, name: str) -> ModelCard:
        """The card of a model.

        Raises:
            Rejected: "unknown-model", or "model-unavailable" when its card is broken.
        """
        if name in self.catalog.models:
            return self.catalog.models[name].card
        if name in self.broken:
            raise self._unavailable(name)
        known = ", ".join(self.catalog.models) or "none"
        raise Rejected("unknown-model", f"There is no model {name[:64]!r}. Available: {known}.", name[:40])

    def warm(self) -> None:
        """Opens every model now; what cannot be opened is noted in `broken`."""
        for name in self.catalog.models:
            try:
                self._open(name)
            except Rejected:
                continue

    def classify(self, images: Sequence[Image.Image], name: str) -> list[Prediction | Rejected]:
        """Classifies upright RGB pictures in one batch.

        Returns:
            for each picture its prediction, or `Rejected("blank")` where there was nothing to see.

        Raises:
            Rejected: "unknown-model" or "model-unavailable".
        """
        card = self.card(name)
        model = self._open(name)
        start = time.perf_counter()
        seen = [_prepared(image, card) for image in images]
        good = [picture for picture in seen if not isinstance(picture, Rejected)]
        prepared = time.perf_counter()
        answers = iter(())
        if good:
            batch = pixels.scale(np.stack(good), card.input.scaling)
            answer = model.answer(batch)
            familiarity = [None] * len(good) if answer.familiarity is None else answer.familiarity.tolist()
            answers = zip(runtime.tempered(answer.probabilities, card.temperature), familiarity, strict=True)
        end = time.perf_counter()
        milliseconds = {
            "prepare": round((prepared - start) * 1e3 / len(images), 3),
            "infer": round((end - prepared) * 1e3 / max(len(good), 1), 3),
        }

        def prediction(picture: np.ndarray) -> Prediction:
            probabilities, familiarity = next(answers)
            return Prediction(name, card.task, card.labels, probabilities, card.threshold, picture, milliseconds,
                              familiarity, card.familiar)

        return [picture if isinstance(picture, Rejected) else prediction(picture) for picture in seen]

    def classify_one(self, image: Image.Image, name: str) -> Prediction:
        """One picture's prediction.

        Raises:
            Rejected: "blank", "unknown-model" or "model-unavailable".
        """
        (answer,) = self.classify([image], name)
        if isinstance(answer, Rejected):
            raise answer
        return answer

    def _open(self, name: str) -> runtime.Runtime:
        if name in self._opened:
            return self._opened[name]
        with self._lock:
            if name in self.broken:
                raise self._unavailable(name)
            if name not in self._opened:
                try:
                    self._opened[name] = self._runtime(self.catalog.models[name])
                except ValueError as error:
                    self.broken[name] = str(error)
                    raise self._unavailable(name) from error
            return self._opened[name]

    def _runtime(self, model: Model) -> runtime.Runtime:
        if self._settings.runtime == "keras":
            return runtime.open_keras(model)
        threads = self._settings.threads or max(1, (os.cpu_count() or 1) // _workers())
        return runtime.open_openvino(model, threads, self._settings.precision)

    def _unavailable(self, name: str) -> Rejected:
        return Rejected("model-unavailable", f"The model {name!r} is switched off: {self.broken[name]}.", name[:40])


def _prepared(image: Image.Image, card: ModelCard) -> np.ndarray | Rejected:
    try:
        return pixels.prepare(image, card.input)
    except pixels.BlankDrawing:
        return Rejected("blank", "There is nothing drawn in this picture: every part of it looks like paper.")


def _workers() -> int:
    """Workers that share the cores, as gunicorn.conf.py tells its children."""
    return max(1, int(os.environ.get("WEB_CONCURRENCY", "1")))
