"""A folder copied into models/ is there after a restart: on the pages, in the API, on the command line."""

import json
import shutil

import pytest

from inkling.config import ROOT
from inkling.recognition import catalog
from inkling.recognition.card import ModelCard, read_card, sha256
from inkling.web.app import create_app
from tests.support.command import Runner


def minimal(name, file, model):
    """A card written by hand, as docs/guide/own-model.md shows it."""
    spec = model.card.input
    return {
        "name": name,
        "task": model.card.task,
        "title": "My own",
        "labels": model.card.labels,
        "input": {
            "kind": spec.kind,
            "width": spec.width,
            "height": spec.height,
            "channels": spec.channels,
            "scaling": spec.scaling,
            "layout": spec.layout,
        },
        "files": {file: sha256(model.folder / file)},
    }


@pytest.fixture(params=[("openvino", "model.onnx"), ("keras", "model.keras")], ids=["openvino", "keras"])
def restarted(request, settings, tmp_path, models_folder, ink_model):
    """The app after one folder with a card and one file was copied into models/; each runtime needs its own file."""
    kind, file = request.param
    if kind == "keras":
        pytest.importorskip("tensorflow")
    folder = tmp_path / "models" / "my-own"
    folder.mkdir(parents=True)
    model = catalog.read_catalog(models_folder).models[ink_model]
    shutil.copy(model.folder / file, folder)
    (folder / "card.json").write_text(json.dumps(minimal("my-own", file, model)))
    return create_app(settings.replace(models=folder.parent, runtime=kind))


def test_it_is_everywhere(restarted, data_url, png, tmp_path):
    client = restarted.test_client()
    assert client.get("/readyz").status_code == 200
    for page in ("/", "/models"):
        assert "My own" in client.get(page).text
    (short,) = client.get("/api/models").json["models"]
    assert (short["name"], short["accuracy"]) == ("my-own", None)
    answer = client.post("/api/predict?model=my-own", json={"image": data_url(png)})
    assert (answer.status_code, answer.json["label"]) == (200, "1")
    sent = client.post("/predict", data={"model": "my-own", "drawing": data_url(png)})
    assert "My own" in client.get(sent.location).text
    (tmp_path / "a.png").write_bytes(png)
    runner = Runner(restarted.extensions["inkling"].service)
    assert "my-own" in runner.invoke(args=["models"]).stdout
    assert ": 1 (" in runner.invoke(args=["classify", "--model", "my-own", str(tmp_path / "a.png")]).stdout


def test_the_other_runtimes_file_is_asked_for(restarted, data_url, png):
    """A file of the one is none for the other."""
    there = restarted.extensions["inkling"].settings
    other = {"openvino": "keras", "keras": "openvino"}[there.runtime]
    if other == "keras":
        pytest.importorskip("tensorflow")
    client = create_app(there.replace(runtime=other)).test_client()
    answer = client.post("/api/predict?model=my-own", json={"image": data_url(png)})
    assert (answer.status_code, answer.json["reason"]) == (503, "model-unavailable")
    file = {"keras": "model.keras", "openvino": "model.onnx"}[other]
    for text in (answer.json["detail"], client.get("/readyz").text, client.get("/models").text):
        assert f"card.json lists no {file}" in text


def test_the_documented_card_is_a_card(tmp_path):
    text = (ROOT / "docs" / "guide" / "own-model.md").read_text("utf-8")
    card = text.partition("```json\n")[2].partition("```")[0]
    folder = tmp_path / json.loads(card)["name"]
    folder.mkdir()
    (folder / "card.json").write_text(card)
    assert read_card(folder).metrics is None
    fields = ModelCard.model_fields
    assert json.loads(card).keys() == {key for key, field in fields.items() if field.is_required()}
