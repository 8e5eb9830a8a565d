"""The API of taught classifiers: what `inkling.teach.teaching.Teaching` offers, as JSON."""

import re
from collections.abc import Sequence
from typing import IO

from flask import Blueprint, Response, abort, request, send_file, url_for
from flask.typing import ResponseReturnValue
from pydantic import BaseModel

from inkling.notify import webhooks
from inkling.problems import Problem
from inkling.service import Source
from inkling.storage.blobs import PNG
from inkling.teach import intake
from inkling.teach.types import ALL, AnyLabel, Change, Classifier, Origin
from inkling.web import answers, explained, jsonbodies, outcomes, responses, service, teaching, turns, uploads
from inkling.web import classifier_schemas as schemas
from inkling.web.edge import admission, auditing, errors, ratelimit
from inkling.web.edge.access import needs, principal
from inkling.web.responses import own_classifier

ORIGINS: Sequence[Origin] = ("file", "camera", "canvas")
blueprint = Blueprint("classifiers", __name__, url_prefix="/api/classifiers")


# ---- Classifiers ----


@blueprint.get("")
@needs("read")
def all_of_them() -> ResponseReturnValue:
    """The caller's classifiers, newest first."""
    found = teaching().all(principal().owner)
    return _told(schemas.Classifiers(classifiers=[schemas.Classifier.model_validate(one) for one in found]))


@blueprint.post("")
@needs("teach")
def create() -> ResponseReturnValue:
    """Creates a classifier without examples."""
    new = jsonbodies.as_shape(schemas.NewClassifier)
    made = teaching().create(new.title, new.kind, principal().owner)
    auditing.about(id=made.id)
    return _told(schemas.Classifier.model_validate(made), 201, {"Location": url_for("classifiers.show", id=made.id)})


@blueprint.get("/<id>")
@needs("read")
def show(id: str) -> ResponseReturnValue:
    """A classifier with its labels, and how far its training is."""
    return _told(schemas.Classifier.model_validate(own_classifier(id)))


@blueprint.patch("/<id>")
@needs("teach")
def update(id: str) -> ResponseReturnValue:
    """Changes the title of a classifier, and who finds it."""
    own_classifier(id)
    change = jsonbodies.as_shape(schemas.ClassifierChange)
    return _told(schemas.Classifier.model_validate(teaching().update(id, **change.model_dump())))


@blueprint.delete("/<id>")
@needs("teach")
def delete(id: str) -> ResponseReturnValue:
    """Deletes a classifier with its pictures, features and versions."""
    own_classifier(id)
    teaching().delete(id)
    return "", 204


# ---- Labels ----


@blueprint.post("/<id>/labels")
@needs("teach")
def add_label(id: str) -> ResponseReturnValue:
    """Adds a label."""
    own_classifier(id)
    return _told(
        schemas.Label.model_validate(teaching().add_label(id, jsonbodies.as_shape(schemas.LabelName).name)), 201
    )


@blueprint.patch("/<id>/labels/<int(max=2147483647):label>")
@needs("teach")
def rename_label(id: str, label: int) -> ResponseReturnValue:
    """Renames a label; undo takes it back."""
    own_classifier(id)
    renamed, change = teaching().rename_label(id, label, jsonbodies.as_shape(schemas.LabelName).name)
    return _told(schemas.RenamedLabel(id=renamed.id, name=renamed.name, count=renamed.count, change=change.id))


@blueprint.delete("/<id>/labels/<int(max=2147483647):label>")
@needs("teach")
def delete_label(id: str, label: int) -> ResponseReturnValue:
    """Deletes a label and its examples; undo brings both back."""
    own_classifier(id)
    return _changed(teaching().delete_label(id, label))


# ---- Examples ----


@blueprint.get("/<id>/examples")
@needs("read")
def examples(id: str) -> ResponseReturnValue:
    """A classifier's examples, oldest first, some at a time."""
    own_classifier(id)
    limit = _number("limit", "100", schemas.MOST_LISTED)
    found = teaching().examples(id, _wanted_label(), request.args.get("after"), limit + 1)
    shown = [schemas.Example.model_validate(one) for one in found[:limit]]
    return _told(schemas.Examples(examples=shown, next=shown[-1].id if len(found) > limit else None))


@blueprint.post("/<id>/examples")
@needs("teach")
def add(id: str) -> ResponseReturnValue:
    """Adds pictures: one as JSON, several as form files, or a zip whose folders name the labels."""
    ratelimit.waive()  # a folder of photos may have a gigabyte; INKLING_TEACH_MB limits it
    pairs, origin = _pictures(own_classifier(id))
    with admission.turn(service().settings.request_seconds, admission.EXAMPLES):
        results = teaching().add(id, pairs, origin)
    auditing.about(examples=[one.id for one in results if not isinstance(one, Problem)])
    told = [
        schemas.Refused.model_validate({"name": source.name, "error": errors.problem(result)})
        if isinstance(result, Problem)
        else schemas.Example.model_validate(result)
        for (source, _), result in zip(pairs, results, strict=True)
    ]
    return _told(schemas.Added(results=told))


