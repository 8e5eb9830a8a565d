"""Taught classifiers: what is added is there, what is deleted comes back for a day, and quotas hold."""

import os
import shutil
from dataclasses import replace
from datetime import timedelta
from unittest import mock

import pytest
from PIL import Image

from inkling.pictures.budget import Budget
from inkling.problems import Problem
from inkling.recognition import strokes
from inkling.service import Decoded, File, Service
from inkling.storage import Storage, StoreError, prune, taught
from inkling.storage.backup import backup, restore
from inkling.storage.records import now
from inkling.teach import training
from inkling.teach.helper import Helper
from inkling.teach.learn import learn
from inkling.teach.teaching import Teaching, slug
from inkling.teach.types import Progress
from inkling.teach.worker import NICE
from tests.support.backbones import COLORS, SOFTMAX, network, write_backbone, write_card
from tests.support.storage import go_back
from tests.support.taught import BLUE, RED, colored, train
from tests.support.waiting import wait_until

OWNER = "local"

pytestmark = pytest.mark.databases("sqlite", "postgresql")


@pytest.fixture
def settings(settings, tmp_path):
    """Settings whose only model is a tiny backbone for photos."""
    write_backbone(tmp_path / "models", name="things")
    return settings.replace(models=tmp_path / "models")


@pytest.fixture
def teaching(settings):
    return Teaching(settings, Service.from_settings(settings), wake=lambda: None)


@pytest.fixture
def birds(teaching):
    return teaching.create("Our birds", "photo", OWNER)


def photo(shade, label="robin", name=""):
    return Decoded(Image.new("RGB", (8, 8), (shade * 40, 100, 100)), name=name), label


def pictures(settings):
    """Returns the keys of the pictures of all examples."""
    return [blob.key for blob in Storage(settings).taught._blobs.iterate()]


def names(teaching, id):
    return {label.name: label.count for label in teaching.get(id).labels}


def a_day_later():
    return mock.patch.object(taught, "now", return_value=now() + timedelta(days=1, seconds=1))


def refused(reason):
    return pytest.raises(Problem, check=lambda problem: problem.reason == reason)


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Our birds", "our-birds"),
        ("  Ça va?  ", "ca-va"),
        ("Птицы", "classifier"),
        ("x" * 90, "x" * 48),
        ("-", "classifier"),
    ],
)
def test_a_title_becomes_the_name_of_a_model(title, name):
    assert slug(title) == name


def test_names_of_models_are_unique(teaching):
    assert [teaching.create("Things", "photo", OWNER).name for _ in range(3)] == ["things-2", "things-3", "things-4"]


@pytest.mark.stores("folder", "s3")
def test_examples_arrive_with_their_labels(teaching, birds):
    added = teaching.add(birds.id, [photo(1, name="a/b.jpg"), photo(2, "wren"), photo(3, None)], "camera")
    assert names(teaching, birds.id) == {"robin": 1, "wren": 1}
    assert teaching.get(birds.id).unlabeled == 1
    assert teaching.examples(birds.id) == added
    assert [example.label for example in teaching.examples(birds.id, None)] == [None]
    assert (added[0].name, added[0].source) == ("b.jpg", "camera")
    assert teaching.picture(birds.id, added[0].id).startswith(b"\x89PNG")  # it is small
    assert teaching.thumbnail(birds.id, added[0].id).startswith(b"\x89PNG")


