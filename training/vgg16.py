"""VGG16 (Simonyan and Zisserman 2015, https://arxiv.org/abs/1409.1556): thirteen pretrained convolutions, a new head.

Trained by transfer: the first four blocks stay as they are, and what they see in each view of a picture is computed
once. On it first the head is trained, then the head together with the last block.
"""

import hashlib
import math
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
from keras import layers
from tqdm import tqdm

from inkling.recognition import inputs
from inkling.recognition.runtimes import openvino
from training import augment, fit, quick
from training.data import Dataset, folder
from training.fit import Fitted
from training.heads import View, enlarged
from training.recipe import Recipe, Run

BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels, convolutions
MEANS = np.array([103.939, 116.779, 123.68], np.float32)  # of BGR, subtracted for ImageNet's weights
FROZEN = "block4_pool"  # the last layer that training leaves as it is
HEAD_EPOCHS = 3  # with the last block frozen too


def network(labels: int) -> keras.Model:
    """The network with global average pooling and a new head; the input side is any multiple of 32 pixels."""
    inputs = x = keras.Input((None, None, 3))
    for block, (channels, count) in enumerate(BLOCKS, 1):
        for i in range(1, count + 1):
            name = f"block{block}_conv{i}"
            x = layers.Conv2D(channels, 3, padding="same", kernel_initializer="he_normal", name=name)(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
        x = layers.MaxPooling2D(name=f"block{block}_pool")(x)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    x = layers.Dropout(0.2)(x)
    return keras.Model(inputs, layers.Dense(labels, activation="softmax", name="head")(x), name="vgg16")


def mirrored(pictures: np.ndarray, rng: np.random.Generator, side: int) -> np.ndarray:
    """Mirror images, augmented: uint8 [n, side, side, 3]."""
    return augment.hard_photos(np.ascontiguousarray(pictures[:, :, ::-1]), rng, side)


# Which views of the training pictures are seen, and of every which picture. Computing them takes most of the time.
VIEWS = ((enlarged, 1), (mirrored, 2))


def train(recipe: Recipe, dataset: Dataset, run: Run) -> Fitted:
    """Trains a head and the last block on what the frozen blocks see in `VIEWS` of the training pictures."""
    keras.utils.set_random_seed(run.seed)
    start = time.perf_counter()
    model = network(len(dataset.labels))
    load_pretrained(model, run.weights or fit.pretrained(recipe.weights))
    frozen = keras.Model(model.input, model.get_layer(FROZEN).output)
    side, scaling = recipe.input.width, recipe.input.scaling
    seen = [responses(frozen, dataset.train.x[::every], view, side, scaling) for view, every in VIEWS]
    y = [dataset.train.y[::every] for _, every in VIEWS]
    held_out = responses(frozen, dataset.held_out.x, enlarged, side, scaling), dataset.held_out.y
    last = tail(model)
    first = tune(last, recipe, seen, y, held_out, min(HEAD_EPOCHS, run.epochs), run.seed, head_only=True)
    then = tune(last, recipe, seen, y, held_out, run.epochs, run.seed, head_only=False)
    history = {key: [*values, *then[key]] for key, values in first.items()}
    return Fitted(model, history, len(history["loss"]), time.perf_counter() - start)


def tail(model: keras.Model) -> keras.Model:
    """The layers of `model` after the frozen ones as a network of their own, with the same weights."""
    names = [layer.name for layer in model.layers]
    x = inputs = keras.Input(model.get_layer(FROZEN).output.shape[1:])
    for layer in model.layers[names.index(FROZEN) + 1 :]:
        x = layer(x)
    return keras.Model(inputs, x, name="tail")


def tune(
    last: keras.Model,
    recipe: Recipe,
    seen: list[np.ndarray],
    y: list[np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray],
    epochs: int,
    seed: int,
    head_only: bool,
) -> dict[str, list[float]]:
    """Trains the last layers, or of them the head alone, and returns the history.

    Args:
        seen: float16 [n, h, w, channels] per view: what the frozen layers see.
        y: the labels of each view's pictures.
        held_out: the same of held-out pictures, and their labels.
    """
    labels = last.output_shape[-1]
    for layer in last.layers:
        layer.trainable = not head_only or layer.name == "head"
    once = replace(recipe, learning_rate=recipe.learning_rate * 10, average=None) if head_only else recipe
    learner = quick.twin(last) if openvino.has_bfloat16() else last
    places = np.concatenate([np.stack([np.full(len(part), v), np.arange(len(part))], 1) for v, part in enumerate(y)])
    steps = math.ceil(len(places) / recipe.batch)
    fit.compile_model(learner, once, steps * epochs)

    def batches():
        rng = np.random.default_rng(seed)
        while True:
            for picked in np.array_split(rng.permutation(places), steps):
                x = np.stack([seen[view][i] for view, i in picked])
                yield x.astype(np.float32), fit.targets(np.array([y[view][i] for view, i in picked]), labels)

    done = learner.fit(
        batches(),
        steps_per_epoch=steps,
        validation_data=(held_out[0].astype(np.float32), fit.targets(held_out[1], labels)),
        epochs=epochs,
        callbacks=[keras.callbacks.SwapEMAWeights()] if once.average is not None else [],
        verbose=2,
    )
    last.set_weights(learner.get_weights())
    return done.history


def responses(frozen: keras.Model, pictures: np.ndarray, view: View, side: int, scaling: str) -> np.ndarray:
    """What the frozen layers see in views of uint8 pictures [n, h, w, 3]: float16 [n, h, w, channels].

    Computed once and kept in the data folder, from which it is mapped into memory.
    """
    digest = hashlib.sha256(pictures.tobytes())
    digest.update(f"{frozen.get_weights()[0].sum()} {view.__name__} {side}".encode())
    path = folder() / "features" / f"{digest.hexdigest()[:32]}.npy"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".draft.npy")
        compute(frozen, pictures, view, side, scaling, draft)
        draft.replace(path)
    return np.load(path, mmap_mode="r")


