"""Excess load is refused early with the usual errors, and refused clients may return."""

import csv
import io
import ipaddress
import json
import shutil
import signal
import subprocess
import threading
from base64 import b64encode
from contextlib import ExitStack, contextmanager

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

from inkling.pictures import budget, sandbox
from inkling.problems import Problem
from inkling.web.edge import metrics, proxies, ratelimit
from inkling.web.edge.admission import ANSWERS, DRAWINGS, EXAMPLES, EXPLANATIONS, Admission
from tests.conftest import OwnersClient
from tests.hostile import build
from tests.support.waiting import wait_until

MOST = 3
PARTS = ("others", "why", "heatmap.png", "steps/anything.png", "layers.png")  # of a result, computed on demand
PROXY, CLIENT = "10.0.0.1", "203.0.113.7"


def api(client, png, model, **options):
    return client.post(f"/api/predict?model={model}", data={"image": (io.BytesIO(png), "a.png")}, **options)


def page(client, png, model, **options):
    return client.post("/predict", data={"image": (io.BytesIO(png), "a.png"), "model": model}, **options)


def is_problem(answer, status, reason):
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert (answer.json["status"], answer.json["reason"]) == (status, reason)
    return True


def is_help(answer, status, title):
    assert answer.status_code == status
    assert answer.mimetype == "text/html"
    assert f"<h1>{title}</h1>" in answer.text
    return True


# ---- Rate limit ----


@pytest.fixture
def free_time(monkeypatch):
    """Time costs no points: how long a turn takes here depends on the machine."""
    monkeypatch.setattr(ratelimit, "SECOND", 0)


@pytest.fixture
def limited(make_app, settings, free_time):
    return make_app(settings.replace(rate_limit=MOST)).test_client()


def test_programs_get_a_problem_beyond_the_limit(limited, png, ink_model):
    assert [api(limited, png, ink_model).status_code for _ in range(MOST)] == [200] * MOST
    answer = api(limited, png, ink_model)
    assert is_problem(answer, 429, "rate-limited")
    assert 1 <= int(answer.headers["Retry-After"]) <= 61