@pytest.mark.stores("folder", "s3")
def test_a_bad_picture_costs_itself_alone(teaching, birds, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff")
    results = teaching.add(birds.id, [photo(1), (File(tmp_path / "bad.jpg"), "robin"), photo(2), photo(2)])
    assert [getattr(result, "reason", None) for result in results] == [None, "truncated", None, "duplicate"]
    assert names(teaching, birds.id) == {"robin": 2}


def test_a_drawing_keeps_its_strokes(settings, models_folder):
    teaching = Teaching(settings, Service.from_settings(settings.replace(models=models_folder)), wake=lambda: None)
    marks = teaching.create("Marks", "ink", OWNER)
    line = strokes.Strokes.from_body({"strokes": [[[0, 200], [0, 200]]]})
    blank = Image.new("RGB", (50, 50), "white")
    results = teaching.add(
        marks.id, [(Decoded(line, "drawing"), "slash"), (Decoded(blank, "drawing"), "slash")], "canvas"
    )
    assert strokes.read(teaching.picture(marks.id, results[0].id)) is not None
    assert results[1].reason == "blank"


def test_examples_come_in_pages(teaching, birds):
    added = teaching.add(birds.id, [photo(shade) for shade in range(5)])
    assert teaching.examples(birds.id, limit=2) == added[:2]
    assert teaching.examples(birds.id, after=added[1].id, limit=2) == added[2:4]
    assert teaching.examples(birds.id, after=added[4].id) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda teaching, id, examples, label: teaching.move(id, examples, None),
        lambda teaching, id, examples, label: teaching.remove(id, examples),
        lambda teaching, id, examples, label: teaching.delete_label(id, label),
        lambda teaching, id, examples, label: teaching.rename_label(id, label, "wren")[1],
    ],
    ids=["move", "remove", "delete label", "rename label"],
)
def test_a_change_can_be_undone_once_and_for_a_day(teaching, birds, change):
    added = [example.id for example in teaching.add(birds.id, [photo(1), photo(2)])]
    before = teaching.get(birds.id)

    def make():
        return change(teaching, birds.id, added, before.labels[0].id)

    first = make()
    assert first.count == 2
    assert teaching.get(birds.id).labels != before.labels
    teaching.undo(birds.id, first.id)
    assert teaching.get(birds.id).labels == before.labels
    assert [example.id for example in teaching.examples(birds.id)] == added
    with refused("unknown-change"):
        teaching.undo(birds.id, first.id)
    second = make()
    with a_day_later(), refused("unknown-change"):
        teaching.undo(birds.id, second.id)


@pytest.mark.stores("folder", "s3")
def test_what_was_deleted_a_day_ago_is_purged(teaching, birds, settings):
    kept, gone = (example.id for example in teaching.add(birds.id, [photo(1), photo(2)]))
    teaching.remove(birds.id, [gone])
    storage = Service.from_settings(settings).storage.taught
    assert storage.purge() == 0
    with a_day_later():
        assert storage.purge() == 1
    assert pictures(settings) == [f"{kept}.png"]


def test_deleting_a_classifier_leaves_nothing(teaching, birds, settings):
    other = teaching.create("Others", "photo", OWNER)
    (left,) = teaching.add(other.id, [photo(1)])
    teaching.add(birds.id, [photo(1), photo(2, "wren")])
    teaching.delete(birds.id)
    with refused("unknown-classifier"):
        teaching.get(birds.id)
    assert pictures(settings) == [f"{left.id}.png"]
    assert teaching.all() == [teaching.get(other.id)]


def test_labels_have_names_of_their_own(teaching, birds):
    robin = teaching.add_label(birds.id, " robin ")
    assert robin.name == "robin"
    with refused("label-taken"):
        teaching.add_label(birds.id, "robin")
    wren = teaching.add_label(birds.id, "wren")
    with refused("label-taken"):
        teaching.rename_label(birds.id, wren.id, "robin")
    for bad in ("", " ", "a\0b", "x" * 65):
        with refused("bad-name"):
            teaching.rename_label(birds.id, wren.id, bad)
    assert teaching.rename_label(birds.id, wren.id, "Zaunkönig")[0].name == "Zaunkönig"
    with refused("unknown-label"):
        teaching.delete_label(birds.id, 10**6)


def test_a_label_has_its_name_again_unless_another_has_it(teaching, birds):
    robin = teaching.add_label(birds.id, "robin")
    first = teaching.rename_label(birds.id, robin.id, "wren")[1]
    second = teaching.rename_label(birds.id, robin.id, "finch")[1]
    teaching.undo(birds.id, second.id)
    assert names(teaching, birds.id) == {"wren": 0}
    deleted = teaching.delete_label(birds.id, robin.id)
    teaching.add_label(birds.id, "robin")
    teaching.undo(birds.id, deleted.id)
    teaching.undo(birds.id, first.id)
    assert names(teaching, birds.id) == {"robin": 0, "robin 2": 0}


