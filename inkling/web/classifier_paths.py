"""The part of the OpenAPI document about taught classifiers."""

from dataclasses import dataclass

from pydantic import BaseModel

from inkling.config import Settings
from inkling.web import classifier_schemas as schemas
from inkling.web.schemas import Explanation, Result, Results

REF = "#/components/schemas/{model}"
JSON, FORM, ZIP = "application/json", "multipart/form-data", "application/zip"
ROOT = "/api/classifiers"
SOURCES = "/api/sources"
ONE = f"{ROOT}/{{id}}"
PICTURES = ("image/jpeg", "image/png")
TEXT, NUMBER = {"type": "string"}, {"type": "integer", "minimum": 0, "maximum": schemas.LARGEST}
TOP = {"type": "integer", "minimum": 1, "default": 5}
LABEL_OR_NONE = {"oneOf": [NUMBER, {"const": "none"}]}


@dataclass(frozen=True)
class Query:
    """A parameter in the query."""

    name: str
    schema: dict
    description: str


@dataclass(frozen=True)
class Operation:
    """One route with one method.

    Attributes:
        id: its operationId.
        answer: what it answers with: schemas of which one holds, a media type, or nothing.
        body: the schema of its JSON, or several of which one holds.
        form: whether it takes a form, too: a "picture", "pictures", or "examples", which are pictures with a label and
            zips.
        optional: whether its answer may be null.
        sample: the arguments of an example with curl.
    """

    method: str
    path: str
    id: str
    summary: str
    status: int = 200
    answer: tuple[type[BaseModel] | str, ...] = ()
    body: tuple[type[BaseModel], ...] = ()
    form: str = ""
    query: tuple[Query, ...] = ()
    optional: bool = False
    sample: str = ""


