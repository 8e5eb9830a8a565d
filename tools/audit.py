"""Asks whether the packages that serve have known vulnerabilities; where nobody can be asked it says so and goes on.

python -m tools.audit
"""

import json
import subprocess
import sys

from inkling.config import ROOT

COMMAND = [
    sys.executable,
    "-m",
    "pip_audit",
    "-r",
    str(ROOT / "requirements-serve.txt"),
    "--no-deps",
    "--disable-pip",
    "--format",
    "json",
    "--progress-spinner",
    "off",
    "--timeout",
    "10",
]
SECONDS = 120
OURS = ("No module named", "usage:", "invalid")  # it says of what is not the network's fault


def main() -> int:
    """0, or 1 when a package should be replaced."""
    try:
        done = subprocess.run(COMMAND, capture_output=True, text=True, timeout=SECONDS)
        lines, code = report(done.stdout, done.stderr)
    except subprocess.TimeoutExpired:
        lines, code = report("")
    print(*lines, sep="\n")
    return code


def report(output: str, complaint: str = "") -> tuple[list[str], int]:
    """pip-audit's JSON as lines to read, and the exit code; nothing, or no JSON, is what it says without a network."""
    try:
        packages = json.loads(output)["dependencies"]
    except ValueError:
        if any(words in complaint for words in OURS):
            return [f"packages not audited: {complaint.strip()}"], 1
        return ["packages not audited: the service that knows vulnerabilities cannot be reached"], 0
    bad = [
        f"{package['name']} {package['version']}: {flaw['id']}, "
        f"repaired in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for package in packages
        for flaw in package.get("vulns", ())
    ]
    asked = sum("vulns" in package for package in packages)
    return [*bad, f"{asked} of {len(packages)} packages audited, {len(bad)} known vulnerabilities"], int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
