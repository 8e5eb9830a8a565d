"""The catalog of installed models: each is a folder that holds a `card.json` and the files that the card lists."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from inkling.config import Settings
from inkling.problems import Problem
from inkling.recognition.card import ModelCard, read_card, sha256

TASKS = {  # titles, in the order of the pages; other tasks follow
    "things": "Things",
    "cats-dogs": "Cat or dog",
    "objects": "Objects",
    "doodles": "Doodles",
    "digits": "Handwritten digits",
}
TAUGHT = "Taught here"  # the title of all models that were taught here
NETWORK_FILES = ("model.onnx", "head.onnx", "model.keras")  # a runtime needs one of them
KEPT = "backbone"  # followed by a checksum: a folder beside the versions of taught classifiers
SETTLE_SECONDS = 2.0  # a folder that changed more recently may still be in the middle of being copied


class FileState(NamedTuple):
    """The metadata of a file, which changes whenever its content does."""

    name: str
    inode: int
    size: int
    modified: int  # nanoseconds
    changed: int  # nanoseconds; unlike `modified`, a program cannot set it


FolderState = tuple[Path, tuple[FileState, ...]]


@dataclass(frozen=True, eq=False)
class Model:
    """An installed model: its card and its folder.

    Models are compared by identity: after its files were replaced, a model is another one of the same name. A request
    that holds a `Model` therefore stays with the version that it began with.
    """

    card: ModelCard = field(repr=False)
    folder: Path


@dataclass(frozen=True)
class Catalog:
    """The installed models at one moment; it never changes.

    Attributes:
        models: every model whose card can be read, by name.
        broken: the name of each model that is switched off, and the reason. The names of folders whose card cannot be
            read stand here and not in `models`.
        states: the state of each model folder when it was read, by name.
    """

    models: Mapping[str, Model]
    broken: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, FolderState] = field(default_factory=dict, repr=False)

    def __iter__(self) -> Iterator[ModelCard]:
        """The cards of the models that are switched on."""
        return (model.card for name, model in self.models.items() if name not in self.broken)

    def model(self, name: str) -> Model:
        """The model of that name, or the one that replaced it.

        Raises:
            Problem: "unknown-model", or "model-unavailable" for one that is switched off.
        """
        name = self.current(name)
        if name in self.broken:
            raise unavailable(name, self.broken[name])
        if name not in self.models:
            known = ", ".join(card.name for card in self) or "none"
            raise Problem("unknown-model", f"There is no model {name[:64]!r}. Available: {known}.", name[:40])
        return self.models[name]

    def current(self, name: str) -> str:
        """The name of the model that replaced model `name`; `name` itself if none did, or if it is still installed."""
        if name in self.models or name in self.broken:
            return name
        return next((model.card.name for model in self.models.values() if name in model.card.formerly), name)

    def find(self, name: str) -> Model | None:
        """The model of that name, or the one that replaced it, switched on or not; None if its card cannot be read."""
        return self.models.get(self.current(name))

    def best(self, task: str) -> ModelCard | None:
        """The most accurate model of a task among those that are switched on; None if there is none."""
        return self._best.get(task)

    @cached_property
    def _best(self) -> dict[str, ModelCard]:
        """The most accurate model of each task."""
        return {card.task: card for card in sorted(reversed([*self]), key=accuracy)}

    def judge(self, card: ModelCard) -> ModelCard | None:
        """The model that tells whether a picture is familiar to another one (`card.familiar_by`), if it is switched on.

        Without one, the other model's own familiarity decides.
        """
        name = self.current(card.familiar_by.model) if card.familiar_by else ""
        return self.models[name].card if name in self.models and name not in self.broken else None

    @property
    def serving(self) -> dict[str, bool]:
        """Whether each model is switched on, by name."""
        return {name: name not in self.broken for name in sorted(self.models.keys() | self.broken.keys())}

    def by_task(self, kind: str | None = None) -> list[tuple[str, list[ModelCard]]]:
        """The models that are switched on, as `[(task title, cards)]`; most accurate first within a task.

        Models that were taught here are one group at the end, although each is a task of its own.

        Args:
            kind: "photo" or "ink" leaves out models with the other input.
        """
        tasks: dict[str, list[ModelCard]] = {}
        for card in sorted(self, key=accuracy, reverse=True):
            if kind in (None, card.input.kind):
                tasks.setdefault("" if card.taught else card.task, []).append(card)
        taught = tasks.pop("", [])
        groups = [(task_title(task), tasks[task]) for task in sorted(tasks, key=_position)]
        return groups + ([(TAUGHT, taught)] if taught else [])

    def comparable(self, task: str) -> list[list[ModelCard]]:
        """The models of a task that are switched on, in groups whose answers can be compared; most accurate first.

        Models of one task that have no label in common answer different questions, and are not compared.
        """
        groups: list[list[ModelCard]] = []
        for card in sorted((card for card in self if card.task == task), key=accuracy, reverse=True):
            related = [group for group in groups if any(not set(card.labels).isdisjoint(it.labels) for it in group)]
            if related:
                related[0].append(card)
            else:
                groups.append([card])
        return groups

    def others(self, name: str, task: str, labels: Iterable[str]) -> list[ModelCard]:
        """The models whose answers can be compared with an answer of model `name`; most accurate first.

        Args:
            name: the model that answered, which may be gone by now.
            task: its task.
            labels: its labels.
        """
        labels = set(labels)
        return [
            card
            for card in sorted(self, key=accuracy, reverse=True)
            if card.task == task and card.name != name and not labels.isdisjoint(card.labels)
        ]

    @cached_property
    def has_unlisted(self) -> bool:
        """Whether some models are their owners' only."""
        return any(_is_unlisted(model.card) for model in self.models.values())

    def seen_by(self, owner: str) -> "Catalog":
        """This catalog without the models that are other owners' only.

        Args:
            owner: a principal's; empty for a visitor.
        """
        others = {
            name
            for name, model in self.models.items()
            if model.card.taught and _is_unlisted(model.card) and model.card.taught.owner != owner
        }
        if not others:
            return self
        return replace(
            self,
            models={name: model for name, model in self.models.items() if name not in others},
            broken={name: reason for name, reason in self.broken.items() if name not in others},
        )

    def without(self, name: str, reason: str) -> "Catalog":
        """This catalog with one model switched off."""
        return replace(self, broken={**self.broken, name: reason})


