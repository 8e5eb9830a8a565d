"""A classifier's whole life, through the API and on the command line, on a tiny backbone whose features are colors."""

import io
import json
import os
import random
import re
import socket
import subprocess
import sys
import zipfile

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from werkzeug.datastructures import MultiDict

from inkling.recognition import inputs
from inkling.service import Service
from inkling.web.classifier_paths import ROOT
from tests.support.backbones import SIDE, write_backbone
from tests.support.taught import train

BIRDS = {"robin": (200, 60, 60), "wren": (60, 200, 60), "jay": (60, 60, 200)}


@pytest.fixture
def settings(settings, tmp_path):
    write_backbone(tmp_path / "models", name="things")
    return settings.replace(models=tmp_path / "models", max_batch=40)


@pytest.fixture
def app(make_app, settings):
    return make_app(classifier=Service.from_settings(settings).predictor)


@pytest.fixture
def photo_of(encode):
    """Returns a function that makes the JPEG file of a bird: its color, more or less."""
    chance = random.Random(0)

    def photo_of(name, spread=50):
        color = tuple(min(255, max(0, part + chance.randint(-spread, spread))) for part in BIRDS[name])
        return encode(Image.new("RGB", (48, 32), color), "JPEG")

    return photo_of


@pytest.fixture
def folder(tmp_path, photo_of):
    """A folder with a folder of 12 photos for each bird."""
    for name in BIRDS:
        for i in range(12):
            path = tmp_path / "birds" / name / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(photo_of(name))
    return tmp_path / "birds"


