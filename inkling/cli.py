"""The command `inkling`: serves the app, recognizes files, and maintains what was saved.

Every command but `serve` works on the settings, models and storage directly, without the web app.
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TextIO

import click
from tqdm import tqdm

from inkling import access, audit, bulk, remote
from inkling.client import InklingError
from inkling.config import TOKEN, BadSetting, Settings, accepts, blobs_url, database_url
from inkling.csvreport import Report
from inkling.problems import Problem
from inkling.recognition.predictor import Prediction
from inkling.recognition.pretrained.build import BuildError, build_missing
from inkling.service import File, Outcome, Service
from inkling.storage import Quota, Result, Storage, StoreError, retention, transfer
from inkling.storage import backup as archives
from inkling.storage import corrections as exports
from inkling.storage.database import Database
from inkling.storage.places import places
from inkling.teach import intake
from inkling.teach.publish import Shelf
from inkling.teach.types import Kind


class Commands(click.Group):
    """Reports the failures that a person can do something about as one sentence, and exits with status 1."""

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except BadSetting as error:
            raise click.ClickException(str(error)) from error
        except Problem as problem:
            raise click.ClickException(str(problem)) from problem
        except StoreError as error:
            raise click.ClickException(f"{error}.") from error
        except InklingError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=Commands)
@click.version_option(package_name="inkling")
def main() -> None:
    """Inkling recognizes what is in photos and drawings."""


def _service() -> Service:
    """The service that the INKLING_ variables describe, or the one that the caller passed as click's `obj`."""
    return click.get_current_context().obj or Service.from_settings(Settings.from_env())


def _settings() -> Settings:
    """The settings of that service, without reading any model."""
    service = click.get_current_context().obj
    return service.settings if service else Settings.from_env()


def _storage() -> Storage:
    """The storage of that service, likewise."""
    service = click.get_current_context().obj
    return service.storage if service else Storage(_settings())


def _note(action: str, **what: object) -> None:
    """Adds a line to the audit log."""
    audit.note(_settings(), action, audit.COMMAND_LINE, **what)


# ---- inkling serve, inkling chat ----


@main.command()
@click.option("--host", help="Address to listen on. Default: INKLING_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on. Default: PORT, or 5000.")
@click.option("--workers", type=click.IntRange(1), help="Number of worker processes. Default: WEB_CONCURRENCY.")
def serve(host: str | None, port: int | None, workers: int | None) -> None:
    """Serve the pages and the API until SIGTERM.

    Anything else of gunicorn can be changed with GUNICORN_CMD_ARGS.
    """
    _serve(_settings(), host, port, workers)


@main.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--projector",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="GGUF file with which the language model sees pictures (mmproj).",
)
@click.option("--host", help="Address to listen on. Default: INKLING_HOST.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on. Default: PORT, or 5000.")
@click.option("--workers", type=click.IntRange(1), help="Number of worker processes. Default: WEB_CONCURRENCY.")
def chat(file: Path, projector: Path | None, host: str | None, port: int | None, workers: int | None) -> None:
    """Serve as `inkling serve` does, with the language model in FILE (GGUF) beside the measured answers.

    It needs the extra [chat].
    """
    from inkling.ask import local

    settings = _settings()
    try:
        with local.serving(file, projector) as found:
            beside = settings.replace(chat_url=found.url, chat_key=found.key, chat_model=file.stem)
            _serve(beside, host, port, workers)
    except local.CannotServe as error:
        raise click.ClickException(f"{error}.") from error


def _serve(settings: Settings, host: str | None, port: int | None, workers: int | None) -> None:
    from inkling.web import server  # loads libraries that no other command needs

    if port:  # a hosting platform sets PORT to have all addresses served; a person who names a port does not mean that
        host = host or settings.bind.rpartition(":")[0]
    server.run(
        settings.replace(
            host=host or settings.host,
            port=port or settings.port,
            web_concurrency=workers or settings.web_concurrency,
        )
    )


# ---- inkling classify, inkling models ----


