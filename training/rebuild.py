"""Builds the network in a file that any Keras from 2.0 on saved, from the configuration of its layers.

Keras 3 reads what Keras 3 wrote. Earlier versions named arguments, layers and calls otherwise, and their files hold
much that only a training needs. `modern` translates one layer's configuration; `network` builds layer by layer, so
that an error can name the layer that does not fit. Only Keras' own layers are built: no code in a file is run.
"""

import inspect
import re
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
from keras import layers, ops

from training.saved import Saved, refusal, text

CODE = {"Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}  # layers that run what a file says
GONE = {"LocallyConnected1D", "LocallyConnected2D", "CuDNNGRU", "CuDNNLSTM", "DenseFeatures", "MaxoutDense", "Merge"}
NETWORKS = {"Sequential", "Functional", "Model", "Network"}
OPERATIONS = {"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"}  # operations between layers, before Keras 3
NAMES = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "ThresholdedReLU": "ReLU",
    # These change nothing but in training.
    "RandomHeight": "Identity",
    "RandomWidth": "Identity",
    "AddLoss": "Identity",
    "AddMetric": "Identity",
}
ARGUMENTS = {("LeakyReLU", "alpha"): "negative_slope", ("ReLU", "theta"): "threshold"}
ACTIVATIONS = {"softmax_v2": "softmax", "swish": "silu"}
TRAINING = re.compile(r"_(initializer|regularizer|constraint)$")  # arguments that matter to a training only
# Arguments that say how to compute, not what; shapes are read before, and everything is computed in float32.
IDLE = {"dtype", "autocast", "batch_input_shape", "fused", "implementation"}
# The same, for layers without such an argument.
UNUSED = {"trainable", "input_shape", "input_dim", "input_dtype", "rng_type", "force_generator"}


def network(saved: Saved) -> keras.Model:
    """Builds the network and loads its weights.

    Raises:
        ValueError: the network needs code, or one of its layers or weights does not fit the installed Keras.
    """
    if saved.version.startswith("1."):
        why = f"Keras {saved.version} saved it, of before March 2017, whose layers were others. Load it with Keras 2.0"
        raise refusal(saved.file, f"{why}, and save it again", saved.config.get("class_name"))
    try:
        check_layers(saved)
        model = Builder(saved).model(saved.config)
    except (AttributeError, KeyError, IndexError, TypeError) as error:  # what a layer raises is a ValueError by now
        why = f"its configuration is none that Keras writes; {saved.writer} saved it"
        raise refusal(saved.file, why, f"{type(error).__name__}: {error}") from error
    if model.built:
        load_zipped(model, saved) if saved.zipped else load_hdf5(model, saved)
    return model


def misfit(saved: Saved, layer: str, kind: str, received: object) -> ValueError:
    """The error for a layer that the installed Keras cannot build."""
    why = f"{saved.writer} saved it, and its layer {layer!r} ({kind}) does not fit Keras {keras.__version__}"
    return refusal(saved.file, why, str(received).strip().splitlines()[0])


# ---- Configurations ----


def entries(value: object) -> Iterator[dict]:
    """All layers of a configuration, with those within others."""
    if isinstance(value, dict):
        if isinstance(value.get("class_name"), str) and isinstance(value.get("config"), dict | list):
            yield value
        for one in value.values():
            yield from entries(one)
    elif isinstance(value, list):
        for one in value:
            yield from entries(one)


def layer_entries(value: object) -> Iterator[dict]:
    """The entries that stand for layers: those in a network's list, and those within wrappers, such as a Dense in
    TimeDistributed."""
    for one in entries(value):
        if one["class_name"] in NETWORKS:
            yield from listed(one)
        elif isinstance(one["config"], dict) and isinstance(one["config"].get("layer"), dict):
            yield one["config"]["layer"]


def listed(entry: dict) -> list[dict]:
    """The layers of a network; Keras up to 2.2.2 saved a Sequential as a bare list."""
    config = entry["config"]
    return config if isinstance(config, list) else config.get("layers", [])


