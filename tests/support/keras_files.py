"""Networks as versions of Keras saved them: files that no installed Keras writes any more.

Each row of `FILES` is a configuration as that version wrote it, and the same network built by the installed Keras,
whose weights go into the file. The table in docs/guide/own-model.md is made from these rows.
"""

import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SIDE = 12
PICTURE = [None, SIDE, SIDE, 3]


# ---- Configurations ----


def layer(kind: str, name: str, **config: Any) -> dict:
    """A layer as Keras 2 saved it in a Sequential."""
    return {"class_name": kind, "config": {"name": name, "trainable": True, "dtype": "float32", **config}}


def start(name: str = "input_1", shape: Sequence[int | None] = tuple(PICTURE)) -> dict:
    config = {"batch_input_shape": list(shape), "dtype": "float32", "sparse": False, "ragged": False, "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def sequential(name: str, *layers: dict, **more: Any) -> dict:
    return {"class_name": "Sequential", "config": {"name": name, "layers": list(layers), **more}}


def functional(name: str, *layers: dict, kind: str = "Functional", out: tuple | None = None) -> dict:
    """Layers with their calls, from the first, an input, to the last, the output."""
    last = [*(out or (layers[-1]["name"], 0)), 0]
    begin = [layers[0]["name"], 0, 0]
    config = {"name": name, "trainable": True, "layers": list(layers)}
    return {"class_name": kind, "config": {**config, "input_layers": [begin], "output_layers": [last]}}


def on(entry: dict, *sources: str, call: int = 0, **kwargs: Any) -> dict:
    """A layer of a Functional, called on the outputs of others."""
    nodes = [[[source, call, 0, kwargs] for source in sources]]
    return {**entry, "name": entry["config"]["name"], "inbound_nodes": nodes}


def tf(function: str, name: str, source: str, /, **kwargs: Any) -> dict:
    """An operation between layers, as Keras 2.4 to 2.15 saved it."""
    kind = "SlicingOpLambda" if function.endswith("getitem") else "TFOpLambda"
    entry = layer(kind, name, function=function)
    return {**entry, "name": name, "inbound_nodes": [[source, 0, 0, kwargs]]}


def glorot(**config: Any) -> dict:
    return {"class_name": "GlorotUniform", "config": {"seed": None, **config}}


def conv(name: str = "conv", **config: Any) -> dict:
    about = {"filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "padding": "valid", "groups": 1}
    about |= {"data_format": "channels_last", "dilation_rate": [1, 1], "activation": "relu", "use_bias": True}
    about |= {"kernel_initializer": glorot(), "kernel_regularizer": None, "activity_regularizer": None}
    return layer("Conv2D", name, **{**about, **config})


def pool(name: str = "pool") -> dict:
    return layer("GlobalAveragePooling2D", name, data_format="channels_last")


def dense(name: str = "head", units: int = 3, **config: Any) -> dict:
    about = {"units": units, "activation": "softmax", "use_bias": True, "kernel_initializer": glorot()}
    return layer("Dense", name, **{**about, **config})


def norm(name: str = "norm", **config: Any) -> dict:
    about = {"axis": [3], "momentum": 0.99, "epsilon": 0.001, "center": True, "scale": True}
    about |= {"moving_mean_initializer": {"class_name": "Zeros", "config": {}}}
    return layer("BatchNormalization", name, **{**about, **config})


def depthwise(name: str = "depthwise", **config: Any) -> dict:
    about = {"kernel_size": [3, 3], "strides": [1, 1], "padding": "same", "data_format": "channels_last"}
    about |= {"dilation_rate": [1, 1], "groups": 1, "activation": "linear", "use_bias": False, "depth_multiplier": 1}
    about |= {"depthwise_initializer": glorot(), "depthwise_constraint": None, "depthwise_regularizer": None}
    return layer("DepthwiseConv2D", name, **{**about, **config})


def with_module(entry: dict) -> dict:
    """An entry with the module of its class, as Keras 2.13 and newer write it."""
    inner = entry["config"]
    if "layers" in inner:
        inner = {**inner, "layers": [with_module(one) for one in inner["layers"]]}
    module = "keras" if "layers" in inner else "keras.layers"
    return {**entry, "module": module, "registered_name": None, "config": inner}


# ---- The same networks by the installed Keras ----


def twin(*layers: Callable, shape: Sequence[int] = (SIDE, SIDE, 3), before: Callable | None = None) -> Callable:
    """Returns a function that builds a Sequential of layers, each given as a function of `keras.layers`."""

    def build() -> Any:
        import keras

        made = keras.Sequential([keras.Input(shape), *(one(keras.layers) for one in layers)])
        if before is None:
            return made
        x = keras.Input(shape)
        network = keras.Model(x, made(before(x)))
        network.inner = made
        return network

    return build


def conv_twin(**config: Any) -> Callable:
    return lambda layers: layers.Conv2D(4, 3, **{"activation": "relu", "name": "conv", **config})


def norm_twin(layers: Any) -> Any:
    return layers.BatchNormalization(name="norm")


def pool_twin(layers: Any) -> Any:
    return layers.GlobalAveragePooling2D(name="pool")


def dense_twin(layers: Any) -> Any:
    return layers.Dense(3, "softmax", name="head")


PLAIN = twin(conv_twin(), pool_twin, dense_twin)


def teachable_twin() -> Any:
    """A small network in the shape of Teachable Machine's: a Functional in a Sequential in a Sequential."""
    import keras
    from keras import layers

    x = begin = keras.Input((SIDE, SIDE, 3))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)), name="Conv1_pad")(x)
    x = layers.Conv2D(4, 3, strides=2, use_bias=False, name="Conv1")(x)
    x = layers.BatchNormalization(name="bn_Conv1")(x)
    x = layers.ReLU(6, name="Conv1_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="expanded_conv_depthwise")(x)
    x = layers.BatchNormalization(name="expanded_conv_depthwise_BN")(x)
    x = layers.Conv2D(4, 1, use_bias=False, name="block_16_project")(x)
    features = keras.Model(begin, x, name="model1")
    pooled = [keras.Input((SIDE, SIDE, 3)), features, layers.GlobalAveragePooling2D(name="pooled")]
    head = [keras.Input((4,)), layers.Dense(5, "relu", name="dense_Dense1")]
    head += [layers.Dense(3, "softmax", use_bias=False, name="dense_Dense2")]
    return keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.Sequential(pooled, name="sequential_1"),
            keras.Sequential(head, name="sequential_3"),
        ]
    )


