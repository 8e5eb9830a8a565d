"""The client's address and scheme behind proxies. Only proxies that the settings name are trusted."""

import ipaddress
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from flask import Flask

from inkling.config import Network, Settings
from inkling.web import counters

log = logging.getLogger("inkling.proxies")

PEER = "inkling.peer"  # in the environment: the address of the connection, whatever a proxy says about its client
FORWARDED = ("HTTP_FORWARDED", "HTTP_X_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")  # headers that only proxies add


def init_app(app: Flask, settings: Settings) -> None:
    app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]


def among(address: str | None, networks: Sequence[Network]) -> bool:
    """Whether an address, as a socket or a header gives it, belongs to one of the networks."""
    parsed = parse(address)
    return parsed is not None and any(parsed in network for network in networks)


def parse(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, or None where the text is not one. IPv4 addresses mapped to IPv6 become plain IPv4."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed


def hides_client(environ: Mapping, trusted: Sequence[Network]) -> bool:
    """Whether a proxy forwarded this request and did not say for whom, or is none that the settings name.

    Such a proxy is told by its headers, or by HTTP/1.0, which nginx speaks by default and no browser does.
    """
    names_client = among(environ.get(PEER), trusted) and "HTTP_X_FORWARDED_FOR" in environ
    return not names_client and (_forwarding_header(environ) is not None or environ["SERVER_PROTOCOL"] == "HTTP/1.0")


def _forwarding_header(environ: Mapping) -> str | None:
    """The name of a header of this request that only proxies add."""
    found = next((name for name in environ if name.startswith(FORWARDED)), None)
    return found and found.removeprefix("HTTP_").replace("_", "-").title()


HOME_NETWORK = 64  # bits of an IPv6 address that a provider assigns; the client chooses the rest


@lru_cache(4096)
def client(address: str | None) -> str:
    """The client that an address counts as: an IPv4 address itself, or the network of an IPv6 address; "" for none."""
    parsed = parse((address or "").partition("%")[0])
    if parsed is None:
        return ""  # a Unix socket has no addresses
    return str(parsed if parsed.version == 4 else ipaddress.ip_network((parsed, HOME_NETWORK), strict=False))


class TrustedProxies:
    """WSGI middleware that replaces a trusted proxy's address and scheme by the client's.

    The client is the last address of X-Forwarded-For that is not a trusted proxy: a client can invent those before it.
    X-Request-ID is only accepted from a trusted proxy. Werkzeug's ProxyFix trusts a number of proxies instead of their
    addresses, so that anyone who reaches the server directly could pretend to be one.
    """

    def __init__(self, app: Callable, trusted: Sequence[Network]):
        self._app, self._trusted = app, trusted
        self._warned = False

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        environ[PEER] = environ.get("REMOTE_ADDR")
        if self._trusted and among(environ.get("REMOTE_ADDR"), self._trusted):
            environ["REMOTE_ADDR"] = self._client(environ)
            scheme = environ.get("HTTP_X_FORWARDED_PROTO")
            if scheme in ("http", "https"):
                environ["wsgi.url_scheme"] = scheme
        else:
            environ.pop("HTTP_X_REQUEST_ID", None)
            self._warn(environ)
        return self._app(environ, start_response)

    def _warn(self, environ: dict) -> None:
        """Warns about a proxy that the settings do not name: once a server, whichever worker sees it first."""
        if self._warned or not (header := _forwarding_header(environ)):
            return
        self._warned = True
        if counters.is_first("unnamed proxy"):
            log.warning(
                "A request came with the header %s from an address that INKLING_TRUSTED_PROXIES does not name. If that "
                "is your proxy, name it: until then all its visitors count as one client.",
                header,
            )

    def _client(self, environ: dict) -> str:
        address = environ["REMOTE_ADDR"]
        for forwarded in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            try:
                address = str(ipaddress.ip_address(forwarded.strip()))
            except ValueError:
                break
            if not among(address, self._trusted):
                break
        return address
