"""The web app manifest and its icons, and the service worker's address."""

import io

import pytest
from PIL import Image

MANIFEST = "/static/manifest.webmanifest"


def test_a_page_names_the_manifest(client):
    assert f'<link rel="manifest" href="{MANIFEST}">' in client.get("/help").text
    assert client.get(MANIFEST).mimetype == "application/manifest+json"


def test_every_icon_is_there_in_its_size(client):
    manifest = client.get(MANIFEST).get_json(force=True)
    assert {"192x192", "512x512", "any"} <= {icon["sizes"] for icon in manifest["icons"]}
    assert "maskable" in {icon.get("purpose") for icon in manifest["icons"]}
    for icon in manifest["icons"]:
        answer = client.get(f"/static/{icon['src']}")
        assert (answer.status_code, answer.mimetype) == (200, icon["type"])
        if icon["sizes"] != "any":
            width, height = Image.open(io.BytesIO(answer.data)).size
            assert f"{width}x{height}" == icon["sizes"]


@pytest.mark.parametrize("path", ["/worker.js", "/static/worker.js"])
def test_the_service_worker_is_always_asked_for_again(client, path):
    answer = client.get(path)
    assert answer.mimetype == "text/javascript"
    assert "no-cache" in answer.headers["Cache-Control"]
