"""The app with the limits that it is shipped with, but for the clock: the machine may be busy."""

import time
from contextlib import contextmanager

import pytest
from PIL import Image

from inkling.config import Settings
from inkling.recognition.predictor import classify_one
from inkling.service import Service
from inkling.storage.store import Store
from inkling.web.app import create_app
from tests.support.storage import stored

SECONDS = 2  # of this process's time: with the three that a helper may take, no request costs more than five


@pytest.fixture
def quickly():
    """Around one request, which may not take long."""

    @contextmanager
    def quickly():
        start = time.process_time()
        yield
        assert time.process_time() - start < SECONDS

    return quickly


@pytest.fixture(scope="module")
def app(tmp_path_factory, models_folder, classifier):
    settings = Settings.from_env(
        {
            "INKLING_MODELS": str(models_folder),
            "INKLING_PICTURES": str(tmp_path_factory.mktemp("hostile") / "pictures"),
            "INKLING_RATE_LIMIT": "0",
            "INKLING_REQUEST_SECONDS": "60",
        }
    )
    return create_app(settings, Service(settings, classifier, Store(settings)))


@pytest.fixture(scope="module")
def client(app, photo_model):
    """With a model that is open, so that no test measures how long that takes."""
    classifier = app.extensions["inkling"].classifier
    classify_one(classifier, Image.new("RGB", (8, 8)), classifier.catalog.model(photo_model))
    return app.test_client()


@pytest.fixture
def left(app):
    """Tells what is left behind: files and rows. What a test that fails leaves is no other test's."""
    inkling = app.extensions["inkling"]
    yield lambda: stored(inkling.settings.pictures)
    inkling.store.delete(*{name.partition(".")[0] for name in stored(inkling.settings.pictures)})
