"""The client against a running server: as a library, and as `inkling classify --server`."""

import asyncio
import io
import json
import os
import subprocess
import sys
import zipfile

import pytest

from inkling.client import AsyncClient, Client, NotFound, Refused, Unauthorized
from inkling.config import ROOT
from tests.support.server import running

STROKES = {"strokes": [[[120, 290, 190], [90, 90, 330]]]}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("server"), INKLING_HOST="127.0.0.1", WEB_CONCURRENCY="1") as server:
        yield server


@pytest.fixture(scope="module")
def url(server):
    return f"http://127.0.0.1:{server.port}"


@pytest.fixture
def client(url):
    with Client(url) as client:
        yield client


@pytest.fixture
def files(tmp_path, png, jpeg):
    (tmp_path / "a.png").write_bytes(png)
    (tmp_path / "b.jpg").write_bytes(jpeg)
    (tmp_path / "c.txt").write_text("no picture")
    return [tmp_path / name for name in ("a.png", "b.jpg", "c.txt")]


@pytest.mark.parametrize("kind", [bytes, str, dict])
def test_a_picture_can_be_a_path_bytes_or_a_drawing(client, kind, files, ink_model):
    picture = {bytes: files[0].read_bytes(), str: str(files[0]), dict: STROKES}[kind]
    answer = client.predict(picture, model=ink_model, top=2)
    assert (answer["model"], len(answer["predictions"])) == (ink_model, 2)


def test_refusals_are_typed(client, files, url):
    with pytest.raises(NotFound) as error:
        client.predict(files[0], model="nobody")
    assert (error.value.reason, error.value.title) == ("unknown-model", "There is no such model")
    with pytest.raises(Refused) as error:
        client.predict(files[2])
    assert error.value.reason == "extension"
    with Client(url, "inkling_wrong") as wrong, pytest.raises(Unauthorized):
        wrong.classifiers()


def test_a_classifier_is_made_and_deleted(client, files):
    made = client.create_classifier(title="Ours", kind="photo")
    id = made["id"]
    added = client.add_examples(id, files, label="robin")["results"]
    assert ["error" in one for one in added] == [False, False, True]
    label = client.classifier(id)["labels"][0]
    assert client.rename_label(id, label["id"], name="a / b")["name"] == "a / b"
    listed = client.examples(id, label=label["id"], limit=1)
    example = listed["examples"][0]["id"]
    assert client.examples(id, after=listed["next"] or "")["examples"]
    assert client.example_picture(id, example).startswith(b"\xff\xd8")
    change = client.move_examples(id, examples=[example], label=None)
    client.undo_change(id, change=change["change"])
    assert client.update_classifier(id, listed=True)["listed"] is True
    client.delete_classifier(id)
    assert id not in [one["id"] for one in client.classifiers()["classifiers"]]


def test_a_zip_is_sent(client, files, tmp_path):
    id = client.create_classifier(title="Zipped")["id"]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(files[1], "robin/b.jpg")
    assert len(client.add_examples(id, zip=tmp_path / "all.zip")["results"]) == 1
    client.delete_classifier(id)


def test_asyncio_asks_the_same(url, client, files, ink_model):
    async def ask():
        async with AsyncClient(url) as inkling:
            answers = [answer async for _, answer in inkling.classify(files, ink_model)]
            return (await inkling.models()), answers, await inkling.explain(STROKES, model=ink_model)

    models, answers, explanation = asyncio.run(ask())
    assert models == client.models()
    assert answers[0]["label"] == client.predict(files[0], model=ink_model)["label"]
    assert isinstance(answers[2], Refused)
    assert explanation["model"] == ink_model


# ---- The command ----


def inkling(*arguments, **environment):
    env = {name: value for name, value in os.environ.items() if not name.startswith("INKLING_")} | environment
    command = [sys.executable, "-m", "inkling", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)


def test_the_command_asks_a_server_and_prints_what_it_prints_itself(url, files, ink_model):
    arguments = ["classify", *files, "--model", ink_model, "--json"]
    here, there = inkling(*arguments), inkling(*arguments, "--server", url)
    assert (here.returncode, there.returncode) == (1, 1)
    for ours, theirs in zip(here.stdout.splitlines(), there.stdout.splitlines(), strict=True):
        ours, theirs = json.loads(ours), json.loads(theirs)
        assert ours.pop("milliseconds", {}).keys() == theirs.pop("milliseconds", {}).keys()
        probabilities = ours.pop("predictions", []), theirs.pop("predictions", [])
        assert [label for label, _ in probabilities[0]] == [label for label, _ in probabilities[1]]
        assert ours == theirs


def test_the_command_needs_no_models(url, files, ink_model, tmp_path):
    told = inkling("classify", files[0], "--model", ink_model, "--server", url, INKLING_MODELS=str(tmp_path / "none"))
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith(f"{files[0]}: ")


def test_the_command_writes_a_table_of_a_server(url, files, ink_model, tmp_path):
    told = inkling("classify", *files, "--model", ink_model, "--server", url, "--csv", tmp_path / "table.csv")
    assert told.returncode == 1
    assert len((tmp_path / "table.csv").read_text().splitlines()) == 4


def test_the_command_says_why_a_server_refuses(url, files):
    told = inkling("classify", *files, "--server", url, "--model", "nobody")
    assert told.returncode == 1
    assert told.stderr.startswith("Error: There is no model")
    assert len(told.stderr.splitlines()) == 1


@pytest.mark.parametrize("how", [["--token", "inkling_wrong"], {"INKLING_TOKEN": "inkling_wrong"}])
def test_the_token_is_an_option_or_a_variable(url, files, how):
    options, variables = (how, {}) if isinstance(how, list) else ([], how)
    told = inkling("classify", *files, "--server", url, *options, **variables)
    assert (told.returncode, told.stderr) == (1, "Error: This token is not valid, or no longer.\n")


def test_the_command_says_that_a_server_is_away(files, url):
    told = inkling("classify", files[0], "--server", "http://127.0.0.1:9")
    assert told.returncode == 1
    assert "cannot be reached" in told.stderr


# ---- The package ----


def test_the_client_is_a_package_of_its_own(tmp_path, url):
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", tmp_path]
    subprocess.run([*command, ROOT / "inkling" / "client"], check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("inkling_client-*.whl")
    with zipfile.ZipFile(io.BytesIO(wheel.read_bytes())) as archive:
        assert "inkling_client/py.typed" in archive.namelist()
        archive.extractall(tmp_path / "site")
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path / 'site')!r}]\n"
        f"from inkling_client import Client\nprint(len(Client({url!r}).models()['models']))\n"
        "print([name for name in sys.modules if name == 'inkling' or name.startswith('inkling.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert int(done.stdout.splitlines()[0]) > 0
    assert done.stdout.splitlines()[1] == "[]"
