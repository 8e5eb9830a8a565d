"""The client: what it offers agrees with the OpenAPI document, and what it sends again."""

import asyncio
import email.utils
import inspect
import time
import typing

import httpx
import pytest

from inkling.client import (
    AsyncClient,
    Client,
    Forbidden,
    NotFound,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
    Unreachable,
    clients,
    shapes,
    transport,
)
from inkling.config import Settings
from inkling.web import openapi
from tools import client as generator

DOCUMENT = openapi.document(Settings(), "http://localhost:5000")
OPERATIONS = {one["operationId"]: one for methods in DOCUMENT["paths"].values() for one in methods.values()}
PROBLEM = {"type": "/help", "title": "Too large", "status": 413, "detail": "16 MB at most.", "reason": "too-large"}
URL = "http://inkling.test"


# ---- The document ----


def test_the_generated_files_are_current():
    assert generator.main(["--check"]) == 0


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_each_schema_has_a_shape_with_its_fields(name):
    schema, shape = DOCUMENT["components"]["schemas"][name], getattr(shapes, name)
    hints = typing.get_type_hints(shape, include_extras=True)
    assert set(hints) == set(schema["properties"])
    required = {field for field, hint in hints.items() if typing.get_origin(hint) is not typing.NotRequired}
    assert required == set(schema.get("required", ()))


@pytest.mark.parametrize("client", [Client, AsyncClient])
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_has_a_method_with_its_parameters(client, name):
    one, parameters = OPERATIONS[name], inspect.signature(getattr(client, name)).parameters
    assert {parameter["name"] for parameter in one.get("parameters", ())} <= set(parameters)
    json = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in json:
        fields = DOCUMENT["components"]["schemas"][json["$ref"].rpartition("/")[2]]["properties"]
        assert set(fields) <= set(parameters)


def test_a_new_field_changes_the_shapes():
    changed = {"components": {"schemas": {"Label": {"properties": {"color": {"type": "string"}}}}}}
    assert "color: NotRequired[str]" in generator.shapes(changed)


def test_an_unknown_keyword_stops_the_generator():
    with pytest.raises(ValueError, match="known type"):
        generator.type_of({"not": {}})


# ---- Retries and errors ----


class Server:
    """Answers requests with a list of statuses, then with 200; counts them."""

    def __init__(self, *outcomes, headers=None):
        self.outcomes, self.headers, self.requests = list(outcomes), headers or {}, []

    def __call__(self, request):
        self.requests.append((request.method, request.url.path, request.read()))
        outcome = self.outcomes.pop(0) if self.outcomes else 200
        if isinstance(outcome, Exception):
            raise outcome
        if outcome == 200:
            return httpx.Response(200, json={"models": [], "label": "3"})
        return httpx.Response(outcome, json={**PROBLEM, "status": outcome}, headers=PROBLEM_HEADERS | self.headers)


PROBLEM_HEADERS = {"Content-Type": "application/problem+json"}


@pytest.fixture
def waits(monkeypatch):
    """The seconds that clients wait, without the waiting."""
    found = []

    async def sleep(seconds):
        found.append(seconds)

    monkeypatch.setattr(clients.time, "sleep", found.append)
    monkeypatch.setattr(clients.asyncio, "sleep", sleep)
    return found


def sync_call(server, name, *arguments, **keywords):
    with Client(URL, "inkling_secret", transport=httpx.MockTransport(server)) as client:
        return getattr(client, name)(*arguments, **keywords)


def async_call(server, name, *arguments, **keywords):
    async def call():
        async with AsyncClient(URL, "inkling_secret", transport=httpx.MockTransport(server)) as client:
            return await getattr(client, name)(*arguments, **keywords)

    return asyncio.run(call())


both = pytest.mark.parametrize("call", [sync_call, async_call])
LOOK, CHANGE = ("predict", b"file"), ("train", "id")


@both
@pytest.mark.parametrize(
    "what, outcome, repeated",
    [
        (LOOK, 429, True),
        (LOOK, 503, True),
        (LOOK, 502, True),
        (LOOK, 413, False),
        (LOOK, 500, False),
        (LOOK, httpx.ReadTimeout("late"), True),
        (LOOK, httpx.ConnectError("down"), True),
        (CHANGE, 429, True),
        (CHANGE, 503, False),
        (CHANGE, 502, False),
        (CHANGE, httpx.ReadTimeout("late"), False),
        (CHANGE, httpx.RemoteProtocolError("gone"), False),
        (CHANGE, httpx.ConnectError("down"), True),
    ],
)
def test_only_what_may_be_repeated_is_sent_again(call, what, outcome, repeated, waits):
    server = Server(outcome)
    if repeated:
        assert call(server, *what)["label"] == "3"
    else:
        with pytest.raises((Refused, Unreachable)):
            call(server, *what)
    assert len(server.requests) == 1 + repeated
    for _, _, body in server.requests:  # read again for the second attempt
        assert (b"file\r\n" in body) == (what is LOOK)


