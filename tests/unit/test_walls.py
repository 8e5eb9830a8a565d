"""Serving imports nothing heavy, never imports training, and never reads a pickle."""

import ast
import os
import subprocess
import sys

import pytest

from inkling.config import ROOT, Settings

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


def test_the_front_door_imports_only_inkling():
    ours = {path.stem for path in ROOT.glob("*.py")} | {path.name for path in ROOT.iterdir() if path.is_dir()}
    assert packages(ROOT / "app.py") & ours == {"inkling"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_inkling_imports_neither_learning_nor_pickle(path):
    assert packages(path) & {"training", "sklearn", "matplotlib", "skimage", "torch", *PICKLES} == set()


def test_only_the_keras_runtime_imports_tensorflow():
    users = [path for path in FILES if packages(path) & {"tensorflow", "keras"}]
    assert [path.parent.name for path in users] == ["recognition"]
    (function,) = [node for node in tree(users[0]).body if imports(node) & {"tensorflow", "keras"}]
    assert function.name == "open_keras"


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
