"""The lab's page reads its steps from addresses and forms, works on the right picture, and stores nothing unasked."""

import ast
import base64
import io
import re
from html import unescape
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from PIL import Image

from inkling.lab import operations
from inkling.recognition.predictor import classify_one
from inkling.web import charts

CHAIN = {"step": ["rotate", "canny"], "1.angle": "30", "2.low": "20"}
STEPS = [operations.OPERATIONS["rotate"].step(angle=30), operations.OPERATIONS["canny"].step(low=20)]


class Form(HTMLParser):
    """Collects the fields and the pictures of the page's form."""

    def __init__(self, answer):
        super().__init__()
        self.fields, self.images, self._select = {}, {}, None
        self.feed(answer.text)

    def handle_starttag(self, tag, attributes):
        of = dict(attributes)
        if tag == "select":
            self._select = of["name"]
        elif tag == "option" and "selected" in of:
            self._hold(self._select, of["value"])
        elif tag == "input" and "name" in of and of.get("type") != "file":
            self._hold(of["name"], of.get("value", ""))
        elif tag == "img" and "data-part" in of:
            self.images[of["data-part"]] = of.get("src")

    def _hold(self, name, value):
        self.fields.setdefault(name, []).append(value)

    def pixels(self, part):
        data = base64.b64decode(self.images[part].partition(",")[2])
        return np.asarray(Image.open(io.BytesIO(data)))


def code(answer):
    return unescape(re.search(r"<code[^>]*>(.*?)</code>", answer.text, re.DOTALL)[1])


def problem(answer):
    return unescape(re.search(r'role="alert" data-part="problem">(.*?)</div>', answer.text, re.DOTALL)[1])


def post(client, **fields):
    return client.post("/lab", data=fields, content_type="multipart/form-data")


def an_upload(image, encode, kind="PNG", name="a.png"):
    return (io.BytesIO(encode(image, kind)), name)


@pytest.fixture
def result(client, drawing, encode, data_url, ink_model):
    """The id of a drawing's result."""
    answer = client.post("/predict", data={"model": ink_model, "drawing": data_url(encode(drawing))})
    return answer.location.rpartition("/")[2]


# ---- The chain in the address ----


def test_a_first_visit_shows_a_picture_and_a_step(client, kept):
    answer = client.get("/lab")
    form = Form(answer)
    assert form.fields["step"] == ["canny"]
    assert np.array_equal(form.pixels("before"), operations.sample())
    assert np.array_equal(
        form.pixels("after"), operations.apply(operations.sample(), [operations.OPERATIONS["canny"].step()])
    )
    assert "cv2.Canny(picture, 50, 150, apertureSize=3)" in code(answer)
    assert answer.text.count('class="chart"') == 2
    assert kept() == []


def test_the_address_holds_the_chain(client):
    answer = client.get("/lab", query_string=CHAIN)
    form = Form(answer)
    assert form.fields["step"] == ["rotate", "canny"]
    assert {name: form.fields[name] for name in ("1.angle", "1.fit", "2.low", "2.high", "2.aperture")} == {
        "1.angle": ["30"],
        "1.fit": ["cut"],
        "2.low": ["20"],
        "2.high": ["150"],
        "2.aperture": ["3"],
    }
    assert np.array_equal(form.pixels("after"), operations.apply(operations.sample(), STEPS))
    assert code(answer) == operations.code(STEPS)


def test_no_steps_leave_the_original(client):
    form = Form(client.get("/lab?step="))
    assert "step" not in form.fields
    assert form.images["after"] == form.images["before"]