def task_title(task: str) -> str:
    """A task's title: that of `TASKS`, or else the name itself as words."""
    return TASKS.get(task) or task.replace("-", " ").capitalize()


def title_of(card: ModelCard) -> str:
    """The title of a model's task. A taught model is the only one of its task, which has its title."""
    return card.title if card.taught else task_title(card.task)


def unavailable(name: str, reason: str) -> Problem:
    """The problem of asking a model that is switched off."""
    return Problem("model-unavailable", f"The model {name!r} is switched off: {reason}.", name[:40])


# ---- Files ----


def check_file(model: Model, name: str) -> Path:
    """The path of one of a model's files, after its checksum was compared with the card.

    Raises:
        ValueError: the card does not list it, it is missing or cannot be read, or its bytes are not those of the card.
    """
    path = model.folder / name
    if name not in model.card.files:
        raise ValueError(f"card.json lists no {name}. Received: {', '.join(model.card.files) or 'no files'}")
    if not os.path.lexists(path):
        raise ValueError(_missing(name, model.card))
    _compare_checksum(path, model.card.files[name])
    return path


def _missing(name: str, card: ModelCard) -> str:
    """The sentence that a listed file is missing, with the remedy where there is one."""
    if card.pretrained and name in NETWORK_FILES:
        return f"{name} is not built yet: run `inkling models build`"
    return f"{name} is missing"


def _compare_checksum(path: Path, expected: str) -> None:
    """Raises ValueError if a file does not match its checksum in the card."""
    try:
        state = _state(path.name, path.lstat())
        actual = _cached_sha256(path, state)
    except OSError as error:
        raise ValueError(f"{path.name} cannot be read: {error.strerror}") from error
    if actual != expected:
        raise ValueError(f"{path.name} is not the file that the card describes. Received: SHA-256 {actual[:12]}…")


@lru_cache(maxsize=4096)
def _cached_sha256(path: Path, state: FileState) -> str:
    """The checksum of a file in that state. Catalogs are read often, and files seldom change."""
    return sha256(path)


