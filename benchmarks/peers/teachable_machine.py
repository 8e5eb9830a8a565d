"""Teachable Machine's method: a small dense network on MobileNet's features, trained for 50 epochs.

After https://github.com/googlecreativelab/teachablemachine-community
(libraries/image/src/teachable-mobilenet.ts): features of a frozen MobileNetV2, a dense layer of 100 with ReLU, a dense
layer with softmax and no bias, Adam at 0.001, batches of 16. It is given all examples to learn from, where Teachable
Machine holds 15% of them out, and MobileNetV2 at full width, where it takes 35% of it (alpha 0.35), because our data
hold the weights of the full width alone.
"""

import numpy as np

EPOCHS, BATCH, RATE = 50, 16, 0.001


def train(features: np.ndarray, y: np.ndarray, classes: int, seed: int):
    """A classifier: float32 [n, d] -> probabilities float32 [n, classes]."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    start = keras.initializers.VarianceScaling()
    network = keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            layers.Dense(100, activation="relu", kernel_initializer=start),
            layers.Dense(classes, activation="softmax", kernel_initializer=start, use_bias=False),
        ]
    )
    network.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy")
    network.fit(features, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return lambda rows: network.predict(rows, batch_size=256, verbose=0)
