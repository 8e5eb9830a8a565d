"""Weights stored as float16 halve the file and hardly change the answers."""

import keras
import numpy as np
import onnx
import pytest

from inkling.recognition.runtimes import openvino
from training import export
from training.half import LARGEST, halve, pack, round_weights, rounded
from training.recipe import Recipe

SPARE = Recipe.spare


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).random((9, 28, 28, 1), np.float32)


@pytest.fixture
def network():
    """Convolutions and a dense layer that are large enough for float16, and biases that are too small."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Conv2D(32, 3, strides=2, activation="relu")(inputs)
    x = keras.layers.Conv2D(64, 3, strides=2, activation="relu")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))


def stored(path):
    """Returns the number types of an ONNX file: of tensors large enough for float16 (True) and of others (False)."""
    kinds = {True: set(), False: set()}
    for tensor in onnx.load(path).graph.initializer:
        if tensor.data_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
            kinds[np.prod(tensor.dims) >= 1024].add(tensor.data_type)
    return kinds


def test_half_the_size_and_nearly_the_same_answers(network, pictures, tmp_path):
    for name in ("whole", "half"):
        (tmp_path / name).mkdir()
    whole = export.write_files(network, pictures, tmp_path / "whole")
    half = export.write_files(network, pictures, tmp_path / "half", spare=SPARE)
    sizes = [(tmp_path / name / "model.onnx").stat().st_size for name in ("whole", "half")]
    assert 0.45 < sizes[1] / sizes[0] < 0.55
    assert stored(tmp_path / "half" / "model.onnx") == {
        True: {onnx.TensorProto.FLOAT16},
        False: {onnx.TensorProto.FLOAT},
    }
    assert 0 < np.abs(half(pictures) - whole(pictures)).max() < 5e-3
    rounded = keras.saving.load_model(tmp_path / "half" / "model.keras", safe_mode=True)
    assert half(pictures) == pytest.approx(rounded(pictures).numpy(), abs=1e-5)


def test_weights_are_rounded_to_seven_bits_of_mantissa():
    weights = np.random.default_rng(0).normal(0, 0.05, 5000).astype(np.float32)
    near = rounded(np.concatenate([weights, [0, -0.0, LARGEST, -LARGEST]]).astype(np.float32), SPARE)
    assert near.dtype == np.float16
    assert not (near.view(np.uint16) & 7).any()
    normal = np.abs(weights) > np.finfo(np.float16).tiny
    assert near[:5000][normal].astype(np.float32) == pytest.approx(weights[normal], rel=2**-8 + 2**-11)
    assert near[5000:].tolist() == [0, 0, LARGEST, -LARGEST]


def test_a_packed_file_is_smaller_and_the_same(network, tmp_path):
    path = tmp_path / "model.keras"
    round_weights(network, SPARE)
    network.save(path)
    before = path.stat().st_size
    pack(path)
    assert path.stat().st_size < 0.75 * before
    again = keras.saving.load_model(path, safe_mode=True)
    for weight, same in zip(network.weights, again.weights, strict=True):
        assert np.array_equal(weight.numpy(), same.numpy())


def test_what_float16_cannot_hold_stays_float32(pictures, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(2, kernel_initializer=keras.initializers.Constant(2 * LARGEST)),
            keras.layers.Rescaling(1e-12),
        ]
    )
    export.write_files(model, pictures, tmp_path)
    (before,) = openvino.compile_onnx(tmp_path / "model.onnx")(pictures)
    halve(tmp_path / "model.onnx")
    assert stored(tmp_path / "model.onnx")[True] == {onnx.TensorProto.FLOAT}
    assert openvino.compile_onnx(tmp_path / "model.onnx")(pictures)[0] == pytest.approx(before)


def test_answers_too_far_from_keras_are_refused(network, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "PARITY", 0)
    with pytest.raises(ValueError, match="ONNX must give what Keras gives, to 0. Received: a difference of"):
        export.write_files(network, pictures, tmp_path, spare=SPARE)
