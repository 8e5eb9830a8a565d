"""Who may change and delete a result: the browser that made it, and whoever has a scope for all results."""

from flask import abort
from flask_babel import gettext

from inkling.storage import Batch, Result
from inkling.teach.types import Classifier
from inkling.web import service
from inkling.web.edge import session
from inkling.web.edge.access import principal
from inkling.web.responses import result_or_404

CORRECT, DELETE = "correct", "admin"  # scopes that allow it for any result


def may_change(result: Result, scope: str = DELETE) -> bool:
    """Whether this request's browser made a result, or the request has a scope for all results.

    The signed cookie names the owner. Results from before owners were noted belong to the browsers whose signed history
    lists them.

    Raises:
        Unauthorized: the request has a token that is not valid.
    """
    if result.owner is None and result.id in session.listed_also():
        return True
    return result.belongs_to(session.owner()) or scope in principal().scopes


def may_delete(batch: Batch) -> bool:
    """Whether this request may delete all results of a batch."""
    return all(map(may_change, service().storage.get_all(batch.results)))


def own_result(id: str, scope: str = DELETE) -> Result:
    """A saved result that this request may change.

    Raises:
        NotFound: there is none with this id.
        Forbidden: it is another browser's, and the request does not have the scope.
        Unauthorized: the request has a token that is not valid.
    """
    result = result_or_404(id)
    require(may_change(result, scope))
    return result


def may_teach(classifier: Classifier) -> bool:
    """Whether this request may teach a classifier: its owner may, and whoever administers the server."""
    return "teach" in principal().scopes and principal().manages(classifier.owner)


def require(allowed: bool) -> None:
    """Answers 403 unless this request may change what it is about."""
    if not allowed:
        abort(403, gettext("Only the browser that sent a picture can change or delete it."))
