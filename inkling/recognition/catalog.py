"""What is in `models/`: one folder per model, described by its `card.json`."""

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from inkling.recognition.card import ModelCard, read_card, sha256

TASKS = {
    "cats-dogs": "Cat or dog",
    "objects": "Objects",
    "doodles": "Doodles",
    "digits": "Handwritten digits",
}


@dataclass(frozen=True)
class Model:
    """A model that can be served: its card and the folder that holds its files."""

    card: ModelCard
    folder: Path


@dataclass(frozen=True)
class Catalog:
    """The models of a folder; those that cannot be served stand in `broken` with the reason."""

    models: dict[str, Model]
    broken: dict[str, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[ModelCard]:
        return (model.card for model in self.models.values())

    def by_task(self, kind: str | None = None, without: Container[str] = ()) -> list[tuple[str, list[ModelCard]]]:
        """`[(task title, cards)]` in the order of `TASKS`, best first.

        Args:
            kind: "photo" or "ink" leaves out the others.
            without: names to leave out.
        """
        groups = []
        for task, title in TASKS.items():
            cards = [
                card
                for card in self
                if card.task == task and kind in (None, card.input.kind) and card.name not in without
            ]
            if cards:
                groups.append((title, sorted(cards, key=lambda card: -(card.metrics.accuracy if card.metrics else 0))))
        return groups


def check_file(model: Model, name: str) -> Path:
    """The path of one of a model's files, its checksum verified.

    Raises:
        ValueError: the card does not list it, it is missing or cannot be read, or its bytes are not those of the card.
    """
    path = model.folder / name
    expected = model.card.files.get(name)
    if expected is None:
        raise ValueError(f"card.json lists no {name}. Received: {', '.join(model.card.files) or 'no files'}")
    try:
        if not path.is_file():
            raise ValueError(f"{name} is missing")
        actual = sha256(path)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from error
    if actual != expected:
        raise ValueError(f"{name} is not the file that the card describes. Received: SHA-256 {actual[:12]}…")
    return path


def read_catalog(root: Path) -> Catalog:
    """Every model folder below `root`; a broken card disables that one model and no other."""
    models, broken = {}, {}
    for folder in sorted(path for path in root.glob("*") if path.is_dir() and not path.name.startswith(".")):
        try:
            models[folder.name] = Model(read_card(folder), folder)
        except ValueError as error:
            broken[folder.name] = str(error)
    return Catalog(models, broken)