@pytest.mark.parametrize(
    ("limit", "reason", "sentence"),
    [
        ({"teach_examples": 2}, "too-many-examples", "2 are allowed"),
        ({"teach_mb": 1}, "teaching-full", "1 MiB are allowed"),
    ],
)
def test_quotas_of_examples(settings, limit, reason, sentence):
    teaching = Teaching(settings.replace(**limit), Service.from_settings(settings), wake=lambda: None)
    birds = teaching.create("Birds", "photo", OWNER)
    noise = [(Decoded(Image.effect_noise((1024, 1024), 100 + i).convert("RGB")), "x") for i in range(3)]
    results = teaching.add(birds.id, noise)
    assert results[-1].reason == reason
    assert sentence in results[-1].message
    fish, others = (teaching.create("Fish", "photo", owner) for owner in (OWNER, "other"))
    (refusal,), (added,) = (teaching.add(one.id, noise[-1:]) for one in (fish, others))
    assert (refusal.reason, isinstance(added, Problem)) == (reason, False)  # it counts over an owner's classifiers
    teaching.remove(birds.id, [example.id for example in teaching.examples(birds.id)])
    assert not isinstance(teaching.add(fish.id, noise[-1:])[0], Problem)


def test_deleted_examples_take_as_much_space_again_at_most(settings):
    """Whoever adds and deletes in turn fills no disk."""
    teaching = Teaching(settings.replace(teach_mb=1), Service.from_settings(settings), wake=lambda: None)
    birds = teaching.create("Birds", "photo", OWNER)
    reasons = []
    for i in range(10):
        noise = Image.effect_noise((1024, 1024), 100 + i).convert("RGB")
        (added,) = teaching.add(birds.id, [(Decoded(noise), "x")])
        reasons.append(added.reason if isinstance(added, Problem) else None)
        teaching.remove(birds.id, [example.id for example in teaching.examples(birds.id)])
    assert reasons[0] is None
    assert reasons[-1] == "teaching-full"
    assert "for a day" in added.message


def test_the_quota_of_classifiers_is_each_owners(settings):
    teaching = Teaching(settings.replace(teach_classifiers=1), Service.from_settings(settings), wake=lambda: None)
    teaching.create("Birds", "photo", OWNER)
    teaching.create("Birds", "photo", "other")
    with refused("too-many-classifiers"):
        teaching.create("Fish", "photo", OWNER)
    assert [one.owner for one in teaching.all(OWNER)] == [OWNER]


# ---- Training ----


@pytest.fixture
def colors(teaching):
    """A classifier that was taught to tell red from blue."""
    made = teaching.create("Colors", "photo", OWNER)
    teaching.add(made.id, colored(RED, "red", 12) + colored(BLUE, "blue", 12, 1))
    train(teaching)
    return teaching.get(made.id)


def answers(service, model, *colors):
    pictures = [one[0] for color in colors for one in colored(color, None, 1, 9)]
    return [outcome.prediction for outcome in service.look(pictures, model, Budget(60))]


def test_a_change_trains_a_version_that_nobody_is_served_before_it_is_published(teaching, colors):
    assert (colors.newest, colors.live, colors.training) == (1, None, None)
    (short,) = teaching.versions(colors.id)
    version = teaching.version(colors.id, 1)
    assert (short.number, short.labels, short.better) == (1, version.labels, version.better)
    assert short.report.model_dump().items() <= version.report.model_dump().items()
    assert version.labels == ("red", "blue")
    assert version.examples == tuple(example.id for example in teaching.examples(colors.id))
    assert version.report.counts == (12, 12)
    (red,) = colored(RED, None, 1, 9)
    (outcome,) = teaching.look(colors.id, [red[0]], Budget(60))
    assert outcome.prediction.label == "red"
    with refused("unknown-model"):
        answers(teaching.service, "colors", RED)


@pytest.mark.stores("folder", "s3")
def test_a_published_version_answers_at_once(teaching, colors):
    teaching.publish(colors.id, 1)
    teaching.service.predictor.reload()
    assert [answer.label for answer in answers(teaching.service, "colors", RED, BLUE)] == ["red", "blue"]
    (card,) = [model.card for model in teaching.service.predictor.catalog.models.values() if model.card.taught]
    assert card.metrics.accuracy == teaching.versions(colors.id)[0].report.accuracy
    assert card.metrics.confusion == ((12, 0), (0, 12))
    teaching.unpublish(colors.id)
    teaching.service.predictor.reload()
    with refused("unknown-model"):
        answers(teaching.service, "colors", RED)


