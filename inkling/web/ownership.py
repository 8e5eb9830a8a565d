"""Who may change and delete a result: the browser that made it, and programs with a token of scope `results`."""

from flask import abort, request
from flask_babel import gettext
from werkzeug.datastructures import WWWAuthenticate

from inkling import access
from inkling.storage import Batch, Result
from inkling.web import service
from inkling.web.edge import session
from inkling.web.responses import result_or_404

SCOPE = "results"


def may_change(result: Result) -> bool:
    """Whether this request's browser made a result, or its token allows it to change any.

    The signed cookie names the owner. Results from before owners were noted belong to the browsers whose signed history
    lists them.

    Raises:
        Unauthorized: the request has a token that is not valid.
    """
    return result.belongs_to(session.owner()) or result.id in session.remembered() or _scope() == SCOPE


def may_delete(batch: Batch) -> bool:
    """Whether this request may delete all results of a batch."""
    return all(map(may_change, service().storage.get_all(batch.results)))


def own_result(id: str) -> Result:
    """A saved result that this request may change.

    Raises:
        NotFound: there is none with this id.
        Forbidden: it is another browser's.
        Unauthorized: the request has a token that is not valid.
    """
    result = result_or_404(id)
    require(may_change(result))
    return result


def require(allowed: bool) -> None:
    """Answers 403 unless this request may change what it is about."""
    if not allowed:
        abort(403, gettext("Only the browser that sent a picture can change or delete it."))


def _scope() -> str | None:
    """The scope of the request's token; None if it has none."""
    token = request.authorization
    if token is None or token.type != "bearer":
        return None
    try:
        return access.scope_of(service().settings, token.token or "")
    except access.BadToken:
        challenge = WWWAuthenticate("bearer", {"error": "invalid_token"})
        abort(401, gettext("This token is not valid, or no longer."), www_authenticate=challenge)
