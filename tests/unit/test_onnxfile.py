"""An ONNX file that refers to weights in other files is refused, wherever the reference is."""

import numpy as np
import pytest

from inkling.recognition.runtimes import openvino
from inkling.recognition.runtimes.onnxfile import has_external_data

onnx = pytest.importorskip("onnx")


def value(name):
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 4])


def saved(path, graph, functions=()):
    opsets = [onnx.helper.make_opsetid("", 16), onnx.helper.make_opsetid("own", 1)]
    model = onnx.helper.make_model(graph, opset_imports=opsets, functions=list(functions))
    model.ir_version = 8
    path.write_bytes(model.SerializeToString())
    return path


def weights(external):
    """A tensor of ones, 4 x 4, stored in the file `secret.bin` or in the tensor itself."""
    tensor = onnx.numpy_helper.from_array(np.ones((4, 4), np.float32), "w")
    if external:
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="secret.bin")
    return tensor


def as_initializer(tensor):
    nodes = [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])]
    return onnx.helper.make_graph(nodes, "g", [value("x")], [value("y")], [tensor]), ()


def as_constant(tensor):
    nodes = [
        onnx.helper.make_node("Constant", [], ["w"], value=tensor),
        onnx.helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    return onnx.helper.make_graph(nodes, "g", [value("x")], [value("y")]), ()


def in_a_branch(tensor):
    branch, _ = as_constant(tensor)
    del branch.input[:]
    yes = onnx.numpy_helper.from_array(np.array(True), "yes")
    nodes = [onnx.helper.make_node("If", ["yes"], ["y"], then_branch=branch, else_branch=branch)]
    return onnx.helper.make_graph(nodes, "g", [value("x")], [value("y")], [yes]), ()


def in_a_function(tensor):
    inner, _ = as_constant(tensor)
    opsets = [onnx.helper.make_opsetid("", 16)]
    function = onnx.helper.make_function("own", "Own", ["x"], ["y"], inner.node, opsets)
    nodes = [onnx.helper.make_node("Own", ["x"], ["y"], domain="own")]
    return onnx.helper.make_graph(nodes, "g", [value("x")], [value("y")]), (function,)


def test_external_data_of_a_training_is_found_too():
    """`training_info` has graphs of its own, which no runtime here executes."""
    graph, _ = as_constant(weights(True))
    model = onnx.ModelProto()
    model.training_info.add().algorithm.CopyFrom(graph)
    assert has_external_data(model.SerializeToString())


@pytest.mark.parametrize("place", [as_initializer, as_constant, in_a_branch, in_a_function])
@pytest.mark.parametrize("external", [False, True])
def test_external_data_is_found_wherever_it_is(tmp_path, place, external):
    graph, functions = place(weights(external))
    path = saved(tmp_path / "model.onnx", graph, functions)
    assert has_external_data(path.read_bytes()) == external


def test_a_network_with_external_data_is_not_compiled(tmp_path, monkeypatch):
    """The network is refused even if the external file exists in its folder and in the current folder."""
    np.ones((4, 4), np.float32).tofile(tmp_path / "secret.bin")
    monkeypatch.chdir(tmp_path)
    good = saved(tmp_path / "good.onnx", *as_initializer(weights(False)))
    assert openvino.compile_onnx(good)(np.ones((1, 4), np.float32))[0].tolist() == [[4, 4, 4, 4]]
    bad = saved(tmp_path / "model.onnx", *as_initializer(weights(True)))
    with pytest.raises(ValueError, match=r"^model\.onnx keeps weights in other files, which are never read$"):
        openvino.compile_onnx(bad)


def test_no_shipped_network_has_external_data(shipped):
    (network,) = shipped.folder.glob("*.onnx")
    assert not has_external_data(network.read_bytes())


@pytest.mark.parametrize("data", [b"not a network", b"\xff" * 40, b"\x3a\x7f", b"\x3b", b"\x80" * 20])
def test_a_file_that_is_no_protocol_buffer_is_refused(data):
    with pytest.raises(ValueError, match="not an ONNX file"):
        has_external_data(data)
