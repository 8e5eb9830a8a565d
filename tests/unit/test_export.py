"""An exported classifier answers as Inkling does, in a program that knows nothing of Inkling."""

import io
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

import numpy as np
import onnxruntime
import pytest
from PIL import Image, ImageDraw

from inkling.config import Settings
from inkling.recognition import inputs
from inkling.recognition.card import ModelCard, sha256
from inkling.recognition.catalog import Model
from inkling.recognition.local import LocalPredictor
from inkling.recognition.predictor import Prepared
from inkling.recognition.runtimes import openvino
from inkling.recognition.runtimes.base import tempered
from inkling.teach import export, features, head
from inkling.teach.learn import learn
from tests.support.backbones import write_backbone

CREATED = datetime(2026, 11, 30, 12, tzinfo=UTC)
NAMES = ("robin", "wren", "tall/heron")


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A classifier of three colors on the toy backbone: model, report, and the bytes of head and backbone."""
    root = tmp_path_factory.mktemp("models")
    backbone = write_backbone(root)
    random = np.random.default_rng(0)
    y = np.repeat(np.arange(3), 12)
    learned = learn((np.eye(3)[y] + random.normal(0, 0.4, (36, 3))).astype(np.float32), y, NAMES)
    folder = root / "birds"
    folder.mkdir()
    head.write(learned, folder / "head.onnx")
    card = ModelCard.model_validate(
        {
            "name": "birds",
            "task": "birds",
            "title": "Our $5 birds",
            "labels": NAMES,
            "input": {"kind": "photo", "width": 8, "height": 8, "channels": 3, "scaling": "unit"},
            "backbone": {"model": "backbone", "checksum": sha256(backbone / "model.onnx")},
            "temperature": 1.5,
            "threshold": 0.9,
            "familiar": learned.familiar,
            "files": {"head.onnx": sha256(folder / "head.onnx")},
        }
    )
    return (
        Model(card, folder),
        learned.report,
        (folder / "head.onnx").read_bytes(),
        (backbone / "model.onnx").read_bytes(),
    )


@pytest.fixture
def pictures():
    return np.random.default_rng(1).integers(0, 256, (9, 8, 8, 3), np.uint8)


def exported(taught, card=None, examples=()):
    model, report, *networks = taught
    file = io.BytesIO()
    export.write(file, card or model.card, *networks, report, CREATED, examples)
    return ZipFile(file)


def outputs(network, pictures):
    return onnxruntime.InferenceSession(network).run(["probabilities", "familiarity"], {"pictures": pictures})


@pytest.mark.parametrize("temperature", [1.0, 1.5])
@pytest.mark.parametrize("scaling", ["unit", "signed"])
def test_the_network_answers_as_the_model(taught, pictures, scaling, temperature):
    model, _, *networks = taught
    spec = model.card.input.model_copy(update={"scaling": scaling})
    card = model.card.model_copy(update={"input": spec, "temperature": temperature})
    answer = openvino.open_model(Model(card, model.folder)).answer(inputs.scale(pictures, scaling))
    probabilities, familiarity = outputs(export.network(card, *networks), pictures)
    assert np.abs(probabilities - tempered(answer.probabilities, temperature)).max() < 1e-4
    assert familiarity == pytest.approx(answer.familiarity, rel=1e-4, abs=1e-4)
    assert familiarity.shape == (9,)


def test_the_network_holds_nothing_that_it_does_not_need(taught):
    session = onnxruntime.InferenceSession(export.network(taught[0].card, *taught[2:]))
    (pictures,) = session.get_inputs()
    assert (pictures.name, pictures.type, pictures.shape) == ("pictures", "tensor(uint8)", ["n", 8, 8, 3])
    shapes = {each.name: each.shape for each in session.get_outputs()}
    assert shapes == {"probabilities": ["n", 3], "familiarity": ["n"]}
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["labels"]) == list(NAMES)
    assert float(about["familiar"]) == taught[0].card.familiar


def test_a_head_of_another_backbone_is_refused(taught, tmp_path):
    model, _, own, _ = taught
    other = write_backbone(tmp_path, outputs=[("probabilities", 3)]) / "model.onnx"
    with pytest.raises(ValueError, match="does not continue its backbone"):
        export.network(model.card, own, other.read_bytes())


def test_the_zip_holds_labels_card_figures_and_examples(taught, jpeg, png):
    examples = [("robin", "a" * 22, jpeg), ("tall/heron", "b" * 22, png)]
    archive = exported(taught, examples=examples)
    assert archive.namelist() == [
        *("model.onnx", "labels.txt", "card.json", "report.json", "README.md"),
        f"examples/robin/{'a' * 22}.jpg",
        f"examples/tall_heron/{'b' * 22}.png",
    ]
    assert archive.read("labels.txt").decode() == "robin\nwren\ntall/heron\n"
    card = ModelCard.model_validate_json(archive.read("card.json"))
    assert (card.labels, card.backbone, card.threshold) == (NAMES, None, 0.9)
    assert json.loads(archive.read("report.json"))["labels"] == list(NAMES)
    assert archive.read("README.md").decode().startswith("# Our $5 birds\n")
    assert archive.read(f"examples/robin/{'a' * 22}.jpg") == jpeg


@pytest.mark.parametrize("label, folder", {"..": "_", "a/b": "a_b", "aux.": "aux", " x": " x", ".a": "_.a"}.items())
def test_a_label_becomes_a_folder_on_any_system(label, folder):
    assert export._folder(label) == folder


def test_the_same_version_gives_the_same_bytes(taught):
    assert exported(taught).fp.getvalue() == exported(taught).fp.getvalue()


# ---- The program in the README ----


def program(archive):
    (code,) = re.findall(r"```python\n(.*?)```", archive.read("README.md").decode(), re.DOTALL)
    assert len(re.findall(r"^.+$", code, re.MULTILINE)) <= 10
    return code


def run(archive, folder, picture, name):
    """Unpacks the zip and runs its program there, without Inkling on the path; returns what it prints."""
    archive.extractall(folder)
    picture.save(folder / name, "PNG")  # by whatever name: Pillow looks at the contents
    code = f"import sys; sys.path.insert(0, '')\n{program(archive)}"
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("size", [(60, 40), (30, 90)])
def test_the_program_answers_as_the_model(taught, tmp_path, size):
    """A photo of one color, and a photo that is longer than 3:2."""
    model, *_ = taught
    photo = Image.effect_noise(size, 60).convert("RGB")
    photo.paste((230, 20, 30), (0, 0, *(side // 2 for side in size)))
    archive = exported(taught)
    pixels = inputs.photo(photo, 8, 8)
    probabilities, (familiarity,) = outputs(archive.read("model.onnx"), pixels[None])
    printed = run(archive, tmp_path, photo, "photo.jpg")
    label, _, numbers = printed.partition(" [")
    assert label == (NAMES[probabilities.argmax()] if familiarity >= model.card.familiar else "none of these")
    assert [float(each) for each in numbers.strip(" ]\n").split()] == pytest.approx(probabilities[0].tolist(), abs=1e-4)


# ---- The shipped backbones ----


@pytest.mark.parametrize("kind", ["photo", "ink"])
def test_the_network_of_a_shipped_backbone_answers_as_the_model(classifier, kind):
    """Parity on the same arrays, for photos and for drawings, in the precision that is served by default."""
    predictor = LocalPredictor(classifier.catalog, Settings.from_env({}))
    backbone = features.backbone(predictor.catalog, kind)
    spec, chance = backbone.card.input, np.random.default_rng(0)
    seen = chance.integers(0, 256, (9, spec.height, spec.width, spec.channels), np.uint8)
    seen[:, ::2] = seen[:, :1]  # not all noise
    pictures = [Prepared(one) for one in seen]
    found = predictor.features(pictures, backbone)
    learned = learn(found, np.array([0, 1, 2] * 3), NAMES)
    with TemporaryDirectory() as folder:
        head.write(learned, Path(folder, "head.onnx"))
        written = Path(folder, "head.onnx").read_bytes()
    card = backbone.card.model_copy(update={"labels": NAMES, "temperature": 1.0, "familiar": learned.familiar})
    network = export.network(card, written, (backbone.folder / "model.onnx").read_bytes())
    probabilities, familiarity = outputs(network, seen)
    answer = learned.answer(found)
    assert np.abs(probabilities - answer.probabilities).max() < 1e-4
    assert familiarity == pytest.approx(answer.familiarity, rel=1e-4, abs=1e-4)


def test_the_program_prepares_a_drawing_as_inkling(classifier, taught, tmp_path):
    """The zip brings the code for it, so that a drawing from a file is the same to the last pixel."""
    backbone = features.backbone(classifier.catalog, "ink")
    y = np.repeat(np.arange(3), 4)
    learned = learn(np.float32(np.random.default_rng(0).random((12, 1312)) + np.eye(3, 1312)[y]), y, NAMES)
    head.write(learned, tmp_path / "head.onnx")
    card = backbone.card.model_copy(update={"labels": NAMES, "familiar": learned.familiar})
    file = io.BytesIO()
    written, network = (tmp_path / "head.onnx").read_bytes(), (backbone.folder / "model.onnx").read_bytes()
    export.write(file, card, written, network, taught[1], CREATED)
    drawing = Image.new("RGB", (300, 200), "#f4f0e6")
    ImageDraw.Draw(drawing).line([(40, 160), (140, 30), (250, 170), (60, 90)], "#203040", 17)
    archive = ZipFile(file)
    (probabilities,), _ = outputs(archive.read("model.onnx"), inputs.ink(drawing, "quickdraw")[None])
    numbers = run(archive, tmp_path, drawing, "drawing.png").partition(" [")[2]
    assert [float(each) for each in numbers.strip(" ]\n").split()] == pytest.approx(probabilities.tolist(), abs=1e-6)
