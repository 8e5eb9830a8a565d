"""Metrics for Prometheus, the access log, and request ids."""

import io
import json
import logging
import re
import sys
from collections import Counter
from datetime import timedelta

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from inkling import access
from inkling.config import ROOT
from inkling.problems import REASONS
from inkling.web import logs
from inkling.web.edge import metrics
from inkling.web.edge.clients import FOR_OPERATORS

ID = re.compile(r"[0-9a-f]{32}")


def api(client, data, model, name="a.png"):
    return client.post(f"/api/predict?model={model}", data={"image": (io.BytesIO(data), name)})


def samples(client):
    """Returns all samples of /metrics as a mapping from (name, (label, value), ...) to number."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return Counter(
        {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }
    )


@pytest.fixture
def growth(client):
    """Returns a function that says how much a metric has grown since the test began."""
    before = samples(client)
    return lambda name, **labels: (samples(client) - before)[(name, *sorted(labels.items()))]


# ---- Metrics ----


def test_answers_and_their_stages_are_counted(client, growth, png, ink_model):
    for _ in range(3):
        assert api(client, png, ink_model).json["label"] == "1"
    assert client.post("/predict", data={"image": (io.BytesIO(png), "a.png"), "model": ink_model}).status_code == 303
    assert growth("inkling_answers_total", model=ink_model, label="1") == 4
    assert [growth("inkling_stage_seconds_count", stage=stage) for stage in metrics.STAGES] == [4, 4, 4]
    assert growth("inkling_requests_total", method="POST", route="/api/predict", status="200") == 3
    assert growth("inkling_requests_total", method="POST", route="/predict", status="303") == 1
    assert growth("inkling_request_seconds_count", route="/api/predict") == 3


def test_stages_are_in_seconds(client, growth, png, ink_model):
    answer = api(client, png, ink_model).json
    for stage, milliseconds in answer["milliseconds"].items():
        assert growth("inkling_stage_seconds_sum", stage=stage) == pytest.approx(milliseconds / 1e3, abs=1e-6)


def test_rejections_are_counted_by_reason_on_pages_and_in_the_api(client, growth, bad_files, ink_model):
    for name, data in bad_files.values():
        api(client, data, ink_model, name)
        client.post("/predict", data={"image": (io.BytesIO(data), name), "model": ink_model})
    assert {reason: growth("inkling_rejections_total", reason=reason) for reason in bad_files} == dict.fromkeys(
        bad_files, 2
    )


def test_a_bad_picture_among_good_ones_is_counted(client, growth, png, ink_model):
    files = [(io.BytesIO(data), "a.png") for data in (png, b"", png)]
    assert client.post(f"/api/predict?model={ink_model}", data={"image": files}).status_code == 200
    assert growth("inkling_rejections_total", reason="empty") == 1
    assert growth("inkling_answers_total", model=ink_model, label="1") == 2


def test_several_on_the_page_are_counted_one_by_one(client, growth, png, ink_model):
    files = [(io.BytesIO(data), f"{i}.png") for i, data in enumerate((png, b"", png))]
    answer = client.post("/predict", data={"image": files, "model": ink_model})
    assert answer.location.startswith("/batches/")
    assert growth("inkling_answers_total", model=ink_model, label="1") == 2
    assert growth("inkling_stage_seconds_count", stage="decode") == 2
    assert growth("inkling_rejections_total", reason="empty") == 1


def test_every_reason_is_there_before_its_first_event(client):
    assert {dict(key[1:])["reason"] for key in samples(client) if key[0] == "inkling_rejections_total"} == set(REASONS)


@pytest.mark.parametrize(
    "path, method, route, shown",
    [
        ("/results/no-such-result", "GET", "/results/<id>", "GET"),
        ("/models/no-such-model", "GET", "/models/<name>", "GET"),
        ("/no/such/page", "GET", "none", "GET"),
        ("/", "PROPFIND", "none", "other"),
    ],
)
def test_invented_requests_add_no_metric(client, growth, path, method, route, shown):
    status = client.open(path, method=method).status_code
    assert status in (404, 405)
    assert growth("inkling_requests_total", method=shown, route=route, status=str(status)) == 1


def test_saved_bytes_are_those_of_pictures_and_database(app, client, settings, png, ink_model, ten_minutes_later):
    store = app.extensions["inkling"].storage
    assert samples(client)["inkling_saved_bytes",] == store.database.used_bytes()
    answer = client.post("/predict", data={"image": (io.BytesIO(png), "a.png"), "model": ink_model})
    client.get(f"{answer.location}/heatmap.png")
    files = [path for path in settings.pictures.glob("*.*g")]
    assert len(files) == 3
    assert samples(client)["inkling_saved_bytes",] == store.database.used_bytes() + sum(
        -(-path.stat().st_size // 4096) * 4096 for path in files
    )
    client.post(f"{answer.location}/delete")
    ten_minutes_later()
    assert samples(client)["inkling_saved_bytes",] == store.database.used_bytes()


def test_nothing_is_counted_for_the_saved_bytes(client, monkeypatch):
    def count(self):
        raise AssertionError("files are counted")

    monkeypatch.setattr("inkling.storage.blobs.FolderBlobs.iterate", count)
    assert samples(client)["inkling_saved_bytes",] > 0


def test_without_a_database_the_other_figures_are_there(client, settings):
    settings.pictures.mkdir()
    (settings.pictures / "inkling.sqlite3").write_bytes(b"this is no database" * 99)
    assert ("inkling_saving",) in samples(client)


def test_a_model_that_is_off_is_0(app_without_models, client, ink_model):
    assert samples(client)["inkling_model_ready", ("model", ink_model)] == 1
    off = samples(app_without_models.test_client())
    assert off["inkling_model_ready", ("model", "broken-one")] == 0
    assert ("inkling_model_ready", ("model", "broken-one")) in off


@pytest.mark.parametrize("address, status", [("127.0.0.1", 200), ("::1", 200), ("192.0.2.1", 403), ("", 403)])
def test_only_those_that_the_settings_name_may_read_them(client, address, status):
    answer = client.get("/metrics", environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status
    assert (b"inkling_requests" in answer.data) == (status == 200)


@pytest.mark.parametrize(
    "header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Anything", "Via", "X-Real-IP"]
)
@pytest.mark.parametrize("trusted", [False, True])
def test_a_proxy_that_does_not_say_for_whom_it_asks_may_not_read_them(make_app, settings, header, trusted):
    """A named proxy says so in X-Forwarded-For; otherwise the address is the proxy's own, on this machine."""
    client = make_app(settings.replace(trusted_proxies=settings.metrics_from if trusted else ())).test_client()
    answer = client.get("/metrics", headers={header: "127.0.0.1"})
    assert answer.status_code == (200 if trusted and header == "X-Forwarded-For" else 403)


