"""The benchmarks send the requests that they describe, count correctly, and fail when a promise is broken."""

import io
import math
import os
import random
import runpy
import subprocess
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image
from werkzeug.test import EnvironBuilder

from benchmarks import bench, client, fleet, load, pictures, profile, servers
from benchmarks.peers import floor
from inkling.config import ROOT

SAMPLES = [load.Sample(i / 60, 100.0, 20) for i in range(60)]
GOOD = [load.Answer("drawing", 200, 20.0, "", "") for _ in range(200)]


def test_the_pictures_are_what_they_are_called():
    with Image.open(io.BytesIO(pictures.digit())) as image:
        assert (image.format, image.size) == ("PNG", (280, 280))
    with Image.open(io.BytesIO(pictures.photo(1200, 700))) as image:  # wider than one tile of grain
        assert (image.format, image.size) == ("JPEG", (1200, 700))


def test_a_form_is_received_unchanged():
    body, kind = pictures.form(pictures.digit(), "a.png", model="digits-cnn")
    request = EnvironBuilder(method="POST", data=body, content_type=kind).get_request()
    assert dict(request.form) == {"model": "digits-cnn"}
    assert request.files["image"].filename == "a.png"
    assert request.files["image"].read() == pictures.digit()


def test_the_floor_reads_the_upload():
    client = floor.app.test_client()
    body, kind = pictures.form(pictures.digit())
    assert client.post("/predict", data=body, content_type=kind).json == {"bytes": len(pictures.digit())}
    body, kind = pictures.strokes()
    assert client.post("/body", data=body, content_type=kind).json == {"bytes": len(body)}


def test_the_peers_run_under_our_settings_of_gunicorn(monkeypatch):
    monkeypatch.chdir(ROOT)
    ours, theirs = (runpy.run_path(path) for path in ("gunicorn.conf.py", "benchmarks/peers/gunicorn.conf.py"))
    assert {name: theirs[name] for name in ("workers", "threads", "worker_class", "worker_tmp_dir")} == {
        name: ours[name] for name in ("workers", "threads", "worker_class", "worker_tmp_dir")
    }
    hooks = {name for name in theirs if name.startswith(("on_", "post_", "pre_", "child_"))}
    assert hooks == {"pre_fork", "child_exit"}, "what the workers need, and nothing that the app does"


# ---- The client ----


class Answering(BaseHTTPRequestHandler):
    """A server that sends each response in two pieces and closes every third connection."""

    protocol_version, asked = "HTTP/1.1", 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Answering.asked += 1
        self.send_response(200 if Answering.asked % 2 else 503)
        self.send_header("Content-Length", "5")
        if not Answering.asked % 3:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"he")
        self.wfile.flush()
        self.wfile.write(b"llo")

    def log_message(self, *_):
        pass


def test_the_client_counts_every_answer():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        found = client.drive(server.server_port, 3, 0.5, servers.post("/", b"x" * 1000, "text/plain"))
    finally:
        server.shutdown()
        server.server_close()
    count = sum(found["statuses"].values())
    assert found["statuses"].keys() == {200, 503}
    assert len(found["milliseconds"]) == count > 3
    assert count + found["late"] == Answering.asked
    assert found["late"] == 3
    assert min(found["milliseconds"]) > 0


# ---- The tables ----


def test_a_ratio_is_that_of_rounds_at_the_same_time(capsys):
    found = {
        "litserve": [bench.Round(speed, 1.0, 2.0, 0.1, 9) for speed in (100, 1000, 10)],
        "strokes": [bench.Round(speed, 2.0, 5.0, 0.2, 9) for speed in (250, 2000, 21)],
        "png": [bench.Round(speed, 2.0, 5.0, 0.2, 9, 3.25) for speed in (50, 400, 6)],
    }
    assert bench.ratios(found, "png", "litserve") == [0.5, 0.4, 0.6]
    bench.print_speeds(found, {"png": 0.987})
    out = capsys.readouterr().out
    assert "| Inkling, PNG | 50.0 (6.0 to 400.0) | 3.25 | 2.0 | 5.0 | 98.7% |" in out
    assert "20% of a core" in out
    bench.print_aims(bench.aims(found))
    out = capsys.readouterr().out
    assert "| Inkling, strokes, beside LitServe, squeezing | 2.10 times (2.05 to 2.30) | 2 times | yes |" in out
    assert "| Inkling, PNG, beside LitServe, squeezing | 0.50 times (0.45 to 0.55) | 1.1 times | missed |" in out


@pytest.mark.parametrize("answer", [b'{"label": "3"}', b'{"data": [{"label": "3", "confidences": []}]}'])
def test_the_label_of_every_contender_is_read(answer):
    assert bench.label_of(answer) == "3"


