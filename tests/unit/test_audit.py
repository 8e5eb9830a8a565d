"""The vulnerability audit says what it could not ask. It fails for known vulnerabilities, for its own errors, and where
it asked nothing although the index answers."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tools.audit import report, unreachable

GOOD, UNKNOWN = {"name": "flask", "version": "3.1.3", "vulns": []}, {"name": "numpy", "skip_reason": "not found"}
BAD = {
    "name": "pillow",
    "version": "1.0",
    "vulns": [{"id": "CVE-1", "fix_versions": ["1.1"]}, {"id": "CVE-2", "fix_versions": []}],
}
OFFLINE = "the index cannot be read"


def output(*packages):
    return json.dumps({"dependencies": packages, "fixes": []})


@pytest.mark.parametrize(
    "packages, code, says",
    [
        ([GOOD], 0, ["1 of 1 packages audited, 0 known vulnerabilities"]),
        ([GOOD, UNKNOWN], 0, ["not audited: numpy", "1 of 2 packages audited, 0 known vulnerabilities"]),
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
def test_known_vulnerabilities_fail_and_what_was_not_asked_is_named(packages, code, says):
    assert report(output(*packages), "", None) == (says, code)


@pytest.mark.parametrize("said", [output(UNKNOWN, UNKNOWN), output(), "", "ERROR: no network"])
def test_whoever_asked_nothing_fails_where_the_index_answers(said):
    lines, code = report(said, "", None)
    assert code == 1
    assert lines[0].startswith("nothing was audited, although the index answers")
    assert lines[-1].startswith("0 of ")


@pytest.mark.parametrize("said", [output(UNKNOWN, UNKNOWN), output(), "", "ERROR: no network"])
def test_without_an_index_it_succeeds_and_says_so(said):
    lines, code = report(said, "", OFFLINE)
    assert code == 0
    assert lines[0] == f"NOT AUDITED: {OFFLINE}"
    assert lines[-1].startswith("0 of ")


def test_a_vulnerability_fails_whatever_the_index_tells():
    assert report(output(BAD), "", OFFLINE)[1] == 1


@pytest.mark.parametrize("errors", ["/usr/bin/python: No module named pip_audit", "error: invalid requirement"])
@pytest.mark.parametrize("reachable", [None, OFFLINE])
def test_its_own_errors_fail(errors, reachable):
    (line,), code = report("", errors, reachable)
    assert code == 1
    assert errors in line


# ---- Whether the index can be asked ----


@pytest.fixture
def index():
    """Returns a function that gives the address of an index with this status and content."""
    servers = []

    def index(status, content):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/pypi/pip/23.2/json"

    yield index
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_index_that_tells_a_known_flaw_can_be_asked(index):
    assert unreachable(index(200, b'{"vulnerabilities": [{"id": "PYSEC-2023-228"}]}')) is None


@pytest.mark.parametrize(
    "status, content, says",
    [
        (404, b"", "HTTP Error 404"),
        (200, b"<html>", "Expecting value"),
        (200, b'{"vulnerabilities": []}', "tells no vulnerability"),
        (200, b"[]", "cannot be read"),
        (200, b"{}", "tells no vulnerability"),
    ],
)
def test_a_mirror_without_vulnerabilities_cannot(index, status, content, says):
    assert says in unreachable(index(status, content))


def test_neither_can_one_that_does_not_answer():
    assert "cannot be read" in unreachable("http://127.0.0.1:1/pypi/pip/23.2/json")
