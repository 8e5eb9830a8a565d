"""Fixtures for all tests: an app with the shipped models and its own folder, and small pictures."""

import base64
import copy
import io
import os
import secrets
from datetime import timedelta
from pathlib import Path

import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from PIL import Image, ImageDraw

from inkling.config import Settings
from inkling.recognition.catalog import read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.recognition.pretrained.build import BuildError, build_missing
from inkling.service import Service
from inkling.storage import Storage
from inkling.storage.database import Database
from inkling.teach.teaching import Teaching
from inkling.web.app import create_app
from tests.support import s3
from tests.support.command import Runner
from tests.support.postgres import running
from tests.support.routes import share_url_builders
from tests.support.storage import stored
from tests.support.templates import BytecodeCache

INK_MODEL, PHOTO_MODEL = "digits-cnn", "cats-dogs-cnn"
# The limits are small so that pictures beyond them are small too. The time limit suits a busy machine.
LIMITS = {
    "INKLING_MAX_BYTES": "100000",
    "INKLING_MAX_PIXELS": "1000000",
    "INKLING_MAX_FRAMES": "5",
    "INKLING_MAX_BATCH": "3",
    "INKLING_REQUEST_SECONDS": "60",
}
LARGE = 10_000_000  # networks with more parameters take a slow processor seconds for a few pictures
for _, built in build_missing(Settings.from_env()):
    if isinstance(built, BuildError):
        raise built
SHIPPED = read_catalog(Settings.from_env().models)

collect_ignore = ["fleet"]  # Ray needs an environment of its own: `make test-fleet`
ROOMS = Path(__file__).parent

DATABASES = ("sqlite", "postgresql")

# Seconds after which a test counts as hanging: its fixtures included, on a slow and busy machine. A test that may take
# longer says so with a marker of its own.
TIME_LIMITS = {"unit": 120, "web": 120, "hostile": 240, "browser": 240, "server": 600, "training": 600}


def pytest_configure(config):
    """Registers a marker for each folder, and turns Pillow's decompression bomb warning into an error.

    The app does the latter too, but pytest replaces its warning filters.
    """
    for room in TIME_LIMITS:
        config.addinivalue_line("markers", f"{room}: the tests in tests/{room}")
    config.addinivalue_line("markers", "training: also others that load TensorFlow or a large network")
    config.addinivalue_line(
        "markers", "databases(name...): on which of `DATABASES` a test runs; only on SQLite by default"
    )
    config.addinivalue_line("markers", "stores(name...): where a test's pictures lie, `folder` (the default) or `s3`")
    config.addinivalue_line("filterwarnings", "error::PIL.Image.DecompressionBombWarning")


def pytest_collection_modifyitems(items):
    """Gives each test the marker and the time limit of its folder."""
    for item in items:
        room = room_of(item)
        item.add_marker(room)
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(TIME_LIMITS[room]))


def pytest_generate_tests(metafunc):
    """Runs a test on each database and each store that its markers name, or those of its module.

    Both are changed one at a time: databases do not depend on stores.
    """
    markers = [metafunc.definition.get_closest_marker(name) for name in ("databases", "stores")]
    if any(markers) and "settings" in metafunc.fixturenames:
        (database, *databases), (store, *stores) = (
            marker.args if marker else (default,) for marker, default in zip(markers, ("sqlite", "folder"), strict=True)
        )
        pairs = [(database, store), *((other, store) for other in databases), *((database, other) for other in stores)]
        ids = ["-".join(pair).removesuffix("-folder").removeprefix("sqlite-") for pair in pairs]
        metafunc.parametrize(("database", "blobs"), pairs, ids=ids, indirect=True)


