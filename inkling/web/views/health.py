"""Endpoints for operators: liveness, readiness and metrics."""

from contextlib import suppress

from flask import Blueprint, Response, abort, current_app, request
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from inkling.storage import StoreError
from inkling.web import service
from inkling.web.edge import metrics, proxies
from inkling.web.edge.access import open_to

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> dict:
    """Liveness: this worker answers."""
    return {"status": "ok"}


@blueprint.get("/readyz")
def readyz() -> tuple[dict, int]:
    """Readiness: the state of each model, and whether results can be saved; 503 if no model can answer.

    Reasons may hold paths, so only clients that may read the metrics get them; others get "off".
    """
    classifier = service().predictor
    classifier.warm()
    catalog = classifier.catalog
    states = {name: "ready" for name in catalog.models} | {
        name: f"off: {reason}" for name, reason in catalog.broken.items()
    }
    ready, saving = any(catalog.serving.values()), _saving()
    if not _is_known():
        states = {name: state.partition(":")[0] for name, state in states.items()}
        saving = saving.partition(":")[0]
    return {
        "status": "ready" if ready else "no model serves",
        "saving": saving,
        "models": states,
    }, 200 if ready else 503


@blueprint.get("/metrics")
@open_to("clients that INKLING_METRICS_FROM names")
def metrics_text() -> Response:
    """The metrics of all workers in Prometheus' text format."""
    if not _is_known():
        abort(
            403,
            "INKLING_METRICS_FROM names who may read this, INKLING_TRUSTED_PROXIES the proxies that may pass it on.",
        )
    settings = service().settings
    metrics.models(service().predictor.catalog.serving)
    metrics.saving(service().storage.problem is None)
    with suppress(StoreError):  # the last known size stays
        metrics.saved(service().storage.saved_bytes(), settings.quota_mb * 2**20)
    return Response(metrics.text(), content_type=CONTENT_TYPE_PLAIN_0_0_4)


def _is_known() -> bool:
    """Whether this client is one that INKLING_METRICS_FROM names."""
    settings = service().settings
    hidden = proxies.hides_client(request.environ, settings.trusted_proxies)
    return not hidden and proxies.among(request.remote_addr, settings.metrics_from)


def _saving() -> str:
    """Whether results can be saved: "on", or "off" with the cause."""
    if current_app.extensions["housekeeper"].running:  # checks every two seconds; a check takes the database's lock
        return f"off: {problem}" if (problem := service().storage.problem) else "on"
    try:
        service().storage.check()
        return "on"
    except StoreError as error:
        return f"off: {error}"
    finally:
        metrics.saving(service().storage.problem is None)
