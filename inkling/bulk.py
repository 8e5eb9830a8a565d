"""Classifies any number of pictures on a Ray cluster: `inkling classify --engine ray`.

The pictures are files below folders or S3 prefixes, or rows of Parquet files. They are divided into parts. A worker of
Ray Data reads one part after the other, decodes it through `inkling.pictures` as the server does, asks the model, and
writes the answers as one Parquet file. A part that is written is not done again, so the same command continues what was
interrupted.
"""

import hashlib
import io
import json
import logging
import posixpath
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from importlib.util import find_spec
from itertools import groupby, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from PIL import Image

from inkling.config import BadSetting, Settings
from inkling.csvreport import COLUMNS, RANKS
from inkling.pictures import reading
from inkling.pictures.budget import Budget
from inkling.problems import Problem
from inkling.recognition.catalog import Catalog, read_catalog, roots
from inkling.recognition.ray import version
from inkling.service import Outcome, Service, Source, Upload

if TYPE_CHECKING:
    from pyarrow import RecordBatch, Schema, Table
    from pyarrow.fs import FileSystem

FILES = 500  # in a part: what is done again at most after an interruption, for each worker
TABLE = ".parquet"
PICTURES = ("image", "bytes", "picture", "data")  # columns of a table that may hold pictures
NAMES = ("file", "path", "name", "id")  # columns that may name them
PART = re.compile(r"part-\d{6}-[0-9a-f]{16}\.parquet")
CHECKS = 16  # parts of an earlier run that are looked at together
FAILED = b"inkling.failed"  # in the metadata of a part: how many pictures have no answer
# Settings that are those of the command, whatever the variables on the machines of the cluster say.
SHIPPED = ("max_bytes", "max_pixels", "max_frames", "decode_seconds", "decode_memory", "request_seconds", "runtime")
NUMBERS = {"confidence", "second_confidence", "third_confidence"}  # columns; all others hold text


class Unreadable(Exception):
    """Something of the input or the output cannot be used; the message is a sentence without a full stop."""


@dataclass(frozen=True)
class Part:
    """Pictures whose answers are one file.

    Attributes:
        root: an address in their file system; empty for this machine's.
        files: the paths of picture files there, or of one table.
        group: the row group of that table; None for picture files.
        digest: tells these pictures, as they are now, and the model from all others.
    """

    index: int
    root: str
    files: tuple[str, ...]
    group: int | None
    digest: str

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"part-{self.index:06}-{self.digest}{TABLE}"


class Count(NamedTuple):
    """Pictures, and those among them without an answer."""

    pictures: int
    failed: int


@dataclass(frozen=True)
class Done:
    """What a run did.

    Attributes:
        counts: of all parts, those of earlier runs included.
        parts: all of them.
        before: those that earlier runs had done.
    """

    counts: Count
    parts: int
    before: int


def classify(paths: Sequence[str], model: str | None, out: str, settings: Settings) -> Done:
    """Classifies pictures and writes the answers into a folder of Parquet files.

    Args:
        paths: folders, files and tables, each a path or a URL such as `s3://bucket/prefix`.
        model: the model's name; None for Auto.
        out: the folder, likewise. Parts of earlier runs for other pictures or another model are removed from it.

    Raises:
        BadSetting: a package is missing.
        Problem: "unknown-model" or "model-unavailable".
        Unreadable: an address, a table, or the cluster cannot be used.
    """
    if not (find_spec("ray") and find_spec("pyarrow")):
        raise BadSetting("--engine ray needs the extra [ray]: pip install 'inkling[ray]'.")
    versions = _versions(read_catalog(*roots(settings)), model)
    try:
        parts = list(_divide(paths, json.dumps([model, versions])))
        if not parts:
            raise Unreadable(f"there is no file in {', '.join(paths)}")
        system, folder = _place(out)
        system.create_dir(folder, recursive=True)
        found = _written(system, folder)
        due = [part for part in parts if part.name not in found]
        counts = [found[part.name] for part in parts if part.name in found]
        if due:
            counts += _run(due, model, versions, out, settings)
        for name in found.keys() - {part.name for part in parts}:
            system.delete_file(posixpath.join(folder, name))
    except OSError as error:
        raise Unreadable(str(error).strip().rstrip(".")) from error
    return Done(Count(*map(sum, zip(*counts, strict=True))), len(parts), len(parts) - len(due))


def _versions(catalog: Catalog, name: str | None) -> list[str]:
    """The versions of the models that an answer depends on.

    Raises:
        Problem: "unknown-model" or "model-unavailable".
    """
    if name is None:
        return sorted(map(version, catalog))
    card = catalog.model(name).card
    judge = catalog.judge(card)
    return [version(card), *([version(judge)] if judge else [])]


# ---- Input ----


@cache
def _place(address: str) -> "tuple[FileSystem, str]":
    """The file system of an address, and the path in it.

    Raises:
        Unreadable: it is no path and no URL of a known kind.
    """
    from pyarrow import fs

    try:
        if "://" not in address:
            return fs.LocalFileSystem(), str(Path(address))
        if address.startswith("s3://"):  # a small file is then one request, which some stores require
            address += f"{'&' if '?' in address else '?'}allow_delayed_open=true"
        return fs.FileSystem.from_uri(address)
    except (ValueError, OSError) as error:
        raise Unreadable(f"{address} cannot be used: {error}") from error


