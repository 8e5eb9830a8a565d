"""Corrections are added to the training data, preprocessed as in serving, and training continues from the shipped
weights."""

import keras
import numpy as np
import pytest
from PIL import Image, ImageDraw

from inkling.recognition import catalog, inputs
from inkling.recognition.card import InputSpec, read_card
from inkling.storage.corrections import folder_of
from tests.support.recipes import toy_recipe
from training import __main__ as cli
from training import augment, corrections, data, fit, mirror, registry
from training.data import Dataset, Split
from training.recipe import Recipe

INK = InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="mnist")
PHOTO = InputSpec(kind="photo", width=12, height=10, channels=3, scaling="signed", layout="squeeze")


def network(labels):
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(4)(inputs))
    return keras.Model(inputs, keras.layers.Dense(labels, activation="softmax")(x))


TOY = toy_recipe(
    dataset="mnist",
    input=INK,
    build=network,
    augment=augment.drawings,
    epochs=2,
    learning_rate=0.02,
    average=0.9,
)


def dataset(size=600, shape=(28, 28), labels="0123456789"):
    rng = np.random.default_rng(0)
    split = Split(rng.integers(0, 255, (size, *shape), np.uint8), np.arange(size) % len(labels))
    return Dataset("mnist", tuple(labels), split, split, split, "Ours.")


def stroke(width=16):
    image = Image.new("RGB", (400, 400), "white")
    ImageDraw.Draw(image).line([(150, 80), (220, 320)], "black", width)
    return image


@pytest.fixture
def export(tmp_path):
    """Writes corrections as `inkling corrections export` does, and returns their folder."""

    def export(*labels, task="digits", picture=None):
        for i, label in enumerate(labels):
            folder = tmp_path / "told" / task / folder_of(label)
            folder.mkdir(parents=True, exist_ok=True)
            (picture or stroke()).save(folder / f"{i}.png")
        return tmp_path / "told"

    return export


# ---- Reading ----


def test_a_drawing_is_read_as_the_model_will_see_it(export):
    taught = corrections.read(export("1", "7"), TOY, dataset())
    assert taught.x.dtype == np.uint8
    assert taught.y.tolist() == [1, 7]
    assert (taught.x[0] == inputs.ink(stroke(), "mnist")[..., 0]).all()


def test_a_photo_gets_the_size_of_the_data_sets(export):
    recipe = Recipe(**{**vars(TOY), "task": "objects", "input": PHOTO})
    picture = Image.linear_gradient("L").convert("RGB")
    taught = corrections.read(
        export("cat", task="objects", picture=picture), recipe, dataset(shape=(32, 24, 3), labels=("dog", "cat"))
    )
    assert taught.x.shape == (1, 32, 24, 3)
    assert (taught.x[0] == inputs.photo(picture, 24, 32)).all()


def test_a_label_may_hold_anything(export):
    taught = corrections.read(export("a/b", ".."), TOY, dataset(labels=("..", "a/b")))
    assert sorted(taught.y) == [0, 1]


def test_a_blank_drawing_is_left_out_and_named(export, capsys):
    folder = export("1", "2")
    Image.new("RGB", (400, 400), "white").save(folder / "digits" / "1" / "0.png")
    assert corrections.read(folder, TOY, dataset()).y.tolist() == [2]
    assert "0.png is left out: nothing is drawn in it." in capsys.readouterr().out


@pytest.mark.parametrize(
    "spoil, says",
    [
        (lambda folder: None, "Received: no file"),
        (lambda folder: stroke().save(folder / "digits" / "zero.png"), "Received: no file"),
        (
            lambda folder: (folder / "digits" / "zero").mkdir() or stroke().save(folder / "digits" / "zero" / "0.png"),
            "must be named by a label of mnist: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9. Received: zero",
        ),
        (
            lambda folder: (
                (folder / "digits" / "1").mkdir() or (folder / "digits" / "1" / "0.png").write_text("no picture")
            ),
            "0.png must be a picture. Received: ",
        ),
        (
            lambda folder: (
                (folder / "digits" / "1").mkdir() or Image.new("RGB", (40, 40)).save(folder / "digits" / "1" / "0.png")
            ),
            "Received: blank drawings only",
        ),
    ],
    ids=["nothing", "no label", "another label", "no picture", "blank"],
)
def test_corrections_that_cannot_be_learned_are_reported(tmp_path, spoil, says):
    (tmp_path / "digits").mkdir()
    spoil(tmp_path)
    with pytest.raises(ValueError, match=".") as caught:
        corrections.read(tmp_path, TOY, dataset())
    assert says in str(caught.value)


# ---- Mixing ----


@pytest.mark.parametrize(
    "size, count, times", [(600, 1, 31), (600, 5, 6), (600, 200, 1), (20_000, 50, 5), (20_000, 1, 40)]
)
def test_corrections_are_repeated_but_stay_a_minority(size, count, times):
    whole = dataset(size)
    taught = Split(np.full((count, 28, 28), 7, np.uint8), np.zeros(count, np.int64))
    mixed = corrections.mixed(TOY, whole, taught, seed=0)
    ours = (mixed.train.x == 7).all(axis=(1, 2))
    assert ours.sum() == count * times
    assert (~ours).sum() == min(size, corrections.REHEARSED)
    assert (mixed.train.y[ours] == 0).all()
    assert (mixed.held_out, mixed.test) == (whole.held_out, whole.test)


