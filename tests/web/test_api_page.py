"""The page of the API: its examples call this server and run, and descriptions are Markdown."""

import html
import io
import re

import pytest

from inkling.web.views.api import markdown

HOST = "https://inkling.example"
OPERATIONS = (("get", "/api/models"), ("post", "/api/predict"), ("post", "/api/explain"), ("post", "/api/ask"))


@pytest.fixture
def document(client):
    return client.get("/api/openapi.json", base_url=HOST).json


@pytest.mark.parametrize("method, path", OPERATIONS)
def test_the_examples_call_this_server_and_are_on_the_page(client, document, method, path):
    page = html.unescape(client.get("/api/docs", base_url=HOST).text)
    samples = document["paths"][path][method]["x-code-samples"]
    assert [sample["lang"] for sample in samples] == ["curl", "Python", "JavaScript"]
    for sample in samples:
        assert re.search(rf"{HOST}{path}['\"]", sample["source"])
        assert sample["source"] in page
    assert document["servers"] == [{"url": HOST}]


@pytest.mark.parametrize("method, path", OPERATIONS)
def test_the_examples_in_python_run(client, document, monkeypatch, tmp_path, capsys, jpeg, method, path):
    import requests

    def call(url, files=(), json=None):
        sent = {"json": json} if json else {"data": dict(files)}
        answer = client.open(url.removeprefix(HOST), method=method.upper(), **sent)
        response = requests.Response()
        response.status_code, response.raw = answer.status_code, io.BytesIO(answer.data)
        return response

    monkeypatch.setattr(requests, method, call)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.jpg").write_bytes(jpeg)
    _, python, _ = document["paths"][path][method]["x-code-samples"]
    exec(compile(python["source"], "example", "exec"), {})
    assert len(capsys.readouterr().out.split()) >= 2


def test_descriptions_are_markdown_and_hold_no_html():
    assert markdown("**a** `b`\n\n- [c](https://example.org)\n").unescape() == (
        '<p><strong>a</strong> <code>b</code></p>\n<ul>\n<li><a href="https://example.org">c</a></li>\n</ul>\n'
    )
    assert markdown("`a` <script>", inline=True) == "<code>a</code> &lt;script&gt;"
    assert "javascript:" not in re.findall('href="([^"]*)"', markdown("[a](javascript:alert)"))


def test_the_page_shows_no_markup_of_markdown(client):
    page = re.sub(r"<(code|pre)\b.*?</\1>", "", client.get("/api/docs").text, flags=re.DOTALL)
    assert not re.search(r"\*\*|`|\]\(", page)
