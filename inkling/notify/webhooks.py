"""Delivers messages to webhooks, signed as Standard Webhooks says (https://www.standardwebhooks.com)."""

import asyncio
import base64
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Sequence
from datetime import timedelta
from ssl import SSLContext

import httpx

from inkling.config import Network
from inkling.notify import addresses
from inkling.problems import Problem
from inkling.storage.notices import Message, Notices

log = logging.getLogger("inkling.webhooks")

PREFIX = "whsec_"
SECRET_BYTES = 32
SECONDS = 10  # for one attempt, from the name to the status
AT_ONCE = 16
# Before each further attempt; after the last one the message is given up.
DELAYS = tuple(map(timedelta, (0,) * 6, (5, 60, 300, 1800, 7200, 18_000)))
GONE = 410  # the receiver wants no more of this message


def new_secret() -> str:
    """A secret that signs the messages of a webhook."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, id: str, timestamp: int, body: str) -> str:
    """The header `webhook-signature` of a message.

    Args:
        secret: as `new_secret` makes it.
        timestamp: seconds since 1970, when it is sent.
    """
    key = base64.b64decode(secret.removeprefix(PREFIX))
    digest = hmac.new(key, f"{id}.{timestamp}.{body}".encode(), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def check(url: str, allowed: Sequence[Network]) -> None:
    """Refuses a URL that a webhook may not have now.

    Raises:
        Problem: "webhook-address".
    """
    asyncio.run(addresses.resolved(addresses.parsed(url), allowed))


def deliver(notices: Notices, allowed: Sequence[Network], verify: bool | SSLContext = True) -> int:
    """Sends the messages that are due, at most `AT_ONCE` of them; returns how many.

    Args:
        allowed: networks that webhooks may lead to, beside the public addresses.
        verify: as httpx takes it: how certificates are checked.

    Raises:
        StoreError: the database cannot be used.
    """
    messages = notices.take(AT_ONCE)
    if not messages:
        return 0
    for message, failure in zip(messages, asyncio.run(_send_all(messages, allowed, verify)), strict=True):
        if failure is None:
            notices.delivered(message)
            continue
        gone = failure == _status(GONE)
        again = None if gone or message.attempts >= len(DELAYS) else DELAYS[message.attempts]
        log.warning("attempt %d for the webhook of %s: %s", message.attempts + 1, message.classifier, failure)
        notices.failed(message, failure, again)
    return len(messages)


async def _send_all(
    messages: Sequence[Message], allowed: Sequence[Network], verify: bool | SSLContext
) -> list[str | None]:
    # Without the environment's proxies, which would connect to whatever the name means by then.
    # A kept connection would serve another name at the same address, whose certificate nobody checked.
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(verify=verify, trust_env=False, timeout=SECONDS, limits=limits) as client:
        return await asyncio.gather(*(_send(client, message, allowed) for message in messages))


async def _send(client: httpx.AsyncClient, message: Message, allowed: Sequence[Network]) -> str | None:
    """Sends a message once; returns why that failed, or None."""
    try:
        async with asyncio.timeout(SECONDS):
            url = addresses.parsed(message.url)
            address = await addresses.resolved(url, allowed)
            now = int(time.time())
            headers = {
                "Host": url.netloc.decode("ascii"),
                "Content-Type": "application/json",
                "User-Agent": "Inkling-Webhook",
                "webhook-id": message.id,
                "webhook-timestamp": str(now),
                "webhook-signature": signature(message.secret, message.id, now, message.body),
            }
            # The certificate must be for the name, though the connection goes to the address.
            request = client.build_request(
                "POST",
                url.copy_with(host=address),
                content=message.body,
                headers=headers,
                extensions={"sni_hostname": url.host},
            )
            response = await client.send(request, stream=True)  # the body of the response is not read
            await response.aclose()
    except Problem as problem:
        return str(problem)
    except TimeoutError:
        return f"There was no response within {SECONDS} seconds."
    except Exception as error:  # libraries raise many kinds, and one message must not end the delivery of all others
        return f"The connection failed: {type(error).__name__}."
    return None if 200 <= response.status_code < 300 else _status(response.status_code)


def _status(status: int) -> str:
    return f"The response had the status {status}."
