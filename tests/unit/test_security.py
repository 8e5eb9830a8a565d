"""Every claim of the security page names tests that exist."""

import ast
import re

import pytest

from inkling.config import ROOT, variables

TEXT = (ROOT / "docs" / "operate" / "security.md").read_text("utf-8")
THREATS = TEXT.split("## Threats and defenses")[1].split("\n## ")[0]
ROWS = [line for line in THREATS.splitlines() if line.startswith("| ") and not line.startswith(("| who |", "| ---"))]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[2].strip()[:40])
def test_each_threat_names_tests_that_are_there(row):
    assert len(row.split(" | ")) == 4
    named = re.findall(r"`((?:\w+/)?test_\w+)::(test_\w+)`", row)
    assert named
    for file, name in named:
        tree = ast.parse((ROOT / "tests" / f"{file}.py").read_text("utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_settings_it_names_are_settings():
    assert set(re.findall(r"INKLING_[A-Z_]+", TEXT)) <= variables().keys()


def test_chapter_5_is_whole():
    sections = {1: 1, 2: 6, 3: 3, 4: 3}
    assert re.findall(r"^\| (5\.\d\.\d) \|", TEXT, re.MULTILINE) == [
        f"5.{section}.{number}" for section, count in sections.items() for number in range(1, count + 1)
    ]