def test_visitors_get_the_help_page_beyond_the_limit_and_nothing_is_kept(limited, png, ink_model, kept):
    for _ in range(MOST):
        assert page(limited, png, ink_model).status_code == 303
    before = kept()
    answer = page(limited, png, ink_model)
    assert is_help(answer, 429, "Too many requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    assert kept() == before


def test_what_computes_counts_whatever_the_method(limited, result, ink_model):
    for path in ("/lab", f"{result}/steps/found.png", f"{result}/why"):
        assert limited.get(path).status_code in (200, 404)
    for path in ("/lab", f"{result}/others", f"{result}?model=auto"):
        answer = limited.get(path)
        assert is_help(answer, 429, "Too many requests")
        assert 1 <= int(answer.headers["Retry-After"]) <= 61
    assert limited.get("/").status_code == 200


def test_an_explanation_beyond_the_limit_says_when_to_come_back(limited, result, png, ink_model):
    for _ in range(MOST):
        api(limited, png, ink_model)
    for path in ("why", "heatmap.png", "enough.png"):
        answer = limited.get(f"{result}/{path}")
        assert is_help(answer, 429, "Too many requests")
        assert f'href="{result}/{path}">Try again' in answer.text


def test_the_help_page_leads_back_and_says_only_what_is_true(limited, narrow, result, png, ink_model):
    """The link leads to the requested page or back to the form. The page says whether something was stored."""
    for _ in range(MOST):
        api(limited, png, ink_model)
    with turns(narrow):
        for answer, back, kept in (
            (page(limited, png, ink_model, headers={"Referer": "http://localhost/?draw=a"}), "/?draw=a", False),
            (limited.post(f"{result}/delete", headers={"Referer": f"http://localhost{result}"}), result, True),
            (limited.post("/history/delete", headers={"Referer": "http://elsewhere/history"}), "/", True),
            (narrow.test_client().get(f"{result}/others"), f"{result}/others", True),
            (narrow.test_client().get("/lab?step=flip&model=x"), "/lab?step=flip&amp;model=x", True),
        ):
            assert answer.status_code in (429, 503)
            assert f'href="{back}">Try again' in answer.text
            assert ("Nothing was saved." in answer.text) is not kept


def test_all_posts_count_together_and_reading_does_not(limited, png, ink_model):
    for post in (api, page, api):
        for path in ("/", "/help", "/api/models", "/healthz"):
            assert limited.get(path).status_code == 200
        assert post(limited, png, ink_model).status_code < 400
    assert page(limited, png, ink_model).status_code == 429
    assert limited.get("/").status_code == 200


def test_without_a_limit_nobody_is_refused(make_app, settings, png, ink_model):
    client = make_app(settings.replace(rate_limit=0)).test_client()
    assert {api(client, png, ink_model).status_code for _ in range(2 * MOST)} == {200}


def statuses(client, png, model, addresses, **headers):
    return [
        api(
            client,
            png,
            model,
            environ_base={"REMOTE_ADDR": address},
            headers={name.replace("_", "-"): value for name, value in headers.items()},
        ).status_code
        for address in addresses
    ]


@pytest.mark.parametrize(
    "addresses, last",
    [
        (["192.0.2.1"] * 4, 429),
        (["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"], 200),
        ([f"2001:db8:0:1::{i}" for i in range(1, 5)], 429),
        ([f"2001:db8:0:{i}::1" for i in range(1, 5)], 200),
        (["192.0.2.1", "::ffff:192.0.2.1"] * 2, 429),
        ([f"::ffff:192.0.2.{i}" for i in range(1, 5)], 200),
    ],
    ids=["one", "two", "one network", "four networks", "one, twice written", "four of IPv4 on a socket of IPv6"],
)
def test_a_client_is_an_address_or_a_home_network(limited, png, ink_model, addresses, last):
    assert statuses(limited, png, ink_model, addresses) == [200, 200, 200, last]


def test_nobody_escapes_by_inventing_a_proxy(limited, png, ink_model):
    found = [statuses(limited, png, ink_model, ["192.0.2.1"], X_Forwarded_For=f"203.0.113.{i}")[0] for i in range(4)]
    assert found == [200, 200, 200, 429]


def test_behind_a_trusted_proxy_each_client_is_counted(make_app, settings, free_time, png, ink_model):
    trusting = settings.replace(rate_limit=MOST, trusted_proxies=(ipaddress.ip_network("10.0.0.0/8"),))
    client = make_app(trusting).test_client()
    for i in range(2):
        found = statuses(client, png, ink_model, [PROXY] * 4, X_Forwarded_For=f"203.0.113.{i}")
        assert found == [200, 200, 200, 429]


def test_without_redis_each_worker_applies_the_limit(make_app, settings, free_time, png, ink_model):
    away = settings.replace(rate_limit=MOST, rate_storage="redis://127.0.0.1:1/0")
    assert statuses(make_app(away).test_client(), png, ink_model, [CLIENT] * 4) == [200, 200, 200, 429]


@pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed")
def test_one_redis_counts_for_all_workers(make_app, settings, free_time, png, ink_model, tmp_path):
    path = tmp_path / "redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", path, "--save", ""], cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    try:
        wait_until(path.exists)
        shared = settings.replace(rate_limit=MOST, rate_storage=f"redis+unix://{path}")
        clients = [make_app(shared).test_client() for _ in range(2)]
        assert [statuses(clients[i % 2], png, ink_model, [CLIENT])[0] for i in range(4)] == [200, 200, 200, 429]
    finally:
        server.terminate()
        server.wait()


def many(png, count):
    return {"image": [(io.BytesIO(png), "a.png") for _ in range(count)]}


def large(png, mebibytes):
    return {"image": (io.BytesIO(png + bytes(mebibytes * 2**20)), "a.png")}


@pytest.mark.parametrize(
    "body, points",
    [(lambda png: many(png, 1), 1), (lambda png: many(png, 7), 7), (lambda png: large(png, 4), 5)],
    ids=["a picture", "seven pictures", "four MiB"],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "chunked"])
