"""The features that a drawings' network offers to teach from."""

import keras
import numpy as np
import pytest

from inkling.config import Settings
from inkling.recognition.catalog import read_catalog
from inkling.recognition.runtimes import openvino
from training import doodles, export


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The ONNX file of an untrained network without features, and one with them."""
    keras.utils.set_random_seed(0)
    pictures = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    network, folders = doodles.network(5), [tmp_path_factory.mktemp(name) for name in ("plain", "teachable")]
    network = export.bare(network, doodles.RECIPES[0].input)
    network = keras.Model(network.inputs, [*network.outputs, keras.ops.max(network.outputs[0], 1, keepdims=True)])
    for folder, teachable in zip(folders, (False, True), strict=True):
        export.write_files(network, pictures, folder, teachable=teachable)
    return pictures, *(openvino.compile_onnx(folder / "model.onnx", threads=1) for folder in folders)


def test_answers_stay_bit_identical(files):
    pictures, plain, teachable = files
    for before, after in zip(plain(pictures), teachable(pictures), strict=False):
        assert np.array_equal(before, after)


def test_both_halves_of_the_features_sum_to_one(files):
    pictures, _, teachable = files
    assert teachable.outputs == ("probabilities", "familiarity", "features")
    features = teachable(pictures)[2]
    assert features.shape == (4, 160 + 128 * 9)
    assert features.min() >= 0
    for half in (features[:, :160], features[:, 160:]):
        assert half.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-4)


def test_a_network_without_pooling_is_refused(tmp_path):
    inputs = keras.Input((28, 28, 1))
    answers = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs))
    pictures = np.random.default_rng(0).random((4, 28, 28, 1), np.float32)
    with pytest.raises(ValueError, match="global average pooling"):
        export.write_files(keras.Model(inputs, answers), pictures, tmp_path, teachable=True)


def test_the_shipped_network_of_drawings_has_features():
    model = read_catalog(Settings.from_env().models).models["doodles-cnn"]
    answer = openvino.open_model(model, threads=1).answer(np.zeros((1, 28, 28, 1), np.float32))
    assert answer.features.shape == (1, 1312)