def test_a_stage_does_not_count_the_stages_within(monkeypatch):
    monkeypatch.setattr(profile.time, "thread_time_ns", iter([0, 10_000, 40_000, 100_000]).__next__)
    stopwatch = profile.Stopwatch()
    inner = stopwatch.times("inner", lambda: None)
    stopwatch.times("outer", inner)()
    stopwatch.lap()
    assert stopwatch.stages == {"inner": [30.0], "outer": [70.0]}


def test_every_stage_of_the_profile_is_there():
    assert [name for places in profile.STAGES.values() for owner, name in places if not hasattr(owner, name)] == []


# ---- The promises ----


def check(capsys, answers=GOOD, samples=None, alone=5.0):
    """Returns whether `load.check` found all promises met, and the rows of the promises that it found broken."""
    kept = load.check(answers, samples or {1: SAMPLES, 2: SAMPLES}, alone)
    return kept, [line.split(" | ")[0][2:] for line in capsys.readouterr().out.splitlines() if line.endswith("| NO |")]


def test_all_promises_may_be_kept(capsys):
    busy = [load.Answer("drawing", 503, 1.0, "", ""), load.Answer("drawing", 429, 1.0, "", "")]
    assert check(capsys, GOOD + busy) == (True, [])


@pytest.mark.parametrize(
    "answers, samples, broken",
    [
        ([*GOOD, load.Answer("page", 500, 1.0, "", "status 500")], None, "unexpected answers"),
        (GOOD, {1: SAMPLES, 2: SAMPLES[:30]}, "workers that ended or started"),
        (
            GOOD,
            {1: [one._replace(megabytes=100 + 1.5 * one.minute) for one in SAMPLES]},
            "growth of a worker, MB per minute",
        ),
        (
            GOOD,
            {1: [one._replace(files=20 + i // 4) for i, one in enumerate(SAMPLES)]},
            "additional open files of a worker",
        ),
        (
            [*GOOD, *[answer._replace(milliseconds=51.0) for answer in GOOD[:10]]],
            None,
            "p99 of small drawings, multiple of 5.0 ms without load",
        ),
        ([*GOOD, *[load.Answer("drawing", 503, 4000.0, "", "")] * 3], None, "answers 503 within the rate limit"),
    ],
)
def test_a_broken_promise_is_reported(capsys, answers, samples, broken):
    assert check(capsys, answers, samples) == (False, [broken])


def test_growth_counts_from_a_fifth_of_the_time_on():
    rising = [one._replace(megabytes=min(100.0, 500 * one.minute)) for one in SAMPLES]
    slope, files = load.growth(rising)
    assert abs(slope) < 1e-6
    assert files == 0


@pytest.mark.parametrize(
    "status, retry, broken",
    [
        (200, None, ""),
        (429, "5", ""),
        (503, "5", ""),
        (429, None, "429 without Retry-After"),
        (500, None, "status 500"),
        (303, None, "status 303"),
    ],
)
def test_each_answer_is_checked_against_the_promises(status, retry, broken):
    headers = Message()
    if retry:
        headers["Retry-After"] = retry

    class Server:
        def send(self, request):
            assert b"\r\nX-Forwarded-For: 203.0.113.1\r\n" in request
            return status, headers, b""

    answer = load.Client(Server(), "203.0.113.1", random.Random(0)).drawing()
    assert (answer.status, answer.broken) == (status, broken)


def test_no_answer_is_a_broken_promise():
    class Server:
        def send(self, request):
            raise ConnectionResetError

    assert load.Client(Server(), "203.0.113.1", random.Random(0)).drawing().broken == "no answer: ConnectionResetError"


def test_a_child_that_has_ended_takes_no_memory():
    """A child process uses no memory after it has exited, whether or not its exit status has been read."""
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # the child has exited and is now a zombie process
    assert child.pid in load.family(os.getpid())
    assert load.sample(os.getpid(), 0.0).megabytes > 0
    child.wait()
    assert load.family(child.pid) == [child.pid]
    assert load.private_megabytes(child.pid) == 0


# ---- Fleets ----


def test_a_simulated_queue_is_as_long_as_theory_says():
    """With random arrivals, exponential times and one core, the time in a queue is exponential as well."""
    slow, busy = fleet.simulate([fleet.Station("one", 1, 1, 10.0)], 50, 20_000)
    assert slow == pytest.approx(1e3 * math.log(100) / (100 - 50), rel=0.1)
    assert busy["one"] == pytest.approx(0.5, rel=0.05)


def test_a_fleet_carries_what_its_slowest_station_can():
    stations = [fleet.Station("quick", 4, 2, 1.0), fleet.Station("slow", 1, 2, 20.0)]
    speed, outcome = fleet.carried(stations, 500, 5000)
    assert 80 < speed <= 100
    assert outcome.slow < 500
    assert max(outcome.busy, key=outcome.busy.get) == "slow"