@pytest.mark.stores("folder", "s3")
def test_going_back_is_bit_identical(teaching, colors, settings):
    def published(number):
        teaching.publish(colors.id, number)
        teaching.service.predictor.reload()
        (answer,) = answers(teaching.service, "colors", RED)
        folder = settings.pictures / "taught" / "colors"
        return answer.probabilities.tobytes(), {path.name: path.read_bytes() for path in folder.iterdir()}

    first = published(1)
    teaching.add(colors.id, colored((20, 250, 20), "green", 3, 5))
    train(teaching)
    assert published(2) != first
    assert published(1) == first
    assert teaching.get(colors.id).live == 1


def test_a_newer_version_goes_live_by_itself_unless_it_is_worse(teaching, colors):
    teaching.publish(colors.id, 1)
    teaching.add(colors.id, colored(RED, "red", 2, 7))
    train(teaching)
    assert teaching.get(colors.id).live == 2
    teaching.add(colors.id, colored(RED, "blue", 40, 8))  # now red is mostly called blue
    train(teaching)
    assert [version.better for version in teaching.versions(colors.id)] == [False, True, None]
    assert (teaching.get(colors.id).live, teaching.get(colors.id).newest) == (2, 3)


def test_every_version_that_was_live_is_kept_and_the_figures_of_all(teaching, colors, settings, monkeypatch):
    monkeypatch.setattr(taught, "KEPT", 2)
    teaching.publish(colors.id, 1)
    first = teaching.version(colors.id, 1)
    figures = {1: first.report}
    for number in range(2, 6):  # the second goes live, and the others do not
        teaching.train(colors.id)
        if number > 2:
            monkeypatch.setattr(training.Training, "_compared", lambda _, classifier, version, rows: worse(version))
        train(teaching)
        figures[number] = teaching.version(colors.id, number).report
    versions = teaching.versions(colors.id)
    assert [(one.number, one.available) for one in versions] == [(5, True), (4, True), (3, False), (2, True), (1, True)]
    for one in versions:
        assert one.report.model_dump().items() <= figures[one.number].model_dump().items()
    with refused("unknown-version"):
        teaching.publish(colors.id, 3)
    assert teaching.version(colors.id, 1) == first
    teaching.publish(colors.id, 1)
    teaching.service.predictor.reload()
    assert answers(teaching.service, "colors", RED)[0].label == "red"


def worse(version):
    return replace(version, better=False)


def test_versions_from_before_count_as_having_been_live(teaching, colors, settings, monkeypatch):
    go_back(teaching.service.storage, "0012")
    monkeypatch.setattr(taught, "KEPT", 1)
    upgraded = Teaching(settings, Service.from_settings(settings), wake=lambda: None)
    upgraded.train(colors.id)
    train(upgraded)
    assert [(one.number, one.available) for one in upgraded.versions(colors.id)] == [(2, True), (1, True)]


def test_pixels_are_read_once(teaching, colors, settings):
    Storage(settings).taught._blobs.delete(pictures(settings))
    teaching.train(colors.id)
    train(teaching)
    assert teaching.get(colors.id).newest == 2


def upgrade(settings):
    """Puts another network in the place of the backbone, whose features are the largest values instead of the means."""
    folder = settings.models / "things"
    outputs = [("x", ["n", 8, 8, 3]), ("features", 3), ("probabilities", 3)]
    largest = ("ReduceMax", ["x"], ["features"], {"axes": [1, 2], "keepdims": 0})
    network(folder / "model.onnx", outputs, [largest, SOFTMAX], {})
    write_card(folder, labels=COLORS)


def bits(service):
    return answers(service, "colors", RED)[0].probabilities.tobytes()


def test_another_backbone_computes_the_features_again_while_the_old_one_serves(teaching, colors, settings):
    teaching.publish(colors.id, 1)
    teaching.service.predictor.reload()
    before = bits(teaching.service)
    upgrade(settings)
    teaching.service.predictor.reload()
    assert bits(teaching.service) == before  # by the network that is still open
    restarted = Teaching(settings, Service.from_settings(settings), wake=lambda: None)
    assert bits(restarted.service) == before  # by the network that was kept
    restarted.tend()
    assert restarted.get(colors.id).training == Progress("waiting")
    train(restarted)
    assert restarted.get(colors.id).live == 2
    restarted.service.predictor.reload()
    assert answers(restarted.service, "colors", RED)[0].label == "red"
    assert bits(restarted.service) != before
    restarted.publish(colors.id, 1)
    assert bits(Service.from_settings(settings)) == before
    assert restarted.export(colors.id, 1).read(2) == b"PK"


