"""Measures what a hundred taught classifiers on one backbone take in a worker, with heads in NumPy and by OpenVINO.

    python -m benchmarks.heads [--heads 100] [--labels 5] [--examples 20]

Each way runs in a process of its own: it opens the backbone and answers a photo, then opens all heads, then asks each
of them about one picture. Memory is what the process has for itself (`Anonymous`) and in all (`Rss`), which also counts
the mapped files that workers share and the kernel can drop.
"""

import argparse
import multiprocessing
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.servers import memory
from inkling.config import Settings
from inkling.recognition.card import ModelCard, sha256
from inkling.recognition.catalog import Catalog, Model, read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Prepared
from inkling.recognition.runtimes import openvino
from inkling.teach import features, head
from inkling.teach.learn import learn

WAYS = ("numpy", "openvino")


def write_heads(folder: Path, backbone: Model, size: int, count: int, labels: int, examples: int) -> list[Model]:
    """Heads that were learned from random features."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(labels), examples)
    names = [f"label {i}" for i in range(labels)]
    learned = learn(
        np.float32(rng.gamma(1, 1, (len(y), size)) + y[:, None] * (np.arange(size) % labels == 0)), y, names
    )
    models = []
    for i in range(count):
        target = folder / f"taught-{i}"
        target.mkdir()
        head.write(learned, target / "head.onnx")
        card = {
            "name": target.name,
            "task": target.name,
            "title": target.name,
            "labels": names,
            "input": backbone.card.input,
            "backbone": {"model": backbone.card.name, "checksum": backbone.card.files["model.onnx"]},
            "familiar": learned.familiar,
            "files": {"head.onnx": sha256(target / "head.onnx")},
        }
        models.append(Model(ModelCard.model_validate(card), target))
    return models


def measure(way: str, folder: Path, arguments: argparse.Namespace) -> None:
    """Prints a row of the table."""
    if way == "openvino":
        openvino._open_head = lambda model, threads: openvino._compile(model, openvino.HEAD_FILE, threads)
    settings = Settings.from_env()
    catalog = read_catalog(settings.models)
    backbone = features.backbone(catalog, "photo")
    predictor = LocalPredictor(Catalog({backbone.card.name: backbone}), settings)
    spec = backbone.card.input
    picture = Prepared(np.full((spec.height, spec.width, spec.channels), 127, np.uint8))
    predictor.answer([picture], backbone)
    size = predictor.features([picture], backbone).shape[1]
    models = write_heads(folder, backbone, size, arguments.heads, arguments.labels, arguments.examples)
    asked, runtime = [], predictor._open(backbone)
    compute = runtime._network

    def network(batch: np.ndarray) -> list[np.ndarray]:
        asked.append(len(batch))
        return compute(batch)

    network.outputs = compute.outputs  # type: ignore[attr-defined]
    runtime._network = network
    before, start = memory(multiprocessing.current_process().pid), time.perf_counter()
    for model in models:
        predictor._open(model)
    opened = time.perf_counter()
    picture = Prepared(picture.seen)
    for model in models:
        predictor.answer([picture], model)
    done, after = time.perf_counter(), memory(multiprocessing.current_process().pid)
    own, all = (after[row] - before[row] for row in ("Anonymous", "Rss"))
    print(
        f"| {way} | {own:.1f} | {all:.1f} | {(opened - start) * 1e3 / len(models):.1f} "
        f"| {(done - opened) * 1e3 / len(models):.2f} | {len(asked)} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", type=int, default=100, help="classifiers (default 100)")
    parser.add_argument("--labels", type=int, default=5, help="labels of each (default 5)")
    parser.add_argument("--examples", type=int, default=20, help="examples of each label (default 20)")
    arguments = parser.parse_args()
    print("| heads | own memory, MB | all memory, MB | opening one, ms | asking one, ms | passes of the backbone |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    context = multiprocessing.get_context("spawn")
    for way in WAYS:
        with tempfile.TemporaryDirectory() as folder:
            process = context.Process(target=measure, args=(way, Path(folder), arguments))
            process.start()
            process.join()


if __name__ == "__main__":
    main()
