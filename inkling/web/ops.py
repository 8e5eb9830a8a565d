"""For those who run it: is the process alive, which models serve."""

from flask import Blueprint

from inkling.web import inkling

blueprint = Blueprint("ops", __name__)


@blueprint.get("/healthz")
def healthz():
    """The process lives."""
    return {"status": "ok"}


@blueprint.get("/readyz")
def readyz():
    """Each model's state; 503 when none serves."""
    classifier = inkling().classifier
    classifier.warm()
    states = {name: "ready" for name in classifier.catalog.models} | {
        name: f"off: {why}" for name, why in classifier.broken.items()}
    ready = "ready" in states.values()
    return {"status": "ready" if ready else "no model serves", "models": states}, 200 if ready else 503
