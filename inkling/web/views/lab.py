"""The lab: a chain of steps applied to a picture. Nothing is saved until the visitor has the result recognized.

The address holds the steps, and the id of a saved result to apply them to. A visitor's own picture is in the form: see
`inkling.lab.original`.
"""

from types import SimpleNamespace
from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from inkling import problems
from inkling.lab import operations
from inkling.lab.original import LARGEST_COPY, Original, of_copy, of_source, sample
from inkling.pictures.formats import EXTENSIONS
from inkling.problems import Problem
from inkling.recognition.card import ModelCard
from inkling.recognition.predictor import Prediction
from inkling.service import Canvas, Decoded, Upload
from inkling.web import charts, outcomes, service, turns
from inkling.web.edge import errors
from inkling.web.edge.access import open_to
from inkling.web.edge.language import translated
from inkling.web.responses import picture_or_404, result_or_404

if TYPE_CHECKING:
    import numpy as np

blueprint = Blueprint("lab", __name__)

FIRST = "canny"  # the step that a first visit shows
IN_SAMPLE = "ship"  # a label of the sample picture: a model that has it is asked about the sample
TOP = 3  # answers shown
SHOWN = 5  # sentences about wrong values


@blueprint.get("/lab")
@turns.in_turn
def show() -> ResponseReturnValue:
    """The steps in the address, applied to a result's picture or to the sample."""
    names = request.args.getlist("step") if "step" in request.args else [FIRST]
    steps, bad_steps = operations.read(names, request.args)
    return _page(_of_result(request.args.get("result")), steps, [_sentence(bad) for bad in bad_steps])


@blueprint.post("/lab")
@open_to("anyone; a result belongs to the browser that made it")
@turns.in_turn
def change() -> ResponseReturnValue:
    """The page with another picture or other steps; also sends the picture as a file, or recognizes and saves it."""
    steps, bad_steps = operations.read(request.form.getlist("step"), request.form)
    sentences = [_sentence(bad) for bad in bad_steps]
    do = request.form.get("do", "")
    try:
        original = _chosen_now() or _chosen_before()
    except Problem as problem:
        return _page(_fallback(), steps, [*sentences, _refusal(problem)], problems.REASONS[problem.reason].status)
    if do == "classify" and not bad_steps:
        try:
            return _classify(original, steps)
        except Problem as problem:
            return _page(original, steps, [_refusal(problem)], problems.REASONS[problem.reason].status)
    if do == "save" and not bad_steps:
        return Response(
            operations.png(operations.apply(original.picture, steps)),
            mimetype="image/png",
            headers={"Content-Disposition": 'attachment; filename="result.png"', "Cache-Control": "no-store"},
        )
    steps, bad_steps = operations.edit(steps, do, request.form.get("add", ""))
    sentences += [_sentence(bad) for bad in bad_steps]
    if not original.copy and not sentences and not _live():
        return redirect(_address(original, steps), 303)
    return _page(original, steps, sentences)


# ---- The picture ----


def _chosen_now() -> Original | None:
    """The picture that was chosen or drawn with this request, if any.

    Raises:
        Problem: it is not accepted.
    """
    file = request.files.get("image")
    if file and file.filename:
        return of_source(Upload(file.stream, file.filename), service(), g.budget)
    if request.form.get("drawing"):
        return of_source(Canvas(request.form["drawing"]), service(), g.budget)
    return None


def _chosen_before() -> Original:
    """The picture of the form before this request: the visitor's own, a result's, or the sample.

    Raises:
        Problem: the form's copy is not a picture.
    """
    copy = request.form.get("picture")
    if not copy:
        return _of_result(request.form.get("result"))
    kind = "drawing" if request.form.get("kind") == "drawing" else "photo"
    return of_copy(copy, kind, service(), g.budget)


def _fallback() -> Original:
    """The picture to show instead of one that was refused."""
    try:
        return _chosen_before()
    except Problem:
        return sample()


def _of_result(id: str | None) -> Original:
    """A result's picture, or the sample if no id is given."""
    if not id:
        return sample()
    result = result_or_404(id)
    return Original(operations.working(picture_or_404(result)), result.kind, result=id)


# ---- The answer ----


