"""A second output for a network: how familiar a picture looks, float32 [n, 1], lower for what is none of its labels.

It is the energy of the logits (Liu et al. 2020, https://arxiv.org/abs/2010.03759) at a temperature of 1.5, less what
the features before the last layer have beside the main directions of the training pictures' (as ViM, Wang et al. 2022,
https://arxiv.org/abs/2203.10807), once that is 1.5 standard deviations above usual. Both are counted in
standard deviations over training pictures. Energy alone misses photos of other things; the distances (Mahalanobis,
relative Mahalanobis, k nearest neighbours, ViM) fail on doodles, whose strangers have small features.

With many labels and features that are means of maps (the doodles' network) neither helps as much as the energy of
logits that are counted from their mean: how far an answer is from saying all labels alike, which GEN (Liu et al. 2023,
https://cvpr2023.thecvf.com/virtual/2023/poster/21065) comes near as its gamma nears 0. Digits and letters are told from
doodles by 0.949 and 0.951 so, by 0.915 and 0.942 otherwise (AUROC).

Where nothing was learned before the last layer (logistic regression), both tell how much ink there is, and little else;
there it is the distance to the nearest of some typical training pictures, negated.

All is built of Keras' own layers and operations with fixed weights, in the same graph: one file, loaded as any other.
"""

import keras
import numpy as np
from keras import layers, ops
from sklearn.cluster import KMeans

from inkling.recognition.card import InputSpec
from training import evaluate
from training.data import Split, stratified

TEMPERATURE = 1.5
DIRECTIONS = 16  # at most, and at most half of the features
USUAL = 1.5  # standard deviations that features may lie off the main directions
TYPICAL = 64  # pictures that stand for all, of a network that learned no features
SAMPLE = 3000  # training pictures that are looked at


def with_familiarity(model: keras.Model, train: Split, spec: InputSpec, centred: bool = False) -> keras.Model:
    """The same network with outputs probabilities [n, labels] and familiarity [n, 1], where it ends in a dense layer.

    Args:
        train: pictures it was trained on; they go through the pipeline that serves, not augmented.
        centred: takes the energy of logits counted from their mean, and nothing else.

    Returns:
        a new model that shares the layers of `model`; `plain` gives back what it was.
    """
    if not ends_in_dense(model):
        return model
    kept = stratified(train.y, SAMPLE, seed=0)
    given = distance if learns_no_features(model) else centred_energy if centred else energy_and_distance
    familiarity = given(model, train.x[kept], spec)
    return keras.Model(model.inputs, [*model.outputs, familiarity], name=model.name)


def energy_and_distance(model: keras.Model, pictures: np.ndarray, spec: InputSpec) -> keras.KerasTensor:
    """[n, 1]: energy, less what features have beside the main directions of those of some training pictures."""
    features, logits = ends(model)
    seen = values_of(layers.Concatenate()([features, logits]), model, pictures, spec)
    principal = main_directions(seen[:, : features.shape[-1]])
    beside, energy = off(features, principal), energy_of(logits)
    raw = values_of(layers.Concatenate()([energy, beside]), model, pictures, spec)
    energy, beside = (standard(one, values) for one, values in zip((energy, beside), raw.T, strict=True))
    return layers.Subtract(name="familiarity")([energy, ops.relu(beside - USUAL)])


def centred_energy(model: keras.Model, pictures: np.ndarray, spec: InputSpec) -> keras.KerasTensor:
    """[n, 1]: energy of the logits counted from their mean."""
    _, logits = ends(model)
    energy = ops.logsumexp(logits, axis=1, keepdims=True) - ops.mean(logits, axis=1, keepdims=True)
    values = values_of(energy, model, pictures, spec)
    return standard(energy, values, name="familiarity")


def distance(model: keras.Model, pictures: np.ndarray, spec: InputSpec) -> keras.KerasTensor:
    """[n, 1]: how far features are from the nearest middle of those of some training pictures, negated."""
    features = model.layers[-1].input
    seen = values_of(features, model, pictures, spec)
    middles = KMeans(min(TYPICAL, len(seen)), n_init=1, random_state=0).fit(seen).cluster_centers_.T
    nearest = layers.Dense(middles.shape[1], trainable=False, name="typical")
    apart = ops.min(nearest(features), axis=1, keepdims=True) + ops.sum(ops.square(features), axis=1, keepdims=True)
    nearest.set_weights([-2 * middles, np.square(middles).sum(axis=0)])  # of |x|^2 - 2xm + |m|^2
    apart = ops.sqrt(ops.relu(apart))
    values = values_of(apart, model, pictures, spec)
    return layers.Rescaling(-1, name="familiarity")(standard(apart, values))


def values_of(tensor: keras.KerasTensor, model: keras.Model, pictures: np.ndarray, spec: InputSpec) -> np.ndarray:
    """What a tensor [n, values] of a network becomes for pictures (uint8), through the pipeline that serves."""
    probe = keras.Model(model.inputs, tensor)
    return evaluate.predict(lambda batch: np.asarray(probe.predict_on_batch(batch)), pictures, spec)


def plain(model: keras.Model) -> keras.Model:
    """The network without its familiarity, if it has one."""
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name) if len(model.outputs) > 1 else model


def ends_in_dense(model: keras.Model) -> bool:
    """Whether the last layer gives softmax or sigmoid of weighed features."""
    last = model.layers[-1]
    return isinstance(last, layers.Dense) and last.activation in (keras.activations.softmax, keras.activations.sigmoid)


def learns_no_features(model: keras.Model) -> bool:
    """Whether only the last layer was trained: it weighs the picture itself."""
    return not any(layer.trainable_weights for layer in model.layers[:-1])


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


def standard(tensor: keras.KerasTensor, values: np.ndarray, name: str | None = None) -> keras.KerasTensor:
    """A tensor in standard deviations from the mean of the values that it had."""
    spread = max(float(values.std()), 1e-6)
    return layers.Rescaling(1 / spread, -float(values.mean()) / spread, name=name)(tensor)