TEACHABLE = sequential(
    "sequential_4",
    sequential(
        "sequential_1",
        functional(
            "model1",
            start(),
            on(layer("ZeroPadding2D", "Conv1_pad", padding=[[0, 1], [0, 1]], data_format="channels_last"), "input_1"),
            on(conv("Conv1", strides=[2, 2], activation="linear", use_bias=False), "Conv1_pad"),
            on(norm("bn_Conv1", axis=[-1]), "Conv1"),
            on(layer("ReLU", "Conv1_relu", max_value=6.0, negative_slope=0.0, threshold=0.0), "bn_Conv1"),
            on(depthwise("expanded_conv_depthwise"), "Conv1_relu"),
            on(norm("expanded_conv_depthwise_BN", axis=[-1]), "expanded_conv_depthwise"),
            on(
                conv("block_16_project", kernel_size=[1, 1], activation="linear", use_bias=False),
                "expanded_conv_depthwise_BN",
            ),
        ),
        pool("pooled"),
    ),
    sequential(
        "sequential_3",
        dense("dense_Dense1", 5, activation="relu", batch_input_shape=[None, 4]),
        dense("dense_Dense2", 3, use_bias=False),
    ),
)


def rows_twin() -> Any:
    import keras
    from keras import layers

    head = layers.Dense(3, "softmax", name="head")
    return keras.Sequential([keras.Input((28, 28)), layers.LSTM(4, name="lstm"), head])


