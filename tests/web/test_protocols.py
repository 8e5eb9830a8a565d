"""Public clients of two protocols, unmodified, ask a live server; and what the protocols refuse."""

import base64
import io
import threading

import numpy as np
import pytest
import tritonclient.http
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from tritonclient.utils import InferenceServerException
from werkzeug.serving import make_server

from inkling.recognition.predictor import classify_one


@pytest.fixture
def address(app):
    """A live server with the app."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def triton(address):
    client = tritonclient.http.InferenceServerClient(address, connection_timeout=60, network_timeout=60)
    yield client
    client.close()


def given(pictures, binary=True):
    """The input of an inference request."""
    values = [one if binary else base64.b64encode(one) for one in pictures]
    tensor = tritonclient.http.InferInput("image", [len(values)], "BYTES")
    tensor.set_data_from_numpy(np.array(values, object), binary_data=binary)
    return [tensor]


# ---- Hugging Face ----


def test_hugging_faces_client_reads_a_picture(address, client, ink_model, png):
    hub = InferenceClient(model=f"http://{address}/hf/{ink_model}")
    found = hub.image_classification(png)
    wanted = client.post(
        "/api/predict", query_string={"model": ink_model}, data={"image": (io.BytesIO(png), "a.png")}
    ).json
    assert [(one.label, one.score) for one in found] == [
        (one["label"], one["probability"]) for one in wanted["predictions"]
    ]
    assert [one.label for one in hub.image_classification(png, top_k=2)] == [one.label for one in found[:2]]


def test_its_client_is_told_what_is_wrong(address, ink_model):
    hub = InferenceClient(model=f"http://{address}/hf/{ink_model}")
    with pytest.raises(HfHubHTTPError) as caught:
        hub.image_classification(b"no picture at all")
    answer = caught.value.response
    assert answer.json()["error"] == answer.json()["detail"]
    assert answer.json()["reason"] == "not-an-image"


# ---- The Open Inference Protocol ----


def test_tritons_client_finds_server_and_models(triton, ink_model):
    assert triton.is_server_live()
    assert triton.is_server_ready()
    assert triton.get_server_metadata()["name"] == "inkling"
    assert triton.is_model_ready(ink_model)
    assert not triton.is_model_ready("none")
    about = triton.get_model_metadata(ink_model)
    assert about["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert {one["name"]: one["datatype"] for one in about["outputs"]}["probabilities"] == "FP32"


def test_a_server_whose_models_are_all_off_is_not_ready(app_without_models):
    client = app_without_models.test_client()
    assert client.get("/readyz").status_code == 503
    assert (client.get("/v2/health/ready").status_code, client.get("/v2/health/live").status_code) == (503, 200)


@pytest.mark.parametrize("binary", [True, False], ids=["binary", "json"])
def test_tritons_client_reads_pictures(triton, classifier, ink_model, png, paper, drawing, encode, binary):
    other = encode(drawing.rotate(180), "PNG")
    answer = triton.infer(ink_model, given([png, other], binary), request_id="7")
    assert answer.get_response()["id"] == "7"
    model = classifier.catalog.model(ink_model)
    predictions = [classify_one(classifier, one, model) for one in (drawing, drawing.rotate(180))]
    assert answer.as_numpy("label").tolist() == [one.label for one in predictions]
    assert answer.as_numpy("confidence") == pytest.approx([one.confidence for one in predictions], abs=1e-5)
    assert answer.as_numpy("sure").tolist() == [one.sure for one in predictions]
    assert answer.as_numpy("familiar").tolist() == [one.familiar for one in predictions]
    assert answer.as_numpy("labels").shape == answer.as_numpy("probabilities").shape == (2, 5)
    assert answer.as_numpy("labels")[:, 0].tolist() == answer.as_numpy("label").tolist()


def test_only_the_outputs_that_are_asked_for(triton, ink_model, png):
    wanted = [tritonclient.http.InferRequestedOutput(name) for name in ("labels", "sure")]
    answer = triton.infer(ink_model, given([png]), outputs=wanted, parameters={"top": 2})
    assert [one["name"] for one in answer.get_response()["outputs"]] == ["labels", "sure"]
    assert answer.as_numpy("labels").shape == (1, 2)


def test_without_a_model_inkling_chooses(triton, client, png):
    answer = triton.infer("auto", given([png]))
    assert answer.as_numpy("label").tolist() == [
        client.post("/api/predict", data={"image": (io.BytesIO(png), "a.png")}).json["label"]
    ]


@pytest.mark.parametrize(
    ("model", "pictures", "says"),
    [
        ("none", [b"x"], "none"),
        ("digits-cnn", [b"no picture"], "begins with"),
        ("digits-cnn", [b""], "0 bytes"),
    ],
)
def test_tritons_client_is_told_what_is_wrong(triton, model, pictures, says):
    with pytest.raises(InferenceServerException, match=says) as caught:
        triton.infer(model, given(pictures))
    assert "exception occurred" not in str(caught.value)


def test_a_bad_picture_among_good_ones_is_named(triton, ink_model, png):
    with pytest.raises(InferenceServerException, match=r"^\[415\] Picture 2 of 3: "):
        triton.infer(ink_model, given([png, b"no picture", png]))


IMAGE = {"name": "image", "datatype": "BYTES"}
BINARY = b'{"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1]}]}'
LENGTH = "Inference-Header-Content-Length"


@pytest.mark.parametrize(
    ("body", "headers", "says"),
    [
        (b"{", {}, "Invalid JSON"),
        ({}, {}, "inputs: Field required"),
        ({"inputs": []}, {}, "Received: none."),
        ({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1.0]}]}, {}, "Received: x of FP32."),
        ({"inputs": [{**IMAGE, "shape": [2], "data": ["aGk="]}]}, {}, "Received: 1 for 2."),
        ({"inputs": [{**IMAGE, "shape": [0], "data": []}]}, {}, "Received: 0 for 0."),
        ({"inputs": [{**IMAGE, "shape": [-1], "data": []}]}, {}, "shape.0"),
        ({"inputs": [{**IMAGE, "shape": [1], "data": [7]}]}, {}, "Received: 7."),
        ({"inputs": [{**IMAGE, "shape": [1], "data": ["aGk="]}], "outputs": [{"name": "x"}]}, {}, "Received: x."),
        ({"inputs": [{**IMAGE, "shape": [1], "data": ["aGk="]}], "parameters": {"top": 0}}, {}, "parameters.top"),
        (BINARY + b"\xff\0\0\0x", {LENGTH: str(len(BINARY))}, "Received: 5 bytes, too few."),
        (BINARY, {}, "Received: 0 for 1."),
    ],
)
def test_a_request_that_does_not_fit_is_refused(client, ink_model, body, headers, says):
    sent = {"data": body} if isinstance(body, bytes) else {"json": body}
    answer = client.post(f"/v2/models/{ink_model}/infer", **sent, headers=headers)
    assert answer.status_code == 400
    assert answer.mimetype == "application/problem+json"
    assert says in answer.json["detail"]
    assert answer.json["error"] == answer.json["detail"]