@pytest.mark.parametrize(
    "query, said",
    [
        ({"step": "canny", "1.low": "-1"}, "Canny edges, Lower threshold: a whole number from 0 to 50000 is accepted."),
        ({"step": "canny", "1.low": "NaN"}, "Received: 'NaN'."),
        ({"step": "adaptive", "1.block": "4"}, "an odd number from 3 to 255 is accepted. Received: '4'."),
        ({"step": "<script>alert(1)</script>"}, "There is no step '<script>alert(1)</script>'."),
        ({"step": ["flip"] * 1000}, "At most 6 steps can follow each other. Received: 1000."),
    ],
)
def test_a_wrong_value_is_told_on_the_page(client, query, said):
    answer = client.get("/lab", query_string=query)
    assert answer.status_code == 400
    assert said in problem(answer)
    assert "<script>alert" not in answer.text
    assert Form(answer).images["after"]


def test_a_form_full_of_wrong_values_is_told_in_short(client):
    answer = client.get("/lab", query_string={"step": "flip"} | {f"1.x{i}": "1" for i in range(500)})
    assert problem(answer).count("<p>") == 5


# ---- Without JavaScript ----


def test_the_form_leads_to_an_address_where_the_picture_needs_no_form(client):
    answer = post(client, **CHAIN)
    assert answer.status_code == 303
    where = urlsplit(answer.location)
    assert where.path == "/lab"
    query = parse_qs(where.query)
    assert query["step"] == ["rotate", "canny"]
    assert query["1.angle"] == ["30"]
    assert Form(client.get(answer.location)).fields["2.low"] == ["20"]


@pytest.mark.parametrize(
    "do, add, chain",
    [
        ("", "", ["rotate", "canny"]),
        ("add", "flip", ["rotate", "canny", "flip"]),
        ("up 2", "", ["canny", "rotate"]),
        ("down 1", "", ["canny", "rotate"]),
        ("up 1", "", ["rotate", "canny"]),
        ("down 2", "", ["rotate", "canny"]),
        ("remove 1", "", ["canny"]),
        ("remove 3", "", ["rotate", "canny"]),
        ("remove 0", "", ["rotate", "canny"]),
        ("remove -1", "", ["rotate", "canny"]),
        ("nonsense", "", ["rotate", "canny"]),
        ("up", "", ["rotate", "canny"]),
    ],
)
def test_the_buttons_change_the_chain_and_keep_its_values(client, do, add, chain):
    form = Form(client.get(post(client, **CHAIN, do=do, add=add).location))
    assert form.fields["step"] == chain
    if "rotate" in chain:
        assert form.fields[f"{chain.index('rotate') + 1}.angle"] == ["30"]
    assert form.fields[f"{chain.index('canny') + 1}.low"] == ["20"]


def test_all_steps_can_be_removed(client):
    form = Form(client.get(post(client, step="flip", do="remove 1").location))
    assert "step" not in form.fields


@pytest.mark.parametrize(
    "chain, add, said",
    [
        (["flip"] * 6, "flip", "At most 6 steps"),
        (["flip"], "blur", "There is no step 'blur'"),
        (["flip"], "", "There is no step ''"),
    ],
)
def test_a_step_that_cannot_be_added_is_reported(client, chain, add, said):
    answer = post(client, step=chain, do="add", add=add)
    assert answer.status_code == 400
    assert said in problem(answer)
    assert Form(answer).fields["step"] == chain


# ---- Where the picture comes from ----


def test_an_upload_comes_back_with_the_form_and_is_not_kept(client, photo, encode, kept):
    first = post(client, **CHAIN, image=an_upload(photo, encode))
    assert first.status_code == 200
    fields = Form(first).fields
    assert fields["kind"] == ["photo"]
    again = post(client, **fields | {"2.low": "90"})
    assert Form(again).fields["picture"] == fields["picture"]
    assert Form(again).images["before"] == fields["picture"][0]
    assert Form(again).fields["2.low"] == ["90"]
    assert kept() == []


def test_a_large_photo_is_worked_on_as_a_small_copy(client, photo, encode):
    big = photo.resize((1200, 800))
    form = Form(post(client, step="flip", image=an_upload(big, encode, "JPEG", "a.jpg")))
    assert form.pixels("before").shape == (341, 512, 3)
    assert len(form.fields["picture"][0]) < 300_000


