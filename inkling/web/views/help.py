"""The help page, which also says why a picture was refused."""

import re
from types import SimpleNamespace

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from inkling import problems
from inkling.web import service, uploads
from inkling.web.edge import language

blueprint = Blueprint("help", __name__)

# The reasons in groups; those that visitors look up most come first.
PHOTO = (
    "extension", "too-large", "not-an-image", "truncated", "unsupported", "too-many-pixels", "too-many",
    "animated-too-long", "empty", "missing",
)  # fmt: skip
DRAWING = ("blank", "strokes")
SERVER = ("busy", "rate-limited", "late", "model-unavailable", "unknown-model")
TEACHING = (
    "bad-name", "label-taken", "duplicate", "not-trained", "zip", "zip-too-large", "path", "too-many-examples",
    "too-many-classifiers", "teaching-full", "unknown-classifier", "unknown-label", "unknown-example",
    "unknown-version", "unknown-change", "webhook-address", "too-many-sources",
)  # fmt: skip
CHAT = (
    "chat-quota", "chat-away", "chat-late", "chat-limited", "chat-blind", "chat-refused", "chat-failed", "chat-garbled",
    "chat-empty",
)  # fmt: skip
NOTHING_SAVED = ("recognize.predict", "lab.change", "help.page")  # requests whose refused picture is not saved
REPEATABLE = re.compile(r"[\w .,/×%-]{1,40}")  # text from the address that the page repeats


@blueprint.get("/help")
def page(reason: str | None = None, back: str | None = None) -> str:
    """What Inkling accepts, and why the last picture was refused.

    Args:
        reason: the code of the refusal; by default the address says it.
        back: where "Try again" leads; by default to the front page.
    """
    settings, reason = service().settings, reason or request.args.get("reason")
    reasons = {
        code: SimpleNamespace(code=code, title=gettext(about.title), detail=problems.advice(code, settings, gettext))
        for code, about in problems.REASONS.items()
    }
    problem = reasons.get(reason or "")
    got = request.args.get("got", "")
    if problem and REPEATABLE.fullmatch(got):
        received = gettext("Received: %(got)s.", got=language.received(got))
        problem = SimpleNamespace(code=problem.code, title=problem.title, detail=f"{problem.detail} {received}")
    back = back or url_for("recognize.index", way=request.args.get("way"), model=request.args.get("model"))
    return render_template(
        "help.html",
        problem=problem,
        reasons=[
            (gettext("Your photo is not accepted"), [reasons[code] for code in PHOTO]),
            (gettext("Your drawing gets no answer"), [reasons[code] for code in DRAWING]),
            (gettext("Inkling does not answer"), [reasons[code] for code in SERVER]),
            (gettext("A problem while teaching"), [reasons[code] for code in TEACHING]),
            (gettext("The language model does not answer"), [reasons[code] for code in CHAT]),
        ],
        limits=uploads.limits(),
        back_url=back,
        refused=request.endpoint in NOTHING_SAVED,
    )


@blueprint.get("/docs")
def docs() -> ResponseReturnValue:
    """Leads to the API's documentation, which many look for here."""
    return redirect(url_for("api.docs"))
