"""Checks the packages that serve for known vulnerabilities: `python -m tools.audit`.

It says what it could not ask. Where the index tells vulnerabilities and yet no package was audited, it fails. Without a
network, or behind a mirror that has none of this, it says so and succeeds: lint must work offline.
"""

import json
import subprocess
import sys
import urllib.request

from inkling.config import ROOT

COMMAND = [
    *(sys.executable, "-m", "pip_audit"),
    *("-r", str(ROOT / "requirements-serve.txt"), "--require-hashes", "--disable-pip"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "10"),
]
SECONDS = 120
OWN_ERRORS = ("No module named", "usage:", "invalid")  # messages that no missing network explains
# What pip-audit asks about each package; this version is known to be vulnerable (CVE-2023-5752).
PROBE = "https://pypi.org/pypi/pip/23.2/json"


def main() -> int:
    """Prints the result; returns 1 if a package should be replaced or nothing was asked without a reason, else 0."""
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=SECONDS)
        lines, status = report(done.stdout, done.stderr, unreachable())
    except subprocess.TimeoutExpired:
        lines, status = report("", "", unreachable())
    print(*lines, sep="\n")
    return status


def unreachable(address: str = PROBE) -> str | None:
    """Why the index cannot be asked for vulnerabilities; None if it tells those of a version that has some."""
    try:
        with urllib.request.urlopen(address, timeout=10) as answer:
            known = json.load(answer).get("vulnerabilities")
    except (OSError, ValueError, AttributeError) as error:  # the last of JSON that is no object
        return f"{address} cannot be read: {error}"
    return None if known else f"{address} tells no vulnerability of a version that has one"


def report(output: str, errors: str, unreachable: str | None) -> tuple[list[str], int]:
    """Turns pip-audit's JSON into lines to print and an exit status.

    Args:
        output: its standard output; without a network it is empty or not JSON.
        errors: its standard error.
        unreachable: why the index cannot be asked for vulnerabilities; None if it can.
    """
    try:
        packages = json.loads(output)["dependencies"]
    except ValueError:
        if any(message in errors for message in OWN_ERRORS):
            return [f"packages not audited: {errors.strip()}"], 1
        packages = []
    asked = [package for package in packages if "vulns" in package]
    lines = [
        f"{package['name']} {package['version']}: {flaw['id']}, "
        f"fixed in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for package in asked
        for flaw in package["vulns"]
    ]
    status = int(bool(lines))
    summary = f"{len(asked)} of {len(packages)} packages audited, {len(lines)} known vulnerabilities"
    missed = [package["name"] for package in packages if package not in asked]
    if missed and asked:
        lines.append(f"not audited: {', '.join(missed)}")
    if unreachable:
        lines.append(f"NOT AUDITED: {unreachable}")
    elif not asked:
        lines.append(f"nothing was audited, although the index answers. {errors.strip()}".rstrip())
        status = 1
    return [*lines, summary], status


if __name__ == "__main__":
    sys.exit(main())
