"""Where webhooks may lead, and how their messages are signed, sent and sent again."""

import asyncio
import ipaddress
import json
import socket
import ssl
import subprocess
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from inkling.notify import addresses, webhooks
from inkling.problems import Problem
from inkling.storage import Quota as TokenQuota
from inkling.storage import Storage, notices, records, tokens
from inkling.storage.taught import Quota
from tests.support.receiver import receiving

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
pytestmark = pytest.mark.databases("sqlite", "postgresql")


def resolve(url, allowed=()):
    return asyncio.run(addresses.resolved(addresses.parsed(url), allowed))


# ---- Addresses ----


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org/hook",
        "ftp://example.org",
        "file:///etc/passwd",
        "http://",
        "https://user:secret@example.org/",
        "http://[::1/",
        "http://example.org:99999999/",
        "http://8.8.8.8:65536/",
        "http://0177.0.0.1/",  # octal, which httpx does not take
        "http://" + "a" * 2000,
    ],
)
def test_what_is_no_address_is_refused(url):
    with pytest.raises(Problem) as error:
        resolve(url)
    assert error.value.reason == "webhook-address"


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",  # decimal, as the C library reads it
        "0x7f000001",
        "localhost",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",  # carriers' own
        "169.254.169.254",  # metadata of clouds
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "192.0.2.1",
        "192.0.0.192",  # metadata of Oracle's cloud
        "[::1]",
        "[::]",
        "[fe80::1]",
        "[fc00::1]",
        "[fec0::1]",
        "[ff02::1]",
        "[::ffff:127.0.0.1]",  # IPv4 in IPv6: mapped, NAT64, 6to4
        "[::ffff:10.0.0.1]",
        "[64:ff9b::10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[2002:a00:1::1]",
        "[2001:0:4136:e378:8000:63bf:f5ff:fffe]",  # Teredo of 10.0.0.1
        "[2001:db8::1]",
    ],
)
def test_an_address_that_is_not_public_is_refused(host):
    with pytest.raises(Problem, match="not public"):
        resolve(f"http://{host}/hook")


@pytest.mark.parametrize("host", ["93.184.216.34", "[2606:2800:220:1:248:1893:25c8:1946]", "[64:ff9b::8.8.8.8]"])
def test_a_public_address_is_used(host):
    assert resolve(f"https://{host}/hook") == host.strip("[]").replace("8.8.8.8", "808:808")


def test_networks_may_be_allowed_but_not_for_multicast():
    everything = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    assert resolve("http://192.168.1.7/", (ipaddress.ip_network("192.168.1.0/24"),)) == "192.168.1.7"
    assert resolve("http://[::ffff:192.168.1.7]/", everything)
    for url in ("http://192.168.2.7/", "http://10.0.0.1/"):
        with pytest.raises(Problem):
            resolve(url, (ipaddress.ip_network("192.168.1.0/24"),))
    for url in ("http://224.0.0.1/", "http://[ff02::1]/", "http://[::ffff:224.0.0.1]/"):
        with pytest.raises(Problem):
            resolve(url, everything)


@pytest.fixture
def names(monkeypatch):
    """Names and what they mean; each look-up takes the next meaning."""
    known = {}
    real = socket.getaddrinfo

    def look_up(host, port, *arguments, **options):
        if host not in known:
            return real(host, port, *arguments, **options)
        meaning = known[host].pop(0) if len(known[host]) > 1 else known[host][0]
        return [entry for one in meaning for entry in real(one, port, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.mark.parametrize("meaning", [["93.184.216.34", "127.0.0.1"], ["10.0.0.1", "93.184.216.34"], ["::1"]])
def test_a_name_with_any_forbidden_address_is_refused(names, meaning):
    names["both.test"] = [meaning]
    with pytest.raises(Problem, match="not public"):
        resolve("https://both.test/")


# ---- Messages ----


@pytest.fixture
def storage(settings, database):
    storage = Storage(settings.replace(database_url=database))
    yield storage
    storage.database.close()


@pytest.fixture
def classifier(storage):
    return storage.taught.create("birds", "Birds", "photo", "ann", (), Quota(0, 0, 0)).id


@pytest.fixture
def receiver():
    with receiving() as server:
        yield server


@pytest.fixture
def hook(storage, classifier, receiver):
    """Sets the classifier's webhook; returns its secret."""

    def hook(url=None, events="all"):
        secret = webhooks.new_secret()
        address = url or f"http://127.0.0.1:{receiver.server_port}/hook?a=1"
        storage.notices.set_webhook(classifier, address, secret, events)
        return secret

    return hook


@pytest.fixture
def later(monkeypatch):
    """Sets the database's clock forward."""
    real, ahead = records.now, [timedelta(0)]

    def later(by):
        ahead[0] += by

    monkeypatch.setattr(notices, "now", lambda: real() + ahead[0])
    return later


def deliver(storage, allowed=LOOPBACK, **options):
    return webhooks.deliver(storage.notices, allowed, **options)


def test_a_signature_is_that_of_the_specification():
    """The example of https://github.com/standard-webhooks/standard-webhooks."""
    made = webhooks.signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}'
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_message_arrives_signed_and_once(storage, classifier, hook, receiver):
    secret = hook()
    assert storage.notices.tell(classifier, {"all"}, {"label": "robin"})
    assert deliver(storage) == 1
    assert deliver(storage) == 0
    ((path, headers, body),) = receiver.received
    message = json.loads(body)
    assert (path, message["type"], message["data"]) == ("/hook?a=1", "answer", {"label": "robin"})
    signed = webhooks.signature(secret, headers["webhook-id"], int(headers["webhook-timestamp"]), body)
    assert headers["webhook-signature"] == signed
    assert headers["Host"] == f"127.0.0.1:{receiver.server_port}"
    found = storage.notices.webhook(classifier)
    assert (found.failure, found.waiting) == ("", 0)


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 404, 429, 500, 503])
def test_a_message_that_is_not_accepted_is_sent_again_later(storage, classifier, hook, receiver, later, status):
    hook()
    storage.notices.tell(classifier, {"all"}, {})
    receiver.statuses = [status]
    deliver(storage)
    assert str(status) in storage.notices.webhook(classifier).failure
    assert deliver(storage) == 0
    later(webhooks.DELAYS[0])
    assert deliver(storage) == 1
    first, second = receiver.received  # no redirect was followed
    assert first[1]["webhook-id"] == second[1]["webhook-id"]
    assert (first[0], second[0]) == ("/hook?a=1", "/hook?a=1")
    assert storage.notices.webhook(classifier).failure == ""


