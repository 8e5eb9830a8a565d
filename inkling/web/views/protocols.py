"""Two protocols whose clients people already have: the Open Inference Protocol and Hugging Face's.

The Open Inference Protocol, version 2 (https://github.com/kserve/open-inference-protocol), is what KServe, Triton and
MLServer speak; of its extensions, binary data in requests is read. Hugging Face's image classification
(https://huggingface.co/docs/inference-providers/tasks/image-classification) is what its InferenceClient speaks. A model
is named as everywhere, or `auto`. Nothing is saved.
"""

import io
import json
import math
from importlib.metadata import version
from typing import Annotated, Any, Literal, TypeVar

from flask import Blueprint, Response, abort, jsonify, request
from pydantic import BaseModel, Field

from inkling import problems
from inkling.problems import Problem
from inkling.recognition.predictor import Prediction
from inkling.service import Base64, Source, Upload
from inkling.web import jsonbodies, outcomes, service, turns
from inkling.web.edge.access import open_to

AUTO = "auto"  # the name of no model: Inkling chooses
TOP = 5  # labels in an answer that names no number
INPUT = "image"
OUTPUTS = {  # name of an output -> its datatype and the number of its dimensions
    "label": ("BYTES", 1),
    "confidence": ("FP32", 1),
    "sure": ("BOOL", 1),
    "familiar": ("BOOL", 1),
    "labels": ("BYTES", 2),
    "probabilities": ("FP32", 2),
}
HEADER = "Inference-Header-Content-Length"  # bytes of JSON in a body that goes on with binary data
LENGTH = 4  # bytes that hold the length of each picture in binary data, little-endian

Top = Annotated[int, Field(ge=1, le=1000)]
Shape = TypeVar("Shape", bound=BaseModel)
blueprint = Blueprint("protocols", __name__)


@blueprint.after_request
def name_error(response: Response) -> Response:
    """Adds the member `error`, where the clients of both protocols look for the sentence."""
    if response.mimetype == "application/problem+json":
        details = json.loads(response.get_data())
        response.set_data(json.dumps({**details, "error": details["detail"]}))
    return response


# ---- Hugging Face ----


class Parameters(BaseModel):
    """How Hugging Face's clients ask for an answer."""

    top_k: Top | None = None
    function_to_apply: Literal["softmax"] | None = None


class Asked(BaseModel):
    """A JSON body of Hugging Face's protocol."""

    inputs: str
    parameters: Parameters | None = None


@blueprint.post("/hf/<name>")
@open_to("anyone; nothing is saved")
def classify(name: str) -> Response:
    """One picture's labels, `[{"label", "score"}]`: for raw bytes, or `{"inputs": base64}`."""
    source: Source
    if request.is_json:
        asked = _parsed(Asked, request.get_data(cache=False))
        source, top = Base64(asked.inputs), (asked.parameters or Parameters()).top_k or TOP
    else:
        source, top = _picture(request.get_data(cache=False)), TOP
    (answer,) = _answers([source], name)
    return jsonify([{"label": label, "score": round(score, 6)} for label, score in answer.ranked(top)])


# ---- Open Inference Protocol ----


class Tensor(BaseModel):
    """The input of an inference request."""

    name: str
    shape: list[Annotated[int, Field(ge=0)]]
    datatype: str
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class Wanted(BaseModel):
    """An output that an inference request asks for."""

    name: str


class How(BaseModel):
    """Parameters of an inference request."""

    top: Top = TOP


class Inference(BaseModel):
    """An inference request."""

    id: str | None = None
    inputs: list[Tensor]
    outputs: list[Wanted] | None = None
    parameters: How = How()


@blueprint.get("/v2")
def server() -> dict:
    """The server's metadata."""
    return {"name": "inkling", "version": version("inkling"), "extensions": ["binary_tensor_data"]}


@blueprint.get("/v2/health/live")
def live() -> dict:
    """Liveness, as `/healthz`."""
    return {"live": True}


@blueprint.get("/v2/health/ready")
def ready() -> tuple[dict, int]:
    """Readiness: some model can answer; 503 otherwise."""
    predictor = service().predictor
    predictor.warm()  # switches off what cannot be opened
    serves = any(predictor.catalog.serving.values())
    return {"ready": serves}, 200 if serves else 503


@blueprint.get("/v2/models/<name>/ready")
def model_ready(name: str) -> dict:
    """Whether a model can answer; the reason why it cannot is an error."""
    service().chosen(_model(name))
    return {"name": name, "ready": True}


@blueprint.get("/v2/models/<name>")
def model(name: str) -> dict:
    """A model's input and outputs."""
    service().chosen(_model(name))
    return {
        "name": name,
        "platform": "inkling",
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {"name": output, "datatype": datatype, "shape": [-1] * dimensions}
            for output, (datatype, dimensions) in OUTPUTS.items()
        ],
    }


