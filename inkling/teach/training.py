"""One training: features of new examples, a head, and the version that holds it."""

import logging
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from inkling.problems import Problem
from inkling.recognition.card import sha256
from inkling.recognition.catalog import Model, kept
from inkling.recognition.measures import class_metrics
from inkling.recognition.predictor import prepare
from inkling.service import picture_of
from inkling.storage.database import portions
from inkling.storage.records import now
from inkling.storage.taught import Classifier, Stage, StoredVersion, Task
from inkling.teach import features, head
from inkling.teach.learn import FEWEST, Figures, Learned, Report, learn
from inkling.teach.publish import HEAD
from inkling.teach.teaching import Teaching

log = logging.getLogger("inkling.teach")

BATCH = 16  # pictures between two looks at whether the training was cancelled
NOTE_SECONDS = 0.25  # between two notes of the progress

Row = tuple[str, int, np.ndarray]  # an example's id, its label and its features


class CancelledError(Exception):
    """The training was cancelled, or its classifier deleted."""


class Training:
    """Trains the classifier of a task.

    Args:
        teaching: the classifiers.
        task: what is due.
    """

    def __init__(self, teaching: Teaching, task: Task):
        self._teaching, self._taught, self._task = teaching, teaching.storage, task
        self._predictor = teaching.service.predictor
        self._noted = 0.0

    def run(self) -> None:
        """Trains, saves the version, and makes it the one that answers where it should be.

        What goes wrong is noted with the task, except errors of the storage.

        Raises:
            StoreError: the database or a picture cannot be read or written. The training stays due.
        """
        try:
            self._run()
        except CancelledError:
            pass
        except Problem as problem:
            log.warning("a training failed: %s", problem.message)
            self._taught.fail(self._task, problem.message)
        except (ValueError, ArithmeticError, MemoryError, np.linalg.LinAlgError):
            log.exception("a training failed")
            self._taught.fail(self._task, "An error ended it, which the server's log describes.")

    def prepare(self) -> bool:
        """Computes the features of examples that arrived, before the training is due; returns whether there were some.

        Raises:
            StoreError: the database or a picture cannot be read or written.
        """
        try:
            classifier = self._teaching.get(self._task.classifier)
            backbone = features.backbone(self._predictor.catalog, classifier.kind)
            if not self._compute_features(classifier, backbone, backbone.card.files["model.onnx"]):
                return False
            self._note("waiting", 0.0, at_once=True)
            return True
        except (CancelledError, Problem):  # the training itself will note a problem
            return False

    def _run(self) -> None:
        classifier = self._teaching.get(self._task.classifier)
        backbone = features.backbone(self._predictor.catalog, classifier.kind)
        checksum = backbone.card.files["model.onnx"]
        self._compute_features(classifier, backbone, checksum)
        rows, labels = self._rows(classifier, checksum)
        if len(labels) < 2:
            self._taught.fail(self._task, "")
            return
        places = {label: i for i, (label, _) in enumerate(labels)}
        self._note("learning", 0.0, at_once=True)
        learned = learn(
            np.stack([vector for _, _, vector in rows]),
            np.array([places[label] for _, label, _ in rows]),
            [name for _, name in labels],
            lambda share: self._note("learning", share),
        )
        written = _head(learned)
        version = StoredVersion(
            0,
            now(),
            classifier.revision,
            checksum,
            labels,
            tuple(example for example, _, _ in rows),
            learned.report.model_dump(mode="json"),
            learned.report.model_dump(mode="json", include=set(Figures.model_fields)),
            _card(backbone, learned, written[1]),
            None,
        )
        classifier = self._teaching.get(classifier.id)  # another version may have been published meanwhile
        version = self._compared(classifier, version, rows)
        number = self._taught.save_version(self._task, version, written[0])
        if number is None:
            return
        self._taught.forget_features(classifier.id, checksum)
        if classifier.live is not None and (version.better is not False or self._is_stranded(classifier)):
            self._teaching.publish(classifier.id, number)
        self._taught.end(self._task)

    def _compute_features(self, classifier: Classifier, backbone: Model, checksum: str) -> int:
        """Computes the features that are missing, and returns of how many examples.

        A picture that cannot be read gets none, and teaches nothing.
        """
        missing = self._taught.without_features(classifier.id, checksum)
        done = 0
        for some in portions(missing, BATCH):
            self._note("features", done / len(missing))
            prepared, vectors = {}, {}
            for example in some:
                try:
                    picture = picture_of(self._taught.picture(classifier.id, example))
                    prepared[example] = prepare(picture, backbone.card)
                except (OSError, Problem):
                    vectors[example] = b""
            if prepared:
                found = self._predictor.features(list(prepared.values()), backbone)
                vectors |= dict(zip(prepared, (row.astype("<f4").tobytes() for row in found), strict=True))
            self._taught.save_features(checksum, vectors)
            done += len(some)
        return done

    def _rows(self, classifier: Classifier, checksum: str) -> tuple[list[Row], tuple[tuple[int, str], ...]]:
        """The examples to learn from, and their labels: those with enough examples."""
        stored = self._taught.features(classifier.id, checksum)
        counts = Counter(label for _, label, _ in stored)
        labels = tuple((label.id, label.name) for label in classifier.labels if counts[label.id] >= FEWEST)
        known = {label for label, _ in labels}
        rows = [
            (example, label, np.frombuffer(vector, "<f4"))
            for example, label, vector in stored
            if label is not None and label in known
        ]
        return rows, labels

    def _compared(self, classifier: Classifier, version: StoredVersion, rows: Sequence[Row]) -> StoredVersion:
        """The version, compared with the one that is live on the examples that both have seen."""
        if classifier.live is None:
            return version
        before = self._taught.version(classifier.id, classifier.live)
        true = {example: label for example, label, _ in rows}
        new, old = _held_out(version), _held_out(before)
        both = [example for example in true if example in old]
        if not both:
            return version
        better = sum(new[one] == true[one] for one in both) >= sum(old[one] == true[one] for one in both)
        return replace(version, better=better)

    def _is_stranded(self, classifier: Classifier) -> bool:
        """Whether the version that is live cannot be opened, because its backbone is neither installed nor kept.

        A worse version is then better than none. It happens after `inkling restore` on a machine with another backbone.
        """
        assert classifier.live is not None
        backbone = self._taught.version(classifier.id, classifier.live).card["backbone"]
        catalog, settings = self._predictor.catalog, self._teaching.service.settings
        if backbone["checksum"] in {model.card.files.get("model.onnx") for model in catalog.models.values()}:
            return False
        try:
            kept(settings, backbone["model"], backbone["checksum"])
        except ValueError:
            return True
        return False

    def _note(self, stage: Stage, share: float, at_once: bool = False) -> None:
        """Notes the progress now and then.

        Raises:
            CancelledError: there is nothing to do any more.
        """
        if at_once or time.monotonic() - self._noted > NOTE_SECONDS:
            self._noted = time.monotonic()
            if not self._taught.note(self._task, stage, share):
                raise CancelledError


