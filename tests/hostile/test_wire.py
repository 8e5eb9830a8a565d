"""A real server under malformed bodies and slow clients, and the memory of its worker afterwards."""

import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import servers
from benchmarks.crowd import BEGUN, Crowd, seconds
from benchmarks.crowd import HALF as HALF_HEAD
from benchmarks.pictures import EDGE, digit, form, photo
from inkling.config import Settings
from inkling.web.server import HEAD_BYTES, HEADERS
from tests.hostile.files import FILES, good
from tests.support.server import running
from tests.support.storage import stored
from tests.support.waiting import wait_until

MEGABYTES = 700  # limit for the memory of a worker
LARGEST = 2  # models that are asked for so much: those with the most parameters
PHOTO = "/api/predict?model=cats-dogs-cnn"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("wire")


@pytest.fixture(scope="module")
def server(folder):
    with running(folder, WEB_CONCURRENCY="1", INKLING_BODY_SECONDS="2", INKLING_RATE_LIMIT="0") as server:
        yield server


@pytest.fixture
def left(folder):
    return lambda: stored(folder / "pictures")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A server with few threads, as if hundreds of clients held the others."""
    with running(
        tmp_path_factory.mktemp("narrow"),
        WEB_CONCURRENCY="1",
        INKLING_BODY_SECONDS="2",
        INKLING_RATE_LIMIT="0",
        GUNICORN_CMD_ARGS="--threads 16",
    ) as server:
        yield server


def head(path, *lines, method="POST"):
    """The request line and the headers."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode()