def test_a_proxy_without_headers_may_not_read_them_either(client):
    answer = client.get("/metrics", environ_overrides={"SERVER_PROTOCOL": "HTTP/1.0"})
    assert answer.status_code == 403


def test_an_unnamed_proxy_is_warned_about_once(client, caplog):
    for header in ("X-Request-ID", "X-Forwarded-For", "Via"):
        client.get("/help", headers={header: "127.0.0.1"})
    assert [record.args for record in caplog.records if record.name == "inkling.proxies"] == [("X-Forwarded-For",)]


# ---- The dashboard and the alerts ----


def expressions(node):
    """Returns every `expr` in a tree of JSON or YAML."""
    if isinstance(node, dict):
        return [value for key, value in node.items() if key == "expr"] + [
            one for value in node.values() for one in expressions(value)
        ]
    return [one for value in node for one in expressions(value)] if isinstance(node, list) else []


DASHBOARD = json.loads((ROOT / "deploy" / "grafana.json").read_text("utf-8"))
ALERTS = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text("utf-8"))


def names(node):
    return {name for one in expressions(node) for name in re.findall(r"\binkling_\w+", one)}


@pytest.fixture
def exposed(app, client, png, ink_model):
    """Returns the names of the metrics and the labels of each."""
    api(client, png, ink_model)
    token = access.new_token(app.extensions["inkling"].storage.tokens, "read", "ann", timedelta(days=1))
    client.post(
        f"/api/predict?model={ink_model}",
        data={"image": (io.BytesIO(png), "a.png")},
        headers={"Authorization": f"Bearer {token}"},
    )
    found = {}
    for name, *labels in samples(client):
        found.setdefault(name, set()).update(label for label, _ in labels)
    return found