@pytest.mark.parametrize("path", ["/predict", "/api/predict"])
def test_pictures_and_megabytes_cost_points(make_app, settings, free_time, png, ink_model, path, body, points, chunked):
    """What a client has used is told when it comes back with nothing left."""
    client = make_app(settings.replace(rate_limit=1, max_batch=7, max_bytes=8 * 2**20)).test_client()
    data = body(png) | ({"model": ink_model} if path == "/predict" else {})
    builder = EnvironBuilder(path, query_string={"model": ink_model}, method="POST", data=data)
    environ = builder.get_environ() | {"REMOTE_ADDR": "127.0.0.1"}
    if chunked:
        del environ["CONTENT_LENGTH"]
        environ |= {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True}
    _, status, headers = run_wsgi_app(client.application, environ)
    assert status == "200 OK" or "/help" not in headers["Location"]
    answer = api(client, png, ink_model)
    assert is_problem(answer, 429, "rate-limited")
    seconds = answer.headers["Retry-After"]
    assert f"One client may use 1 point a minute. Used: {points}. Try again in {seconds} second" in answer.text


def test_the_time_of_a_turn_costs_points(make_app, settings, png, ink_model, monkeypatch):
    monkeypatch.setattr(ratelimit, "SECOND", 1e9)
    client = make_app(settings.replace(rate_limit=1000)).test_client()
    assert api(client, png, ink_model).status_code == 200
    assert is_problem(api(client, png, ink_model), 429, "rate-limited")


@pytest.mark.parametrize("size", [100_000, 2_000_000])
def test_the_time_in_which_a_body_arrives_costs_nothing(make_app, settings, monkeypatch, size):
    monkeypatch.setattr(ratelimit, "SECOND", 1e9)
    client = make_app(settings.replace(rate_limit=1000)).test_client()
    for _ in range(3):
        assert client.post("/language", data={"language": "x" * size}).status_code != 429


def test_examples_to_teach_from_cost_a_point_a_request(make_app, settings, png, monkeypatch):
    monkeypatch.setattr(ratelimit, "SECOND", 1e9)
    app = make_app(settings.replace(rate_limit=3, max_bytes=8 * 2**20))
    owner = OwnersClient(app, app.response_class)
    classifier = owner.post("/api/classifiers", json={"title": "Ours", "kind": "ink"}).json["id"]
    path = f"/api/classifiers/{classifier}/examples"
    for status in (200, 200, 429):
        assert owner.post(path, data=large(png, 4) | {"label": "one"}).status_code == status


def test_what_is_refused_at_once_costs_a_point_only(limited, png, ink_model):
    assert api(limited, png, "no-such-model").status_code == 404
    assert [api(limited, png, ink_model).status_code for _ in range(MOST)] == [200] * (MOST - 1) + [429]


# ---- Clients ----


@pytest.mark.parametrize(
    "peer, said, client",
    [
        (CLIENT, None, CLIENT),
        (CLIENT, "198.51.100.1", CLIENT),
        (PROXY, None, PROXY),
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"198.51.100.1, {CLIENT}", CLIENT),
        (PROXY, f"{CLIENT}, 10.0.0.2", CLIENT),
        (PROXY, "10.0.0.3,10.0.0.2", "10.0.0.3"),
        (PROXY, "unknown", PROXY),
        (PROXY, f"{CLIENT}, nonsense, 10.0.0.2", "10.0.0.2"),
        (PROXY, "2001:db8::1", "2001:db8::1"),
        ("::ffff:10.0.0.1", CLIENT, CLIENT),
        ("", CLIENT, ""),
    ],
    ids=str,
)
def test_only_trusted_proxies_are_believed(peer, said, client):
    environ = {
        "REMOTE_ADDR": peer,
        "wsgi.url_scheme": "http",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_REQUEST_ID": "from-outside",
    } | ({"HTTP_X_FORWARDED_FOR": said} if said else {})
    proxies.TrustedProxies(lambda environ, _: [], [ipaddress.ip_network("10.0.0.0/8")])(environ, None)
    trusted = peer.endswith(PROXY)
    assert environ["REMOTE_ADDR"] == client
    assert environ["wsgi.url_scheme"] == ("https" if trusted else "http")
    assert ("HTTP_X_REQUEST_ID" in environ) == trusted


