"""Questions about a picture or about this Inkling, and their answers."""

from flask import Blueprint, Response, abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from inkling.ask.intents import LONGEST
from inkling.storage import Result
from inkling.web import asked, chats, jsonbodies
from inkling.web.edge.access import open_to
from inkling.web.responses import result_or_404
from inkling.web.schemas import AskBody, ChatBody

blueprint = Blueprint("ask", __name__)


@blueprint.get("/ask")
def page() -> str:
    """A field for questions about this Inkling, and some to choose from."""
    return _page(None)


@blueprint.post("/ask")
@open_to("anyone; nothing is saved")
def general() -> ResponseReturnValue:
    """The answer to a question about this Inkling."""
    return _answered(None)


@blueprint.get("/ask/<id>")
def page_of_result(id: str) -> str:
    """A field for questions about a result, and some to choose from."""
    return _page(result_or_404(id))


@blueprint.post("/ask/<id>")
@open_to("anyone; nothing is saved but an explanation")
def of_result(id: str) -> ResponseReturnValue:
    """The answer to a question about a result."""
    return _answered(result_or_404(id))


@blueprint.post("/api/ask")
@open_to("anyone; nothing is saved but an explanation")
def ask() -> dict:
    """The answer to a question about a result, or about this Inkling, in the language of the question."""
    body = jsonbodies.as_shape(AskBody)
    result = result_or_404(body.result) if body.result is not None else None
    with asked.language_of(body.question):
        return asked.as_json(asked.answer(body.question, result), result)


@blueprint.post("/api/chat")
@open_to("anyone; nothing is saved")
def chat() -> Response:
    """What a language model says about a result, or about this Inkling, as server-sent events; 404 if there is none."""
    chats.model_or_404()
    body = jsonbodies.as_shape(ChatBody)
    return chats.respond(body, result_or_404(body.result) if body.result is not None else None)


def _answered(result: Result | None) -> str:
    question = " ".join(request.form.get("question", "").split())[:LONGEST]
    if not question:
        abort(400, gettext("Type a question first, or choose one."))
    return _page(result, asked.for_page(asked.answer(question, result), question, result))


def _page(result: Result | None, answer: dict | None = None) -> str:
    """The page with the form, and with an answer if there is one."""
    return render_template("ask.html", result=result, answer=answer, questions=asked.offers(result), longest=LONGEST)
