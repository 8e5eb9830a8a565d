"""Which addresses a webhook may lead to.

A person who may teach chooses the address, and the server connects to it from inside its network. So an address is
resolved once and checked, and the connection goes to exactly what was checked: a name that means another address a
moment later (DNS rebinding) changes nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

import httpx

from inkling.config import Network
from inkling.problems import Problem

LONGEST = 2000  # characters of an address
LAST_PORT = 65535
# Not public either, which older versions of `ipaddress` do not know: some clouds tell keys at the first.
INTERNAL = (ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("fec0::/10"))
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parsed(url: str) -> httpx.URL:
    """The URL of a webhook.

    Raises:
        Problem: "webhook-address": it is no http or https URL with a host, or holds a name and password.
    """
    try:
        found = httpx.URL(url)
        usable = found.scheme in ("http", "https") and found.host and not found.userinfo and len(url) <= LONGEST
        usable = usable and (found.port or 0) <= LAST_PORT
    except (httpx.InvalidURL, ValueError):
        usable = False
    if not usable:
        raise _refused(f"It must be a URL of http or https without a password, at most {LONGEST} characters.", url)
    return found


async def resolved(url: httpx.URL, allowed: Sequence[Network]) -> str:
    """The address to connect to.

    Args:
        allowed: networks beside the public addresses.

    Raises:
        Problem: "webhook-address": the name has no address, or one that is not allowed beside others.
    """
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _refused("Its name has no address.", url.host) from None
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if not addresses or not all(permitted(address, allowed) for address in addresses):
        raise _refused(
            "It leads to an address that is not public, which this server does not connect to. "
            "Its operator can allow it with INKLING_WEBHOOK_NETWORKS.",
            url.host,
        )
    return str(addresses[0])


def permitted(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether a webhook may be sent to an address: a public one, or one of a network that is allowed."""
    address = _inner(address)
    if any(address in network for network in allowed):
        return not address.is_multicast
    if any(address in network for network in INTERNAL):
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, if it does: mapped, NAT64, 6to4 or Teredo."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def _refused(why: str, received: str) -> Problem:
    return Problem("webhook-address", f"This address cannot be used. {why}", received)
