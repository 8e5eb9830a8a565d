"""gunicorn as the Procfile starts it, over HTTP."""

import http.client
import json
import os
import pty
import re
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlencode

import psutil
import pytest
from gunicorn.http.unreader import SocketUnreader

from benchmarks.pictures import form
from benchmarks.servers import free_port
from inkling import config
from inkling.config import ROOT
from inkling.web import server as web_server
from inkling.web.edge import bodies
from tests.support.server import (
    PLUGIN,
    START,
    WORKERS,
    classify,
    concurrently,
    environment,
    log_lines,
    metrics,
    running,
    wait_for_workers,
)
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def alone(tmp_path_factory, models_folder, ink_model, photo_model):
    """Starts a server of a test's own. It has two models only, because each start opens all of them."""
    root = tmp_path_factory.mktemp("models")
    for name in (ink_model, photo_model):
        (root / name).symlink_to(models_folder / name, target_is_directory=True)
    return partial(running, INKLING_MODELS=str(root))


# ---- The main path ----


def test_a_drawn_digit_is_answered(server, png, data_url, ink_model):
    body = urlencode({"model": ink_model, "drawing": data_url(png)})
    status, headers, _ = server.request("POST", "/predict", body, {"Content-Type": "application/x-www-form-urlencoded"})
    assert status == 303
    assert re.fullmatch(r"/results/[\w-]{22}", headers["Location"])
    for _ in range(2 * WORKERS):  # enough to reach each worker
        assert server.request("GET", headers["Location"])[0] == 200
    status, headers, picture = server.request("GET", headers["Location"] + "/picture")
    assert (status, headers["Content-Type"], picture[:4]) == (200, "image/png", b"\x89PNG")


def test_an_uploaded_photo_is_answered(server, jpeg, photo_model):
    status, headers, _ = server.upload(jpeg, "cat.jpg", photo_model)
    assert status == 303
    assert re.fullmatch(r"/results/[\w-]{22}", headers["Location"])
    status, headers, picture = server.request("GET", headers["Location"] + "/picture")
    assert (status, headers["Content-Type"], picture[:2]) == (200, "image/jpeg", b"\xff\xd8")


def test_the_api_answers(server, jpeg, photo_model):
    body, kind = form(jpeg, "cat.jpg")
    status, headers, answer = server.request("POST", f"/api/predict?model={photo_model}", body, {"Content-Type": kind})
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert b'"label"' in answer


def test_an_answer_carries_the_security_headers_once(server):
    for path in ("/", "/static/style.css", "/no-such-page"):
        _, headers, _ = server.request("GET", path)
        assert len(headers.get_all("Content-Security-Policy")) == 1
        assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("megabytes", [17, 20, 40, 100])
def test_too_large_an_upload_gets_the_help_page_not_a_broken_connection(server, photo_model, megabytes):
    status, headers, _ = server.upload(bytes(megabytes * 2**20), "a.jpg", photo_model)
    assert status == 303
    assert headers["Location"].startswith("/help?reason=too-large&got=")


@pytest.mark.parametrize("size", [22_371_000, 40_000_000])  # 16 MiB take 22,369,624 base64 characters
def test_too_large_a_drawing_gets_the_help_page_not_a_broken_connection(server, ink_model, size):
    body = f"model={ink_model}&drawing=data:image/png;base64,{'A' * size}"
    status, headers, _ = server.request("POST", "/predict", body, {"Content-Type": "application/x-www-form-urlencoded"})
    assert status == 303
    assert headers["Location"].startswith("/help?reason=too-large")


