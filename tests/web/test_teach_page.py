"""The pages about teaching: who may open them, what their forms do, and how much one page loads."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from flask import render_template_string
from PIL import Image

from inkling.storage.taught import NewExample
from inkling.web import taught
from tests.web.test_pages import Page

FORMS = ("examples", "train", "cancel", "publish", "unpublish", "settings", "delete")


@pytest.fixture
def teaching(app):
    return app.extensions["teaching"]


@pytest.fixture
def made(owner):
    """The address of a new classifier's page."""
    return owner.post("/teach", data={"title": "Our birds", "kind": "photo"}).location


@pytest.fixture
def one(made):
    """The id of that classifier."""
    return made.rpartition("/")[2]


def fill(teaching, id, count, label="robin"):
    """Stores so many tiny pictures without reading them as uploads are."""

    def picture(i):
        jpeg = io.BytesIO()
        Image.new("RGB", (8, 8), (i % 256, i // 256, 99)).save(jpeg, "JPEG")
        return NewExample(jpeg.getvalue() + bytes([i % 256, i // 256]), "photo", f"{i}.jpg", label, "file")

    return teaching.storage.add(id, [picture(i) for i in range(count)], teaching._quota)


def tiles(answer):
    return [attributes for attributes in Page(answer).all("li") if "data-id" in attributes]


def test_a_visitor_is_told_how_to_get_in(client, made):
    answer = client.get("/teach")
    assert answer.status_code == 200
    assert "To teach here, sign in first." in answer.text
    assert '<form class="panel begin"' not in answer.text
    assert client.get(made).status_code == 401


@pytest.mark.parametrize("form", FORMS)
def test_a_visitors_forms_are_refused(client, teaching, made, one, form):
    assert client.post(f"{made}/{form}", data={"label": "robin", "title": "Mine", "version": "1"}).status_code == 401
    assert teaching.get(one).title == "Our birds"


def test_the_owner_sees_the_new_classifier_in_the_list(owner, made):
    assert "Our birds" in owner.get(made).text
    assert f'href="{made}"' in owner.get("/teach").text


@pytest.mark.parametrize("data, status", [({"title": " ", "kind": "photo"}, 303), ({"title": "A", "kind": "x"}, 400)])
def test_a_form_that_makes_no_classifier_says_why(owner, teaching, data, status):
    answer = owner.post("/teach", data=data)
    assert answer.status_code == status
    assert teaching.all() == []
    if status == 303:
        assert 'role="alert"' in owner.get(answer.location).text


def test_files_of_the_form_become_examples_and_a_bad_one_is_named(owner, teaching, made, one, jpeg):
    data = {"label": "robin", "image": [(io.BytesIO(jpeg), "a.jpg"), (io.BytesIO(b"hello"), "b.jpg")]}
    answer = owner.post(f"{made}/examples", data=data)
    assert [(label.name, label.count) for label in teaching.get(one).labels] == [("robin", 1)]
    assert 'role="alert"' in owner.get(answer.location).text
    assert "refused=missing" in owner.post(f"{made}/examples", data={"label": "wren"}).location


def test_the_settings_are_saved(owner, teaching, made, one):
    owner.post(f"{made}/settings", data={"title": "Their birds", "listed": "on"})
    assert (teaching.get(one).title, teaching.get(one).listed, teaching.get(one).auto) == ("Their birds", True, False)
    owner.post(f"{made}/settings", data={"title": "Their birds"})
    assert not teaching.get(one).listed


def test_deleting_leads_back_to_the_list(owner, teaching, made):
    assert owner.post(f"{made}/delete").location == "/teach"
    assert teaching.all() == []
    assert "reason=unknown-classifier" in owner.get(made).location


def test_a_page_loads_some_pictures_of_a_class_and_leads_to_the_others(owner, teaching, made, one):
    stored = {example.id for example in fill(teaching, one, taught.SHOWN + 5)}
    page = owner.get(made)
    first = tiles(page)
    assert len(first) == taught.SHOWN
    (more,) = [link["href"] for link in Page(page).all("a") if "after=" in link.get("href", "")]
    rest = tiles(owner.get(more))
    assert {tile["data-id"] for tile in first + rest} == stored


def test_where_it_errs_among_many_classes_is_a_list_of_the_most_frequent_errors(app):
    """A table of 21 classes would be too wide. Each kind of error still opens its pictures."""
    labels = [f"bird {i}" for i in range(taught.MATRIX + 1)]
    confusion = 10 * np.eye(len(labels), dtype=int)
    confusion[3, 4], confusion[5, 6] = 2, 7
    example = SimpleNamespace(id="a")
    doubt = SimpleNamespace(
        example=example, given=SimpleNamespace(name="bird 3"), suggested=SimpleNamespace(name="bird 4")
    )
    version = SimpleNamespace(labels=labels, report=SimpleNamespace(confusion=confusion.tolist()))
    found = taught.errors(version, SimpleNamespace(errors=[doubt]), "3-4")
    assert (found.matrix, found.pairs, found.mistakes) == ([], [(7, 5, 6), (2, 3, 4)], 9)
    assert found.cell == taught.Cell(3, 4, ["a"])
    with app.test_request_context():
        page = render_template_string(
            '{% from "macros.html" import scroll %}{% from "teach/macros.html" import strip %}'
            '{% include "teach/review.html" %}',
            one=SimpleNamespace(id="b", kind="photo", labels=[]),
            errors=found,
            labels=labels,
        )
    assert "7 pictures of bird 5, taken for bird 6" in page
    assert 'href="/teach/b?errors=3-4#errors" data-action="cell" aria-current="true">2 pictures of bird 3' in page
