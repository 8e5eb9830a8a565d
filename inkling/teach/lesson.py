"""A lesson from a folder: the classifier that `inkling teach` makes of it, and how good it is."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from inkling.access import LOCAL
from inkling.problems import Problem
from inkling.service import Service
from inkling.teach import intake
from inkling.teach.teaching import Labeled, Teaching, slug
from inkling.teach.types import Classifier, Doubt, Kind, Version

SHOWN = 10  # doubtful labels in the table


@dataclass(frozen=True)
class Lesson:
    """What became of a folder.

    Attributes:
        version: the newest one.
        added: the number of pictures that are new.
        known: the number of those that the classifier had before.
        refused: (file, problem) of the others.
        doubtful: examples whose label looks wrong, most suspicious first.
        reading, training: seconds.
    """

    classifier: Classifier
    version: Version
    added: int
    known: int
    refused: list[tuple[str, Problem]]
    doubtful: tuple[Doubt, ...]
    reading: float
    training: float


def teach(
    service: Service,
    folder: Path,
    name: str,
    kind: Kind,
    watch: Callable[[Iterable[Labeled]], Iterable[Labeled]],
) -> Lesson:
    """Teaches the classifier of that name what is new in a folder, and publishes it the first time.

    Later versions answer as soon as they are trained, unless they are worse than the one before.

    Args:
        watch: gets the pictures and yields them again, to show the progress.

    Raises:
        Problem: the folder, the name or the pictures are not accepted, or nothing can be learned from them.
    """
    teaching = Teaching(service.settings, service)
    pairs = intake.from_folder(folder, service.settings, "drawing" if kind == "ink" else "photo")
    classifier = _classifier(teaching, name, kind)
    start = time.monotonic()
    results = teaching.add(classifier.id, watch(pairs))
    problems = [(source.name, one) for (source, _), one in zip(pairs, results, strict=True) if isinstance(one, Problem)]
    refused = [(file, problem) for file, problem in problems if problem.reason != "duplicate"]
    reading, start = time.monotonic() - start, time.monotonic()
    if len(problems) < len(pairs) or classifier.newest is None or teaching.progress(classifier.id):
        teaching.train(classifier.id)
        failed = teaching.wait(classifier.id)
        if failed:
            raise Problem("not-trained", f"Nothing was learned: {failed.reason}")
    classifier = teaching.get(classifier.id)
    if classifier.newest is None:
        counts = ", ".join(f"{label.count} of {label.name!r}" for label in classifier.labels) or "none"
        raise Problem("not-trained", f"It takes two classes with two pictures each. Received: {counts}.")
    newest = teaching.version(classifier.id, classifier.newest)
    if classifier.live is None:
        teaching.publish(classifier.id, newest.number)
        classifier = teaching.get(classifier.id)
    return Lesson(
        classifier,
        newest,
        len(pairs) - len(problems),
        len(problems) - len(refused),
        refused,
        teaching.review(classifier.id).doubtful,
        reading,
        time.monotonic() - start,
    )


def _classifier(teaching: Teaching, name: str, kind: Kind) -> Classifier:
    """The owner's classifier of that name; a new one if there is none.

    Raises:
        Problem: "bad-name" if another model has that name, or this one is of another kind.
    """
    found = teaching.find(slug(name))
    if found is None:
        if slug(name) in teaching.service.predictor.catalog.models:
            raise Problem("bad-name", f"There is a model {slug(name)!r} already. Choose another name.", name)
        return teaching.create(name, kind, LOCAL)
    if (found.kind, found.owner) != (kind, LOCAL):
        whose = "drawings" if found.kind == "ink" else "photos"
        raise Problem("bad-name", f"There is a classifier {found.name!r} already: {whose}, of {found.owner!r}.", name)
    return found


def as_json(done: Lesson) -> dict:
    """The lesson for programs."""
    report = done.version.report
    return {
        "name": done.classifier.name,
        "version": done.version.number,
        "live": done.classifier.live,
        "classes": {label.name: label.count for label in done.classifier.labels},
        "added": done.added,
        "known": done.known,
        "refused": [{"file": file, "reason": one.reason, "detail": str(one)} for file, one in done.refused],
        "accuracy": report.accuracy,
        "low": report.low,
        "high": report.high,
        "calibration_error": report.calibration_error,
        "sure_share": report.sure_share,
        "sure_accuracy": report.sure_accuracy,
        "doubtful": [
            {
                "file": doubt.example.name,
                "given": doubt.given.name,
                "suggested": doubt.suggested.name,
                "suspicion": doubt.suspicion,
            }
            for doubt in done.doubtful
        ],
        "seconds": {"reading": round(done.reading, 2), "training": round(done.training, 2)},
    }


def as_text(done: Lesson) -> list[str]:
    """The lesson for people, in lines."""
    report, live = done.version.report, done.classifier.live
    classes = ", ".join(f"{label.name} {label.count}" for label in done.classifier.labels)
    refused = f", {len(done.refused)} refused" if done.refused else ""
    sure = f"{report.sure_share:.0%} of the answers, {report.sure_accuracy:.0%} of them right"
    rows = [
        ("version", f"{done.version.number}"),
        ("classes", classes),
        ("pictures", f"{done.added} new, {done.known} known{refused}"),
        ("accuracy", f"{report.accuracy:.0%}, between {report.low:.0%} and {report.high:.0%}"),
        ("calibration error", f"{report.calibration_error:.1%}"),
        ("sure", sure if report.sure_share else "never: that takes ten pictures of each class"),
        ("doubtful labels", f"{len(done.doubtful)}"),
        *(
            ("", f"{doubt.given.name}/{doubt.example.name} looks like {doubt.suggested.name} ({doubt.suspicion:.0%})")
            for doubt in done.doubtful[:SHOWN]
        ),
        ("seconds", f"{done.reading:.1f} to read, {done.training:.1f} to learn"),
    ]
    last = f"Published as {done.classifier.name}: inkling classify FOLDER --model {done.classifier.name}"
    if live != done.version.number:
        last = f"Version {live} goes on answering: this one is worse on the examples that both have seen."
    return [f"{name:<18} {value}".rstrip() for name, value in rows] + [last]
