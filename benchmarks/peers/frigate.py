"""Frigate's method for classifiers of one's own: a small dense network on MobileNetV2, trained for 50 epochs.

After https://github.com/blakeblackshear/frigate (frigate/util/classification.py): a frozen MobileNetV2, global average
pooling, a dense layer of 128 with ReLU, dropout of 0.3, softmax, Adam at 0.001, batches of 16. It gets more than
Frigate gives it: all examples to learn from, where Frigate holds 20% of them out; MobileNetV2 at full width, where
Frigate takes 35% of it (alpha 0.35), because our data hold the weights of the full width alone; and pixels from -1 to
1, as that network was trained, where Frigate takes 0 to 1.
"""

import numpy as np

EPOCHS, BATCH, RATE = 50, 16, 0.001


def train(features: np.ndarray, y: np.ndarray, classes: int, seed: int):
    """A classifier: float32 [n, d] -> probabilities float32 [n, classes]."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    network = keras.Sequential(
        [
            keras.Input(features.shape[1:]),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(classes, activation="softmax"),
        ]
    )
    network.compile(keras.optimizers.Adam(RATE), "sparse_categorical_crossentropy")
    network.fit(features, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return lambda rows: network.predict(rows, batch_size=256, verbose=0)
