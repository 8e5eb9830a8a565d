"""A client of Inkling's API: `Client`, and `AsyncClient` for asyncio.

    with Client("http://localhost:5000") as inkling:
        print(inkling.predict("cat.jpg")["label"])

It imports nothing of the rest of Inkling, so that it is also published on its own, as the package `inkling-client`.
"""

from .clients import AsyncClient, Client
from .transport import (
    Forbidden,
    InklingError,
    NotFound,
    Picture,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
    Unreachable,
)

__all__ = [
    "AsyncClient",
    "Client",
    "Forbidden",
    "InklingError",
    "NotFound",
    "Picture",
    "RateLimited",
    "Refused",
    "Unauthorized",
    "Unavailable",
    "Unreachable",
]
