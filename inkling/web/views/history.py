"""This browser's last results."""

from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from inkling.storage import Result
from inkling.web import service
from inkling.web.edge import auditing, session
from inkling.web.edge.access import open_to

blueprint = Blueprint("history", __name__)

MOST = 50  # results on the page


@dataclass(frozen=True)
class Item:
    """One place in the list: a result, one that was just deleted, or the results of a batch that are left."""

    results: list[Result]
    deleted: bool = False


@blueprint.get("/history")
def page() -> str:
    """This browser's last results, newest first; those of a batch as one, and an undo for those just deleted."""
    ids = service().storage.made_by(session.owner(), MOST)
    return render_template("history.html", items=_items([*ids, *session.listed_also()]), most=MOST)


@blueprint.post("/history/delete")
@open_to("anyone, for what their own browser made")
def delete() -> ResponseReturnValue:
    """Deletes all results that this browser made, and the cookie with its key."""
    ids = [*service().storage.made_by(session.owner()), *session.listed_also()]
    service().storage.delete(*ids)
    auditing.about(results=ids)
    session.clear()
    return redirect(url_for("history.page"), 303)


def _items(ids: list[str]) -> list[Item]:
    """The list, newest first; a batch stands in the place of its newest result."""
    kept = {result.id: result for result in service().storage.get_all(ids)}
    deleted = {result.id: result for result in service().storage.hidden(ids)}
    items: dict[str, Item] = {}
    for result in sorted((kept | deleted).values(), key=lambda result: result.created, reverse=True)[:MOST]:
        if result.id in kept:
            items.setdefault(result.batch or result.id, Item([])).results.append(result)
        else:
            items[result.id] = Item([result], deleted=True)
    return list(items.values())