def nested_twin() -> Any:
    """Transfer learning: augmentation and a frozen network within a Functional."""
    import keras
    from keras import layers

    body = [keras.Input((SIDE, SIDE, 3)), layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(name="norm")]
    base = keras.Sequential(body, name="base")
    base.trainable = False
    x = keras.Input((SIDE, SIDE, 3))
    y = layers.GlobalAveragePooling2D(name="pool")(base(x))
    return keras.Model(x, layers.Dense(3, "softmax", name="head")(y))


def efficient_twin() -> Any:
    import keras
    from keras import layers

    x = begin = keras.Input((SIDE, SIDE, 3))
    x = layers.Normalization(name="normalization")(layers.Rescaling(1 / 255)(x))
    x = layers.Conv2D(4, 3, activation="silu", name="conv")(x)
    y = layers.Reshape((1, 1, 4))(layers.GlobalAveragePooling2D()(x))
    y = layers.Multiply()([x, layers.Conv2D(4, 1, activation="sigmoid", name="se_excite")(y)])
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Add()([y, x]))
    return keras.Model(begin, layers.Dense(3, "softmax", name="head")(x))


def tutorial_twin() -> Any:
    import keras
    from keras import layers

    x = begin = keras.Input((SIDE, SIDE, 3))
    body = [keras.Input((SIDE, SIDE, 3)), layers.Conv2D(4, 3, name="conv"), layers.BatchNormalization(name="norm")]
    x = keras.Sequential(body, name="base")(x / 127.5 - 1, training=False)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(begin, layers.Dense(3, "softmax", name="head")(x))


def slashes_twin() -> Any:
    import keras
    from keras import layers

    begin = keras.Input((SIDE, SIDE, 3))
    x = layers.BatchNormalization(name="Conv_BatchNorm")(layers.Conv2D(4, 3, name="Conv")(begin))
    x = layers.Multiply()([x, layers.ReLU(6)(x + 3) * (1 / 6)])
    body = keras.Model(begin, layers.BatchNormalization(name="Conv_1_BatchNorm")(x), name="body")
    begin = keras.Input((SIDE, SIDE, 3))
    x = layers.GlobalAveragePooling2D(name="pool")(body(layers.Rescaling(1 / 127.5, -1)(begin)))
    return keras.Model(begin, layers.Dense(3, "softmax", name="head")(x))


def logits_in_front_of(last: str) -> Callable:
    """A Sequential of a Sequential and a softmax, as TensorFlow's first tutorial makes it."""

    def build() -> Any:
        import keras
        from keras import layers

        body = [keras.Input((28, 28)), layers.Flatten(name="flatten"), layers.Dense(3, name="head")]
        inner = keras.Sequential(body, name="sequential")
        return keras.Sequential([keras.Input((28, 28)), inner, layers.Softmax(name=last)])

    return build


def reverse_channels(x: Any) -> Any:
    return x[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)


# ---- Files ----


@dataclass(frozen=True)
class KerasFile:
    """A file of one version.

    Attributes:
        about: what its configuration has that the installed Keras does not write.
        twin: builds the same network; None where the file is refused.
        refused: the reason, as a pattern of the error's message.
        scaling: of its pixels, as the import should work it out: a range, or a name of `--preprocess`.
        losses: what the file says that it was trained to lessen.
        archive: whether it is a `.keras` archive of Keras 2.
        rename: parts of weights' names -> what this version called them.
        spread: standard deviation of the weights; small where large pixels would drive the softmax to 0 and 1.
    """

    version: str
    about: str
    config: dict
    twin: Callable | None = PLAIN
    refused: str = ""
    scaling: str = "unit"
    kind: str = "photo"
    losses: Any = "categorical_crossentropy"
    archive: bool = False
    rename: dict[str, str] = field(default_factory=dict)
    spread: float = 0.5