class Found(NamedTuple):
    """A file of the input.

    Attributes:
        root: as in `Part`.
        state: changes with its content.
    """

    root: str
    path: str
    state: str


def _divide(addresses: Sequence[str], answered_by: str) -> Iterator[Part]:
    """All parts, in the order of their files' names. The same pictures are always divided alike.

    Args:
        answered_by: names what answers.
    """
    found = [file for address in addresses for file in _files(address)]
    pictures = [file for file in found if not file.path.endswith(TABLE)]
    groups: list[tuple[list[Found], int | None]] = []
    for _, several in groupby(pictures, lambda file: file.root):
        while some := list(islice(several, FILES)):
            groups.append((some, None))
    for table in found:
        if table.path.endswith(TABLE):
            groups += (([table], group) for group in range(_groups(table)))
    for index, (files, group) in enumerate(groups):
        text = json.dumps([answered_by, files, group])
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        yield Part(index, files[0].root, tuple(file.path for file in files), group, digest)


def _files(address: str) -> Iterator[Found]:
    """A file, or the files below a folder by name; names that begin with a dot are left out.

    Raises:
        Unreadable: there is nothing.
    """
    from pyarrow import fs

    system, path = _place(address)
    root = address if "://" in address else ""
    info = system.get_file_info(path)
    if info.type == fs.FileType.NotFound:
        raise Unreadable(f"{address} does not exist")
    infos = [info]
    if info.type == fs.FileType.Directory:
        infos = sorted(system.get_file_info(fs.FileSelector(path, recursive=True)), key=lambda info: info.path)
    inside = len(path.rstrip("/")) + 1
    for info in infos:
        hidden = any(part.startswith(".") for part in info.path[inside:].split("/"))
        if info.type == fs.FileType.File and not hidden:
            yield Found(root, info.path, f"{info.size}, {info.mtime_ns}")


def _shown(root: str, path: str) -> str:
    """A file as the answers name it."""
    scheme, mark, _ = root.partition("://")
    return f"{scheme}{mark}{path}" if mark else path


def _groups(table: Found) -> int:
    """The number of row groups of a table.

    Raises:
        Unreadable: it is damaged, or holds no pictures.
    """
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(table.path, filesystem=_place(table.root)[0]) as file:
            _columns(file.schema_arrow)
            return file.num_row_groups
    except (ArrowInvalid, Unreadable) as error:
        raise Unreadable(f"{_shown(table.root, table.path)} is not a table of pictures: {error}") from error


def _columns(schema: "Schema") -> tuple[str, str | None]:
    """The columns of the pictures and of their names.

    Raises:
        Unreadable: none holds pictures.
    """
    names = set(schema.names)
    picture = next((name for name in PICTURES if name in names), None)
    if picture is None:
        raise Unreadable(f"one column must be {', '.join(PICTURES)}. Received: {', '.join(schema.names)}")
    return picture, next((name for name in NAMES if name in names), None)


@dataclass(frozen=True)
class Stored:
    """A file in some file system, as a source of the service. `root` is as in `Part`."""

    root: str
    path: str
    kind: str = "photo"

    @property
    def name(self) -> str:
        return _shown(self.root, self.path)

    def read(self, settings: Settings, budget: Budget, at_least: int) -> Image.Image:
        """The picture.

        Raises:
            Problem: it is not accepted, is no longer there, or may not be read.
            OSError: its store does not answer: that is not the picture's fault.
        """
        system, _ = _place(self.root)
        filename = posixpath.basename(self.path)
        try:
            with system.open_input_file(self.path) as stream:
                return reading.read_stream(cast(IO[bytes], stream), filename, settings, budget, at_least)
        except (FileNotFoundError, PermissionError) as error:
            raise Problem("missing", f"The file cannot be read: {error.strerror or error}.", filename) from error


def _sources(part: Part) -> Iterator[Source]:
    """The pictures of a part."""
    if part.group is None:
        yield from (Stored(part.root, path) for path in part.files)
        return
    from pyarrow.parquet import ParquetFile

    (path,) = part.files
    with ParquetFile(path, filesystem=_place(part.root)[0]) as table:
        first = sum(table.metadata.row_group(i).num_rows for i in range(part.group))
        for batch in table.iter_batches(batch_size=64, row_groups=[part.group]):
            yield from _rows(batch, _shown(part.root, path), first)
            first += len(batch)


def _rows(batch: "RecordBatch", table: str, first: int) -> Iterator[Source]:
    """The pictures of some rows; those without a name of their own are named by their number."""
    column, names = _columns(batch.schema)
    rows: list[dict[str, Any]] = batch.to_pylist()
    for number, row in enumerate(rows, first):
        cell = row[column]
        name = row[names] if names else None
        if isinstance(cell, dict):  # as Hugging Face writes pictures
            name = name or cell.get("path")
            cell = cell.get("bytes")
        stream = io.BytesIO(cell) if isinstance(cell, bytes) else None
        yield Cell(stream, "picture", shown=str(name) if name is not None else f"{table}#{number}")