@pytest.mark.parametrize("proto", ["", "gopher", "https, http"])
def test_a_scheme_that_is_none_is_ignored(proto):
    environ = {"REMOTE_ADDR": PROXY, "wsgi.url_scheme": "http", "HTTP_X_FORWARDED_PROTO": proto}
    proxies.TrustedProxies(lambda environ, _: [], [ipaddress.ip_network(PROXY)])(environ, None)
    assert environ["wsgi.url_scheme"] == "http"


# ---- Admission control ----


@pytest.fixture
def narrow(make_app, settings):
    """An app that admits one request at a time and has no queue."""
    return make_app(settings.replace(concurrent=1, queue=0))


@pytest.fixture
def result(narrow, png, ink_model):
    return page(narrow.test_client(), png, ink_model).location


@contextmanager
def turns(app, *work):
    """Holds a turn of each of these kinds of work; by default of all that answers pictures."""
    with ExitStack() as held:
        for one in work or (ANSWERS, DRAWINGS):
            held.enter_context(app.extensions["admission"].turn(0, one))
        yield


def test_whatever_works_on_pictures_takes_its_turn(narrow, result, png, ink_model, kept):
    client, before = narrow.test_client(), kept()
    with turns(narrow):
        several = {"image": [(io.BytesIO(png), "a.png"), (io.BytesIO(png), "b.png")], "model": ink_model}
        answers = [
            page(client, png, ink_model),
            client.post("/predict", data=several),
            client.get("/lab"),
            client.post("/lab"),
            *(client.get(f"{result}/{part}") for part in PARTS),
        ]
        for answer in answers:
            assert is_help(answer, 503, "Inkling is busy right now")
        answers.append(api(client, png, ink_model))
        assert is_problem(answers[-1], 503, "busy")
        assert {answer.headers["Retry-After"] for answer in answers} == {"5"}
        for path in ("/", result, "/healthz", "/models"):
            assert client.get(path).status_code == 200
    assert kept() == before
    assert api(client, png, ink_model).status_code == 200


def sent(client, way, png, ink_model, photo_model):
    """The status of the answer to a picture or a drawing that is sent this way; 200 for a result's page."""
    strokes = {"strokes": [[[10, 90], [10, 90]]]}
    url = f"data:image/png;base64,{b64encode(png).decode()}"
    large = png + bytes(2**16)  # what follows the picture's end is ignored
    answer = {
        "strokes": lambda: client.post(f"/api/predict?model={ink_model}", json=strokes),
        "strokes to Auto": lambda: client.post("/api/predict", json=strokes),
        "the form's strokes": lambda: client.post("/predict", data={"strokes": json.dumps(strokes)}),
        "the form's canvas": lambda: client.post("/predict", data={"drawing": url}),
        "a file": lambda: api(client, png, ink_model),
        "base64": lambda: client.post(f"/api/predict?model={ink_model}", json={"image": url}),
        "a large file": lambda: api(client, large, ink_model),
        "a file to Auto": lambda: client.post("/api/predict", data={"image": (io.BytesIO(png), "a.png")}),
        "a photo": lambda: api(client, png, photo_model),
        "strokes to a model for photos": lambda: client.post(f"/api/predict?model={photo_model}", json=strokes),
    }[way]()
    return 200 if answer.status_code == 303 else answer.status_code


@pytest.mark.parametrize(
    "way", ["strokes", "strokes to Auto", "the form's strokes", "the form's canvas", "a file", "base64"]
)
def test_drawings_do_not_wait_for_photos(narrow, way, png, ink_model, photo_model):
    client = narrow.test_client()
    with turns(narrow, ANSWERS):
        assert sent(client, way, png, ink_model, photo_model) == 200
    with turns(narrow, DRAWINGS):
        assert sent(client, way, png, ink_model, photo_model) == 503


@pytest.mark.parametrize("way", ["a large file", "a file to Auto", "a photo", "strokes to a model for photos"])
def test_what_may_take_long_does_not_hold_drawings_up(narrow, way, png, ink_model, photo_model):
    client = narrow.test_client()
    with turns(narrow, DRAWINGS):
        assert sent(client, way, png, ink_model, photo_model) == 200
    with turns(narrow, ANSWERS):
        assert sent(client, way, png, ink_model, photo_model) == 503