@blueprint.post("/v2/models/<name>/infer")
@open_to("anyone; nothing is saved")
def infer(name: str) -> dict:
    """The answers for one or more encoded pictures."""
    body = request.get_data(cache=False)
    length = request.headers.get(HEADER, type=int)
    asked = _parsed(Inference, body if length is None else body[:length])
    wanted = list(OUTPUTS) if asked.outputs is None else [output.name for output in asked.outputs]
    if unknown := set(wanted) - OUTPUTS.keys():
        abort(400, f"The outputs are {', '.join(OUTPUTS)}. Received: {problems.shorten(', '.join(sorted(unknown)))}.")
    sources = _sources(asked.inputs, b"" if length is None else body[length:])
    answers = _answers(sources, name)
    return {
        **({"id": asked.id} if asked.id is not None else {}),
        "model_name": name,
        "outputs": [_output(output, answers, asked.parameters.top) for output in wanted],
    }


def _sources(tensors: list[Tensor], binary: bytes) -> list[Source]:
    """The pictures of an inference request: base64 in its JSON, or elements of the binary data after it.

    Raises:
        BadRequest: the input is another one, or its data do not fit its shape.
        Problem: "too-many".
    """
    if len(tensors) != 1 or (tensors[0].name, tensors[0].datatype) != (INPUT, "BYTES"):
        got = ", ".join(f"{tensor.name} of {tensor.datatype}" for tensor in tensors) or "none"
        abort(400, f"The input is one tensor `{INPUT}` of BYTES. Received: {problems.shorten(got)}.")
    (tensor,) = tensors
    count, most = math.prod(tensor.shape), service().settings.max_batch
    if count > most:
        got = f"{count} pictures"
        raise Problem("too-many", f"At most {most} pictures go in one request. Received: {got}.", got)
    found: list[Source]
    if tensor.data is None:
        found = [_picture(element) for element in _elements(binary)]
    else:
        found = [Base64(text) for text in _flat(tensor.data)]
    if len(found) != count or not found:
        abort(400, f"The data must be as many pictures as the shape says. Received: {len(found)} for {count}.")
    return found


def _elements(binary: bytes) -> list[bytes]:
    """The elements of BYTES in binary data, each behind its length."""
    found, at = [], 0
    while at < len(binary):
        start = at + LENGTH
        at = start + int.from_bytes(binary[at:start], "little")
        if at > len(binary):
            abort(400, f"Each picture must come after its length. Received: {len(binary)} bytes, too few.")
        found.append(binary[start:at])
    return found


def _flat(data: list[Any]) -> list[str]:
    """The strings of a nested list, which the protocol allows beside a flat one."""
    found: list[str] = []
    for value in data:
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            found += _flat(value)
        else:
            abort(400, f"The data must be pictures in base64. Received: {problems.shorten(repr(value))}.")
    return found


def _output(name: str, answers: list[Prediction], top: int) -> dict:
    """One output of all answers. In Auto, models with fewer labels than others shorten the two-dimensional ones."""
    top = min(top, *(len(answer.labels) for answer in answers))
    ranked = [answer.ranked(top) for answer in answers]
    values: dict[str, list] = {
        "label": [answer.label for answer in answers],
        "confidence": [first[0][1] for first in ranked],
        "sure": [answer.sure for answer in answers],
        "familiar": [answer.familiar for answer in answers],
        "labels": [label for pairs in ranked for label, _ in pairs],
        "probabilities": [round(probability, 6) for pairs in ranked for _, probability in pairs],
    }
    datatype, dimensions = OUTPUTS[name]
    return {
        "name": name,
        "datatype": datatype,
        "shape": [len(answers), top][:dimensions],
        "data": values[name],
    }


# ---- Both ----


def _picture(file: bytes) -> Source:
    return Upload(io.BytesIO(file), INPUT)


def _parsed(shape: type[Shape], text: bytes) -> Shape:
    jsonbodies.check(text)
    return jsonbodies.parsed(shape, text)


def _model(name: str) -> str | None:
    return None if name == AUTO else name


def _answers(sources: list[Source], name: str) -> list[Prediction]:
    """The answers of a model. Neither protocol has a place for a picture that is refused beside others.

    Raises:
        Problem: the model or a picture is refused; of several pictures, it says which.
    """
    asked = _model(name)
    service().chosen(asked)  # an unknown model is refused before any picture is read
    with turns.turn(turns.work_of(sources, asked)) as budget:
        found = service().look(sources, asked, budget)
    for number, outcome in enumerate(found, 1):
        if len(found) > 1 and isinstance(error := outcome.answer, Problem):
            raise Problem(error.reason, f"Picture {number} of {len(found)}: {error}", error.received)
    answers = [outcome.prediction for outcome in found]
    outcomes.count(found)
    outcomes.tell(found)
    return answers