@pytest.mark.parametrize("node", [DASHBOARD, ALERTS], ids=["dashboard", "alerts"])
def test_every_metric_they_query_exists(node, exposed):
    assert len(expressions(node)) > 5
    assert names(node) - exposed.keys() == set()


@pytest.mark.parametrize("expr", expressions(DASHBOARD) + expressions(ALERTS))
def test_every_label_they_query_exists(expr, exposed):
    """Checks the labels inside braces and the labels of each `by (...)`."""
    for name, braces in re.findall(r"\b(inkling_\w+)\{([^}]*)\}", expr):
        assert set(re.findall(r"(\w+)\s*[=!]", braces)) <= exposed[name]
    for by in re.findall(r"by\s*\(([^)]*)\)", expr):
        of = set().union(*(exposed[name] for name in re.findall(r"\binkling_\w+", expr)))
        assert {label.strip() for label in by.split(",")} <= of | {"instance", "job"}
    assert expr.count("(") == expr.count(")")


def test_every_metric_is_on_the_dashboard(exposed):
    families = {re.sub(r"_(total|bucket|count|sum|created)$", "", name) for name in exposed}
    shown = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in names(DASHBOARD)}
    assert families - shown == set()


def test_panels_differ_and_do_not_overlap():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    cells = Counter(
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    )
    assert set(cells.values()) == {1}
    assert max(x for x, _ in cells) < 24


