"""An explanation is computed on demand, stored with the result's picture, and deleted with it."""

import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from inkling.recognition import explain
from inkling.recognition.catalog import read_catalog
from inkling.recognition.local import LocalPredictor
from inkling.storage.store import disk_space
from inkling.web.edge.admission import EXPLANATIONS


@pytest.fixture
def result(client, drawing, encode, data_url, ink_model):
    """The address of a drawing's result."""
    return client.post("/predict", data={"model": ink_model, "drawing": data_url(encode(drawing))}).location


@pytest.fixture
def photo_result(client, jpeg, photo_model):
    """The address of a photo's result."""
    return client.post("/predict", data={"model": photo_model, "image": (io.BytesIO(jpeg), "a.jpg")}).location


@pytest.fixture
def counted(app, monkeypatch):
    """The models whose explanations were computed, one entry for each computation."""
    calls, explainer = [], app.extensions["inkling"].explainer
    explain = explainer.explain
    monkeypatch.setattr(explainer, "explain", lambda *args: calls.append(args[2].card.name) or explain(*args))
    return calls


def image_of(answer):
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    assert "private" in answer.headers["Cache-Control"]
    return Image.open(io.BytesIO(answer.data))


# ---- The heat map ----


def test_the_answer_does_not_wait_for_its_explanation(client, result, counted, kept):
    assert client.get(result).status_code == 200
    assert counted == []
    assert len(kept()) == 3


@pytest.mark.parametrize("path", ["heatmap.png", "why"])
def test_it_is_computed_once_and_kept(client, result, counted, kept, settings, path, ink_model):
    first, second = (client.get(f"{result}/{path}").data for _ in range(2))
    assert first == second
    client.get(f"{result}/why")
    client.get(f"{result}/heatmap.png")
    assert counted == [ink_model]
    id = result.rpartition("/")[2]
    assert f"{id}.heat.png" in kept()
    assert not [path for path in settings.pictures.iterdir() if path.name.endswith(".part")]


@pytest.mark.parametrize("which, size", [("result", (320, 320)), ("photo_result", (320, 320))])
def test_the_overlay_has_the_pictures_shape(client, request, which, size):
    overlay = image_of(client.get(f"{request.getfixturevalue(which)}/heatmap.png"))
    assert (overlay.mode, overlay.size) == ("RGBA", size)
    alpha = np.asarray(overlay)[..., 3]
    assert alpha.min() == 0
    decides = "No single part decides" not in client.get(f"{request.getfixturevalue(which)}/why").text
    assert (alpha.max() > 0) == decides
    veil = image_of(client.get(f"{request.getfixturevalue(which)}/enough.png"))
    assert (veil.mode, veil.size) == ("RGBA", size)


def test_the_page_says_where_in_words(client, app, result):
    page = client.get(f"{result}/why").text
    why = explain.read(io.BytesIO(app.extensions["inkling"].storage.heatmap(result.rpartition("/")[2])))
    assert why.label in page
    # How fine the parts are depends on the machine's speed, and on that whether a single one decides.
    where = r"It looked (mostly at the [a-z ]+|at several places)\." if why.decides else "No single part decides: "
    assert re.search(where, page)
    assert (f'src="{result}/heatmap.png"' in page) == why.decides
    assert f'src="{result}/picture"' in page


def test_it_explains_what_was_answered_then(client, app, result, monkeypatch):
    """The stored answer is explained even if the model would now answer differently."""
    store = app.extensions["inkling"].storage
    id = result.rpartition("/")[2]
    said = replace(store.get(id), predictions=[("8", 0.9), ("1", 0.1)])
    monkeypatch.setattr(store, "get", lambda _: said)
    client.get(f"{result}/heatmap.png")
    assert explain.read(io.BytesIO(store.heatmap(id))).label == "8"


@pytest.mark.parametrize("path", ["heatmap.png", "why"])
def test_an_empty_file_that_a_power_cut_left_is_made_anew(app, client, result, counted, path):
    store = app.extensions["inkling"].storage
    client.get(f"{result}/{path}")
    store.blobs.put(f"{result.rpartition('/')[2]}.heat.png", b"")
    assert client.get(f"{result}/{path}").status_code == 200
    assert len(counted) == 2
    image_of(client.get(f"{result}/heatmap.png"))


def test_a_map_of_an_older_version_is_made_anew(app, client, result, counted, encode, kept, settings):
    store = app.extensions["inkling"].storage
    client.get(f"{result}/why")
    names = kept()
    store.save_heatmap(result.rpartition("/")[2], encode(Image.new("RGBA", (320, 320))))
    assert client.get(f"{result}/why").status_code == 200
    assert len(counted) == 2
    assert kept() == names
    # Not the size before: the second map may be finer, because the first measured how fast the model is.
    files = [path for path in map(settings.pictures.joinpath, names) if path.is_file()]
    assert len(files) == 3
    assert store.saved_bytes() - store.database_bytes() == sum(disk_space(path.stat().st_size) for path in files)


