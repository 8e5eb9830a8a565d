"""Prints the licenses of all packages that serve, as a Markdown table: `python -m tools.licenses`.

The packages are those that requirements-serve.txt pins for every platform. Their names, versions and licenses come from
the metadata of the installed packages.
"""

import re
from importlib import metadata
from typing import NamedTuple

from inkling.config import ROOT

PREFIX = "License :: OSI Approved :: "


class Licensed(NamedTuple):
    """One package."""

    name: str
    version: str
    license: str


def packages() -> list[Licensed]:
    """The pinned packages in alphabetical order.

    Raises:
        PackageNotFoundError: a package is not installed.
    """
    text = (ROOT / "requirements-serve.txt").read_text("utf-8")
    found = [metadata.distribution(name) for name in re.findall(r"^([\w.-]+)==[^; ]+ \\$", text, re.MULTILINE)]
    return [Licensed(each.name, each.version, license_of(each)) for each in found]


def license_of(package: metadata.Distribution) -> str:
    """The license expression of a package; else what its classifiers say, else the first line of its license field.

    Where setuptools wrote "UNKNOWN" into that field, the first line of the package's license file.
    """
    fields = package.metadata
    if expression := fields.get("License-Expression"):
        return expression
    classifiers = [each.removeprefix(PREFIX) for each in fields.get_all("Classifier") or () if each.startswith(PREFIX)]
    if classifiers:
        return ", ".join(classifiers)
    stated = fields.get("License") or "not stated"
    text = package.read_text("LICENSE") if stated == "UNKNOWN" else None
    return (text or stated).strip().splitlines()[0]


def table() -> str:
    """The table as Markdown."""
    lines = ["| package | version | license |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {each.name} | {each.version} | {each.license} |" for each in packages())])


if __name__ == "__main__":
    print(table())
