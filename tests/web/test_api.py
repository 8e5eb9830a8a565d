"""Every response of the JSON API has the shape that the OpenAPI document describes.

All errors follow RFC 9457: `application/problem+json` with `type`, `title`, `status`, `detail` and `reason`.
"""

import base64
import io
import re

import openapi_spec_validator
import pytest
from jsonschema import Draft202012Validator
from PIL import Image
from werkzeug.datastructures import MultiDict

from app import app as real_app
from inkling.config import ROOT
from inkling.problems import REASONS
from inkling.recognition.explain import read
from inkling.recognition.predictor import classify_one
from inkling.web.app import create_app
from inkling.web.edge.admission import EXPLANATIONS
from inkling.web.schemas import Problem

FILE_REASONS = (
    "empty",
    "extension",
    "not-an-image",
    "unsupported",
    "too-large",
    "too-many-pixels",
    "truncated",
    "animated-too-long",
    "blank",
)


@pytest.fixture
def document(client):
    return client.get("/api/openapi.json").json


@pytest.fixture
def holds(document):
    """Returns a function that checks a response against the document's schema for its path and status."""

    def holds(answer, path="predict", method="post"):
        answers = document["paths"][f"/api/{path}"][method]["responses"]
        schema = answers[str(answer.status_code)]["content"][answer.mimetype]["schema"]
        Draft202012Validator({**document, **schema}).validate(answer.json)
        return True

    return holds


@pytest.fixture
def predict(client, ink_model):
    """Sends files as (name, bytes), or a JSON body."""

    def predict(*files, model=ink_model, top=None, json=None):
        query = {"model": model} | ({} if top is None else {"top": top})
        if json is not None:
            return client.post("/api/predict", query_string=query, json=json)
        data = MultiDict([("image", (io.BytesIO(content), name)) for name, content in files])
        return client.post("/api/predict", query_string=query, data=data)

    return predict


def is_problem(answer, status, reason):
    """Asserts that a response is a problem with this status and reason."""
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    problem = Problem.model_validate(answer.json, strict=True)
    assert (problem.status, problem.reason) == (status, reason)
    assert problem.title
    assert problem.detail
    assert problem.type == "about:blank" or problem.type == f"/help?reason={reason}"
    return True


# ---- The document ----


def test_the_document_says_which_responses_have_retry_after(document):
    answers = document["paths"]["/api/predict"]["post"]["responses"]
    assert {status for status, answer in answers.items() if "Retry-After" in answer.get("headers", {})} == {
        "429",
        "503",
    }


def test_the_document_is_valid_openapi(document):
    assert document["openapi"].startswith("3.1")
    openapi_spec_validator.validate(document)


def test_the_document_describes_every_route_that_answers_with_data(document):
    rules = {
        re.sub(r"<(?:\w+(?:\(.*?\))?:)?(\w+)>", r"{\1}", rule.rule)
        for rule in real_app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
    }
    assert document["paths"].keys() == rules - {"/api/openapi.json", "/api/docs"}


def test_the_document_describes_every_reason(document):
    answers = document["paths"]["/api/predict"]["post"]["responses"]
    for code, reason in REASONS.items():
        assert code in answers[str(reason.status)]["description"]