PNG = good("png")
BODY, KIND = form(PNG, "a.png", model="cats-dogs-cnn")
FORM = f"Content-Type: {KIND}"
DIGIT, _ = form(digit())
HALF = BODY[: len(BODY) // 2]
CHUNKED = "Transfer-Encoding: chunked"
PROMPT = 10  # seconds: the promise is 1, but the machine may be busy


def chunked(*pieces):
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def length(number):
    return f"Content-Length: {number}"


# title -> request, status of the API, status of the page
SENT = {
    "a body cut in the middle": (head("{path}", FORM, length(len(BODY))) + HALF, 400, 400),
    "a body longer than announced": (head("{path}", FORM, length(len(HALF))) + BODY, 400, 303),
    "a body shorter than announced": (head("{path}", FORM, length(len(BODY) + 9)) + BODY, 400, 400),
    "no length": (head("{path}", FORM) + BODY, 400, 303),
    "a length of 0": (head("{path}", FORM, length(0)) + BODY, 400, 303),
    "a negative length": (head("{path}", FORM, length(-1)) + BODY, 400, 400),
    "a length that is no number": (head("{path}", FORM, length("0x10")) + BODY, 400, 400),
    "two lengths": (head("{path}", FORM, length(len(BODY)), length(len(HALF))) + BODY, 400, 400),
    "an exabyte": (head("{path}", FORM, length(10**18)) + HALF, 413, 303),
    "a length of 5,000 digits": (head("{path}", FORM, length("9" * 5000)) + HALF, 400, 400),
    "pieces and a length": (head("{path}", FORM, CHUNKED, length(len(BODY))) + chunked(BODY, b""), 400, 400),
    "pieces without an end": (head("{path}", FORM, CHUNKED) + chunked(BODY), 400, 400),
    "pieces of no size": (head("{path}", FORM, CHUNKED) + b"zz\r\n" + BODY, 400, 400),
    "a piece larger than all": (head("{path}", FORM, CHUNKED) + b"f" * 15 + b"\r\n" + BODY, 400, 400),
    "pieces of pieces": (head("{path}", FORM, "Transfer-Encoding: chunked, chunked") + chunked(BODY, b""), 400, 400),
    "a coding that nobody knows": (head("{path}", FORM, "Transfer-Encoding: gzip") + BODY, 400, 400),
}


def exchange(server, data, end=True):
    """Sends bytes and returns the status of the answer.

    Args:
        end: whether to close the sending side after them.
    """
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        line = connection.makefile("rb").readline()
    return int(line.split()[1]) if line else None


@pytest.mark.parametrize("title", SENT)
def test_a_body_that_lies_about_itself(server, left, title):
    data, *statuses = SENT[title]
    assert [exchange(server, data.replace(b"{path}", path)) for path in (PHOTO.encode(), b"/predict")] == statuses
    assert left() == []


def test_a_body_may_come_in_pieces(server):
    """Without this, the refusals above would prove nothing."""
    assert exchange(server, head(PHOTO, FORM, CHUNKED) + chunked(HALF, BODY[len(HALF) :], b"")) == 200


def test_a_head_has_few_headers(server):
    """Each may have 8 kB, and the worker holds them all until the head is complete."""
    for count, status in ((HEADERS, 200), (HEADERS + 1, 431)):
        lines = [f"X-{i}: {i}" for i in range(count - 1)]  # Host is one of them
        assert exchange(server, head("/healthz", *lines, method="GET"), end=False) == status


def test_a_head_has_few_bytes(server):
    """Otherwise 600 heads of 64 times 8 kB take 300 MB of a worker, and seconds to be searched for their ends."""
    fits, room = HEAD_BYTES // 5000, 5000
    lines = [f"X-{i}: ".ljust(room, "x") for i in range(fits)]
    assert exchange(server, head("/healthz", *lines, method="GET"), end=False) == 200
    assert exchange(server, head("/healthz", *lines, "X: ".ljust(room, "x"), method="GET"), end=False) == 431


def drip(server):
    """The status of the answer to a client that sends ten bytes a second."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head(PHOTO, FORM, length(len(BODY))))
        connection.settimeout(0.1)
        for byte in BODY:
            connection.sendall(bytes([byte]))
            with suppress(TimeoutError):
                return int(connection.recv(99).split()[1])


def test_nobody_waits_for_ever_for_a_body(narrow):
    """More clients than a worker has threads stop sending or send slowly; afterwards the server still answers."""
    silent = {
        ("POST", PHOTO): 408,
        ("POST", "/predict"): 408,
        ("POST", "/no-such-page"): 404,
        ("GET", "/healthz"): 200,
        ("HEAD", "/"): 200,
    }
    with ThreadPoolExecutor(22) as threads:
        slow = [threads.submit(drip, narrow) for _ in range(17)]
        answers = {
            (method, path): threads.submit(
                exchange, narrow, head(path, FORM, length(len(BODY)), method=method) + HALF, end=False
            )
            for method, path in silent
        }
        assert {one.result() for one in slow} == {408}
        assert {one: answer.result() for one, answer in answers.items()} == silent
    assert narrow.request("GET", "/healthz")[0] == 200


def test_a_visitor_with_a_slow_connection_is_told_so(narrow):
    with socket.create_connection(("127.0.0.1", narrow.port), timeout=20) as connection:
        connection.sendall(head("/predict", FORM, length(len(BODY)), "Connection: close") + HALF)
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 408 ")
    assert "<h1>The connection is too slow</h1>" in answer


def test_a_large_body_on_a_slow_line_has_more_time(narrow):
    """It arrives in twice the time that a body has, but at more than the slowest rate, and so is read."""
    start, end = BODY.split(PNG, 1)
    large = start + PNG + bytes(2 * 2**20) + end  # what follows the picture is ignored
    with socket.create_connection(("127.0.0.1", narrow.port), timeout=60) as connection:
        connection.sendall(head(PHOTO, FORM, length(len(large))))
        for piece in range(20):
            connection.sendall(large[piece * len(large) // 20 : (piece + 1) * len(large) // 20])
            time.sleep(0.2)
        assert int(connection.recv(99).split()[1]) == 200


def test_nobody_waits_for_ever_for_a_reader(narrow):
    """More clients than a worker has threads request more than the kernel buffers, and read nothing of it."""
    large = head("/models/doodles-cnn/mistakes.png", method="GET")
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.socket()) for _ in range(17)]
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", narrow.port))
        for _ in range(40):
            for client in clients:
                with suppress(OSError):  # the server has closed the connection
                    client.sendall(large)
            time.sleep(0.05)
        assert exchange(narrow, head("/healthz", method="GET"), end=False) == 200


@pytest.mark.parametrize("said", [BEGUN, HALF_HEAD], ids=["half a request line", "half a header"])
def test_nobody_waits_for_ever_for_a_head(narrow, said):
    """More clients than a worker has threads send a byte of a head now and then."""
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", narrow.port), 60)) for _ in range(17)]
        for client in clients:
            client.sendall(said)
        assert exchange(narrow, head("/healthz", method="GET"), end=False) == 200
        for client in clients:
            client.settimeout(0.1)
        wait_until(lambda: all(is_cut_off(client) for client in clients))


@pytest.mark.parametrize("asked", [b"nonsense\r\n\r\n", b"GET /healthz HTTP/1.0\r\n\r\n"], ids=["refused", "answered"])
def test_nobody_waits_for_others_to_close_their_connections(server, asked):
    with ExitStack() as stack:
        for _ in range(60):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 60))
            client.sendall(asked)
        assert exchange(server, head("/healthz", method="GET"), end=False) == 200


def is_cut_off(client):
    """Whether the server has closed the connection; sends another byte if not."""
    try:
        client.sendall(b"x")
        return client.recv(99) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


ASKED = servers.get("/healthz"), servers.post("/api/predict?model=digits-cnn", DIGIT, KIND)


def test_a_crowd_of_slow_clients_holds_nobody_up(tmp_path):
    """Each of them may take an hour for its picture. A server that gives each a thread answers others all the same."""
    with (
        running(tmp_path, INKLING_BODY_SECONDS="3600", INKLING_RATE_LIMIT="0") as server,
        Crowd(server.port, silent=240, begun=240, half=240, slow=64),
    ):
        slowest = max(seconds(lambda asked=asked: server.answer(asked, PROMPT)) for _ in range(8) for asked in ASKED)
    print(f"\nthe slowest of 16 answers beside 784 slow clients took {slowest * 1e3:.0f} ms")


@pytest.mark.parametrize(
    "operation", ["GET /api/models", "POST /api/predict", "POST /api/explain", "POST /api/ask", "POST /api/chat"]
)
def test_the_document_promises_every_answer(server, left, operation):
    """Schemathesis generates valid and invalid requests from the OpenAPI document, and checks the answers by it."""
    import schemathesis
    from schemathesis.specs.openapi.checks import positive_data_acceptance

    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.port}/api/openapi.json")
    found = {one.ok().label: one.ok() for one in schema.get_all_operations()}

    @settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(case=found[operation].as_strategy(), model=st.sampled_from([None, "digits-logistic", "cats-dogs-cnn"]))
    def holds(case, model):
        if model and "model" in (case.query or {}):
            case.query["model"] = model  # with a generated name, every answer would be 404
        # Generated files fit the schema but are no pictures, so a refusal of valid data is right.
        case.call_and_validate(timeout=60, excluded_checks=[positive_data_acceptance])

    holds()
    assert left() == []


LETTERS = b"A" * 22_000_000
FORM_TYPE = "application/x-www-form-urlencoded"
# title -> path, content type and body of a request that would take much memory as Python objects
LARGE = {
    "a drawing of 16 MB": ("/predict", FORM_TYPE, b"model=digits-cnn&drawing=data:image/png;base64," + LETTERS),
    "escapes": ("/predict", FORM_TYPE, b"model=digits-cnn&drawing=" + b"%41" * 7_000_000),
    "fields": ("/predict", FORM_TYPE, b"a&" * 11_000_000),
    "a picture of 16 MB in JSON": (PHOTO, "application/json", b'{"image": "' + LETTERS + b'"}'),
    "wide letters": (PHOTO, "application/json", b'{"image": "\\ud83d\\ude00' + LETTERS + b'"}'),
    "lists": (PHOTO, "application/json", b'{"image": [' + b"[]," * 7_000_000 + b"[]]}"),
    "a drawing beside files": ("/predict", KIND, form(b"", model="digits-cnn", drawing=LETTERS.decode())[0]),
}


def busiest(models):
    """Path, content type and body of the largest batches for each model, and of explanations."""
    one, end = form(photo(640, 480), "photo.jpg")[0], f"--{EDGE}--\r\n".encode()
    batch = one.removesuffix(end) * Settings.from_env({}).max_batch + end
    return [(f"/api/predict?model={name}", KIND, batch) for name in models for _ in range(2)] + [
        (f"/api/explain?model={name}", KIND, one) for name in models
    ]


def looked_at(server, models):
    """The status of the page of first layers for each model; the results are deleted."""
    for name in models:
        headers = server.upload(photo(640, 480), "photo.jpg", name)[1]
        yield server.request("GET", f"{headers['Location']}/layers.png")[0]
        server.request("POST", "/history/delete", headers={"Cookie": headers["Set-Cookie"].partition(";")[0]})


@pytest.mark.timeout(900)  # a minute on two idle Zen 1 cores; explanations of all models on a busy machine
def test_whatever_is_sent_takes_little_of_a_workers_memory(server, left):
    """A worker stays below its memory limit under the largest batches, texts and decoded files.

    Large texts are sent two at a time, as many as are read at once, and twenty at a time.
    """

    def send(what):
        path, kind, body = what
        try:
            return server.request("POST", path, body, {"Content-Type": kind})[0]
        except OSError:  # the machine is busy and the request did not arrive in time
            return 408

    workers = server.workers
    files = [
        ("/predict", KIND, form(file.make(), file.name, model="cats-dogs-cnn")[0])
        for title, file in FILES.items()
        if "50 million" in title or "a million" in title
    ]
    cards = json.loads(server.request("GET", "/api/models")[2])["models"]
    largest = [card["name"] for card in sorted(cards, key=lambda card: card["parameters"])[-LARGEST:]]
    with ThreadPoolExecutor(3) as threads:
        asked = busiest(largest)
        answered = {path for (path, _, _), status in zip(asked, threads.map(send, asked), strict=True) if status == 200}
    assert answered == {path for path, _, _ in asked}
    assert set(looked_at(server, largest)) == {200}
    for together, bodies in ((2, [*LARGE.values(), *files]), (20, list(LARGE.values()) * 6)):
        with ThreadPoolExecutor(together) as threads:
            told = set(threads.map(send, bodies))
            assert told <= {303, 400, 408, 413, 415, 503}
            assert told - {408}
    assert server.workers == workers, "the worker was replaced, so that another one would be measured"
    (pid,) = workers
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) // 1024
    print(f"\na worker's memory was at most {peak} MB")
    assert peak < MEGABYTES