OVERLAY = Query(
    "overlay", {"type": "integer", "enum": [0, 1], "default": 0}, "1 adds `overlay`, a picture to lay over yours"
)
OPERATIONS = (
    Operation("get", ROOT, "classifiers", "Lists your classifiers, newest first.", answer=(schemas.Classifiers,)),
    Operation(
        "post",
        ROOT,
        "create_classifier",
        "Creates a classifier without examples.",
        201,
        (schemas.Classifier,),
        (schemas.NewClassifier,),
        sample="""-d '{"title": "Our birds"}'""",
    ),
    Operation("get", ONE, "classifier", "Returns a classifier with its labels.", answer=(schemas.Classifier,)),
    Operation(
        "patch",
        ONE,
        "update_classifier",
        "Changes the title of a classifier, and who finds it.",
        answer=(schemas.Classifier,),
        body=(schemas.ClassifierChange,),
        sample="""-d '{"listed": true}'""",
    ),
    Operation("delete", ONE, "delete_classifier", "Deletes a classifier with its pictures and versions.", 204),
    Operation(
        "post",
        f"{ONE}/labels",
        "add_label",
        "Adds a label.",
        201,
        (schemas.Label,),
        (schemas.LabelName,),
        sample="""-d '{"name": "robin"}'""",
    ),
    Operation(
        "patch",
        f"{ONE}/labels/{{label}}",
        "rename_label",
        "Renames a label; `undo` takes it back.",
        answer=(schemas.RenamedLabel,),
        body=(schemas.LabelName,),
        sample="""-d '{"name": "robin"}'""",
    ),
    Operation(
        "delete",
        f"{ONE}/labels/{{label}}",
        "delete_label",
        "Deletes a label and its examples; `undo` brings both back.",
        answer=(schemas.Change,),
    ),
    Operation(
        "get",
        f"{ONE}/examples",
        "examples",
        "Lists examples, oldest first.",
        answer=(schemas.Examples,),
        query=(
            Query("label", LABEL_OR_NONE, "id of a label, or `none` for the examples without one; all by default"),
            Query("after", TEXT, "begins behind the example with this id"),
            Query("limit", NUMBER | {"minimum": 1, "maximum": schemas.MOST_LISTED, "default": 100}, "how many at most"),
        ),
    ),
    Operation(
        "post",
        f"{ONE}/examples",
        "add_examples",
        "Adds pictures: one as JSON, several as a form, or a zip whose folders name the labels. Each picture that is "
        "refused has an `error` in its place.",
        answer=(schemas.Added,),
        body=(schemas.NewPicture, schemas.NewDrawing),
        form="examples",
        sample="-F image=@1.jpg -F image=@2.jpg -F label=robin",
    ),
    Operation(
        "post",
        f"{ONE}/examples/move",
        "move_examples",
        "Gives examples another label, or none.",
        answer=(schemas.Change,),
        body=(schemas.Move,),
        sample="""-d '{"examples": ["EXAMPLE"], "label": 1}'""",
    ),
    Operation(
        "post",
        f"{ONE}/examples/delete",
        "delete_examples",
        "Deletes examples; `undo` brings them back for a day.",
        answer=(schemas.Change,),
        body=(schemas.Chosen,),
        sample="""-d '{"examples": ["EXAMPLE"]}'""",
    ),
    Operation(
        "post",
        f"{ONE}/undo",
        "undo_change",
        "Undoes a change of examples or labels, once and within a day.",
        204,
        body=(schemas.Undo,),
        sample="""-d '{"change": "CHANGE"}'""",
    ),
    Operation(
        "get",
        f"{ONE}/examples/{{example}}/picture",
        "example_picture",
        "Returns the picture of an example.",
        answer=PICTURES,
    ),
    Operation(
        "get",
        f"{ONE}/examples/{{example}}/thumbnail",
        "example_thumbnail",
        "Returns the picture of an example at no more than 256 pixels a side.",
        answer=PICTURES,
    ),
    Operation(
        "get",
        f"{ONE}/train",
        "training",
        "Says how far the training is; null while there is nothing to do.",
        answer=(schemas.Progress,),
        optional=True,
    ),
    Operation(
        "post",
        f"{ONE}/train",
        "train",
        "Begins a training now. After a change of examples, it begins by itself.",
        202,
        (schemas.Progress,),
    ),
    Operation("delete", f"{ONE}/train", "cancel_training", "Ends the training.", 204),
    Operation(
        "get",
        f"{ONE}/versions",
        "versions",
        "Lists the versions with their figures, newest first.",
        answer=(schemas.Versions,),
    ),
    Operation(
        "get",
        f"{ONE}/versions/{{number}}",
        "version",
        "Returns a version with its whole report.",
        answer=(schemas.Version,),
    ),
    Operation(
        "post",
        f"{ONE}/publish",
        "publish",
        "Makes a version the one that answers, in every worker within a second. Also goes back to an older one.",
        204,
        body=(schemas.Published,),
        sample="""-d '{"version": 1}'""",
    ),
    Operation("delete", f"{ONE}/publish", "unpublish", "Withdraws the published version, so that none answers.", 204),
    Operation(
        "get",
        f"{ONE}/review",
        "review",
        "Lists what to look at next: doubtful labels, near-duplicates, and pictures to label.",
        answer=(schemas.Review,),
    ),
    Operation(
        "post",
        f"{ONE}/try",
        "try_classifier",
        "Asks the newest version, published or not. Takes and returns what `/api/predict` does.",
        answer=(Result, Results),
        body=(schemas.PictureBody, schemas.StrokesBody),
        form="pictures",
        query=(Query("top", TOP, "how many labels to answer, most likely first"),),
        sample="-F image=@bird.jpg",
    ),
    Operation(
        "post",
        f"{ONE}/explain",
        "explain_classifier",
        "Says which parts of a picture the newest version's answer depends on, as `/api/explain` does.",
        answer=(Explanation,),
        body=(schemas.PictureBody, schemas.StrokesBody),
        form="picture",
        query=(OVERLAY,),
        sample="-F image=@bird.jpg",
    ),
    Operation(
        "get",
        f"{ONE}/webhook",
        "webhook",
        "Returns where answers are sent; null if there is no webhook.",
        answer=(schemas.Webhook,),
        optional=True,
    ),
    Operation(
        "put",
        f"{ONE}/webhook",
        "set_webhook",
        "Sends answers to an address from now on. Returns a new secret, which is shown only once.",
        answer=(schemas.NewWebhook,),
        body=(schemas.WebhookBody,),
        sample="""-d '{"url": "https://example.org/inkling", "events": "sure"}'""",
    ),
    Operation("delete", f"{ONE}/webhook", "delete_webhook", "Removes the webhook.", 204),
    Operation(
        "get",
        f"{ONE}/export.zip",
        "export",
        "Returns a version as a zip: `model.onnx`, labels, card, figures, and a README with a program that uses it.",
        answer=(ZIP,),
        query=(
            Query(
                "version",
                NUMBER | {"default": 0},
                "number of a version; 0 for the one that answers, or else the newest",
            ),
            Query("examples", {"type": "integer", "enum": [0, 1], "default": 0}, "1 adds the pictures with a label"),
        ),
        sample="-O -J",
    ),
    Operation("get", SOURCES, "sources", "Lists the sources and their states.", answer=(schemas.Sources,)),
    Operation("delete", f"{SOURCES}/{{model}}/{{source}}", "delete_source", "Deletes a source.", 204),
)

