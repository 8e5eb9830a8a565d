"""This browser's last results."""

from dataclasses import dataclass

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from inkling.storage import Result
from inkling.web import service
from inkling.web.edge import auditing, session
from inkling.web.edge.access import open_to

blueprint = Blueprint("history", __name__)


@dataclass(frozen=True)
class Item:
    """One place in the list: a result, one that was just deleted, or the results of a batch that are left."""

    results: list[Result]
    deleted: bool = False


@blueprint.get("/history")
def page() -> str:
    """This browser's last results, newest first; those of a batch as one, and an undo for those just deleted."""
    return render_template("history.html", items=_items(session.remembered()), most=session.MOST)


@blueprint.post("/history/delete")
@open_to("anyone, for what their own browser made")
def delete() -> ResponseReturnValue:
    """Deletes all results in this browser's history, and the cookie that lists them."""
    service().storage.delete(*session.remembered())
    auditing.about(results=session.remembered())
    session.clear()
    return redirect(url_for("history.page"), 303)


def _items(ids: list[str]) -> list[Item]:
    """The list; a batch stands in the place of its newest result."""
    kept = {result.id: result for result in service().storage.get_all(ids)}
    deleted = {result.id: Item([result], deleted=True) for result in service().storage.hidden(ids)}
    items: dict[str, Item] = {}
    for id in ids:
        if result := kept.get(id):
            items.setdefault(result.batch or id, Item([])).results.append(result)
        elif item := deleted.get(id):
            items[id] = item
    return list(items.values())
