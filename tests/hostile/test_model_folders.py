"""A model folder is untrusted data: whatever its card lists, no byte from outside the folder is read or shown."""

import hashlib
import json
import os
import re
import shutil
from html import escape

import pytest

from inkling.access import signing_key
from inkling.recognition import figures
from inkling.recognition.card import CARD_BYTES, FILE_BYTES
from inkling.web.app import create_app

NAME = "guest"
SECRET = b"<svg>a secret of this machine</svg>"
MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>"


@pytest.fixture
def folder(models_folder, ink_model, tmp_path):
    """A model folder that somebody else made, beside an honest one."""
    root = tmp_path / "models"
    for name in (NAME, ink_model):
        shutil.copytree(models_folder / ink_model, root / name)
    change(root / NAME, name=NAME)
    return root / NAME


@pytest.fixture
def secret(tmp_path):
    """A file outside the folder, whose checksum its author knows."""
    path = tmp_path / "secret.svg"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def client(settings, folder):
    """A visitor of a server that has the folder among its models."""
    signing_key(settings)
    return lambda: create_app(settings.replace(models=folder.parent)).test_client()


def change(folder, **values):
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | values))


def listed(folder, **files):
    """Lists files in the card beside those that it lists already, by the names with an underscore for the dot."""
    card = json.loads((folder / "card.json").read_text())
    change(folder, files=card["files"] | {name.replace("_", "."): checksum for name, checksum in files.items()})


def checksum(data):
    return hashlib.sha256(data).hexdigest()


def link(folder, secret, settings):
    (folder / "curves.svg").unlink()
    (folder / "curves.svg").symlink_to(secret)
    listed(folder, curves_svg=checksum(SECRET))


def relative_link(folder, secret, settings):
    (folder / "curves.svg").unlink()
    (folder / "curves.svg").symlink_to(os.path.relpath(secret, folder))
    listed(folder, curves_svg=checksum(SECRET))


def link_to_a_link(folder, secret, settings):
    secret.with_name("hop").symlink_to(secret)
    link(folder, secret.with_name("hop"), settings)


def link_to_the_signing_key(folder, secret, settings):
    link(folder, settings.pictures / ".secret-key", settings)
    listed(folder, curves_svg=checksum(signing_key(settings).encode()))


def link_to_a_system_file(folder, secret, settings):
    with open("/etc/passwd", "rb") as file:
        listed(folder, curves_svg=checksum(file.read()))
    (folder / "curves.svg").unlink()
    (folder / "curves.svg").symlink_to("/etc/passwd")


def link_to_a_device(folder, secret, settings):
    link(folder, "/dev/zero", settings)


def link_to_nothing(folder, secret, settings):
    link(folder, secret.with_name("missing"), settings)


def link_to_itself(folder, secret, settings):
    link(folder, folder / "curves.svg", settings)


def network_by_a_link(folder, secret, settings):
    (folder / "model.onnx").rename(secret.with_name("model.onnx"))
    (folder / "model.onnx").symlink_to(secret.with_name("model.onnx"))


def card_by_a_link(folder, secret, settings):
    (folder / "card.json").rename(secret.with_name("card.json"))
    (folder / "card.json").symlink_to(secret.with_name("card.json"))


def pipe(folder, secret, settings):
    (folder / "curves.svg").unlink()
    os.mkfifo(folder / "curves.svg")


def pipe_for_a_card(folder, secret, settings):
    (folder / "card.json").unlink()
    os.mkfifo(folder / "card.json")


def folder_for_a_file(folder, secret, settings):
    (folder / "curves.svg").unlink()
    (folder / "curves.svg").mkdir()


def absolute_path(folder, secret, settings):
    change(folder, files={str(secret): checksum(SECRET)})


def path_that_climbs(folder, secret, settings):
    change(folder, files={os.path.relpath(secret, folder): checksum(SECRET)})


def path_that_climbs_in_another_way(folder, secret, settings):
    change(folder, files={f"..\\{secret.name}": checksum(SECRET)})


def path_through_a_linked_folder(folder, secret, settings):
    (folder / "figures").symlink_to(secret.parent, target_is_directory=True)
    change(folder, files={f"figures/{secret.name}": checksum(SECRET)})


def path_with_a_zero(folder, secret, settings):
    change(folder, files={f"{secret.name}\0.svg": checksum(SECRET)})


def huge_card(folder, secret, settings):
    os.truncate(folder / "card.json", CARD_BYTES + 1)


def huge_network(folder, secret, settings):
    os.truncate(folder / "model.onnx", FILE_BYTES + 1)


def other_bytes(folder, secret, settings):
    (folder / "curves.svg").write_bytes(SECRET)


