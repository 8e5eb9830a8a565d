"""The API's OpenAPI 3.1 document, made from the schemas, the reasons and the settings."""

from pydantic.json_schema import models_json_schema

from inkling import intake
from inkling.settings import EXTENSIONS, Settings
from inkling.web import schemas

VERSION = "1"
REF = "#/components/schemas/{model}"
EXAMPLE = "curl -F image=@cat.jpg '{base_url}/api/predict?model=cats-dogs-cnn'"


def document(settings: Settings) -> dict:
    """The whole document."""
    _, definitions = models_json_schema(
        [(shape, "serialization") for shape in
         (schemas.Result, schemas.Results, schemas.Problem, schemas.PictureBody, schemas.Models)],
        ref_template=REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Inkling's API",
            "version": VERSION,
            "description": "Send a picture, get an answer. Nothing sent here is kept.",
        },
        "paths": {
            "/api/models": {"get": _models()},
            "/api/predict": {"post": _predict(settings)},
        },
        "components": {"schemas": definitions["$defs"]},
    }


def _models() -> dict:
    return {
        "operationId": "models",
        "summary": "The models that can be asked.",
        "x-example": "curl '{base_url}/api/models'",
        "responses": {"200": _answer("The models, by task.", "Models")},
    }


def _predict(settings: Settings) -> dict:
    size = f"at most {settings.max_bytes} bytes and {settings.max_pixels} pixels"
    picture = {"type": "string", "format": "binary", "description": f"{', '.join(EXTENSIONS)}; {size}"}
    pictures = {"type": "array", "items": picture, "minItems": 1, "maxItems": settings.max_batch}
    return {
        "operationId": "predict",
        "summary": "Says what is in a picture.",
        "description": "One picture answers one object. Several `image` fields answer a list in the same order, "
        "in which a bad picture is an error in its place.",
        "x-example": EXAMPLE,
        "parameters": [
            {"name": "model", "in": "query", "required": True, "schema": {"type": "string"},
             "description": "a name from /api/models"},
            {"name": "top", "in": "query", "schema": {"type": "integer", "minimum": 1, "default": 5},
             "description": "how many labels to answer, most likely first"},
        ],
        "requestBody": {"required": True, "content": {
            "multipart/form-data": {"schema": {
                "type": "object", "required": ["image"], "properties": {"image": pictures}}},
            "application/json": {"schema": {"$ref": REF.format(model="PictureBody")}},
        }},
        "responses": {
            "200": {"description": "The answer.", "content": {"application/json": {"schema": {
                "oneOf": [{"$ref": REF.format(model=name)} for name in ("Result", "Results")]}}}},
            **{str(status): _problem(status) for status in sorted(_statuses())},
        },
    }


def _statuses() -> set[int]:
    return {reason.status for reason in intake.REASONS.values()}


def _problem(status: int) -> dict:
    reasons = [code for code, reason in intake.REASONS.items() if reason.status == status]
    return _answer("Reason: " + ", ".join(reasons) + ".", "Problem", "application/problem+json")


def _answer(description: str, model: str, media: str = "application/json") -> dict:
    return {"description": description, "content": {media: {"schema": {"$ref": REF.format(model=model)}}}}