def test_a_classifier_is_taught_published_asked_corrected_rolled_back_and_exported(app, owner, photo_of, tmp_path):
    teaching = app.extensions["teaching"]
    id = owner.post(ROOT, json={"title": "Our birds"}).json["id"]
    one = f"{ROOT}/{id}"

    def add(name, count):
        files = [("image", (io.BytesIO(photo_of(name)), f"{i}.jpg")) for i in range(count)]
        return owner.post(f"{one}/examples", data=MultiDict([*files, ("label", name)])).json["results"]

    def ask():
        data = {"image": (io.BytesIO(asked), "a.jpg")}
        return owner.post("/api/predict?model=our-birds", data=data).json

    def trained():
        assert owner.post(f"{one}/train").status_code == 202
        train(teaching)
        assert owner.get(f"{one}/train").json is None
        return owner.get(one).json["newest"]

    asked = photo_of("robin", 5)
    for name in BIRDS:
        assert len(add(name, 12)) == 12
    assert trained() == 1
    tried = owner.post(f"{one}/try?top=3", data={"image": (io.BytesIO(asked), "a.jpg")}).json
    assert (tried["label"], len(tried["predictions"])) == ("robin", 3)
    assert ask()["reason"] == "unknown-model"
    why = owner.post(f"{one}/explain?overlay=1", data={"image": (io.BytesIO(asked), "a.jpg")}).json
    assert (why["model"], why["label"]) == ("our-birds", "robin")
    assert why["confidence"] == pytest.approx(tried["confidence"], abs=1e-4)
    assert why["overlay"] is None  # a picture of one color has no part that decides

    # Published, it answers like any other model.
    assert owner.post(f"{one}/publish", json={"version": 1}).status_code == 204
    app.extensions["inkling"].predictor.reload()
    first = ask()
    assert (first["label"], first["predictions"]) == ("robin", tried["predictions"])
    report = owner.get(f"{one}/versions/1").json["report"]
    assert report["low"] <= report["accuracy"] <= report["high"]
    assert [each["number"] for each in owner.get(f"{one}/versions").json["versions"]] == [1]

    # A wrong label is found; with it put right, another version answers.
    wren = next(label["id"] for label in owner.get(one).json["labels"] if label["name"] == "wren")
    wrong = add("robin", 1)[0]["id"]
    owner.post(f"{one}/examples/move", json={"examples": [wrong], "label": wren})
    assert trained() == 2
    doubt = owner.get(f"{one}/review").json["doubtful"][0]
    assert (doubt["example"]["id"], doubt["given"]["name"], doubt["suggested"]["name"]) == (wrong, "wren", "robin")
    right = doubt["suggested"]["id"]
    assert owner.post(f"{one}/examples/move", json={"examples": [wrong], "label": right}).json["count"] == 1
    assert trained() == 3
    assert owner.post(f"{one}/publish", json={"version": 3}).status_code == 204
    app.extensions["inkling"].predictor.reload()
    assert ask()["predictions"] != first["predictions"]

    # Going back is bit-identical.
    assert owner.post(f"{one}/publish", json={"version": 1}).status_code == 204
    app.extensions["inkling"].predictor.reload()
    assert ask()["predictions"] == first["predictions"]

    # The exported file answers the same, in the program that comes with it.
    exported = owner.get(f"{one}/export.zip?examples=1")
    assert (exported.status_code, exported.mimetype) == (200, "application/zip")
    assert "our-birds.zip" in exported.headers["Content-Disposition"]
    archive = zipfile.ZipFile(io.BytesIO(exported.data))
    assert exported.content_length == len(exported.data)
    assert sum(name.startswith("examples/robin/") for name in archive.namelist()) == 13
    pixels = inputs.photo(Image.open(io.BytesIO(asked)).convert("RGB"), SIDE, SIDE)
    session = onnxruntime.InferenceSession(archive.read("model.onnx"))
    probabilities, _ = session.run(["probabilities", "familiarity"], {"pictures": pixels[None]})
    shown = {each["label"]: each["probability"] for each in first["predictions"]}
    labels = archive.read("labels.txt").decode().splitlines()
    assert np.abs(probabilities[0] - [shown[label] for label in labels]).max() < 1e-4
    folder = tmp_path / "export"
    archive.extractall(folder)
    (folder / "photo.jpg").write_bytes(asked)
    (program,) = re.findall(r"```python\n(.*?)```", archive.read("README.md").decode(), re.DOTALL)
    done = subprocess.run([sys.executable, "-I", "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.stdout.startswith("robin "), done.stderr

    assert owner.delete(f"{one}/publish").status_code == 204
    app.extensions["inkling"].predictor.reload()
    assert ask()["reason"] == "unknown-model"


def test_a_cancelled_training_makes_no_version(app, owner, photo_of):
    one = owner.post(ROOT, json={"title": "Birds"}).location
    for name in BIRDS:
        files = [("image", (io.BytesIO(photo_of(name)), "a.jpg")) for _ in range(3)]
        owner.post(f"{one}/examples", data=MultiDict([*files, ("label", name)]))
    assert owner.get(f"{one}/train").json["stage"] == "waiting"
    assert owner.delete(f"{one}/train").status_code == 204
    assert owner.get(f"{one}/train").json is None
    assert owner.get(f"{one}/versions").json == {"versions": []}


# ---- The command line ----


@pytest.fixture
def offline(monkeypatch):
    """Lets no connection be made."""

    def connect(_socket, address):
        raise AssertionError(f"connects to {address}")

    monkeypatch.setattr(socket.socket, "connect", connect)


def test_a_folder_becomes_a_published_classifier(app, runner, folder, tmp_path, offline):
    (folder / "robin" / "bad.jpg").write_bytes((folder / "robin" / "1.jpg").read_bytes()[:200])
    done = runner.invoke(args=["teach", str(folder), "--name", "our birds"])
    assert done.exit_code == 0, done.output
    assert done.stderr.startswith(f"{folder}/robin/bad.jpg: ")
    rows = dict(re.split(r"  +", line, maxsplit=1) for line in done.stdout.splitlines() if "  " in line)
    assert rows["classes"] == "jay 12, robin 12, wren 12"
    assert rows["pictures"] == "36 new, 0 known, 1 refused"
    assert re.fullmatch(r"\d+%, between \d+% and \d+%", rows["accuracy"])
    assert re.fullmatch(r"\d+\.\d%", rows["calibration error"])
    assert rows.keys() >= {"sure", "doubtful labels", "seconds"}
    app.extensions["inkling"].predictor.reload()
    table = tmp_path / "out.csv"
    asked = runner.invoke(args=["classify", str(folder / "wren"), "--model", "our-birds", "--csv", str(table)])
    assert asked.exit_code == 0, asked.output
    assert table.read_text().count('"wren"') >= 10


def test_the_audit_log_names_a_taught_classifier_by_its_id(runner, app, settings, folder):
    log = settings.pictures / "audit.log"
    app.extensions["inkling"].settings = settings.replace(audit_log=log)
    assert runner.invoke(args=["teach", str(folder), "--name", "our birds"]).exit_code == 0
    (made,) = app.extensions["teaching"].all()
    assert json.loads(log.read_text())["id"] == made.id
    assert "our birds" not in log.read_text()


def test_names_of_files_and_folders_may_be_anything(runner, folder, photo_of):
    (folder / "robin" / os.fsdecode(b"\xff.jpg")).write_bytes(photo_of("robin"))
    for strange in (os.fsdecode(b"\xff"), "a\u202eb", "x" * 65):
        (folder / strange).mkdir()
        (folder / strange / "1.jpg").write_bytes(photo_of("jay"))
    done = runner.invoke(args=["teach", str(folder), "--name", "birds", "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert answer["classes"] == {"jay": 12, "robin": 13, "wren": 12}
    assert [each["reason"] for each in answer["refused"]] == ["bad-name"] * 3


def test_the_same_name_again_adds_what_is_new(runner, folder, photo_of):
    def taught():
        done = runner.invoke(args=["teach", str(folder), "--name", "birds", "--json"])
        assert done.exit_code == 0, done.output
        answer = json.loads(done.stdout)
        return answer["version"], answer["live"], answer["added"], answer["known"], answer["classes"]["robin"]

    assert taught() == (1, 1, 36, 0, 12)
    assert taught() == (1, 1, 0, 36, 12)
    (folder / "robin" / "new.jpg").write_bytes(photo_of("robin"))
    version, _, *rest = taught()
    assert (version, *rest) == (2, 1, 36, 13)


# title -> arguments after the folder, and what the message says
WRONG = {
    "the name of another model": (["--name", "Things"], "There is a model 'things' already"),
    "no name": ([], "Missing option '--name'"),
    "an empty name": (["--name", " "], "printable characters"),
}


@pytest.mark.parametrize("title", WRONG)
def test_a_wrong_lesson_says_what_is_wrong(runner, folder, title):
    arguments, says = WRONG[title]
    done = runner.invoke(args=["teach", str(folder), *arguments])
    assert done.exit_code != 0
    assert says in done.stderr


def test_a_folder_without_classes_teaches_nothing(runner, folder):
    done = runner.invoke(args=["teach", str(folder / "robin"), "--name", "robins"])
    assert done.exit_code == 1
    assert "It takes two classes with two pictures each" in done.stderr


def test_a_classifier_stays_of_its_kind(runner, folder):
    assert runner.invoke(args=["teach", str(folder), "--name", "birds"]).exit_code == 0
    done = runner.invoke(args=["teach", str(folder), "--name", "birds", "--kind", "ink"])
    assert "There is a classifier 'birds' already: photos" in done.stderr