@main.command()
@click.argument("paths", metavar="FILE|DIR...", nargs=-1, required=True)
@click.option("--model", help="Name of the model (see `inkling models`). Default: Inkling chooses.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@click.option(
    "--csv",
    "table",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write a table to FILE and show the progress.",
)
@click.option("--server", metavar="URL", help="Ask the Inkling at this address instead of loading models.")
@click.option(
    "--token",
    envvar=TOKEN,
    help=f"Token of that server. {TOKEN} is safer, because other users of this machine may see a command's options.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="`ray` divides the work among the machines of a Ray cluster. FILE and DIR may then be URLs, such as "
    "s3://bucket/prefix, and Parquet files with pictures in a column.",
)
@click.option(
    "--out", metavar="DIR", help="Folder or URL to which `--engine ray` writes the answers, as Parquet files."
)
def classify(
    paths: tuple[str, ...],
    model: str | None,
    as_json: bool,
    table: Path | None,
    server: str | None,
    token: str | None,
    engine: str,
    out: str | None,
) -> None:
    """Say what is in each FILE, and in each file below each DIR.

    Nothing is saved. The exit status is 1 if a file could not be classified.
    """
    if as_json and table:
        raise click.UsageError("--json and --csv exclude each other.")
    if (engine == "ray") != bool(out) or (out and (as_json or table or server)):
        raise click.UsageError("--engine ray and --out belong together, and exclude --json, --csv and --server.")
    if out:
        sys.exit(_classify_in_bulk(paths, model, out))
    files = [file for file in _files(map(Path, paths)) if not table or file.resolve() != table.resolve()]
    if not files:
        raise click.ClickException(f"there is no file in {', '.join(map(str, paths))}.")
    outcomes: Iterable[Outcome | remote.Outcome]
    if server:
        outcomes = remote.look_ahead(server, token, files, model)
    else:
        outcomes = _service().look_ahead(map(File, files), model)
    failed = _write_table(outcomes, table, len(files)) if table else _print(outcomes, as_json)
    sys.exit(1 if failed else 0)


def _classify_in_bulk(paths: tuple[str, ...], model: str | None, out: str) -> int:
    """Classifies on a Ray cluster; returns the exit status."""
    try:
        done = bulk.classify(paths, model, out, _settings())
    except bulk.Unreadable as error:
        raise click.ClickException(f"{error}.") from error
    pictures, failed = done.counts
    click.echo(f"{out}: {pictures} pictures, {failed} of them without an answer", err=True)
    click.echo(f"{done.parts} parts, {done.before} of them written before", err=True)
    return 1 if failed else 0


