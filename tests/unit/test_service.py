"""The service gives the same answer to the same picture, whatever source it comes from."""

import base64
import io
import weakref

import pytest
from PIL import Image

from inkling import service as services
from inkling.pictures.budget import Budget
from inkling.problems import Problem
from inkling.recognition.predictor import classify_one
from inkling.service import Base64, Canvas, Decoded, File, Service, Upload
from inkling.storage import Storage, StoreError

REASONS = [
    "empty",
    "extension",
    "not-an-image",
    "unsupported",
    "too-large",
    "too-many-pixels",
    "truncated",
    "animated-too-long",
    "blank",
]


@pytest.fixture
def storage(settings):
    return Storage(settings)


@pytest.fixture
def service(settings, classifier, storage):
    return Service(settings, classifier, storage)


@pytest.fixture
def budget(settings):
    return Budget(settings.request_seconds)


@pytest.fixture
def look(service, budget, ink_model):
    """Asks the ink model about sources."""
    return lambda *sources, for_saving=False: service.look(sources, ink_model, budget, for_saving)


@pytest.fixture(params=["upload", "canvas", "base64", "data URL", "file", "decoded"])
def source(request, png, drawing, data_url, tmp_path):
    """Returns the same drawing as each kind of source."""
    (tmp_path / "one.png").write_bytes(png)
    return {
        "upload": Upload(io.BytesIO(png), "one.png"),
        "canvas": Canvas(data_url(png)),
        "base64": Base64(base64.b64encode(png).decode()),
        "data URL": Base64(data_url(png)),
        "file": File(tmp_path / "one.png"),
        "decoded": Decoded(drawing),
    }[request.param]


@pytest.fixture
def broken(bad_files):
    """Returns an upload that is refused for the given reason."""
    return lambda reason: Upload(io.BytesIO(bad_files[reason][1]), bad_files[reason][0])


def same(outcome, answer):
    """Returns whether an outcome has this answer, within the differences between a batch and a single picture."""
    return outcome.prediction.label == answer.label and outcome.prediction.confidence == pytest.approx(
        answer.confidence, abs=1e-4
    )


# ---- Looking ----


def test_every_kind_of_source_gets_the_same_answer(look, source, classifier, drawing, ink_model):
    (outcome,) = look(source)
    assert same(outcome, classify_one(classifier, drawing, classifier.catalog.model(ink_model)))
    assert outcome.kind == source.kind
    assert outcome.milliseconds.keys() == {"decode", "prepare", "infer"}


def test_a_batch_gets_the_answers_of_single_pictures(look, source, service, ink_model, classifier, drawing):
    answer = classify_one(classifier, drawing, classifier.catalog.model(ink_model))
    turned = Decoded(drawing.rotate(90, fillcolor="white"))
    assert [same(outcome, answer) for outcome in look(turned, source, turned)] == [False, True, False]
    ahead = service.look_ahead([turned, source, turned], ink_model)
    assert [same(outcome, answer) for outcome in ahead] == [False, True, False]


@pytest.mark.parametrize("reason", REASONS)
def test_a_refused_source_is_an_outcome_in_its_place(look, broken, source, reason):
    first, second, third = look(source, broken(reason), source)
    assert first.prediction.label == third.prediction.label
    assert second.answer.reason == reason
    assert second.picture is None
    with pytest.raises(Problem):
        second.prediction  # noqa: B018


def test_refusing_all_sources_is_no_failure(look, broken):
    assert [outcome.answer.reason for outcome in look(broken("empty"), broken("truncated"))] == ["empty", "truncated"]
    assert look() == []


def test_a_file_that_is_not_there_is_missing(look, tmp_path):
    (outcome,) = look(File(tmp_path / "absent.png"))
    assert (outcome.answer.reason, outcome.answer.received) == ("missing", "absent.png")


def test_an_unknown_model_is_refused_before_anything_is_read(service, budget):
    with pytest.raises(Problem, match="There is no model 'nope'"):
        service.look([Untouchable()], "nope", budget)
    with pytest.raises(Problem, match="There is no model 'nope'"):
        next(service.look_ahead([Untouchable()], "nope"))