FILES = {
    "teachable machine": KerasFile(
        "2.4.0",
        "Teachable Machine: `DepthwiseConv2D` with `groups`, a Functional in a Sequential in a Sequential",
        TEACHABLE,
        teachable_twin,
        scaling="signed",
        rename={"expanded_conv_depthwise/kernel": "expanded_conv_depthwise/depthwise_kernel"},
    ),
    "a bare list": KerasFile(
        "2.2.0",
        "a Sequential as a bare list of layers",
        {"class_name": "Sequential", "config": [conv(batch_input_shape=PICTURE), pool(), dense()]},
    ),
    "no input layer": KerasFile(
        "2.2.4",
        "no input layer: `batch_input_shape` in the first layer",
        sequential("sequential_1", conv(batch_input_shape=PICTURE), pool(), dense()),
    ),
    "model": KerasFile(
        "2.3.1",
        "the class `Model`, and the axis of `BatchNormalization` as a list",
        functional(
            "model_1",
            start(),
            on(conv(), "input_1"),
            on(norm(), "conv"),
            on(pool(), "norm"),
            on(dense(), "pool"),
            kind="Model",
        ),
        twin(conv_twin(), norm_twin, pool_twin, dense_twin),
    ),
    "initializers": KerasFile(
        "2.2.4-tf",
        "initializers with a `dtype`, `BatchNormalizationV1`, `softmax_v2`",
        sequential(
            "sequential",
            conv(batch_input_shape=PICTURE, kernel_initializer=glorot(dtype="float32")),
            {**norm(axis=[3]), "class_name": "BatchNormalizationV1"},
            pool(),
            dense(activation="softmax_v2", kernel_initializer=glorot(dtype="float32")),
        ),
        twin(conv_twin(), norm_twin, pool_twin, dense_twin),
    ),
    "arrays": KerasFile(
        "2.2.4",
        "`ReLU` and `LeakyReLU` with arrays, and `alpha`",
        sequential(
            "sequential_1",
            conv(activation="linear", batch_input_shape=PICTURE),
            layer("ReLU", "relu", max_value={"type": "ndarray", "value": [1.5]}, negative_slope=0.1, threshold=0.0),
            layer("LeakyReLU", "leaky", alpha={"type": "ndarray", "value": 0.25}),
            pool(),
            dense(),
        ),
        twin(
            conv_twin(activation=None),
            lambda layers: layers.ReLU(1.5, 0.1),
            lambda layers: layers.LeakyReLU(0.25),
            pool_twin,
            dense_twin,
        ),
    ),
    "node": KerasFile(
        "2.3.0-tf",
        "`TensorFlowOpLayer`: arithmetic between layers",
        functional(
            "functional_1",
            start(),
            on(
                layer(
                    "TensorFlowOpLayer",
                    "truediv",
                    node_def=json.dumps({"name": "truediv", "op": "RealDiv", "input": ["input_1", "truediv/y"]}),
                    constants={"1": 255.0},
                ),
                "input_1",
            ),
            on(conv(), "truediv"),
            on(pool(), "conv"),
            on(dense(), "pool"),
        ),
        twin(conv_twin(), pool_twin, dense_twin, before=lambda x: x / 255),
        scaling="raw",
    ),
    "operations": KerasFile(
        "2.6.0",
        "`TFOpLambda`: `x / 127.5 - 1` between layers",
        functional(
            "model",
            start(),
            tf("math.truediv", "tf.math.truediv", "input_1", y=127.5, name=None),
            tf("math.subtract", "tf.math.subtract", "tf.math.truediv", y=1.0, name=None),
            on(conv(), "tf.math.subtract"),
            on(pool(), "conv"),
            on(dense(), "pool"),
        ),
        twin(conv_twin(), pool_twin, dense_twin, before=lambda x: x / 127.5 - 1),
        scaling="raw",
    ),
    "tutorial": KerasFile(
        "2.11.0",
        "TensorFlow's tutorial on transfer learning: networks within, and arithmetic between them",
        functional(
            "model",
            start(),
            on(
                sequential("augment", start("flip_input"), layer("RandomFlip", "flip", mode="horizontal", seed=None)),
                "input_1",
            ),
            {
                **tf("math.truediv", "tf.math.truediv", "augment", y=127.5, name=None),
                "inbound_nodes": [["augment", 1, 0, {"y": 127.5, "name": None}]],
            },
            tf("math.subtract", "tf.math.subtract", "tf.math.truediv", y=1.0, name=None),
            on(
                functional("base", start("input_2"), on(conv(activation="linear"), "input_2"), on(norm(), "conv")),
                "tf.math.subtract",
                training=False,
            ),
            on(pool(), "base", call=1),
            on(dense(), "pool"),
        ),
        tutorial_twin,
        scaling="raw",
    ),
    "slashes": KerasFile(
        "2.6.0",
        "MobileNetV3: names with slashes, and operations named as layers are",
        functional(
            "MobilenetV3small",
            start(),
            on(layer("Rescaling", "rescaling", scale=1 / 127.5, offset=-1.0), "input_1"),
            on(
                functional(
                    "body",
                    start("input_2"),
                    on(conv("Conv", activation="linear"), "input_2"),
                    on(norm("Conv/BatchNorm"), "Conv"),
                    tf("__operators__.add", "tf.__operators__.add", "Conv/BatchNorm", y=3.0, name=None),
                    on(
                        layer("ReLU", "re_lu", max_value=6.0, negative_slope=0.0, threshold=0.0), "tf.__operators__.add"
                    ),
                    tf("math.multiply", "tf.math.multiply", "re_lu", y=0.16666667, name=None),
                    on(layer("Multiply", "multiply"), "Conv/BatchNorm", "tf.math.multiply"),
                    on(norm("Conv_1/BatchNorm"), "multiply"),
                ),
                "rescaling",
            ),
            on(pool(), "body", call=1),
            on(dense(), "pool"),
        ),
        slashes_twin,
        scaling="raw",
        rename={
            "Conv_BatchNorm/": "Conv/BatchNorm/",
            "Conv_1_BatchNorm/": "Conv_1/BatchNorm/",
        },
    ),
    "a slice": KerasFile(
        "2.8.0",
        "`SlicingOpLambda`: `resnet.preprocess_input` between layers",
        functional(
            "model",
            start(),
            tf(
                "__operators__.getitem",
                "tf.__operators__.getitem",
                "input_1",
                slice_spec={
                    "class_name": "__tuple__",
                    "items": [{"class_name": "__ellipsis__"}, {"start": None, "stop": None, "step": -1}],
                },
            ),
            tf(
                "nn.bias_add",
                "tf.nn.bias_add",
                "tf.__operators__.getitem",
                bias=[-103.939, -116.779, -123.68],
                data_format="NHWC",
            ),
            on(conv(), "tf.nn.bias_add"),
            on(pool(), "conv"),
            on(dense(), "pool"),
        ),
        twin(conv_twin(), pool_twin, dense_twin, before=reverse_channels),
        scaling="raw",
        spread=0.05,
    ),
    "augmentation": KerasFile(
        "2.5.0",
        "`keras.layers.experimental.preprocessing`: augmentation, `Rescaling`, `Resizing`",
        sequential(
            "sequential",
            start(),
            layer("RandomFlip", "flip", mode="horizontal", seed=None, rng_type="stateful"),
            layer(
                "RandomRotation",
                "turn",
                factor=0.1,
                fill_mode="reflect",
                fill_value=0.0,
                interpolation="bilinear",
                seed=None,
            ),
            layer(
                "RandomZoom",
                "zoom",
                height_factor=0.1,
                width_factor=None,
                fill_mode="reflect",
                fill_value=0.0,
                interpolation="bilinear",
                seed=None,
            ),
            layer("RandomContrast", "contrast", factor=0.1, seed=None),
            layer("Resizing", "resize", height=SIDE, width=SIDE, interpolation="bilinear"),
            layer("Rescaling", "rescaling", scale=1 / 255, offset=0.0),
            conv(),
            pool(),
            dense(),
        ),
        twin(lambda layers: layers.Rescaling(1 / 255), conv_twin(), pool_twin, dense_twin),
        scaling="raw",
    ),
    "efficientnet": KerasFile(
        "2.6.0",
        "EfficientNet: `Normalization`, `swish`, layers with two inputs",
        functional(
            "efficientnetb0",
            start(),
            on(layer("Rescaling", "rescaling", scale=1 / 255, offset=0.0), "input_1"),
            on(layer("Normalization", "normalization", axis=[3], mean=None, variance=None), "rescaling"),
            on(conv(activation="swish"), "normalization"),
            on(pool("se_squeeze"), "conv"),
            on(layer("Reshape", "se_reshape", target_shape=[1, 1, 4]), "se_squeeze"),
            on(conv("se_excite", kernel_size=[1, 1], activation="sigmoid"), "se_reshape"),
            on(layer("Multiply", "excited"), "conv", "se_excite"),
            on(layer("Dropout", "drop", rate=0.2, noise_shape=[None, 1, 1, 1], seed=None), "excited"),
            on(layer("Add", "added"), "drop", "conv"),
            on(pool(), "added"),
            on(dense(), "pool"),
        ),
        efficient_twin,
        scaling="raw",
        spread=0.2,
    ),
    "policies": KerasFile(
        "2.7.0",
        "mixed precision: `dtype` as a policy",
        sequential(
            "sequential",
            start(),
            conv(dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}}),
            pool(),
            dense(dtype={"class_name": "Policy", "config": {"name": "float32"}}),
        ),
    ),
    "within": KerasFile(
        "2.9.0",
        "transfer learning: a frozen Sequential in a Functional, called with `training=False`",
        functional(
            "model",
            start(),
            on(
                sequential(
                    "base",
                    start("conv_input"),
                    conv(activation="linear", trainable=False),
                    norm(trainable=False),
                ),
                "input_1",
                training=False,
            ),
            on(pool(), "base", call=1),
            on(dense(), "pool"),
        ),
        nested_twin,
    ),
    "old arguments": KerasFile(
        "2.9.0",
        "layers that Keras 3 has under other names: `ThresholdedReLU`, `RandomHeight`, `SyncBatchNormalization`",
        sequential(
            "sequential",
            start(),
            layer("RandomHeight", "taller", factor=0.1, interpolation="bilinear", seed=None),
            conv(activation="linear"),
            {**norm(), "class_name": "SyncBatchNormalization"},
            layer("ThresholdedReLU", "thresholded", theta=0.5),
            layer("SpatialDropout2D", "dropout", rate=0.5, noise_shape=None, seed=None),
            pool(),
            dense(),
        ),
        twin(
            conv_twin(activation=None),
            norm_twin,
            lambda layers: layers.ReLU(threshold=0.5),
            pool_twin,
            dense_twin,
        ),
    ),
    "recurrent": KerasFile(
        "2.3.1",
        "a recurrent layer with `time_major` and `implementation`",
        sequential(
            "sequential",
            layer(
                "LSTM",
                "lstm",
                batch_input_shape=[None, 28, 28],
                units=4,
                time_major=False,
                implementation=2,
                activation="tanh",
                recurrent_activation="sigmoid",
                return_sequences=False,
                unit_forget_bias=True,
            ),
            dense(),
        ),
        rows_twin,
        kind="ink",
    ),
    "custom training": KerasFile(
        "2.11.0",
        "a loss, regularizer or initializer of its own: what only a training needs is not read",
        sequential(
            "sequential",
            start(),
            conv(kernel_regularizer={"class_name": "Custom>Mine", "config": {"strength": 0.1}}),
            pool(),
            dense(kernel_initializer={"class_name": "MyInitializer", "config": {}}),
        ),
        losses="my_loss",
    ),
    "softmax behind": KerasFile(
        "2.14.0",
        "`Sequential([model, Softmax()])`, with the module of each class",
        with_module(
            sequential(
                "sequential_1",
                start("sequential_input", (None, 28, 28)),
                sequential(
                    "sequential",
                    start("flatten_input", (None, 28, 28)),
                    layer("Flatten", "flatten", batch_input_shape=[None, 28, 28], data_format="channels_last"),
                    dense(activation="linear"),
                ),
                layer("Softmax", "softmax", axis=-1),
            )
        ),
        logits_in_front_of("softmax"),
        kind="ink",
    ),
    "archive": KerasFile(
        "2.13.1",
        "a `.keras` archive of Keras 2",
        with_module(sequential("sequential", start(), conv(), norm(), pool(), dense(), build_input_shape=PICTURE)),
        twin(conv_twin(), norm_twin, pool_twin, dense_twin),
        archive=True,
    ),
    "keras 1": KerasFile(
        "1.2.2",
        "everything of Keras 1",
        {"class_name": "Sequential", "config": [layer("Convolution2D", "conv", nb_filter=4, nb_row=3, nb_col=3)]},
        None,
        r"Keras 1\.2\.2 saved it, of before March 2017",
    ),
    "pickled": KerasFile(
        "2.4.0",
        "a `Lambda` layer, which is code",
        sequential("s", start(), layer("Lambda", "double", function=["4wEAAAA=", None, None]), pool(), dense()),
        None,
        r"holds a Lambda layer: .* never run\..* Received: 'double', saved by Keras 2\.4\.0$",
    ),
    "its own": KerasFile(
        "2.8.0",
        "a layer or activation of its own",
        sequential("s", start(), layer("Custom>Swirl", "swirl"), pool(), dense()),
        None,
        r"holds a layer or function that is not Keras' own.* Received: 'swirl' \(Custom>Swirl\), .*Keras 2\.8\.0$",
    ),
    "a network of its own": KerasFile(
        "3.3.0",
        "a network of a class of its own",
        {"module": None, "class_name": "MyNet", "config": {"name": "my_net"}, "registered_name": "MyNet"},
        None,
        r"not Keras' own.* Received: the network 'my_net' \(MyNet\), saved by Keras 3\.3\.0$",
    ),
    "unfinished": KerasFile(
        "2.6.0",
        "",
        {"class_name": "Functional", "config": {"name": "model", "layers": [{**start(), "inbound_nodes": None}]}},
        None,
        r"its configuration is none that Keras writes; Keras 2\.6\.0 saved it\. Received: \w+Error: ",
    ),
    "an unknown function": KerasFile(
        "2.8.0",
        "",
        functional("model", start(), tf("io.read_file", "tf.io.read_file", "input_1")),
        None,
        r"its layer 'tf\.io\.read_file' \(TFOpLambda\) does not fit .* Received: the function 'read_file', ",
    ),
    "its own activation": KerasFile(
        "2.8.0",
        "",
        sequential("s", start(), conv(activation="mish_of_mine"), pool(), dense()),
        None,
        r"not Keras' own.* Received: the activation 'mish_of_mine' of 'conv', saved by Keras 2\.8\.0$",
    ),
    "of another module": KerasFile(
        "2.13.1",
        "",
        sequential("s", start(), {**conv(), "module": "my.layers", "registered_name": "Conv2D"}, pool(), dense()),
        None,
        r"not Keras' own.* Received: 'conv' \(Conv2D\), saved by Keras 2\.13\.1$",
    ),
    "gone": KerasFile(
        "2.9.0",
        "layers that Keras 3 has no more: `LocallyConnected2D`, `CuDNNLSTM`",
        sequential("s", start(), layer("LocallyConnected2D", "local", filters=2, kernel_size=[3, 3]), pool(), dense()),
        None,
        r"Keras 2\.9\.0 saved it, and its layer 'local' \(LocallyConnected2D\) does not fit Keras 3\.",
    ),
    "two groups": KerasFile(
        "2.4.0",
        "arguments that change a layer's answer and that Keras 3 lacks, such as `groups=2` of `DepthwiseConv2D`",
        sequential("s", start(), depthwise(groups=2), pool(), dense()),
        None,
        r"Keras 2\.4\.0 saved it, and its layer 'depthwise' \(DepthwiseConv2D\) does not fit .*\{'groups': 2\}$",
    ),
    "layers that do not meet": KerasFile(
        "2.6.0",
        "",
        sequential("s", start(), pool("first"), conv("second"), dense()),
        None,
        r"Keras 2\.6\.0 saved it, and its layer 'second' \(Conv2D\) does not fit .* Received: Input 0 ",
    ),
}


