"""The privacy page says what is true with this server's settings. robots.txt and security.txt are for programs."""

import io
import re
from datetime import UTC, datetime, timedelta
from urllib.robotparser import RobotFileParser

import pytest
from markupsafe import Markup

RUSSIAN = {"Accept-Language": "ru"}


@pytest.fixture
def says(make_app, settings):
    """Returns a function that gives the text of the privacy page with some settings."""

    def says(headers=None, **changes):
        page = make_app(settings.replace(**changes)).test_client().get("/privacy", headers=headers)
        assert page.status_code == 200
        return Markup(page.text.partition("<main")[2]).striptags()

    return says


# ---- Privacy ----


def test_every_page_leads_to_it(client):
    for path in ("/", "/help", "/history", "/no-such-page"):
        assert 'href="/privacy"' in client.get(path).text


@pytest.mark.parametrize(
    "days, english, russian",
    [
        (30, "deletes a result after 30 days", "удаляет результат через 30 дней"),
        (1, "deletes a result after 1 day.", "удаляет результат через 1 день"),
        (0, "A result stays until somebody deletes it", "Результат хранится, пока его кто-нибудь не удалит"),
    ],
)
def test_it_says_how_long_a_result_stays(says, days, english, russian):
    assert english in says(retention_days=days)
    assert russian in says(RUSSIAN, retention_days=days)
    assert ("deletes a result after" in says(retention_days=days)) == bool(days)


def test_it_says_what_others_are_told(says):
    broker = {"mqtt_url": "mqtt://broker"}
    assert "send its answers to a program of theirs" in says()
    assert "home automation" not in says()
    assert "but not the pictures" in says(**broker)
    assert "about them, and the pictures" in says(**broker, mqtt_pictures="yes")
    assert "но не сами снимки" in says(RUSSIAN, **broker)


def test_it_says_when_results_go_earlier(says):
    assert "exceed 2048 MB" in says(quota_mb=2048)
    assert "exceed" not in says(quota_mb=0)


def test_it_says_whether_there_is_an_audit_log(says, tmp_path):
    assert "audit log" in says(audit_log=tmp_path / "audit.log")
    assert "audit log" not in says()


def test_it_names_the_operators_contact(says):
    assert "ann@example.org" in says(contact="mailto:ann@example.org")
    assert "named no contact" in says()


def test_it_names_every_cookie_that_a_visitor_gets(app, client, says, png, ink_model):
    from inkling import access

    token = access.new_token(app.extensions["inkling"].storage.tokens, "teach", "ann", timedelta(days=90))
    client.post("/predict", data={"model": ink_model, "image": (io.BytesIO(png), "a.png")})
    client.post("/language", data={"language": "en"})
    client.post("/theme", data={"theme": "dark"})
    client.post("/sign-in", data={"token": token})
    got = {cookie.key: cookie for cookie in client._cookies.values()}
    assert len(got) == 4
    page = says()
    listed = dict(re.findall(r"(inkling-[\w-]+) [^()]*\((\d+) days\)", page))
    assert listed.keys() == got.keys()
    for name, days in listed.items():
        expires = got[name].expires or datetime.now(UTC) + timedelta(seconds=got[name].max_age)
        assert abs(expires - datetime.now(UTC) - timedelta(days=int(days))) < timedelta(hours=1), name


# ---- For programs ----


def test_crawlers_may_read_pages_but_let_nothing_compute(client):
    answer = client.get("/robots.txt")
    assert answer.mimetype == "text/plain"
    robots = RobotFileParser()
    robots.parse(answer.text.splitlines())
    id = "A" * 22
    for path in ("/", "/help", "/models", "/privacy", f"/results/{id}", "/static/style.css"):
        assert robots.can_fetch("any", path), path
    for path in ("/api/predict", "/lab"):
        assert not robots.can_fetch("any", path), path


@pytest.mark.parametrize("contact", ["mailto:ann@example.org", "https://example.org/report"])
def test_security_txt_names_the_contact(make_app, settings, contact):
    answer = make_app(settings.replace(contact=contact)).test_client().get("/.well-known/security.txt")
    assert (answer.status_code, answer.content_type) == (200, "text/plain; charset=utf-8")
    fields = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert fields.keys() == {"Contact", "Expires"}
    assert fields["Contact"] == contact
    assert timedelta() < datetime.fromisoformat(fields["Expires"]) - datetime.now(UTC) < timedelta(days=366)


def test_without_a_contact_there_is_no_security_txt(client):
    answer = client.get("/.well-known/security.txt")
    assert answer.status_code == 404
    assert "named no contact" in answer.text


def test_a_mail_address_becomes_a_link():
    from inkling.config import Settings

    assert Settings.from_env({"INKLING_CONTACT": "ann@example.org"}).contact == "mailto:ann@example.org"