def check_layers(saved: Saved) -> None:
    """Raises ValueError if a layer is code, or is not Keras' own."""
    if saved.config["class_name"] not in NETWORKS:
        raise own(saved, f"the network {title(saved.config)!r} ({saved.config['class_name']}), saved by {saved.writer}")
    for one in layer_entries(saved.config):
        kind, name = one.get("class_name", "nothing"), title(one)
        if kind in CODE:
            raise refusal(
                saved.file,
                f"it holds a {kind} layer: code of its own, which is never run. Build the network from Keras' own "
                "layers, and save it again",
                f"{name!r}, saved by {saved.writer}",
            )
        if kind in GONE:
            raise misfit(saved, name, kind, "a kind of layer that this Keras no longer has")
        if kind not in NETWORKS and not operation(one) and (foreign(one) or kind_of(kind) is None):
            raise own(saved, f"{name!r} ({kind}), saved by {saved.writer}")


def own(saved: Saved, received: str) -> ValueError:
    why = "it holds a layer or function that is not Keras' own, whose code is never run"
    return refusal(saved.file, f"{why}. Build the network from Keras' own layers", received)


def title(entry: dict) -> str:
    config = entry.get("config")
    return entry.get("name") or (config.get("name") if isinstance(config, dict) else None) or "without a name"


def foreign(entry: dict) -> bool:
    """Whether an entry says that its class is from elsewhere."""
    module = entry.get("module", "keras")
    return module is None or module.split(".")[0] not in ("keras", "tensorflow", "tf_keras")


def operation(entry: dict) -> bool:
    """Whether an entry is an operation between layers, such as `x / 255`, instead of a layer."""
    return entry["class_name"] in OPERATIONS or str(entry.get("module")).startswith("keras.src.ops.")


def kind_of(name: str) -> type[layers.Layer] | None:
    """Keras' layer of a name."""
    found = getattr(layers, NAMES.get(name, name), None)
    return found if isinstance(found, type) and issubclass(found, layers.Layer) else None


@cache
def accepted(kind: type[layers.Layer]) -> frozenset[str]:
    """The arguments of a layer, with those that it passes on to the classes that it extends."""
    known = set()
    for one in kind.__mro__[: kind.__mro__.index(layers.Layer)]:
        parameters = inspect.signature(one.__init__).parameters
        known |= set(parameters)
        if not any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters.values()):
            return frozenset(known)
    return frozenset(known | {"name", "trainable"})


def plain(value: object) -> Any:
    """A saved value without the forms in which Keras 2 wrapped tuples, shapes and arrays."""
    match value:
        case {"class_name": "__tuple__" | "TensorShape", "items": items}:
            return plain(items)
        case {"type": "ndarray", "value": inner} | {"class_name": "__ndarray__" | "__numpy__", "value": inner}:
            return plain(inner)
        case list():
            return [plain(one) for one in value]
        case _:
            return value


def modern(entry: dict) -> dict:
    """A layer's entry as the installed Keras writes it; a pure function.

    Arguments that only matter to a training are left out, with the classes that they name. An argument that Keras no
    longer has is left out if it switches nothing on (see `idle`); any other stays, and Keras refuses it.
    """
    kind = kind_of(entry["class_name"])
    if kind is None or not isinstance(entry["config"], dict):
        return entry
    config = {}
    for saved_name, saved_value in entry["config"].items():
        name, value = ARGUMENTS.get((kind.__name__, saved_name), saved_name), plain(saved_value)
        if name in IDLE or TRAINING.search(name):
            continue
        if name == "name":
            value = safe(value)
        if name not in accepted(kind) and idle(name, value):
            continue
        if name in ("activation", "recurrent_activation"):
            value = activation(value)
        elif kind is layers.BatchNormalization and name == "axis" and isinstance(value, list) and len(value) == 1:
            value = value[0]
        elif issubclass(kind, layers.ReLU | layers.LeakyReLU | layers.ELU) and isinstance(value, list):
            value = value[0] if len(value) == 1 else value
        elif isinstance(value, dict) and value.get("class_name"):
            value = modern(value)
        config[name] = value
    if NAMES.get(entry["class_name"]) == "Identity":
        config = {"name": config.get("name")}
    return {"module": "keras.layers", "class_name": kind.__name__, "config": config, "registered_name": None}


def safe(name: str | None) -> str | None:
    """A name that Keras 3 accepts; MobileNetV3 and DenseNet of Keras 2 have layers such as "conv1/bn"."""
    return name.replace("/", "_") if isinstance(name, str) else name


def idle(name: str, value: object) -> bool:
    """Whether an argument switches nothing on that would change an answer."""
    return value is None or value is False or (name, value) == ("groups", 1) or name in UNUSED


