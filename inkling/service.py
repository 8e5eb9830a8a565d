"""The one path through the house: sources in, outcomes out, and outcomes saved.

Pages, the JSON API, batches, the lab and the command line parse what they were given into sources, call `Service`,
and render the outcomes. One picture is a batch of one.
"""

import copy
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import IO, Protocol, Self, TypeVar

from PIL import Image

from inkling import config
from inkling.config import BadSetting, Settings
from inkling.pictures import reading, sharing
from inkling.pictures.budget import Budget
from inkling.pictures.encode import AT_LEAST, LARGEST, at_most, data_url, decode, encode, format_of, size_of, thumbnail
from inkling.problems import Problem
from inkling.recognition import catalog, strokes
from inkling.recognition.catalog import Model
from inkling.recognition.explain import Explainer, Explanation
from inkling.recognition.inputs import Picture, as_image
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Prediction, Predictor, SeenBy
from inkling.recognition.ray import RayPredictor
from inkling.recognition.router import Router
from inkling.recognition.subject import Subject
from inkling.storage import Entry, NewResult, Result, Storage, StoreError, unsaved_result

BATCH = 16  # pictures of a stream that the predictor answers in one call; larger calls are no faster
READ_AHEAD = 2 * BATCH  # pictures of a stream that may wait for the predictor
LONGEST_NAME = 255  # bytes of a file's name that an outcome repeats

Item = TypeVar("Item")
Value = TypeVar("Value")


# ---- Sources ----


class Source(Protocol):
    """Where one picture comes from."""

    @property
    def name(self) -> str:
        """The file's name, for people to read; empty if there is no file."""

    @property
    def kind(self) -> str:
        """Either "photo" (saved as JPEG) or "drawing" (saved as PNG)."""

    def read(self, settings: Settings, budget: Budget, at_least: int) -> Picture:
        """The picture, upright, in RGB and without metadata; or a drawing as strokes.

        Args:
            settings: the limits that apply.
            budget: the time that is left.
            at_least: a large picture may be decoded at a reduced size, with at least this many pixels on its longer
                side.

        Raises:
            Problem: the picture is not accepted, or the budget is used up.
        """


@dataclass(frozen=True)
class Upload:
    """A file in a form; `stream` is None if the form came without one."""

    stream: IO[bytes] | None
    filename: str | None
    kind: str = "photo"

    @property
    def name(self) -> str:
        """The file's name without folders and without characters that do not print."""
        base = re.split(r"[/\\]", self.filename or "")[-1]
        base = base.encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore")
        return "".join(letter if letter.isprintable() else "?" for letter in base)

    def read(self, settings: Settings, budget: Budget, at_least: int) -> Image.Image:
        return reading.read_stream(self.stream, self.filename, settings, budget, at_least)


@dataclass(frozen=True)
class Canvas:
    """A drawing as the page's canvas sends it: a data URL of a PNG, JPEG or WebP picture."""

    url: str
    kind: str = "drawing"
    name: str = ""

    def read(self, settings: Settings, budget: Budget, at_least: int) -> Image.Image:
        return reading.read_data_url(self.url, settings, budget, at_least)


@dataclass(frozen=True)
class Base64:
    """A picture in a JSON body: bare base64, or a data URL of any accepted format."""

    text: str
    kind: str = "photo"
    name: str = ""

    def read(self, settings: Settings, budget: Budget, at_least: int) -> Image.Image:
        return reading.read_base64(self.text, settings, budget, at_least)


@dataclass(frozen=True)
class File:
    """A file on disk."""

    path: Path
    kind: str = "photo"

    @property
    def name(self) -> str:
        return str(self.path)

    def read(self, settings: Settings, budget: Budget, at_least: int) -> Image.Image:
        try:
            with self.path.open("rb") as stream:
                return reading.read_stream(stream, self.path.name, settings, budget, at_least)
        except OSError as error:
            raise Problem("missing", f"The file cannot be read: {error.strerror}.", self.path.name) from error


@dataclass(frozen=True)
class Decoded:
    """A picture that is already decoded, such as the lab's or one that was saved, or a drawing as strokes."""

    image: Picture
    kind: str = "photo"
    name: str = ""

    def read(self, settings: Settings, budget: Budget, at_least: int) -> Picture:
        return self.image


# ---- Outcomes ----


