"""After everything was used, each file that is kept is 0600 and each folder 0700, whatever the umask."""

import io
import os
import stat

import pytest
from PIL import Image

from inkling.recognition.pretrained import build
from inkling.storage import Storage, private
from inkling.storage.backup import backup, restore
from inkling.teach import helper
from tests.support.command import Runner


@pytest.fixture(autouse=True)
def open_umask():
    """Lets other users read new files, as far as nobody says otherwise."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder):
    """Returns the mode of a folder and all in it: a mapping from path to mode, links left out."""
    paths = [folder, *folder.rglob("*")]
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode) for path in paths if not path.is_symlink()
    }


def all_private(folder):
    found = modes(folder)
    return {name: oct(mode) for name, mode in found.items() if mode != (0o700 if (folder / name).is_dir() else 0o600)}


@pytest.fixture
def used(make_app, settings, owner, runner, jpeg, png, encode, models_folder, ink_model, photo_model, tmp_path):
    """The data folder after results, batches, explanations, teaching, tokens, blocks, an audit log and a sweep."""
    folder = settings.pictures
    audited = make_app(settings.replace(audit_log=folder / "audit.log"))
    client = audited.test_client()
    for model, data, name in ((photo_model, jpeg, "a.jpg"), (ink_model, png, "a.png")):
        page = client.post("/predict", data={"model": model, "image": (io.BytesIO(data), name)}).location
        assert client.get(f"{page}/thumbnail").status_code == 200
        assert client.get(f"{page}/heatmap.png").status_code == 200
    files = [(io.BytesIO(png), "a.png"), (io.BytesIO(png), "b.png")]
    assert "/batches/" in client.post("/predict", data={"model": ink_model, "image": files}).location
    for label, color in (("red", (200, 0, 0)), ("blue", (0, 0, 200))):
        (tmp_path / "colors" / label).mkdir(parents=True)
        for i in range(6):
            data = encode(Image.new("RGB", (64, 64), (color[0] + i, 10 * i, color[2] + i)))
            (tmp_path / "colors" / label / f"{i}.png").write_bytes(data)
    command = Runner(audited.extensions["inkling"])
    done = command.invoke(["teach", str(tmp_path / "colors"), "--name", "colors"])
    assert done.exit_code == 0, done.output
    for arguments in (["tokens", "add", "--scope", "read"], ["results", "block", "192.0.2.1"], ["results", "prune"]):
        assert command.invoke(arguments).exit_code == 0
    with helper.lock(settings):
        pass
    storage = audited.extensions["inkling"].storage
    id = page.rpartition("/")[2]
    storage.blobs.move(f"{id}.png", f"quarantine/{id}.png")
    return folder


def test_after_everything_was_used_nobody_else_can_read_anything(used, settings, tmp_path):
    names = modes(used).keys()
    for part in ("inkling.sqlite3", ".secret-key", ".blocked", "audit.log", "examples", "taught", "quarantine"):
        assert part in names
    assert any(name.endswith("head.onnx") for name in names)
    assert any(name.endswith(".heat.png") for name in names)
    assert all_private(used) == {}
    backup(settings, tmp_path / "backup.tar")
    assert stat.S_IMODE((tmp_path / "backup.tar").stat().st_mode) == 0o600
    elsewhere = settings.replace(pictures=tmp_path / "restored")
    restore(tmp_path / "backup.tar", elsewhere)
    Storage(elsewhere).tokens.all()
    assert (elsewhere.pictures / "examples").is_dir()
    assert all_private(elsewhere.pictures) == {}


def test_a_network_that_is_built_into_the_data_folder_is_private(settings, models_folder, tmp_path, monkeypatch):
    starters = tmp_path / "starters"
    (starters / "things").mkdir(parents=True)
    for path in (models_folder / "things").iterdir():
        if path.name != build.FILE:
            (starters / "things" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(build.os, "access", lambda *_: False)  # root may write everywhere
    ((_, built),) = build.build_missing(settings.replace(models=starters))
    assert built.is_relative_to(settings.pictures)
    assert all_private(settings.pictures) == {}


def test_an_empty_folder_becomes_private_and_one_in_use_stays_as_it_is(tmp_path):
    for name, content in (("empty", ()), ("checkout", (".gitkeep",)), ("shared", ("film.mp4",))):
        folder = tmp_path / name
        folder.mkdir(mode=0o755)
        for file in content:
            (folder / file).touch()
        private.make_folder(folder)
        assert stat.S_IMODE(folder.stat().st_mode) == (0o755 if name == "shared" else 0o700)


def test_folders_above_a_new_one_are_private_too(tmp_path):
    (tmp_path / "there").mkdir(mode=0o755)
    private.make_folder(tmp_path / "there" / "new" / "newer")
    assert modes(tmp_path / "there") == {".": 0o755, "new": 0o700, "new/newer": 0o700}


def test_a_database_of_an_earlier_version_becomes_private(settings):
    settings.pictures.mkdir(mode=0o700)
    (settings.pictures / "inkling.sqlite3").touch(mode=0o644)
    Storage(settings).tokens.all()
    assert all_private(settings.pictures) == {}