@both
def test_a_client_gives_up_and_raises_the_last_error(call, waits):
    server = Server(*[503] * 9)
    with pytest.raises(Unavailable):
        call(server, *LOOK)
    assert len(server.requests) == clients.ATTEMPTS
    assert waits == sorted(waits)


@both
@pytest.mark.parametrize(
    "header, low, high",
    [
        ("7", 7, 7 + transport.FIRST_WAIT),
        (lambda: email.utils.formatdate(time.time() + 20, usegmt=True), 15, 20 + transport.FIRST_WAIT),
        ("soon", 0, transport.FIRST_WAIT),
    ],
)
def test_a_client_waits_as_long_as_the_server_asks(call, header, low, high, waits):
    header = header if isinstance(header, str) else header()
    call(Server(429, headers={"Retry-After": header}), *LOOK)
    (waited,) = waits
    assert low <= waited <= high


@both
def test_a_server_that_asks_for_too_much_time_is_not_waited_for(call, waits):
    with pytest.raises(RateLimited) as error:
        call(Server(429, headers={"Retry-After": "3600"}), *LOOK)
    assert (error.value.retry_after, waits) == (3600, [])


@both
@pytest.mark.parametrize(
    "status, kind", [(401, Unauthorized), (403, Forbidden), (404, NotFound), (413, Refused), (422, Refused)]
)
def test_errors_carry_the_problem(call, status, kind, waits):
    with pytest.raises(kind) as error:
        call(Server(status), *LOOK)
    told = error.value
    assert (told.status, told.reason, told.title, told.detail) == (status, "too-large", "Too large", "16 MB at most.")
    assert str(told) == told.detail


def test_an_error_of_another_server_is_told_by_its_status():
    with pytest.raises(Refused, match="500 Internal Server Error"):
        sync_call(lambda _request: httpx.Response(500, text="<html>"), *LOOK)


def test_redirects_are_not_followed():
    """They could lead the token to another server."""
    asked = []

    def server(request):
        asked.append(request.url.host)
        return httpx.Response(302, headers={"Location": "http://elsewhere.test/"})

    with pytest.raises(Refused, match="302"):
        sync_call(server, "models")
    assert asked == ["inkling.test"]


def test_parts_of_a_path_are_quoted():
    server = Server()
    sync_call(server, "classifier", "../models?x#y")
    assert server.requests[0][1] == "/api/classifiers/../models?x#y"  # as the server unquotes it: one segment


# ---- Many pictures ----


def all_sync(server, pictures, **options):
    with Client(URL, transport=httpx.MockTransport(server)) as client:
        return list(client.classify(pictures, **options))


def all_async(server, pictures, **options):
    async def call():
        async with AsyncClient(URL, transport=httpx.MockTransport(server)) as client:
            return [pair async for pair in client.classify(pictures, **options)]

    return asyncio.run(call())


@pytest.mark.parametrize("classify", [all_sync, all_async])
@pytest.mark.parametrize("at_once", [1, 3])
def test_many_pictures_are_answered_in_order_with_progress(classify, at_once, waits):
    def server(request):
        number = int(request.read().partition(b"number ")[2].split(b"!")[0])
        return httpx.Response(422 if number == 3 else 200, json={"label": number})

    pictures = [f"number {i}!".encode() for i in range(20)]
    told = []
    found = classify(server, pictures, at_once=at_once, progress=lambda done, total: told.append((done, total)))
    assert [picture for picture, _ in found] == pictures
    assert isinstance(found[3][1], Refused)
    assert [answer["label"] for _, answer in found[4:]] == list(range(4, 20))
    assert told == [(i, 20) for i in range(1, 21)]


@pytest.mark.parametrize("classify", [all_sync, all_async])
@pytest.mark.parametrize(
    "outcome, kind", [(401, Unauthorized), (404, NotFound), (httpx.ConnectError("x"), Unreachable)]
)
def test_an_error_that_concerns_all_pictures_ends_the_work(classify, outcome, kind, waits):
    server = Server(*[outcome] * 1000)
    with pytest.raises(kind):
        classify(server, [b"a"] * 200)
    assert len(server.requests) < 100


def test_a_file_that_cannot_be_read_has_its_error(tmp_path):
    ((_, error),) = all_sync(Server(), [tmp_path / "none.jpg"])
    assert isinstance(error, FileNotFoundError)