@pytest.mark.parametrize("lost", [False, True])
def test_a_worse_version_of_another_backbone_goes_live_only_where_none_could_answer(
    teaching, colors, settings, monkeypatch, lost
):
    teaching.publish(colors.id, 1)
    (kept,) = (settings.pictures / "taught" / ".versions").glob("backbone-*")
    if lost:
        shutil.rmtree(kept)
    upgrade(settings)
    monkeypatch.setattr(training.Training, "_compared", lambda _, classifier, version, rows: worse(version))
    restarted = Teaching(settings, Service.from_settings(settings), wake=lambda: None)
    restarted.tend()
    train(restarted)
    assert restarted.get(colors.id).live == (2 if lost else 1)
    assert answers(Service.from_settings(settings), "colors", RED)[0].label == "red"


def test_a_backbone_is_kept_as_long_as_a_version_needs_it(teaching, colors, settings):
    folders = settings.pictures / "taught" / ".versions"
    assert not folders.exists() or not list(folders.glob("backbone-*"))
    teaching.publish(colors.id, 1)
    assert len(list(folders.glob("backbone-*"))) == 1
    teaching.delete(colors.id)
    teaching.tend()
    assert not list(folders.glob("backbone-*"))


def test_a_training_can_be_cancelled(teaching, colors, monkeypatch):
    teaching.train(colors.id)
    teaching.cancel(colors.id)
    assert teaching.progress(colors.id) is None
    teaching.train(colors.id)
    monkeypatch.setattr(training, "NOTE_SECONDS", 0)
    with mock.patch.object(training, "learn", side_effect=lambda *_: teaching.cancel(colors.id) or learn(*_)):
        train(teaching)
    assert (teaching.get(colors.id).newest, teaching.progress(colors.id)) == (1, None)


def test_a_killed_training_is_done_again_but_not_forever(teaching, colors):
    class Killed(BaseException):
        pass

    def kill():
        with mock.patch.object(training, "learn", side_effect=Killed), pytest.raises(Killed):
            train(teaching)

    teaching.train(colors.id)
    kill()
    train(teaching)
    assert teaching.get(colors.id).newest == 2
    teaching.train(colors.id)
    for _ in range(taught.MOST_ATTEMPTS):
        kill()
    train(teaching)
    assert teaching.progress(colors.id).stage == "failed"
    assert teaching.get(colors.id).newest == 2


def test_a_change_during_training_is_learned_next(teaching, colors):
    def add(*arguments):
        if teaching.get(colors.id).newest == 1:
            teaching.add(colors.id, colored(RED, "red", 1, 11))
        return learn(*arguments)

    teaching.train(colors.id)
    with mock.patch.object(training, "learn", side_effect=add):
        train(teaching)
    assert teaching.progress(colors.id) == Progress("waiting")
    train(teaching)
    assert sum(teaching.versions(colors.id)[0].report.counts) == 25


def test_a_failure_says_why_in_the_log(teaching, colors, caplog):
    teaching.train(colors.id)
    with mock.patch.object(training, "learn", side_effect=ValueError("no solution")):
        train(teaching)
    assert teaching.progress(colors.id) == Progress(
        "failed", 0.0, "An error ended it, which the server's log describes."
    )
    assert "ValueError: no solution" in caplog.text


@pytest.mark.databases("sqlite")
def test_the_process_that_trains_lets_others_go_first(settings):
    helper = Helper(settings)
    helper.wake()
    process = helper._process
    least = min(os.nice(0) + NICE, 19)
    try:
        wait_until(lambda: os.getpriority(os.PRIO_PROCESS, process.pid) == least)
    finally:
        process.kill()
        process.communicate()


def test_too_few_examples_train_nothing(teaching, birds):
    teaching.add(birds.id, colored(RED, "red", 5) + colored(BLUE, "blue", 1))
    train(teaching)
    assert (teaching.get(birds.id).newest, teaching.progress(birds.id)) == (None, None)
    with refused("not-trained"):
        teaching.look(birds.id, [], Budget(60))


