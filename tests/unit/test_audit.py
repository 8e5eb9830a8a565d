"""The vulnerability audit fails for known vulnerabilities and for its own errors. It succeeds without a network."""

import json

import pytest

from tools.audit import report

GOOD, UNKNOWN = {"name": "flask", "version": "3.1.3", "vulns": []}, {"name": "numpy", "skip_reason": "not found"}
BAD = {
    "name": "pillow",
    "version": "1.0",
    "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}, {"id": "CVE-2", "fix_versions": []}],
}


@pytest.mark.parametrize(
    "packages, code, says",
    [
        ([GOOD, UNKNOWN], 0, ["1 of 2 packages audited, 0 known vulnerabilities"]),
        (
            [GOOD, BAD],
            1,
            [
                "pillow 1.0: CVE-1, fixed in 1.1",
                "pillow 1.0: CVE-2, fixed in no version yet",
                "2 of 2 packages audited, 2 known vulnerabilities",
            ],
        ),
    ],
)
def test_only_known_vulnerabilities_fail(packages, code, says):
    assert report(json.dumps({"dependencies": packages, "fixes": []})) == (says, code)


@pytest.mark.parametrize("errors", ["/usr/bin/python: No module named pip_audit", "error: invalid requirement"])
def test_its_own_errors_fail(errors):
    (line,), code = report("", errors)
    assert code == 1
    assert errors in line


@pytest.mark.parametrize("output", ["", "ERROR: no network"])
def test_without_a_network_it_succeeds_and_says_so(output):
    (line,), code = report(output)
    assert code == 0
    assert line.startswith("packages not audited")
