"""Groups of a model's labels, such as "dog" for its breeds: what to say where no single label is likely."""

import weakref
from collections.abc import MutableMapping
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from inkling.recognition.card import CARD_BYTES, Card, open_regular, reason
from inkling.recognition.catalog import Model, check_file

FILE = "groups.json"
LIKELY_LABEL = 0.75  # a label with at least this probability is the answer; the same as `predictor.PROBABLY`
LIKELY_GROUP = 0.9  # else the finest group with at least this probability; how it was chosen: docs/models/groups.md


class Group(Card):
    """A name, and the indexes of its labels in the card's `labels`, in ascending order."""

    name: Annotated[str, Field(min_length=1, max_length=64)]
    labels: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)]


class Groups(Card):
    """The groups of a model, finest first. Of two groups, either one holds the other, or they have no label in common.

    Attributes:
        groups: each group stands before those that hold it.
    """

    groups: tuple[Group, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The groups of the model in a folder.

        Raises:
            ValueError: `groups.json` cannot be read, or breaks a rule.
        """
        try:
            with open_regular(folder / FILE, CARD_BYTES) as file:
                return cls.model_validate_json(file.read())
        except OSError as error:
            raise ValueError(f"{FILE} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise ValueError(f"{FILE}: {reason(error)}") from error

    @model_validator(mode="after")
    def _is_a_hierarchy(self) -> Self:
        names = [group.name for group in self.groups]
        if len(set(names)) < len(names):
            raise ValueError(f"names must differ. Received: {', '.join(names)}")
        for group in self.groups:
            if list(group.labels) != sorted(set(group.labels)):
                raise ValueError(f"labels must be ascending. Received: {group.name!r} with {group.labels}")
        each = [(group.name, frozenset(group.labels)) for group in self.groups]
        for (fine, some), (wide, others) in combinations(each, 2):
            if not (some.isdisjoint(others) or some <= others):
                raise ValueError(f"a group must hold all of a finer one. Received: {fine!r} before {wide!r}")
        return self

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the groups, finest first."""
        return tuple(group.name for group in self.groups)

    def of(self, index: int) -> tuple[str, ...]:
        """The names of the groups that hold a label, finest first."""
        return self._of.get(index, ())

    def probability(self, probabilities: np.ndarray, *names: str) -> float:
        """The probability that a picture shows something of these groups: the sum over their labels.

        Args:
            probabilities: float [labels], calibrated.
            names: groups without a label in common.

        Raises:
            KeyError: there is no group of that name.
        """
        return float(sum(float(probabilities[self._indexes[name]].sum()) for name in names))

    def answer(self, probabilities: np.ndarray) -> tuple[int | None, str | None]:
        """The finest likely answer: a label, or else a group.

        Args:
            probabilities: float [labels], calibrated.

        Returns:
            (index of the label, None), or (None, name of the group), or (None, None) where nothing is likely.
        """
        best = int(probabilities.argmax())
        if probabilities[best] >= LIKELY_LABEL:
            return best, None
        if not self.groups:
            return None, None
        indexes, starts = self._joined
        likely = np.flatnonzero(np.add.reduceat(probabilities[indexes], starts) >= LIKELY_GROUP)
        return None, self.names[likely[0]] if len(likely) else None

    @cached_property
    def _of(self) -> dict[int, tuple[str, ...]]:
        names: dict[int, tuple[str, ...]] = {}
        for group in self.groups:
            for index in group.labels:
                names[index] = (*names.get(index, ()), group.name)
        return names

    @cached_property
    def _joined(self) -> tuple[np.ndarray, np.ndarray]:
        """The indexes of all groups one after the other, and where each group begins among them."""
        sizes = [len(group.labels) for group in self.groups]
        return np.concatenate([group.labels for group in self.groups]), np.cumsum([0, *sizes[:-1]])

    @cached_property
    def _indexes(self) -> dict[str, list[int]]:
        return {group.name: list(group.labels) for group in self.groups}


# An entry goes with its model, because whoever holds a `Model` keeps its network in memory.
_known: MutableMapping[Model, Groups] = weakref.WeakKeyDictionary()


def groups_of(model: Model) -> Groups:
    """The groups of an installed model, read once; none for a model whose card does not list `groups.json`.

    Raises:
        ValueError: the file is missing, or is not the one of the card.
    """
    known = _known.get(model)
    if known is None:
        if FILE in model.card.files:
            check_file(model, FILE)
            known = Groups.read(model.folder)
        else:
            known = Groups()
        _known[model] = known
    return known
