"""Fixtures for hostile requests: the app with its usual limits, and checks of what a request costs and leaves."""

import time
from contextlib import contextmanager

import pytest
from PIL import Image

from inkling.config import Settings
from inkling.recognition.predictor import classify_one
from inkling.service import Service
from inkling.storage import Storage
from inkling.web.app import create_app
from tests.support.storage import stored

SECONDS = 2  # processor time of the app; a decoder process may take three more


@pytest.fixture
def quickly():
    """A context in which one request may take little processor time."""

    @contextmanager
    def quickly():
        start = time.process_time()
        yield
        assert time.process_time() - start < SECONDS

    return quickly


@pytest.fixture(scope="module")
def app(tmp_path_factory, models_folder, classifier):
    """The app with the limits that it ships with, except those of the clock: the machine may be busy."""
    settings = Settings.from_env(
        {
            "INKLING_MODELS": str(models_folder),
            "INKLING_PICTURES": str(tmp_path_factory.mktemp("hostile") / "pictures"),
            "INKLING_RATE_LIMIT": "0",
            "INKLING_REQUEST_SECONDS": "60",
        }
    )
    return create_app(settings, Service(settings, classifier, Storage(settings)))


@pytest.fixture(scope="module")
def client(app, photo_model):
    """A client of the app, whose model is loaded, so that no test measures loading it."""
    classifier = app.extensions["inkling"].predictor
    classify_one(classifier, Image.new("RGB", (8, 8)), classifier.catalog.model(photo_model))
    return app.test_client()


@pytest.fixture
def left(app):
    """A function that lists the files and rows left behind. They are deleted afterwards, so that tests stay apart."""
    service = app.extensions["inkling"]
    yield lambda: stored(service.settings.pictures)
    service.storage.delete(*{name.partition(".")[0] for name in stored(service.settings.pictures)})
