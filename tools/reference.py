"""Writes the tables of the documentation that derive from the code.

    python -m tools.reference          rewrite them in README.md and docs/
    python -m tools.reference --check  exit with 1 where one is out of date

Each table is a function call between markers. cog writes the returned text below the call:

    <!-- [[[cog cog.out(reference.settings()) ]]] -->
    <!-- [[[end]]] -->

Each function below returns one Markdown table.
"""

import argparse
import contextlib
import io
import re
import statistics
import sys
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache

import click
import yaml
from cogapp import Cog
from flask import Flask
from prometheus_client.metrics import MetricWrapperBase

from inkling import access, cli, config, problems
from inkling.config import ROOT, Settings
from inkling.lab.operations import OPERATIONS, Number
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import read_catalog
from inkling.web import edge as edge_room
from inkling.web.app import create_app
from inkling.web.edge import metrics
from tools.licenses import packages
from tools.supported import SUPPORTED
from training.targets import MISSED, TARGETS, percent, stated

PROLOGUE = "import cog\nfrom tools import reference"
LEAST_AUROC, MOST_SURE = 0.95, 0.02  # the aims of telling unfamiliar pictures apart
STRANGERS = {"objects": "photos of other things (CIFAR-10)", "other photos": "photos of other things (ImageNet)"}


