"""The documentation agrees with the code."""

import re

import click
import pytest

from inkling import cli
from inkling.config import ROOT
from tools import reference

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = "\n".join(page.read_text("utf-8") for page in PAGES)
CODE = "\n".join(re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL) + re.findall(r"`([^`\n]+)`", TEXT))


def test_generated_tables_are_current():
    assert reference.main(["--check"]) == 0


def test_make_targets_exist():
    mentioned = set(re.findall(r"\bmake ([a-z][\w-]*)", CODE))
    rules = re.findall(r"^([a-z][\w -]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    targets = {word for rule in rules for word in rule.split()}
    assert {"run", "test", "docs"} <= mentioned <= targets


def test_commands_exist():
    code = CODE.replace("exec inkling ", "")  # docker compose: the service, and then its command
    mentioned = set(re.findall(r"(?<![\w.:-])inkling ([a-z]+)(?: ([a-z]+))?", code))
    assert len(mentioned) > 5
    for name, part in mentioned:
        command = cli.main.commands[name]
        assert not isinstance(command, click.Group) or not part or part in command.commands, f"{name} {part}"


def test_modules_exist():
    mentioned = set(re.findall(r"python -m ((?:benchmarks|tools|training)[\w.]*)", CODE))
    assert len(mentioned) > 5
    for name in mentioned:
        path = ROOT.joinpath(*name.split("."))
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name


@pytest.mark.parametrize("document", PAGES, ids=lambda document: document.relative_to(ROOT).as_posix())
def test_files_exist(document):
    """Every path in a code span and every target of a relative link exists."""
    text = document.read_text("utf-8")
    paths = re.findall(r"`((?:inkling|training|tests|tools|benchmarks|deploy|notebooks|docs)/[\w./-]+\.\w+)`", text)
    for path in paths:
        assert (ROOT / path).exists(), path
    for link in re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text):
        assert (document.parent / link).exists(), link


def test_the_front_page_is_short():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 150