def test_drawings_are_sent_to_a_model_for_drawings(client, drawing, encode, data_url, photo_model, classifier):
    form = Form(post(client, step="flip", drawing=data_url(encode(drawing)), model=photo_model))
    assert form.fields["kind"] == ["drawing"]
    assert classifier.catalog.model(form.fields["model"][0]).card.input.kind == "ink"
    assert np.array_equal(form.pixels("after"), np.asarray(drawing)[:, ::-1])


def test_a_results_picture(client, result, drawing):
    assert f'href="/lab?result={result}"' in client.get(f"/results/{result}").text
    form = Form(client.get("/lab", query_string={"result": result, "step": "flip"}))
    assert form.fields["result"] == [result]
    assert np.array_equal(form.pixels("before"), np.asarray(drawing))
    where = post(client, **form.fields, do="add", add="canny").location
    assert parse_qs(urlsplit(where).query)["result"] == [result]


@pytest.mark.parametrize("id", ["none", "../../app.py", "x" * 5000])
def test_a_result_that_is_gone_is_not_found(client, id):
    assert client.get("/lab", query_string={"result": id}).status_code == 404
    assert client.post("/lab", data={"result": id}).status_code == 404


@pytest.mark.parametrize("size", [(1, 1), (640, 40), (40, 640), (1, 900)])
@pytest.mark.parametrize("name", operations.OPERATIONS)
def test_odd_pictures_work(client, encode, size, name):
    answer = post(client, step=name, image=an_upload(Image.new("RGB", size, (200, 10, 90)), encode))
    assert answer.status_code == 200
    assert Form(answer).pixels("after").shape[0] >= 1


@pytest.mark.parametrize(
    "reason", ["empty", "extension", "not-an-image", "unsupported", "too-many-pixels", "truncated"]
)
def test_a_bad_file_is_told_and_the_picture_before_it_stays(client, photo, encode, bad_files, kept, reason):
    fields = Form(post(client, **CHAIN, image=an_upload(photo, encode))).fields
    name, data = bad_files[reason]
    answer = post(client, **fields, image=(io.BytesIO(data), name))
    assert 400 <= answer.status_code < 500
    assert problem(answer).strip()
    assert Form(answer).fields["picture"] == fields["picture"]
    assert Form(answer).fields["step"] == ["rotate", "canny"]
    assert kept() == []


@pytest.mark.parametrize("field", ["picture", "drawing"])
@pytest.mark.parametrize(
    "text",
    [
        "x",
        "data:image/png;base64,",
        "data:image/png;base64,AAAA",
        "data:text/html,<b>",
        "javascript:alert(1)",
        '"><script>alert(1)</script>',
    ],
)
def test_an_invalid_copy_is_reported(client, field, text):
    answer = post(client, step="flip", **{field: text})
    assert 400 <= answer.status_code < 500
    assert problem(answer).strip()
    assert np.array_equal(Form(answer).pixels("before"), operations.sample())
    assert f'value="{text}"' not in answer.text
    assert "<script>alert" not in answer.text


def test_a_copy_that_is_larger_than_ours_is_made_small(client, encode, data_url, monkeypatch):
    monkeypatch.setattr("inkling.lab.original.LARGEST_COPY", 10_000)
    large = data_url(encode(Image.effect_noise((150, 150), 90).convert("RGB")))
    (small,) = Form(post(client, step="flip", picture=large)).fields["picture"]
    assert len(small) < 20_000 < len(large)


def test_a_script_is_not_sent_the_picture_that_it_already_has(client, photo, encode):
    fields = Form(post(client, **CHAIN, image=an_upload(photo, encode))).fields
    both, after = (Form(post(client, **fields, live=live)) for live in ("both", "after"))
    assert both.images["before"] is None
    assert "before" not in after.images
    assert both.images["after"] == after.images["after"]
    assert "picture" not in both.fields | after.fields
    address = re.search('data-address="([^"]*)"', post(client, **CHAIN, live="after").text)[1]
    assert Form(client.get(unescape(address))).fields["1.angle"] == ["30"]