def compute(frozen: keras.Model, pictures: np.ndarray, view: View, side: int, scaling: str, path: Path) -> None:
    """Writes what `responses` returns, picture by picture, so that all never are in memory at once."""
    seer = quick.twin(frozen) if openvino.has_bfloat16() else frozen
    out, batch = None, 32
    for start in tqdm(range(0, len(pictures), batch), view.__name__, mininterval=30):
        views = view(pictures[start : start + batch], np.random.default_rng([0, start]), side)
        now = np.asarray(seer.predict_on_batch(inputs.scale(views, scaling)))
        if out is None:
            out = np.lib.format.open_memmap(path, "w+", np.float16, (len(pictures), *now.shape[1:]))
        out[start : start + len(now)] = now
    out.flush()


def load_pretrained(model: keras.Model, weights: str) -> None:
    """Copies pretrained weights into the convolutions.

    They expect BGR with means subtracted, while our input is RGB from -1 to 1. The first convolution absorbs the
    difference. Results differ only at the border, where zero padding means gray instead of the mean color.

    Args:
        weights: "imagenet" (Keras downloads it), a file of `keras.applications.VGG16(include_top=False)`, or an `.npz`
            with `<layer>/kernel` and `<layer>/bias`.
    """
    convolutions = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    if str(weights).endswith(".npz"):
        with np.load(weights) as file:
            given = {one.name: [file[f"{one.name}/{part}"] for part in ("kernel", "bias")] for one in convolutions}
    else:
        backbone = keras.applications.VGG16(include_top=False, weights=weights)
        given = {one.name: backbone.get_layer(one.name).get_weights() for one in convolutions}
    kernel, bias = (part.astype(np.float32) for part in given["block1_conv1"])
    shift = np.einsum("yxco,c->o", kernel, 127.5 - MEANS)
    given["block1_conv1"] = [kernel[:, :, ::-1] * 127.5, bias + shift]
    for layer in convolutions:
        layer.set_weights(given[layer.name])