def test_delete_removes_it(client, result, kept, ten_minutes_later):
    client.get(f"{result}/heatmap.png")
    assert len(kept()) == 4
    client.post(f"{result}/delete")
    ten_minutes_later()
    assert kept() == []
    assert client.get(f"{result}/heatmap.png").status_code == 404


def test_a_result_deleted_meanwhile_leaves_no_map(app, client, result, kept, monkeypatch):
    explainer = app.extensions["inkling"].explainer
    why = explainer.explain

    def slow(*args):
        done = why(*args)
        app.extensions["inkling"].storage.delete(result.rpartition("/")[2])
        return done

    monkeypatch.setattr(explainer, "explain", slow)
    assert app.test_client().get(f"{result}/heatmap.png").status_code == 404
    assert kept() == []


def test_a_full_disk_leaves_nothing_half_written_and_the_map_is_shown(app, client, result, kept, monkeypatch):
    import os

    def full(*_):
        raise OSError(28, "No space left on device")

    before = kept()
    monkeypatch.setattr(os, "replace", full)
    answer = client.get(f"{result}/heatmap.png")
    assert (answer.status_code, answer.data[:4]) == (200, b"\x89PNG")
    assert kept() == before


# ---- What the model saw ----


@pytest.mark.parametrize("which, names", [("result", ("found", "placed", "drawn")), ("photo_result", ("squeezed",))])
def test_the_page_shows_the_steps_in_order_and_keeps_none(client, request, kept, which, names):
    result = request.getfixturevalue(which)
    before = kept()
    sources = re.findall(r'<img[^>]* src="([^"]+)"', client.get(result).text)
    steps = [f"{result}/picture", *(f"{result}/steps/{name}.png" for name in names), f"{result}/seen.png"]
    start = sources.index(steps[1]) - 1
    assert sources[start : start + len(steps)] == steps
    for name in names:
        image_of(client.get(f"{result}/steps/{name}.png"))
    assert kept() == before


def test_everything_below_the_answer_is_loaded_when_it_is_opened(client, result):
    for tag in re.findall(r"<img[^>]*>", client.get(result).text):
        assert "layers.png" not in tag
        if "/steps/" in tag or "seen.png" in tag:
            assert 'loading="lazy"' in tag


@pytest.mark.parametrize("name", ["squeezed", "seen", "nothing"])
def test_a_step_that_there_is_not_is_not_found(client, result, name):
    assert client.get(f"{result}/steps/{name}.png").status_code == 404


def test_layers_are_one_sheet(client, result):
    assert image_of(client.get(f"{result}/layers.png")).size == (480, 240)
    assert f'href="{result}/layers"' in client.get(result).text
    assert f'src="{result}/layers.png"' in client.get(f"{result}/layers").text


def test_a_model_without_layers_has_no_section(client, drawing, encode, data_url):
    form = {"model": "digits-logistic", "drawing": data_url(encode(drawing))}
    result = client.post("/predict", data=form).location
    assert "layers" not in client.get(result).text
    for name in ("layers", "layers.png"):
        assert client.get(f"{result}/{name}").status_code == 404


def test_with_keras_the_page_says_that_it_shows_no_layers(app, client, result):
    service = app.extensions["inkling"]
    service.settings = service.settings.replace(runtime="keras")
    page = client.get(f"{result}/layers").text
    assert "Keras, which does not show its layers" in page
    assert "layers.png" not in page


# ---- Deleted pictures and models ----

PARTS = ("why", "heatmap.png", "enough.png", "steps/found.png", "layers", "layers.png")


@pytest.mark.parametrize("part", PARTS)
def test_without_the_picture_nothing_can_be_shown(client, result, settings, part):
    (settings.pictures / f"{result.rpartition('/')[2]}.png").unlink()
    assert client.get(f"{result}/{part}").status_code == 404


@pytest.mark.parametrize("part", PARTS)
def test_without_its_model_nothing_can_be_shown(make_app, settings, tmp_path, result, part):
    (tmp_path / "no-models").mkdir()
    client = make_app(classifier=LocalPredictor(read_catalog(tmp_path / "no-models"), settings)).test_client()
    assert client.get(f"{result}/{part}").status_code == 404
    page = client.get(result).text
    assert "/why" not in page
    assert "/steps/" not in page
    assert f"{result}/seen.png" in page


def test_while_others_are_explained_it_says_so(make_app, settings, result):
    app = make_app(settings.replace(queue=0))
    client = app.test_client()
    with app.extensions["admission"].turn(0, EXPLANATIONS):
        assert client.get(f"{result}/heatmap.png").status_code == 503
        assert client.get(result).status_code == 200
    assert client.get(f"{result}/heatmap.png").status_code == 200