def activation(value: object) -> object:
    """An activation in Keras 3's form: a name, or an entry of a layer."""
    match value:
        case {"class_name": "function", "config": str(name)}:
            return activation(name)
        case {"class_name": str(), "config": dict()}:
            return modern(value)
        case str():
            return ACTIVATIONS.get(value, value)
        case _:
            return value


def shape_of(entry: dict) -> list | None:
    """The shape of a network's or layer's input, with the batch, or None if the file does not say."""
    config = entry["config"]
    if entry["class_name"] in NETWORKS:
        first = listed(entry)[:1]
        found = shape_of(first[0]) if first else None
        return found or (None if isinstance(config, list) else plain(config.get("build_input_shape")))
    for key in ("batch_shape", "batch_input_shape"):
        if config.get(key):
            return plain(config[key])
    return None


# ---- Building ----


class Builder:
    """Builds one file's networks; an error names the layer at fault."""

    def __init__(self, saved: Saved) -> None:
        self.saved = saved

    def model(self, entry: dict) -> keras.Model:
        """A network, with the networks in it."""
        if entry["class_name"] == "Sequential":
            return self.sequential(entry)
        return self.functional(entry["config"])

    def layer(self, entry: dict) -> layers.Layer:
        """One layer or nested network, not yet called."""
        if entry["class_name"] in NETWORKS:
            return self.model(entry)
        fresh = modern(entry)
        for key in ("activation", "recurrent_activation"):
            named = fresh["config"].get(key)
            if isinstance(named, str) and not hasattr(keras.activations, named):
                raise own(self.saved, f"the activation {named!r} of {title(entry)!r}, saved by {self.saved.writer}")
        try:
            return keras.saving.deserialize_keras_object(fresh, safe_mode=True)
        except Exception as error:  # each layer raises its own types
            raise misfit(self.saved, title(entry), entry["class_name"], first_cause(error)) from error

    def sequential(self, entry: dict) -> keras.Model:
        """A Sequential, with the input layer that it may lack; unbuilt if the file does not say its input's shape."""
        name = None if isinstance(entry["config"], list) else safe(entry["config"].get("name"))
        inner = [one for one in listed(entry) if one["class_name"] != "InputLayer"]
        built = [self.layer(one) for one in inner]
        shape = shape_of(entry)
        if shape is None:
            return keras.Sequential(built, name=name)
        x = start = keras.Input(shape[1:])
        try:
            return keras.Sequential([start, *built], name=name)
        except Exception:
            for one, layer in zip(inner, built, strict=True):  # once more, to find the layer
                x = self.called(one, layer, [x], {})
            raise

    def functional(self, config: dict) -> keras.Model:
        """A network of layers that are called on each other's outputs."""
        made, found, first, waiting = {}, {}, {}, []
        for entry in config["layers"]:
            name = entry.get("name") or entry["config"]["name"]
            if name in found:
                raise misfit(self.saved, name, entry["class_name"], "another layer has the same name")
            first[name] = self.first_node(config, name, entry)
            if entry["class_name"] == "InputLayer":
                shape = shape_of(entry)
                found[name] = [[keras.Input(shape[1:], name=safe(entry["config"].get("name")))]]
                continue
            made[name] = entry, self.caller(entry)
            found[name] = []
            waiting += [(name, node) for node in entry["inbound_nodes"]]
        graph = Graph(found, first)
        while waiting:
            left = []
            for name, node in waiting:
                if not graph.knows(node):
                    left.append((name, node))
                    continue
                entry, call = made[name]
                args, kwargs = graph.arguments(node, entry)
                result = self.called(entry, call, args, kwargs)
                if entry["class_name"] in OPERATIONS:
                    rename(result, name)
                found[name].append(keras.tree.flatten(result))
            if len(left) == len(waiting):
                name = left[0][0]
                raise misfit(self.saved, name, made[name][0]["class_name"], "it is called on what does not exist")
            waiting = left
        inputs, outputs = (graph.tensors(config[key]) for key in ("input_layers", "output_layers"))
        return keras.Model(
            *(one[0] if len(one) == 1 else one for one in (inputs, outputs)), name=safe(config.get("name"))
        )

    @staticmethod
    def first_node(config: dict, name: str, entry: dict) -> int:
        """The number that a layer's first call has in the file: 1 for many nested networks, otherwise 0."""
        if entry["class_name"] not in NETWORKS:
            return 0
        used = [number for key, number, _ in references([config["layers"], config["output_layers"]]) if key == name]
        return max(0, max(used, default=0) + 1 - len(entry["inbound_nodes"]))

    def caller(self, entry: dict) -> Callable:
        """What stands in the graph for an entry: a layer, a network or an operation."""
        if not operation(entry):
            return self.layer(entry)
        if entry["class_name"] not in OPERATIONS:
            try:
                return keras.saving.deserialize_keras_object(entry, safe_mode=True)
            except Exception as error:
                raise misfit(self.saved, title(entry), entry["class_name"], first_cause(error)) from error
        name = function_of(entry)
        if name not in FUNCTIONS:
            raise misfit(self.saved, title(entry), entry["class_name"], f"the function {name!r}, which is not known")
        return FUNCTIONS[name]

    def called(self, entry: dict, call: Callable, args: list, kwargs: dict) -> Any:
        try:
            return call(*args, **kwargs)
        except Exception as error:
            raise misfit(self.saved, title(entry), entry["class_name"], first_cause(error)) from error