@dataclass(frozen=True)
class Outcome:
    """The result of looking at one source: a prediction, or the problem that prevented one.

    Attributes:
        picture: the picture to save, at most 1024 pixels a side, or the drawing as strokes; None if `look` was not
            asked for it, or failed.
        milliseconds: time by stage.
        format: what the picture's file was by its bytes, such as "JPEG", whatever its name says; None without a file.
    """

    name: str
    kind: str
    answer: Prediction | Problem
    picture: Picture | None = None
    milliseconds: dict[str, float] = field(default_factory=dict)
    format: str | None = None

    @property
    def prediction(self) -> Prediction:
        """The model's answer.

        Raises:
            Problem: there is none.
        """
        if isinstance(self.answer, Problem):
            raise self.answer
        return self.answer

    @property
    def entry(self) -> Entry:
        """This picture's entry in a batch, before a result is saved."""
        if isinstance(self.answer, Problem):
            return Entry(self.name, None, self.answer.reason, self.answer.received)
        return Entry(self.name)

    @property
    def new_result(self) -> NewResult | None:
        """The answer and its pictures in the form that storage takes; None if there is nothing to save."""
        if isinstance(self.answer, Problem) or self.picture is None:
            return None
        seen = Image.fromarray(self.answer.seen.squeeze())
        file = file_of(self.picture, self.kind)
        return NewResult(self.answer, self.kind, file, encode(seen, "PNG"), self.milliseconds, self.format)

    @property
    def unsaved_result(self) -> Result | None:
        """The answer as a result without an id, for a page that shows it although it is not saved."""
        if isinstance(self.answer, Problem):
            return None
        return unsaved_result(self.answer, self.kind, self.milliseconds, self.format)

    def data_url(self, side: int = LARGEST) -> str | None:
        """The picture, at most `side` pixels a side, for a page that shows it although it is not saved."""
        return data_url(as_image(self.picture), self.kind, side) if self.picture else None


@dataclass(frozen=True)
class _PreparedSource:
    """A source after reading: nothing of it is large any more."""

    name: str
    kind: str
    subject: Subject | Problem
    picture: Picture | None
    decode: float  # milliseconds
    format: str | None


@dataclass(frozen=True)
class Saved:
    """The ids of saved outcomes.

    Attributes:
        results: the ids of the results, in the outcomes' order; outcomes without a prediction are left out.
        batch: the id of the batch, if there were several outcomes.
    """

    results: tuple[str, ...]
    batch: str | None = None


# ---- The service ----


