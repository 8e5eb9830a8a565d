"""What a token may use in a minute and in a day, and the metrics of it."""

import io
import re
from datetime import timedelta

import pytest

from inkling import access
from inkling.storage import Quota, StoreError, records
from inkling.web.edge import metrics, ratelimit
from inkling.web.edge.access import COOKIE
from tests.web.test_limits import is_problem

MOST = 3


@pytest.fixture(autouse=True)
def free_time(monkeypatch):
    """Time costs no points: how long a turn takes here depends on the machine."""
    monkeypatch.setattr(ratelimit, "SECOND", 0)


@pytest.fixture
def app(make_app, settings):
    return make_app(settings.replace(rate_limit=MOST))


@pytest.fixture
def tokens(app):
    return app.extensions["inkling"].storage.tokens


@pytest.fixture
def token(tokens):
    """Makes a token with a quota."""
    return lambda owner="ann", **quota: access.new_token(tokens, "read", owner, timedelta(days=9), Quota(**quota))


@pytest.fixture
def ask(client, png, ink_model):
    """Asks about some pictures with a token; returns the response."""

    def ask(token=None, pictures=1):
        data = {"image": [(io.BytesIO(png), "a.png") for _ in range(pictures)]}
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return client.post(f"/api/predict?model={ink_model}", data=data, headers=headers)

    return ask


def points():
    """The points that /metrics tells, by owner."""
    found = re.findall(r'inkling_token_points_total\{owner="(\w+)",token="\d+"\} (\S+)', metrics.text().decode())
    return {owner: float(count) for owner, count in found}


@pytest.mark.parametrize("span", ["minute", "day"])
def test_a_token_is_refused_beyond_its_quota(ask, token, span):
    mine = token(**{span: 2})
    assert [ask(mine).status_code for _ in range(2)] == [200, 200]
    answer = ask(mine)
    assert is_problem(answer, 429, "rate-limited")
    assert f"This token may use 2 points a {span}. Used: 2." in answer.json["detail"]
    assert 1 <= int(answer.headers["Retry-After"]) <= {"minute": 61, "day": access.DAY}[span]
    assert ask(token(**{span: 2})).status_code == 200  # another one has its own


def test_a_token_with_a_minute_of_its_own_does_not_pay_by_its_client(ask, token):
    mine = token(minute=3 * MOST)
    assert {ask(mine).status_code for _ in range(2 * MOST)} == {200}
    assert [ask().status_code for _ in range(MOST)] == [200] * MOST  # the client has all of its points
    assert ask().status_code == 429
    assert ask(mine).status_code == 200


@pytest.mark.parametrize("quota", [{}, {"day": 1000}])
def test_other_tokens_pay_by_their_client(ask, token, quota):
    mine = token(**quota)
    assert [ask(mine).status_code for _ in range(MOST)] == [200] * MOST
    assert is_problem(answer := ask(mine), 429, "rate-limited")
    assert "One client" in answer.json["detail"]


@pytest.mark.parametrize("span", ["minute", "day"])
def test_further_pictures_cost_further_points(ask, token, span):
    mine = token(**{span: 3})
    assert ask(mine, pictures=3).status_code == 200
    assert ask(mine).status_code == 429


def test_a_day_ends_and_survives_a_restart(app, make_app, ask, token, tokens, monkeypatch):
    mine = token(day=1)
    assert ask(mine).status_code == 200
    again = make_app(app.extensions["inkling"].settings).extensions["inkling"].storage.tokens
    (stored,) = again.all()
    assert again.use(stored.payer, 0) == 1
    real = records.now
    monkeypatch.setattr("inkling.storage.tokens.now", lambda: real() + timedelta(days=1))
    assert ask(mine).status_code == 200
    assert ask(mine).status_code == 429


def test_a_browser_that_signed_in_uses_the_quota_of_its_token(client, ask, token, png, ink_model):
    mine = token(day=2)
    assert client.post("/sign-in", data={"token": mine}).status_code == 303
    assert client.get_cookie(COOKIE)
    assert [ask().status_code for _ in range(2)] == [200, 200]
    assert ask().status_code == 429
    client.delete_cookie(COOKIE)
    assert ask(mine).status_code == 429


def test_a_token_that_is_not_valid_is_refused_everywhere(ask):
    assert ask("inkling_wrong").status_code == 401
    assert ask("of-another-service").status_code == 200


def test_what_cannot_be_counted_is_answered(ask, token, tokens, monkeypatch):
    def fails(*_):
        raise StoreError("the disk is full")

    mine = token(day=1)
    monkeypatch.setattr(type(tokens), "use", fails)
    assert [ask(mine).status_code for _ in range(2)] == [200, 200]


def test_metrics_tell_the_points_of_owners_and_no_secret(ask, token):
    before = points().get("bob", 0)
    mine = token("bob")
    ask(mine, pictures=2)
    ask()
    assert points()["bob"] == before + 2
    assert mine not in metrics.text().decode()


def test_metrics_tell_a_limited_number_of_tokens_apart(monkeypatch):
    monkeypatch.setattr(metrics, "_tokens", set())
    labels = {metrics.token(number, "carla") for number in range(3 * metrics.TOKENS)}
    assert len(labels) == metrics.TOKENS + 1
    assert ("other", "other") in labels
    assert metrics.token(1, "carla") == ("1", "carla")


# ---- The command ----


def test_the_command_gives_limits_and_lists_them(runner, tokens):
    done = runner.invoke(args=["tokens", "add", "--scope", "read", "--limit", "600/minute", "--limit", "20000/day"])
    assert done.exit_code == 0
    assert tokens.all()[0].quota == Quota(600, 20000)
    assert runner.invoke(args=["tokens", "list"]).stdout.rstrip().endswith("600/minute  20000/day")


@pytest.mark.parametrize("limits", [["600"], ["0/day"], ["5/hour"], ["-1/day"], ["1/day", "2/day"], ["9999999999/day"]])
def test_the_command_refuses_other_limits(runner, tokens, limits):
    done = runner.invoke(
        args=["tokens", "add", "--scope", "read", *(x for limit in limits for x in ("--limit", limit))]
    )
    assert done.exit_code == 2
    assert tokens.all() == []