@main.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the models by task, and say why any is switched off."""
    if context.invoked_subcommand:
        return
    predictor = _service().predictor
    predictor.warm()
    catalog = predictor.catalog
    for title, cards in catalog.by_task():
        click.echo(title)
        for card in cards:
            accuracy = f"{card.metrics.accuracy:.2%}" if card.metrics else "not measured"
            click.echo(f"  {card.name:<20} {accuracy:>12}  {card.parameters:>10,} parameters  {card.title}")
    for name, cause in sorted(catalog.broken.items()):
        click.echo(f"off: {name}: {cause}", err=True)


@models.command()
def build() -> None:
    """Build the networks that are made from the weights in a Python package, unless that is done."""
    failed = False
    for name, result in build_missing(_settings()):
        failed |= isinstance(result, BuildError)
        click.echo(f"{name}: {result}", err=isinstance(result, BuildError))
    sys.exit(1 if failed else 0)


def _files(paths: Iterable[Path]) -> list[Path]:
    """The files among `paths`, and those below the folders among them in the order of their names."""
    return [file for path in paths for file in (intake.files_below(path) if path.is_dir() else [path])]


def _print(outcomes: Iterable[Outcome | remote.Outcome], as_json: bool) -> int:
    """Prints a line for each file; returns how many files have no answer."""
    failed = 0
    for outcome in outcomes:
        if isinstance(outcome.answer, Problem):
            failed += 1
            # A problem is part of the JSON output, but not of the text output.
            click.echo(_problem_line(outcome.name, outcome.answer, as_json), err=not as_json)
        else:
            click.echo(_answer_line(outcome, outcome.answer, as_json))
    return failed


def _answer_line(outcome: Outcome | remote.Outcome, answer: Prediction | Result, as_json: bool) -> str:
    if not as_json:
        certainty = f"{answer.wording}, {answer.confidence:.1%}" if answer.familiar else "unfamiliar"
        return f"{click.format_filename(outcome.name)}: {answer.label} ({certainty})"
    return json.dumps(
        {
            "file": outcome.name,
            "model": answer.model,
            "label": answer.label,
            "confidence": round(answer.confidence, 6),
            "sure": answer.sure,
            "wording": answer.wording,
            "familiar": answer.familiar,
            "group": answer.group,
            **({"route": answer.route, "asked": answer.asked} if answer.route else {}),
            "predictions": [[label, round(probability, 6)] for label, probability in answer.ranked(5)],
            "milliseconds": outcome.milliseconds,
        }
    )


def _problem_line(file: str, problem: Problem, as_json: bool) -> str:
    if not as_json:
        return f"{click.format_filename(file)}: {problem}"
    return json.dumps({"file": file, "error": {"reason": problem.reason, "detail": str(problem)}})


def _write_table(outcomes: Iterable[Outcome | remote.Outcome], table: Path, total: int) -> int:
    """Writes a row for each file, with a progress bar on a terminal; returns how many files have no answer."""
    failed = 0
    try:
        with _complete(table) as file:
            report = Report(file)
            for outcome in tqdm(outcomes, table.name, total, unit=" files", disable=None):
                answer = outcome.answer
                if isinstance(answer, Problem):
                    failed += 1
                    report.problem(outcome.name, answer.reason, str(answer))
                else:
                    report.answer(outcome.name, answer, answer.ranked(), answer.wording)
    except OSError as error:
        raise click.ClickException(f"{table} cannot be written: {error.strerror}.") from error
    click.echo(f"{table}: {total} files, {failed} of them without an answer", err=True)
    return failed


@contextmanager
def _complete(path: Path) -> Iterator[TextIO]:
    """A text file that gets its name once all of it is written; until then an older file of that name stays."""
    part = path.with_name(f".{path.name}.part")
    try:
        # File names that are not valid UTF-8 are written with escapes, which keeps the table readable.
        with part.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            yield file
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


# ---- inkling teach ----


@main.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--name", required=True, help="Name of the classifier, such as birds.")
@click.option("--kind", type=click.Choice(["photo", "ink"]), default="photo", help="Photos (the default), or drawings.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def teach(folder: Path, name: str, kind: Kind, as_json: bool) -> None:
    """Teach a classifier from FOLDER, which has a folder of pictures for each class, and publish it.

    The same name again adds what is new in FOLDER to that classifier. `inkling classify --model NAME` then uses it.
    """
    from inkling.teach import lesson  # which loads `onnx`

    done = lesson.teach(_service(), folder, name, kind, lambda pairs: tqdm(pairs, name, unit=" files", disable=None))
    _note("teach", id=done.classifier.id)
    for file, problem in done.refused:
        click.echo(f"{click.format_filename(file)}: {problem}", err=True)
    click.echo(json.dumps(lesson.as_json(done)) if as_json else "\n".join(lesson.as_text(done)))


# ---- inkling results, inkling corrections ----


@main.group()
def results() -> None:
    """Maintain saved results."""


@results.command()
def prune() -> None:
    """Delete results beyond INKLING_RETENTION_DAYS and INKLING_QUOTA_MB, and clean up after crashes."""
    settings = _settings()
    done = retention.prune(_storage(), settings)
    if done is None:
        raise click.ClickException("another process is pruning just now.")
    _note("results prune", removed=done.expired + done.hidden + done.over_quota + done.without_picture)
    for count, what in (
        (done.expired, f"results older than {settings.retention_days} days"),
        (done.hidden, "results that visitors had deleted"),
        (done.over_quota, f"oldest results beyond {settings.quota_mb} MiB"),
        (done.without_picture, "results whose picture was gone"),
        (done.empty_batches, "batches without a result left"),
    ):
        if count:
            click.echo(f"removed: {count} {what}")
    if done.quarantined:
        click.echo(f"moved to quarantine: {done.quarantined} files without a result")
    click.echo(f"kept: {done.results} results, {done.bytes / 2**20:.1f} MiB")


@results.command(context_settings={"ignore_unknown_options": True})  # an id may begin with a hyphen
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
def delete(ids: tuple[str, ...]) -> None:
    """Delete results with their pictures. ID is the last part of a result's address."""
    storage = _storage()
    missing = [id for id in ids if not storage.delete(id)]
    _note("results delete", results=[id for id in ids if id not in missing])
    if missing:
        raise click.ClickException(f"there is no result {', '.join(missing)}.")


