"""`flask classify` and `flask models`."""

import json
import sys
import time
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from inkling import intake
from inkling.classifier import Prediction
from inkling.intake import Rejected


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--model", help="Name of the model (see `flask models`); the first for photos if not given.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@with_appcontext
def classify(files: tuple[Path, ...], model: str | None, as_json: bool) -> None:
    """Say what is in each of FILES. Exits 1 when one of them could not be classified."""
    inkling = current_app.extensions["inkling"]
    if model is None:
        groups = inkling.classifier.catalog.by_task("photo", without=inkling.classifier.broken)
        if not groups:
            raise click.ClickException("no model for photos is installed; name one with --model.")
        model = groups[0][1][0].name
        click.echo(f"model: {model}", err=True)
    try:
        inkling.classifier.card(model)
    except Rejected as error:
        raise click.ClickException(str(error)) from error
    failed = False
    for file in files:
        try:
            start = time.perf_counter()
            image = intake.read_file(_bytes(file), file.name, inkling.settings)
            decode = round((time.perf_counter() - start) * 1e3, 3)
            answer = inkling.classifier.classify_one(image, model)
            click.echo(_as_json(file, answer, decode) if as_json else _as_text(file, answer))
        except Rejected as error:
            failed = True
            problem = {"file": str(file), "error": {"reason": error.reason, "detail": str(error)}}
            click.echo(json.dumps(problem) if as_json else f"{file}: {error}", err=not as_json)
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


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Rejected("missing", f"The file cannot be read: {error.strerror}.", file.name[:40]) from error


def _as_text(file: Path, answer: Prediction) -> str:
    return f"{file}: {answer.label} ({answer.wording}, {answer.confidence:.1%})"


def _as_json(file: Path, answer: Prediction, decode: float) -> str:
    return json.dumps({
        "file": str(file), "model": answer.model, "label": answer.label, "confidence": round(answer.confidence, 6),
        "sure": answer.sure, "predictions": [[label, round(p, 6)] for label, p in answer.ranked(5)],
        "milliseconds": {"decode": decode} | answer.milliseconds})
