"""A model folder copied into models/ appears on the pages, in the API and in the CLI without a restart."""

import json
import shutil

import numpy as np
import pytest

from inkling.config import ROOT
from inkling.recognition import catalog
from inkling.recognition.card import ModelCard, read_card, sha256
from inkling.web.app import create_app
from tests.support import backbones
from tests.support.command import Runner
from tests.support.waiting import wait_until


def minimal(name, file, model):
    """Returns a card written by hand, as in docs/guide/own-model.md."""
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


@pytest.fixture(
    params=[
        pytest.param(("openvino", "model.onnx"), id="openvino"),
        pytest.param(("keras", "model.keras"), id="keras", marks=pytest.mark.training),  # it loads TensorFlow
    ]
)
def running(request, settings, tmp_path, models_folder, ink_model):
    """A running app with a new model folder: a card and the file that the app's runtime needs."""
    kind, file = request.param
    if kind == "keras":
        pytest.importorskip("tensorflow")
    folder = tmp_path / "models" / "my-own"
    folder.parent.mkdir()
    app = create_app(settings.replace(models=folder.parent, runtime=kind))
    client = app.test_client()
    assert client.get("/api/models").json == {"models": []}
    folder.mkdir()
    model = catalog.read_catalog(models_folder).models[ink_model]
    (folder / "card.json").write_text(json.dumps(minimal("my-own", file, model)))
    shutil.copy(model.folder / file, folder)
    wait_until(lambda: client.get("/api/models").json["models"])
    return app


def test_it_is_everywhere(running, data_url, png, tmp_path):
    client = running.test_client()
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
    runner = Runner(running.extensions["inkling"])
    assert "my-own" in runner.invoke(args=["models"]).stdout
    assert ": 1 (" in runner.invoke(args=["classify", "--model", "my-own", str(tmp_path / "a.png")]).stdout


def test_the_other_runtimes_file_is_asked_for(running, data_url, png):
    """OpenVINO cannot serve model.keras, and Keras cannot serve model.onnx."""
    there = running.extensions["inkling"].settings
    other = {"openvino": "keras", "keras": "openvino"}[there.runtime]
    client = create_app(there.replace(runtime=other)).test_client()
    answer = client.post("/api/predict?model=my-own", json={"image": data_url(png)})
    assert (answer.status_code, answer.json["reason"]) == (503, "model-unavailable")
    file = {"keras": "model.keras", "openvino": "model.onnx"}[other]
    assert f"card.json lists no {file}" in client.get("/readyz").text
    assert answer.json["detail"] == "The model 'my-own' is switched off."
    assert "lists no" not in client.get("/models").text


def test_an_incomplete_folder_is_ignored_and_a_removed_one_disappears(running, monkeypatch):
    """`/readyz` and the models page do not list a model that is still being copied."""
    monkeypatch.setattr(catalog, "SETTLE_SECONDS", 600)  # the rest of this test may take long on a busy machine
    client, root = running.test_client(), running.extensions["inkling"].settings.models
    (root / "half").mkdir()
    (root / "half" / "card.json").write_text("{")
    shutil.copytree(root / "my-own", root / "other")
    card = json.loads((root / "other" / "card.json").read_text())
    (root / "other" / "card.json").write_text(json.dumps(card | {"name": "other"}))
    wait_until(lambda: "other" in client.get("/readyz").json["models"])
    assert "half" not in client.get("/readyz").json["models"]
    assert "half" not in client.get("/models").text
    shutil.rmtree(root / "other")
    wait_until(lambda: "other" not in client.get("/readyz").json["models"])
    assert client.get("/models/other").status_code == 404


def test_a_broken_model_is_switched_off_until_its_file_is_repaired(running, data_url, png):
    client, root = running.test_client(), running.extensions["inkling"].settings.models

    def status():
        return client.post("/api/predict?model=my-own", json={"image": data_url(png)}).status_code

    wait_until(lambda: status() == 200)  # a file that changes while it is first opened fails for another reason
    (file,) = (root / "my-own").glob("model.*")
    good = file.read_bytes()
    file.write_bytes(b"garbage")
    wait_until(lambda: status() == 503)
    reason = f"off: {file.name} is not the file that the card describes"
    assert client.get("/readyz").json["models"]["my-own"].startswith(reason)
    file.write_bytes(good)
    wait_until(lambda: status() == 200)