@results.command()
@click.argument("client", metavar="CLIENT")
def block(client: str) -> None:
    """Refuse everything that CLIENT asks, with 403. CLIENT is an address; of IPv6 its network (/64) is blocked."""
    with _reporting("the list of blocked clients cannot be written"):
        blocked = _client(client)
        _storage().blocks.add(blocked)
    _note("results block", client=blocked)
    click.echo(f"blocked: {blocked}")


@results.command()
@click.argument("client", metavar="CLIENT")
def unblock(client: str) -> None:
    """Let CLIENT in again."""
    with _reporting("the list of blocked clients cannot be written"):
        unblocked = _client(client)
        if not _storage().blocks.remove(unblocked):
            raise click.ClickException(f"{client} is not blocked.")
    _note("results unblock", client=unblocked)


@results.command()
def blocked() -> None:
    """List the blocked clients."""
    for client in sorted(_storage().blocks.all()):
        click.echo(client)


def _client(text: str) -> str:
    """The client that the server counts an address as; a network is taken as `inkling results blocked` lists it.

    Raises:
        ValueError: the text is not an address.
    """
    from inkling.web.edge import proxies

    address, slash, _ = text.partition("/")
    client = proxies.client(address)
    if not client or (slash and client != text):
        raise ValueError(f"CLIENT must be an address, such as 203.0.113.7 or 2001:db8::1. Received: {text}")
    return client


@main.group()
def corrections() -> None:
    """Labels that visitors said are right, for a model to learn from."""


@corrections.command("list")
def list_corrections() -> None:
    """List corrections, oldest first: time, result, model, its answer and the right label."""
    for result in _storage().corrected():
        right = result.correction or "none of its labels"
        click.echo(f"{result.created:%Y-%m-%d %H:%M}  {result.id}  {result.model}: {result.label} -> {right}")


@corrections.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def export(folder: Path) -> None:
    """Write the pictures to DIR/TASK/LABEL/, for `python -m training train NAME --corrections DIR`."""
    storage = _storage()
    with _reporting(f"{folder} cannot be written"):
        count, left = exports.export(storage, folder)
    click.echo(f"{folder}: {count} pictures")
    if left:
        click.echo(f"{left} left out, because none of the labels fits or the picture is gone", err=True)


# ---- inkling tokens ----


@main.group()
def tokens() -> None:
    """Tokens that let people and programs do more than a visitor may."""


@tokens.command()
@click.option(
    "--scope",
    type=click.Choice(list(access.SCOPES)),
    required=True,
    help="What it allows, beside what the scopes before it do.",
)
@click.option(
    "--name",
    "owner",
    metavar="OWNER",
    default=access.LOCAL,
    show_default=True,
    help="Whose token it is. Tokens of one name own the same classifiers; `local` is the owner at this machine.",
)
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, help="How long it is valid.")
@click.option(
    "--limit",
    "limits",
    metavar="POINTS/SPAN",
    multiple=True,
    help="Points that the token may use: 600/minute instead of its client's limit, or 20000/day. Both may be given.",
)
def add(scope: str, owner: str, days: int, limits: tuple[str, ...]) -> None:
    """Print a new token once: to send as `Authorization: Bearer TOKEN`, or to sign in with at /sign-in."""
    if not access.can_own(owner):
        raise click.UsageError(f"--name takes 1 to {access.LONGEST_OWNER} printable characters.")
    click.echo(access.new_token(_storage().tokens, scope, owner, timedelta(days=days), _quota(limits)))
    _note("tokens add", scope=scope, owner=owner)


def _quota(limits: tuple[str, ...]) -> Quota:
    spans: dict[str, int] = {}
    for limit in limits:
        points, _, span = limit.partition("/")
        if span not in ("minute", "day") or span in spans or not re.fullmatch("[1-9][0-9]{0,8}", points):
            raise click.UsageError(f"--limit takes points for a minute or a day, such as 600/minute. Received: {limit}")
        spans[span] = int(points)
    return Quota(spans.get("minute"), spans.get("day"))


