"""Adds a second output to a network: familiarity, float32 [n, 1], low for pictures of none of its labels.

By default, familiarity is the energy of the logits at a temperature of 1.5 (Liu et al. 2020,
https://arxiv.org/abs/2010.03759), minus a penalty: the length of the features outside the principal subspace of the
training features, where it is over 1.5 standard deviations above its mean (after ViM, Wang et al. 2022,
https://arxiv.org/abs/2203.10807). Both terms are standardized over training pictures. Energy alone misses photos of
other things. Distances alone (Mahalanobis, relative Mahalanobis, k nearest neighbors, ViM) fail on doodles, because
unfamiliar doodles have small features.

For the doodles' network, with many labels and globally pooled features, the energy of mean-centered logits works best.
It measures how far an answer is from uniform, close to GEN with a gamma near 0 (Liu et al. 2023,
https://cvpr2023.thecvf.com/virtual/2023/poster/21065). Its AUROC is 0.949 against digits and 0.951 against letters;
the default reaches 0.915 and 0.942.

Logistic regression learns no features, so that both scores measure little more than the amount of ink. It uses the
negative distance to the nearest of 64 typical training pictures instead.

The output consists of Keras' own layers with fixed weights in the same graph, and so needs no file of its own.
"""

import keras
import numpy as np
from keras import layers, ops
from sklearn.cluster import KMeans

from inkling.recognition.card import InputSpec
from training import evaluate
from training.data import Split, stratified

TEMPERATURE = 1.5
DIRECTIONS = 16  # dimensions of the principal subspace, but at most half of the features
USUAL = 1.5  # standard deviations of the distance to the subspace that go unpenalized
TYPICAL = 64  # typical training pictures, for a network without learned features
SAMPLE = 3000  # training pictures that the statistics are fitted on


def with_familiarity(model: keras.Model, train: Split, spec: InputSpec, centred: bool = False) -> keras.Model:
    """The network with outputs probabilities [n, labels] and familiarity [n, 1], if it ends in a dense layer.

    Args:
        train: training pictures, preprocessed as in serving and not augmented.
        centred: use the energy of mean-centered logits alone.

    Returns:
        A new model that shares the layers of `model`; `plain` reverses this.
    """
    if not ends_in_dense(model):
        return model
    kept = stratified(train.y, SAMPLE, seed=0)
    given = distance if learns_no_features(model) else centred_energy if centred else energy_and_distance
    familiarity = given(model, train.x[kept], spec)
    return keras.Model(model.inputs, [*model.outputs, familiarity], name=model.name)


def energy_and_distance(model: keras.Model, pictures: np.ndarray, spec: InputSpec) -> keras.KerasTensor:
    """[n, 1]: energy minus the penalty for features outside the principal subspace."""
    features, logits = ends(model)
    seen = values_of(layers.Concatenate()([features, logits]), model, pictures, spec)
    principal = main_directions(seen[:, : features.shape[-1]])
    beside, energy = off(features, principal), energy_of(logits)
    raw = values_of(layers.Concatenate()([energy, beside]), model, pictures, spec)
    energy, beside = (standard(one, values) for one, values in zip((energy, beside), raw.T, strict=True))
    return layers.Subtract(name="familiarity")([energy, ops.relu(beside - USUAL)])


def centred_energy(model: keras.Model, pictures: np.ndarray, spec: InputSpec) -> keras.KerasTensor:
    """[n, 1]: energy of the mean-centered logits."""
    _, logits = ends(model)
    energy = ops.logsumexp(logits, axis=1, keepdims=True) - ops.mean(logits, axis=1, keepdims=True)
    values = values_of(energy, model, pictures, spec)
    return standard(energy, values, name="familiarity")


def distance(model: keras.Model, pictures: np.ndarray, spec: InputSpec) -> keras.KerasTensor:
    """[n, 1]: negative distance to the nearest cluster center of training features."""
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
    """The values of a tensor [n, values] for uint8 pictures, preprocessed as in serving."""
    probe = keras.Model(model.inputs, tensor)
    return evaluate.predict(lambda batch: np.asarray(probe.predict_on_batch(batch)), pictures, spec)


def plain(model: keras.Model) -> keras.Model:
    """The network without the familiarity output."""
    return keras.Model(model.inputs[0], model.outputs[0], name=model.name) if len(model.outputs) > 1 else model


def ends_in_dense(model: keras.Model) -> bool:
    """Whether the last layer is a dense layer with softmax or sigmoid."""
    last = model.layers[-1]
    return isinstance(last, layers.Dense) and last.activation in (keras.activations.softmax, keras.activations.sigmoid)


def learns_no_features(model: keras.Model) -> bool:
    """Whether the last layer is the only trained one, and so acts on pixels."""
    return not any(layer.trainable_weights for layer in model.layers[:-1])


def ends(model: keras.Model) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Features [n, features] before the last dense layer, and logits [n, labels] after it."""
    last = model.layers[-1]
    dense = layers.Dense(last.units, trainable=False, name="logits")
    logits = dense(last.input)
    dense.set_weights(last.get_weights())
    if last.units == 1:  # a sigmoid equals the softmax of (0, logit)
        logits = layers.Concatenate(name="two_logits")([logits * -0.5, logits * 0.5])
    return last.input, logits


def main_directions(features: np.ndarray) -> np.ndarray:
    """An orthonormal basis, float32 [features, directions], of the principal subspace of features [n, features]."""
    count = min(DIRECTIONS, features.shape[1] // 2)
    _, vectors = np.linalg.eigh(features.T.astype(np.float64) @ features)
    return vectors[:, ::-1][:, :count].astype(np.float32)


def off(features: keras.KerasTensor, principal: np.ndarray) -> keras.KerasTensor:
    """[n, 1]: length of the features' component outside the principal subspace."""
    project = layers.Dense(principal.shape[1], use_bias=False, trainable=False, name="main_directions")
    within = project(features)
    project.set_weights([principal])
    left = ops.sum(ops.square(features), axis=1, keepdims=True) - ops.sum(ops.square(within), axis=1, keepdims=True)
    return ops.sqrt(ops.relu(left))


def energy_of(logits: keras.KerasTensor) -> keras.KerasTensor:
    """[n, 1]: the negative free energy of the logits."""
    return TEMPERATURE * ops.logsumexp(logits / TEMPERATURE, axis=1, keepdims=True)


def standard(tensor: keras.KerasTensor, values: np.ndarray, name: str | None = None) -> keras.KerasTensor:
    """The tensor standardized by the mean and standard deviation of `values`."""
    spread = max(float(values.std()), 1e-6)
    return layers.Rescaling(1 / spread, -float(values.mean()) / spread, name=name)(tensor)