def test_every_alert_says_what_it_means_and_what_to_do():
    rules = [rule for group in ALERTS["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert {"summary", "description"} <= rule["annotations"].keys()


# ---- Request ids ----


def test_each_answer_has_an_id_of_its_own(client):
    ids = {client.get(path).headers["X-Request-ID"] for path in ("/", "/healthz", "/no-such-page", "/api/models")}
    assert len(ids) == 4
    assert all(ID.fullmatch(one) for one in ids)


@pytest.mark.parametrize(
    "said, peer, kept",
    [
        ("0123456789abcdef", "127.0.0.1", True),
        ("0123456789abcdef", "192.0.2.1", False),
        ("short", "127.0.0.1", False),
        ("a" * 65, "127.0.0.1", False),
        ('12345678", "level": "x', "127.0.0.1", False),
        ("12345678\u0661", "127.0.0.1", False),
    ],
)
def test_an_id_is_taken_over_only_if_harmless_and_from_a_trusted_proxy(make_app, settings, said, peer, kept):
    client = make_app(settings.replace(trusted_proxies=settings.metrics_from)).test_client()
    answer = client.get("/help", headers={"X-Request-ID": said}, environ_base={"REMOTE_ADDR": peer})
    assert (answer.headers["X-Request-ID"] == said) == kept
    assert kept or ID.fullmatch(answer.headers["X-Request-ID"])


def test_nobody_is_a_trusted_proxy_by_default(client):
    assert ID.fullmatch(client.get("/help", headers={"X-Request-ID": "z" * 32}).headers["X-Request-ID"])


# ---- Log lines ----


@pytest.fixture
def lines(caplog):
    """The lines that the access log receives."""
    caplog.set_level(logging.INFO, "inkling.requests")
    caplog.handler.setFormatter(logs.Json())
    return lambda: [json.loads(line) for line in caplog.text.splitlines()]


def test_a_line_describes_the_request_and_nothing_else(client, lines, png, ink_model):
    answer = client.post("/predict", data={"image": (io.BytesIO(png), "secret-name.png"), "model": ink_model})
    client.get(answer.location)
    posted, read = lines()
    assert posted.keys() == {
        "time",
        "level",
        "logger",
        "pid",
        "message",
        "request_id",
        "method",
        "route",
        "status",
        "milliseconds",
    }
    assert posted["request_id"] == answer.headers["X-Request-ID"]
    assert (posted["method"], posted["route"], posted["status"]) == ("POST", "/predict", 303)
    assert (read["method"], read["route"], read["status"]) == ("GET", "/results/<id>", 200)
    everything = json.dumps([posted, read])
    for private in ("127.0.0.1", "secret-name", answer.location.split("/")[-1]):
        assert private not in everything


def test_the_reason_of_a_refusal_is_in_its_line(client, lines, bad_files, ink_model):
    for name, data in bad_files.values():
        api(client, data, ink_model, name)
    assert [line["reason"] for line in lines()] == list(bad_files)


def test_a_client_address_is_logged_only_beyond_the_rate_limit(make_app, settings, lines, png, ink_model):
    client = make_app(settings.replace(rate_limit=1)).test_client()
    for _ in range(2):
        api(client, png, ink_model)
    assert [line.get("client") for line in lines()] == [None, "127.0.0.1"]


def test_health_checks_are_logged_only_when_they_fail(client, app_without_models, lines):
    for path in (*FOR_OPERATORS, "/static/style.css"):
        assert client.get(path).status_code == 200
    assert lines() == []
    assert app_without_models.test_client().get("/readyz").status_code == 503
    assert [(line["route"], line["status"]) for line in lines()] == [("/readyz", 503)]


def test_a_failure_is_one_object_with_its_traceback(make_app, lines):
    app = make_app()

    @app.get("/broken/<id>")
    def broken(id):
        raise RuntimeError("something\nbroke")

    answer = app.test_client().get("/broken/secret-id")
    assert answer.status_code == 500
    failure, request = lines()
    assert failure["request_id"] == request["request_id"] == answer.headers["X-Request-ID"]
    assert (failure["level"], failure["message"]) == ("ERROR", "Exception in /broken/<id>")
    assert 'raise RuntimeError("something\\nbroke")' in failure["traceback"]
    assert "secret-id" not in json.dumps([failure, request])


def test_lines_logged_outside_requests_have_no_id(client, lines):
    client.get("/help")
    logging.getLogger("inkling.requests").info("later")
    assert ["request_id" in line for line in lines()] == [True, False]


def record(message, *args, **options):
    return logging.LogRecord("gunicorn.error", logging.WARNING, "", 1, message, args, options.get("exc_info"))


@pytest.mark.parametrize("message", ['"quoted"', "two\nlines", "\x1b[31mred", "é\u2028", "\ud800"], ids=ascii)
def test_whatever_is_said_stays_one_line(message):
    line = logs.Json().format(record("%s", message))
    assert line.isascii()
    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == message


def test_a_traceback_stays_in_its_line():
    try:
        raise ValueError("a\nb")
    except ValueError:
        line = logs.Json().format(record("failed", exc_info=sys.exc_info()))
    assert json.loads(line)["traceback"].endswith("ValueError: a\nb")


def test_gunicorns_warning_of_bad_http_loses_the_address():
    one = record("Invalid request from ip=192.0.2.1: Invalid HTTP request line: '/results/secret'")
    assert logs.Anonymous().filter(one)
    assert json.loads(logs.Json().format(one))["message"] == "Invalid request"
