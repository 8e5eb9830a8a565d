"""The language model with real servers: llama.cpp behind gunicorn, `inkling chat`, and nginx in front."""

import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import httpx
import pytest

from benchmarks.servers import free_port
from inkling.ask import local, model
from inkling.config import ROOT
from tests.support import server as servers
from tests.support.chat import Fake, chunk, events, seconds_to_close, write_tiny_model
from tests.support.waiting import wait_until

SEND = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="module")
def fake():
    found = Fake()
    yield found
    found.close()


@pytest.fixture(scope="module")
def beside(tmp_path_factory, fake):
    """gunicorn with one worker, and a language model that a test controls."""
    settings = {"INKLING_CHAT_URL": fake.url, "WEB_CONCURRENCY": "1", "INKLING_TRUSTED_PROXIES": "127.0.0.1"}
    with servers.running(tmp_path_factory.mktemp("beside"), **settings) as server:
        yield server


def ask(url, question="What is it?", **more):
    return httpx.post(f"{url}/api/chat", json={"question": question} | more, timeout=120)


# ---- llama.cpp ----


@pytest.fixture(scope="module")
def command(file, tmp_path_factory):
    """The address of `inkling chat FILE.gguf`."""
    folder, port = tmp_path_factory.mktemp("chat"), free_port()
    env = servers.environment(folder / "pictures", INKLING_RATE_LIMIT="0")
    start = [sys.executable, "-m", "inkling", "chat", str(file), "--port", str(port), "--workers", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(start, cwd=ROOT, env=env, stdout=log, stderr=log)
    server = servers.Server(process, port, folder / "log")
    try:
        servers.wait_for_answer(server)
        yield server
    finally:
        process.terminate()
        process.wait(60)


def test_inkling_chat_answers_with_the_model_of_a_file(command, png):
    url = f"http://127.0.0.1:{command.port}"
    sent = httpx.post(f"{url}/predict", data={"model": "digits-cnn"}, files={"image": ("a.png", png)}, timeout=120)
    id = sent.headers["Location"].rpartition("/")[2]
    found = events(ask(url, result=id).text)
    assert found[0] == ("begin", {"sees": False}), "the tiny model is told by words alone"
    assert "".join(data["text"] for name, data in found if name == "message")
    assert found[-1][0] == "end"
    page = httpx.get(f"{url}/ask").text
    assert re.search('data-host="127.0.0.1:[0-9]+"', page)
    assert "data-leaves" not in page
    assert "What is it" not in command.log


def test_the_model_ends_with_the_web_server(file, command):
    serving = [pid for pid in os.listdir("/proc") if pid.isdecimal() and "inkling.ask.local" in cmdline(pid)]
    ours = [pid for pid in serving if parent(pid) == command.process.pid]
    assert len(ours) == 1
    command.process.terminate()
    command.process.wait(120)
    wait_until(lambda: not os.path.exists(f"/proc/{ours[0]}"))


def cmdline(pid):
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read()
    except OSError:  # it has just ended
        return ""


def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def test_nobody_else_on_the_machine_can_ask_the_local_model(file):
    with local.serving(file) as found:
        assert httpx.post(f"{found.url}/chat/completions", json={"messages": []}).status_code == 401


def test_a_file_that_is_no_model_is_told_in_a_sentence(tmp_path):
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"nonsense")
    done = subprocess.run(
        [sys.executable, "-m", "inkling", "chat", str(bad)], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    assert done.stderr.endswith(f"Error: {bad} cannot be read as a language model.\n")
    assert "Traceback" not in done.stderr


# ---- gunicorn and nginx ----


@contextmanager
def nginx(folder, upstream):
    """nginx with its default buffering; the context is its address."""
    port = free_port()
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{name}_temp_path {folder}/{name};" for name in names)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ {temporary} access_log off; server {{ listen 127.0.0.1:{port};"
        f"location / {{ proxy_http_version 1.1; proxy_pass http://127.0.0.1:{upstream}; }} }} }}\n"
    )
    process = subprocess.Popen(
        ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}"

    def answers():
        try:
            return httpx.get(f"{url}/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    try:
        wait_until(answers)
        yield url
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def proxied(beside, tmp_path_factory):
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed")
    with nginx(tmp_path_factory.mktemp("nginx"), beside.port) as url:
        yield url


@pytest.fixture(params=["direct", "through nginx"])
def url(request, beside):
    return f"http://127.0.0.1:{beside.port}" if request.param == "direct" else request.getfixturevalue("proxied")


def test_each_word_arrives_as_it_is_said(url, fake):
    """The server says the next word only once the last one has arrived: something that buffers would stop it."""
    heard, said = threading.Semaphore(0), []

    def behave(exchange):
        exchange.begin()
        for word in "abcdef":
            said.append(time.perf_counter())
            exchange.say(chunk(word), end="")
            assert heard.acquire(timeout=60)
        exchange.say(chunk(finish="stop"))

    fake.behave = behave
    delays = []
    with httpx.stream("POST", f"{url}/api/chat", json={"question": "hello"}, timeout=60) as answer:
        got = ""
        for part in answer.iter_text():
            got += part
            for _ in range(got.count("event: message") - len(delays)):
                delays.append(time.perf_counter() - said[len(delays)])
                heard.release()
    assert [data["text"] for name, data in events(got) if name == "message"] == list("abcdef")
    print(f"\n{url}: a word took {min(delays) * 1e3:.1f} to {max(delays) * 1e3:.1f} ms")


@pytest.mark.parametrize("begun", [False, True], ids=["before the first word", "in the middle"])
def test_stop_closes_the_connection_to_the_language_model(url, fake, begun):
    print(f"\nclosed after {seconds_to_close(url, fake, begun) * 1e3:.0f} ms")


def test_a_browser_that_resets_its_connection_has_left_too(beside, fake):
    left = threading.Event()

    def endless(exchange):
        exchange.wait_until_left()
        left.set()

    fake.behave, fake.asked = endless, []
    connection = http.client.HTTPConnection("127.0.0.1", beside.port, timeout=60)
    connection.request("POST", "/api/chat", json.dumps({"question": "hello"}), SEND)
    wait_until(lambda: fake.asked)
    connection.sock.setsockopt(1, 13, b"\1\0\0\0\0\0\0\0")  # SO_LINGER: close with a reset
    connection.close()
    assert left.wait(60)


def test_open_streams_leave_threads_for_everybody_else(beside, fake, png):
    """The next stream is refused; pages and answers go on."""
    end = threading.Event()

    def behave(exchange):
        exchange.begin()
        end.wait(120)
        exchange.say(chunk("It"))

    fake.behave, fake.asked = behave, []
    url, streams = f"http://127.0.0.1:{beside.port}", []
    with httpx.Client(timeout=120, limits=httpx.Limits(max_connections=50)) as client:
        for _ in range(16):
            request = client.build_request("POST", f"{url}/api/chat", json={"question": "hello"})
            streams.append(client.send(request, stream=True))
        assert [stream.status_code for stream in streams] == [200] * 16
        busy = ask(url)
        assert (busy.status_code, busy.json()["reason"]) == (503, "busy")
        assert servers.classify(beside, png, "digits-cnn")[0] == 200
        assert httpx.post(f"{url}/api/ask", json={"question": "what can you do"}).status_code == 200
        end.set()
        assert all("event: end" in stream.read().decode() for stream in streams)
    wait_until(lambda: ask(url).status_code == 200)


def test_what_was_asked_is_not_logged(beside, fake):
    fake.behave = lambda exchange: exchange.refuse(500, {"error": "private words"})
    ask(f"http://127.0.0.1:{beside.port}", "private words")
    wait_until(lambda: "status 500" in beside.log)
    assert "private" not in beside.log
    assert fake.url not in beside.log


def test_a_model_that_cannot_see_says_what_we_expect(file, png):
    """`inkling.ask.model` recognizes llama.cpp's refusal of a picture by these words."""
    with local.serving(file) as found:
        looked = [{"role": "user"} | model._with_picture("What color is this?", model.PROBE)]
        answer = httpx.post(
            f"{found.url}/chat/completions",
            json={"messages": looked, "stream": True, "max_tokens": 1},
            headers={"Authorization": f"Bearer {found.key}"},
            timeout=120,
        )
    assert model._problem(answer.status_code, answer.text.lower()).reason == "chat-blind"
