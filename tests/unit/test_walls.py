"""What may know of what: serving is light, learning stays outside, and no pickle is ever read."""

import ast
import os
import subprocess
import sys

import pytest

from inkling.config import ROOT, Settings

# The design's table: a room of inkling -> the rooms it may import.
DOORS = {
    "settings": set(),
    "logs": set(),
    "intake": {"settings", "helper"},
    "helper": {"settings"},
    "decoder": {"intake", "helper"},
    "pixels": set(),
    "catalog": set(),
    "runtime": {"catalog"},
    "classifier": {"pixels", "catalog", "runtime"},
    "pause": set(),
    "store": {"settings", "pause"},
    "corrections": {"store"},
    "secret": {"settings"},
    "explain": {"intake", "pixels", "catalog", "classifier"},
    "saw": {"pixels", "catalog", "classifier"},
    "latency": {"intake", "classifier"},
    "batches": {"settings", "intake", "classifier", "store"},
    "lab": set(),
    "sheet": set(),
    "folder": {"settings", "intake", "pixels", "runtime", "classifier"},
    "prune": {"settings", "store", "batches"},
    "cli": {
        "settings",
        "intake",
        "pixels",
        "catalog",
        "runtime",
        "classifier",
        "store",
        "folder",
        "sheet",
        "corrections",
        "prune",
    },
}
DOORS["web"] = DOORS["cli"] | {"web", "latency", "secret", "batches", "lab", "logs", "explain", "saw"}
# Cut since: the classifier speaks intake's `Problem`, and takes its knobs; the store takes a `Prediction`.
DOORS["classifier"] |= {"intake", "settings"}
DOORS["store"] |= {"classifier"}

FILES = sorted((ROOT / "inkling").rglob("*.py"))
HEAVY = ("tensorflow", "keras", "sklearn", "matplotlib", "skimage", "openvino", "torch", "onnx", "scipy")
PICKLES = {"pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def imports(node):
    """Dotted names of all modules imported below a node; `from a import b` counts as a and a.b."""
    names = set()
    for one in ast.walk(node):
        if isinstance(one, ast.Import):
            names |= {alias.name for alias in one.names}
        elif isinstance(one, ast.ImportFrom):
            assert one.level == 0, "relative imports hide from this test"
            names |= {one.module} | {f"{one.module}.{alias.name}" for alias in one.names}
    return names


def tree(path):
    return ast.parse(path.read_text("utf-8"))


def room(path):
    return path.relative_to(ROOT / "inkling").with_suffix("").parts[0]


def packages(path):
    return {name.split(".")[0] for name in imports(tree(path))}


def test_importing_the_app_loads_nothing_heavy():
    """In an interpreter of its own, because this one has long loaded all."""
    code = "import sys, app; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"inkling", "flask", "PIL"} <= loaded
    assert loaded & {*HEAVY, "training"} == set()


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if path.stem != "__init__" or path.parent.name == "web"],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_room_imports_only_what_the_design_allows(path):
    rooms = {name.split(".")[1] for name in imports(tree(path)) if name.startswith("inkling.")}
    assert rooms <= DOORS[room(path)]


def test_every_room_is_in_the_table():
    assert {room(path) for path in FILES} - {"__init__"} == DOORS.keys()


def test_the_front_door_imports_only_inkling():
    ours = {path.stem for path in ROOT.glob("*.py")} | {path.name for path in ROOT.iterdir() if path.is_dir()}
    assert packages(ROOT / "app.py") & ours == {"inkling"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_inkling_imports_neither_learning_nor_pickle(path):
    assert packages(path) & {"training", "sklearn", "matplotlib", "skimage", "torch", *PICKLES} == set()


def test_tensorflow_is_imported_only_inside_the_keras_runtime():
    users = {path.name for path in FILES if packages(path) & {"tensorflow", "keras"}}
    assert users == {"runtime.py"}
    (door,) = [node for node in tree(ROOT / "inkling" / "runtime.py").body if imports(node) & {"tensorflow", "keras"}]
    assert door.name == "open_keras"


@pytest.mark.parametrize("path", [path for path in FILES if room(path) == "web"], ids=lambda path: path.name)
def test_the_web_touches_no_pixel_and_no_database(path):
    assert packages(path) & {"PIL", "cv2", "numpy", "sqlalchemy", *HEAVY} == set()


def test_opening_the_models_tells_nobody(tmp_path):
    """OpenVINO would send an event with each import, and keep a number for that in the home folder."""
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "INKLING_MODELS": str(Settings.from_env().models)}
    done = subprocess.run(
        [sys.executable, "-m", "flask", "models"], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert "digits-cnn" in done.stdout
    assert list(tmp_path.rglob("*")) == []


def test_nothing_but_learning_and_its_friends_imports_training():
    users = {
        path.relative_to(ROOT).parts[0]
        for folder in ("training", "benchmarks", "tests", "tools", "inkling")
        for path in (ROOT / folder).rglob("*.py")
        if "training" in packages(path)
    }
    assert users <= {"training", "benchmarks", "tests"}
