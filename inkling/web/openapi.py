"""The API's OpenAPI 3.1 document, generated from the schemas, the reasons and the settings."""

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from inkling import problems
from inkling.config import Settings
from inkling.pictures.formats import EXTENSIONS
from inkling.recognition.strokes import StrokesBody
from inkling.web import classifier_paths, schemas
from inkling.web.edge import errors

VERSION = "1"
REF = "#/components/schemas/{model}"
# Each language's example of a call; {url} stands for the address of the route.
GET_SAMPLES = {
    "curl": "curl '{url}'",
    "Python": """import requests

answer = requests.get("{url}")
for model in answer.json()["models"]:
    print(model["name"], model["title"])""",
    "JavaScript": """const answer = await fetch("{url}");
const { models } = await answer.json();
console.log(models.map((model) => model.name));""",
}
POST_SAMPLES = {
    "curl": """curl -F image=@cat.jpg '{url}'

curl -H 'Content-Type: application/json' -d '{"strokes": [[[120, 290, 190], [90, 90, 330]]]}' \\
  '{url}'""",
    "Python": """import requests

with open("cat.jpg", "rb") as file:
    answer = requests.post("{url}", files={"image": file})
answer.raise_for_status()
print(answer.json()["label"], answer.json()["confidence"])""",
    "JavaScript": """const form = new FormData();
form.append("image", document.querySelector("input[type=file]").files[0]);
const answer = await fetch("{url}", { method: "POST", body: form });
const { label, confidence, detail } = await answer.json();
console.log(answer.ok ? `${label}, ${confidence}` : detail);""",
}

EXPLAIN_SAMPLES = POST_SAMPLES | {
    "Python": POST_SAMPLES["Python"].replace('answer.json()["confidence"]', 'answer.json()["where"]'),
    "JavaScript": POST_SAMPLES["JavaScript"].replace("confidence", "where"),
}

ASK_SAMPLES = {
    "curl": """curl -H 'Content-Type: application/json' -d '{"question": "What can you do?"}' \\
  '{url}'""",
    "Python": """import requests

answer = requests.post("{url}", json={"question": "What can you do?"})
answer.raise_for_status()
print(answer.json()["text"])""",
    "JavaScript": """const answer = await fetch("{url}", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ question: "What can you do?" }),
});
const { text, detail } = await answer.json();
console.log(answer.ok ? text : detail);""",
}

CHAT_SAMPLES = {
    "curl": """curl -N -H 'Content-Type: application/json' -d '{"question": "What can you do?"}' \\
  '{url}'""",
    "Python": """import requests

answer = requests.post("{url}", json={"question": "What can you do?"}, stream=True)
answer.raise_for_status()
for line in answer.iter_lines(decode_unicode=True):
    print(line)""",
    "JavaScript": """const answer = await fetch("{url}", {
  method: "POST",
  headers: { "Content-Type": "application/json" },
  body: JSON.stringify({ question: "What can you do?" }),
});
console.log(await answer.text());""",
}

# Reasons that are not in `problems.REASONS`: names of HTTP statuses.
HTTP_REASONS = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    408: "request-timeout",
    415: "unsupported-media-type",
}

MODEL = {
    "name": "model",
    "in": "query",
    "required": False,
    "schema": {"type": "string"},
    "description": "a name from `/api/models`; without it, Inkling chooses the models itself",
}


def document(settings: Settings, base_url: str) -> dict:
    """The document for an app with these settings.

    Args:
        base_url: the server's address, which the examples call.
    """
    shapes: list[type[BaseModel]] = [
        *(schemas.Result, schemas.Results, schemas.Explanation, schemas.Problem, schemas.Models),
        *(schemas.PictureBody, StrokesBody, schemas.AskBody, schemas.Answered, schemas.ChatBody),
        *classifier_paths.models(),
    ]
    _, definitions = models_json_schema([(shape, "serialization") for shape in shapes], ref_template=REF)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Inkling's API",
            "version": VERSION,
            "description": "Send a picture and get an answer as JSON. Inkling saves nothing that you send, except the "
            "examples of your classifiers. Teaching takes a token of scope `teach`; looking at your classifiers and "
            "asking them, one of scope `read`. Programs on the server's own machine need none. An error is a problem "
            "in the form of RFC 9457; its `reason` never changes.",
        },
        "servers": [{"url": base_url}],
        "paths": {
            "/api/models": {"get": _models() | _samples(GET_SAMPLES, f"{base_url}/api/models")},
            "/api/predict": {"post": _predict(settings) | _samples(POST_SAMPLES, f"{base_url}/api/predict")},
            "/api/explain": {"post": _explain(settings) | _samples(EXPLAIN_SAMPLES, f"{base_url}/api/explain")},
            "/api/ask": {"post": _ask() | _samples(ASK_SAMPLES, f"{base_url}/api/ask")},
            "/api/chat": {"post": _chat() | _samples(CHAT_SAMPLES, f"{base_url}/api/chat")},
            **classifier_paths.paths(settings, base_url, _picture(settings), _problems()),
        },
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "of scope `teach`, or `read`"}
            },
        },
    }


def _samples(samples: dict[str, str], url: str) -> dict:
    """Examples of a call, under the name that other documentation tools read them by."""
    return {"x-code-samples": [{"lang": lang, "source": text.replace("{url}", url)} for lang, text in samples.items()]}


def _models() -> dict:
    return {
        "operationId": "models",
        "summary": "Lists the models that can be asked.",
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
    source = {
        "name": "source",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]{0,31}$"},
        "description": "the name of what the pictures come from, such as a camera: webhooks and MQTT tell its state. "
        "It needs `model` and a token of scope `read`",
    }
    return {
        "operationId": "predict",
        "summary": "Says what is in a picture or a drawing.",
        "description": "One picture, or one drawing as strokes, gets one object as its answer.\n\n"
        "- **Without `model`**, Inkling chooses the models itself and says which it asked.\n"
        '- **Several `image` fields** get `{"results": [...]}` in the same order. A picture that cannot be read has an '
        "`error` in its place.",
        "parameters": [MODEL, top, source],
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
        "parameters": [MODEL, classifier_paths.in_query(classifier_paths.OVERLAY)],
        "requestBody": _body(_picture(settings)),
        "responses": {"200": _answer("The explanation.", "Explanation"), **_problems()},
    }


def _ask() -> dict:
    return {
        "operationId": "ask",
        "summary": "Answers a question about a saved result, or about this Inkling.",
        "description": "The answer is in the language of the question, English or Russian. It comes from what was "
        "stored and measured, not from a language model; “What would change your mind?” asks the model again.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": REF.format(model="AskBody")}}},
        },
        "responses": {"200": _answer("The answer.", "Answered"), **_problems()},
    }


def _chat() -> dict:
    return {
        "operationId": "chat",
        "summary": "Asks a language model about a saved result, or about this Inkling.",
        "description": "Only where the operator has set one up (`INKLING_CHAT_URL`); elsewhere 404. The answer is a "
        "stream of events: `begin` with `sees` (whether the model got the picture), `message` with `text`, and at last "
        "`end` with `cut` (whether the answer has the greatest length) or `problem` with `reason`, `title` and "
        "`detail`. Nothing of it is measured. Closing the connection stops the model.",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": REF.format(model="ChatBody")}}},
        },
        "responses": {
            "200": {
                "description": "The answer as it comes.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
            **_problems(),
        },
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
