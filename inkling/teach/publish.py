"""Versions of taught classifiers as models: `taught/<name>/` is the version that answers.

`inkling.storage.published` describes the folders.
"""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress

from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import KEPT, Model, check_file
from inkling.storage.errors import StoreError, store_errors
from inkling.storage.taught import Classifier, StoredVersion, Taught

HEAD = "head.onnx"
NETWORK = "model.onnx"  # of a backbone


class Shelf:
    """The model folders of taught classifiers. What cannot be written raises StoreError.

    Args:
        storage: has the versions.
    """

    def __init__(self, storage: Taught):
        self._storage, self._versions, self._copies = storage, storage.folders, storage.copies

    def model(self, classifier: Classifier, number: int) -> Model:
        """A version as a model, published or not.

        Raises:
            Problem: "unknown-version".
        """
        card = card_of(classifier, self._storage.version(classifier.id, number))
        with store_errors():
            name = self._written(classifier.id, number, card)
        return Model(card, self._versions.folder(name))

    def synchronize(self) -> None:
        """Takes over what other machines published, if this one shares an object store with them."""
        with store_errors():
            self._copies.synchronize()

    def publish_all(self) -> None:
        """Makes the folders agree with the database, as after `inkling restore` or a crash.

        Versions that are live are published where they are not, and names of classifiers that are gone are removed.
        """
        classifiers = self._storage.all()
        for classifier in classifiers:
            if classifier.live is not None:
                self.publish(classifier, classifier.live)
        names = {classifier.name for classifier in classifiers}
        with store_errors():
            for name in self._versions.names():
                if name not in names:
                    self._copies.unpublish(name)
                    self._versions.unlink(name)

    def copy_all(self) -> int:
        """Copies every version that is live to where other machines find it; returns how many there are."""
        live = [(classifier, classifier.live) for classifier in self._storage.all() if classifier.live is not None]
        for classifier, number in live:
            self._publish(classifier, number, again=True)
        return len(live)

    def publish(self, classifier: Classifier, number: int) -> None:
        """Makes a version the one that answers by the classifier's name, in every worker within a second.

        On other machines, it does so within five seconds.

        Raises:
            Problem: "unknown-version".
        """
        self._publish(classifier, number)

    def _publish(self, classifier: Classifier, number: int, again: bool = False) -> None:
        """Publishes a version; one that is published on this machine only if it shall be copied again."""
        card = card_of(classifier, self._storage.version(classifier.id, number))
        name = _name(classifier.id, card)
        with store_errors():
            linked = self._versions.linked(classifier.name) == name and self._versions.folder(name).is_dir()
            if not linked or again:
                self._written(classifier.id, number, card)
                self._copies.publish(classifier.name, name)
                self._versions.link(classifier.name, name)

    def keep_backbones(self, models: Iterable[Model]) -> None:
        """Copies the networks that versions continue which were ever live, so that an upgrade does not end these.

        Copies that no such version continues any more are deleted.

        Args:
            models: the installed ones.
        """
        wanted = self._storage.backbones()
        with store_errors():
            for model in models:
                checksum = model.card.files.get(NETWORK)
                name = f"{KEPT}-{checksum}"
                if checksum in wanted and not self._versions.folder(name).exists():
                    with suppress(ValueError):  # it is damaged, and switched off
                        files = {NETWORK: check_file(model, NETWORK), "card.json": model.folder / "card.json"}
                        self._versions.write(name, {file: path.read_bytes() for file, path in files.items()})
            self._versions.delete(KEPT, {f"{KEPT}-{checksum}" for checksum in wanted})

    def unpublish(self, classifier: Classifier) -> None:
        """Lets no version answer."""
        with store_errors():
            self._copies.unpublish(classifier.name)
            self._versions.unlink(classifier.name)

    def clean(self, classifier: Classifier, *kept: Model) -> None:
        """Deletes the folders of a classifier, except those of some models and the one that answers."""
        linked = self._versions.linked(classifier.name)
        answering = {linked} if linked else set()
        self._versions.delete(classifier.id, answering | {model.folder.name for model in kept})
        with suppress(StoreError):  # what is left is deleted the next time
            self._copies.delete(classifier.id, answering)

    def _written(self, id: str, number: int, card: ModelCard) -> str:
        """The name of a version's folder, which is written unless it is there."""
        name = _name(id, card)
        if not self._versions.folder(name).exists():
            self._versions.write(name, {HEAD: self._storage.head(id, number), "card.json": _json(card)})
        return name


def card_of(classifier: Classifier, version: StoredVersion) -> ModelCard:
    """The card of a version, with the title and the rights that the classifier has now."""
    return ModelCard.model_validate(
        {
            **version.card,
            "name": classifier.name,
            "task": classifier.name,
            "title": classifier.title,
            "taught": {
                "classifier": classifier.id,
                "version": version.number,
                "owner": classifier.owner,
                "listed": classifier.listed,
                "auto": classifier.auto,
            },
        }
    )


def _name(id: str, card: ModelCard) -> str:
    """The name of a version's folder. The card holds the checksum of the head, and so determines both files."""
    return f"{id}-{hashlib.sha256(_json(card)).hexdigest()[:16]}"


def _json(card: ModelCard) -> bytes:
    return json.dumps(card.model_dump(mode="json", exclude_defaults=True), indent=1, sort_keys=True).encode()
