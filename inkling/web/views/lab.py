"""The lab: a chain of steps on the visitor's own picture. It keeps nothing, until a result is classified.

The chain stands in the address, and so does a result whose picture it works on. A picture that was sent stays with
the visitor: its small copy comes with the form, as a data URL.
"""

import time
from dataclasses import dataclass
from types import SimpleNamespace

from flask import Blueprint, Response, abort, g, redirect, render_template, request, url_for
from flask_babel import gettext

from inkling import problems
from inkling.config import EXTENSIONS, Settings
from inkling.lab import operations
from inkling.pictures import reading
from inkling.problems import Problem
from inkling.recognition.card import ModelCard
from inkling.recognition.predictor import Prediction
from inkling.web import charts, inkling
from inkling.web.edge import admission, errors
from inkling.web.edge.language import translated
from inkling.web.views import pages

blueprint = Blueprint("lab", __name__)

FIRST = "canny"  # the step that a first visit begins with
KNOWN = "ship"  # what a model that is asked of the sample should know
MOST_COPY = 200_000  # bytes of the copy that goes to and fro
TOP = 3  # answers shown
TOLD = 5  # wrong values that are told


@dataclass(frozen=True)
class Source:
    """The picture worked on. `copy` is what the form brings back; `result` is the id of a result; else the sample."""

    picture: object  # as inkling.lab has it
    kind: str = "photo"
    copy: str = ""
    result: str | None = None

    @property
    def url(self) -> str:
        return self.copy or operations.data_url(self.picture, MOST_COPY)


@blueprint.get("/lab")
@admission.in_turn
def show():
    """The chain in the address, on a result's picture or on the sample."""
    names = request.args.getlist("step") if "step" in request.args else [FIRST]
    steps, bad_steps = operations.read(names, request.args)
    return _page(_of_result(request.args.get("result")), steps, [_sentence(one) for one in bad_steps])


@blueprint.post("/lab")
@admission.in_turn
def change():
    """The same with another picture or another chain; also saves the result, or asks a model and keeps its answer."""
    steps, bad_steps = operations.read(request.form.getlist("step"), request.form)
    sentences = [_sentence(one) for one in bad_steps]
    do = request.form.get("do", "")
    try:
        with g.deadline.share() as settings:
            source = _source(settings)
    except Problem as error:
        return _page(_fallback(), steps, [*sentences, _why(error)], problems.REASONS[error.reason].status)
    if do == "classify" and not bad_steps:
        try:
            return _classify(source, steps)
        except Problem as error:
            return _page(source, steps, [_why(error)], problems.REASONS[error.reason].status)
    if do == "save" and not bad_steps:
        return Response(
            operations.png(operations.apply(source.picture, steps)),
            mimetype="image/png",
            headers={"Content-Disposition": 'attachment; filename="result.png"', "Cache-Control": "no-store"},
        )
    steps, bad_steps = operations.edit(steps, do, request.form.get("add", ""))
    sentences += [_sentence(one) for one in bad_steps]
    if not source.copy and not sentences and not _live():
        return redirect(_address(source, steps), 303)
    return _page(source, steps, sentences)


# ---- The picture ----


def _source(settings: Settings) -> Source:
    """What was chosen or drawn now, else the copy that the form brought, else a result's picture or the sample.

    Raises:
        Problem: a picture is not accepted.
    """
    file = request.files.get("image")
    if file and file.filename:
        return _copied(
            reading.read_stream(file.stream, file.filename, settings, at_least=operations.SIDE), "photo", settings
        )
    if request.form.get("drawing"):
        return _copied(
            reading.read_data_url(request.form["drawing"], settings, at_least=operations.SIDE), "drawing", settings
        )
    return _before_now(settings)


def _copied(image, kind: str, settings: Settings) -> Source:
    """A small copy of a picture; it is what is worked on from the first moment, so that nothing changes later."""
    return _own(operations.data_url(operations.working(image), min(MOST_COPY, settings.max_bytes)), kind, settings)


def _own(copy: str, kind: str, settings: Settings) -> Source:
    image = reading.read_data_url(copy, settings, at_least=operations.SIDE)
    return Source(operations.working(image), kind, copy)


def _before_now(settings: Settings) -> Source:
    """The picture that the form was about before another one was chosen.

    Raises:
        Problem: the form's copy is none.
    """
    kept = request.form.get("picture")
    kind = "drawing" if request.form.get("kind") == "drawing" else "photo"
    if not kept:
        return _of_result(request.form.get("result"))
    if len(kept) > 2 * MOST_COPY:  # not one that the page made
        return _copied(reading.read_data_url(kept, settings, at_least=operations.SIDE), kind, settings)
    return _own(kept, kind, settings)


