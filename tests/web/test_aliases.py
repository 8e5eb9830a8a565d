"""The name of a model that was replaced leads to its successor, through every door."""

import io
import json
import re

import pytest
import sqlalchemy as sa

from inkling.problems import Problem
from inkling.recognition.catalog import Catalog, Model
from inkling.recognition.local import LocalPredictor
from inkling.service import Service
from inkling.storage import Storage
from inkling.storage.records import ResultRow
from inkling.web.app import create_app
from tests.support.command import Runner

OLD = "digits-before"


@pytest.fixture(scope="module")
def predictor(classifier, ink_model):
    """A predictor with one model, which replaced `OLD`."""
    model = classifier.catalog.models[ink_model]
    card = model.card.model_copy(update={"formerly": (OLD,)})
    return LocalPredictor(Catalog({ink_model: Model(card, model.folder)}), classifier._settings)


@pytest.fixture
def app(settings, predictor):
    return create_app(settings, Service(settings, predictor, Storage(settings)))


@pytest.fixture
def old_result(app, client, ink_model, png):
    """The address of a result that the replaced model gave in this browser."""
    result = client.post("/predict", data={"model": ink_model, "image": (io.BytesIO(png), "a.png")}).location
    with app.extensions["inkling"].storage.database.writing() as session:
        session.execute(sa.update(ResultRow).values(model=OLD))
    return result


@pytest.mark.parametrize("door", ["predict", "explain"])
def test_the_api_answers_with_the_successor(client, ink_model, png, door):
    answer = client.post(f"/api/{door}?model={OLD}", data={"image": (io.BytesIO(png), "a.png")})
    assert answer.json["model"] == ink_model


@pytest.mark.parametrize("count", [1, 2])
def test_the_form_is_answered_by_the_successor(client, ink_model, png, count):
    answer = client.post("/predict", data={"model": OLD, "image": [(io.BytesIO(png), "a.png") for _ in range(count)]})
    assert f"/models/{ink_model}" in client.get(answer.location).text


def test_the_command_answers_with_the_successor(app, ink_model, png, tmp_path):
    (tmp_path / "a.png").write_bytes(png)
    done = Runner(app.extensions["inkling"]).invoke(
        args=["classify", str(tmp_path / "a.png"), "--model", OLD, "--json"]
    )
    assert json.loads(done.output)["model"] == ink_model


def test_the_address_leads_to_the_successor(client, ink_model):
    answer = client.get(f"/models/{OLD}")
    assert (answer.status_code, answer.location) == (301, f"/models/{ink_model}")
    assert client.get(f"/models/{OLD}/confusion.svg").status_code == 200


@pytest.mark.parametrize("address", [f"/?model={OLD}", f"/play?model={OLD}", f"/lab?model={OLD}"])
def test_a_page_preselects_the_successor(client, ink_model, address):
    assert re.search(f'<option value="{ink_model}"[^>]* selected', client.get(address).text)


@pytest.mark.parametrize("part", ["", "/why", "/heatmap.png", "/steps/found.png", "/layers", "/layers.png", "/others"])
def test_a_result_of_the_replaced_model_keeps_its_pages(client, old_result, part):
    assert client.get(old_result + part).status_code == 200


def test_a_result_of_the_replaced_model_can_be_corrected(client, app, old_result):
    assert client.post(f"{old_result}/correction", data={"label": "7"}).status_code == 303
    assert app.extensions["inkling"].storage.get(old_result.rpartition("/")[2]).correction == "7"


def test_a_result_of_the_replaced_model_says_which_one_answered(client, ink_model, old_result):
    page = client.get(old_result).text
    assert OLD in page
    assert f"/models/{ink_model}" in page


def test_a_model_that_is_still_installed_keeps_its_name(classifier, ink_model):
    model = classifier.catalog.models[ink_model]
    other = Model(model.card.model_copy(update={"name": "other", "formerly": (ink_model, OLD)}), model.folder)
    catalog = Catalog({ink_model: model, "other": other})
    assert [catalog.model(name).card.name for name in (ink_model, "other", OLD)] == [ink_model, "other", "other"]


def test_a_successor_that_is_off_says_so_by_the_old_name(classifier, ink_model, predictor):
    off = predictor.catalog.without(ink_model, "it broke")
    with pytest.raises(Problem, match="it broke"):
        off.model(OLD)
