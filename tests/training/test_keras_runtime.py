"""The Keras runtime gives the same answers as OpenVINO."""

from dataclasses import replace

import numpy as np
import pytest

from inkling.recognition.card import sha256
from inkling.recognition.runtimes import keras, openvino
from tests.unit.test_runtimes import pictures


@pytest.fixture(scope="module")
def by_keras(shipped):
    """Each shipped model in Keras.

    The test is skipped if git ignores its large model.keras (unit/test_catalog.py), and for a network that Keras cannot
    run, because others trained it or because it continues another network.
    """
    if shipped.card.pretrained or shipped.card.backbone:
        pytest.skip("Keras does not run this network")
    if not (shipped.folder / "model.keras").is_file():
        pytest.skip(f"`{shipped.card.training.command}` makes its model.keras")
    return keras.open_model(shipped)


def test_openvino_and_keras_give_the_same_probabilities(shipped, by_keras):
    batch = pictures(shipped.card, 12)
    assert openvino.open_model(shipped, threads=1)(batch) == pytest.approx(by_keras(batch), abs=1e-3)


def test_keras_takes_any_batch(shipped, by_keras):
    batch = pictures(shipped.card, 7)
    alone = np.concatenate([by_keras(batch[i : i + 1]) for i in range(7)])
    assert by_keras(batch) == pytest.approx(alone, abs=1e-3)  # a kernel machine adds many terms


def test_a_file_that_is_no_network_is_a_value_error(shipped, tmp_path):
    """The file is refused even if its checksum matches."""
    (tmp_path / "model.keras").write_bytes(b"not a network")
    card = shipped.card.model_copy(update={"files": {"model.keras": sha256(tmp_path / "model.keras")}})
    with pytest.raises(ValueError, match="."):
        keras.open_model(replace(shipped, card=card, folder=tmp_path))
