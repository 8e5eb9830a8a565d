"""The API and the page refuse each bad file with its reason, and nothing of it is stored."""

import io
import re

import pytest

from inkling.problems import REASONS
from tests.hostile.files import FILES

REFUSED = [title for title, file in FILES.items() if file.reason]
READ = [title for title, file in FILES.items() if not file.reason]
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # Pillow warns of EXIF that it cannot read


@pytest.fixture(autouse=True)
def costly_files_get_one_second(app, title, monkeypatch):
    """Limits costly files to one second, which no processor can meet; three seconds might do on a fast one."""
    if FILES[title].reason == "too-large":
        service = app.extensions["inkling"]
        monkeypatch.setattr(service, "settings", service.settings.replace(decode_seconds=1))


def field(title):
    file = FILES[title]
    return io.BytesIO(file.make()), file.name


@pytest.mark.parametrize("title", FILES)
def test_the_api_says_what_is_wrong(client, photo_model, left, quickly, title):
    reason, image = FILES[title].reason, field(title)
    with quickly():
        answer = client.post(f"/api/predict?model={photo_model}", data={"image": image})
    assert (answer.status_code, answer.json.get("reason")) == (REASONS[reason].status if reason else 200, reason)
    assert left() == []


@pytest.mark.parametrize("title", REFUSED)
def test_the_page_says_what_is_wrong(client, photo_model, left, title):
    answer = client.post("/predict", data={"image": field(title), "model": photo_model})
    assert answer.status_code == 303
    assert re.match(rf"/help\?reason={FILES[title].reason}(&|$)", answer.location)
    assert client.get(answer.location).status_code == 200
    assert left() == []


@pytest.mark.parametrize("title", [title for title in READ if "and" in title.split()])
def test_of_a_file_that_is_also_something_else_only_pixels_are_kept(client, photo_model, app, left, title):
    where = client.post("/predict", data={"image": field(title), "model": photo_model}).location
    for part in ("picture", "thumbnail", "seen.png"):
        answer = client.get(f"{where}/{part}")
        assert answer.mimetype in ("image/jpeg", "image/png")
        assert not re.search(rb"alert|<\?php|PK\x03\x04", answer.data)
    client.post("/history/delete")
    assert left() == []