@blueprint.post("/<id>/examples/move")
@needs("teach")
def move(id: str) -> ResponseReturnValue:
    """Gives examples another label, or none."""
    own_classifier(id)
    body = jsonbodies.as_shape(schemas.Move)
    auditing.about(examples=body.examples)
    return _changed(teaching().move(id, body.examples, body.label))


@blueprint.post("/<id>/examples/delete")
@needs("teach")
def remove(id: str) -> ResponseReturnValue:
    """Deletes examples; undo brings them back for a day."""
    own_classifier(id)
    chosen = jsonbodies.as_shape(schemas.Chosen).examples
    auditing.about(examples=chosen)
    return _changed(teaching().remove(id, chosen))


@blueprint.post("/<id>/undo")
@needs("teach")
def undo(id: str) -> ResponseReturnValue:
    """Undoes a change of examples or labels, once and within a day."""
    own_classifier(id)
    teaching().undo(id, jsonbodies.as_shape(schemas.Undo).change)
    return "", 204


@blueprint.get("/<id>/examples/<example>/picture")
@needs("read")
def picture(id: str, example: str) -> Response:
    """The picture of an example, JPEG or PNG."""
    own_classifier(id)
    return responses.stored_or_404(*teaching().open_picture(id, example))


@blueprint.get("/<id>/examples/<example>/thumbnail")
@needs("read")
def thumbnail(id: str, example: str) -> Response:
    """The picture of an example, at most 256 pixels a side."""
    own_classifier(id)
    file = teaching().thumbnail(id, example)
    return responses.file_or_404(file, "image/png" if file.startswith(PNG) else "image/jpeg")


# ---- Training ----


@blueprint.get("/<id>/train")
@needs("read")
def progress(id: str) -> ResponseReturnValue:
    """How far the training is; null while there is nothing to do."""
    own_classifier(id)
    found = teaching().progress(id)
    return _told(schemas.Progress.model_validate(found)) if found else _null()


@blueprint.post("/<id>/train")
@needs("teach")
def train(id: str) -> ResponseReturnValue:
    """Begins a training now. After a change of examples, it begins by itself."""
    own_classifier(id)
    return _told(schemas.Progress.model_validate(teaching().train(id)), 202)


@blueprint.delete("/<id>/train")
@needs("teach")
def cancel(id: str) -> ResponseReturnValue:
    """Ends the training."""
    own_classifier(id)
    teaching().cancel(id)
    return "", 204


@blueprint.get("/<id>/versions")
@needs("read")
def versions(id: str) -> ResponseReturnValue:
    """The versions of a classifier with their figures, newest first."""
    own_classifier(id)
    found = teaching().versions(id)
    return _told(schemas.Versions(versions=[schemas.VersionShort.model_validate(one) for one in found]))


@blueprint.get("/<id>/versions/<int(max=2147483647):number>")
@needs("read")
def version(id: str, number: int) -> ResponseReturnValue:
    """A version with its whole report."""
    own_classifier(id)
    return _told(schemas.Version.model_validate(teaching().version(id, number)))


@blueprint.post("/<id>/publish")
@needs("teach")
def publish(id: str) -> ResponseReturnValue:
    """Makes a version the one that answers, in every worker within a second. Also goes back to an older one."""
    own_classifier(id)
    teaching().publish(id, jsonbodies.as_shape(schemas.Published).version)
    return "", 204


@blueprint.delete("/<id>/publish")
@needs("teach")
def unpublish(id: str) -> ResponseReturnValue:
    """Withdraws the published version, so that none answers."""
    own_classifier(id)
    teaching().unpublish(id)
    return "", 204


@blueprint.get("/<id>/review")
@needs("read")
def review(id: str) -> ResponseReturnValue:
    """What to look at next: doubtful labels, near-duplicates, and which pictures to label."""
    own_classifier(id)
    return _told(schemas.Review.model_validate(teaching().review(id)))


# ---- Using it ----


@blueprint.post("/<id>/try")
@needs("read")
def look(id: str) -> ResponseReturnValue:
    """The newest version's answer, published or not, as `/api/predict` gives it."""
    own_classifier(id)
    if not request.is_json:
        uploads.allow_batch()
    top, sources = answers.top(), jsonbodies.sources()
    with turns.turn() as budget:
        found = teaching().look(id, sources, budget)
    outcomes.count(found)
    return answers.of_outcomes(found, top)


