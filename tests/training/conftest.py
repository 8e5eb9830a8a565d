"""Fixtures for tests of the command line."""

import numpy as np
import pytest

from training import registry, vgg16


@pytest.fixture
def prepare_bars(tmp_path_factory, monkeypatch):
    """Returns a function that prepares an "MNIST" of vertical bars at ten places and registers one recipe for it."""

    def prepare_bars(recipe):
        folder, arrays = tmp_path_factory.mktemp("data"), {}
        for part, size in (("train", 300), ("test", 100)):
            y = np.arange(size) % 10
            x = np.random.default_rng(size).integers(0, 60, (size, 28, 28), np.uint8)
            for i, label in enumerate(y):
                x[i, 2:26, 2 + 2 * label : 5 + 2 * label] = 255
            arrays |= {f"x_{part}": x, f"y_{part}": y}
        np.savez(folder / "mnist.npz", **arrays)
        monkeypatch.setenv("INKLING_DATA", str(folder))
        monkeypatch.setattr(registry, "recipes", lambda: {"toy": recipe})

    return prepare_bars


@pytest.fixture
def thin_vgg16(monkeypatch):
    """Reduces VGG16 to an eighth of its width. Its shape stays the same, and training is fast."""
    monkeypatch.setattr(vgg16, "BLOCKS", [(channels // 8, count) for channels, count in vgg16.BLOCKS])
