"""Asks another Inkling about files, with outcomes in the form of the service's."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from inkling import client
from inkling.client.shapes import Result as Answer
from inkling.problems import Problem
from inkling.storage import Result


@dataclass(frozen=True)
class Outcome:
    """What another Inkling says about one file. As `inkling.service.Outcome`, without pictures."""

    name: str
    answer: Result | Problem
    milliseconds: dict[str, float]


def look_ahead(server: str, token: str | None, files: Sequence[Path], model: str | None) -> Iterator[Outcome]:
    """Yields an outcome for each file, in their order.

    Args:
        server: the address of the other Inkling.
        token: one of its tokens; None where it needs none.
        model: the model's name; None for Auto.

    Raises:
        InklingError: it cannot be reached, or refuses the token or the model.
    """
    with client.Client(server, token) as inkling:
        for file, answer in inkling.classify(files, model):
            if isinstance(answer, OSError):
                problem = Problem("missing", f"The file cannot be read: {answer.strerror}.", file.name)
                yield Outcome(str(file), problem, {})
            elif isinstance(answer, client.Refused):
                yield Outcome(str(file), Problem(answer.reason or f"http-{answer.status}", str(answer)), {})
            else:
                result = _result(answer)
                yield Outcome(str(file), result, result.milliseconds)


def _result(answer: Answer) -> Result:
    return Result(
        "",
        datetime.now(UTC),
        "photo",
        answer["model"],
        answer["task"],
        answer["sure"],
        answer["wording"],
        answer["familiar"],
        [(each["label"], each["probability"]) for each in answer["predictions"]],
        cast(dict[str, float], answer["milliseconds"]),
        answer["group"],
        answer.get("route"),
        tuple(answer.get("asked") or ()),
        format=answer["format"],
    )
