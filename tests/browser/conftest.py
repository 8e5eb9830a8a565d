"""Fixtures for tests in Chromium. The variable CHROMIUM names its program; the default is the one on the PATH."""

import io
import json
import os
import shutil
import threading
import time

import pytest
from PIL import Image
from playwright.sync_api import expect
from werkzeug.serving import make_server

from inkling.config import Settings
from inkling.recognition.card import sha256
from inkling.service import Service
from inkling.teach.teaching import Teaching
from inkling.teach.training import run_due
from inkling.web.app import create_app
from tests.browser.hands import started
from tests.support.waiting import POLL

FAKE_CAMERA = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]

expect.set_options(timeout=30_000)  # on a busy machine, an answer may take long


@pytest.fixture(scope="session")
def browser_type_launch_args():
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found:
        pytest.skip("no Chromium here: install chromium, or set CHROMIUM to its path")
    return {"executable_path": found, "args": ["--no-sandbox"]}


@pytest.fixture(scope="session")
def models(tmp_path_factory, models_folder):
    """The shipped models and three more for digits: one card is complete, one minimal, and one broken."""
    root = tmp_path_factory.mktemp("models")
    for folder in models_folder.glob("[!.]*"):
        (root / folder.name).symlink_to(folder, target_is_directory=True)
    for name in ("full-digits", "own-digits"):
        (root / name).mkdir()
        shutil.copy(models_folder / "digits-cnn" / "model.onnx", root / name)
    card = json.loads((models_folder / "digits-cnn" / "card.json").read_text())
    sheet = root / "full-digits" / "mistakes.png"
    Image.linear_gradient("L").resize((560, 28)).save(sheet)
    wrong = [(i, j) for i in range(10) for j in range(10) if i != j and card["metrics"]["confusion"][i][j]]
    files = {"model.onnx": card["files"]["model.onnx"]}
    full = card | {"name": "full-digits", "title": "Digits, in full", "files": files | {sheet.name: sha256(sheet)}}
    full["strengths"], full["limitations"] = "one digit, drawn large", "two digits at once"
    full["trials"] = [{"seed": seed, "held_out": 0.995, "accuracy": 0.996 + seed / 1e3} for seed in range(3)]
    full["metrics"] |= {
        "strangers": {"doodles": 0.95},
        "bins": [{"count": 9 * i, "confidence": (i + 0.5) / 15, "accuracy": (i + 0.2) / 15} for i in range(15)],
        "mistakes": [{"true": str(i), "predicted": str(j), "confidence": 0.9} for i, j in wrong[:20]],
    }
    own = {key: card[key] for key in ("task", "labels", "input", "temperature", "threshold")} | {
        "name": "own-digits",
        "title": "Digits, my own",
        "summary": "",
        "network": [],
        "parameters": 0,
        "attribution": "",
        "files": files,
    }
    for made in (full, own):
        (root / made["name"] / "card.json").write_text(json.dumps(made))
    (root / "off-digits").mkdir()
    (root / "off-digits" / "card.json").write_text("{")
    return root


@pytest.fixture(scope="session")
def served(tmp_path_factory, models):
    """The app that serves during the whole session."""
    settings = Settings.from_env(
        {
            "INKLING_MODELS": str(models),
            "INKLING_PICTURES": str(tmp_path_factory.mktemp("pictures")),
            "INKLING_REQUEST_SECONDS": "60",
            "INKLING_RATE_LIMIT": "0",
        }
    )
    service = Service.from_settings(settings)
    service.predictor.warm()
    app = create_app(settings, service, taught_in_threads(settings, service))
    return app


def taught_in_threads(settings, service):
    """Classifiers that threads of this process train: starting another process takes a busy machine seconds."""
    alone = threading.Lock()

    def work():
        with alone:
            while teaching.storage.upcoming():
                run_due(teaching)
                time.sleep(POLL)

    teaching = Teaching(settings, service, wake=lambda: threading.Thread(target=work, daemon=True).start())
    return teaching


@pytest.fixture(scope="session")
def base_url(served):
    """The address of that app. Every browser is its owner's, except one that sends `hands.ELSEWHERE`."""
    server = make_server("127.0.0.1", 0, served, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture
def open_page(new_context):
    """Opens a page in a new browser context, and fails the test if a page logs an error or violates the CSP."""
    errors = []

    def note(message):
        # Chromium logs every answer of 400 and above; here only a missing file of ours is a fault.
        ours = "/static/" in message.location["url"]
        if message.type == "error" and (ours or not message.text.startswith("Failed to load resource")):
            errors.append(message.text)

    def open_page(path="/", service_workers="block", **options):
        # Playwright cannot intercept what a service worker requests.
        context = new_context(service_workers=service_workers, **options)
        context.on("console", note)
        context.on("weberror", lambda error: errors.append(str(error.error)))
        page = context.new_page()
        page.goto(path)
        started(page)
        return page

    yield open_page
    assert errors == []


@pytest.fixture(scope="module")
def chromium_with_camera(browser_type, browser_type_launch_args):
    """A browser with a fake camera, which pages may use without a question."""
    options = browser_type_launch_args | {"args": [*browser_type_launch_args["args"], *FAKE_CAMERA]}
    browser = browser_type.launch(**options)
    yield browser
    browser.close()


@pytest.fixture
def page(open_page):
    """The canvas on a desktop."""
    return open_page("/?way=draw&model=digits-cnn", viewport={"width": 1280, "height": 800})


@pytest.fixture(scope="session")
def cat():
    """A photo of a cat as a file to upload. (From scikit-image; CC0, by Stefan van der Walt.)"""
    from skimage import data

    jpeg = io.BytesIO()
    Image.fromarray(data.cat()).save(jpeg, "JPEG", quality=90)
    return {"name": "cat.jpg", "mimeType": "image/jpeg", "buffer": jpeg.getvalue()}