@pytest.mark.databases("sqlite")
def test_a_backup_takes_classifiers_along(teaching, colors, settings, tmp_path):
    teaching.publish(colors.id, 1)
    gone, kept = teaching.add(colors.id, colored(RED, "red", 2, 31))
    (settings.pictures / "examples" / f"{gone.id}.png").unlink()
    backup(settings, tmp_path / "a.tar")
    elsewhere = settings.replace(pictures=tmp_path / "restored")
    restore(tmp_path / "a.tar", elsewhere)
    restored = Teaching(elsewhere, Service.from_settings(elsewhere), wake=lambda: None)
    assert restored.versions(colors.id) == teaching.versions(colors.id)
    assert [one.id for one in restored.examples(colors.id)][-1] == kept.id
    assert gone not in restored.examples(colors.id)
    assert restored.picture(colors.id, kept.id) == teaching.picture(colors.id, kept.id)
    with refused("unknown-model"):
        answers(restored.service, "colors", RED)
    restored.tend()
    restored.service.predictor.reload()
    assert answers(restored.service, "colors", RED)[0].label == "red"


def test_an_upgrade_reads_the_figures_of_versions_from_their_reports(teaching, colors, settings):
    before = teaching.versions(colors.id)
    go_back(teaching.service.storage, "0007")
    assert Teaching(settings, Service.from_settings(settings), wake=lambda: None).versions(colors.id) == before


@pytest.mark.stores("folder", "s3")
def test_folders_follow_the_database(teaching, colors, settings):
    teaching.publish(colors.id, 1)
    link = settings.pictures / "taught" / "colors"
    target = link.readlink()
    link.unlink()
    (settings.pictures / "taught" / "gone").symlink_to(target)
    teaching.tend()
    assert link.readlink() == target
    assert sorted(path.name for path in (settings.pictures / "taught").iterdir()) == [".versions", "colors"]


@pytest.fixture
def elsewhere(teaching, settings, tmp_path):
    """Teaching on another machine, which shares the database and the bucket."""
    own = settings.replace(pictures=tmp_path / "elsewhere", database_url=settings.sqlalchemy_url)
    return Teaching(own, Service.from_settings(own), wake=lambda: None)


def looked(elsewhere):
    """Does what the housekeeper and the watcher of the models' folders do every two seconds and every second."""
    elsewhere.tend()
    elsewhere.service.predictor.reload()
    return elsewhere.service


@pytest.mark.stores("s3")
def test_another_machine_follows_what_is_published(teaching, colors, elsewhere):
    def answer():
        (answer,) = answers(looked(elsewhere), "colors", RED)
        return answer.probabilities.tobytes()

    def own():
        teaching.service.predictor.reload()
        (answer,) = answers(teaching.service, "colors", RED)
        return answer.probabilities.tobytes()

    with refused("unknown-model"):
        answer()
    teaching.publish(colors.id, 1)
    first = answer()
    assert first == own()
    teaching.add(colors.id, colored((20, 250, 20), "green", 3, 5))
    train(teaching)
    teaching.publish(colors.id, 2)
    assert answer() == own() != first
    teaching.publish(colors.id, 1)
    assert answer() == first
    elsewhere.unpublish(colors.id)
    looked(teaching)
    for machine in (teaching, elsewhere):
        with refused("unknown-model"):
            answers(looked(machine), "colors", RED)
    teaching.publish(colors.id, 1)
    assert answer() == first
    teaching.delete(colors.id)
    with refused("unknown-model"):
        answer()
    assert [*elsewhere.storage.copies._bucket.iterate(delimiter="")] == []


@pytest.mark.stores("s3")
def test_a_damaged_copy_is_never_served(teaching, colors, elsewhere, settings, caplog):
    teaching.publish(colors.id, 1)
    bucket = elsewhere.storage.copies._bucket
    (key,) = [blob.key for blob, _ in bucket.iterate(delimiter="") if blob.key.endswith("head.onnx")]
    whole = bucket.get(key)
    bucket.put(key, whole[:-1])
    elsewhere.storage.copies.synchronize()
    assert "the head.onnx of model colors is missing in the object store or damaged" in caplog.text
    assert elsewhere.storage.folders.names() == []
    bucket.put(key, whole)
    elsewhere.storage.copies.synchronize()
    assert elsewhere.storage.folders.names() == ["colors"]


@pytest.mark.stores("s3")
@pytest.mark.parametrize("text", [b"{", b"[]", b'{"version": "../..", "files": {}}'])
def test_a_file_of_others_among_the_models_is_passed_over(teaching, colors, elsewhere, caplog, text):
    teaching.publish(colors.id, 1)
    elsewhere.storage.copies._bucket.put("models/a.json", text)  # comes first
    elsewhere.storage.copies.synchronize()
    assert "models/a.json that Inkling did not publish" in caplog.text
    assert elsewhere.storage.folders.names() == ["colors"]