def room_of(item):
    """Returns the folder of tests/ that a test is in."""
    return item.path.relative_to(ROOMS).parts[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Fails a skipped browser or server test in CI, where nothing that they need may be missing."""
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and os.environ.get("CI") == "true" and room_of(item) in ("browser", "server"):
        report.outcome, report.longrepr = "failed", f"skipped in CI: {report.longrepr[2]}"
    return report


# CI draws the same examples each time. Elsewhere Hypothesis searches for new ones.
hypothesis.settings.register_profile("gate", derandomize=True, database=None)
if os.environ.get("CI"):
    hypothesis.settings.load_profile("gate")

# All apps of a process share compiled templates and routes.
share_url_builders()
Flask.jinja_options = {"bytecode_cache": BytecodeCache()}


# ---- The app ----


@pytest.fixture(scope="session")
def models_folder():
    """The shipped models, or those of INKLING_MODELS."""
    return Settings.from_env().models


@pytest.fixture(
    scope="session",
    params=[
        pytest.param(model, id=name, marks=[pytest.mark.training] if model.card.parameters > LARGE else [])
        for name, model in SHIPPED.models.items()
    ],
)
def shipped(request):
    """Each shipped model in turn. `make check` leaves out the largest."""
    return request.param


@pytest.fixture(scope="session")
def ink_model():
    return INK_MODEL


@pytest.fixture(scope="session")
def photo_model():
    return PHOTO_MODEL


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server, with a database `prepared` whose tables are there."""
    with running() as server:
        server.execute("CREATE DATABASE prepared")
        prepared = Database(server.url("prepared"), Path("/"))
        with prepared.reading():
            pass
        prepared.close()
        yield server


@pytest.fixture
def database(request):
    """The URL of an empty database on the server that the test's marker names; empty for SQLite's default."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield ""
        return
    with request.getfixturevalue("postgres").database("prepared") as url:
        yield url


@pytest.fixture(scope="session")
def object_store():
    """A real object store with an empty bucket."""
    with s3.running() as store:
        yield store


@pytest.fixture
def blobs(request, monkeypatch):
    """Returns INKLING_BLOBS: empty, or a part of a bucket for this test alone if its marker asks for one."""
    if getattr(request, "param", "folder") == "folder":
        return ""
    for name, value in request.getfixturevalue("object_store").environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.BUCKET}/{secrets.token_hex(8)}"


@pytest.fixture
def settings(tmp_path, models_folder, database, blobs):
    """Settings with small limits, a temporary place for pictures and a database of their own."""
    places = {
        "INKLING_MODELS": str(models_folder),
        "INKLING_PICTURES": str(tmp_path / "pictures"),
        "INKLING_DATABASE_URL": database,
        "INKLING_BLOBS": blobs,
    }
    return Settings.from_env(LIMITS | places)


@pytest.fixture(scope="session")
def classifier(models_folder):
    """A predictor with the shipped models, shared by all tests. A test that breaks a model needs its own."""
    settings = Settings.from_env({"INKLING_MODELS": str(models_folder), "INKLING_PRECISION": "f32"})
    return LocalPredictor(SHIPPED, settings)  # its answers are compared with those of other libraries


@pytest.fixture
def make_app(settings, classifier):
    """Returns a function that creates the app again, as a restart does, with the models that are already open."""

    def make(settings=settings, classifier=classifier):
        # The copy shares the opened models, but a model that a test switches off is off in this app only.
        service = Service(settings, copy.copy(classifier), Storage(settings))
        return create_app(settings, service, Teaching(settings, service, wake=lambda: None))

    return make


@pytest.fixture
def app(make_app):
    return make_app()


@pytest.fixture
def client(app):
    return app.test_client()


class OwnersClient(FlaskClient):
    """Sends requests as from the machine itself to a server that is bound to loopback."""

    def open(self, *args, environ_overrides=None, **options):
        environ = {"SERVER_NAME": "127.0.0.1"} | (environ_overrides or {})
        return super().open(*args, environ_overrides=environ, **options)


@pytest.fixture
def owner(app):
    """The client of the owner at the machine itself, who may do everything without a token."""
    return OwnersClient(app, app.response_class)


@pytest.fixture
def runner(app):
    """Runs `inkling` with the app's models and storage."""
    return Runner(app.extensions["inkling"])


@pytest.fixture
def app_without_models(settings, tmp_path):
    """An app whose only model has a broken card."""
    folder = tmp_path / "models" / "broken-one"
    folder.mkdir(parents=True)
    (folder / "card.json").write_text("{}")
    return create_app(settings.replace(models=folder.parent))


@pytest.fixture
def kept(settings):
    """Returns a function that lists what is stored."""
    return lambda: stored(settings.pictures)


@pytest.fixture
def ten_minutes_later(app, monkeypatch):
    """Deletes what visitors deleted, as the housekeeper does once they can no longer undo it."""

    def ten_minutes_later():
        with monkeypatch.context() as patch:
            patch.setattr("inkling.storage.store.UNDO_PERIOD", timedelta(0))
            app.extensions["inkling"].storage.delete_hidden()

    return ten_minutes_later


# ---- Pictures ----


@pytest.fixture(scope="session")
def encode():
    """Turns a picture into a file's bytes."""

    def encode(image, kind="PNG", **options):
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def data_url():
    """Turns a file's bytes into a data URL."""

    def data_url(data, media_type="image/png"):
        return f"data:{media_type};base64,{base64.b64encode(data).decode()}"

    return data_url


@pytest.fixture(scope="session")
def photo():
    """A picture with many colors."""
    return Image.merge("RGB", [Image.linear_gradient("L"), Image.radial_gradient("L"), Image.new("L", (256, 256), 90)])


@pytest.fixture(scope="session")
def drawing():
    """A 1 as the canvas sends it."""
    image = Image.new("RGB", (400, 400), "white")
    ImageDraw.Draw(image).line([(200, 80), (200, 320)], "black", 16)
    return image


@pytest.fixture(scope="session")
def paper():
    """A canvas without a drawing."""
    return Image.new("RGB", (400, 400), "white")


@pytest.fixture(scope="session")
def jpeg(photo, encode):
    return encode(photo, "JPEG")


@pytest.fixture(scope="session")
def png(drawing, encode):
    return encode(drawing)


@pytest.fixture(scope="session")
def bad_files(jpeg, png, paper, encode):
    """Reason -> (name, bytes) of a file that an ink model's page or API refuses for it under `LIMITS`."""
    frames = [Image.new("L", (8, 8), 40 * i) for i in range(6)]
    return {
        "empty": ("a.png", b""),
        "extension": ("notes.txt", b"hello"),
        "not-an-image": ("a.jpg", b"hello, this is a text"),
        "unsupported": ("a.tiff", encode(frames[0], "TIFF")),
        "too-large": ("a.png", png + bytes(100_000)),
        "too-many-pixels": ("a.png", encode(Image.new("1", (2000, 1000)))),
        "truncated": ("a.jpg", jpeg[: len(jpeg) // 2]),
        "animated-too-long": ("a.gif", encode(frames[0], "GIF", save_all=True, append_images=frames[1:])),
        "blank": ("a.png", encode(paper)),
    }
