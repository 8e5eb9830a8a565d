"""A second output for a network: how familiar a picture looks, float32 [n, 1], lower for what is none of its labels.

It is the energy of the logits (Liu et al. 2020, https://arxiv.org/abs/2010.03759) at a temperature of 1.5, less what
the features before the last layer have beside the main directions of the training pictures' (as ViM, Wang et al. 2022,
https://arxiv.org/abs/2203.10807), once that is 1.5 standard deviations above usual. Both are counted in
standard deviations over training pictures. Energy alone misses photos of other things; the distances (Mahalanobis,
relative Mahalanobis, k nearest neighbours, ViM) fail on doodles, whose strangers have small features.

All is built of Keras' own layers and operations with fixed weights, in the same graph: one file, loaded as any other.
"""

import keras
import numpy as np
from keras import layers, ops

from inkling.catalog import InputSpec
from training import evaluate
from training.data import Split, stratified

TEMPERATURE = 1.5
DIRECTIONS = 16  # at most, and at most half of the features
USUAL = 1.5  # standard deviations that features may lie off the main directions
SAMPLE = 3000  # training pictures that are looked at


def with_familiarity(model: keras.Model, train: Split, spec: InputSpec) -> keras.Model:
    """The same network with outputs probabilities [n, labels] and familiarity [n, 1], where it ends in a dense layer.

    Args:
        train: pictures it was trained on; they go through the pipeline that serves, not augmented.

    Returns:
        a new model that shares the layers of `model`; `plain` gives back what it was.
    """
    if not ends_in_dense(model):
        return model
    features, logits = ends(model)
    kept = stratified(train.y, SAMPLE, seed=0)
    probe = keras.Model(model.inputs, layers.Concatenate()([features, logits]))
    seen = evaluate.predict(lambda batch: np.asarray(probe.predict_on_batch(batch)), train.x[kept], spec)
    principal = main_directions(seen[:, : features.shape[-1]])
    beside, energy = off(features, principal), energy_of(logits)
    usual = keras.Model(model.inputs, [energy, beside])
    raw = evaluate.predict(lambda batch: np.hstack(usual.predict_on_batch(batch)), train.x[kept], spec)
    energy, beside = (standard(one, values) for one, values in zip((energy, beside), raw.T, strict=True))
    familiarity = layers.Subtract(name="familiarity")([energy, ops.relu(beside - USUAL)])
    return keras.Model(model.inputs, [*model.outputs, familiarity], name=model.name)


def plain(model: keras.Model) -> keras.Model:
    """The network without its familiarity, if it has one."""
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name) if len(model.outputs) > 1 else model


def ends_in_dense(model: keras.Model) -> bool:
    """Whether the last layer gives softmax or sigmoid of weighed features."""
    last = model.layers[-1]
    return isinstance(last, layers.Dense) and last.activation in (
        keras.activations.softmax, keras.activations.sigmoid)


def ends(model: keras.Model) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Features [n, features] before the last dense layer, and logits [n, labels] after it."""
    last = model.layers[-1]
    dense = layers.Dense(last.units, trainable=False, name="logits")
    logits = dense(last.input)
    dense.set_weights(last.get_weights())
    if last.units == 1:  # a sigmoid is the softmax of these two
        logits = layers.Concatenate(name="two_logits")([logits * -0.5, logits * 0.5])
    return last.input, logits


def main_directions(features: np.ndarray) -> np.ndarray:
    """float32 [features, directions], orthonormal: where features [n, features] have most of their length."""
    count = min(DIRECTIONS, features.shape[1] // 2)
    _, vectors = np.linalg.eigh(features.T.astype(np.float64) @ features)
    return vectors[:, ::-1][:, :count].astype(np.float32)


def off(features: keras.KerasTensor, principal: np.ndarray) -> keras.KerasTensor:
    """[n, 1]: length of what features have beside the main directions."""
    project = layers.Dense(principal.shape[1], use_bias=False, trainable=False, name="main_directions")
    within = project(features)
    project.set_weights([principal])
    left = ops.sum(ops.square(features), axis=1, keepdims=True) - ops.sum(ops.square(within), axis=1, keepdims=True)
    return ops.sqrt(ops.relu(left))


def energy_of(logits: keras.KerasTensor) -> keras.KerasTensor:
    """[n, 1]: the free energy of logits, less its sign."""
    return TEMPERATURE * ops.logsumexp(logits / TEMPERATURE, axis=1, keepdims=True)


def standard(tensor: keras.KerasTensor, values: np.ndarray) -> keras.KerasTensor:
    """A tensor in standard deviations from the mean of the values that it had."""
    spread = max(float(values.std()), 1e-6)
    return layers.Rescaling(1 / spread, -float(values.mean()) / spread)(tensor)
