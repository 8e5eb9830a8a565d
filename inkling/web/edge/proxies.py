"""The client's address and scheme behind proxies. Only proxies that the settings name are trusted."""

import ipaddress
from collections.abc import Callable, Iterable, Sequence

from flask import Flask

from inkling.config import Network, Settings


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


PEER = "inkling.peer"  # in the environment: the address of the connection, whatever a proxy says about its client


class TrustedProxies:
    """WSGI middleware that replaces a trusted proxy's address and scheme by the client's.

    The client is the last address of X-Forwarded-For that is not a trusted proxy: a client can invent those before it.
    X-Request-ID is only accepted from a trusted proxy. Werkzeug's ProxyFix trusts a number of proxies instead of their
    addresses, so that anyone who reaches the server directly could pretend to be one.
    """

    def __init__(self, app: Callable, trusted: Sequence[Network]):
        self._app, self._trusted = app, trusted

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        environ[PEER] = environ.get("REMOTE_ADDR")
        if self._trusted and among(environ.get("REMOTE_ADDR"), self._trusted):
            environ["REMOTE_ADDR"] = self._client(environ)
            scheme = environ.get("HTTP_X_FORWARDED_PROTO")
            if scheme in ("http", "https"):
                environ["wsgi.url_scheme"] = scheme
        else:
            environ.pop("HTTP_X_REQUEST_ID", None)
        return self._app(environ, start_response)

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