@tokens.command("list")
def list_tokens() -> None:
    """List tokens, signed-in browsers and unused sign-in links: number, kind, scope, owner, last day (UTC), limits."""
    for one in _storage().tokens.all():
        spans = {"minute": one.quota.minute, "day": one.quota.day}
        limits = "  ".join(f"{points}/{span}" for span, points in spans.items() if points)
        line = f"{one.id:>5}  {one.kind:<8} {one.scope:<8} {one.owner:<20} {one.expires:%Y-%m-%d}  {limits}"
        click.echo(line.rstrip())


@tokens.command("delete")
@click.argument("ids", metavar="NUMBER...", nargs=-1, required=True, type=int)
def delete_tokens(ids: tuple[int, ...]) -> None:
    """Delete tokens at once, and sign out the browsers that used them. `inkling tokens list` shows the numbers."""
    table = _storage().tokens
    missing = [str(id) for id in ids if not table.delete(id)]
    _note("tokens delete", tokens=[id for id in ids if str(id) not in missing])
    if missing:
        raise click.ClickException(f"there is no token {', '.join(missing)}.")


# ---- inkling backup, inkling restore ----


@main.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
def backup(file: Path) -> None:
    """Write everything that is saved to an archive: results, taught classifiers, pictures and the key of cookies.

    The server may run meanwhile.
    """
    settings = _settings()
    with _reporting(f"{file} cannot be written"):
        count = archives.backup(settings, file)
    click.echo(f"{file}: {count} results")


@main.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(file: Path) -> None:
    """Fill an empty data folder from an archive that `inkling backup` wrote. The server must not run."""
    settings = _settings()
    with _reporting(f"{file} cannot be restored to {settings.pictures}"):
        count = archives.restore(file, settings)
        Shelf(Storage(settings).taught).publish_all()
    _note("restore", results=count)
    click.echo(f"{settings.pictures}: {count} results")


@main.command()
@click.option("--to", "database", metavar="URL", help="Database to move to, such as postgresql://user@host/name.")
@click.option("--blobs", metavar="URL", help="Bucket to move pictures, examples and models to: s3://bucket/prefix.")
def migrate(database: str | None, blobs: str | None) -> None:
    """Copy what is saved to where several machines can share it. The server must not run.

    It may be interrupted, and goes on when it is run again. What is there afterwards is compared with what was copied.
    The settings stay as they are: change them, and start the server.
    """
    if not database and not blobs:
        raise click.UsageError("Say what to move: --to, --blobs, or both.")
    settings = _settings()
    if database:
        _move_database(settings, database)
    if blobs:
        _move_blobs(settings, blobs)
    _note("migrate")


def _move_database(settings: Settings, url: str) -> None:
    try:
        target = Database(database_url(url), settings.pictures)
    except ValueError as error:
        accepted = accepts(Settings.model_fields["database_url"])
        raise click.BadParameter(f"it must be {accepted}.", param_hint="--to") from error
    try:
        with _reporting("the database cannot be moved"):
            for moved in transfer.move(Storage(settings).database, target):
                click.echo(f"{moved.table}: {moved.rows} rows, checksum {moved.checksum[:16]}")
    finally:
        target.close()


def _move_blobs(settings: Settings, url: str) -> None:
    try:
        moved = settings.replace(blobs=blobs_url(url))
    except ValueError as error:
        accepted = accepts(Settings.model_fields["blobs"])
        raise click.BadParameter(f"it must be {accepted}.", param_hint="--blobs") from error
    here, there = places(settings), places(moved)
    with _reporting("the pictures cannot be moved"):
        for name, source, target in (
            ("results", here.results, there.results),
            ("examples", here.examples, there.examples),
        ):
            done = transfer.move_blobs(source, target)
            click.echo(f"{name}: {done.files} files, {done.bytes} bytes, checksum {done.checksum[:16]}")
    count = Shelf(Storage(moved).taught).copy_all()
    click.echo(f"models: {count}")


@contextmanager
def _reporting(failure: str) -> Iterator[None]:
    """Reports a refused request as it is, and an error of the file system as the cause of a failure."""
    try:
        yield
    except ValueError as error:
        raise click.ClickException(f"{error}.") from error
    except OSError as error:
        raise click.ClickException(f"{failure}: {error.strerror or error}.") from error
