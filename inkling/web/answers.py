"""An answer as JSON, as `schemas.Result` describes it: for the API, and for a saved result."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Answer(Protocol):
    """What predictions and saved results have in common."""

    @property
    def model(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def sure(self) -> bool: ...
    @property
    def wording(self) -> str: ...
    @property
    def familiar(self) -> bool: ...
    @property
    def group(self) -> str | None: ...
    @property
    def route(self) -> str | None: ...
    @property
    def asked(self) -> Sequence[str]: ...
    def ranked(self, top: int | None = None) -> list[tuple[str, float]]: ...


def as_json(answer: Answer, milliseconds: Mapping[str, float], top: int) -> dict:
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
