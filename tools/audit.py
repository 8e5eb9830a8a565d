"""Checks the packages that serve for known vulnerabilities: `python -m tools.audit`.

Without a network it says that it could not check, and succeeds: lint must work offline.
"""

import json
import subprocess
import sys

from inkling.config import ROOT

COMMAND = [
    *(sys.executable, "-m", "pip_audit"),
    *("-r", str(ROOT / "requirements-serve.txt"), "--require-hashes", "--disable-pip"),
    *("--format", "json", "--progress-spinner", "off", "--timeout", "10"),
]
SECONDS = 120
OWN_ERRORS = ("No module named", "usage:", "invalid")  # messages that no missing network explains


def main() -> int:
    """Prints the result; returns 1 if a package should be replaced, else 0."""
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=SECONDS)
        lines, status = report(done.stdout, done.stderr)
    except subprocess.TimeoutExpired:
        lines, status = report("")
    print(*lines, sep="\n")
    return status


def report(output: str, errors: str = "") -> tuple[list[str], int]:
    """Turns pip-audit's JSON into lines to print and an exit status.

    Args:
        output: its standard output; without a network it is empty or not JSON.
        errors: its standard error.
    """
    try:
        packages = json.loads(output)["dependencies"]
    except ValueError:
        if any(message in errors for message in OWN_ERRORS):
            return [f"packages not audited: {errors.strip()}"], 1
        return ["packages not audited: the vulnerability service cannot be reached"], 0
    vulnerable = [
        f"{package['name']} {package['version']}: {flaw['id']}, "
        f"fixed in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    audited = sum("vulns" in package for package in packages)
    summary = f"{audited} of {len(packages)} packages audited, {len(vulnerable)} known vulnerabilities"
    return [*vulnerable, summary], int(bool(vulnerable))


if __name__ == "__main__":
    sys.exit(main())