@pytest.mark.parametrize(
    "path, headers, status",
    [
        ("/api/predict?model=no-such-model", {}, 404),
        ("/api/predict?model=digits-cnn&top=0", {}, 400),
        ("/predict", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("/help", {}, 405),
        ("/no-such-page", {}, 404),
    ],
    ids=str,
)
def test_a_client_that_still_sends_receives_an_early_response(server, path, headers, status):
    """The photo is within the limits, but something else in the request is wrong."""
    body, kind = form(bytes(12 * 2**20), "a.jpg")
    assert server.request("POST", path, body, headers | {"Content-Type": kind})[0] == status


def test_a_request_line_of_any_length_does_not_break_it(server):
    assert server.request("GET", "/help?got=" + "x" * 100_000)[0] in (400, 414)
    assert server.request("GET", "/healthz")[0] == 200


# ---- Workers ----


def test_the_port_and_the_number_of_workers_are_honored(server):
    assert server.request("GET", "/healthz")[0] == 200
    assert len(server.workers) == WORKERS


def test_workers_share_connections_that_stay_open(server):
    wait_for_workers(server)
    with ExitStack() as kept:
        for _ in range(6 * WORKERS):
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            kept.callback(connection.close)
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
        held = [
            sum(one.status == "ESTABLISHED" and one.laddr.port == server.port for one in process.net_connections())
            for process in map(psutil.Process, server.workers)
        ]
    assert min(held) >= 2, held


@pytest.mark.parametrize("pause", [0, 1.2 * web_server.NEXT_SECONDS], ids=["at once", "after a pause"])
def test_a_client_asks_again_over_the_same_connection(server, pause):
    """At once the thread that answered waits for it, and after a pause the one that accepts."""
    with ExitStack() as kept:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        kept.callback(connection.close)
        ports = set()
        for _ in range(3):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
            ports.add(connection.sock.getsockname()[1])
            time.sleep(pause)
    assert len(ports) == 1


@pytest.mark.parametrize(
    "env, bind",
    [
        ({}, "127.0.0.1:5000"),
        ({"PORT": "8123"}, "0.0.0.0:8123"),
        ({"INKLING_HOST": "10.0.0.1"}, "10.0.0.1:5000"),
        ({"INKLING_HOST": "10.0.0.1", "PORT": "8123"}, "10.0.0.1:8123"),
        ({"PORT": ""}, "127.0.0.1:5000"),
    ],
    ids=str,
)
def test_without_a_port_only_this_machine_is_served(monkeypatch, env, bind):
    for name in ("PORT", "INKLING_HOST"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert runpy.run_path(str(ROOT / "gunicorn.conf.py"))["bind"] == bind


@pytest.mark.parametrize("asked, workers", [("3", 3), ("", config.cores()), (None, config.cores())])
def test_without_a_number_there_is_a_worker_a_core(monkeypatch, asked, workers):
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    if asked is not None:
        monkeypatch.setenv("WEB_CONCURRENCY", asked)
    settings = runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    assert settings["workers"] == workers
    assert settings["raw_env"] == [f"WEB_CONCURRENCY={workers}"]  # the app divides the cores by it


def test_inkling_serve_starts_gunicorn_with_the_same_settings(monkeypatch):
    monkeypatch.setenv("GUNICORN_CMD_ARGS", "--max-requests 77")
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    found, ours = web_server.Server(config.Settings()).cfg, runpy.run_path(str(ROOT / "gunicorn.conf.py"))
    for name in ("workers", "threads", "graceful_timeout", "worker_tmp_dir", "logger_class", "post_worker_init"):
        assert found.settings[name].get() == ours[name]
    assert found.max_requests == 77


def test_the_server_reads_no_more_of_a_body_than_the_app_requests():
    """Bytes that gunicorn reads ahead are copied again at every read."""
    asked, settings = [], runpy.run_path(str(ROOT / "gunicorn.conf.py"))

    class Socket:
        def setsockopt(self, *_):
            pass

        def recv(self, size):
            asked.append(size)
            return bytes(size)

    unreader = SocketUnreader(Socket())
    settings["pre_request"](None, SimpleNamespace(unreader=unreader))
    for _ in range(3):
        assert len(unreader.read(bodies.CHUNK, read_ahead=10**7)) == bodies.CHUNK
    assert asked == [bodies.CHUNK] * 3


def test_models_are_open_before_the_first_request(server):
    for pid in server.workers:
        assert PLUGIN in Path(f"/proc/{pid}/maps").read_text()


def test_libraries_and_weights_are_loaded_once_and_models_by_each_worker(server):
    """The process that starts workers has a single thread, because other threads would not survive in the workers."""
    master = Path(f"/proc/{server.process.pid}")
    maps = (master / "maps").read_text()
    assert "cv2" in maps
    assert "_pyopenvino" in maps
    assert PLUGIN not in maps
    assert len(list((master / "task").iterdir())) == 1
    for pid in server.workers:
        shared = re.search(r"Shared_Dirty:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text())[1]
        assert int(shared) > 110 * 1024


def test_no_worker_maps_a_file_of_tensorflow(server):
    for pid in server.workers:
        maps = Path(f"/proc/{pid}/maps").read_text().lower()
        assert "numpy" in maps
        assert not re.search(r"site-packages/(tensorflow|keras|sklearn|scipy|matplotlib|skimage|torch)", maps)


# ---- Metrics and logs ----


def test_metrics_cover_all_workers_and_survive_each(tmp_path, png, ink_model, alone):
    """Any worker reports them; a dead worker's counters stay, and its gauges go."""
    sent, answers = 0, f'inkling_answers_total{{label="1",model="{ink_model}"}}'
    with alone(tmp_path) as server:
        wait_for_workers(server)
        while {line["pid"] for line in log_lines(server) if "route" in line} != set(server.workers):
            assert {status for status, *_ in concurrently(40, lambda: classify(server, png, ink_model))} == {200}
            sent += 40
            assert sent <= 400, "one worker got all requests"
        assert [metrics(server)[answers] for _ in range(3 * WORKERS)] == [sent] * 3 * WORKERS
        dead = server.workers[0]
        os.kill(dead, signal.SIGKILL)
        wait_for_workers(server, without=[dead])
        assert {status for status, *_ in concurrently(40, lambda: classify(server, png, ink_model))} == {200}
        found = metrics(server)
        assert found[answers] == sent + 40
        assert found[f'inkling_model_ready{{model="{ink_model}"}}'] == 1
        assert found["inkling_waiting_requests"] == 0


def test_a_worker_that_is_recycled_loses_no_request(tmp_path, alone):
    """Also over kept-alive connections, while the new worker opens its models."""
    with alone(tmp_path, GUNICORN_CMD_ARGS="--max-requests 30 --max-requests-jitter 10") as server:
        wait_for_workers(server)
        old, end = set(server.workers), time.monotonic() + 60

        def keep_asking(_):
            connection, found = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60), []
            while set(server.workers) & old and time.monotonic() < end:
                connection.request("GET", "/healthz")  # reconnects if the last response closed the connection
                found.append(connection.getresponse())
                found[-1].read()
            connection.close()
            return [answer.status for answer in found]

        with ThreadPoolExecutor(4) as threads:
            statuses = [status for found in threads.map(keep_asking, range(4)) for status in found]
        assert set(server.workers) & old == set()
        assert set(statuses) == {200}
        assert server.request("GET", "/healthz")[0] == 200


def test_a_reload_replaces_workers_only_once_the_new_ones_are_ready(tmp_path, alone):
    """New workers that are halted do not become ready: the old ones answer until they go on."""
    asked = threading.Event()

    def keep_asking():
        statuses = []
        while not asked.is_set():
            statuses.append(server.request("GET", "/healthz")[0])
        return statuses

    def answered():
        return metrics(server)['inkling_requests_total{method="GET",route="/healthz",status="200"}']

    with alone(tmp_path) as server, ThreadPoolExecutor(4) as threads:
        wait_for_workers(server)
        old = set(server.workers)
        asking = [threads.submit(keep_asking) for _ in range(4)]
        server.process.send_signal(signal.SIGHUP)
        try:
            wait_until(lambda: len(set(server.workers) - old) == WORKERS)
            new = set(server.workers) - old
            for pid in new:
                os.kill(pid, signal.SIGSTOP)
            before = answered()
            wait_until(lambda: answered() >= before + 50)
            assert set(server.workers) == old | new
            for pid in new:
                os.kill(pid, signal.SIGCONT)
            wait_until(lambda: set(server.workers) == new)
        finally:
            asked.set()
        assert {status for one in asking for status in one.result()} == {200}
        assert server.request("GET", "/healthz")[0] == 200


def test_a_server_stops_in_the_middle_of_a_reload(tmp_path, alone):
    with alone(tmp_path) as server:
        wait_for_workers(server)
        old = set(server.workers)
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: len(set(server.workers) - old) == WORKERS)
        new = set(server.workers) - old
        for pid in new:
            os.kill(pid, signal.SIGSTOP)  # they never become ready
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not set(server.workers) & old, seconds=60)
        for pid in new:
            os.kill(pid, signal.SIGCONT)
        assert server.process.wait(60) == 0
        assert "Traceback" not in server.log