def test_adding_examples_takes_a_turn_on_the_page_too(narrow, png):
    owner = OwnersClient(narrow, narrow.response_class)
    classifier = owner.post("/api/classifiers", json={"title": "Ours", "kind": "ink"}).json["id"]

    def add(path):
        return owner.post(path, data={"image": (io.BytesIO(png), "a.png"), "label": "one"}).status_code

    paths = (f"/teach/{classifier}/examples", f"/api/classifiers/{classifier}/examples")
    with turns(narrow, EXAMPLES):
        assert [add(path) for path in paths] == [503, 503]
    assert [add(path) for path in paths] == [303, 200]


def test_answers_do_not_wait_for_an_explanation(narrow, result, png, ink_model, monkeypatch):
    explainer, meanwhile = narrow.extensions["inkling"].explainer, []
    explain = explainer.explain

    def explained(*args):
        meanwhile.append(api(narrow.test_client(), png, ink_model).status_code)
        return explain(*args)

    monkeypatch.setattr(explainer, "explain", explained)
    assert narrow.test_client().get(f"{result}/heatmap.png").status_code == 200
    answer = narrow.test_client().post(f"/api/explain?model={ink_model}", data={"image": (io.BytesIO(png), "a.png")})
    assert (answer.status_code, answer.json["label"]) == (200, "1")
    assert meanwhile == [200, 200]


@pytest.mark.parametrize("bad", [b"", b"not a picture"])
def test_a_turn_is_given_back_whatever_happens(narrow, png, ink_model, bad):
    client = narrow.test_client()
    for _ in range(3):
        assert api(client, bad, ink_model).status_code in (400, 415)
        assert page(client, bad, ink_model).status_code == 303
    assert api(client, png, ink_model).status_code == 200


def waiting():
    return metrics.REGISTRY.get_sample_value("inkling_waiting_requests")


def test_a_few_wait_for_their_turn(make_app, settings, png, ink_model):
    app = make_app(settings.replace(concurrent=1, queue=1))
    found = []
    other = threading.Thread(target=lambda: found.append(api(app.test_client(), png, ink_model).status_code))
    with turns(app):
        other.start()
        wait_until(lambda: waiting() == 1)
        assert api(app.test_client(), png, ink_model).status_code == 503  # the queue is full
        assert found == []
    other.join(30)
    assert (found, waiting()) == ([200], 0)


def test_explanations_take_turns_and_a_few_wait(settings):
    """One explanation is computed and three wait. The next is refused at once."""
    admission, found = Admission(settings.replace(concurrent=4, queue=8)), []

    def explain():
        with admission.turn(30, EXPLANATIONS):
            found.append(sum(one.is_alive() for one in others))

    others = [threading.Thread(target=explain) for _ in range(3)]
    with admission.turn(0, EXPLANATIONS):
        for one in others:
            one.start()
        wait_until(lambda: waiting() == 3)
        with pytest.raises(Problem, match="Try again"), admission.turn(30, EXPLANATIONS):
            pass
        assert found == []
        with admission.turn(0, ANSWERS):
            pass
    for one in others:
        one.join(30)
    assert (len(found), waiting()) == (3, 0)


@pytest.mark.parametrize("share, places, running", [(50, 5, 1), (80, 8, 1), (100, 10, 2), (1, 1, 1)])
def test_one_client_holds_its_share_of_turns_and_others_go_first(settings, share, places, running):
    """A flooder's further requests are refused; a visitor who comes last runs before those that wait."""
    admission = Admission(settings.replace(concurrent=2, queue=8, client_share=share))
    order, refused, release = [], [], threading.Event()

    def take(client):
        try:
            with admission.turn(30, ANSWERS, client):
                order.append(client)
                release.wait(30)
        except Problem:
            refused.append(client)

    flood = [threading.Thread(target=take, args=("flooder",)) for _ in range(12)]
    visitor = threading.Thread(target=take, args=("visitor",))
    for thread in flood:
        thread.start()
    wait_until(lambda: len(refused) == 12 - places and len(order) == running)
    visitor.start()
    if share < 100:
        wait_until(lambda: order == ["flooder", "visitor"])
    else:
        wait_until(lambda: refused[-1:] == ["visitor"])
    release.set()
    for thread in (*flood, visitor):
        thread.join(30)
    assert order.count("flooder") == places
    with admission.turn(0, ANSWERS, "flooder"):
        pass