@dataclass(frozen=True)
class Cell(Upload):
    """A picture in a table. Its name is no file's, so its ending says nothing."""

    shown: str = ""

    @property
    def name(self) -> str:
        return self.shown


# ---- Work ----


def _run(due: Sequence[Part], model: str | None, versions: list[str], out: str, settings: Settings) -> list[Count]:
    """Does parts on the cluster.

    Raises:
        Unreadable: there is no cluster, or a part failed there.
    """
    import ray
    from ray.exceptions import RayError

    logging.getLogger("ray").setLevel(logging.CRITICAL)  # what fails is told once, as one sentence
    shipped = {name: getattr(settings, name) for name in SHIPPED}
    try:
        ray.init(address=settings.ray_address or "auto", log_to_driver=False, logging_level=logging.CRITICAL)
    except (RayError, ConnectionError, RuntimeError) as error:
        raise Unreadable(f"there is no Ray cluster ({_reason(error)}): `ray start --head` starts one") from error
    try:
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # which it configures itself
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        most = max(1, min(len(due), int(ray.cluster_resources().get("CPU", 1))))
        done = ray.data.from_items([asdict(part) for part in due], override_num_blocks=len(due)).map(
            Worker,
            fn_constructor_args=(model, versions, out, shipped),
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=most),
            num_cpus=1,
        )
        return [Count(row["pictures"], row["failed"]) for row in done.iter_rows()]
    except RayError as error:
        raise Unreadable(f"the cluster could not do it: {_reason(error)}") from error
    finally:
        ray.shutdown()


def _reason(error: Exception) -> str:
    """The last line of the first of the errors that led to this one, without its type."""
    first, *_ = str(error).strip().partition("\n\nThe above exception")
    return re.sub(r"^[\w.]+(Error|Exception): ", "", first.splitlines()[-1].strip()).rstrip(".")


class Worker:
    """Does one part after the other, in a process of the cluster.

    Args:
        versions: of the models on the machine of the command.
        shipped: settings of the command.

    Raises:
        RuntimeError: this machine has other models.
    """

    def __init__(self, model: str | None, versions: list[str], out: str, shipped: dict[str, Any]):
        settings = Settings.from_env()
        threads = settings.threads or 1
        self._service = Service.from_settings(settings.replace(engine="local", threads=threads, **shipped))
        self._model, self._out = model, out
        if (found := _versions(self._service.predictor.catalog, model)) != versions:
            import socket

            raise RuntimeError(f"the machine {socket.gethostname()} has other models: {found} in place of {versions}")

    def __call__(self, row: dict[str, Any]) -> dict[str, int]:
        """Does the part with these fields, and counts its pictures."""
        part = Part(**row)
        answers = [_row(outcome) for outcome in self._service.look_ahead(_sources(part), self._model)]
        failed = sum(answer["error"] is not None for answer in answers)
        system, folder = _place(self._out)
        _write(system, posixpath.join(folder, part.name), answers, failed)
        return {"pictures": len(answers), "failed": failed}


def _row(outcome: Outcome) -> dict[str, Any]:
    """The row of one picture: the columns of `inkling.csvreport`, with None for an empty cell."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row["file"], answer = outcome.name, outcome.answer
    if isinstance(answer, Problem):
        return row | {"error": answer.reason, "detail": str(answer)}
    familiar = "yes" if answer.familiar else "no"
    row |= {"wording": answer.wording, "familiar": familiar, "group": answer.group, "model": answer.model}
    for rank, (label, probability) in zip(RANKS, answer.ranked(), strict=False):
        row |= {f"{rank}label": label, f"{rank}confidence": probability}
    return row | {"route": answer.route}


# ---- Output ----


def _write(system: "FileSystem", path: str, rows: list[dict[str, Any]], failed: int) -> None:
    """Writes a part. It counts as written once its footer is there, which is written last."""
    import pyarrow as pa
    from pyarrow.parquet import write_table

    fields = [pa.field(name, pa.float32() if name in NUMBERS else pa.string()) for name in COLUMNS]
    table: Table = pa.Table.from_pylist(rows, pa.schema(fields, {FAILED: str(failed)}))
    write_table(table, path, filesystem=system)


def _written(system: "FileSystem", folder: str) -> dict[str, Count]:
    """The parts in a folder that are complete, by the name of their file."""
    from pyarrow import ArrowInvalid, fs
    from pyarrow.parquet import read_metadata

    def look(path: str) -> Count | None:
        try:
            found = read_metadata(path, filesystem=system)
            return Count(found.num_rows, int(found.metadata[FAILED]))
        except (ArrowInvalid, KeyError, TypeError, ValueError):  # it was interrupted
            return None

    infos = system.get_file_info(fs.FileSelector(folder))
    paths = [info.path for info in infos if PART.fullmatch(info.base_name)]
    with ThreadPoolExecutor(CHECKS) as pool:
        looked = zip(paths, pool.map(look, paths), strict=True)
        return {posixpath.basename(path): count for path, count in looked if count is not None}
