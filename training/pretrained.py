"""Calibrates and measures a network that others trained, and rewrites its card.

The network is built from the weights in its package, see inkling/recognition/pretrained. Temperature and threshold are
fitted on all photos of the card's data set. The metrics are measured on the same photos, but each half with what was
fitted on the other half, see `evaluate.calibrated`.
"""

from inkling.recognition.card import Calibration, ModelCard, sha256
from inkling.recognition.catalog import Model
from inkling.recognition.pretrained import build
from inkling.recognition.runtimes import base, openvino
from training import evaluate
from training.data import Dataset
from training.export import as_json


def again(model: Model, dataset: Dataset) -> ModelCard:
    """Builds a model's network, calibrates and measures it, and rewrites its card; the card's texts stay.

    Raises:
        ValueError: the network cannot be built.
    """
    card, path = model.card, model.folder / build.FILE
    try:
        network = build.network_of(card.pretrained)
    except build.BuildError as error:
        raise ValueError(str(error)) from error
    path.write_bytes(network.file)
    compiled = openvino.compile_onnx(path)
    served = base.Answering(compiled)
    raw = evaluate.answers(served, dataset.held_out.x, card.input).probabilities
    temperature, threshold = evaluate.fit_few(raw, dataset.held_out.y)
    card = card.model_copy(
        update={
            "network": network.layers,
            "parameters": network.parameters,
            "calibration": Calibration(dataset=dataset.name, size=len(dataset.held_out.y)),
            "metrics": evaluate.measure(served, dataset, card.input, temperature, threshold),
            "temperature": temperature,
            "threshold": threshold,
            "files": {name: sha256(model.folder / name) for name in sorted(card.files)},
        }
    )
    (model.folder / build.CARD).write_text(as_json(card), "utf-8")
    return card