def test_whoever_has_waited_long_enough_is_refused(settings):
    admission = Admission(settings)
    with admission.turn(0, EXPLANATIONS):
        for _ in range(8):
            with pytest.raises(Problem, match="Try again"), admission.turn(0.01, EXPLANATIONS):
                pass
    with admission.turn(0, EXPLANATIONS):
        pass


def test_no_request_waits_longer_than_its_time_budget(make_app, settings, png, ink_model):
    app = make_app(settings.replace(concurrent=1, queue=5, request_seconds=0.05))
    with turns(app):
        assert is_problem(api(app.test_client(), png, ink_model), 503, "busy")
    assert api(app.test_client(), png, ink_model).status_code == 200


# ---- Time budget ----


class Costly:
    """Replaces the decoder processes and the clock. Decoding takes 2.25 seconds, everything else no time."""

    def __init__(self):
        self.now, self.allowed = 0.0, []

    def monotonic(self):
        return self.now

    def ask(self, job, data):
        self.allowed.append(job["cpu_seconds"])
        self.now += min(2.25, job["cpu_seconds"])
        if job["cpu_seconds"] < 2.25:
            raise sandbox.DecoderEnded(-signal.SIGPROF)
        return {"size": (8, 8)}, bytes(range(192))


@pytest.mark.parametrize("as_page", [False, True], ids=["api", "page"])
@pytest.mark.parametrize(
    "seconds, allowed, reasons",
    [
        (10, [4, 4, 4, 3.25], [""] * 5),
        (5, [4, 2.75, 0.5], ["", "", "late", "late", "late"]),
        (4, [4, 1.75], ["", "late", "late", "late", "late"]),
    ],
)
def test_pictures_that_come_together_share_the_time_that_decoding_may_take(
    make_app, settings, monkeypatch, photo_model, as_page, seconds, allowed, reasons
):
    costly = Costly()
    monkeypatch.setattr(budget, "time", costly)
    monkeypatch.setattr(sandbox, "pool", lambda megabytes: costly)
    client = make_app(settings.replace(max_batch=5, decode_seconds=4, request_seconds=seconds)).test_client()
    files = [(build.encode(build.scene(), kind), f"a.{kind}") for kind in ("gif", "gif", "gif", "webp", "png")]
    data = {"model": photo_model, "image": [(io.BytesIO(file), name) for file, name in files]}
    if as_page:
        table = client.get(client.post("/predict", data=data).location + ".csv").data.decode("utf-8-sig")
        found = [row["error"] for row in csv.DictReader(io.StringIO(table, newline=""))]
    else:
        answers = client.post(f"/api/predict?model={photo_model}", data=data).json["results"]
        found = [answer.get("error", {}).get("reason", "") for answer in answers]
    assert found == reasons, "a cheap picture is late too unless it is the first"
    assert costly.allowed == allowed, "the first picture may use all the time that one picture may take"


def test_whoever_waited_has_less_time_left(make_app, settings, monkeypatch, photo_model, data_url):
    """Costly pictures are refused as late on every route. Cheap ones are still answered."""
    costly = Costly()
    monkeypatch.setattr(budget, "time", costly)
    monkeypatch.setattr(sandbox, "pool", lambda megabytes: costly)
    app = make_app(settings.replace(decode_seconds=3, request_seconds=4))

    class Crowd:
        """An admission queue in which every request waits for some seconds."""

        seconds = 3

        @contextmanager
        def turn(self, seconds, work, client):
            costly.now += self.seconds
            yield

    app.extensions["admission"] = Crowd()
    client, (gif, webp, png) = app.test_client(), (build.encode(build.scene(), kind) for kind in ("gif", "webp", "png"))

    def send(path, **fields):
        return client.post(path, data={"image": (io.BytesIO(gif), "a.gif")} | fields)

    answers = [
        send(f"/api/predict?model={photo_model}"),
        send(f"/api/explain?model={photo_model}"),
        send("/predict", model=photo_model),
        send("/lab", picture=data_url(webp, "image/webp")),
    ]
    assert [answer.status_code for answer in answers] == [503] * 4
    assert costly.allowed == [1] * 4, "no time is left when the lab reads its own copy"
    Crowd.seconds = 5
    assert api(client, png, photo_model).status_code == 200
