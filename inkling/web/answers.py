"""An answer as JSON, as `schemas.Result` describes it: for the API, and for a saved result."""

from collections.abc import Mapping

from inkling.recognition.predictor import Prediction
from inkling.storage import Result


def as_json(answer: Prediction | Result, milliseconds: Mapping[str, float], top: int) -> dict:
    """The answer, with its `top` most likely labels."""
    ranked = [{"label": label, "probability": round(probability, 6)} for label, probability in answer.ranked(top)]
    return {
        "model": answer.model,
        "task": answer.task,
        "label": answer.label,
        "confidence": ranked[0]["probability"],
        "sure": answer.sure,
        "wording": answer.wording,
        "familiar": answer.familiar,
        "group": answer.group,
        **({"route": answer.route, "asked": list(answer.asked)} if answer.route else {}),
        "predictions": ranked,
        "milliseconds": milliseconds,
    }