def test_a_message_is_given_up_after_the_last_attempt(storage, classifier, hook, receiver, later):
    hook()
    storage.notices.tell(classifier, {"all"}, {})
    receiver.statuses = [500] * 99
    for delay in webhooks.DELAYS:
        assert deliver(storage) == 1
        later(delay)
    assert deliver(storage) == 1
    later(timedelta(days=9))
    assert deliver(storage) == 0
    assert len(receiver.received) == len(webhooks.DELAYS) + 1
    found = storage.notices.webhook(classifier)
    assert (found.waiting, "500" in found.failure) == (0, True)


def test_a_receiver_that_is_gone_gets_no_further_attempt(storage, classifier, hook, receiver, later):
    hook()
    storage.notices.tell(classifier, {"all"}, {})
    receiver.statuses = [410]
    deliver(storage)
    later(timedelta(days=9))
    assert deliver(storage) == 0


def test_a_receiver_that_is_away_is_noted(storage, classifier, hook):
    hook("http://127.0.0.1:9/")
    storage.notices.tell(classifier, {"all"}, {})
    deliver(storage)
    assert "The connection failed" in storage.notices.webhook(classifier).failure


def test_a_message_that_cannot_be_sent_ends_no_other(storage, classifier, hook, receiver, monkeypatch):
    monkeypatch.setattr(addresses, "LAST_PORT", 99999)  # so that a library finds out, with an error of its own
    hook("http://127.0.0.1:65536/")
    storage.notices.tell(classifier, {"all"}, {})
    other = storage.taught.create("boats", "Boats", "photo", "ann", (), Quota(0, 0, 0)).id
    address = f"http://127.0.0.1:{receiver.server_port}/"
    storage.notices.set_webhook(other, address, webhooks.new_secret(), "all")
    storage.notices.tell(other, {"all"}, {})
    assert deliver(storage) == 2
    assert "The connection failed" in storage.notices.webhook(classifier).failure
    assert len(receiver.received) == 1
    assert storage.notices.webhook(other).waiting == 0


def test_no_webhook_waits_for_the_many_messages_of_another(storage, classifier, hook, receiver):
    hook()
    other = storage.taught.create("boats", "Boats", "photo", "ann", (), Quota(0, 0, 0)).id
    storage.notices.set_webhook(other, "http://127.0.0.1:9/", webhooks.new_secret(), "all")
    for each in (other, other, other, classifier):
        storage.notices.tell(each, {"all"}, {})
    assert [message.classifier for message in storage.notices.take(2)] == [other, classifier]


def test_the_address_is_checked_again_when_a_message_is_sent(storage, classifier, hook, receiver):
    hook()
    storage.notices.tell(classifier, {"all"}, {})
    deliver(storage, allowed=())
    assert receiver.received == []
    assert "not public" in storage.notices.webhook(classifier).failure


def test_the_connection_goes_to_the_address_that_was_checked(storage, classifier, hook, receiver, names):
    """The name means something else as soon as it was looked up once (DNS rebinding)."""
    names["rebinding.test"] = [["127.0.0.1"], ["10.9.9.9"]]
    hook(f"http://rebinding.test:{receiver.server_port}/")
    storage.notices.tell(classifier, {"all"}, {})
    deliver(storage)
    ((_, headers, _),) = receiver.received
    assert headers["Host"] == f"rebinding.test:{receiver.server_port}"
    assert len(names["rebinding.test"]) == 1  # it was looked up only once


