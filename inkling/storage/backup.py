"""Backups: one archive of database, pictures, signing key and blocked clients, made while the server runs.

An archive is an uncompressed tar file (pictures hardly compress) with the layout of the data folder. The folders of
taught models are left out, because the database holds what they are made from.
"""

import os
import secrets
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import sqlalchemy as sa

from inkling.config import Settings
from inkling.storage import private
from inkling.storage.blobs import BLOCKED, EXAMPLES, KEY, SIGNING_KEY
from inkling.storage.errors import store_errors
from inkling.storage.records import ResultRow
from inkling.storage.store import Storage, file_keys

DATABASE = "inkling.sqlite3"  # in an archive, and in the data folder


def backup(settings: Settings, file: Path) -> int:
    """Writes an archive of everything that is stored; returns how many results it holds.

    The database is copied first, then the files of its results and of the examples of taught classifiers. What is
    deleted meanwhile is left out, what is saved meanwhile may be, so that everything in the archive has its picture.

    Args:
        file: is replaced if it exists. Only its owner can read it.

    Raises:
        ValueError: the database is not an SQLite file.
        StoreError: the database cannot be read.
        OSError: a picture cannot be read, or the archive cannot be written; an older one stays as it was.
    """
    storage = Storage(settings)
    if not storage.database.is_sqlite:
        raise ValueError(
            "INKLING_DATABASE_URL names a database server; back that up with its own tools, such as pg_dump"
        )
    with (
        tempfile.TemporaryDirectory(prefix=".inkling-backup-", dir=file.parent) as folder,
        _replacing(file) as draft,
        tarfile.open(draft, "w") as archive,
    ):
        storage.database.copy_to(Path(folder, DATABASE))
        copy = Storage(settings.replace(pictures=Path(folder), database_url="", blobs=""))
        with copy.database.reading() as session:
            ids = list(session.scalars(sa.select(ResultRow.id).order_by(ResultRow.created)))
        missing = [id for id in ids if not _add_files(archive, storage, id)]
        copy.delete(*missing)
        copy.taught.forget([id for id in copy.taught.ids() if not _add_example(archive, storage, id)])
        copy.database.checkpoint()
        copy.database.close()
        for name in (SIGNING_KEY, BLOCKED):
            if (other := settings.pictures / name).exists():
                _add(archive, name, other.read_bytes())
        archive.add(Path(folder, DATABASE), DATABASE, filter=_private)
    return len(ids) - len(missing)


def restore(file: Path, settings: Settings) -> int:
    """Fills an empty data folder from an archive; returns how many results there are. The server must not run.

    Everything is extracted and checked in a temporary folder first, then moved into place, the database last.

    Raises:
        ValueError: the data folder is not empty, the file is not a complete backup, or pictures go to an object store.
        StoreError: the backup was made by a newer version of Inkling.
        OSError: the file cannot be read, or the data folder cannot be written. Nothing is left of the attempt.
    """
    if settings.blobs:
        raise ValueError(
            "INKLING_BLOBS is set; restore without it, then move the folder with `inkling migrate --blobs`"
        )
    folder, database = settings.pictures, _database_file(settings)
    if database.exists() or (folder.exists() and {path.name for path in folder.iterdir()} - private.PLACEHOLDERS):
        raise ValueError(f"{folder} holds something already; restore into an empty folder")
    private.make_folder(folder)
    draft = Path(tempfile.mkdtemp(prefix=".restore-", dir=folder))
    moved: list[Path] = []
    try:
        _extract(file, draft)
        count = _count_results(settings.replace(pictures=draft, database_url="", blobs=""))
        for path in sorted(draft.iterdir(), key=lambda path: path.name == DATABASE):
            target = database if path.name == DATABASE else folder / path.name
            moved.append(target)
            _move(path, target)
        return count
    except BaseException:
        for path in moved:
            if path.is_dir():
                shutil.rmtree(path)
            path.unlink(missing_ok=True)
        raise
    finally:
        shutil.rmtree(draft)


@contextmanager
def _replacing(file: Path) -> Iterator[Path]:
    """Yields the path of a new file that replaces `file` once it is complete and on the disk."""
    draft = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    try:
        private.write(draft, b"")
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _add_files(archive: tarfile.TarFile, storage: Storage, id: str) -> bool:
    """Adds the files of a result; returns whether its picture is among them."""
    with store_errors():
        files = {key: data for key in file_keys(id) if (data := storage.blobs.get(key))}
    if not files.keys() & {f"{id}.jpg", f"{id}.png"}:
        return False
    for key, data in files.items():
        _add(archive, key, data)
    return True


def _add_example(archive: tarfile.TarFile, storage: Storage, id: str) -> bool:
    """Adds the picture of an example; returns whether it was there."""
    key, data = storage.taught.file(id)
    if data:
        _add(archive, f"{EXAMPLES}/{key}", data)
    return data is not None


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(_private(member), BytesIO(data))


def _private(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leaves out whose files they are; only their owner may read them again."""
    member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
    return member


def _extract(file: Path, folder: Path) -> None:
    """Extracts a backup; anything in it that is not a file of Inkling's is an error."""
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                name = member.name
                is_known = name in (DATABASE, SIGNING_KEY, BLOCKED) or KEY.fullmatch(name.removeprefix(f"{EXAMPLES}/"))
                if not member.isreg() or not is_known:
                    raise ValueError(f"{file} is not a backup of Inkling: it contains {name!r}")
                private.make_folder((folder / name).parent)
                archive.extract(_private(member), folder, filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{file} is not a complete backup: {error}") from error
    if not (folder / DATABASE).exists():
        raise ValueError(f"{file} is not a complete backup: it has no database")


def _count_results(settings: Settings) -> int:
    """Opens a restored database, which upgrades it, and closes it; returns its number of results."""
    database = Storage(settings).database
    with database.reading() as session:
        count = session.scalars(sa.select(sa.func.count(ResultRow.id))).one()
    database.checkpoint()
    database.close()
    return count


def _database_file(settings: Settings) -> Path:
    url = sa.make_url(settings.sqlalchemy_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise ValueError(
            "INKLING_DATABASE_URL names a database server; restore that with its own tools, such as pg_restore"
        )
    return Path(url.database)


def _move(path: Path, target: Path) -> None:
    """Renames a file, or copies it to another disk and renames it there."""
    try:
        os.rename(path, target)
    except OSError:
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        try:
            shutil.copyfile(path, draft)
            draft.chmod(0o600)
            os.rename(draft, target)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
