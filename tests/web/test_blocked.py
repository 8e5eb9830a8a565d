"""`inkling results block`: blocked clients get 403 for everything, until they are let in again."""

import os

import pytest

from inkling.web.edge.clients import PROBES

VISITOR = "203.0.113.7"
HOME = "2001:db8:1:2::/64"
# Client as an operator writes it -> the client that is blocked, addresses that are, and addresses that are not.
BLOCKED = {
    VISITOR: (VISITOR, [VISITOR, f"::ffff:{VISITOR}"], ["203.0.113.8", "127.0.0.1", HOME.split("/")[0]]),
    "2001:db8:1:2::7": (HOME, ["2001:db8:1:2::1", "2001:0DB8:1:2:ffff::%eth0"], ["2001:db8:1:3::7", VISITOR]),
    HOME: (HOME, ["2001:db8:1:2::"], ["2001:db8:1:1:ffff::"]),
}


def status(client, address, path="/help"):
    return client.get(path, environ_overrides={"REMOTE_ADDR": address}).status_code


@pytest.mark.parametrize("written", BLOCKED)
def test_a_blocked_client_is_refused_until_it_is_let_in_again(client, runner, written):
    name, inside, outside = BLOCKED[written]
    assert runner.invoke(["results", "block", written]).output == f"blocked: {name}\n"
    assert runner.invoke(["results", "blocked"]).output == f"{name}\n"
    assert {status(client, address) for address in inside} == {403}
    assert {status(client, address) for address in outside} == {200}
    assert runner.invoke(["results", "unblock", written]).exit_code == 0
    assert runner.invoke(["results", "blocked"]).output == ""
    assert {status(client, address) for address in inside} == {200}


def test_it_is_told_so_on_pages_and_in_the_api(client, runner, kept):
    runner.invoke(["results", "block", VISITOR])
    before = kept()
    for path in ("/", "/history", "/results/none", "/no-such-page", "/metrics"):
        answer = client.get(path, environ_overrides={"REMOTE_ADDR": VISITOR})
        assert answer.status_code == 403
        assert "has blocked your address" in answer.text
    answer = client.post("/api/predict", environ_overrides={"REMOTE_ADDR": VISITOR})
    assert (answer.status_code, answer.json["reason"]) == (403, "forbidden")
    assert client.post("/predict", environ_overrides={"REMOTE_ADDR": VISITOR}).status_code == 403
    assert kept() == before


def test_load_balancers_and_the_error_pages_style_are_not_blocked(client, runner):
    runner.invoke(["results", "block", VISITOR])
    for path in (*PROBES, "/static/style.css"):
        assert status(client, VISITOR, path) == 200


def test_a_client_behind_a_named_proxy_is_the_one_that_the_proxy_names(make_app, settings, runner):
    client = make_app(settings.replace(trusted_proxies=settings.metrics_from)).test_client()
    runner.invoke(["results", "block", VISITOR])
    assert client.get("/help", headers={"X-Forwarded-For": VISITOR}).status_code == 403
    assert client.get("/help", headers={"X-Forwarded-For": "198.51.100.1"}).status_code == 200


@pytest.mark.parametrize(
    "written", ["", "example.org", "203.0.113.0/24", "2001:db8::/32", "2001:db8::1/64", "127.1", "*"]
)
def test_what_is_no_client_is_told(runner, written):
    done = runner.invoke(["results", "block", written])
    assert done.exit_code == 1
    assert (
        done.stderr == f"Error: CLIENT must be an address, such as 203.0.113.7 or 2001:db8::1. Received: {written}.\n"
    )
    assert runner.invoke(["results", "blocked"]).output == ""


def test_a_client_that_is_not_blocked_is_told(runner):
    done = runner.invoke(["results", "unblock", VISITOR])
    assert (done.exit_code, done.stderr) == (1, f"Error: {VISITOR} is not blocked.\n")


def test_several_stay_blocked_after_a_restart_also_while_the_database_fails(make_app, settings, runner):
    for address in (VISITOR, "198.51.100.1"):
        runner.invoke(["results", "block", address])
    (settings.pictures / "inkling.sqlite3").unlink(missing_ok=True)
    (settings.pictures / "inkling.sqlite3").mkdir()
    client = make_app().test_client()
    assert status(client, VISITOR) == status(client, "198.51.100.1") == 403
    assert status(client, "192.0.2.1") == 200


def test_while_the_list_cannot_be_read_the_last_one_counts(client, settings, runner):
    runner.invoke(["results", "block", VISITOR])
    assert status(client, VISITOR) == 403
    file = settings.pictures / ".blocked"
    file.unlink()
    os.symlink(file.name, file)  # a loop
    assert status(client, VISITOR) == 403
    assert status(client, "192.0.2.1") == 200