def _fallback() -> Source:
    try:
        with g.deadline.share(instead=True) as settings:
            return _before_now(settings)
    except Problem:
        return Source(operations.sample())


def _of_result(id: str | None) -> Source:
    """A result's picture, or without an id the sample."""
    if not id:
        return Source(operations.sample())
    found = inkling().store.get(id)
    image = found and inkling().store.open(found)
    if not image:
        abort(404, "This result is not here, or no longer.")
    return Source(operations.working(image), found.kind, result=id)


# ---- The answer ----


def _classify(source: Source, steps: list[operations.Step]) -> Response | str:
    """Asks the model chosen of the result, and answers as for any upload.

    Raises:
        Problem: "blank", "unknown-model" or "model-unavailable".
    """
    start = time.perf_counter()
    image = operations.image(operations.apply(source.picture, steps))
    return pages.answer(image, request.form.get("model", ""), source.kind, start)


def _answers(pictures: list, model: str | None) -> list[Prediction | Problem | None]:
    """What a model says of each picture; nothing is kept."""
    if model is None:
        return [None] * len(pictures)
    try:
        return inkling().classifier.classify([operations.image(picture) for picture in pictures], model)
    except Problem as error:
        return [error] * len(pictures)


def _chosen(groups: list[tuple[str, list[ModelCard]]], source: Source) -> str | None:
    """The model asked for, unless a drawing has just come that it is not for; else one that fits; else the first."""
    cards = [card for _, cards in groups for card in cards]
    own, ink = source.copy or source.result, source.kind == "drawing"
    asked = [
        card.name
        for card in cards
        if card.name == request.values.get("model") and (card.input.kind == "ink" or not request.form.get("drawing"))
    ]
    fitting = [card.name for card in cards if (card.input.kind == "ink") == ink and (own or KNOWN in card.labels)]
    return next(iter(asked + fitting + [card.name for card in cards]), None)


# ---- The page ----


def _page(source: Source, steps: list[operations.Step], sentences: list[str], status: int = 200):
    """The page; 400 where something was not accepted, unless `status` says more."""
    classifier = inkling().classifier
    groups = classifier.catalog.by_task(without=classifier.broken)
    chosen = _chosen(groups, source)
    after = operations.apply(source.picture, steps)
    pictures = [after] if _live() == "after" else [after, source.picture]
    shown = [_shown(picture, answer) for picture, answer in zip(pictures, _answers(pictures, chosen), strict=True)]
    html = render_template(
        "lab.html",
        source=source,
        steps=steps,
        operations=operations.OPERATIONS,
        most_steps=operations.MOST_STEPS,
        sentences=sentences[:TOLD],
        groups=groups,
        chosen=chosen,
        top=TOP,
        code=operations.code(steps),
        live=_live(),
        address=None if source.copy else _address(source, steps),
        extensions=EXTENSIONS,
        max_bytes=inkling().settings.max_bytes,
        too_large=_advice("too-large"),
        after=shown[0],
        after_url=operations.data_url(after, MOST_COPY),
        before=shown[1] if len(shown) > 1 else None,
        before_url="" if _live() else source.url,
    )
    return html, 400 if sentences and status == 200 else status


def _shown(picture, answer: Prediction | Problem | None) -> SimpleNamespace:
    histogram = operations.histogram(picture)
    height, width = picture.shape[:2]
    return SimpleNamespace(
        width=width, height=height, histogram=histogram, answer=answer, chart=charts.histogram(histogram.shares)
    )


def _live() -> str:
    """What a script that has the page already wants anew: "after", "both" without the original itself; else ""."""
    return request.form.get("live", "")


def _address(source: Source, steps: list[operations.Step]) -> str:
    """Where this chain is found again."""
    asked = request.values.get("model")
    model = asked if asked in inkling().classifier.catalog.models else None
    return url_for("lab.show", result=source.result, model=model, **operations.written(steps))


def _sentence(problem: operations.BadStep) -> str:
    words = {
        name: translated(text) if name in ("operation", "setting") else text for name, text in problem.values.items()
    }
    return gettext(operations.PROBLEMS[problem.reason], **words)


def _why(error: Problem) -> str:
    """A rejection in words; it is counted as any other."""
    errors.count(error)
    return _advice(error.reason)


def _advice(reason: str) -> str:
    """Two sentences, as the help page has them."""
    return f"{translated(problems.REASONS[reason].title)}. {problems.advice(reason, inkling().settings, gettext)}"