def test_metrics_leave_no_files_behind(tmp_path, alone):
    with alone(tmp_path) as server:
        server.request("GET", "/")
        wait_for_workers(server)
        maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in server.workers)
        (folder,) = set(re.findall(r"/\S*/inkling-metrics-\w+", maps))
        assert Path(folder).is_dir()
    assert not Path(folder).exists()


def test_every_line_of_the_log_is_an_object_without_anything_private(tmp_path, png, ink_model, alone):
    with alone(tmp_path) as server:
        answers = [
            classify(server, png, ink_model, {"X-Forwarded-For": "203.0.113.7"}),
            classify(server, b"no picture", ink_model),
            server.upload(png, "private-name.png", ink_model),
            server.request("GET", "/no/private-path"),
        ]
        assert [status for status, *_ in answers] == [200, 415, 303, 404]
        assert server.request("GET", answers[2][1]["Location"])[0] == 200
        assert server.request("PRIVATE-METHOD", "/")[0] == 405
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(b"private words that are no HTTP\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 400")
        lines = log_lines(server)
    requests = [line for line in lines if line["logger"] == "inkling.requests"]
    assert [line["request_id"] for line in requests[:4]] == [headers["X-Request-ID"] for _, headers, _ in answers]
    assert [line.get("reason") for line in requests[:4]] == [None, "not-an-image", None, None]
    loggers = {"gunicorn.error", "inkling.proxies", "inkling.requests", "inkling.server"}
    assert loggers == {line["logger"] for line in lines}
    assert "Invalid request" in [line["message"] for line in lines]
    result = answers[2][1]["Location"].split("/")[-1]
    everything = json.dumps([line for line in lines if "Listening at" not in line["message"]]).lower()
    for private in ("private", "127.0.0.1", "203.0.113.7", result.lower()):
        assert private not in everything