WHAT: dict[str, tuple[dict, str]] = {  # parameter in the path -> schema and description
    "id": (TEXT, "id of a classifier"),
    "label": (NUMBER, "id of a label"),
    "example": (TEXT, "id of an example"),
    "number": (NUMBER, "number of a version"),
    "model": (TEXT, "name of a model"),
    "source": (TEXT, "name of a source"),
}


def models() -> list[type[BaseModel]]:
    """The schemas that `paths` refers to."""
    found = [model for one in OPERATIONS for model in (*one.answer, *one.body) if not isinstance(model, str)]
    return list(dict.fromkeys(found))


def paths(settings: Settings, base_url: str, picture: dict, problems: dict) -> dict:
    """The paths of taught classifiers.

    Args:
        base_url: the server's address, which the examples call.
        picture: the schema of a picture in a form.
        problems: the responses to requests that are refused.
    """
    found: dict[str, dict] = {}
    for one in OPERATIONS:
        found.setdefault(one.path, {})[one.method] = _operation(one, settings, base_url, picture, problems)
    return found


def _operation(one: Operation, settings: Settings, base_url: str, picture: dict, problems: dict) -> dict:
    in_path = [part[1:-1] for part in one.path.split("/") if part.startswith("{")]
    described: dict = {
        "operationId": one.id,
        "summary": one.summary,
        "security": [{"token": []}, {}],  # the owner at the machine itself needs no token
        "parameters": [
            *(_parameter(name, "path", *WHAT[name]) for name in in_path),
            *(in_query(query) for query in one.query),
        ],
        "responses": {str(one.status): _answer(one), **problems},
        "x-code-samples": [{"lang": "curl", "source": _curl(one, base_url)}],
    }
    content = {}
    if one.form:
        content[FORM] = {"schema": _form(one.form, settings, picture)}
    if one.body:
        content[JSON] = {"schema": _one_of(one.body)}
    if content:
        described["requestBody"] = {"required": True, "content": content}
    return described


def in_query(query: Query) -> dict:
    """A parameter in the query, as the document describes it."""
    return _parameter(query.name, "query", query.schema, query.description)


def _parameter(name: str, where: str, schema: dict, description: str) -> dict:
    return {"name": name, "in": where, "required": where == "path", "schema": schema, "description": description}


def _answer(one: Operation) -> dict:
    answers = [model for model in one.answer if not isinstance(model, str)]
    if answers:
        schema = _one_of(tuple(answers))
        return {
            "description": "The answer.",
            "content": {JSON: {"schema": {"oneOf": [schema, {"type": "null"}]} if one.optional else schema}},
        }
    file = {"schema": {"type": "string", "format": "binary"}}
    if one.answer:
        return {"description": "The file.", "content": {str(media): file for media in one.answer}}
    return {"description": "It is done."}


def _form(kind: str, settings: Settings, picture: dict) -> dict:
    if kind == "picture":
        return {"type": "object", "required": ["image"], "properties": {"image": picture}}
    pictures = {"type": "array", "items": picture, "minItems": 1, "maxItems": settings.max_batch}
    if kind == "pictures":
        return {"type": "object", "required": ["image"], "properties": {"image": pictures}}
    limits = f"at most {settings.zip_mb} MiB, also when it is unpacked, and {settings.zip_files} files"
    return {
        "type": "object",
        "properties": {
            "image": pictures,
            "zip": {"type": "string", "format": "binary", "description": f"instead of `image`: a zip; {limits}"},
            "label": TEXT | {"description": "name of the label of all pictures; without it, folders name the labels"},
            "origin": {"enum": ["file", "camera", "canvas"], "description": "where the pictures come from"},
        },
    }


def _one_of(models: tuple[type[BaseModel], ...]) -> dict:
    refs = [{"$ref": REF.format(model=model.__name__)} for model in models]
    return refs[0] if len(refs) == 1 else {"oneOf": refs}


def _curl(one: Operation, base_url: str) -> str:
    """An example of a call. {id} and the like stand for what the caller knows."""
    method = "" if one.method == "get" or (one.method == "post" and one.sample) else f" -X {one.method.upper()}"
    kind = " -H 'Content-Type: application/json'" if one.sample.startswith("-d") else ""
    arguments = f" {one.sample}" if one.sample else ""
    url = base_url + one.path
    for name in WHAT:
        url = url.replace(f"{{{name}}}", name.upper())
    return f"curl{method} -H 'Authorization: Bearer TOKEN'{kind}{arguments} \\\n  '{url}'"