def pages() -> list[str]:
    """The Markdown files that hold a generated table."""
    files = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [str(file) for file in files if "[[[cog" in file.read_text("utf-8")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrites or checks the tables; returns the exit status, which is 1 where a checked table is out of date."""
    parser = argparse.ArgumentParser(prog="python -m tools.reference", description="Write the generated tables.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a table is out of date")
    mode = ["--check", "--diff"] if parser.parse_args(arguments).check else ["-r"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        status = Cog().main(["cog", *mode, "-I", str(ROOT), "-p", PROLOGUE, *pages()])
    if status:
        print(*(line for line in printed.getvalue().splitlines() if not line.startswith("Checking ")), sep="\n")
        print("Run `python -m tools.reference` (or `make docs`) and commit what it changes.", file=sys.stderr)
    return 1 if status else 0


def table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table; a vertical bar inside a cell is escaped."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n" + "".join("| " + " | ".join(_cell(cell) for cell in line) + " |\n" for line in lines) + "\n"


# ---- Settings, routes, reasons ----


def settings() -> str:
    """Every environment variable that Inkling reads, with its default and the values that it accepts."""
    rows = ((f"`{row.variable}`", _code(row.default), row.accepts, row.help) for row in config.rows())
    return table(("variable", "default", "accepts", "what it does"), rows)


def routes(prefix: str = "/") -> str:
    """Every route whose rule starts with `prefix`: what its view's docstring says first, and who may send requests."""
    app = _app()
    rows = []
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(prefix):
            methods = ", ".join(sorted(rule.methods - {"HEAD", "OPTIONS"}))
            view = app.view_functions[rule.endpoint]
            about = "Files for the pages: stylesheet, scripts, icons." if rule.endpoint == "static" else None
            whom = getattr(view, "open_to", "anyone")
            rows.append((f"`{methods} {rule.rule}`", about or _first_paragraph(view), whom))
    return table(("route", "what it does", "who may"), sorted(rows, key=lambda row: row[0].split()[1]))


def scopes() -> str:
    """What a token of each scope allows."""
    return table(("scope", "allows"), ((f"`{scope}`", about) for scope, about in access.SCOPES.items()))


def reasons() -> str:
    """Every reason for refusing a picture or request, with the limits at their defaults."""
    defaults = Settings.from_env({})
    return table(
        ("reason", "status", "title", "advice"),
        (
            (f"`{code}`", reason.status, reason.title, problems.advice(code, defaults))
            for code, reason in problems.REASONS.items()
        ),
    )


def quirks() -> str:
    """The formats and quirks of picture files, and where Chromium shows them otherwise. Tests read the same table."""
    from tests.support.pictures import QUIRKS

    return table(
        ("format", "quirk", "Inkling", "Chromium"),
        (
            (
                quirk.format,
                quirk.name,
                quirk.does,
                (quirk.differs or ("—" if quirk.reason or not quirk.compared else "alike"))
                + (f": {quirk.levels} levels in the mean" if quirk.levels else ""),
            )
            for quirk in QUIRKS
        ),
    )


# ---- Models ----


def models() -> str:
    """One row per model, as measured on its test pictures."""
    return table(
        ("model", "recognizes", "test pictures", "accuracy", "calibration error", "called sure", "right when sure")
        + ("parameters",),
        (
            (
                f"`{card.name}`",
                card.task,
                f"{card.metrics.test_size:,} ({card.metrics.split})",
                f"{card.metrics.accuracy:.2%}",
                f"{card.metrics.calibration_error:.2%}",
                f"{card.metrics.sure_share:.1%}",
                f"{card.metrics.sure_accuracy:.2%}",
                f"{card.parameters:,}",
            )
            for card in _measured()
        ),
    )


def models_in_short() -> str:
    """One row per model for the front page."""
    return table(
        ("model", "title", "reads", "labels", "accuracy", "parameters"),
        (
            (
                f"`{card.name}`",
                card.title,
                {"photo": "photos", "ink": "drawings"}[card.input.kind],
                len(card.labels),
                f"{card.metrics.accuracy:.2%}",
                f"{card.parameters:,}",
            )
            for card in _measured()
        ),
    )


def calibration() -> str:
    """Each model's temperature and thresholds, and its calibration error before and after scaling."""
    return table(
        ("model", "temperature", "threshold for “sure”", "familiarity threshold", "error before", "error after"),
        (
            (
                f"`{card.name}`",
                f"{card.temperature:.3f}",
                f"{card.threshold:.3f}",
                "none" if card.familiar is None else f"{card.familiar:.2f}",
                f"{card.metrics.calibration_error_before:.2%}",
                f"{card.metrics.calibration_error:.2%}",
            )
            for card in _measured()
        ),
    )


def misses() -> str:
    """The targets that models are known to miss, and what the cards say that they reach."""
    cards = {card.name: card for card in _measured()}
    return table(
        ("model", "figure", "reached", "wanted", "why"),
        (
            (f"`{one.model}`", one.figure, percent(stated(cards[one.model])[one.figure]), one.bound, known.reason)
            for one in TARGETS
            if (known := MISSED.get((one.model, one.figure)))
        ),
    )


def seeds() -> str:
    """Mean and standard deviation over the seeds of each recipe that was trained several times."""
    return table(
        ("model", "seeds", "accuracy on test pictures"),
        (
            (f"`{card.name}`", len(card.trials), f"{statistics.mean(shares):.2%} ± {statistics.stdev(shares):.2%}")
            for card in sorted(_measured(), key=lambda card: card.name)
            if len(shares := [trial.accuracy for trial in card.trials]) > 1
        ),
    )


def strangers() -> str:
    """How well each model tells unfamiliar pictures from its test pictures, and how many of them it is sure of."""
    rows = [
        (card, kind, share, card.metrics.wrongly_sure.get(kind))
        for card in _measured()
        for kind, share in card.metrics.strangers.items()
    ]
    listed = table(
        ("model", "unfamiliar pictures", "number", "AUROC", "called sure", "answered “not sure”"),
        (
            (
                f"`{card.name}`",
                STRANGERS.get(kind, kind),
                f"{card.metrics.strangers_count[kind]:,}" if kind in card.metrics.strangers_count else "—",
                f"{share:.3f}",
                "—" if sure is None else f"{sure:.1%}",
                f"{card.metrics.not_sure[kind]:.1%}",
            )
            for card, kind, share, sure in rows
        ),
    )
    unclear = [f"`{card.name}` on {STRANGERS.get(kind, kind)}" for card, kind, share, _ in rows if share < LEAST_AUROC]
    often = [f"`{card.name}` on {STRANGERS.get(kind, kind)}" for card, kind, _, sure in rows if (sure or 0) > MOST_SURE]
    return listed + "".join(
        f"{len(found)} of {len(rows)} rows {miss}{': ' if found else ''}{', '.join(found)}.\n\n"
        for found, miss in (
            (unclear, f"have an AUROC below {LEAST_AUROC:.2f}"),
            (often, f"call more than {MOST_SURE:.0%} sure"),
        )
    )


def data_credits() -> str:
    """The data that each model was trained on, as its card credits it."""
    credits: dict[str, list[str]] = {}
    for card in _measured():
        credits.setdefault(card.attribution, []).append(f"`{card.name}`")
    return table(("models", "data they were trained on"), ((", ".join(names), text) for text, names in credits.items()))


def keras_versions() -> str:
    """What files of each version of Keras hold, and whether they are imported, as the tests try it."""
    from tests.support.keras_files import table as tried

    return table(("Keras", "what its file has", "imported"), tried())


# ---- The lab ----


def operations() -> str:
    """Every step of the lab, with its settings and the values that they accept."""
    return table(
        ("step", "name in the address", "what it does", "settings"),
        (
            (one.title, f"`{one.name}`", one.help, "; ".join(_parameter(each) for each in one.parameters) or "none")
            for one in OPERATIONS.values()
        ),
    )


# ---- Command lines ----


def commands() -> str:
    """Every `inkling` command with its arguments."""
    return table(
        ("command", "what it does"),
        ((f"`{_usage(name, one)}`", _sentences(one.help)) for name, one in _commands("inkling", cli.main)),
    )


def options() -> str:
    """Every option of every `inkling` command."""
    return table(
        ("command", "option", "what it does"),
        (
            (f"`{name}`", f"`{_option(option)}`", option.help)
            for name, command in _commands("inkling", cli.main)
            for option in _options(command)
        ),
    )


def training() -> str:
    """Every command of `python -m training`, with its options."""
    from training.__main__ import parser

    rows = []
    (subcommands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    helps = {choice.dest: choice.help for choice in subcommands._choices_actions}
    for name, command in subcommands.choices.items():
        actions = [action for action in command._actions if not isinstance(action, argparse._HelpAction)]
        places = "".join(f" {action.dest.upper()}" for action in actions if not action.option_strings)
        listed = "; ".join(
            f"`{action.option_strings[-1]}` {action.help}" for action in actions if action.option_strings
        )
        rows.append((f"`{name}{places}`", helps[name], listed or "none"))
    return table(("command", "what it does", "options"), rows)


def make_targets() -> str:
    """The Makefile's targets, as its first comment describes them."""
    text = (ROOT / "Makefile").read_text("utf-8")
    comment = re.match(r"(?:#.*\n)+", text)[0]
    return "\n```text\n" + re.sub(r"^# ?", "", comment, flags=re.MULTILINE) + "```\n\n"


# ---- Licenses ----


def licenses() -> str:
    """Every package that serves."""
    return table(("package", "version", "license"), packages())


def platforms() -> str:
    """The platforms that Inkling can be installed on."""
    return f"\n{SUPPORTED}\n\n"


# ---- Architecture ----


def walls() -> str:
    """Every contract that import-linter checks."""
    rows = []
    for contract in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]:
        match contract["type"]:
            case "layers":
                layers = (re.findall(r"[\w.]+", layer) for layer in contract["layers"])
                terms = " → ".join(_codes(layer) for layer in layers)
            case "independence":
                terms = f"{_codes(contract['modules'])} must not import each other"
            case _:
                terms = f"{_codes(contract['source_modules'])} must not import {_codes(contract['forbidden_modules'])}"
        if exceptions := contract.get("ignore_imports"):
            terms += "; excepted: " + ", ".join(f"`{one}`" for one in exceptions)
        rows.append((contract["name"], terms))
    return table(("contract", "modules"), rows)


def edge() -> str:
    """What each request passes, as the edge's docstring numbers it."""
    parts = re.findall(r"^\d+\. .+$", edge_room.__doc__ or "", re.MULTILINE)
    return "\n" + "\n".join(parts) + "\n\n"


# ---- Operations ----


def figures() -> str:
    """Every metric of `/metrics`."""
    own = [one for one in vars(metrics).values() if isinstance(one, MetricWrapperBase)]
    rows = [(f"`{one._name}{'_total' if one._type == 'counter' else ''}`", one._type, _labels(one), one) for one in own]
    rows = [(name, kind, labels, f"{one._documentation}.") for name, kind, labels, one in rows]
    return table(("metric", "type", "labels", "what it counts or measures"), sorted(rows))


def alerts() -> str:
    """Every rule of deploy/alerts.yaml."""
    groups = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text("utf-8"))["groups"]
    return table(
        ("alert", "severity", "after", "what to do"),
        (
            (f"`{rule['alert']}`", rule["labels"]["severity"], rule["for"], rule["annotations"]["description"])
            for group in groups
            for rule in group["rules"]
        ),
    )


