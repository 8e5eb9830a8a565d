"""The pages for visitors."""

import re
import time
from types import SimpleNamespace

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from flask_babel import gettext

from inkling import problems
from inkling.config import EXTENSIONS, Settings
from inkling.pictures import reading
from inkling.recognition import stages
from inkling.recognition.card import ModelCard
from inkling.recognition.catalog import Model
from inkling.recognition.predictor import Prediction
from inkling.storage.store import LARGEST, NONE_OF_THESE, Result, data_url
from inkling.web import allow_batch, inkling, kept
from inkling.web.edge import admission, language
from inkling.web.views import batches, history

blueprint = Blueprint("pages", __name__)

TOP = 5  # answers shown before the fold
MANY, LIKELIEST = 12, 6  # labels that can be taken in at a glance; of more, so many come before the alphabet
TOP_OTHERS = 3  # answers shown of each other model
REFUSING = ("pages.predict", "lab.change", "pages.help")  # what was refused is a picture, which is not kept then
HARMLESS = re.compile(r"[\w .,/×%-]{1,40}")  # what the help page repeats from its address


@blueprint.get("/")
def index():
    """Photo form and drawing canvas; the models chosen stand in the address."""
    photo_groups, ink_groups = _groups(), _groups("ink")
    return render_template(
        "index.html",
        photo_groups=photo_groups,
        ink_groups=ink_groups,
        limits=_limits(inkling().settings),
        chosen_photo=_chosen("photo", photo_groups),
        chosen_draw=_chosen("draw", ink_groups),
    )


@blueprint.post("/predict")
def predict():
    """Classifies the photos or the drawing sent, keeps all, and answers 303 to the result or to the page of several;
    or with that page itself, where nothing can be kept."""
    allow_batch()
    name = request.form.get("model", "")
    inkling().classifier.card(name)  # before any work is done for an unknown model
    with admission.turn() as deadline:
        start = time.perf_counter()
        files = request.files.getlist("image")
        if len(files) > 1 and "drawing" not in request.form:
            return batches.answer(files, name, deadline)
        with deadline.share() as settings:
            kind, image = _read(files, settings)
        return answer(image, name, kind, start)


def _read(files: list, settings: Settings) -> tuple:
    """("drawing" or "photo", picture): the form's drawing, or the one file sent."""
    if "drawing" in request.form:
        return "drawing", reading.read_data_url(request.form["drawing"], settings, at_least=LARGEST)
    stream, filename = (files[0].stream, files[0].filename) if files else (None, None)
    return "photo", reading.read_stream(stream, filename, settings, at_least=LARGEST)


def answer(image, model: str, kind: str, start: float) -> Response | str:
    """Asks a model of a picture as `kept.keep` does; 303 to the result, or its page where it could not be kept."""
    found = kept.keep(image, model, kind, start)
    if found.id:
        return redirect(url_for("pages.result", id=found.id), 303)
    return _page(found, data_url(image, kind))


@blueprint.get("/results/<id>")
def result(id: str):
    """The answer."""
    return _page(kept.result(id), url_for("pages.picture", id=id))


def _page(found: Result, picture_url: str) -> str:
    ranked = found.predictions
    shown = SimpleNamespace(
        id=found.id,
        label=found.label,
        confidence=found.confidence,
        sure=found.sure,
        kind=found.kind,
        wording=found.wording,
        strange=found.strange,
        predictions=ranked[:TOP],
        rest=ranked[TOP:],
        created=found.created,
        milliseconds=found.milliseconds,
        model=found.model,
        correction=found.correction,
        expires=inkling().store.expires(found),
        picture_url=picture_url,
        batch=_batch(found),
    )
    card = inkling().classifier.catalog.models.get(found.model)
    others = [other.title for other in _others(found)]
    field = "photo" if found.kind == "photo" else "draw"
    off = found.model in inkling().classifier.broken
    return render_template(
        "result.html",
        result=shown,
        card=card and card.card,
        off=off,
        others=others,
        saw=_saw(card),
        offered=_offered([label for label, _ in ranked[1:]]),
        again_url=url_for("pages.index", **{field: found.model}),
    )


@blueprint.get("/results/<id>/others")
@admission.in_turn
def others(id: str):
    """What the other models of the task say of the same picture, computed now; nothing is kept."""
    found = kept.result(id)
    image = kept.picture(found)
    answers = [(card, _answer(image, card.name)) for card in _others(found)]
    answers = [(card, answer) for card, answer in answers if answer != "model-unavailable"]
    same = sum(getattr(answer, "label", None) == found.label for _, answer in answers)
    return render_template("others.html", result=found, answers=answers, same=same, top=TOP_OTHERS)


@blueprint.get("/results/<id>/picture")
def picture(id: str):
    """The picture as it was kept."""
    return kept.file(inkling().store.picture(kept.result(id)))


