"""Versions of taught classifiers as model folders: `taught/<name>/` is a link to the version that answers.

A folder is written once, under a name that its contents determine, and never changes. Publishing a version, or going
back to an older one, replaces the link in one step, so that no worker ever reads half a model.
"""

import hashlib
import json
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from inkling.config import Settings
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import Model
from inkling.storage.taught import Classifier, StoredVersion

HEAD = "head.onnx"
VERSIONS = ".versions"  # hidden, so that the catalog does not take it for a model


class Shelf:
    """The model folders of taught classifiers.

    Args:
        settings: name the data folder.
    """

    def __init__(self, settings: Settings):
        self._root = settings.pictures / "taught"

    def model(self, classifier: Classifier, version: StoredVersion, head: bytes) -> Model:
        """A version as a model, published or not.

        Raises:
            OSError: its folder cannot be written.
        """
        card = card_of(classifier, version)
        return Model(card, self._written(classifier.id, card, head))

    def publish(self, classifier: Classifier, version: StoredVersion, head: bytes) -> None:
        """Makes a version the one that answers by the classifier's name, in every worker within a second.

        Raises:
            OSError: the folder cannot be written; the version before goes on answering.
        """
        folder = self._written(classifier.id, card_of(classifier, version), head)
        link = self._root / f".{classifier.name}.{secrets.token_hex(4)}"
        link.symlink_to(Path(VERSIONS, folder.name), target_is_directory=True)
        try:
            os.replace(link, self._root / classifier.name)
        finally:
            link.unlink(missing_ok=True)

    def unpublish(self, classifier: Classifier) -> None:
        """Lets no version answer."""
        (self._root / classifier.name).unlink(missing_ok=True)

    def is_published(self, classifier: Classifier, version: StoredVersion) -> bool:
        """Whether exactly this version answers, with the title and the rights that the classifier has now."""
        link = self._root / classifier.name
        return link.is_symlink() and os.readlink(link) == os.path.join(
            VERSIONS, self._name(classifier.id, card_of(classifier, version))
        )

    def clean(self, classifier: Classifier, *kept: Model) -> None:
        """Deletes the folders of a classifier, except those of some models and the one that answers."""
        link = self._root / classifier.name
        names = {model.folder.name for model in kept}
        if link.is_symlink():
            names.add(Path(os.readlink(link)).name)
        for folder in (self._root / VERSIONS).glob(f"{classifier.id}-*"):
            if folder.name not in names:
                shutil.rmtree(folder, ignore_errors=True)

    def _name(self, id: str, card: ModelCard) -> str:
        return f"{id}-{hashlib.sha256(_json(card)).hexdigest()[:16]}"

    def _written(self, id: str, card: ModelCard, head: bytes) -> Path:
        """The folder of a version, which is written unless it is there."""
        folder = self._root / VERSIONS / self._name(id, card)
        if folder.exists():
            return folder
        draft = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}")
        draft.mkdir(mode=0o700, parents=True)
        try:
            (draft / HEAD).write_bytes(head)
            (draft / "card.json").write_bytes(_json(card))
            with suppress(FileExistsError):  # another process was faster, with the same contents
                os.rename(draft, folder)
        except OSError as error:
            if not folder.exists():  # a folder that is not empty cannot be replaced, as `FileExistsError` does not say
                raise error
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


def _json(card: ModelCard) -> bytes:
    return json.dumps(card.model_dump(mode="json", exclude_defaults=True), indent=1, sort_keys=True).encode()
