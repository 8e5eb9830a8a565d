"""The one door to teaching: pages, API and command line call `Teaching`, and nothing else of this room."""

import re
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, Literal, get_args

import numpy as np
from PIL import Image

from inkling import config
from inkling.config import Settings
from inkling.pictures.budget import Budget
from inkling.pictures.encode import LARGEST, at_most, thumbnail
from inkling.problems import Problem
from inkling.recognition.catalog import Catalog, Model, check_file, kept
from inkling.recognition.predictor import prepare
from inkling.recognition.runtimes.small import SmallGraph
from inkling.service import Outcome, Service, Source, Upload, file_of, map_ahead
from inkling.storage import Result, StoreError
from inkling.storage.blobs import PNG, Opened
from inkling.storage.database import portions
from inkling.storage.records import now
from inkling.storage.taught import NewExample, Quota, StoredVersion
from inkling.teach import features, review
from inkling.teach.helper import Helper
from inkling.teach.learn import Figures, Report
from inkling.teach.publish import HEAD, NETWORK, Shelf, card_of
from inkling.teach.types import (
    ALL,
    AnyLabel,
    Change,
    Classifier,
    Doubt,
    Example,
    Kind,
    Label,
    Origin,
    Progress,
    Review,
    Suggestion,
    Version,
    VersionShort,
)

BATCH = 16  # pictures that are saved in one transaction
LONGEST_NAME = 48  # characters of a model's name, before a number is appended
POLL_SECONDS = 0.1  # between two looks at a training
RESERVED = {"auto"}  # names that mean something else than a model

Labeled = tuple[Source, str | None]  # a picture and the name of its label; None for none


