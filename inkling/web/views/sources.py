"""The API of sources: what models say about cameras and the like."""

from flask import Blueprint, Response, abort
from flask.typing import ResponseReturnValue

from inkling.web import classifier_schemas as schemas
from inkling.web import service
from inkling.web.edge.access import needs

blueprint = Blueprint("sources", __name__, url_prefix="/api/sources")


@blueprint.get("")
@needs("admin")
def all_of_them() -> Response:
    """The sources and their states."""
    found = [schemas.Source.model_validate(one) for one in service().storage.notices.sources()]
    return Response(schemas.Sources(sources=found).model_dump_json(), mimetype="application/json")


@blueprint.delete("/<model>/<source>")
@needs("admin")
def delete(model: str, source: str) -> ResponseReturnValue:
    """Deletes a source."""
    if not service().storage.notices.forget(model, source):
        abort(404, "There is no such source.")
    return "", 204
