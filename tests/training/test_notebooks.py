"""The committed notebooks were run, hold no photos of others, and still run from start to end."""

import json
import os
import re

import cv2
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image

from inkling.config import ROOT
from training.data import CIFAR10_LABELS, DOODLE_LABELS, PHOTO_SIZE

FOLDER = ROOT / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 400_000  # bytes of a notebook
LIMIT = 30  # pictures of each part of a data set; doodles need one of each label

# The tag of a cell with plots, and the license that the text before it must name. Photos of others have no tag.
SHOWN = {"chart": "", "drawn": "", "mnist": "CC BY-SA 3.0", "quickdraw": "CC BY 4.0"}
OF_PHOTOS = {"cats_dogs", "objects"}
MACHINE = re.compile(r"(?<![\w.])/(?:home|root|work|tmp|usr|opt|var)/|site-packages|\b[A-Z]:\\\\")

pytestmark = pytest.mark.skipif(not NOTEBOOKS, reason="no notebooks")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def code_of(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def has_picture(cell):
    return any(
        kind.startswith("image/") or "<img" in str(content) or "data:image" in str(content)
        for output in cell.outputs
        for kind, content in output.get("data", {}).items()
    )


# ---- Committed notebooks ----


def test_it_is_valid_and_small(path, notebook):
    nbformat.validate(notebook)
    assert path.stat().st_size <= LARGEST


def test_it_was_run_from_top_to_bottom(notebook):
    assert [cell.execution_count for cell in code_of(notebook)] == list(range(1, len(code_of(notebook)) + 1))


def test_its_outputs_hold_no_error_and_no_warning(notebook):
    kinds = [
        output.output_type if output.output_type != "stream" else output.name
        for cell in code_of(notebook)
        for output in cell.outputs
    ]
    assert set(kinds) <= {"stdout", "display_data", "execute_result"}
    assert not any("WARNING" in output.get("text", "") for cell in code_of(notebook) for output in cell.outputs)


def test_it_was_run_when_every_model_was_there(path):
    assert "is not here yet" not in path.read_text("utf-8")


def test_it_holds_no_paths_of_the_machine(path):
    assert MACHINE.findall(path.read_text("utf-8")) == []


def test_pictures_are_ours_or_credited(path, notebook):
    said = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            said = cell.source
        elif has_picture(cell):
            (kind,) = set(cell.metadata.get("tags", ())) & SHOWN.keys()
            assert SHOWN[kind] in said
            assert kind != "chart" or "pictures(" not in cell.source or "SHOW_PHOTOS" in cell.source
            assert path.stem not in OF_PHOTOS or kind == "chart"


def test_photos_are_shown_by_one_switch_that_is_off(path, notebook):
    if path.stem not in OF_PHOTOS:
        pytest.skip("shows no photos")
    code = "\n".join(cell.source for cell in code_of(notebook))
    assert "SHOW_PHOTOS = False" in code
    before = [code[: call.start()].splitlines() for call in re.finditer(r"common\.pictures\(", code)]
    for lines in before:  # each call is inside `if SHOW_PHOTOS`
        assert any("if SHOW_PHOTOS" in line for line in lines[-4:])


def test_figures_are_computed_not_typed(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert re.findall(r"\d+\.\d+ ?%", text) == []


# ---- Running notebooks ----


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    """Small data sets in the form of `training.data`, and a backbone with random weights."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    save_ink(folder / "mnist.npz", 10, rng)
    save_ink(folder / "doodles.npz", len(DOODLE_LABELS), rng, classes=np.array(DOODLE_LABELS))
    objects = {part: repeated(len(CIFAR10_LABELS), each) for part, each in (("train", 12), ("test", 6))}
    np.savez(
        folder / "cifar10.npz",
        **{f"x_{part}": rng.integers(0, 256, (len(y), 32, 32, 3), np.uint8) for part, y in objects.items()},
        **{f"y_{part}": y for part, y in objects.items()},
    )
    for part, count in (("train", 60), ("test", 12)):
        for label in ("cat", "dog"):
            place = folder / "cats-dogs" / part / label
            place.mkdir(parents=True)
            for i in range(count):
                blocks = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8))
                blocks.resize((PHOTO_SIZE, PHOTO_SIZE)).save(place / f"{i:05}.webp")
    save_backbone(folder / "backbones" / "mobilenet_v2_notop.weights.h5")
    return folder


def repeated(labels, each):
    return np.tile(np.arange(labels, dtype=np.uint8), each)


def save_ink(path, labels, rng, **more):
    """Writes digits in OpenCV's font, slightly displaced."""
    arrays = dict(more)
    parts = {"train": 8, "test": 4} | ({"tu_berlin": 1} if more else {})
    for part, each in parts.items():
        y = repeated(labels, each)
        x = np.zeros((len(y), 28, 28), np.uint8)
        for picture, label in zip(x, y, strict=True):
            at = (int(rng.integers(4, 9)), int(rng.integers(20, 26)))
            cv2.putText(picture, str(label % 10), at, cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2, cv2.LINE_AA)
        arrays |= {f"x_{part}": x, f"y_{part}": y}
    np.savez(path, **arrays)


def save_backbone(path):
    """Writes MobileNetV2's weights before any training."""
    import keras

    path.parent.mkdir()
    keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(160, 160, 3)).save_weights(path)


def run(notebook, monkeypatch, **environment):
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))
    NotebookClient(
        notebook, timeout=200, startup_timeout=200, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    ).execute()


def test_it_runs_on_a_few_pictures(path, notebook, tiny_data, monkeypatch):
    limit = len(DOODLE_LABELS) if path.stem == "doodles" else LIMIT
    run(notebook, monkeypatch, INKLING_DATA=tiny_data, NOTEBOOK_LIMIT=limit)


def test_it_runs_without_any_model(tiny_data, tmp_path, monkeypatch):
    """One notebook is enough: all look for models in the same way."""
    notebook = nbformat.read(FOLDER / "image_processing.ipynb", as_version=4)
    run(notebook, monkeypatch, INKLING_DATA=tiny_data, NOTEBOOK_LIMIT=LIMIT, INKLING_MODELS=tmp_path)
    assert "is not here yet" in json.dumps(notebook)


def test_an_invalid_limit_is_reported():
    """Importing `common` changes the working folder, so this runs in a process of its own."""
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", "import common; common.limit()"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        env=dict(os.environ) | {"NOTEBOOK_LIMIT": "many"},
    )
    assert "NOTEBOOK_LIMIT must be a whole number" in done.stderr