def test_rehearsal_repeats_rare_labels_as_the_recipe_does():
    y = np.repeat([0, 1], [19_900, 100])
    whole = dataset(20_000, labels="01")
    rare = Dataset(**{**vars(whole), "train": Split(whole.train.x, y)})
    taught = Split(np.zeros((1, 28, 28), np.uint8), np.zeros(1, np.int64))
    mixed = corrections.mixed(Recipe(**{**vars(TOY), "fewest": 5_000}), rare, taught, seed=0)
    assert np.mean(mixed.train.y == 1) == pytest.approx(0.2, abs=0.01)


def test_estimators_are_fitted_on_all_training_pictures(export, tmp_path):
    recipe = Recipe(**{**vars(TOY), "fit": lambda *_: None})
    lesson = corrections.lesson(export("1"), recipe, dataset(20_000), tmp_path / "no-models", seed=0)
    assert len(lesson.dataset.train.y) == 20_000 + corrections.REPEATED
    assert lesson.recipe is recipe


# ---- Continued training ----


@pytest.mark.parametrize("name", [name for name, recipe in registry.recipes().items() if recipe.fit is None])
def test_training_continues_from_the_shipped_network(models_folder, name):
    """Before it is trained further, the network answers like the served model."""
    model = catalog.read_catalog(models_folder).models.get(name)
    if model is None or not (model.folder / "model.keras").exists():
        pytest.skip(f"{name} is not here")
    from inkling.recognition.runtimes import base, openvino

    recipe = corrections.going_on(registry.recipes()[name], model)
    network = recipe.build(len(model.card.labels))
    spec = model.card.input
    x = np.random.default_rng(0).random((4, spec.height, spec.width, spec.channels), np.float32)
    whole = mirror.mirrored(network, recipe.nudge) if recipe.mirror else network
    answers = base.Answering(lambda batch: keras.tree.flatten(whole(batch, training=False)), recipe.mirror_below)(x)
    assert answers == pytest.approx(openvino.open_model(model)(x), abs=2e-3)
    assert network.trainable_weights


@pytest.fixture
def prepared(prepare_bars):
    prepare_bars(TOY)


def test_the_card_records_the_corrections_and_the_command(prepared, export, tmp_path, capfd, monkeypatch):
    models, folder = str(tmp_path / "models"), export("1", "1", "7")
    assert cli.main(["train", "toy", "--models", models]) == 0
    before = read_card(tmp_path / "models" / "toy")
    assert before.training.corrections == 0
    seen = []
    shared = fit.fit
    monkeypatch.setattr(fit, "fit", lambda recipe, dataset, run: seen.append(dataset) or shared(recipe, dataset, run))
    assert cli.main(["train", "toy", "--models", models, "--corrections", str(folder)]) == 0
    after = read_card(tmp_path / "models" / "toy")
    assert after.training.corrections == 3
    assert after.training.command == f"python -m training train toy --seed 0 --corrections {folder}"
    assert after.training.train_size == before.training.train_size
    assert after.training.epochs == before.training.epochs + corrections.EPOCHS
    assert len(after.history["loss"]) == after.training.epochs
    assert "corrections learned 3" in " ".join(capfd.readouterr().out.split())
    whole = data.load("mnist")
    (mixed,) = seen
    for part in ("held_out", "test"):
        assert (getattr(mixed, part).x == getattr(whole, part).x).all()


def test_a_network_is_trained_further_on_all_pictures(prepared, tmp_path, capfd, monkeypatch):
    models = str(tmp_path / "models")
    assert cli.main(["train", "toy", "--models", models]) == 0
    seen = []
    shared = fit.fit
    monkeypatch.setattr(fit, "fit", lambda *given: seen.append(given) or shared(*given))
    assert cli.main(["train", "toy", "--models", models, "--epochs", "3", "--further"]) == 0
    card = read_card(tmp_path / "models" / "toy")
    assert card.training.command == "python -m training train toy --seed 0 --epochs 3 --further"
    assert card.training.epochs == len(card.history["loss"]) == TOY.epochs + 3
    assert card.training.corrections == 0
    ((recipe, dataset, _),) = seen
    assert (dataset.train.x == data.load("mnist").train.x).all()
    assert recipe.learning_rate == TOY.learning_rate / corrections.FURTHER
    assert (recipe.average, recipe.keep) == (TOY.average, corrections.KEEP)


def test_without_a_model_there_is_nothing_to_teach(prepared, export, tmp_path, capfd):
    assert cli.main(["train", "toy", "--models", str(tmp_path / "none"), "--corrections", str(export("1"))]) == 1
    assert "toy must be there to be taught: card.json cannot be read" in capfd.readouterr().err
    assert not (tmp_path / "none" / "toy").exists()