def test_a_wrong_answer_would_not_hold(document, predict, png, holds):
    """Shows that `holds` fails for a response of another shape."""
    answer = predict(("a.png", png))
    schema = document["paths"]["/api/predict"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    valid = Draft202012Validator({**document, **schema}).is_valid
    assert valid(answer.json)
    for wrong in ({}, {"results": [{}]}, answer.json | {"extra": 1}, answer.json | {"confidence": 2}):
        assert not valid(wrong)


def test_models_are_listed_in_short(client, classifier, holds):
    answer = client.get("/api/models")
    assert holds(answer, "models", "get")
    models = {model["name"]: model for model in answer.json["models"]}
    assert models.keys() == classifier.catalog.models.keys()
    for card in classifier.catalog:
        short = models[card.name]
        assert (short["labels"], short["kind"], short["accuracy"]) == (
            list(card.labels),
            card.input.kind,
            card.metrics.accuracy,
        )


# ---- Answers ----


def test_one_picture_answers_one_object(predict, png, holds, ink_model, classifier, drawing):
    answer = predict(("a.png", png))
    assert answer.status_code == 200
    assert holds(answer)
    expected = classify_one(classifier, drawing, classifier.catalog.model(ink_model))
    result = answer.json
    assert (result["model"], result["task"], result["label"]) == (ink_model, expected.task, expected.label)
    assert result["confidence"] == pytest.approx(expected.confidence, abs=1e-5)
    assert result["predictions"][0] == {"label": result["label"], "probability": result["confidence"]}
    assert result["sure"] == expected.sure
    assert list(result["milliseconds"]) == ["decode", "prepare", "infer"]


def test_every_model_answers(predict, shipped, jpeg, holds):
    answer = predict(("a.jpg", jpeg), model=shipped.card.name)
    assert answer.status_code in (200, 422)  # a model for drawings may find no ink in a photo
    assert holds(answer)
    if shipped.card.input.kind == "photo":
        assert answer.status_code == 200


def test_several_pictures_answer_in_order(predict, png, encode, drawing, holds):
    lying = encode(drawing.rotate(90))
    answer = predict(("a.png", png), ("b.png", lying), ("c.png", png))
    assert holds(answer)
    first, second, third = (result["predictions"] for result in answer.json["results"])
    assert first == third
    assert first != second
    for data, predictions in ((png, first), (lying, second)):
        alone = predict(("a.png", data)).json["predictions"]
        assert [one["label"] for one in alone] == [one["label"] for one in predictions]
        assert [one["probability"] for one in alone] == pytest.approx(
            [one["probability"] for one in predictions], abs=1e-4
        )


@pytest.mark.parametrize("reason", FILE_REASONS)
def test_a_bad_picture_is_an_error_in_its_place(predict, png, bad_files, holds, reason):
    answer = predict(("a.png", png), bad_files[reason], ("c.png", png))
    assert answer.status_code == 200
    assert holds(answer)
    first, bad, third = answer.json["results"]
    assert bad.keys() == {"error"}
    assert (bad["error"]["reason"], bad["error"]["status"]) == (reason, REASONS[reason].status)
    assert first["predictions"] == third["predictions"] == predict(("a.png", png)).json["predictions"]


def test_a_batch_of_bad_pictures_is_answered(predict, bad_files, holds):
    answer = predict(bad_files["empty"], bad_files["blank"])
    assert holds(answer)
    assert [result["error"]["reason"] for result in answer.json["results"]] == ["empty", "blank"]


@pytest.mark.parametrize("form", ["base64", "data URL"])
def test_a_picture_may_be_json(predict, png, data_url, holds, form):
    answer = predict(json={"image": data_url(png) if form == "data URL" else base64.b64encode(png).decode()})
    assert holds(answer)
    assert answer.json["predictions"] == predict(("a.png", png)).json["predictions"]


@pytest.mark.parametrize("top, count", [(None, 5), (1, 1), (3, 3), (10, 10), (999, 10)])
def test_top_says_how_many_labels(predict, png, holds, top, count):
    answer = predict(("a.png", png), top=top)
    assert holds(answer)
    shares = [one["probability"] for one in answer.json["predictions"]]
    assert len(shares) == count
    assert shares == sorted(shares, reverse=True)


def test_the_api_keeps_nothing(predict, png, bad_files, kept, settings):
    assert predict(("a.png", png)).status_code == 200
    predict(("a.png", png), bad_files["blank"])
    assert kept() == []
    assert not settings.pictures.exists()


# ---- Explanations ----


@pytest.fixture
def explain(client, ink_model):
    """Sends files as (name, bytes), or a JSON body, to be explained."""

    def explain(*files, model=ink_model, json=None):
        if json is not None:
            return client.post("/api/explain", query_string={"model": model}, json=json)
        data = MultiDict([("image", (io.BytesIO(content), name)) for name, content in files])
        return client.post("/api/explain", query_string={"model": model}, data=data)

    return explain


def test_an_explanation_is_a_grid_of_drops(explain, predict, png, data_url, holds, kept):
    answer = explain(("a.png", png))
    assert holds(answer, "explain")
    why, said = answer.json, predict(("a.png", png)).json
    assert (why["model"], why["task"], why["label"]) == (said["model"], said["task"], said["label"])
    assert why["confidence"] == pytest.approx(said["confidence"], abs=1e-4)
    assert {len(row) for row in why["drops"]} == {len(why["drops"])}
    assert max(map(max, why["drops"])) <= why["confidence"] + 1e-4
    left, top, right, bottom = why["field"]
    assert left < 0.5 < right
    assert top < 0.5 < bottom
    assert explain(json={"image": data_url(png)}).json["label"] == why["label"]
    assert kept() == []


def test_an_explanation_brings_the_map_to_lay_over_the_picture(client, ink_model, holds):
    seven = (ROOT / "docs" / "examples" / "seven.png").read_bytes()  # parts of it decide, on any machine's grid

    def explain(overlay):
        data = {"image": (io.BytesIO(seven), "a.png")}
        return client.post(f"/api/explain?model={ink_model}&overlay={overlay}", data=data)

    answer = explain(1)
    assert holds(answer, "explain")
    start, code = answer.json["overlay"].split(",")
    assert start == "data:image/png;base64"
    file = io.BytesIO(base64.b64decode(code))
    assert [list(row) for row in read(file).drops] == answer.json["drops"]
    assert Image.open(file).mode == "RGBA"
    assert "overlay" not in explain(0).json
    assert is_problem(explain("yes"), 400, "bad-request")


def test_a_photo_is_explained_whole(explain, jpeg, photo_model, holds):
    answer = explain(("a.jpg", jpeg), model=photo_model)
    assert holds(answer, "explain")
    assert answer.json["field"] == [0, 0, 1, 1]


def test_a_long_photo_is_explained_with_the_rims_beside_it(explain, photo_model, holds):
    file = io.BytesIO()
    Image.radial_gradient("L").resize((400, 200)).save(file, "JPEG")
    answer = explain(("a.jpg", file.getvalue()), model=photo_model)
    assert holds(answer, "explain")
    left, top, right, bottom = answer.json["field"]
    assert (left, right) == (0, 1)
    assert (top, bottom) == pytest.approx((-1 / 6, 7 / 6), abs=0.02)


@pytest.mark.parametrize("reason", FILE_REASONS)
def test_a_picture_that_cannot_be_explained_is_a_problem(explain, bad_files, holds, reason):
    answer = explain(bad_files[reason])
    assert is_problem(answer, REASONS[reason].status, reason)
    assert holds(answer, "explain")


def test_one_picture_is_explained_at_a_time(explain, png):
    answer = explain(("a.png", png), ("b.png", png))
    assert is_problem(answer, REASONS["too-many"].status, "too-many")
    assert answer.json["detail"].endswith("Received: 2.")


@pytest.mark.parametrize("files, model, reason", [((), None, "missing"), (("png",), "none", "unknown-model")])
def test_an_explanation_needs_a_picture_and_a_model(explain, png, ink_model, files, model, reason):
    answer = explain(*[("a.png", png) for _ in files], model=model or ink_model)
    assert is_problem(answer, REASONS[reason].status, reason)


def test_a_full_queue_of_explanations_is_busy(make_app, settings, png, ink_model, holds):
    app = make_app(settings.replace(queue=0))
    with app.extensions["admission"].turn(0, EXPLANATIONS):
        data = {"image": (io.BytesIO(png), "a.png")}
        answer = app.test_client().post(f"/api/explain?model={ink_model}", data=data)
    assert is_problem(answer, 503, "busy")
    assert int(answer.headers["Retry-After"]) > 0
    assert holds(answer, "explain")


# ---- Errors ----


@pytest.mark.parametrize("reason", FILE_REASONS)
def test_a_bad_file_is_a_problem(predict, bad_files, holds, reason):
    answer = predict(bad_files[reason])
    assert is_problem(answer, REASONS[reason].status, reason)
    assert holds(answer)


@pytest.mark.parametrize(
    "reason", ["not-an-image", "too-large", "too-many-pixels", "truncated", "animated-too-long", "blank"]
)
def test_a_bad_picture_in_json_is_a_problem(predict, bad_files, reason):
    answer = predict(json={"image": base64.b64encode(bad_files[reason][1]).decode()})
    assert is_problem(answer, REASONS[reason].status, reason)


@pytest.mark.parametrize(
    "body",
    [{}, [], "text", 7, {"image": None}, {"image": 7}, {"image": ["x"]}, {"picture": "x"}, {"image": ""}],
    ids=str,
)
def test_json_without_a_picture_is_missing(predict, body):
    assert is_problem(predict(json=body), 400, "missing")


@pytest.mark.parametrize(
    "image, reason",
    [
        ("data:image/png;base64,", "empty"),
        ("data:text/html;base64,aGk=", "not-an-image"),
        ("not base64!", "not-an-image"),
        ("data:image/png;base64,aGk=", "not-an-image"),
        ("data:", "not-an-image"),
        ("\ud800", "not-an-image"),
        ("ñ", "not-an-image"),
    ],
)
def test_json_with_no_real_picture_says_why(predict, image, reason):
    assert is_problem(predict(json={"image": image}), REASONS[reason].status, reason)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[" * 10_000, b'{"a":' * 10_000, b"[" * 10_000 + b"]" * 10_000, b"NaN", b"null"],
    ids=["empty", "cut", "not-utf-8", "open", "open-objects", "nested", "nan", "null"],
)
def test_a_body_that_is_no_json_is_a_bad_request(client, ink_model, body):
    answer = client.post("/api/predict", query_string={"model": ink_model}, data=body, content_type="application/json")
    assert is_problem(answer, 400, "missing" if body in (b"NaN", b"null") else "bad-request")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "image/png",
        "application/octet-stream",
        "",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ],
)
def test_a_body_of_another_type_is_missing(client, ink_model, png, content_type):
    answer = client.post("/api/predict", query_string={"model": ink_model}, data=png, content_type=content_type)
    assert is_problem(answer, 400, "missing")


