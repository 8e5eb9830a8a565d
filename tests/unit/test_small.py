"""A head in NumPy answers as OpenVINO does, and a graph that it cannot run is left to OpenVINO."""

import numpy as np
import pytest

from inkling.recognition.runtimes import openvino
from inkling.recognition.runtimes.small import SmallGraph
from inkling.teach import head
from inkling.teach.learn import learn
from tests.support.backbones import network

OUTPUTS = [("features", ["n", 4]), ("probabilities", 2), ("familiarity", 1)]
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def learned():
    """A head that tells two clouds of points apart."""
    y = np.arange(40) % 2
    return learn(np.float32(np.abs(RNG.normal(3 * y[:, None] + 1, 1, (40, 16)))), y, ["a", "b"])


def test_a_taught_head_answers_as_openvino_does(learned, tmp_path):
    head.write(learned, tmp_path / "head.onnx")
    features = np.float32(np.abs(RNG.normal(2, 2, (100, 16))))
    small, compiled = SmallGraph(tmp_path / "head.onnx"), openvino.compile_onnx(tmp_path / "head.onnx")
    assert small.outputs == compiled.outputs == ("probabilities", "familiarity")
    for ours, theirs in zip(small(features), compiled(features), strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize(
    ("nodes", "reason"),
    [
        ([("Sigmoid", ["features"], ["probabilities"], {}), ("Neg", ["features"], ["familiarity"], {})], "Sigmoid"),
        ([("Softmax", ["features"], ["probabilities"], {}), ("Neg", ["other"], ["familiarity"], {})], None),
    ],
)
def test_an_unknown_operator_is_refused(tmp_path, nodes, reason):
    network(tmp_path / "head.onnx", OUTPUTS, nodes, {"other": np.ones((1, 1))})
    if reason is None:
        assert SmallGraph(tmp_path / "head.onnx")(np.zeros((1, 4), np.float32))[1] == -1
    else:
        with pytest.raises(ValueError, match=reason):
            SmallGraph(tmp_path / "head.onnx")


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_damaged_file_is_refused(tmp_path, learned, cut):
    head.write(learned, tmp_path / "head.onnx")
    data = (tmp_path / "head.onnx").read_bytes()
    (tmp_path / "head.onnx").write_bytes(data[:cut])
    with pytest.raises(ValueError, match=r"ONNX|truncated|wire type"):
        SmallGraph(tmp_path / "head.onnx")
