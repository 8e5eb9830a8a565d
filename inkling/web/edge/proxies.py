"""Who asks, when proxies stand between: what they say is believed only of those that the settings name."""

import ipaddress
from collections.abc import Callable, Iterable, Sequence

from flask import Flask

from inkling.config import Network


def init_app(app: Flask, trusted: Sequence[Network]) -> None:
    app.wsgi_app = Proxied(app.wsgi_app, trusted)


def among(address: str | None, networks: Sequence[Network]) -> bool:
    """Whether an address, as a socket or a header gives it, is in one of the networks."""
    one = parsed(address)
    return one is not None and any(one in network for network in networks)


def parsed(address: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, that of IPv4 on a socket of IPv6 as what it is; None where it is none."""
    try:
        one = ipaddress.ip_address(address or "")
    except ValueError:
        return None
    return getattr(one, "ipv4_mapped", None) or one


class Proxied:
    """WSGI middleware that puts the client's address and scheme in place of a trusted proxy's.

    Of X-Forwarded-For it takes the last address that is no trusted proxy's: those before it are the client's to invent.
    X-Request-ID is left in place for a trusted proxy only.
    """

    def __init__(self, app: Callable, trusted: Sequence[Network]):
        self._app, self._trusted = app, trusted

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
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
        for said in reversed(environ.get("HTTP_X_FORWARDED_FOR", "").split(",")):
            try:
                address = str(ipaddress.ip_address(said.strip()))
            except ValueError:
                break
            if not among(address, self._trusted):
                break
        return address