class Service:
    """Reads pictures, asks models about them, and saves the outcomes.

    Where a method takes the name of a model, None stands for Auto: `inkling.recognition.router` chooses.

    Args:
        settings: limits of pictures and time.
        predictor: answers prepared pictures.
        storage: keeps results.
    """

    def __init__(self, settings: Settings, predictor: Predictor, storage: Storage):
        self.settings = settings
        self.predictor = predictor
        self.storage = storage
        self.router = Router(predictor)
        self.explainer = Explainer()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The service on the settings' models and storage, which are opened when they are first used."""
        return cls(settings, open_predictor(settings), Storage(settings))

    def seen_by(self, owner: str) -> Self:
        """This service as somebody sees it: without the models that are other owners' only.

        Args:
            owner: a principal's; empty for a visitor.
        """
        seen = copy.copy(self)
        seen.predictor = SeenBy(self.predictor, owner)
        seen.router = Router(seen.predictor)
        return seen

    def chosen(self, model: str | Model | None) -> Model | None:
        """The model of that name, or the model itself; None for Auto.

        Raises:
            Problem: "unknown-model" or "model-unavailable".
        """
        return self.predictor.catalog.model(model) if isinstance(model, str) else model

    def look(
        self, sources: Sequence[Source], model: str | Model | None, budget: Budget, for_saving: bool = False
    ) -> list[Outcome]:
        """Asks a model about pictures, all in one call.

        Sources are read one after the other, and each picture is made small before the next is read, so that memory
        never holds two large pictures.

        Args:
            budget: the time that all sources together have.
            model: the model's name, or a model that is in no catalog; None for Auto.
            for_saving: whether outcomes hold their pictures, as `keep` needs them. Otherwise pictures are read at the
                size that the model needs, and dropped.

        Returns:
            an outcome for each source, in the same order.

        Raises:
            Problem: "unknown-model" or "model-unavailable".
        """
        asked = self.chosen(model)
        at_least = self._at_least(asked, for_saving)
        pictures = [self._prepare(source, asked, budget, at_least, for_saving) for source in sources]
        return self._answer(pictures, asked)

    def look_ahead(self, sources: Iterable[Source], model: str | None) -> Iterator[Outcome]:
        """`look` for any number of files: threads read the next ones while the predictor answers the last.

        Each source has a budget of its own. At most `READ_AHEAD` pictures wait for the predictor.

        Raises:
            Problem: "unknown-model" or "model-unavailable".
        """
        asked = self.chosen(model)
        at_least = self._at_least(asked)

        def read(source: Source) -> _PreparedSource:
            return self._prepare(source, asked, Budget(self.settings.request_seconds), at_least)

        pictures = map_ahead(read, sources, config.cores())
        while batch := list(islice(pictures, BATCH)):
            yield from self._answer(batch, asked)

    def enough(self, model: str | Model | None) -> int:
        """The least pixels of the longer side that a picture needs for this model; in Auto for any.

        Raises:
            Problem: "unknown-model" or "model-unavailable".
        """
        return self.router.enough(self.chosen(model))

    def read(self, source: Source, budget: Budget, at_least: int) -> tuple[Picture, float]:
        """A source's picture, and the milliseconds that reading took.

        Raises:
            Problem: the picture is not accepted, or the budget is used up.
        """
        start = time.perf_counter()
        image = source.read(self.settings, budget, at_least)
        return image, _milliseconds_since(start)

    def keep(
        self, outcomes: Sequence[Outcome], model: str | None, owner: str | None = None, client: str | None = None
    ) -> Saved | None:
        """Saves outcomes that `look` made `for_saving`: all of them or none.

        Several outcomes are saved as a batch, which also lists those without a prediction.

        Args:
            model: the name of the model that was asked; None for Auto.
            owner: the key of the browser that may change and delete them.
            client: a pseudonym of the client that sent them.

        Returns:
            the ids, or None if storage cannot save at the moment or no outcome has a prediction.
        """
        new = [outcome.new_result for outcome in outcomes]
        answered = [result for result in new if result]
        if not answered:
            return None
        try:
            if len(outcomes) == 1:
                return Saved((self.storage.add(answered[0], owner, client),))
            entries = [outcome.entry for outcome in outcomes]
            batch = self.storage.add_batch(model, list(zip(entries, new, strict=True)), owner, client)
            return Saved(tuple(batch.results), batch.id)
        except StoreError:
            return None

    def correct(self, result: Result, label: str) -> None:
        """Notes the right label of a result. A label of another model that Auto asked takes the result to its task."""
        cards = [model.card for name in result.asked if (model := self.predictor.catalog.find(name))]
        tasks = [card.task for card in cards if label in card.labels]
        self.storage.correct(result.id, label, None if not tasks or result.task in tasks else tasks[0])

    def explain(self, image: Picture, model: str | Model | None, label: str | None = None) -> Explanation:
        """How much each part of a picture supports an answer.

        Args:
            image: upright, in RGB; or a drawing as strokes.
            model: the model to explain, or its name; None for the one that answers in Auto.
            label: the answer to explain; by default the model's own.

        Raises:
            Problem: "unknown-model", "model-unavailable" or "blank".
        """
        if model is None:
            subject = Subject(image)
            self.router.prepare(subject, None)
            (answer,) = self.router.answer([subject], None)
            model, label = answer.model, answer.label
        chosen = self.predictor.catalog.model(model) if isinstance(model, str) else model
        return self.explainer.explain(self.predictor, image, chosen, label)

    def make_heatmap(self, result: Result, image: Picture, keep: bool = True) -> bytes | None:
        """Explains a saved result.

        Args:
            image: the result's original.
            keep: whether to save the overlay, if possible.

        Returns:
            the overlay as a PNG file, which `inkling.recognition.explain.read` reads; None if the result was deleted
            in the meantime.

        Raises:
            Problem: "unknown-model", "model-unavailable" or "blank".
        """
        png = self.explain(image, result.model, result.label).png(*image.size)
        try:
            return png if not keep or self.storage.save_heatmap(result.id, png) else None
        except StoreError:
            return png

    def veil(self, result: Result, explanation: Explanation) -> bytes | None:
        """A PNG file that hides all of a saved result's picture but the smallest part that is enough.

        Returns:
            None if the result was deleted.
        """
        size = self.picture_size(result)
        return encode(explanation.veil(*size), "PNG") if size else None

    def picture_size(self, result: Result) -> tuple[int, int] | None:
        """Width and height of a saved result's picture; None if it was deleted or is damaged."""
        return self._from_file(result, size_of)

    def card(self, result: Result, title: str, note: str) -> bytes | None:
        """A PNG file with a saved result's picture and its answer, to share; None if the result was deleted.

        Args:
            title: the answer in words.
            note: how sure it is, in words.
        """
        picture = self.picture(result)
        return encode(sharing.card(picture, title, note), "PNG", sharing.WIDTH) if picture else None

    def picture(self, result: Result) -> Image.Image | None:
        """A saved result's picture in RGB; None if it was deleted or is damaged."""
        return self._from_file(result, decode)

    def original(self, result: Result) -> Picture | None:
        """What a saved result's model was asked about: the strokes of a drawing if they were sent, else the picture.

        Returns:
            None if it was deleted or is damaged.
        """
        return self._from_file(result, picture_of)

    def thumbnail(self, result: Result) -> bytes | None:
        """A small version of a saved result's picture, as a file; None if it was deleted or is damaged.

        It is made each time, which takes a few milliseconds, so that there is no file of it to delete.
        """
        return self._from_file(result, thumbnail)

    def _from_file(self, result: Result, function: Callable[[bytes], Value]) -> Value | None:
        file = self.storage.picture(result)
        try:
            return function(file) if file else None
        except OSError:
            return None

    def _at_least(self, model: Model | None, for_saving: bool = False) -> int:
        """Pixels that a picture's longer side must keep when it is read."""
        enough = self.router.enough(model)
        return max(AT_LEAST, enough) if for_saving else enough

    def _prepare(
        self, source: Source, model: Model | None, budget: Budget, at_least: int, for_saving: bool = False
    ) -> _PreparedSource:
        decode, format = 0.0, None
        try:
            image, decode = self.read(source, budget, at_least)
            format = image.format if isinstance(image, Image.Image) else None
            if for_saving:  # models look at what is saved, so that asking them about it again gives the same answer
                image = _to_save(image)
            subject = Subject(image, drawn=source.kind == "drawing")
            self.router.prepare(subject, model)
        except Problem as problem:
            return _PreparedSource(source.name, source.kind, problem, None, decode, format)
        return _PreparedSource(source.name, source.kind, subject, image if for_saving else None, decode, format)

    def _answer(self, pictures: Sequence[_PreparedSource], model: Model | None) -> list[Outcome]:
        subjects = [picture.subject for picture in pictures if isinstance(picture.subject, Subject)]
        answers = iter(self.router.answer(subjects, model))
        return [
            _outcome(picture, next(answers) if isinstance(picture.subject, Subject) else picture.subject)
            for picture in pictures
        ]