@blueprint.get("/results/<id>/thumbnail")
def thumbnail(id: str):
    """The picture at 256 pixels, for a list of them."""
    found = kept.result(id)
    response = kept.private(Response(mimetype="image/jpeg" if found.kind == "photo" else "image/png"))
    response.set_etag(found.id)  # it never changes: a browser that has it need not be sent it again
    if not request.if_none_match.contains(found.id):
        response.data = inkling().store.thumbnail(found) or abort(404, "This picture is not here, or no longer.")
    return response.make_conditional(request)


@blueprint.get("/results/<id>/seen.png")
def seen(id: str):
    """What the model saw."""
    return kept.file(inkling().store.seen(kept.result(id).id))


@blueprint.post("/results/<id>/correction")
def correct(id: str):
    """Notes what the visitor says it is: `label`, or nothing where none of the labels fits."""
    found = kept.result(id)
    label = request.form.get("label")
    if label not in (NONE_OF_THESE, *dict(found.predictions)):
        abort(400, gettext("Choose one of the labels of this answer."))
    inkling().store.correct(id, label)
    return redirect(url_for("pages.result", id=id, _anchor="right"), 303)


@blueprint.post("/results/<id>/correction/undo")
def undo_correction(id: str):
    """Takes it back."""
    inkling().store.correct(kept.result(id).id, None)
    return redirect(url_for("pages.result", id=id, _anchor="right"), 303)


@blueprint.post("/results/<id>/delete")
def delete(id: str):
    """Removes picture and answer, and leads back to where others are."""
    found = inkling().store.get(id)
    batch = found and _batch(found)
    if not inkling().batches.remove(id):
        abort(404, "This result is not here, or no longer.")
    history.forget(id)
    if "from-history" in request.form:
        return redirect(url_for("history.page", deleted=""), 303)
    # The page of all of them is gone with the last one.
    if batch and inkling().batches.get(batch):
        return redirect(url_for("many.batch", id=batch), 303)
    return redirect(url_for("pages.index", deleted=""), 303)


@blueprint.get("/help")
def help(reason: str | None = None, back: str | None = None):
    """What is accepted, with a reason on top: that of a redirect, or the one given, with where to go then."""
    settings, reason = inkling().settings, reason or request.args.get("reason")
    reasons = [
        SimpleNamespace(code=code, title=gettext(about.title), detail=problems.advice(code, settings, gettext))
        for code, about in problems.REASONS.items()
    ]
    problem = next((about for about in reasons if about.code == reason), None)
    got = request.args.get("got", "")
    if problem and HARMLESS.fullmatch(got):
        received = gettext("Received: %(got)s.", got=language.received(got))
        problem = SimpleNamespace(title=problem.title, detail=f"{problem.detail} {received}")
    back = back or url_for("pages.index", photo=request.args.get("photo"), draw=request.args.get("draw"))
    return render_template(
        "help.html",
        problem=problem,
        reasons=reasons,
        limits=_limits(settings),
        back_url=back,
        refused=request.endpoint in REFUSING,
    )


def _batch(result: Result) -> str | None:
    """The page of all pictures that were sent together, for who sent them: who has a result's address has not all."""
    return result.batch if result.id in history.remembered() else None


def _saw(model: Model | None) -> SimpleNamespace | None:
    """What can be shown of what a model saw: the names of the steps, and whether it has layers to look at."""
    return model and SimpleNamespace(steps=stages.steps(model.card), layers=stages.has_layers(model.card))


def _others(result: Result) -> list[ModelCard]:
    """The other models of a result's task, best first."""
    return [card for _, cards in _groups() for card in cards if card.task == result.task and card.name != result.model]


def _offered(labels: list[str]) -> list[str]:
    """Labels to choose the right one from: likeliest first, but most of many are found sooner by the alphabet."""
    first = LIKELIEST if len(labels) > MANY else len(labels)
    return labels[:first] + sorted(labels[first:], key=lambda name: language.label(name).casefold())


def _answer(image, name: str) -> Prediction | str:
    """A model's answer, or the reason why it has none."""
    try:
        return inkling().classifier.classify_one(image, name)
    except problems.Problem as error:
        return error.reason


def _groups(kind: str | None = None) -> list[tuple[str, list[ModelCard]]]:
    classifier = inkling().classifier
    return classifier.catalog.by_task(kind, without=classifier.broken)


def _chosen(field: str, groups: list[tuple[str, list[ModelCard]]]) -> str | None:
    """The model that the address asks for, else the first of the list."""
    names = [card.name for _, cards in groups for card in cards]
    asked = request.args.get(field)
    return asked if asked in names else next(iter(names), None)


def _limits(settings: Settings) -> SimpleNamespace:
    return SimpleNamespace(
        max_bytes=settings.max_bytes,
        max_megapixels=settings.max_pixels / 1e6,
        max_batch=settings.max_batch,
        extensions=EXTENSIONS,
    )
