"""A request's turn: its place in the admission control, and the time that it has from then on."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

from flask import g, request

from inkling.pictures.budget import Budget
from inkling.service import Source
from inkling.web import service
from inkling.web.edge import admission, bodies


@contextmanager
def turn(work: str = admission.ANSWERS) -> Iterator[Budget]:
    """Waits for a turn, holds it, and yields the time left to the request, which is `g.budget` too.

    Read the request's form or body first: a client may send it slowly.

    Args:
        work: the kind of work, as in `inkling.web.edge.admission`.

    Raises:
        Problem: "busy", when too many wait already or no turn comes in time.
    """
    g.budget = Budget(service().settings.request_seconds)
    with admission.turn(g.budget.left, work):
        yield g.budget


def work_of(sources: Sequence[Source], model: str | None) -> str:
    """The kind of work that this request's pictures are: `DRAWINGS` or `ANSWERS`.

    Args:
        model: the name of the model that they go to; None for Auto, which asks models for drawings about a drawing.
    """
    chosen = service().chosen(model)
    ink = chosen.card.input.kind == "ink" if chosen else all(source.kind == "drawing" for source in sources)
    small = (request.content_length or math.inf) <= bodies.SMALL
    return admission.DRAWINGS if ink and small else admission.ANSWERS


def in_turn(view: Callable) -> Callable:
    """A view that runs in a turn as a whole."""

    @wraps(view)
    def admitted(*args: Any, **kwargs: Any) -> Any:
        request.form  # noqa: B018  reads the form before the turn begins
        with turn():
            return view(*args, **kwargs)

    return admitted
