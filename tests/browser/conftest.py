"""A real browser before the real app. Chromium comes from the machine: CHROMIUM, or what the PATH holds."""

import io
import os
import shutil
import threading

import pytest
from PIL import Image
from werkzeug.serving import make_server

from app import create_app
from inkling.settings import Settings


@pytest.fixture(scope="session")
def browser_type_launch_args():
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        stop = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        stop("no Chromium here: install chromium, or set CHROMIUM to its path")
    return {"executable_path": found, "args": ["--no-sandbox"]}


@pytest.fixture(scope="session")
def base_url(tmp_path_factory):
    """The address of the app, which serves while the tests run."""
    settings = Settings.from_env({"INKLING_PICTURES": str(tmp_path_factory.mktemp("pictures"))})
    server = make_server("127.0.0.1", 0, create_app(settings), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def open_page(new_context):
    """Opens a page in a context of its own; no page may log an error or break the Content-Security-Policy."""
    errors = []

    def note(message):
        # Chromium logs every answer of 400 and above; here only a missing file of ours is a fault.
        ours = "/static/" in message.location["url"]
        if message.type == "error" and (ours or not message.text.startswith("Failed to load resource")):
            errors.append(message.text)

    def open_page(path="/", **options):
        context = new_context(**options)
        context.on("console", note)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        page = context.new_page()
        page.goto(path)
        return page

    yield open_page
    assert errors == []


@pytest.fixture
def page(open_page):
    """The first page, on a desktop."""
    return open_page("/?photo=cats-dogs-cnn&draw=digits-cnn", viewport={"width": 1280, "height": 800})


@pytest.fixture(scope="session")
def cat():
    """A photo of a cat, as a file to upload. (scikit-image ships it; CC0, by Stefan van der Walt.)"""
    from skimage import data

    jpeg = io.BytesIO()
    Image.fromarray(data.cat()).save(jpeg, "JPEG", quality=90)
    return {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": jpeg.getvalue()}
