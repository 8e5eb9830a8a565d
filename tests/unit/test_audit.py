"""The audit fails for a package that is known to be bad, and for nothing else."""

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
                "pillow 1.0: CVE-1, repaired in 1.1",
                "pillow 1.0: CVE-2, repaired in no version yet",
                "2 of 2 packages audited, 2 known vulnerabilities",
            ],
        ),
    ],
)
def test_only_what_is_known_to_be_bad_fails(packages, code, says):
    assert report(json.dumps({"dependencies": packages, "fixes": []})) == (says, code)


@pytest.mark.parametrize("complaint", ["/usr/bin/python: No module named pip_audit", "error: invalid requirement"])
def test_what_is_not_the_networks_fault_fails(complaint):
    (line,), code = report("", complaint)
    assert code == 1
    assert complaint in line


@pytest.mark.parametrize("output", ["", "ERROR: no network"])
def test_without_a_network_it_goes_on_and_says_so(output):
    (line,), code = report(output)
    assert code == 0
    assert line.startswith("packages not audited")