# ---- Memory ----


class Untouchable(Decoded):
    """A source that fails the test if it is read."""

    def __init__(self):
        super().__init__(None)

    def read(self, settings, budget, at_least):
        raise AssertionError("it was read")


class Large:
    """Sources of pictures of 1600 x 1200 pixels. They record which pictures are in memory at the same time."""

    kind, name = "photo", ""

    def __init__(self):
        self._pictures, self.most, self.reads = [], 0, 0

    def read(self, settings, budget, at_least):
        image = Image.new("RGB", (1600, 1200), "white")
        self._pictures.append(weakref.ref(image))
        self.reads += 1
        self.most = max(self.most, sum(picture() is not None for picture in self._pictures))
        return image


@pytest.mark.parametrize("for_saving", [False, True])
def test_large_pictures_are_in_memory_one_at_a_time(service, budget, photo_model, for_saving):
    large = Large()
    outcomes = service.look([large] * 3, photo_model, budget, for_saving)
    assert large.most == 1
    assert [outcome.picture and outcome.picture.size for outcome in outcomes] == [
        (1024, 768) if for_saving else None
    ] * 3


def test_files_are_read_ahead_only_so_far(service, photo_model):
    large = Large()
    outcomes = service.look_ahead([large] * 200, photo_model)
    next(outcomes)
    assert large.reads <= services.BATCH + services.READ_AHEAD + 1
    outcomes.close()


@pytest.mark.parametrize("name, enough", [("cats-dogs-mobilenet", 320), ("digits-cnn", 400)])
@pytest.mark.parametrize("for_saving", [False, True])
def test_a_large_photo_is_read_no_larger_than_needed(settings, classifier, tmp_path, name, enough, for_saving):
    Image.effect_noise((2400, 1800), 90).convert("RGB").save(tmp_path / "a.jpg")
    settings = settings.replace(max_bytes=2**24, max_pixels=10**7)
    sizes = []

    class Watched(Upload):
        def read(self, *args):
            image = super().read(*args)
            sizes.append(image.size)
            return image

    with (tmp_path / "a.jpg").open("rb") as file:
        service = Service(settings, classifier, storage=None)
        service.look([Watched(file, "a.jpg")], name, Budget(settings.request_seconds), for_saving)
    least = 1024 if for_saving else enough
    assert least <= sizes[0][0] < 2.5 * least


# ---- Saving ----


def test_one_outcome_is_a_result(service, look, storage, source, ink_model):
    (outcome,) = outcomes = look(source, for_saving=True)
    saved = service.keep(outcomes, ink_model)
    assert saved.batch is None
    (id,) = saved.results
    result = storage.get(id)
    assert (result.label, result.wording) == (outcome.prediction.label, outcome.prediction.wording)
    assert (result.kind, result.milliseconds) == (source.kind, outcome.milliseconds)


def test_several_outcomes_are_a_batch_with_those_that_were_refused(service, look, storage, source, broken, ink_model):
    outcomes = look(source, broken("truncated"), source, for_saving=True)
    saved = service.keep(outcomes, ink_model)
    assert len(saved.results) == len(storage.get_all(saved.results)) == 2
    batch = service.storage.batch(saved.batch)
    assert [(entry.result, entry.reason) for entry in batch.entries] == [
        (saved.results[0], None),
        (None, "truncated"),
        (saved.results[1], None),
    ]


def test_nothing_is_saved_if_every_source_was_refused(service, look, broken, kept, ink_model):
    assert service.keep(look(broken("empty"), broken("blank"), for_saving=True), ink_model) is None
    assert kept() == []


@pytest.mark.parametrize("count", [1, 2])
def test_answers_are_returned_when_saving_fails(service, look, source, kept, storage, monkeypatch, ink_model, count):
    outcomes = look(*[source] * count, for_saving=True)
    put, turns = storage.blobs.put, iter(range(2 * count))  # two files for each result

    def full(*args):
        if next(turns) == 2 * count - 1:
            raise StoreError("the disk is full")
        return put(*args)

    monkeypatch.setattr(storage.blobs, "put", full)
    assert service.keep(outcomes, ink_model) is None
    assert kept() == []