def rename(result: keras.KerasTensor, name: str) -> None:
    """Gives an operation the name that it has in the file; its own may be that of a layer there."""
    made = result._keras_history.operation
    if not isinstance(made, layers.Layer):  # "cast" and others make none
        made.name = safe(name)


def first_cause(error: BaseException) -> str:
    """The error that Keras wrapped, without the traces and configurations that it adds."""
    said = str(error).strip() or type(error).__name__
    inner = re.search(r".*Exception encountered(?: when calling [^\n]*)?:?\s*(.+)", said, re.DOTALL)
    return (inner[1] if inner else said).replace("\x1b[1m", "").replace("\x1b[0m", "").strip()


def references(value: object) -> Iterator[tuple[str, int, int]]:
    """All [layer, call, output] in a configuration's calls, in Keras 2's form and in Keras 3's."""
    match value:
        case [str(name), int(number), int(output), *rest]:
            yield name, number, output
            yield from references(rest)
        case {"class_name": "__keras_tensor__", "config": {"keras_history": history}}:
            yield from references(history)
        case {"inbound_nodes": nodes}:
            yield from references(nodes)
        case dict():
            for one in value.values():
                yield from references(one)
        case list():
            for one in value:
                yield from references(one)


class Graph:
    """The tensors of a network that is being built.

    Args:
        found: layer -> outputs of each of its calls.
        first: layer -> the number that the file gives its first call.
    """

    def __init__(self, found: dict[str, list[list]], first: dict[str, int]) -> None:
        self.found, self.first = found, first

    def reads(self, value: object) -> Iterator[tuple[str, int, int]]:
        """The references in a call; [str, int, int] of other names is data."""
        return (one for one in references(value) if one[0] in self.found)

    def knows(self, node: object) -> bool:
        """Whether every tensor that a call takes exists."""
        return all(number - self.first[name] < len(self.found[name]) for name, number, _ in self.reads(node))

    def tensor(self, name: str, number: int, output: int) -> keras.KerasTensor:
        return self.found[name][number - self.first[name]][output]

    def tensors(self, value: object) -> list[keras.KerasTensor]:
        return [self.tensor(*one) for one in self.reads(value)]

    def arguments(self, node: Any, entry: dict) -> tuple[list, dict]:
        """The arguments of one call: Keras 3 saves `args` and `kwargs`, Keras 2 a list of [layer, call, output,
        kwargs], or one such for an operation."""
        if isinstance(node, dict):
            args = [self.resolve(one) for one in node["args"]]
            return args, {key: self.resolve(one) for key, one in node["kwargs"].items() if one is not None}
        calls = [node] if isinstance(node[0], str) else node
        tensors, kwargs = [], {}
        for name, number, output, *rest in calls:
            # An operation on a constant and a tensor, such as 1 - x, has the constant where the output is otherwise.
            tensors.append(output if name == "_CONSTANT_VALUE" else self.tensor(name, number, output))
            kwargs |= {key: value for key, value in (rest[0] if rest else {}).items() if value is not None}
        kwargs = {key: self.resolve(plain(value)) for key, value in kwargs.items()}
        if entry["class_name"] in OPERATIONS:
            constants = {int(place): value for place, value in entry["config"].get("constants", {}).items()}
            for place in sorted(constants):
                tensors.insert(place, np.asarray(plain(constants[place]), np.float32))
            kwargs.pop("name", None)
            return tensors, kwargs
        return [tensors[0] if len(tensors) == 1 else tensors], kwargs

    def resolve(self, value: Any) -> Any:
        """A saved argument with its tensors in place."""
        match value:
            case {"class_name": "__keras_tensor__", "config": {"keras_history": [name, number, output]}}:
                return self.tensor(name, number, output)
            case [str(name), int(number), int(output)] if name in self.found:
                return self.tensor(name, number, output)
            case {"class_name": "__ellipsis__"}:
                return ...
            case {"class_name": "__slice__", "config": dict(inner)}:
                return slice(inner["start"], inner["stop"], inner["step"])
            case {"start": start, "stop": stop, "step": step}:
                return slice(start, stop, step)
            case list():
                return [self.resolve(one) for one in value]
            case {"class_name": str()}:
                return keras.saving.deserialize_keras_object(value, safe_mode=True)
            case _:
                return value


