"""A predictor that computes in this process."""

import logging
import statistics
import threading
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import compress
from pathlib import Path

import numpy as np

from inkling import config
from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition import inputs
from inkling.recognition.card import Backbone, InputSpec, ModelCard
from inkling.recognition.catalog import Catalog, Model, kept, read_catalog, unavailable
from inkling.recognition.groups import groups_of
from inkling.recognition.predictor import Prediction, Prepared
from inkling.recognition.runtimes import keras, openvino
from inkling.recognition.runtimes.base import Answer, HeadRuntime, Runtime, joined, tempered

LOG = logging.getLogger(__name__)
BATCH = {"ink": 16, "photo": 4}  # pictures in one call of a network; larger batches are hardly faster
RUNS, RUN_SECONDS = 5, 0.05  # runs that measure a model; a model that exceeds the time gets fewer
POLL_SECONDS = 0.25  # between two checks of the model folders


class LocalPredictor:
    """Opens each model once in a process, when it is first used or by `warm`, and answers with it.

    With `roots`, a background thread reads the catalog again when a model folder changes. It begins with the first use
    of the catalog, so that it belongs to a worker and not to the process that forks workers.

    Args:
        catalog: the models to begin with.
        roots: the folders that `catalog` was read from; none means that the catalog never changes by itself.
    """

    def __init__(self, catalog: Catalog, settings: Settings, roots: Sequence[Path] = ()):
        self._catalog = catalog
        self._settings = settings
        self._roots = tuple(roots)
        # An entry disappears when neither the catalog nor a request refers to its model.
        self._runtimes: MutableMapping[Model, Runtime] = weakref.WeakKeyDictionary()
        self._fast_runtimes: MutableMapping[Model, Runtime] = weakref.WeakKeyDictionary()
        self._backbones: MutableMapping[Model, Model] = weakref.WeakKeyDictionary()  # of the opened heads
        self._kept: MutableMapping[str, Model] = weakref.WeakValueDictionary()  # by checksum; see `_version_of`
        self._continued: MutableMapping[Model, Runtime] = weakref.WeakKeyDictionary()  # backbones; see `_open_backbone`
        self._milliseconds: MutableMapping[Model, float] = weakref.WeakKeyDictionary()
        self._opening = threading.RLock()
        self._swapping = threading.Lock()
        self._watching = not roots

    @property
    def catalog(self) -> Catalog:
        """The models as they are now, including those that are switched off."""
        if not self._watching:
            self._watch()
        return self._catalog

    @property
    def milliseconds(self) -> Mapping[Model, float]:
        """The median time for one picture, preparation not included, of each model that `warm` opened."""
        return self._milliseconds

    def warm(self) -> None:
        """Opens and measures every model. One that cannot be opened is switched off."""
        self._open_all(self.catalog.models.values())

    def answer(self, pictures: Sequence[Prepared], model: Model, fast: bool = False) -> list[Prediction]:
        """Answers pictures that were prepared for this model.

        Args:
            fast: answer in bfloat16, where that is faster: on a processor that computes in it, with OpenVINO, and for
                a model whose card allows it.

        Raises:
            Problem: "model-unavailable": the model cannot be opened, or its network failed. It is then switched off.
        """
        usual = self._open(model)
        if not pictures:
            return []
        runtime = self._open_fast(model) if fast and self._is_faster_in_bfloat16(model) else usual
        start = time.perf_counter()
        answer = self._ask(pictures, model, usual) if runtime is usual else self._run(pictures, model, runtime)
        card = model.card
        familiarity, limit = self._judged(pictures, card) or (_own(answer, len(pictures)), card.familiar)
        parts = self._looked(pictures, card) if card.elsewhere_by else answer.anywhere
        infer = round((time.perf_counter() - start) * 1e3 / len(pictures), 3)
        return [
            Prediction(
                card.name,
                card.task,
                card.labels,
                probabilities,
                card.threshold,
                picture.seen,
                {"prepare": picture.milliseconds, "infer": infer},
                familiar,
                limit,
                runtime is not usual,
                elsewhere=other,
                elsewhere_limit=card.elsewhere,
            )
            for picture, probabilities, familiar, other in zip(
                pictures,
                tempered(answer.probabilities, card.temperature),
                familiarity,
                _elsewhere(answer.probabilities, parts),
                strict=True,
            )
        ]

    def _judged(self, pictures: Sequence[Prepared], card: ModelCard) -> tuple[list[float], float] | None:
        """How familiar pictures are by `card.familiar_by`, and the limit; None if that model cannot tell.

        The general model tells little about a picture that is blurred, or was much smaller than its input.
        """
        judge, by = self.catalog.judge(card), card.familiar_by
        seen = [picture.judged for picture in pictures if picture.judged]
        if not (judge and by) or len(seen) < len(pictures):
            return None
        model = self._catalog.models[judge.name]
        try:
            raw = self._ask(seen, model, self._open(model)).probabilities
            known = groups_of(model)
        except Problem:  # it is switched off now
            return None
        except ValueError as error:
            self._switch_off(model, str(error))
            return None
        if not set(by.groups) <= set(known.names):
            return None
        rows = tempered(raw, judge.temperature)
        return [
            known.probability(row, *by.groups) if inputs.detail(picture.seen) >= by.detail else 0.0
            for row, picture in zip(rows, seen, strict=True)
        ], by.limit

    def _looked(self, pictures: Sequence[Prepared], card: ModelCard) -> np.ndarray | None:
        """`Answer.anywhere` by the model `card.elsewhere_by`; None if that model cannot tell."""
        catalog = self._catalog
        found = catalog.models.get(catalog.current(card.elsewhere_by or ""))
        seen = [picture.judged for picture in pictures if picture.judged]
        judge = catalog.judge(card)
        if not (found and judge) or len(seen) < len(pictures) or found.card.name in catalog.broken:
            return None
        if found.card.labels != card.labels or found.card.input != judge.input:
            return None
        try:
            return self._ask(seen, found, self._open(found)).anywhere
        except Problem:  # it is switched off now
            return None

    def _ask(self, pictures: Sequence[Prepared], model: Model, runtime: Runtime) -> Answer:
        """The network's answer to the pictures, which is kept with each of them and not computed again."""
        new = [picture for picture in pictures if runtime not in picture.answers]
        if new:
            answer = self._run(new, model, runtime)
            for i, picture in enumerate(new):
                picture.answers[runtime] = answer.part(slice(i, i + 1))
        return joined([picture.answers[runtime] for picture in pictures])

    def _run(self, pictures: Sequence[Prepared], model: Model, runtime: Runtime) -> Answer:
        """The network's answer to the pictures.

        Raises:
            Problem: "model-unavailable": the network failed, and is switched off.
        """
        try:
            if isinstance(runtime, HeadRuntime) and runtime is self._runtimes.get(model):
                # The backbone is asked as a model, so that the pictures keep its answers for others.
                seen = self._ask(pictures, self._backbones[model], runtime.backbone)
                return runtime.continued(seen, partial(self._mirrored, pictures, model, runtime))
            return runtime.answer_all(self._batches(pictures, model.card.input))
        except (RuntimeError, ValueError) as error:
            raise self._switch_off(model, _first_line(error)) from error

    def _mirrored(self, pictures: Sequence[Prepared], model: Model, runtime: HeadRuntime, picked: np.ndarray) -> Answer:
        """The answer of a head's backbone to the mirror images of the picked pictures, bool [n]."""
        images = [Prepared(picture.seen[:, ::-1]) for picture in compress(pictures, picked)]
        return self._ask(images, self._backbones[model], runtime.backbone)

    def features(self, pictures: Sequence[Prepared], model: Model) -> np.ndarray:
        """What a network computes before its last layer: float32 [n, d].

        Raises:
            Problem: "model-unavailable": the model cannot be opened, its network failed, or it has no such output.
        """
        found = self._ask(pictures, model, self._open_backbone(model)).features
        if found is None:
            raise Problem("model-unavailable", f"The model {model.card.name!r} has no output named features.")
        return found

    def layers(self, picture: Prepared, model: Model) -> list[np.ndarray]:
        """The feature maps of a network's first layers: float32 [maps, h, w] for each layer.

        The layers are compiled for each call, one call at a time: those of VGG16 take 80 MB, and are seldom shown.

        Returns:
            an empty list for a model without convolutions, and with Keras, which does not show them.

        Raises:
            Problem: "model-unavailable": the model's file changed meanwhile. The model itself goes on answering.
        """
        if self._settings.runtime == "keras":
            return []
        with self._opening:
            try:
                if model.card.backbone:
                    self._open(model)  # which notes its backbone
                network = openvino.open_layers(self._backbones.get(model, model), self._threads)
            except ValueError as error:
                name = model.card.name
                raise Problem(
                    "model-unavailable", f"The model {name!r} cannot be opened again: {error}.", name[:40]
                ) from error
            seen = inputs.scale(picture.seen[None], model.card.input.scaling)
            return [maps[0] for maps in network(seen)] if network else []

    def reload(self) -> None:
        """Reads the catalog again, if a model folder changed, and then opens and measures the new models.

        A new model is in the catalog at once: a request that asks it before it is open waits until it is.
        """
        before = self._catalog
        catalog = read_catalog(*self._roots, previous=before)
        if catalog is before:
            return
        with self._swapping:
            for name, reason in self._catalog.broken.items():  # models that failed since `before`
                if name not in before.broken and catalog.models.get(name) is before.models.get(name):
                    catalog = catalog.without(name, reason)
            self._catalog = catalog
        self._open_all(model for name, model in catalog.models.items() if model is not before.models.get(name))

    def _batches(self, pictures: Sequence[Prepared], spec: InputSpec) -> Iterator[np.ndarray]:
        """Pictures as a runtime takes them, a batch at a time: float32 [n, height, width, channels]."""
        for start in range(0, len(pictures), BATCH[spec.kind]):
            seen = np.stack([picture.seen for picture in pictures[start : start + BATCH[spec.kind]]])
            yield inputs.scale(seen, spec.scaling)

    # ---- Watching the folders ----

    def _watch(self) -> None:
        with self._swapping:
            if self._watching:
                return
            self._watching = True
        stop = threading.Event()
        # The thread holds no reference to the predictor while it waits, and ends with it.
        thread = threading.Thread(target=_poll, args=(weakref.ref(self), stop), name="model-folders", daemon=True)
        thread.start()
        # Also called at exit: a thread that is inside a library would crash the interpreter while it shuts down.
        weakref.finalize(self, _end, stop, thread)

    # ---- Opening ----

    def _open_all(self, models: Iterable[Model]) -> None:
        """Opens and measures models, except those that are switched off."""
        for model in models:
            if model.card.name not in self._catalog.broken:
                with suppress(Problem):  # the model is switched off now, and the catalog says why
                    self._open(model)
                    self._measure(model)

    def _open(self, model: Model) -> Runtime:
        """The model's runtime, opened unless it already is.

        Raises:
            Problem: "model-unavailable": it cannot be opened. It is then switched off.
        """
        runtime = self._runtimes.get(model)
        if runtime is not None:
            return runtime
        with self._opening:
            try:
                if model not in self._runtimes:
                    self._runtimes[model] = self._new_runtime(model)
                return self._runtimes[model]
            except ValueError as error:
                raise self._switch_off(model, str(error)) from error

    def _new_runtime(self, model: Model) -> Runtime:
        if model.card.backbone:
            return self._new_head(model, model.card.backbone)
        return self._new_network(model)

    def _new_network(self, model: Model) -> Runtime:
        if self._settings.runtime == "keras":
            return keras.open_model(model)
        return openvino.open_model(model, self._threads, self._precision(model))

    def _precision(self, model: Model) -> str:
        """What a model is served in: "f32" or "bf16"."""
        allowed = self._settings.precision != "f32" and not model.card.exact
        return "bf16" if allowed and openvino.has_bfloat16() else "f32"

    def _new_head(self, model: Model, backbone: Backbone) -> Runtime:
        found = self._version_of(backbone)
        try:
            runtime = self._open_backbone(found) if model.card.taught else self._open(found)
        except Problem as problem:
            raise ValueError(f"it needs the model {backbone.model!r}: {problem.message}") from problem
        self._backbones[model] = found
        return openvino.open_model(model, self._threads, backbone=runtime)

    def _version_of(self, backbone: Backbone) -> Model:
        """The version of a backbone that a head was trained on: the installed one, or the one that was kept.

        Raises:
            ValueError: it is neither installed nor kept.
        """
        found = self._catalog.models.get(backbone.model)
        if found is None or found.card.files.get(openvino.FILE) != backbone.checksum:
            found = self._kept.get(backbone.checksum)
        if found is None:
            try:
                found = self._kept[backbone.checksum] = kept(self._settings, backbone.model, backbone.checksum)
            except ValueError as error:
                needed = f"it needs the version of the model {backbone.model!r} that it was trained on"
                raise ValueError(needed) from error
        return found

    def _open_backbone(self, model: Model) -> Runtime:
        """The network whose features taught classifiers continue.

        Where `auto` computes a model in bfloat16, it computes such features in float32, as exported files do.

        Raises:
            Problem: "model-unavailable".
        """
        runtime = self._open(model)
        if self._settings.precision != "auto" or self._precision(model) == "f32":
            return runtime
        with self._opening:
            if model not in self._continued:
                self._continued[model] = openvino.open_model(model, self._threads, "f32")
            return self._continued[model]

    def _open_fast(self, model: Model) -> Runtime:
        with self._opening:
            if model not in self._fast_runtimes:
                self._fast_runtimes[model] = self._open(model).reduced_precision()
            return self._fast_runtimes[model]

    def _is_faster_in_bfloat16(self, model: Model) -> bool:
        """Whether bfloat16 is faster than the precision that the model is served in."""
        in_float32 = self._settings.runtime == "openvino" and self._precision(model) == "f32"
        return in_float32 and not model.card.exact and openvino.has_bfloat16()

    def _measure(self, model: Model) -> None:
        """Notes the median time of a few runs, which are few enough not to delay a worker's first answer.

        A head takes next to no time, so its backbone's is noted.
        """
        if model in self._milliseconds:
            return
        if model in self._backbones:
            self._measure(self._backbones[model])
            self._milliseconds[model] = self._milliseconds[self._backbones[model]]
            return
        spec, runtime = model.card.input, self._runtimes[model]
        seconds: list[float] = []
        black = Prepared(np.zeros((spec.height, spec.width, spec.channels), np.uint8))
        (picture,) = self._batches([black], spec)
        while len(seconds) < RUNS and sum(seconds) < RUN_SECONDS:
            start = time.perf_counter()
            runtime.answer(picture)
            seconds.append(time.perf_counter() - start)
        self._milliseconds[model] = statistics.median(seconds) * 1e3

    @property
    def _threads(self) -> int:
        return self._settings.threads or max(1, config.cores() // (self._settings.web_concurrency or 1))

    def _switch_off(self, model: Model, reason: str) -> Problem:
        """Switches a model off in the catalog, if it is not replaced already, and returns the problem to raise."""
        name = model.card.name
        with self._swapping:
            if self._catalog.models.get(name) is model:
                self._catalog = self._catalog.without(name, reason)
                LOG.warning("the model %r is switched off: %s", name, reason)
        return unavailable(name, reason)


def _poll(reference: "weakref.ref[LocalPredictor]", stop: threading.Event) -> None:
    while not stop.wait(POLL_SECONDS):
        predictor = reference()
        if predictor is None:
            return
        try:
            predictor.reload()
        except Exception:  # the next look may succeed; without this, no change would be noticed any more
            LOG.exception("The model folders could not be read again.")
        del predictor


def _end(stop: threading.Event, thread: threading.Thread) -> None:
    stop.set()
    if thread is not threading.current_thread():
        thread.join(10)


def _elsewhere(probabilities: np.ndarray, anywhere: np.ndarray | None) -> list[float | None]:
    """For each picture the highest probability, in any of its parts, of a label that is not its most likely one.

    Args:
        probabilities: of the labels, float32 [n, labels].
        anywhere: as `Answer.anywhere`.
    """
    if anywhere is None:
        return [None] * len(probabilities)
    others = anywhere.copy()
    np.put_along_axis(others, probabilities.argmax(axis=1)[:, None], 0, axis=1)
    return [float(value) for value in others.max(axis=1)]


def _own(answer: Answer, count: int) -> Sequence[float | None]:
    """The familiarity of pictures as the network itself tells it; None for each if it does not."""
    return [None] * count if answer.familiarity is None else answer.familiarity.tolist()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
