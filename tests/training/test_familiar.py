"""The second output is lower for unfamiliar pictures, and the model's file needs no code of this project."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from inkling.recognition.card import InputSpec
from training import evaluate, familiar
from training.data import Split

INK = InputSpec(kind="ink", width=28, height=28, channels=1, scaling="unit", layout="mnist")


def bars(count, upright=True):
    """Noise with a bar at one of two places: pictures as uint8 [n, 28, 28], labels as int64 [n]."""
    y = np.arange(count) % 2
    x = np.random.default_rng(count).integers(0, 60, (count, 28, 28), np.uint8)
    for i, label in enumerate(y):
        x[i, 2:26, 6 + 12 * label : 10 + 12 * label] = 255
    return (x if upright else x.swapaxes(1, 2)), y


def as_batch(x):
    return x[..., None].astype(np.float32) / 255


@pytest.fixture(scope="module", params=["softmax", "sigmoid", "linear"])
def learned(request):
    """A small network trained on upright bars, without and with familiarity."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Flatten()(keras.layers.AveragePooling2D(2)(inputs))
    if request.param != "linear":
        x = keras.layers.Dense(32, activation="relu")(x)
        x = keras.layers.Dropout(0.2)(x)
    last = keras.layers.Dense(1, "sigmoid") if request.param == "sigmoid" else keras.layers.Dense(2, "softmax")
    model = keras.Model(inputs, last(x))
    model.compile("adam", f"{'binary' if request.param == 'sigmoid' else 'sparse_categorical'}_crossentropy")
    x, y = bars(400)
    model.fit(as_batch(x), y, epochs=5, verbose=0)
    return model, familiar.with_familiarity(model, Split(x, y), INK)


def test_unfamiliar_pictures_score_lower(learned):
    _, both = learned
    seen, strange = (both.predict(as_batch(bars(200, upright)[0]), verbose=0)[1] for upright in (True, False))
    assert seen.shape == (200, 1)
    assert evaluate.auroc(seen[:, 0], strange[:, 0]) > 0.95


def test_the_answers_stay_as_they_are(learned):
    model, both = learned
    batch = as_batch(bars(20)[0])
    wanted = model.predict(batch, verbose=0)
    assert (both.predict(batch, verbose=0)[0] == wanted).all()
    alone = familiar.plain(both)
    assert (alone.predict(batch, verbose=0) == wanted).all()
    assert [layer.name for layer in alone.layers] == [layer.name for layer in model.layers]
    assert familiar.plain(alone) is alone


@pytest.mark.parametrize("learned", ["softmax"], indirect=True)  # each starts TensorFlow once more
def test_the_file_needs_none_of_our_code(learned, tmp_path):
    _, both = learned
    both.save(tmp_path / "model.keras")
    batch = as_batch(bars(5)[0])
    np.save(tmp_path / "batch.npy", batch)
    code = (
        "import keras, numpy as np, sys; model = keras.saving.load_model('model.keras', safe_mode=True);"
        "np.save('scores.npy', model.predict(np.load('batch.npy'), verbose=0)[1]); print('training' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"
    assert np.load(tmp_path / "scores.npy") == pytest.approx(both.predict(batch, verbose=0)[1], abs=1e-5)


def test_familiarity_of_a_linear_network_is_the_distance_to_a_typical_picture(monkeypatch):
    monkeypatch.setattr(familiar, "TYPICAL", 2)
    inputs = keras.Input((28, 28, 1))
    model = keras.Model(inputs, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(inputs)))
    x, y = bars(200)
    both = familiar.with_familiarity(model, Split(x, y), INK)
    pictures = as_batch(bars(50)[0]).reshape(50, -1)
    middles = np.stack([as_batch(x[y == label]).reshape(100, -1).mean(axis=0) for label in (0, 1)])
    wanted = -np.linalg.norm(pictures[:, None] - middles, axis=2).min(axis=1)
    familiarity = both.predict(pictures.reshape(-1, 28, 28, 1), verbose=0)[1][:, 0]
    assert np.corrcoef(familiarity, wanted)[0, 1] == pytest.approx(1, abs=1e-3)


def test_with_centered_logits_familiarity_is_the_distance_from_the_uniform_answer():
    inputs = keras.Input((28, 28, 1))
    x = keras.layers.Dense(8, activation="relu")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(x))
    both = familiar.with_familiarity(model, Split(*bars(200)), INK, centred=True)
    answers, familiarity = both.predict(as_batch(bars(50)[0]), verbose=0)
    assert np.corrcoef(familiarity[:, 0], -np.log(answers).mean(axis=1))[0, 1] == pytest.approx(1, abs=1e-3)


def test_a_network_without_a_last_dense_layer_stays_as_it_is():
    inputs = keras.Input((28, 28, 1))
    model = keras.Model(inputs, keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(inputs)))
    assert familiar.with_familiarity(model, None, INK) is model