ATTACKS = [
    *(link, relative_link, link_to_a_link, link_to_the_signing_key, link_to_a_system_file, link_to_a_device),
    *(link_to_nothing, link_to_itself, network_by_a_link, card_by_a_link, pipe, pipe_for_a_card, folder_for_a_file),
    *(absolute_path, path_that_climbs, path_that_climbs_in_another_way, path_through_a_linked_folder, path_with_a_zero),
    *(huge_card, huge_network, other_bytes),
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_the_model_is_switched_off_and_nothing_outside_is_shown(folder, secret, settings, client, ink_model, attack):
    key, honest = signing_key(settings), checksum((folder / "curves.svg").read_bytes())
    attack(folder, secret, settings)
    visitor = client()
    states = visitor.get("/readyz").json["models"]
    assert states[NAME].startswith("off: ")
    assert states[ink_model] == "ready"
    shown = visitor.get(f"/models/{NAME}/curves.svg")  # the honest file, where the attack is by another one
    assert shown.status_code == 404 or checksum(shown.data) == honest
    for name in ("secret.svg", "model.onnx", "figures/secret.svg", "../secret.svg", ".secret-key"):
        answer = visitor.get(f"/models/{NAME}/{name}")
        assert answer.status_code == 404, name
    for path in ("/", "/models", f"/models/{NAME}", "/readyz", "/api/models"):
        text = visitor.get(path).text
        assert "a secret of this machine" not in text
        assert key not in text
        assert "root:" not in text


def test_a_link_that_appears_after_the_catalog_was_read_is_not_followed(folder, secret, client):
    visitor = client()
    assert visitor.get(f"/models/{NAME}/curves.svg").status_code == 200
    secret.write_bytes((folder / "curves.svg").read_bytes())
    (folder / "curves.svg").unlink()
    (folder / "curves.svg").symlink_to(secret)
    assert visitor.get(f"/models/{NAME}/curves.svg").status_code == 404


def test_only_figures_of_the_card_are_shown(folder, client):
    """Neither the card, nor a network, nor a file that the card does not list."""
    (folder / "other.svg").write_bytes(SECRET)
    (folder / "page.html").write_bytes(SECRET)
    listed(folder, page_html=checksum(SECRET))
    visitor = client()
    for name in ("card.json", "model.onnx", "model.keras", "other.svg", "page.html"):
        assert visitor.get(f"/models/{NAME}/{name}").status_code == 404, name


def test_a_huge_figure_is_not_shown(folder, client):
    data = b"<svg>" + bytes(figures.FIGURE_BYTES)
    (folder / "curves.svg").write_bytes(data)
    listed(folder, curves_svg=checksum(data))
    assert client().get(f"/models/{NAME}/curves.svg").status_code == 404


def test_the_size_of_a_file_outside_is_not_shown(folder, secret, settings, client):
    secret.write_bytes(bytes(7_654_321))
    for name in ("model.onnx", "model.keras"):
        (folder / name).unlink()
        (folder / name).symlink_to(secret)
    assert "7.65" not in client().get(f"/models/{NAME}").text


TEXTS = ("title", "summary", "strengths", "limitations", "attribution")


def test_markup_in_a_card_is_shown_as_text(folder, client, data_url, png):
    card = json.loads((folder / "card.json").read_text())
    labels = [f"{MARKUP}{label}" for label in card["labels"]]
    metrics = card["metrics"] | {"split": MARKUP, "classes": [], "groups": {MARKUP: 1}}
    training = card["training"] | {"dataset": MARKUP, "command": MARKUP, "versions": {MARKUP: MARKUP}}
    network = [layer | {"name": MARKUP, "kind": MARKUP} for layer in card["network"]]
    texts = dict.fromkeys(TEXTS, MARKUP)
    change(
        folder, **texts, labels=labels, metrics=metrics, training=training, network=network, history={MARKUP: [1, 2]}
    )
    visitor = client()
    result = visitor.post("/predict", data={"model": NAME, "drawing": data_url(png)}).location
    assert result.startswith("/results/")
    shown = 0
    for path in (
        "/",
        "/?way=draw",
        "/models",
        f"/models/{NAME}",
        "/compare/digits",
        result,
        f"{result}/others",
        "/play",
    ):
        text = visitor.get(path).text
        assert "<script>alert" not in text, path
        assert not re.search("<img[^>]*onerror", text), path
        shown += escape(MARKUP, quote=False)[:20] in text
    assert shown >= 5
    for path in ("/history", "/lab", "/api/docs", "/teach"):
        assert "<script>alert" not in visitor.get(path).text, path


@pytest.mark.parametrize("key, longest", [("title", 200), ("summary", 10_000), ("attribution", 10_000)])
def test_a_text_of_a_card_has_a_bound(folder, client, key, longest):
    change(folder, **{key: "x" * (longest + 1)})
    state = client().get("/readyz").json["models"][NAME]
    assert f"{key}: String should have at most {longest} characters" in state
    assert len(state) < 300