@pytest.mark.stores("s3")
def test_what_was_published_answers_while_the_store_is_away(teaching, colors, elsewhere, monkeypatch):
    teaching.publish(colors.id, 1)
    assert answers(looked(elsewhere), "colors", RED)
    for machine in (teaching, elsewhere):
        monkeypatch.setattr(machine.storage.copies._bucket, "_name", "no-such-bucket")
    assert answers(looked(elsewhere), "colors", RED)
    with pytest.raises(StoreError, match="there is no such bucket"):
        teaching.unpublish(colors.id)
    assert teaching.get(colors.id).live == 1
    assert answers(looked(teaching), "colors", RED)


def test_retention_and_quota_of_results_leave_examples(teaching, colors, settings):
    strict = settings.replace(quota_mb=1, retention_days=1)
    storage = Storage(strict)
    assert storage.taught.database_bytes() > 0
    assert prune(storage, strict).results == 0
    assert len(list((settings.pictures / "examples").iterdir())) == 24
    assert len(teaching.versions(colors.id)) == 1
    assert storage.saved_bytes() == max(0, storage.database.used_bytes() - storage.taught.database_bytes())


# ---- Who is served ----


def published(teaching, colors, **flags):
    teaching.publish(colors.id, 1)
    teaching.update(colors.id, **flags)
    teaching.service.predictor.reload()
    return teaching.service


@pytest.mark.parametrize(("listed", "sees"), [(False, {OWNER}), (True, {OWNER, "other", ""})])
def test_an_unlisted_classifier_is_its_owners(teaching, colors, listed, sees):
    service = published(teaching, colors, listed=listed)
    for owner in (OWNER, "other", ""):
        seen = service.seen_by(owner)
        assert ("colors" in {card.name for card in seen.predictor.catalog}) == (owner in sees)
        if owner in sees:
            assert answers(seen, "colors", RED)[0].label == "red"
        else:
            with refused("unknown-model"):
                answers(seen, "colors", RED)
            assert "colors" not in seen.predictor.catalog.serving


@pytest.mark.parametrize(
    ("auto", "color", "answers_it"), [(True, RED, True), (False, RED, False), (True, (20, 250, 20), False)]
)
def test_auto_answers_with_it_only_if_its_owner_chose_so_and_it_is_sure(teaching, colors, auto, color, answers_it):
    service = published(teaching, colors, auto=auto)
    (answer,) = answers(service, None, color)
    assert (answer.model, answer.route) == (("colors", "taught") if answers_it else ("things", "photo"))
    assert ("colors" in answer.asked) == auto
    (answer,) = answers(service.seen_by("other"), None, color)
    assert answer.asked == ("things",)


# ---- Review ----


def test_a_review_names_wrong_labels_near_duplicates_and_what_to_label(teaching, colors):
    (wrong,) = teaching.add(colors.id, colored(RED, "blue", 1, 21))
    unlabeled = teaching.add(colors.id, colored(BLUE, None, 1, 23) + colored((130, 20, 130), None, 1, 24))
    train(teaching)
    found = teaching.review(colors.id)
    # All other pictures of a color are alike. While they are held out, little of it is known, and nothing to doubt.
    (doubt,) = found.doubtful
    assert [label.name for label in found.uniform] == ["red", "blue"]
    assert {error.given.name for error in found.errors} == {"blue"}
    assert len(found.errors) == 1
    assert (doubt.example, doubt.given.name, doubt.suggested.name) == (wrong, "blue", "red")
    assert [suggestion.example for suggestion in found.next] == unlabeled[::-1]
    assert found.next[1].labels[0].name == "blue"
    assert {example.label for group in found.duplicates for example in group} <= {one.id for one in colors.labels}
    teaching.move(colors.id, [wrong.id], doubt.suggested.id)
    assert wrong.id not in {doubt.example.id for doubt in teaching.review(colors.id).doubtful}


def test_before_the_first_version_everything_is_to_be_labeled(teaching, birds):
    teaching.add_label(birds.id, "robin")
    added = teaching.add(birds.id, [photo(1, None)])
    found = teaching.review(birds.id)
    assert ([one.example for one in found.next], found.doubtful, found.most_needed) == (added, (), None)