class Teaching:
    """A person's own classifiers.

    Every method that takes the id of a classifier raises Problem("unknown-classifier") if there is none, and every
    method raises StoreError if storage fails.

    Args:
        settings: limits and quotas.
        service: reads pictures and asks models.
        wake: is called when a training is due; by default it starts the process that trains.
    """

    def __init__(self, settings: Settings, service: Service, wake: Callable[[], None] | None = None):
        self._settings, self.service = settings, service
        self.storage = service.storage.taught
        self._wake = wake or Helper(settings).wake
        self._shelf = Shelf(self.storage)
        self._newest: dict[str, tuple[int, Model]] = {}  # by the classifier's id: the version and its model
        self._tended: Catalog | None = None

    # ---- Classifiers ----

    def create(self, title: str, kind: Kind, owner: str) -> Classifier:
        """Creates a classifier without labels and examples.

        Args:
            title: what people call it; its model's name is derived from it.
            kind: of its pictures.
            owner: the principal that may teach it.

        Raises:
            Problem: "bad-name" or "too-many-classifiers".
        """
        taken = set(RESERVED)
        for model in self.service.predictor.catalog.models.values():
            taken |= {model.card.name, model.card.task, *model.card.formerly}
        return self.storage.create(slug(title), title, kind, owner, taken, self._quota)

    def all(self, owner: str | None = None) -> list[Classifier]:
        """All classifiers, newest first; those of one owner only if one is given."""
        return self.storage.all(owner)

    def get(self, id: str) -> Classifier:
        """The classifier with that id."""
        return self.storage.get(id)

    def find(self, name: str) -> Classifier | None:
        """The classifier whose model has that name; None if there is none."""
        return self.storage.find(name)

    def update(
        self, id: str, *, title: str | None = None, listed: bool | None = None, auto: bool | None = None
    ) -> Classifier:
        """Changes what is given. The name of its model stays.

        Raises:
            Problem: "bad-name".
        """
        classifier = self.storage.update(id, title, listed, auto)
        if classifier.live is not None:
            self.publish(id, classifier.live)
        return classifier

    def delete(self, id: str) -> None:
        """Deletes a classifier with its pictures, features and versions. This cannot be undone."""
        classifier = self.get(id)
        self._shelf.unpublish(classifier)
        self._newest.pop(id, None)
        self._shelf.clean(classifier)
        self.storage.delete(id)

    # ---- Labels ----

    def add_label(self, id: str, name: str) -> Label:
        """Adds a label.

        Raises:
            Problem: "bad-name" or "label-taken".
        """
        return self.storage.add_label(id, name)

    def rename_label(self, id: str, label: int, name: str) -> tuple[Label, Change]:
        """Renames a label; returns it and the change, which `undo` takes back.

        Raises:
            Problem: "unknown-label", "bad-name" or "label-taken".
        """
        renamed = self.storage.rename_label(id, label, name)
        self._wake()
        return renamed

    def delete_label(self, id: str, label: int) -> Change:
        """Deletes a label and its examples; `undo` brings both back.

        Raises:
            Problem: "unknown-label".
        """
        change = self.storage.delete_label(id, label)
        self._wake()
        return change

    # ---- Examples ----

    def add(self, id: str, sources: Iterable[Labeled], origin: Origin = "file") -> list[Example | Problem]:
        """Adds pictures with their labels. A label that is not there yet is created.

        Threads read the next pictures while the last are saved. Each picture has the time of one request.

        Returns:
            for each source its example, or the problem with it: one of those of reading a picture, "blank",
            "duplicate", "bad-name", "too-many-examples" or "teaching-full".
        """
        classifier, results = self.get(id), []

        def read(one: Labeled) -> NewExample | Problem:
            source, label = one
            try:
                return self._read(source, label, classifier.kind, origin)
            except Problem as problem:
                return problem

        self._wake()  # it starts while pictures are read
        for some in portions(map_ahead(read, sources, config.cores()), BATCH):
            new = [one for one in some if isinstance(one, NewExample)]
            added = iter(self.storage.add(id, new, self._quota))
            results += [next(added) if isinstance(one, NewExample) else one for one in some]
        self._wake()
        return results

    def _read(self, source: Source, label: str | None, kind: Kind, origin: Origin) -> NewExample:
        picture, _ = self.service.read(source, Budget(self._settings.request_seconds), LARGEST)
        if kind == "ink":  # a drawing without ink has no features
            prepare(picture, self._backbone(kind).card)
        if isinstance(picture, Image.Image):
            picture = at_most(picture, LARGEST)
        name = Upload(None, source.name).name
        file = file_of(picture, source.kind)
        kind_of_file: Literal["photo", "drawing"] = "drawing" if file.startswith(PNG) else "photo"
        return NewExample(file, kind_of_file, name, label, origin)

    def correct(self, result: Result, label: str | None) -> None:
        """Teaches the classifier that gave a result the right label of its picture, instead of the label before.

        A picture that is an example already gets the label, and has its own again once the label is taken back. Another
        one becomes an example, if the quotas allow it, and is deleted once the label is taken back. Does nothing for a
        result of another model.

        Args:
            label: the right one; None, or one that the classifier does not have, takes back what was taught before.
        """
        classifier = self.find(result.model)
        picture = self.service.storage.picture(result)
        if classifier is None or picture is None:
            return
        right = next((one.id for one in classifier.labels if one.name == label), None)
        same = self.storage.same(classifier.id, picture)
        if same is None:
            if label is not None and right is not None:
                kind: Literal["photo", "drawing"] = "photo" if result.suffix == "jpg" else "drawing"
                self.storage.add(classifier.id, [NewExample(picture, kind, "", label, "correction")], self._quota)
        elif same.source == "correction":
            if right is None:
                self.storage.remove(classifier.id, [same.id])
            else:
                self.storage.move(classifier.id, [same.id], right)
        else:
            with suppress(Problem):  # it was not corrected before, or more than a day ago
                self.storage.undo(classifier.id, result.id)
            if right is not None:
                self.storage.move(classifier.id, [same.id], right, change=result.id)
        self._wake()

    def examples(
        self, id: str, label: AnyLabel = ALL, after: str | None = None, limit: int | None = 100
    ) -> list[Example]:
        """Examples in the order in which they arrived.

        Args:
            label: the id of a label; None for the examples without one.
            after: begins behind the example with this id.
            limit: None for all of them.
        """
        return self.storage.examples(id, label, after, limit)

    def picture(self, id: str, example: str) -> bytes:
        """The picture of an example as a file: JPEG, or PNG for one that came from a canvas.

        Raises:
            Problem: "unknown-example".
        """
        return self.storage.picture(id, example)

    def open_picture(self, id: str, example: str) -> tuple[Opened, str]:
        """The same file, to read from, and its media type.

        Raises:
            Problem: "unknown-example".
        """
        opened, kind = self.storage.open_picture(id, example)
        return opened, "image/jpeg" if kind == "photo" else "image/png"

    def thumbnail(self, id: str, example: str) -> bytes:
        """The picture at no more than 256 pixels a side.

        Raises:
            Problem: "unknown-example".
        """
        return thumbnail(self.storage.picture(id, example))

    def move(self, id: str, examples: Sequence[str], label: int | None) -> Change:
        """Gives examples another label, or none.

        Raises:
            Problem: "unknown-label" or "unknown-example".
        """
        change = self.storage.move(id, examples, label)
        self._wake()
        return change

    def remove(self, id: str, examples: Sequence[str]) -> Change:
        """Deletes examples; `undo` brings them back for a day.

        Raises:
            Problem: "unknown-example".
        """
        change = self.storage.remove(id, examples)
        self._wake()
        return change

    def undo(self, id: str, change: str) -> None:
        """Takes a change back.

        Raises:
            Problem: "unknown-change" if it was taken back already or a day is over.
        """
        self.storage.undo(id, change)
        self._wake()

    # ---- Training ----

    def train(self, id: str) -> Progress:
        """Makes a training due now. Changes of examples do so by themselves, a second later."""
        self.storage.schedule(id)
        self._wake()
        return self.progress(id) or Progress("waiting")

    def progress(self, id: str) -> Progress | None:
        """How far the training is; None while there is nothing to do."""
        return self.get(id).training

    def wait(self, id: str) -> Progress | None:
        """Waits for the process that trains, and starts another one if it was killed.

        Returns:
            None when the classifier is trained, or the progress of a training that failed.
        """
        while (progress := self.progress(id)) and progress.stage != "failed":
            self._wake()
            time.sleep(POLL_SECONDS)
        return progress

    def cancel(self, id: str) -> None:
        """Ends the training. It begins again with the next change."""
        self.storage.cancel(id)

    def tend(self) -> None:
        """Does what no change of examples begins; the housekeeper calls it every few seconds.

        What other machines published is taken over, classifiers whose backbone was replaced are trained again,
        published versions whose folder is missing are written, and a training that is due begins even if the process
        that should do it was killed.
        """
        with suppress(StoreError):  # what is published here goes on answering
            self._shelf.synchronize()
        catalog = self.service.predictor.catalog
        if catalog is not self._tended:
            self._tended = catalog
            for kind in get_args(Kind):
                with suppress(Problem):  # without that model nothing can be trained
                    self.storage.schedule_outdated(kind, self._backbone(kind).card.files["model.onnx"])
            self._shelf.publish_all()
            self._shelf.keep_backbones(catalog.models.values())
        upcoming = self.storage.upcoming()
        if upcoming and upcoming.due <= now():
            self._wake()

    # ---- Versions ----

    def versions(self, id: str) -> list[VersionShort]:
        """The versions of a classifier, newest first."""
        return [
            VersionShort(
                one.number,
                one.created,
                one.revision,
                tuple(name for _, name in one.labels),
                Figures.model_validate(one.figures),
                one.better,
                one.available,
            )
            for one in self.storage.versions(id)
        ]

    def version(self, id: str, number: int) -> Version:
        """A version of a classifier.

        Raises:
            Problem: "unknown-version".
        """
        return _version(self.storage.version(id, number))

    def publish(self, id: str, number: int) -> None:
        """Makes a version the one that answers, in every worker within a second.

        Raises:
            Problem: "unknown-version".
        """
        classifier = self.get(id)
        self._shelf.publish(classifier, number)
        self.storage.set_live(id, number)
        self._shelf.keep_backbones(self.service.predictor.catalog.models.values())
        self._shelf.clean(classifier, *self._drafts(id))

    def unpublish(self, id: str) -> None:
        """Lets no version answer any more."""
        self._shelf.unpublish(self.get(id))
        self.storage.set_live(id, None)

    def review(self, id: str) -> Review:
        """What to look at next: doubtful labels, near-duplicates, what to label, and whether more would help."""
        classifier = self.get(id)
        present = {example.id: example for example in self.storage.examples(id, limit=None)}
        labels = {label.id: label for label in classifier.labels}
        unlabeled = [example for example in present.values() if example.label is None]
        if classifier.newest is None:
            return Review(next=tuple(Suggestion(example, classifier.labels) for example in unlabeled))
        version = self.storage.version(id, classifier.newest)
        report = Report.model_validate(version.report)
        own = [labels.get(label) for label, _ in version.labels]  # None for one that was deleted since then
        examples = [present.get(example) for example in version.examples]
        alike = set(report.uniform)
        errors, doubtful = [], []
        for i, j, suspicion in report.doubtful:
            example, suggested = examples[i], own[j]
            given = labels.get(example.label) if example and example.label is not None else None
            if example and given and suggested and given != suggested:
                doubt = Doubt(example, given, suggested, suspicion)
                errors.append(doubt)
                if i not in alike:
                    doubtful.append(doubt)
        uniform = {example.label for i in report.uniform if (example := examples[i])}
        groups = (tuple(one for i in group if (one := examples[i])) for group in report.duplicates)
        more, needed = review.advice(report)
        return Review(
            tuple(errors),
            tuple(doubtful),
            tuple(group for group in groups if len(group) > 1),
            tuple(label for label in classifier.labels if label.id in uniform),
            self._suggestions(id, version, own, present),
            more,
            None if needed is None else own[needed],
        )

    def _suggestions(
        self, id: str, version: StoredVersion, labels: Sequence[Label | None], present: Mapping[str, Example]
    ) -> tuple[Suggestion, ...]:
        """The examples without a label, those first about which a version is least certain."""
        rows = [row for row in self.storage.features(id, version.backbone, unlabeled=True) if row[0] in present]
        if not rows:
            return ()
        seen = np.stack([np.frombuffer(vector, "<f4") for _, _, vector in rows])
        probabilities = SmallGraph(self.newest(id).folder / HEAD)(seen)[0]
        found = []
        for i in review.label_next(probabilities):
            ranked = (labels[j] for j in np.argsort(-probabilities[i], kind="stable"))
            found.append(Suggestion(present[rows[i][0]], tuple(label for label in ranked if label)))
        return tuple(found)

    def export(self, id: str, number: int | None = None, examples: bool = False) -> IO[bytes]:
        """A version as a zip that works without Inkling, in a temporary file that is open at its start.

        Args:
            number: of the version; by default the one that answers, or else the newest.
            examples: whether it holds the pictures that have a label.

        Raises:
            Problem: "not-trained", "unknown-version" or "model-unavailable".
        """
        from inkling.teach import export as exports  # which loads `onnx`

        classifier = self.get(id)
        number = number or classifier.live or classifier.newest
        if number is None:
            raise _not_trained()
        version, head = self.storage.version(id, number), self.storage.head(id, number)
        backbone = self._backbone(classifier.kind)
        if backbone.card.files.get(NETWORK) != version.backbone:
            try:
                backbone = kept(self._settings, backbone.card.name, version.backbone)
            except ValueError as error:
                reason = f"Version {number} continues a network that is not here any more."
                raise Problem("model-unavailable", reason) from error
        file = TemporaryFile()  # noqa: SIM115  the caller closes it
        try:
            network = check_file(backbone, NETWORK).read_bytes()
            report = Report.model_validate(version.report)
            pictures = self._labeled(classifier) if examples else ()
            exports.write(file, card_of(classifier, version), head, network, report, version.created, pictures)
        except ValueError as error:
            file.close()
            raise Problem("model-unavailable", f"Version {number} cannot be exported: {error}.") from error
        file.seek(0)
        return file

    def _labeled(self, classifier: Classifier) -> Iterator[tuple[str, str, bytes]]:
        """The examples that have a label, read one after the other: the label's name, their id and their file."""
        for label in classifier.labels:
            after = None
            while some := self.examples(classifier.id, label.id, after):
                for example in some:
                    yield label.name, example.id, self.picture(classifier.id, example.id)
                after = some[-1].id

    def look(self, id: str, sources: Sequence[Source], budget: Budget) -> list[Outcome]:
        """Asks the newest version, published or not.

        Raises:
            Problem: "not-trained" or "model-unavailable".
        """
        return self.service.look(sources, self.newest(id), budget)

    def newest(self, id: str) -> Model:
        """The newest version as a model, the same object as long as there is no newer one.

        Raises:
            Problem: "not-trained".
        """
        classifier = self.get(id)
        if classifier.newest is None:
            raise _not_trained()
        known = self._newest.get(id)
        if known and known[0] == classifier.newest and known[1].folder.exists():
            return known[1]
        model = self._shelf.model(classifier, classifier.newest)
        self._newest[id] = classifier.newest, model
        return model

    def _drafts(self, id: str) -> list[Model]:
        return [self._newest[id][1]] if id in self._newest else []

    def _backbone(self, kind: Kind) -> Model:
        return features.backbone(self.service.predictor.catalog, kind)

    @property
    def _quota(self) -> Quota:
        settings = self._settings
        return Quota(settings.teach_classifiers, settings.teach_examples, settings.teach_mb * 2**20)


def slug(title: str) -> str:
    """A title as the name of a model: lower-case ASCII words with hyphens between.

    Letters of other alphabets are left out; a title without any other is named "classifier".
    """
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return words[:LONGEST_NAME].strip("-") or "classifier"


def _not_trained() -> Problem:
    return Problem("not-trained", "This classifier has no version yet: it needs two labels with two examples.")


def _version(stored: StoredVersion) -> Version:
    return Version(
        stored.number,
        stored.created,
        stored.revision,
        stored.examples,
        tuple(name for _, name in stored.labels),
        Report.model_validate(stored.report),
        stored.better,
    )
