"""The API's OpenAPI 3.1 document, generated from the schemas, the reasons and the settings."""

from pydantic.json_schema import models_json_schema

from inkling import problems
from inkling.config import Settings
from inkling.pictures.formats import EXTENSIONS
from inkling.recognition.strokes import StrokesBody
from inkling.web import schemas
from inkling.web.edge import errors

VERSION = "1"
REF = "#/components/schemas/{model}"
EXAMPLE = """curl -F image=@cat.jpg '{base_url}/api/predict'

curl -H 'Content-Type: application/json' -d '{"strokes": [[[120, 290, 190], [90, 90, 330]]]}' \\
  '{base_url}/api/predict'"""

# Reasons that are not in `problems.REASONS`: names of HTTP statuses.
HTTP_REASONS = {400: "bad-request", 403: "forbidden", 408: "request-timeout"}

MODEL = {
    "name": "model",
    "in": "query",
    "required": False,
    "schema": {"type": "string"},
    "description": "a name from /api/models; without it, Inkling chooses the models itself",
}


def document(settings: Settings) -> dict:
    """The document for an app with these settings."""
    _, definitions = models_json_schema(
        [
            (shape, "serialization")
            for shape in (
                schemas.Result,
                schemas.Results,
                schemas.Explanation,
                schemas.Problem,
                schemas.PictureBody,
                StrokesBody,
                schemas.Models,
            )
        ],
        ref_template=REF,
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Inkling's API",
            "version": VERSION,
            "description": "Send a picture, get an answer. Nothing that you send is saved.",
        },
        "paths": {
            "/api/models": {"get": _models()},
            "/api/predict": {"post": _predict(settings)},
            "/api/explain": {"post": _explain(settings)},
        },
        "components": {"schemas": definitions["$defs"]},
    }


def _models() -> dict:
    return {
        "operationId": "models",
        "summary": "Lists the models that can be asked.",
        "x-example": "curl '{base_url}/api/models'",
        "responses": {"200": _answer("The models, by task.", "Models")},
    }


def _predict(settings: Settings) -> dict:
    pictures = {"type": "array", "items": _picture(settings), "minItems": 1, "maxItems": settings.max_batch}
    top = {
        "name": "top",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "default": 5},
        "description": "how many labels to answer, most likely first",
    }
    return {
        "operationId": "predict",
        "summary": "Says what is in a picture or a drawing.",
        "description": "One picture answers one object, and so does a drawing as strokes. Several `image` fields "
        "answer a list in the same order, in which a bad picture is an error in its place.",
        "x-example": EXAMPLE,
        "parameters": [MODEL, top],
        "requestBody": _body(pictures),
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {
                    "application/json": {
                        "schema": {"oneOf": [{"$ref": REF.format(model=name)} for name in ("Result", "Results")]}
                    }
                },
            },
            **_problems(),
        },
    }


def _explain(settings: Settings) -> dict:
    return {
        "operationId": "explain",
        "summary": "Says which parts of a picture its answer depends on.",
        "description": "Hides each part of a grid in turn and measures the drop in confidence. A faster model gets a "
        "finer grid.",
        "x-example": EXAMPLE.replace("predict", "explain"),
        "parameters": [MODEL],
        "requestBody": _body(_picture(settings)),
        "responses": {"200": _answer("The explanation.", "Explanation"), **_problems()},
    }


def _picture(settings: Settings) -> dict:
    size = f"at most {settings.max_bytes} bytes and {settings.max_pixels} pixels"
    return {"type": "string", "format": "binary", "description": f"{', '.join(EXTENSIONS)}; {size}"}


def _body(image: dict) -> dict:
    return {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["image"], "properties": {"image": image}}
            },
            "application/json": {
                "schema": {"oneOf": [{"$ref": REF.format(model=name)} for name in ("PictureBody", "StrokesBody")]}
            },
        },
    }


def _problems() -> dict:
    return {str(status): _problem(status) for status in sorted(_statuses())}


def _statuses() -> set[int]:
    return {reason.status for reason in problems.REASONS.values()} | HTTP_REASONS.keys()


def _problem(status: int) -> dict:
    reasons = [code for code, reason in problems.REASONS.items() if reason.status == status]
    reasons += [HTTP_REASONS[status]] if status in HTTP_REASONS else []
    answer = _answer("Reason: " + ", ".join(reasons) + ".", "Problem", "application/problem+json")
    if status in errors.WITH_RETRY_AFTER:
        answer["headers"] = {"Retry-After": {"description": "seconds to wait", "schema": {"type": "integer"}}}
    return answer


def _answer(description: str, model: str, media: str = "application/json") -> dict:
    return {"description": description, "content": {media: {"schema": {"$ref": REF.format(model=model)}}}}