# ---- The histogram ----


@pytest.mark.parametrize("shares, top", [([0.5, 0.25, 0.25, 0], "50%"), ([1, 0, 0, 0], "100%"), ([0.01] * 100, "2%")])
def test_a_histogram_fills_its_frame(shares, top):
    chart = charts.histogram(shares)
    left, upper, right, lower = chart.frame
    assert len(chart.bars) == sum(share > 0 for share in shares)
    assert [(tick.at, tick.text) for tick in chart.up][::2] == [(lower, "0%"), (upper, top)]
    for bar in chart.bars:
        assert left <= bar.x < bar.x + bar.width <= right
        assert bar.y + bar.height == pytest.approx(lower)
        assert bar.y >= upper


def test_a_single_pixel_is_still_to_be_seen():
    assert charts.histogram([1 - 1e-6, 1e-6]).bars[1].height == 1


# ---- Answers of models ----


def test_a_model_says_what_it_sees_before_and_after(client, classifier, drawing, encode, data_url, ink_model):
    answer = post(client, step="rotate", **{"1.angle": "180"}, drawing=data_url(encode(drawing)), model=ink_model)
    turned = operations.apply(np.asarray(drawing), [operations.OPERATIONS["rotate"].step(angle=180)])
    for part, picture in (("before", drawing), ("after", operations.image(turned))):
        said = re.search(rf'data-part="{part}-word">.*?<b>(.*?)</b>', answer.text, re.DOTALL)[1]
        assert said == classify_one(classifier, picture, classifier.catalog.model(ink_model)).label


def test_a_model_that_sees_nothing_says_so_in_the_lab(client, paper, encode, data_url, ink_model):
    text = post(client, step="flip", drawing=data_url(encode(paper)), model=ink_model).text
    assert text.count("The model sees nothing here.") == 2


def test_without_a_model_the_lab_still_works(app_without_models):
    answer = app_without_models.test_client().get("/lab")
    assert answer.status_code == 200
    assert Form(answer).images["after"]
    assert not re.search(r"<select[^>]* required", answer.text), "otherwise no button would work"


@pytest.mark.parametrize("kind", ["photo", "drawing"])
def test_classify_this_keeps_the_result_as_any_upload(client, app, drawing, encode, data_url, ink_model, kept, kind):
    copy = data_url(encode(drawing))
    answer = post(client, step="flip", picture=copy, kind=kind, model=ink_model, do="classify")
    assert answer.status_code == 303
    store = app.extensions["inkling"].storage
    found = store.get(answer.location.rpartition("/")[2])
    assert (found.kind, found.model) == (kind, ink_model)
    assert (
        np.abs(np.asarray(app.extensions["inkling"].picture(found)).astype(int) - np.asarray(drawing)[:, ::-1]).mean()
        < 2
    )
    assert client.get(answer.location).status_code == 200
    assert answer.location in client.get("/history").text
    assert kept() != []


@pytest.mark.parametrize(
    "fields, status, said",
    [
        ({"model": "no-such-model"}, 404, "There is no such model."),
        ({}, 404, "There is no such model."),
        ({"model": "digits-cnn", "step": ["brightness"], "1.add": "255"}, 422, "Nothing stands out in this picture."),
        ({"model": "digits-cnn", "step": ["canny"], "1.low": "x"}, 400, "Received: 'x'."),
    ],
)
def test_a_refused_picture_is_reported_and_not_stored(client, drawing, encode, data_url, kept, fields, status, said):
    answer = post(client, picture=data_url(encode(drawing)), do="classify", **fields)
    assert answer.status_code == status
    assert said in problem(answer)
    assert kept() == []


def test_the_result_can_be_saved(client):
    answer = post(client, **CHAIN, do="save")
    assert answer.mimetype == "image/png"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="result.png"'
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.data))), operations.apply(operations.sample(), STEPS))


def test_the_code_is_whole(client):
    ast.parse(code(client.get("/lab")))
