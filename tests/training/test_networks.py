"""Networks with branches, tied weights or other special parts compute what their definitions say."""

import keras
import numpy as np
import pytest

from inkling.recognition import inputs
from inkling.recognition.card import InputSpec
from tests.support.recipes import toy_recipe
from training import augment, mirror, mobilenet, objects, vgg16
from training.data import Dataset, Split
from training.recipe import Run

SIDE = 32
PHOTO = InputSpec(kind="photo", width=SIDE, height=SIDE, channels=3, scaling="signed", layout="squeeze")
TRANSFER = toy_recipe(
    task="cats-dogs",
    input=PHOTO,
    build=vgg16.network,
    augment=augment.photos,
    epochs=2,
    batch=4,
    learning_rate=1e-3,
)


def photos(count, seed=0):
    """Pictures of two labels: dark noise and light noise."""
    y = np.arange(count) % 2
    x = np.random.default_rng(seed).integers(0, 128, (count, SIDE, SIDE, 3), np.uint8)
    return Split(x + (y * 127).astype(np.uint8)[:, None, None, None], y)


@pytest.fixture(scope="module")
def dataset():
    return Dataset("toy", ("dark", "light"), photos(8), photos(4, 1), photos(4, 2), "made here")


def shaken(model):
    """Gives random weights to the batch normalization layers of a model."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return model


# ---- MobileNetV2 ----


def test_the_folded_mobilenet_is_mobilenet(tmp_path):
    keras.utils.set_random_seed(0)
    whole = shaken(keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(160, 160, 3)))
    whole.save_weights(tmp_path / "backbone.weights.h5")
    model = mobilenet.network(2)
    mobilenet.load_backbone(model, tmp_path / "backbone.weights.h5")
    x = np.random.default_rng(1).uniform(-1, 1, (2, 160, 160, 3)).astype(np.float32)
    wanted = whole(x, training=False).numpy().mean(axis=(1, 2))
    got = keras.Model(model.input, model.get_layer("features").output)(x).numpy()
    assert np.abs(wanted).max() > 0.1
    assert got == pytest.approx(wanted, abs=1e-3)


# ---- VGG16 ----


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """VGG16 with random convolutions at an eighth of its width, and the weights that `load_pretrained` is given."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vgg16, "BLOCKS", [(channels // 8, count) for channels, count in vgg16.BLOCKS])
        keras.utils.set_random_seed(0)
        whole = vgg16.network(2)
    path = tmp_path_factory.mktemp("weights") / "vgg16.npz"
    parts = [layer for layer in whole.layers if isinstance(layer, keras.layers.Conv2D)]
    np.savez(path, **{f"{one.name}/{part.name}": part.numpy() for one in parts for part in one.weights})
    return whole, path


@pytest.mark.parametrize("named", ["npz", "h5"])
def test_vgg16_sees_a_picture_as_its_pretrained_weights_expect(named, tmp_path):
    keras.utils.set_random_seed(0)
    whole = keras.applications.VGG16(include_top=False, weights=None)
    path = tmp_path / "vgg16.weights.h5"
    if named == "h5":
        whole.save_weights(path)
    else:
        path = tmp_path / "vgg16.npz"
        parts = [layer for layer in whole.layers if layer.weights]
        np.savez(
            path, **{f"{one.name}/{part.name}": part.numpy().astype("float16") for one in parts for part in one.weights}
        )
    model = vgg16.network(2)
    vgg16.load_pretrained(model, str(path))
    picture = np.random.default_rng(1).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)
    as_imagenet = keras.applications.vgg16.preprocess_input(picture.astype(np.float32))
    layer = "block1_conv1"
    wanted = keras.Model(whole.input, whole.get_layer(layer).output)(as_imagenet).numpy()
    got = keras.Model(model.input, model.get_layer(f"{layer}_relu").output)(inputs.scale(picture, "signed")).numpy()
    inside = np.s_[:, 1:-1, 1:-1]  # at the rim, the padding has another gray level
    assert got[inside] == pytest.approx(wanted[inside], abs=0.05 if named == "npz" else 1e-2)


