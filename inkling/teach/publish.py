"""Versions of taught classifiers as model folders: `taught/<name>/` is a link to the version that answers.

A folder is written once, under a name that its contents determine, and never changes. Publishing a version, or going
back to an older one, replaces the link in one step, so that no worker ever reads half a model.
"""

import hashlib
import json
import os
import secrets
import shutil
from pathlib import Path

from inkling.config import Settings
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import Model
from inkling.storage import private
from inkling.storage.errors import store_errors
from inkling.storage.taught import Classifier, StoredVersion, Taught

HEAD = "head.onnx"
VERSIONS = ".versions"  # hidden, so that the catalog does not take it for a model


class Shelf:
    """The model folders of taught classifiers. A folder that cannot be written raises StoreError.

    Args:
        settings: name the data folder.
        storage: has the versions.
    """

    def __init__(self, settings: Settings, storage: Taught):
        self._root, self._storage = settings.pictures / "taught", storage

    def model(self, classifier: Classifier, number: int) -> Model:
        """A version as a model, published or not.

        Raises:
            Problem: "unknown-version".
        """
        card = card_of(classifier, self._storage.version(classifier.id, number))
        with store_errors():
            return Model(card, self._written(classifier.id, number, card))

    def publish_all(self) -> None:
        """Makes the folders agree with the database, as after `inkling restore` or a crash.

        Versions that are live are published where they are not, and links of classifiers that are gone are deleted.
        """
        classifiers = self._storage.all()
        for classifier in classifiers:
            if classifier.live is not None:
                self.publish(classifier, classifier.live)
        names = {classifier.name for classifier in classifiers}
        with store_errors():
            for link in self._root.glob("[!.]*"):
                if link.name not in names and link.is_symlink() and Path(os.readlink(link)).parent == Path(VERSIONS):
                    link.unlink(missing_ok=True)

    def publish(self, classifier: Classifier, number: int) -> None:
        """Makes a version the one that answers by the classifier's name, in every worker within a second.

        Raises:
            Problem: "unknown-version".
        """
        card = card_of(classifier, self._storage.version(classifier.id, number))
        with store_errors():
            if not self._is_published(classifier, card):
                self._link(classifier, self._written(classifier.id, number, card))

    def _link(self, classifier: Classifier, folder: Path) -> None:
        link = self._root / f".{classifier.name}.{secrets.token_hex(4)}"
        link.symlink_to(Path(VERSIONS, folder.name), target_is_directory=True)
        try:
            os.replace(link, self._root / classifier.name)
        finally:
            link.unlink(missing_ok=True)

    def unpublish(self, classifier: Classifier) -> None:
        """Lets no version answer."""
        (self._root / classifier.name).unlink(missing_ok=True)

    def _is_published(self, classifier: Classifier, card: ModelCard) -> bool:
        """Whether the folder with this card is the one that answers, and is there."""
        link = self._root / classifier.name
        return link.is_dir() and os.readlink(link) == os.path.join(VERSIONS, _name(classifier.id, card))

    def clean(self, classifier: Classifier, *kept: Model) -> None:
        """Deletes the folders of a classifier, except those of some models and the one that answers."""
        link = self._root / classifier.name
        names = {model.folder.name for model in kept}
        if link.is_symlink():
            names.add(Path(os.readlink(link)).name)
        for folder in (self._root / VERSIONS).glob(f"{classifier.id}-*"):
            if folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)

    def _written(self, id: str, number: int, card: ModelCard) -> Path:
        """The folder of a version, which is written unless it is there."""
        folder = self._root / VERSIONS / _name(id, card)
        if folder.exists():
            return folder
        draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        for parent in (self._root.parent, self._root, self._root / VERSIONS):
            private.make_folder(parent)
        draft.mkdir(mode=0o700)
        try:
            private.write(draft / HEAD, self._storage.head(id, number))
            private.write(draft / "card.json", _json(card))
            os.rename(draft, folder)
        except OSError:
            if not folder.exists():  # else another process was faster, with the same contents
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return folder


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