def _classify(original: Original, steps: list[operations.Step]) -> ResponseReturnValue:
    """Recognizes the picture after all steps, and answers as for any upload.

    Raises:
        Problem: "blank", "unknown-model" or "model-unavailable".
    """
    source = Decoded(operations.image(operations.apply(original.picture, steps)), original.kind)
    model = request.form.get("model", "")
    found = service().look([source], model, g.budget, for_saving=True)
    return outcomes.respond(found, model)


def _answers(pictures: list, model: str | None) -> list[Prediction | Problem | None]:
    """A model's answer for each picture; nothing is saved."""
    if model is None:
        return [None] * len(pictures)
    sources = [Decoded(operations.image(picture)) for picture in pictures]
    try:
        return [outcome.answer for outcome in service().look(sources, model, g.budget)]
    except Problem as problem:
        return [problem] * len(pictures)


def _model(groups: list[tuple[str, list[ModelCard]]], original: Original) -> str | None:
    """The model to ask.

    The one that the visitor chose, unless a new drawing came that it is not for; else one that fits; else the first.
    """
    cards = [card for _, cards in groups for card in cards]
    chosen = service().predictor.catalog.current(request.values.get("model", ""))
    own, ink = original.copy or original.result, original.kind == "drawing"
    asked = [
        card.name
        for card in cards
        if card.name == chosen and (card.input.kind == "ink" or not request.form.get("drawing"))
    ]
    fitting = [card.name for card in cards if (card.input.kind == "ink") == ink and (own or IN_SAMPLE in card.labels)]
    return next(iter(asked + fitting + [card.name for card in cards]), None)


# ---- The page ----


def _page(original: Original, steps: list[operations.Step], sentences: list[str], status: int = 200) -> tuple[str, int]:
    """The page and its status.

    Args:
        sentences: what was not accepted; with any, the status is 400 unless `status` says otherwise.
    """
    groups = service().predictor.catalog.by_task()
    chosen = _model(groups, original)
    after = operations.apply(original.picture, steps)
    pictures = [after] if _live() == "after" else [after, original.picture]
    shown = [_shown(picture, answer) for picture, answer in zip(pictures, _answers(pictures, chosen), strict=True)]
    html = render_template(
        "lab.html",
        source=original,
        steps=steps,
        operations=operations.OPERATIONS,
        most_steps=operations.MOST_STEPS,
        sentences=sentences[:SHOWN],
        groups=groups,
        chosen=chosen,
        top=TOP,
        code=operations.code(steps),
        live=_live(),
        address=None if original.copy else _address(original, steps),
        extensions=EXTENSIONS,
        max_bytes=service().settings.max_bytes,
        too_large=_advice("too-large"),
        after=shown[0],
        after_url=operations.data_url(after, LARGEST_COPY),
        before=shown[1] if len(shown) > 1 else None,
        before_url="" if _live() else original.url,
    )
    return html, 400 if sentences and status == 200 else status


def _shown(picture: "np.ndarray", answer: Prediction | Problem | None) -> SimpleNamespace:
    """A picture's size, histogram and answer, for the template."""
    histogram = operations.histogram(picture)
    height, width = picture.shape[:2]
    return SimpleNamespace(
        width=width, height=height, histogram=histogram, answer=answer, chart=charts.histogram(histogram.shares)
    )


def _live() -> str:
    """The part of the page that a script asks for.

    Either "after" (the picture after all steps), "both" (the original too, but not its picture), or "" (all).
    """
    return request.form.get("live", "")


def _address(original: Original, steps: list[operations.Step]) -> str:
    """The address of these steps."""
    found = service().predictor.catalog.find(request.values.get("model", ""))
    model = found and found.card.name
    return url_for("lab.show", result=original.result, model=model, **operations.written(steps))


def _sentence(bad: operations.BadStep) -> str:
    """Why a step or a value was refused, in the visitor's language."""
    words = {name: translated(text) if name in ("operation", "setting") else text for name, text in bad.values.items()}
    return gettext(operations.PROBLEMS[bad.reason], **words)


def _refusal(problem: Problem) -> str:
    """A refusal in words; counts it for the metrics."""
    errors.count(problem)
    return _advice(problem.reason)


def _advice(reason: str) -> str:
    """Title and advice of a reason, as on the help page."""
    return f"{translated(problems.REASONS[reason].title)}. {problems.advice(reason, service().settings, gettext)}"