def test_a_proxy_on_this_machine_is_believed_only_when_named(tmp_path, alone):
    said = {"X-Request-ID": "0123456789abcdef", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
    for trusted, scheme in (("", "http"), ("127.0.0.1", "https")):
        with alone(tmp_path, INKLING_TRUSTED_PROXIES=trusted) as server:
            _, headers, page = server.request("GET", "/api/docs", headers=said)
            assert (headers["X-Request-ID"] == said["X-Request-ID"]) == bool(trusted)
            assert f"{scheme}://127.0.0.1:{server.port}".encode() in page
            # The client behind the proxy may not read the metrics, whichever worker is asked.
            assert {server.request("GET", "/metrics", headers=said)[0] for _ in range(10 * WORKERS)} == {403}
            warnings = [line for line in log_lines(server) if line["logger"] == "inkling.proxies"]
            assert len(warnings) == (0 if trusted else 1)


@pytest.mark.parametrize(
    "address, is_open",
    [
        (("0.0.0.0", 8000), True),
        (("::", 8000), True),
        (("10.0.0.1", 8000), True),
        (("a-name", 8000), True),
        (("127.0.0.1", 8000), False),
        (("::1", 8000), False),
        (("localhost", 8000), False),
        ("/run/inkling.sock", False),
        (3, False),
    ],
    ids=str,
)
def test_other_machines_reach_a_port_that_is_not_on_loopback(address, is_open):
    assert web_server.is_open(address) == is_open


def test_an_open_port_without_a_named_proxy_is_warned_of_once(tmp_path, server, on_terminal, alone):
    warning = "INKLING_TRUSTED_PROXIES names no proxy"
    assert [line["level"] for line in log_lines(server) if warning in line["message"]] == ["WARNING"]
    local, _ = on_terminal
    assert warning not in local.log
    with alone(tmp_path, INKLING_TRUSTED_PROXIES="10.0.0.1", WEB_CONCURRENCY="1") as proxied:
        assert warning not in proxied.log


@pytest.fixture(scope="module")
def on_terminal(tmp_path_factory, alone):
    """A server that is bound to loopback and was started on a terminal, with what it printed there."""
    screen, terminal = pty.openpty()
    with alone(tmp_path_factory.mktemp("terminal"), terminal, INKLING_HOST="127.0.0.1", WEB_CONCURRENCY="1") as server:
        yield server, os.read(screen, 4096).decode()
    os.close(screen)
    os.close(terminal)


def test_only_a_server_on_loopback_has_an_owner_without_a_token(server, on_terminal):
    local, _ = on_terminal
    owner = b"You don't need to sign in"
    assert owner in local.request("GET", "/sign-in")[2]
    assert owner not in local.request("GET", "/sign-in", headers={"X-Forwarded-For": "127.0.0.1"})[2]
    assert owner not in local.request("GET", "/sign-in", headers={"Host": "evil.example"})[2]
    assert owner not in server.request("GET", "/sign-in")[2]  # it listens on all addresses


def test_the_sign_in_link_is_for_the_terminal_alone(server, on_terminal):
    local, printed = on_terminal
    address, secret = re.fullmatch(
        r"Sign in once, within ten minutes: (http://\S+/sign-in\?link=(\S+))\r\n", printed
    ).groups()
    assert address.startswith(f"http://127.0.0.1:{local.port}/")
    assert secret not in local.log
    assert "Sign in once" not in server.log
    post = urlencode({"token": secret}), {"Content-Type": "application/x-www-form-urlencoded", "Via": "1.1 tunnel"}
    status, headers, _ = local.request("POST", "/sign-in", *post)
    assert status == 303
    cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0], "Via": "1.1 tunnel"}
    assert b"You are signed in" in local.request("GET", "/sign-in", headers=cookie)[2]
    assert local.request("POST", "/sign-in", *post)[0] == 403


