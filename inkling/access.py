"""The key that signs cookies and tokens, and the tokens with which an operator's programs get rights.

The key is a setting, or made once and stored in the data folder. A token is signed and not stored: it ends by its date,
or with the key.
"""

import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from itsdangerous import BadSignature, URLSafeSerializer

from inkling.config import Settings
from inkling.storage.blobs import SIGNING_KEY

KEY_BYTES = 32
SCOPES = {"results": "change and delete any result"}
DAY = 86400  # seconds

LOCAL = "local"  # the owner at the machine itself
LEVELS = ("read", "correct", "teach", "admin")  # scopes; each includes those before it


@dataclass(frozen=True)
class Principal:
    """Whoever sends a request.

    Attributes:
        owner: whose classifiers are theirs; empty for a visitor who is not signed in.
        scopes: what they may do, as keys of `SCOPES`.
    """

    owner: str
    scopes: frozenset[str]


def up_to(scope: str) -> frozenset[str]:
    """A scope with all that it includes."""
    return frozenset(LEVELS[: LEVELS.index(scope) + 1])


VISITOR = Principal("", frozenset())
OWNER = Principal(LOCAL, up_to("admin"))


class BadToken(Exception):
    """A token that was not signed with this key, or has expired."""


def new_token(settings: Settings, scope: str, days: int) -> str:
    """A token that is valid for so many days.

    Raises:
        OSError: the signing key can be neither read nor made.
    """
    return _tokens(settings).dumps({"scope": scope, "until": int(time.time()) + days * DAY})


def scope_of(settings: Settings, token: str) -> str:
    """What a token is for: one of `SCOPES`.

    Raises:
        BadToken: it is not valid, or no longer.
        OSError: the signing key can be neither read nor made.
    """
    try:
        content = _tokens(settings).loads(token)
    except BadSignature as error:
        raise BadToken from error
    if content["until"] < time.time():
        raise BadToken
    return content["scope"]


def _tokens(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(signing_key(settings), salt="inkling-token")


def signing_key(settings: Settings) -> str:
    """The key: the same in all workers and after a restart. The first worker that asks makes it.

    Raises:
        OSError: it can be neither read nor made.
    """
    if settings.secret_key:
        return settings.secret_key
    path = settings.pictures / SIGNING_KEY
    if path.exists() and not path.stat().st_size:  # left by a power cut; an empty key would sign nothing
        path.unlink(missing_ok=True)
    if not path.exists():
        _make(path)
    return path.read_text("ascii")


def _make(path: Path) -> None:
    """Writes a new key under a temporary name, then links it: if several workers do so, the first key stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{SIGNING_KEY}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_hex(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)