@pytest.mark.usefixtures("thin_vgg16")
def test_transfer_keeps_the_first_blocks_and_tunes_the_last(backbone, dataset, tmp_path, monkeypatch):
    whole, path = backbone
    monkeypatch.setenv("INKLING_DATA", str(tmp_path))
    given = {layer.name: layer.get_weights() for layer in whole.layers}
    fitted = vgg16.train(TRANSFER, dataset, Run(epochs=2, weights=str(path)))
    assert fitted.epochs == 4  # two for the head, two for the last block as well
    assert {key: len(values) for key, values in fitted.history.items()} == dict.fromkeys(fitted.history, 4)
    kernel = {layer.name: layer.get_weights()[0] for layer in fitted.model.layers if layer.weights}
    assert np.array_equal(kernel["block4_conv3"], given["block4_conv3"][0])
    assert not np.array_equal(kernel["block5_conv3"], given["block5_conv3"][0])


def test_what_the_frozen_blocks_see_is_computed_once(dataset, tmp_path, monkeypatch):
    monkeypatch.setenv("INKLING_DATA", str(tmp_path))
    frozen = keras.Sequential([keras.Input((None, None, 3)), keras.layers.Conv2D(2, 3)])

    def responses(pictures):
        return vgg16.responses(frozen, pictures, vgg16.enlarged, SIDE, "signed")

    first = responses(dataset.train.x)
    assert first == pytest.approx(frozen.predict(inputs.scale(dataset.train.x, "signed"), verbose=0), abs=0.05)
    monkeypatch.setattr(vgg16, "compute", None)
    assert np.array_equal(responses(dataset.train.x), first)
    with pytest.raises(TypeError):
        responses(dataset.held_out.x)


# ---- Objects ----


def test_the_first_layer_whitens():
    """Across all patches, its outputs have variance 1 and no correlation."""
    rng = np.random.default_rng(0)
    pictures = rng.normal(0, 1, (50, objects.SIDE, objects.SIDE, 3)).cumsum(axis=2).astype(np.float32)
    model = objects.network(10)
    objects.initialise(model, pictures)
    layer = model.get_layer("whitening")
    out = keras.Model(model.input, layer.output)(pictures).numpy().reshape(-1, layer.filters)
    half = layer.filters // 2
    assert np.cov(out[:, :half], rowvar=False) == pytest.approx(np.eye(half), abs=0.02)
    # The values may differ by rounding: a processor may add the products of the two halves in another order.
    assert out[:, half:] == pytest.approx(-out[:, :half], abs=1e-5)
    assert not layer.trainable


def test_the_other_convolutions_start_by_passing_on_what_they_get():
    model = objects.network(10)
    objects.initialise(model, np.random.default_rng(0).random((4, objects.SIDE, objects.SIDE, 3), np.float32))
    layer = model.get_layer("group2_conv1")
    x = np.random.default_rng(1).random((1, 15, 15, 64), np.float32)
    assert layer(x).numpy()[..., :64] == pytest.approx(x)


# ---- Averages of several views ----


def moved(x, down):
    """Moves pictures by one pixel, down and right (1) or up and left (-1), with mirrored rims."""
    wide = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    return wide[:, 1 - down :, 1 - down :][:, :8, :8]


@pytest.mark.parametrize("nudge", [0, 1])
def test_a_mirrored_network_averages_a_picture_and_its_mirror_image(tmp_path, nudge):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(inputs)
    once = keras.Model(inputs, [keras.layers.Dense(3, activation="softmax")(x), keras.layers.Dense(1)(x)])
    mirror.mirrored(once, nudge).save(tmp_path / "twice.keras")
    twice = keras.saving.load_model(tmp_path / "twice.keras", safe_mode=True)
    x = np.random.default_rng(0).random((5, 8, 8, 3), np.float32)
    views = [x, x, moved(x, 1), moved(x, -1)] if nudge else [x]
    asked = [once(view) for one in views for view in (one, one[:, :, ::-1])]
    wanted = [np.mean(same, axis=0) for same in zip(*asked, strict=True)]
    for got, expected in zip(twice(x), wanted, strict=True):
        assert np.asarray(got) == pytest.approx(expected, abs=1e-5)
    assert mirror.nudge_of(twice) == nudge
    assert mirror.plain(twice).count_params() == once.count_params()
    assert mirror.plain(once) is once