def test_more_pictures_than_allowed_are_too_many(predict, png, settings, holds):
    assert predict(*[("a.png", png)] * settings.max_batch).status_code == 200
    answer = predict(*[("a.png", png)] * (settings.max_batch + 1))
    assert is_problem(answer, 413, "too-many")
    assert "At most 3 pictures go in one request. Received: 4." in answer.json["detail"]
    assert holds(answer)


def test_a_batch_of_the_largest_pictures_is_read(predict, settings, png):
    largest = png + bytes(settings.max_bytes - len(png))
    answer = predict(*[("a.png", largest)] * settings.max_batch)
    assert [result.keys() >= {"label"} for result in answer.json["results"]] == [True] * settings.max_batch


@pytest.mark.parametrize("size", [100_001, 1_000_000])
@pytest.mark.parametrize("form", ["multipart", "json"])
def test_every_size_limit_answers_too_large(predict, form, size):
    data = bytes(size)
    answer = predict(("a.png", data)) if form == "multipart" else predict(json={"image": "A" * (size * 4 // 3 + 4)})
    assert is_problem(answer, 413, "too-large")


@pytest.mark.parametrize("query", [{"model": ""}, {"model": "no-such-model"}, {"model": "../digits-cnn"}], ids=str)
def test_an_unknown_model_is_a_problem(client, png, query, holds):
    answer = client.post("/api/predict", query_string=query, data={"image": (io.BytesIO(png), "a.png")})
    assert is_problem(answer, 404, "unknown-model")
    assert holds(answer)


@pytest.mark.parametrize("top", ["0", "-1", "x", "", "1.5", "²", "9" * 5000])
def test_a_top_that_is_no_count_is_a_bad_request(predict, png, top):
    assert is_problem(predict(("a.png", png), top=top), 400, "bad-request")


@pytest.mark.parametrize(
    "method, path, status, reason",
    [
        ("get", "/api/predict", 405, "method-not-allowed"),
        ("post", "/api/models", 405, "method-not-allowed"),
        ("get", "/api/nothing", 404, "not-found"),
        ("post", "/healthz", 405, "method-not-allowed"),
        ("delete", "/readyz", 405, "method-not-allowed"),
    ],
)
def test_a_wrong_call_is_a_problem(client, method, path, status, reason):
    answer = getattr(client, method)(path)
    assert is_problem(answer, status, reason)
    assert ("Allow" in answer.headers) == (status == 405)


def test_a_cross_site_post_is_a_problem(client):
    assert is_problem(client.post("/api/predict", headers={"Sec-Fetch-Site": "cross-site"}), 403, "forbidden")


def test_a_fault_of_ours_is_a_problem_that_tells_no_secret(app, predict, png, monkeypatch):
    def fail(*_):
        raise RuntimeError("SECRET")

    monkeypatch.setattr(app.extensions["inkling"].predictor, "answer", fail)
    answer = predict(("a.png", png))
    assert is_problem(answer, 500, "internal-server-error")
    assert "SECRET" not in answer.text


def test_a_model_that_is_off_is_a_problem(app_without_models, png):
    answer = app_without_models.test_client().post(
        "/api/predict?model=broken-one", data={"image": (io.BytesIO(png), "a.png")}
    )
    assert is_problem(answer, 503, "model-unavailable")
    assert int(answer.headers["Retry-After"]) > 0


# ---- Health checks ----


def test_healthz_says_that_the_process_lives(client):
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_readyz_names_every_model(client, classifier):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["status"]) == (200, "ready")
    assert answer.json["models"] == dict.fromkeys(classifier.catalog.models, "ready")


@pytest.mark.parametrize("path, status", [("/healthz", 200), ("/readyz", 503)])
def test_when_no_model_serves_the_process_lives_but_is_not_ready(app_without_models, path, status):
    assert app_without_models.test_client().get(path).status_code == status


def test_readyz_says_why_a_model_is_off(app_without_models):
    models = app_without_models.test_client().get("/readyz").json["models"]
    assert models.keys() == {"broken-one"}
    assert models["broken-one"].startswith("off: card.json: name: Field required")


@pytest.mark.parametrize("stranger", [{"address": "192.0.2.1"}, {"headers": {"X-Forwarded-For": "127.0.0.1"}}], ids=str)
def test_readyz_tells_strangers_states_only(app_without_models, settings, stranger):
    settings.pictures.write_bytes(b"a file in place of the folder")
    client = app_without_models.test_client()
    environ = {"REMOTE_ADDR": stranger.get("address", "127.0.0.1")}
    answer = client.get("/readyz", headers=stranger.get("headers"), environ_overrides=environ)
    assert answer.status_code == 503
    assert answer.json == {"status": "no model serves", "saving": "off", "models": {"broken-one": "off"}}
    known = client.get("/readyz").json
    assert known["saving"].startswith("off: ")
    assert known["models"]["broken-one"].startswith("off: ")


def test_readyz_is_ready_while_one_model_serves(settings, tmp_path, models_folder, ink_model, photo_model):
    import shutil

    root = tmp_path / "some"
    for name in (ink_model, photo_model):
        shutil.copytree(models_folder / name, root / name)
    (root / photo_model / "model.onnx").write_bytes(b"cut")
    answer = create_app(settings.replace(models=root)).test_client().get("/readyz")
    assert answer.status_code == 200
    assert answer.json["models"][ink_model] == "ready"
    assert answer.json["models"][photo_model].startswith("off: model.onnx is not the file")