def test_too_many_posts_a_minute_are_told_when_to_come_back(tmp_path, png, ink_model, alone):
    with alone(tmp_path, INKLING_RATE_LIMIT="2", WEB_CONCURRENCY="1") as server:
        assert classify(server, png, ink_model)[0] == 200
        wait_until(lambda: classify(server, png, ink_model)[0] == 429)  # the time of a turn costs points too
        before = metrics(server)['inkling_rejections_total{reason="rate-limited"}']
        for status, headers, body in (classify(server, png, ink_model), server.upload(png, "a.png", ink_model)):
            assert status == 429
            assert 1 <= int(headers["Retry-After"]) <= 61
            assert (b"rate-limited" in body) or (b"Too many requests" in body)
        assert metrics(server)['inkling_rejections_total{reason="rate-limited"}'] == before + 2


def test_too_much_at_once_is_told_to_come_back_and_the_rest_is_answered(tmp_path, encode, photo, photo_model, alone):
    large = encode(photo.resize((4000, 3000)), "PNG")
    with alone(tmp_path, INKLING_CONCURRENT="1", INKLING_QUEUE="0", WEB_CONCURRENCY="1") as server:
        answers = concurrently(24, lambda: classify(server, large, photo_model))
        busy = [
            (headers["Retry-After"], json.loads(body)["reason"]) for status, headers, body in answers if status == 503
        ]
        assert {status for status, *_ in answers} == {200, 503}
        assert set(busy) == {("5", "busy")}
        assert metrics(server)['inkling_rejections_total{reason="busy"}'] == len(busy)
        assert classify(server, large, photo_model)[0] == 200


