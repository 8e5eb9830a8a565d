"""Counts and saves outcomes, and answers with a page."""

from collections.abc import Sequence

from flask import current_app, redirect, url_for
from flask.typing import ResponseReturnValue

from inkling.problems import Problem
from inkling.service import Outcome
from inkling.web import answers, render, service
from inkling.web.edge import auditing, metrics, ratelimit, session


def count(outcomes: Sequence[Outcome]) -> None:
    """Counts answers, stages and rejections for the metrics, and charges the client for each further picture."""
    ratelimit.charge(len(outcomes) - 1)
    for outcome in outcomes:
        if isinstance(outcome.answer, Problem):
            metrics.labeled(metrics.REJECTIONS, outcome.answer.reason).inc()
        else:
            metrics.answered(outcome.answer.model, outcome.answer.label, outcome.milliseconds)


def tell(outcomes: Sequence[Outcome], source: str | None = None) -> None:
    """Notes answers for webhooks and MQTT.

    Args:
        source: the name of what the pictures come from, such as a camera.

    Raises:
        Problem: "too-many-sources".
    """
    current_app.extensions["notifier"].tell(outcomes, answers.told, source)


def respond(outcomes: Sequence[Outcome], model: str | None) -> ResponseReturnValue:
    """Saves outcomes and redirects to their page; renders that page here if they cannot be saved.

    Args:
        model: the name of the model that was asked; None for Auto.

    Raises:
        Problem: the only picture was not accepted.
    """
    if len(outcomes) == 1 and isinstance(outcomes[0].answer, Problem):
        raise outcomes[0].answer  # the error handler counts it
    count(outcomes)
    owner = session.owner()
    saved = service().keep(outcomes, model, owner, session.client())
    metrics.saving(service().storage.problem is None)
    tell(outcomes)
    if saved is None:
        return render.unsaved_page(outcomes, model)
    session.remember(owner)
    auditing.about(results=saved.results)
    if saved.batch:
        return redirect(url_for("batches.batch", id=saved.batch), 303)
    return redirect(url_for("results.show", id=saved.results[0]), 303)