# ---- Helpers ----


@cache
def _app() -> Flask:
    return create_app(Settings.from_env({}))


@cache
def _measured() -> tuple[ModelCard, ...]:
    """The shipped models' cards, by task, best first."""
    groups = read_catalog(ROOT / "models").by_task()
    return tuple(card for _, cards in groups for card in cards if card.metrics)


def _commands(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        if command.invoke_without_command:
            yield name, command
        for part, one in command.commands.items():
            yield from _commands(f"{name} {part}", one)
    else:
        yield name, command


def _options(command: click.Command) -> list[click.Option]:
    return [option for option in command.params if isinstance(option, click.Option) and not option.hidden]


def _usage(name: str, command: click.Command) -> str:
    pieces = [] if isinstance(command, click.Group) else command.collect_usage_pieces(click.Context(command))
    return " ".join([name, *(piece for piece in pieces if piece != "[OPTIONS]" or _options(command))])


def _option(option: click.Option) -> str:
    names = "/".join(sorted(option.opts, key=len) + option.secondary_opts)
    if option.is_flag:
        return names
    return f"{names} {option.metavar or option.type.name.split()[0].upper()}"


def _parameter(parameter: object) -> str:
    if isinstance(parameter, Number):
        return f"`{parameter.name}`: {parameter.low} to {parameter.high}, default {parameter.default}"
    return f"`{parameter.name}`: {', '.join(parameter.options)}, default {parameter.default}"


def _labels(metric: MetricWrapperBase) -> str:
    return ", ".join(f"`{name}`" for name in metric._labelnames) or "none"


def _first_paragraph(view: object) -> str:
    return _sentences((view.__doc__ or "").strip().split("\n\n")[0])


def _sentences(text: str | None) -> str:
    return " ".join((text or "").split())


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _code(text: str) -> str:
    return f"`{text}`" if text else "empty"


def _cell(cell: object) -> str:
    return str(cell).replace("|", "\\|")


if __name__ == "__main__":
    sys.exit(main())