def _state(name: str, stat: os.stat_result) -> FileState:
    return FileState(name, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


# ---- Reading ----


def roots(settings: Settings) -> tuple[Path, ...]:
    """The folders that hold models: the starter models, those of them that were built here, and those taught here."""
    return settings.models, built(settings), settings.pictures / "taught"


def built(settings: Settings) -> Path:
    """The folder of starter models whose network was built here because the folder of the starters is read-only."""
    return settings.pictures / "built"


def kept(settings: Settings, name: str, checksum: str) -> Model:
    """A version of a backbone that was kept for published heads, although another one may be installed by now.

    Args:
        name: of the backbone.
        checksum: SHA-256 of its network.

    Raises:
        ValueError: it was not kept, or its card cannot be read.
    """
    folder = settings.pictures / "taught" / ".versions" / f"{KEPT}-{checksum}"
    card = read_card(folder, name)
    if card.files.get("model.onnx") != checksum:
        raise ValueError(f"the card in {folder.name} describes another network")
    return Model(card, folder)


def read_catalog(*folders: Path, previous: Catalog | None = None) -> Catalog:
    """The models in `folders`. A broken model is switched off, and disturbs no other.

    The files of a model must lie in its folder: symbolic links in it are not followed. The folder itself may be one.

    Args:
        folders: of two models of the same name, the one in the earlier folder counts, unless it has no network yet.
        previous: the catalog read before. Only model folders that changed since are read again, and a folder that is
            being copied is ignored until it is complete: its model stays as it was before, if there was one.

    Returns:
        the catalog, or `previous` itself where nothing changed.
    """
    models: dict[str, Model] = {}
    broken: dict[str, str] = {}
    states: dict[str, FolderState] = {}
    for folder in _model_folders(folders):
        entry = _read_folder(folder, previous)
        if entry is None:
            continue
        states[folder.name] = entry.state
        if entry.model:
            models[folder.name] = entry.model
        if entry.reason is not None:
            broken[folder.name] = entry.reason
    if previous and (models, broken, states) == (previous.models, previous.broken, previous.states):
        return previous
    return Catalog(models, broken, states)


def _model_folders(folders: tuple[Path, ...]) -> list[Path]:
    """The model folders in `folders`, one of each name, by name."""
    found: dict[str, Path] = {}
    for root in folders:
        with suppress(OSError), os.scandir(root) as entries:
            for entry in entries:
                if entry.is_dir() and not entry.name.startswith(".") and not _has_network(found.get(entry.name)):
                    found[entry.name] = Path(entry.path)
    return [found[name] for name in sorted(found)]


def _has_network(folder: Path | None) -> bool:
    return folder is not None and any(os.path.lexists(folder / name) for name in NETWORK_FILES)


class _Entry(NamedTuple):
    """A model folder as the catalog has it."""

    state: FolderState
    model: Model | None  # None where the card cannot be read
    reason: str | None  # why the model is switched off, if it is


def _read_folder(folder: Path, previous: Catalog | None) -> _Entry | None:
    """The entry of a model folder: that of the previous catalog if nothing changed or the folder is being copied.

    Returns:
        None for a new folder that is not complete yet.
    """
    state, before = _folder_state(folder), None
    if previous and folder.name in previous.states:
        name = folder.name
        before = _Entry(previous.states[name], previous.models.get(name), previous.broken.get(name))
        if before.state == state:
            return before
    model, reason = _read_model(folder)
    served = before.model if before and before.reason is None else None
    if served and model and reason is None and _same(served, model):
        return _Entry(state, served, None)  # an open model is still valid even if its file is missing now
    if model and reason is None:
        reason = _missing_network(model)
    if reason is not None and previous and _is_recent(state):
        return before
    return _Entry(state, model, reason)


def _read_model(folder: Path) -> tuple[Model | None, str | None]:
    """The model in a folder, and its problem. Without a readable card there is no model; without a problem, None.

    A listed file may be missing, because git leaves large ones out.
    """
    model: Model | None = None
    try:
        model = Model(read_card(folder), folder)
        for name, expected in model.card.files.items():
            if os.path.lexists(folder / name):
                _compare_checksum(folder / name, expected)
        return model, None
    except ValueError as error:
        return model, str(error)


def _missing_network(model: Model) -> str | None:
    """The sentence that the network's file is missing, unless one of the listed ones is there."""
    listed = [name for name in NETWORK_FILES if name in model.card.files]
    if not listed or any((model.folder / name).exists() for name in listed):
        return None
    return _missing(listed[0], model.card)


def _folder_state(folder: Path) -> FolderState:
    """The state of a folder and of all that lies in it."""
    try:
        with os.scandir(folder) as entries:
            files = [_state(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        return folder, (_state("", folder.stat()), *sorted(files))
    except OSError:  # it was deleted meanwhile, or cannot be read, which reading the card will say
        return folder, ()


def _is_recent(state: FolderState) -> bool:
    """Whether something in the folder changed in the last moments."""
    changed = max((file.changed for file in state[1]), default=0)
    return abs(time.time() - changed / 1e9) < SETTLE_SECONDS


def _is_unlisted(card: ModelCard) -> bool:
    return card.taught is not None and not card.taught.listed


def _same(model: Model, other: Model) -> bool:
    return (model.card, model.folder) == (other.card, other.folder)


def accuracy(card: ModelCard) -> float:
    """The accuracy that a card states; 0 where nothing was measured. The order of the models of a task."""
    return card.metrics.accuracy if card.metrics else 0


def _position(task: str) -> tuple[int, str]:
    """Where a task stands on the pages: first those of `TASKS`, then others by name."""
    return (list(TASKS).index(task) if task in TASKS else len(TASKS), task)
