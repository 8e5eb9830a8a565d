"""Picture + model name -> `Prediction`; the one way in, for pages, API and command line."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from inkling import config
from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition import inputs, runtimes
from inkling.recognition.card import InputSpec, ModelCard
from inkling.recognition.catalog import Catalog, Model

AT_ONCE = {"ink": 16, "photo": 4}  # pictures that a network holds: more are hardly faster
PROBABLY = 0.75  # below the threshold, but right three times in four


class Prepared(NamedTuple):
    """A picture as one model sees it."""

    seen: np.ndarray  # uint8 [height, width, channels]
    milliseconds: float  # it took


@dataclass(frozen=True)
class Prediction:
    """What one model says of one picture."""

    model: str
    task: str
    labels: tuple[str, ...]
    probabilities: np.ndarray  # float32 [labels], calibrated
    threshold: float
    seen: np.ndarray  # uint8 [height, width, channels]: what the model got
    milliseconds: dict[str, float]  # stage -> time; that of the network is shared evenly by a batch
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
    """The models of a catalog, each opened once a process, at its first use or by `warm`.

    Opened beside them where they are asked for: twins that answer in haste.
    """

    def __init__(self, catalog: Catalog, settings: Settings):
        self.catalog = catalog
        self.broken = dict(catalog.broken)  # model -> why it cannot be served
        self._settings = settings
        self._opened: dict[str, runtimes.Runtime] = {}
        self._twins: dict[str, runtimes.Runtime] = {}
        self._lock = threading.Lock()

    def card(self, name: str) -> ModelCard:
        """The card of a model.

        Raises:
            Problem: "unknown-model", or "model-unavailable" when its card is broken.
        """
        if name in self.catalog.models:
            return self.catalog.models[name].card
        if name in self.broken:
            raise self._unavailable(name)
        known = ", ".join(self.catalog.models) or "none"
        raise Problem("unknown-model", f"There is no model {name[:64]!r}. Available: {known}.", name[:40])

    def warm(self) -> None:
        """Opens every model now; what cannot be opened is noted in `broken`."""
        for name in self.catalog.models:
            try:
                self._open(name)
            except Problem:
                continue

    def classify(self, images: Sequence[Image.Image], name: str) -> list[Prediction | Problem]:
        """Classifies upright RGB pictures together.

        Returns:
            for each picture its prediction, or `Problem("blank")` where there was nothing to see.

        Raises:
            Problem: "unknown-model" or "model-unavailable".
        """
        self.card(name)
        self._open(name)  # before any work is done for a model that is off
        return self.answer([self._prepared(image, name) for image in images], name)

    def prepare(self, image: Image.Image, name: str) -> Prepared:
        """An upright RGB picture as the model sees it, which is small; `answer` takes many of them at once.

        Raises:
            Problem: "blank", "unknown-model" or "model-unavailable".
        """
        card = self.card(name)
        start = time.perf_counter()
        try:
            seen = inputs.prepare(image, card.input)
        except inputs.BlankDrawing as error:
            raise Problem(
                "blank", "There is nothing drawn in this picture: every part of it looks like paper."
            ) from error
        return Prepared(seen, round((time.perf_counter() - start) * 1e3, 3))

    def answer(
        self, pictures: Sequence[Prepared | Problem], name: str, hasty: bool = False
    ) -> list[Prediction | Problem]:
        """Classifies prepared pictures together.

        Args:
            pictures: what could not be read or prepared stands among them, and comes back in its place.
            hasty: in bfloat16, by a model that `hastens`; its twin for that is opened when first asked.

        Raises:
            Problem: "unknown-model" or "model-unavailable".
        """
        card, model = self.card(name), self._twin(name) if hasty else self._open(name)
        prepared = [picture for picture in pictures if isinstance(picture, Prepared)]
        if not prepared:
            return list(pictures)
        start = time.perf_counter()
        answer = model.answer_all(_batches(prepared, card.input))
        infer = round((time.perf_counter() - start) * 1e3 / len(prepared), 3)
        familiarity = [None] * len(prepared) if answer.familiarity is None else answer.familiarity.tolist()
        rows = zip(prepared, runtimes.tempered(answer.probabilities, card.temperature), familiarity, strict=True)
        predictions = (
            Prediction(
                name,
                card.task,
                card.labels,
                probabilities,
                card.threshold,
                picture.seen,
                {"prepare": picture.milliseconds, "infer": infer},
                familiar,
                card.familiar,
            )
            for picture, probabilities, familiar in rows
        )
        return [next(predictions) if isinstance(picture, Prepared) else picture for picture in pictures]

    def classify_one(self, image: Image.Image, name: str) -> Prediction:
        """One picture's prediction.

        Raises:
            Problem: "blank", "unknown-model" or "model-unavailable".
        """
        (answer,) = self.classify([image], name)
        if isinstance(answer, Problem):
            raise answer
        return answer

    def _prepared(self, image: Image.Image, name: str) -> Prepared | Problem:
        try:
            return self.prepare(image, name)
        except Problem as error:
            return error

    def layers(self, picture: Prepared, name: str) -> list[np.ndarray]:
        """What the first layers of a network find in a picture: maps, float32 [maps, h, w], from each of them.

        Compiled for each look. Empty where a model has no convolutions, or where Keras serves it, which does
        not show them.

        Raises:
            Problem: "unknown-model" or "model-unavailable".
        """
        card = self.card(name)
        if self._settings.runtime == "keras":
            return []
        with self._lock:  # one at a time, and not kept: VGG16's are 80 MB, and seldom looked at
            try:
                network = runtimes.open_layers(self.catalog.models[name], self._threads)
            except ValueError as error:  # its file is another by now; what was opened before goes on answering
                raise Problem(
                    "model-unavailable", f"The model {name!r} cannot be opened anew: {error}.", name[:40]
                ) from error
            seen = inputs.scale(picture.seen[None], card.input.scaling)
            return [maps[0] for maps in network(seen)] if network else []

    def hastens(self, name: str) -> bool:
        """Whether it can answer several times as fast, if less exactly: in bfloat16, where the processor has it."""
        usual = self._settings.runtime == "openvino" and self._settings.precision == "f32"
        return usual and not self.card(name).exact and runtimes.has_bfloat16()

    def _twin(self, name: str) -> runtimes.Runtime:
        if name in self._twins:
            return self._twins[name]
        usual = self._open(name)
        with self._lock:
            if name not in self._twins:
                self._twins[name] = usual.twin()
            return self._twins[name]

    def _open(self, name: str) -> runtimes.Runtime:
        if name in self._opened:
            return self._opened[name]
        with self._lock:
            if name in self.broken:
                raise self._unavailable(name)
            if name not in self._opened:
                try:
                    self._opened[name] = self._runtime(self.catalog.models[name])
                except ValueError as error:
                    raise self._switched_off(name, error) from error
            return self._opened[name]

    def _runtime(self, model: Model) -> runtimes.Runtime:
        if self._settings.runtime == "keras":
            return runtimes.open_keras(model)
        precision = self._settings.precision
        if precision == "bf16" and (model.card.exact or not runtimes.has_bfloat16()):
            precision = "f32"
        return runtimes.open_openvino(model, self._threads, precision)

    @property
    def _threads(self) -> int:
        return self._settings.threads or max(1, config.cores() // _workers())

    def _switched_off(self, name: str, error: ValueError) -> Problem:
        """Notes why a model cannot be served."""
        self.broken[name] = str(error)
        return self._unavailable(name)

    def _unavailable(self, name: str) -> Problem:
        return Problem("model-unavailable", f"The model {name!r} is switched off: {self.broken[name]}.", name[:40])


def _batches(pictures: Sequence[Prepared], spec: InputSpec) -> Iterator[np.ndarray]:
    """Pictures as a network takes them, some at a time: float32 [n, height, width, channels]."""
    most = AT_ONCE[spec.kind]
    for start in range(0, len(pictures), most):
        yield inputs.scale(np.stack([picture.seen for picture in pictures[start : start + most]]), spec.scaling)


def _workers() -> int:
    """Workers that share the cores, as gunicorn.conf.py tells its children."""
    told = os.environ.get("WEB_CONCURRENCY", "")
    return max(1, int(told)) if told.isdecimal() else 1
