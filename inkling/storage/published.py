"""Published models: folders and links to them on each machine, and copies in a bucket if machines share one."""

import hashlib
import json
import logging
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from inkling.storage import private
from inkling.storage.s3 import Bucket

VERSIONS = ".versions"  # hidden, so that the catalog does not take it for a model
MODELS = "models/"  # prefix of keys in a bucket
NAME = re.compile(r"[\w-][\w.-]*", re.ASCII)  # of a model, of a folder, of a file

log = logging.getLogger("inkling.storage")


class Versions:
    """The folder of published models: `.versions/<folder>` holds the files of a version, `<name>` is a link to one.

    A version is written once, under a name that its contents determine, and never changes. A link is replaced in one
    step, so that nobody ever reads half a model.

    Args:
        root: is created when the first version is written. All methods raise OSError if it cannot be used.
    """

    def __init__(self, root: Path):
        self.root = root

    def folder(self, version: str) -> Path:
        """The folder of a version, which may not be there."""
        return self.root / VERSIONS / version

    def write(self, version: str, files: Mapping[str, bytes]) -> Path:
        """Writes a version, unless it is there; returns its folder."""
        folder = self.folder(version)
        if folder.exists():
            return folder
        draft = folder.with_name(f".{version}.{secrets.token_hex(4)}")
        for parent in (self.root.parent, self.root, self.root / VERSIONS):
            private.make_folder(parent)
        draft.mkdir(mode=private.FOLDER)
        try:
            for name, data in files.items():
                private.write(draft / name, data)
            os.rename(draft, folder)
        except OSError:
            if not folder.exists():  # else another process was faster, with the same contents
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return folder

    def link(self, name: str, version: str) -> None:
        """Makes a version the one of that name."""
        link = self.root / f".{name}.{secrets.token_hex(4)}"
        link.symlink_to(Path(VERSIONS, version), target_is_directory=True)
        try:
            os.replace(link, self.root / name)
        finally:
            link.unlink(missing_ok=True)

    def unlink(self, name: str) -> None:
        """Removes a name."""
        (self.root / name).unlink(missing_ok=True)

    def linked(self, name: str) -> str | None:
        """The version of that name, which may be missing; None if there is no such link."""
        with suppress(OSError):
            target = Path(os.readlink(self.root / name))
            if target.parent == Path(VERSIONS):
                return target.name
        return None

    def names(self) -> list[str]:
        """The names of all links."""
        return [path.name for path in self.root.glob("[!.]*") if self.linked(path.name)]

    def delete(self, id: str, kept: Iterable[str]) -> None:
        """Deletes the versions whose names begin with an id, except some."""
        kept = set(kept)
        for folder in (self.root / VERSIONS).glob(f"{id}-*"):
            if folder.name not in kept:
                shutil.rmtree(folder, ignore_errors=True)


class Copies(Protocol):
    """Where other machines find what one has published. All methods may raise StoreError."""

    def publish(self, name: str, version: str) -> None:
        """Makes a version of this machine the one of that name for all."""

    def unpublish(self, name: str) -> None:
        """Removes a name for all."""

    def delete(self, id: str, kept: Iterable[str]) -> None:
        """Deletes the versions whose names begin with an id, except some."""

    def synchronize(self) -> None:
        """Makes this machine's folder agree with what was published last."""


class NoCopies:
    """One machine needs none."""

    def publish(self, name: str, version: str) -> None:
        """Does nothing."""

    def unpublish(self, name: str) -> None:
        """Does nothing."""

    def delete(self, id: str, kept: Iterable[str]) -> None:
        """Does nothing."""

    def synchronize(self) -> None:
        """Does nothing."""


class BucketCopies:
    """Copies in a bucket.

    `models/<name>.json` says which version has that name, and the SHA-256 of each of its files, which are
    `models/<version>/<file>`. Like the folders of versions, these never change.
    """

    def __init__(self, bucket: Bucket, versions: Versions):
        self._bucket, self._versions = bucket, versions
        self._seen: dict[str, str] = {}  # name -> entity tag of the file that the machine's folder agrees with

    def publish(self, name: str, version: str) -> None:
        """Makes a version of this machine the one of that name for all.

        Raises:
            StoreError: the bucket cannot be used. The version before stays.
            OSError: the version cannot be read.
        """
        files = {path.name: path.read_bytes() for path in self._versions.folder(version).iterdir()}
        for file, data in files.items():
            self._bucket.put_new(f"{MODELS}{version}/{file}", data)
        sums = {file: _sha256(data) for file, data in files.items()}
        self._bucket.put(_key(name), json.dumps({"version": version, "files": sums}).encode())

    def unpublish(self, name: str) -> None:
        """Removes a name for all.

        Raises:
            StoreError: the bucket cannot be used.
        """
        self._bucket.delete([_key(name)])

    def delete(self, id: str, kept: Iterable[str]) -> None:
        """Deletes the versions whose names begin with an id, except some.

        Raises:
            StoreError: the bucket cannot be used.
        """
        kept = set(kept)
        keys = [blob.key for blob, _ in self._bucket.iterate(f"{MODELS}{id}-", delimiter="")]
        self._bucket.delete([key for key in keys if key.removeprefix(MODELS).partition("/")[0] not in kept])

    def synchronize(self) -> None:
        """Makes this machine's folder agree with the bucket.

        What changed is downloaded, compared with its checksums, and then takes the place of what was there. A name is
        removed after another look at the bucket, because a worker of this machine may have published it meanwhile.

        Raises:
            StoreError: the bucket cannot be used.
            OSError: the folder cannot be written.
        """
        tags = {
            blob.key.removeprefix(MODELS).removesuffix(".json"): tag
            for blob, tag in self._bucket.iterate(MODELS)
            if blob.key.endswith(".json")
        }
        for name, tag in tags.items():
            known = self._seen.get(name) == tag and (self._versions.root / name).is_dir()
            if not known and self._fetch(name):
                self._seen[name] = tag
        for name in self._versions.names():
            if name not in tags and self._bucket.head(_key(name)) is None:
                self._versions.unlink(name)
                self._seen.pop(name, None)

    def _fetch(self, name: str) -> bool:
        """Links a name to its version, which is downloaded unless it is here; returns whether that was possible."""
        text = self._bucket.get(_key(name))
        if text is None:  # it was unpublished just now
            return False
        try:
            described = json.loads(text)
            version, files = described["version"], described["files"]
            ours = all(map(NAME.fullmatch, (name, version, *files)))
        except (ValueError, LookupError, TypeError):
            ours = False
        if not ours:  # and no reason to keep those that are
            log.warning("the object store holds a file %s.json that Inkling did not publish", MODELS + name)
            return False
        contents = {}
        if not self._versions.folder(version).exists():
            for file, expected in files.items():
                data = self._bucket.get(f"{MODELS}{version}/{file}")
                if data is None or _sha256(data) != expected:
                    log.warning("the %s of model %s is missing in the object store or damaged", file, name)
                    return False
                contents[file] = data
        before = self._versions.linked(name)
        if before != version:
            self._versions.write(version, contents)
            self._versions.link(name, version)
            if before:
                shutil.rmtree(self._versions.folder(before), ignore_errors=True)
        return True


def _key(name: str) -> str:
    return f"{MODELS}{name}.json"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