def open_predictor(settings: Settings) -> Predictor:
    """The predictor of the engine that the settings name. It connects and opens models when it is first used.

    Raises:
        BadSetting: the engine's package is not installed.
    """
    folders = catalog.roots(settings)
    engine = LocalPredictor
    if settings.engine == "ray":
        if not find_spec("ray"):
            raise BadSetting("INKLING_ENGINE=ray needs the extra [ray]: pip install 'inkling[ray]'.")
        engine = RayPredictor
    return engine(catalog.read_catalog(*folders), settings, folders)


def picture_of(file: bytes) -> Picture:
    """The picture in a file that `file_of` made: strokes if it holds some.

    Raises:
        OSError: the file is damaged.
    """
    return strokes.read(file) or decode(file)


def _to_save(image: Picture) -> Picture:
    """The picture at the size that is saved; a drawing as it is."""
    return at_most(image, LARGEST) if isinstance(image, Image.Image) else image


def file_of(picture: Picture, kind: str) -> bytes:
    """The file of a "photo" or "drawing" that is saved: a JPEG or a PNG, which also holds the strokes of a drawing."""
    return encode(picture, format_of(picture, kind)) if isinstance(picture, Image.Image) else picture.png()


def _outcome(picture: _PreparedSource, answer: Prediction | Problem) -> Outcome:
    stages = {} if isinstance(answer, Problem) else answer.milliseconds
    milliseconds = {"decode": picture.decode} | stages
    return Outcome(picture.name, picture.kind, answer, picture.picture, milliseconds, picture.format)


def _milliseconds_since(start: float) -> float:
    return round((time.perf_counter() - start) * 1e3, 3)


def map_ahead(function: Callable[[Item], Value], items: Iterable[Item], threads: int) -> Iterator[Value]:
    """`map` in threads, whose results wait until they are taken, `READ_AHEAD` at most."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > READ_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