def constant(value: Any) -> Any:
    """A list of numbers as an array, for operations on tensors."""
    return np.asarray(value, np.float32) if isinstance(value, list) else value


def function_of(entry: dict) -> str:
    """The last part of the name of TensorFlow's function, such as "truediv"."""
    config = entry["config"]
    if entry["class_name"] == "TensorFlowOpLayer":  # of TensorFlow 2.0 to 2.3, which saved the graph's node
        found = re.search(r'"?\bop"?\s*:\s*"(\w+)"', str(config.get("node_def")))
        return GRAPH_NAMES.get(found[1], found[1]) if found else "unknown"
    return str(config.get("function", "getitem")).rsplit(".", 1)[-1]


GRAPH_NAMES = {"RealDiv": "truediv", "Sub": "subtract", "AddV2": "add", "Add": "add", "Mul": "multiply"}
GRAPH_NAMES |= {"BiasAdd": "bias_add", "Relu": "relu", "Relu6": "relu6", "Softmax": "softmax", "Sigmoid": "sigmoid"}

# TensorFlow's functions that stand between the layers of image classifiers, with the arguments that Keras 2 saves.
# Each makes one operation at most, which gets the name that it has in the file.
FUNCTIONS: dict[str, Callable] = {
    "truediv": lambda x, y: ops.true_divide(constant(x), constant(y)),
    "divide": lambda x, y: ops.true_divide(constant(x), constant(y)),
    "subtract": lambda x, y: ops.subtract(constant(x), constant(y)),
    "sub": lambda x, y: ops.subtract(constant(x), constant(y)),
    "add": lambda x, y: ops.add(constant(x), constant(y)),
    "multiply": lambda x, y: ops.multiply(constant(x), constant(y)),
    "mul": lambda x, y: ops.multiply(constant(x), constant(y)),
    "bias_add": lambda value, bias, data_format=None: ops.add(value, constant(bias)),
    "getitem": lambda tensor, slice_spec: tensor[tuple(slice_spec)],
    "cast": lambda x, dtype=None: x,
    "identity": lambda input: input,
    "stop_gradient": lambda input: input,
    "convert_to_tensor": lambda value, **_: value,
    "relu": lambda features: ops.relu(features),
    "relu6": lambda features: ops.relu6(features),
    "sigmoid": lambda x: ops.sigmoid(x),
    "silu": lambda features: ops.silu(features),
    "swish": lambda features: ops.silu(features),
    "softmax": lambda logits, axis=-1: ops.softmax(logits, axis),
    "softmax_v2": lambda logits, axis=-1: ops.softmax(logits, axis),
    "reshape": lambda tensor, shape: ops.reshape(tensor, tuple(shape)),
    "squeeze": lambda input, axis=None: ops.squeeze(input, tuple(axis) if isinstance(axis, list) else axis),
    "expand_dims": lambda input, axis: ops.expand_dims(input, axis),
    "concat": lambda values, axis: ops.concatenate(values, axis),
    "reduce_mean": lambda input_tensor, axis=None, keepdims=False: ops.mean(input_tensor, axis, keepdims),
    "reduce_max": lambda input_tensor, axis=None, keepdims=False: ops.max(input_tensor, axis, keepdims),
    "clip_by_value": lambda t, clip_value_min, clip_value_max: ops.clip(t, clip_value_min, clip_value_max),
}


# ---- Weights ----