@pytest.mark.databases("sqlite")
def test_a_certificate_must_be_for_the_name(storage, classifier, hook, names, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    command += ["-subj", "/CN=hooks.test", "-addext", "subjectAltName=DNS:hooks.test"]
    subprocess.run([*command, "-out", certificate, "-keyout", key], check=True, capture_output=True)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    asked = []
    server_side.sni_callback = lambda _socket, name, _context: asked.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    names |= {"hooks.test": [["127.0.0.1"]], "other.test": [["127.0.0.1"]]}
    with receiving(server_side) as receiver:
        for name in ("hooks.test", "other.test"):
            hook(f"https://{name}:{receiver.server_port}/")
            storage.notices.tell(classifier, {"all"}, {})
            deliver(storage, verify=trusting)
    assert asked == ["hooks.test", "other.test"]
    assert len(receiver.received) == 1
    assert "The connection failed" in storage.notices.webhook(classifier).failure


@pytest.mark.parametrize(
    "events, kinds, told",
    [
        ("all", {"all"}, True),
        ("sure", {"all"}, False),
        ("sure", {"all", "sure"}, True),
        ("changed", {"all", "sure"}, False),
        ("changed", {"all", "changed"}, True),
    ],
)
def test_only_the_events_that_were_chosen_are_told(storage, classifier, hook, events, kinds, told):
    hook(events=events)
    assert storage.notices.tell(classifier, kinds, {}) is told


def test_nothing_waits_without_a_webhook(storage, classifier, hook):
    assert not storage.notices.tell(classifier, {"all"}, {})
    hook()
    storage.notices.tell(classifier, {"all"}, {})
    storage.notices.delete_webhook(classifier)
    assert storage.notices.webhook(classifier) is None
    hook()
    assert storage.notices.webhook(classifier).waiting == 0
    storage.notices.tell(classifier, {"all"}, {})
    storage.taught.delete(classifier)
    assert deliver(storage) == 0


def test_messages_beyond_the_limit_are_dropped(storage, classifier, hook, monkeypatch):
    monkeypatch.setattr(notices, "MOST_WAITING", 2)
    hook()
    assert [storage.notices.tell(classifier, {"all"}, {}) for _ in range(3)] == [True, True, False]


def test_a_message_that_somebody_sends_is_not_sent_by_others_until_they_must_have_ended(
    storage, classifier, hook, later
):
    hook()
    storage.notices.tell(classifier, {"all"}, {})
    (first,) = storage.notices.take(9)
    assert storage.notices.take(9) == []
    later(notices.LEASE)
    assert [message.id for message in storage.notices.take(9)] == [first.id]


# ---- Quotas of tokens ----


def test_the_points_of_a_day_are_counted_by_all_at_once(storage, monkeypatch):
    token = storage.tokens.add("hash", "token", "read", "ann", timedelta(days=9), quota=TokenQuota(None, 50))
    with ThreadPoolExecutor(8) as threads:
        before = list(threads.map(lambda _: storage.tokens.use(token.payer, 1), range(40)))
    assert sorted(before) == list(range(40))
    real = records.now
    monkeypatch.setattr(tokens, "now", lambda: real() + timedelta(days=1))
    assert [storage.tokens.use(token.payer, 5) for _ in range(2)] == [0, 5]
    assert storage.tokens.use(12345, 1) == 0  # it was deleted meanwhile


# ---- Sources ----


def test_a_state_changes_after_three_readings_in_a_row(storage):
    def read(reading):
        return storage.notices.read("birds", "door", reading, {"label": reading}, b"picture")

    assert [read(reading) for reading in ("robin", "robin", "wren", "robin", "robin")] == [False] * 5
    assert storage.notices.sources()[0].state == notices.UNKNOWN
    assert [read("robin") for _ in range(3)] == [True, False, False]
    (source,) = storage.notices.sources(unpublished=True)
    assert (source.state, source.about, source.picture) == ("robin", {"label": "robin"}, b"picture")
    storage.notices.published(source)
    assert storage.notices.sources(unpublished=True) == []
    assert storage.notices.sources()[0].picture is None
    assert [read(notices.UNKNOWN) for _ in range(3)] == [False, False, True]


def test_there_are_only_so_many_sources(storage, monkeypatch):
    monkeypatch.setattr(notices, "MOST_SOURCES", 1)
    assert storage.notices.read("birds", "door", "robin", {}, None) is False
    assert storage.notices.read("birds", "window", "robin", {}, None) is None
    assert storage.notices.forget("birds", "door")
    assert not storage.notices.forget("birds", "door")
    assert storage.notices.sources() == []
    (gone,) = storage.notices.sources(unpublished=True)
    assert gone.state == notices.FORGOTTEN
    storage.notices.published(gone)
    assert storage.notices.sources(unpublished=True) == []
    assert storage.notices.read("birds", "window", "robin", {}, None) is False
