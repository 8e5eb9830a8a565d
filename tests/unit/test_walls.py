"""Importing a module loads only what it needs and reports nothing. `lint-imports` checks the rooms' contracts."""

import os
import subprocess
import sys

import pytest

from inkling.config import ROOT, Settings

HEAVY = {"tensorflow", "keras", "sklearn", "matplotlib", "skimage", "openvino", "torch", "onnx", "scipy", "training"}


def loaded(module):
    """Returns the packages that importing a module loads in a fresh interpreter."""
    code = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["app", "inkling.cli"])
def test_importing_the_app_loads_nothing_heavy(module):
    assert loaded(module) & HEAVY == set()


def test_a_decoder_process_loads_only_what_decodes():
    """A decoder process loads neither settings nor database code, so it starts faster and uses less memory."""
    assert (
        loaded("inkling.pictures.sandboxed") & {*HEAVY, "flask", "pydantic", "pydantic_settings", "sqlalchemy"} == set()
    )


def test_openvino_sends_no_telemetry(tmp_path):
    """By default, importing OpenVINO reports an event and stores an identifier in the home folder."""
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "INKLING_MODELS": str(Settings.from_env().models)}
    command = [sys.executable, "-m", "inkling", "models"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert "digits-cnn" in done.stdout
    assert list(tmp_path.rglob("*")) == []