def row(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("-")[0].split("."))


def table() -> list[tuple[str, str, str]]:
    """The rows of the documentation: version, what its files hold, whether they are imported; oldest first."""
    rows = [(one.version, one.about, "yes" if one.twin else "no") for one in FILES.values() if one.about]
    return sorted(rows, key=lambda one: (row(one[0]), one[2] == "no", one[1]))


def fill(network: Any, spread: float = 0.5) -> None:
    """Gives a network weights that no two layers share, with variances above 0."""
    rng = np.random.default_rng(3)
    for one in network.weights:
        values = rng.normal(0, spread, one.shape)
        one.assign(np.abs(values) + 0.01 if "variance" in one.path else values.astype(one.dtype))
    for one in network.layers:
        if hasattr(one, "finalize_state"):  # Normalization keeps constants made of its weights
            one.finalize_state()


def write(case: KerasFile, folder: Path, name: str = "my_flowers") -> tuple[Path, Any]:
    """Writes a file as that version did; returns it and the network, with the same weights, if it has one."""
    network = case.twin() if case.twin else None
    if network is not None:
        fill(network, case.spread)
    inner = getattr(network, "inner", network)
    if case.archive:
        return write_archive(case, inner, folder / f"{name}.keras"), network
    file = folder / f"{name}.h5"
    with h5py.File(file, "w") as opened:
        opened.attrs["keras_version"] = case.version.encode()
        opened.attrs["backend"] = b"tensorflow"
        opened.attrs["model_config"] = json.dumps(case.config).encode()
        training = {"loss": case.losses, "optimizer_config": {"class_name": "Adam", "config": {"lr": 0.001}}}
        opened.attrs["training_config"] = json.dumps(training).encode()
        group = opened.create_group("model_weights")
        group.attrs["layer_names"] = [one.name.encode() for one in inner.layers] if inner else []
        for one in inner.layers if inner else ():
            weights = [*one.trainable_weights, *one.non_trainable_weights]
            paths = ["/".join(weight.path.split("/")[-2:]) for weight in weights]
            names = [f"{renamed(path, case.rename)}:0" for path in paths]
            below = group.create_group(one.name)
            below.attrs["weight_names"] = [name.encode() for name in names]
            for weight, stored in zip(weights, names, strict=True):
                below[stored] = np.asarray(weight)
    return file, network


def renamed(path: str, names: dict[str, str]) -> str:
    for new, old in names.items():
        path = path.replace(new, old)
    return path


def write_archive(case: KerasFile, network: Any, file: Path) -> Path:
    """Writes a `.keras` archive with the paths that Keras 2.12 to 2.15 gave the weights."""
    weights = file.with_suffix(".weights.h5")
    with h5py.File(weights, "w") as opened:
        for one in network.layers:
            key = {"Conv2D": "conv2d", "BatchNormalization": "batch_normalization", "Dense": "dense"}.get(
                type(one).__name__, type(one).__name__.lower()
            )
            group = opened.create_group(f"_layer_checkpoint_dependencies/{key}/vars")
            for place, weight in enumerate(one.weights):
                group[str(place)] = np.asarray(weight)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": case.version, "date_saved": "2023-08-01"}))
        archive.writestr("config.json", json.dumps(case.config))
        archive.write(weights, "model.weights.h5")
    weights.unlink()
    return file