def load_zipped(model: keras.Model, saved: Saved) -> None:
    """Loads the weights of a `.keras` archive."""
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / "network.keras"  # Keras chooses the format by the name
        link.symlink_to(saved.file.resolve())
        try:
            model.load_weights(link)
        except Exception as error:
            said = str(error).strip()
            layer = re.search(r"object <(\w+) name=([^\s,>]+)", said)
            if not layer:
                raise refusal(saved.file, f"its weights cannot be read; {saved.writer} saved it", said) from error
            raise misfit(saved, layer[2], layer[1], said.split("\n")[0]) from error


def load_hdf5(model: keras.Model, saved: Saved) -> None:
    """Loads the weights of an `.h5` file, by the names of layers where they agree, otherwise in order."""
    try:
        with h5py.File(saved.file, "r") as opened:
            group = opened.get("model_weights", opened)
            stored = {safe(name): weights_of(group[name]) for name in attribute(group, "layer_names")}
    except (OSError, KeyError, ValueError) as error:
        raise refusal(saved.file, f"its weights cannot be read; {saved.writer} saved it", error) from error
    stored = {name: weights for name, weights in stored.items() if weights}
    targets = {one.name: one for one in model.layers if one.weights}
    if set(stored) == set(targets):
        pairs = [(targets[name], stored[name]) for name in stored]
    elif len(stored) == len(targets):
        pairs = list(zip(targets.values(), stored.values(), strict=True))
    else:
        named = ", ".join(sorted(set(stored) ^ set(targets)))
        why = f"{saved.writer} saved it, and its weights are not those of its layers"
        raise refusal(saved.file, why, f"a difference in {named}")
    for layer, weights in pairs:
        assign(layer, weights, saved)


def attribute(group: h5py.Group, name: str) -> list[str]:
    """A list of texts; Keras cuts long ones into `name0`, `name1` and so on."""
    if name in group.attrs:
        return [text(one) for one in group.attrs[name]]
    parts, number = [], 0
    while f"{name}{number}" in group.attrs:
        parts += [text(one) for one in group.attrs[f"{name}{number}"]]
        number += 1
    return parts


def weights_of(group: h5py.Group) -> list[tuple[str, np.ndarray]]:
    """Names and values of one layer's weights."""
    found = [(name, group[name]) for name in attribute(group, "weight_names")]
    if any(one.external or one.is_virtual or one.file.filename != group.file.filename for _, one in found):
        raise ValueError("weights in other files are never read")
    return [(name, np.asarray(one)) for name, one in found]


def assign(layer: layers.Layer, weights: list[tuple[str, np.ndarray]], saved: Saved) -> None:
    """Gives a layer, or a nested network, its weights."""
    targets = [*layer.trainable_weights, *layer.non_trainable_weights]
    if len(targets) != len(weights):
        raise misfit(saved, layer.name, type(layer).__name__, f"{len(weights)} weights instead of {len(targets)}")
    order = matched([name for name, _ in weights], [one.path for one in targets])
    for target, place in zip(targets, order, strict=True):
        name, value = weights[place]
        if tuple(target.shape) != value.shape:
            raise misfit(saved, name, type(layer).__name__, f"weights of {value.shape} instead of {target.shape}")
        target.assign(value)
    for one in layer._flatten_layers():
        if isinstance(one, layers.Normalization):
            one.finalize_state()


def matched(stored: list[str], wanted: list[str]) -> list[int]:
    """For each wanted weight, the place of the stored one: by name if both have the same names, otherwise in order.

    Versions of Keras order the weights of a nested network differently, and many have the same shape.
    """

    for key in (last, whole):
        names, targets = [key(name) for name in stored], [last(name) for name in wanted]
        if len(set(names)) < len(names):
            continue
        if sorted(names) == sorted(targets):
            return [names.index(target) for target in targets]
        owners = [owner for owner, _ in names]
        if sorted(owners) == sorted(owner for owner, _ in targets):  # a weight of a layer has another name
            places = {owner: [i for i, one in enumerate(owners) if one == owner] for owner in owners}
            return [places[owner].pop(0) for owner, _ in targets]
    return list(range(len(wanted)))


def whole(name: str) -> tuple[str, str]:
    """Layer and weight in a weight's name; the layer's name may have had slashes."""
    layer, _, weight = name.partition(":")[0].rpartition("/")
    return layer.replace("/", "_"), weight


def last(name: str) -> tuple[str, str]:
    """The same for a name that lists the networks around the layer, too."""
    layer, weight = whole(name) if name.count("/") < 2 else name.partition(":")[0].split("/")[-2:]
    return layer, weight