def run_due(teaching: Teaching) -> bool:
    """Runs the training that is due first, or prepares the next one; returns whether there was something to do.

    There is nothing to do while another machine trains.
    """
    with teaching.storage.training_alone() as alone:
        if not alone:
            return False
        task = teaching.storage.begin()
        if task:
            Training(teaching, task).run()
            return True
        upcoming = teaching.storage.upcoming()
        return upcoming is not None and Training(teaching, upcoming).prepare()


def _held_out(version: StoredVersion) -> dict[str, int]:
    """The label that a version gave each of its examples while that was held out."""
    best = np.argmax(version.report["held_out"], axis=1)
    return {example: version.labels[i][0] for example, i in zip(version.examples, best.tolist(), strict=True)}


def _head(learned: Learned) -> tuple[bytes, str]:
    """The head's ONNX file, and its SHA-256."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, HEAD)
        head.write(learned, path)
        return path.read_bytes(), sha256(path)


def _card(backbone: Model, learned: Learned, checksum: str) -> dict:
    """What the card of a version says about its head; `publish.card_of` adds the rest."""
    count = len(learned.report.held_out)
    return {
        "summary": f"Taught here with {count} examples.",
        "labels": list(learned.labels),
        "input": backbone.card.input.model_dump(mode="json"),
        "backbone": {"model": backbone.card.name, "checksum": backbone.card.files["model.onnx"]},
        "threshold": learned.threshold,
        "familiar": learned.familiar,
        "metrics": _metrics(learned.report),
        "files": {HEAD: checksum},
    }


def _metrics(report: Report) -> dict:
    """The figures of a card, from held-out answers."""
    classes = class_metrics(np.array(report.confusion), report.labels)
    return {
        "split": "its examples, each held out once",
        "test_size": len(report.held_out),
        "accuracy": report.accuracy,
        "calibration_error_before": report.calibration_error_before,
        "calibration_error": report.calibration_error,
        "sure_share": report.sure_share,
        "sure_accuracy": report.sure_accuracy,
        "classes": [one.model_dump() for one in classes],
        "confusion": [list(row) for row in report.confusion],
    }
