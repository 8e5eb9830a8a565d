"""`flask classify`, `flask models`, `flask corrections` and `flask prune`."""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import click
from flask import current_app
from flask.cli import with_appcontext
from tqdm import tqdm

from inkling import corrections as written
from inkling import folder
from inkling.csvtable import Sheet
from inkling.folder import Answered
from inkling.problems import Problem
from inkling.recognition.predictor import Classifier, Prediction
from inkling.storage.retention import prune as clear
from inkling.storage.store import StoreError


@click.command()
@click.argument("paths", metavar="FILE|DIR...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", help="Name of the model (see `flask models`); the first for photos if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option(
    "--csv",
    "table",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a table to FILE and show the progress.",
)
@with_appcontext
def classify(paths: tuple[Path, ...], model: str | None, as_json: bool, table: Path | None) -> None:
    """Say what is in each FILE, and in each file below each DIR. Exits 1 when one could not be classified."""
    if as_json and table:
        raise click.UsageError("--json and --csv exclude each other.")
    inkling = current_app.extensions["inkling"]
    model = model or _first_for_photos(inkling.classifier)
    files = [file for file in folder.files(paths) if not table or file.resolve() != table.resolve()]
    if not files:
        raise click.ClickException(f"there is no file in {', '.join(map(str, paths))}.")
    try:
        answers = folder.classify(files, model, inkling.classifier, inkling.settings)
        failed = _tabulate(answers, table, len(files)) if table else _say(answers, as_json)
    except Problem as error:
        raise click.ClickException(str(error)) from error
    sys.exit(1 if failed else 0)


@click.command()
@with_appcontext
def models() -> None:
    """List the models by task, and why any is switched off."""
    classifier = current_app.extensions["inkling"].classifier
    classifier.warm()
    for title, cards in classifier.catalog.by_task(without=classifier.broken):
        click.echo(title)
        for card in cards:
            accuracy = f"{card.metrics.accuracy:.2%}" if card.metrics else "not measured"
            click.echo(f"  {card.name:<20} {accuracy:>12}  {card.parameters:>10,} parameters  {card.title}")
    for name, why in sorted(classifier.broken.items()):
        click.echo(f"off: {name}: {why}", err=True)


@click.group()
def corrections() -> None:
    """What visitors said is right, for the model to learn from."""


@corrections.command("list")
@with_appcontext
def list_corrections() -> None:
    """List them, oldest first: when, result, model, its answer and the right label."""
    with _store_told():
        results = current_app.extensions["inkling"].store.corrected()
    for result in results:
        right = result.correction or "none of its labels"
        click.echo(f"{result.created:%Y-%m-%d %H:%M}  {result.id}  {result.model}: {result.label} -> {right}")


@corrections.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@with_appcontext
def export(folder: Path) -> None:
    """Write the pictures to DIR/TASK/LABEL/, for `python -m training train NAME --corrections DIR`."""
    try:
        with _store_told():
            count, left = written.export(current_app.extensions["inkling"].store, folder)
    except ValueError as error:
        raise click.ClickException(f"{error}.") from error
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error.strerror}.") from error
    click.echo(f"{folder}: {count} pictures")
    if left:
        click.echo(f"{left} left out, where none of the labels fits or the picture is gone", err=True)


@click.command()
@with_appcontext
def prune() -> None:
    """Remove results beyond INKLING_RETENTION_DAYS and INKLING_QUOTA_MB, and what a crash left behind."""
    inkling = current_app.extensions["inkling"]
    with _store_told():
        done = clear(inkling.store, inkling.settings)
    if done is None:
        raise click.ClickException("another process is pruning just now.")
    for count, what in (
        (done.old, f"results older than {inkling.settings.retention_days} days"),
        (done.crowded, f"oldest results beyond {inkling.settings.quota_mb} MiB"),
        (done.lost, "results whose picture was gone"),
        (done.strays, "files without a result"),
        (done.empty, "pages of several without a picture left"),
    ):
        if count:
            click.echo(f"removed: {count} {what}")
    click.echo(f"kept: {done.results} results, {done.bytes / 2**20:.1f} MiB")


@contextmanager
def _store_told() -> Iterator[None]:
    """A line in place of a traceback, where what is kept cannot be read or changed."""
    try:
        yield
    except StoreError as error:
        raise click.ClickException(f"{error}.") from error


def _first_for_photos(classifier: Classifier) -> str:
    groups = classifier.catalog.by_task("photo", without=classifier.broken)
    if not groups:
        raise click.ClickException("no model for photos is installed; name one with --model.")
    name = groups[0][1][0].name
    click.echo(f"model: {name}", err=True)
    return name


def _say(answers: Iterable[Answered], as_json: bool) -> int:
    """Prints a line a file; returns how many could not be classified."""
    failed = 0
    for file, answer, decode in answers:
        if not isinstance(answer, Problem):
            click.echo(_as_json(file, answer, decode) if as_json else _as_text(file, answer))
            continue
        failed += 1
        problem = {"file": str(file), "error": {"reason": answer.reason, "detail": str(answer)}}
        click.echo(json.dumps(problem) if as_json else f"{click.format_filename(file)}: {answer}", err=not as_json)
    return failed


def _tabulate(answers: Iterable[Answered], table: Path, total: int) -> int:
    """Writes a row a file, with a progress bar on a terminal; returns how many could not be classified."""
    failed = 0
    try:
        with _whole(table) as file:
            sheet = Sheet(file)
            for path, answer, _ in tqdm(answers, table.name, total, unit=" files", disable=None):
                if isinstance(answer, Problem):
                    failed += 1
                    sheet.problem(str(path), answer.reason, str(answer))
                else:
                    sheet.answer(str(path), answer.ranked(), answer.wording)
    except OSError as error:
        raise click.ClickException(f"{table} cannot be written: {error.strerror}.") from error
    click.echo(f"{table}: {total} files, {failed} of them without an answer", err=True)
    return failed


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """A text file that appears under its name only when all of it is written."""
    part = path.with_name(f".{path.name}.part")
    try:
        # A name that is no UTF-8 is written with escapes: the table stays readable.
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _as_text(file: Path, answer: Prediction) -> str:
    return f"{click.format_filename(file)}: {answer.label} ({answer.wording}, {answer.confidence:.1%})"


def _as_json(file: Path, answer: Prediction, decode: float) -> str:
    return json.dumps(
        {
            "file": str(file),
            "model": answer.model,
            "label": answer.label,
            "confidence": round(answer.confidence, 6),
            "sure": answer.sure,
            "predictions": [[label, round(p, 6)] for label, p in answer.ranked(5)],
            "milliseconds": {"decode": decode} | answer.milliseconds,
        }
    )
