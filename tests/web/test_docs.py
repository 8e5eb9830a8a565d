"""The examples of the documentation run, and print what the documentation shows.

The tests execute each `curl`, `inkling classify` and Python example of the pages below. If a block of JSON or text
follows an example, it is compared with the output: probabilities to within 0.01, text up to an ellipsis, and times not
at all.
"""

import base64
import io
import json
import re
import shlex
import urllib.request
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from inkling.config import ROOT

PAGES = ("README.md", "docs/quickstart.md", "docs/guide/api.md", "docs/guide/cli.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENCODED = re.compile(r"\$\(base64 -w0 (\S+)\)")


@dataclass(frozen=True)
class Example:
    """One command or program, and the output that the page shows below it ("" if it shows none)."""

    kind: str  # "curl", "inkling" or "python"
    text: str
    output: str


def examples():
    for name in PAGES:
        page = (ROOT / name).read_text("utf-8")
        blocks = list(BLOCK.finditer(page))
        for block, following in zip(blocks, [*blocks[1:], None], strict=True):
            kind, text = block.groups()
            adjacent = following and not page[block.end() : following.start()].strip()
            shown = following[2] if adjacent and following[1] in ("json", "text") else ""
            if kind == "python":
                yield pytest.param(Example("python", text, shown), id=f"{name}-python")
            for line in text.replace("\\\n", "").splitlines() if kind == "sh" else ():
                command = line.removeprefix(".venv/bin/")
                if command.startswith(("curl ", "inkling classify ")):
                    yield pytest.param(Example(command.split()[0], command, shown), id=f"{name}-{command[:60]}")


@pytest.fixture(autouse=True)
def in_a_checkout(tmp_path, monkeypatch):
    """Runs the examples in a temporary folder that holds docs/."""
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("example", [each for each in examples() if each.values[0].kind == "curl"])
def test_curl(example, client):
    shown = json.loads(example.output) if example.output else None
    answer = curl(client, example.text)
    if shown is None:
        assert answer.status_code == 200, answer.text
    else:
        assert answer.status_code == shown.get("status", 200), answer.text
        assert_alike(answer.get_json(force=True), shown)


@pytest.mark.parametrize("example", [each for each in examples() if each.values[0].kind == "inkling"])
def test_command_line(example, runner):
    result = runner.invoke(args=shlex.split(example.text)[1:])
    assert result.exit_code == 0, result.output
    if example.output:
        assert result.stdout == example.output


@pytest.mark.parametrize("example", [each for each in examples() if each.values[0].kind == "python"])
def test_python(example, client, monkeypatch, capsys):
    def urlopen(request):
        headers = dict(request.header_items())
        response = client.post(path_of(request.full_url), data=request.data, headers=headers)
        assert response.status_code == 200, response.text
        return io.BytesIO(response.data)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    exec(compile(example.text, "example", "exec"), {})
    assert capsys.readouterr().out == example.output


def test_every_page_has_examples():
    ids = [each.id for each in examples()]
    assert all(any(id.startswith(name) for id in ids) for name in PAGES)


def curl(client, command):
    """Performs a curl command with the test client. Supports the options -F, -H and -d."""
    words = iter(shlex.split(ENCODED.sub(lambda found: encoded(found[1]), command))[1:])
    form, headers, data, url = [], {}, None, None
    for word in words:
        if word == "-F":
            name, _, file = next(words).partition("=@")
            form.append((name, file))
        elif word == "-H":
            name, _, value = next(words).partition(": ")
            headers[name] = value
        elif word == "-d":
            data = next(words)
        else:
            assert not word.startswith("-"), f"{word} is not understood"
            url = word
    if form:
        files = {}
        for name, file in form:
            files.setdefault(name, []).append(open(file, "rb"))  # noqa: SIM115  the client closes it
        return client.post(path_of(url), data=files, headers=headers)
    return client.get(path_of(url)) if data is None else client.post(path_of(url), data=data, headers=headers)


def path_of(url):
    parts = urlsplit(url)
    assert parts.netloc == "127.0.0.1:5000"
    return f"{parts.path}?{parts.query}"


def encoded(file):
    with open(file, "rb") as opened:
        return base64.b64encode(opened.read()).decode()


def assert_alike(answer, shown, key=""):
    """Compares a response with the one that the page shows."""
    if isinstance(shown, dict):
        assert answer.keys() == shown.keys()
        for name, value in shown.items():
            assert_alike(answer[name], value, "time" if key == "milliseconds" else name)
    elif isinstance(shown, list):
        assert len(answer) == len(shown)
        for one, other in zip(answer, shown, strict=True):
            assert_alike(one, other, key)
    elif isinstance(shown, float):
        assert key == "time" or answer == pytest.approx(shown, abs=0.01)
    elif isinstance(shown, str) and shown.endswith("…"):
        assert answer.startswith(shown[:-1])
    else:
        assert answer == shown
