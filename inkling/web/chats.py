"""Answers of a language model, passed on to a browser or a program as they come."""

import json
import logging
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import NamedTuple, cast

from flask import Flask, Response, abort, current_app, request
from flask_babel import gettext

from inkling.ask import grounded
from inkling.ask.model import Begun, Chat, Ended, LanguageModel, Silence, Turn
from inkling.config import Settings
from inkling.problems import REASONS, Problem
from inkling.storage import Result
from inkling.web import asked, service, turns
from inkling.web.edge import admission, language, metrics, ratelimit
from inkling.web.responses import picture_or_404
from inkling.web.schemas import ChatBody

log = logging.getLogger("inkling.chat")

SOCKETS = ("gunicorn.socket", "werkzeug.socket")  # in the environment: the connection of whoever asks
LIKELIEST = 5  # labels that the language model is told


class Quota(NamedTuple):
    """How many questions may be asked in a day; None without a limit."""

    client: ratelimit.Limiter | None
    all: ratelimit.Limiter | None


def init_app(app: Flask, settings: Settings) -> None:
    def limiter(most: int, name: str) -> ratelimit.Limiter | None:
        # In memory each worker counts by itself, so that it gets its share.
        share = most if settings.rate_storage else -(-most // (settings.web_concurrency or 1))
        return ratelimit.Limiter(settings, share, name, ratelimit.DAY) if most else None

    app.extensions["chat"] = LanguageModel(settings) if settings.chat_url else None
    app.extensions["chat-quota"] = Quota(
        limiter(settings.chat_client_day, "chat-client"), limiter(settings.chat_day, "chat-all")
    )
    app.jinja_env.globals.update(
        chat_host=settings.chat_host,
        chat_leaves=bool(settings.chat_url) and not settings.chat_is_here,
        chat_reasons=lambda: {code: gettext(about.title) for code, about in REASONS.items() if code in SHOWN},
    )


SHOWN = ("busy", "late", "rate-limited", *(code for code in REASONS if code.startswith("chat-")))  # a page shows these


def model_or_404() -> LanguageModel:
    """The language model.

    Raises:
        NotFound: the settings name none.
    """
    return current_app.extensions["chat"] or abort(404, gettext("No language model is set up here."))


def respond(body: ChatBody, result: Result | None) -> Response:
    """What the language model says to a question, as server-sent events.

    Raises:
        Problem: "busy", "late", "rate-limited", or "chat-quota".
        NotFound: the picture was deleted in the meantime.
    """
    model = model_or_404()
    with ExitStack() as stack:
        # Not a turn for answers: it would be held as long as the language model speaks.
        stack.enter_context(admission.turn(0, admission.CHATS))
        _count()
        with asked.language_of(body.question):
            facts = _facts(result)
        picture = None
        if result and not model.blind:
            with turns.turn():
                picture = picture_or_404(result)
        history = [Turn(turn.question, turn.answer) for turn in body.history]
        chat = Chat(body.question, facts, history, picture)
        response = Response(_events(model, chat), mimetype="text/event-stream")
        response.headers["X-Accel-Buffering"] = "no"  # nginx passes on what comes at once
        response.headers["Cache-Control"] = "private, no-cache"
        response.call_on_close(stack.pop_all().close)
        return response


def _count() -> None:
    """Counts a question.

    Raises:
        Problem: "chat-quota".
    """
    quota: Quota = current_app.extensions["chat-quota"]
    for limiter, who, whose in ((quota.client, ratelimit.client(), "One client"), (quota.all, "all", "All clients")):
        if limiter and (used := limiter.exceeded(who, 1)):
            raise Problem(
                "chat-quota",
                f"{whose} may ask the language model {limiter.most} questions a day.",
                retry_after=used.seconds,
            )


def _facts(result: Result | None) -> dict:
    """What Inkling measured, for the language model: its own answers to all questions that need no computation."""
    about = grounded.About(service(), result, False, language.label, language.translated)
    model = service().predictor.catalog.models.get(result.model) if result else None
    offered = grounded.IN_GENERAL if result is None else grounded.OF_A_RESULT
    questions = {asked.words(text): grounded.Question(intent, about, model) for intent, text in offered.items()}
    found: dict = {
        "answers": {
            text: " ".join(asked.words(sentence) for sentence in grounded.answer(question).sentences)
            for text, question in questions.items()
            if question.intent not in grounded.COMPUTED
        }
    }
    if result:
        found["result"] = {
            "label": language.label(result.label),
            "confidence": round(result.confidence, 4),
            "wording": result.wording,
            "familiar": result.familiar,
            "model": result.model,
            "likeliest": [[language.label(label), round(share, 4)] for label, share in result.predictions[:LIKELIEST]],
        }
    return found


def _events(model: LanguageModel, chat: Chat) -> Iterator[bytes]:
    """The body of a response."""
    visitor = next((request.environ[name] for name in SOCKETS if name in request.environ), None)
    return _passed_on(model, chat, cast(socket.socket | None, visitor))


def _passed_on(model: LanguageModel, chat: Chat, visitor: socket.socket | None) -> Iterator[bytes]:
    yield b":\n\n"  # now the head of the response is on its way
    try:
        with closing(model.answer(chat, visitor)) as events:
            for event in events:
                match event:
                    case str():
                        yield _event({"text": event})
                    case Begun(sees):
                        yield _event({"sees": sees}, "begin")
                    case Ended(cut):
                        yield _event({"cut": cut}, "end")
                    case Silence():
                        yield b":\n\n"
    except Problem as problem:
        log.warning("%s", problem)
        metrics.labeled(metrics.REJECTIONS, problem.reason).inc()
        about = REASONS[problem.reason]
        yield _event({"reason": problem.reason, "title": about.title, "detail": str(problem)}, "problem")


def _event(data: dict, name: str = "message") -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