def test_a_flood_from_one_address_costs_another_visitor_no_answer(
    tmp_path, encode, photo, photo_model, png, ink_model, alone
):
    """Sixteen connections fill the places of their own client, and no others."""
    large = encode(photo.resize((3000, 2000)), "PNG")
    changes = {"INKLING_TRUSTED_PROXIES": "127.0.0.1", "INKLING_RATE_LIMIT": "0", "WEB_CONCURRENCY": "1"}
    changes["INKLING_CLIENT_SHARE"] = "50"
    flooder, visitor = ({"X-Forwarded-For": address} for address in ("203.0.113.1", "203.0.113.2"))
    over, flood = threading.Event(), []
    with alone(tmp_path, **changes) as server:

        def attack():
            while not over.is_set():
                flood.append(classify(server, large, photo_model, flooder)[0])

        threads = [threading.Thread(target=attack) for _ in range(16)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: flood.count(503) >= 5)
            answers = [classify(server, png, ink_model, visitor)[0] for _ in range(10)]
        finally:
            over.set()
            for thread in threads:
                thread.join(120)
    assert answers == [200] * 10
    assert 200 in flood


# ---- Starting and stopping ----


def test_sigterm_ends_it_cleanly(tmp_path, png, ink_model, alone):
    with alone(tmp_path) as server:
        workers = server.workers
        where = server.upload(png, "a.png", ink_model)[1]["Location"]
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
        assert "Traceback" not in server.log
        with pytest.raises(OSError, match="refused"):
            server.request("GET", "/healthz")
    with alone(tmp_path) as server:  # a result survives a restart
        assert server.request("GET", where)[0] == 200


@pytest.mark.parametrize(
    "variable, value, says",
    [
        ("INKLING_RUNTIME", "tensorrt", "INKLING_RUNTIME must be one of openvino, keras. Received: 'tensorrt'"),
        ("INKLING_MAX_BYTES", "16 MB", "INKLING_MAX_BYTES must be a whole number"),
        ("INKLING_MAX_BITES", "1", "INKLING_MAX_BITES is not a setting."),
        ("WEB_CONCURRENCY", "0", "WEB_CONCURRENCY must be empty or a whole number from 1 to 256. Received: '0'"),
        ("PORT", "http", "PORT must be empty or a whole number from 1 to 65535. Received: 'http'"),
    ],
)
def test_a_bad_setting_stops_the_start_with_one_clear_sentence(tmp_path, variable, value, says):
    env = environment(tmp_path, **{"PORT": str(free_port()), "WEB_CONCURRENCY": "1", variable: value})
    process = subprocess.Popen(START, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        output, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.terminate()
        output, _ = process.communicate()
        pytest.fail(f"it did not stop:\n{output}")
    assert process.returncode not in (0, None)
    assert output.count(says) == 1
    assert "Traceback" not in output


@pytest.mark.parametrize("command", [["-m", "flask", "models"], ["app.py"]], ids=" ".join)
def test_a_bad_setting_stops_the_other_ways_to_start(tmp_path, command):
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(tmp_path, INKLING_THREADS="all"),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Inkling did not start. INKLING_THREADS must be a whole number from 0 to 256. Received: 'all'\n"
    )