@blueprint.post("/<id>/explain")
@needs("read")
def explain(id: str) -> ResponseReturnValue:
    """How much each part of a picture supports the newest version's answer, as `/api/explain` gives it."""
    own_classifier(id)
    return explained.of_request(teaching().newest(id))


@blueprint.get("/<id>/export.zip")
@needs("read")
def export(id: str) -> Response:
    """A version as a zip: one network, its labels and figures, a program that uses it, and if wanted the examples."""
    name = own_classifier(id).name
    number = _number("version", "0") or None
    examples = request.args.get("examples", "0")
    if examples not in ("0", "1"):
        abort(400, f"`examples` must be 0 or 1. Received: {examples[:40]!r}.")
    with admission.turn(service().settings.request_seconds, admission.EXAMPLES):
        file: IO[bytes] = teaching().export(id, number, examples == "1")
    response = send_file(file, "application/zip", as_attachment=True, download_name=f"{name}.zip", max_age=0)
    response.content_length = file.seek(0, 2)
    file.seek(0)
    return responses.private(response)


# ---- Webhook ----


@blueprint.get("/<id>/webhook")
@needs("teach")
def webhook(id: str) -> ResponseReturnValue:
    """Where a classifier's answers are sent; null if there is no webhook."""
    own_classifier(id)
    found = service().storage.notices.webhook(id)
    return _told(schemas.Webhook.model_validate(found)) if found else _null()


@blueprint.put("/<id>/webhook")
@needs("teach")
def set_webhook(id: str) -> ResponseReturnValue:
    """Sends a classifier's answers to an address, signed with a new secret."""
    own_classifier(id)
    body = jsonbodies.as_shape(schemas.WebhookBody)
    webhooks.check(body.url, service().settings.webhook_networks)
    secret = webhooks.new_secret()
    service().storage.notices.set_webhook(id, body.url, secret, body.events)
    return _told(schemas.NewWebhook(url=body.url, events=body.events, failure="", waiting=0, secret=secret))


@blueprint.delete("/<id>/webhook")
@needs("teach")
def delete_webhook(id: str) -> ResponseReturnValue:
    """Removes a classifier's webhook."""
    own_classifier(id)
    service().storage.notices.delete_webhook(id)
    return "", 204


# ---- Parsing and telling ----


def _null() -> Response:
    return Response("null", mimetype="application/json")


def _pictures(classifier: Classifier) -> tuple[list[intake.Pair], Origin]:
    """The pictures in the request with their labels, and where they come from."""
    if request.is_json:
        return _json_picture()
    settings = service().settings
    uploads.allow(settings.zip_mb * 2**20)
    size, most = request.content_length or 0, request.max_content_length or 0
    if size > most:
        received = f"{size} bytes"
        raise Problem("zip-too-large", f"Pictures may have {most} bytes in one request. Received: {received}", received)
    kind = "drawing" if classifier.kind == "ink" else "photo"
    label, origin = request.form.get("label") or None, _origin(request.form.get("origin", "file"))
    if archive := request.files.get("zip"):
        return intake.from_zip(archive.stream, settings, kind, label), origin
    files = uploads.from_form(kind)
    if not files:
        raise Problem(
            "missing",
            "Send pictures as form fields `image`, or a zip as the form field `zip`. "
            f"Received: {request.content_type or 'no body'}.",
        )
    return intake.from_uploads(files, label), origin


def _json_picture() -> tuple[list[intake.Pair], Origin]:
    body = jsonbodies.read()
    if not isinstance(body, dict):
        return [(jsonbodies.source(body), None)], "file"  # which says what it should be
    label, origin = body.pop("label", None), body.pop("origin", None)
    if not (label is None or isinstance(label, str)):
        abort(400, f"`label` must be the name of a label. Received: {type(label).__name__}.")
    source: Source = jsonbodies.source(body)
    return [(source, label)], _origin(origin or ("canvas" if source.kind == "drawing" else "file"))


def _origin(text: object) -> Origin:
    for origin in ORIGINS:
        if text == origin:
            return origin
    abort(400, f"`origin` must be one of {', '.join(ORIGINS)}. Received: {str(text)[:40]!r}.")


def _wanted_label() -> AnyLabel:
    """The label whose examples the request asks for."""
    text = request.args.get("label")
    return ALL if text is None else None if text == "none" else _number("label", "0")


def _number(name: str, default: str, most: int = schemas.LARGEST) -> int:
    """A whole number from the query."""
    text = request.args.get(name, default)
    if not re.fullmatch("[0-9]{1,10}", text) or int(text) > most:
        abort(400, f"`{name}` must be a whole number, at most {most}. Received: {text[:40]!r}.")
    return int(text)


def _changed(change: Change) -> Response:
    return _told(schemas.Change(change=change.id, count=change.count))


def _told(answer: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(answer.model_dump_json(), status, headers, mimetype="application/json")
