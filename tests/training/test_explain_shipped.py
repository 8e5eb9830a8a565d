"""Every shipped model can be explained. The largest model needs more than thirty forward passes for that."""

import numpy as np
import pytest

from inkling.recognition.explain import GRIDS, Explainer
from inkling.recognition.predictor import classify_one


def test_every_shipped_model_is_explained(shipped, classifier, drawing):
    why = Explainer().explain(classifier, drawing, shipped, None)
    answer = classify_one(classifier, drawing, shipped)
    assert (why.model, why.label) == (shipped.card.name, answer.label)
    assert why.confidence == pytest.approx(answer.confidence, abs=1e-4)
    drops = np.asarray(why.drops)
    assert drops.shape == (len(drops), len(drops))
    assert len(drops) in GRIDS[shipped.card.input.kind]
    assert np.isfinite(drops).all()
    assert (drops <= why.confidence + 1e-4).all()
    assert (drops >= why.confidence - 1 - 1e-4).all()