# Nodes of a network that make a factor of "bright", the mean of a picture: finite for a black picture alone.
NOT_FINITE = {
    "nan": [("Neg", ["bright"], ["minus"], {}), ("Sqrt", ["minus"], ["root"], {}), ("Exp", ["root"], ["factor"], {})],
    "inf": [("Mul", ["bright", "many"], ["large"], {}), ("Exp", ["large"], ["factor"], {})],
}


@pytest.fixture(params=NOT_FINITE)
def flawed(request, settings, tmp_path):
    """A client of an app whose model "flawed" is fine with a black picture, and with no other; "sound" is fine."""
    root = tmp_path / "models"
    backbones.write_backbone(root, name="sound")
    folder = root / "flawed"
    folder.mkdir()
    backbones.network(
        folder / "model.onnx",
        [("x", ["n", backbones.SIDE, backbones.SIDE, 3]), ("probabilities", 3)],
        [
            backbones.MEAN_COLOR,
            ("Softmax", ["features"], ["shares"], {"axis": 1}),
            ("ReduceMean", ["features"], ["bright"], {"axes": [1], "keepdims": 1}),
            *NOT_FINITE[request.param],
            ("Mul", ["shares", "factor"], ["probabilities"], {}),
        ],
        {"many": [1e6]} if request.param == "inf" else {},
    )
    backbones.write_card(folder, labels=backbones.COLORS)
    return create_app(settings.replace(models=root)).test_client()


def loads(answer):
    """The JSON of an answer; as the standard says, without NaN and infinity."""

    def refuse(word):
        raise AssertionError(f"{word} in {answer.text}")

    return json.loads(answer.text, parse_constant=refuse)


def test_a_network_whose_numbers_are_not_finite_switches_its_model_off(flawed, jpeg, data_url):
    picture = data_url(jpeg, "image/jpeg")
    assert loads(flawed.get("/readyz"))["models"] == {"flawed": "ready", "sound": "ready"}
    for _ in range(2):
        refused = flawed.post("/api/predict?model=flawed", json={"image": picture})
        assert (refused.status_code, loads(refused)["reason"]) == (503, "model-unavailable")
    off = "off: the network answered with numbers that are not finite"
    assert loads(flawed.get("/readyz"))["models"] == {"flawed": off, "sound": "ready"}
    assert "flawed" in flawed.get("/models").text.partition("Not working")[2]
    assert flawed.post("/predict", data={"model": "flawed", "drawing": picture}).location.startswith(
        "/help?reason=model"
    )
    answered = flawed.post("/api/predict?model=sound", json={"image": picture})
    assert (answered.status_code, loads(answered)["model"]) == (200, "sound")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("key", ["temperature", "familiar", "history"])
def test_a_card_holds_finite_numbers(tmp_path, number, key):
    folder = backbones.write_backbone(tmp_path)
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {key: {"loss": [number]} if key == "history" else number}))
    with pytest.raises(ValueError, match=key):
        read_card(folder)


def test_json_that_would_be_invalid_is_an_error(app):
    with app.app_context(), pytest.raises(ValueError, match="not JSON compliant"):
        app.json.dumps({"confidence": np.nan})


def test_the_documented_card_is_a_card(tmp_path):
    text = (ROOT / "docs" / "guide" / "own-model.md").read_text("utf-8")
    card = text.partition("```json\n")[2].partition("```")[0]
    folder = tmp_path / json.loads(card)["name"]
    folder.mkdir()
    (folder / "card.json").write_text(card)
    assert read_card(folder).metrics is None
    fields = ModelCard.model_fields
    assert json.loads(card).keys() == {key for key, field in fields.items() if field.is_required()}
