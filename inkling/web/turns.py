"""A request's turn: its place in the admission control, and the time that it has from then on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from flask import g, request

from inkling.pictures.budget import Budget
from inkling.web import service
from inkling.web.edge import admission


@contextmanager
def turn() -> Iterator[Budget]:
    """Waits for a turn, holds it, and yields the time left to the request, which is `g.budget` too.

    Read the request's form or body first: a client may send it slowly.

    Raises:
        Problem: "busy", when too many wait already or no turn comes in time.
    """
    g.budget = Budget(service().settings.request_seconds)
    with admission.turn(g.budget.left):
        yield g.budget


def in_turn(view: Callable) -> Callable:
    """A view that runs in a turn as a whole."""

    @wraps(view)
    def admitted(*args: Any, **kwargs: Any) -> Any:
        request.form  # noqa: B018  reads the form before the turn begins
        with turn():
            return view(*args, **kwargs)

    return admitted
