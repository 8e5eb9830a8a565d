"""Who may do what: scopes, the credentials that give them, and the key that signs cookies.

A credential is a random secret: a token, the session of a browser that signed in, or a sign-in link. Its holder gets it
once, and the database keeps its SHA-256 hash. Nobody can try all values of 256 random bits, so a fast hash is enough.
"""

import hashlib
import logging
import os
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from itsdangerous import BadSignature, URLSafeSerializer

from inkling.config import Settings
from inkling.storage import Credential, Quota, StoreError, Tokens, private
from inkling.storage.blobs import SIGNING_KEY

log = logging.getLogger("inkling.access")

KEY_BYTES = 32
SECRET_BYTES = 32
PREFIX = "inkling_"  # of every secret, so that scanners for leaked secrets can tell what it is
LOCAL = "local"  # the owner at the machine itself
SCOPES = {  # what each allows; each includes those before it
    "read": "see one's own classifiers and their examples, and ask them",
    "correct": "say which label is right for any result",
    "teach": "make, change, train, publish and delete one's own classifiers",
    "admin": "delete any result, and change and delete any classifier",
}
LINK_PERIOD = timedelta(minutes=10)
SESSION_PERIOD = timedelta(days=30)
LONGEST_OWNER = 64  # characters
DAY = 24 * 60 * 60  # seconds


@dataclass(frozen=True)
class Principal:
    """Whoever sends a request.

    Attributes:
        owner: whose classifiers are theirs; empty for a visitor who is not signed in.
        scopes: what they may do, as keys of `SCOPES`.
        credential: the token or session that says so; None without one.
    """

    owner: str
    scopes: frozenset[str]
    credential: Credential | None = field(default=None, compare=False)

    def manages(self, owner: str) -> bool:
        """Whether the classifiers of an owner are theirs to manage: their own are, and with `admin` all are."""
        return owner == self.owner or "admin" in self.scopes


def up_to(scope: str) -> frozenset[str]:
    """A scope with all that it includes."""
    levels = list(SCOPES)
    return frozenset(levels[: levels.index(scope) + 1])


VISITOR = Principal("", frozenset())
OWNER = Principal(LOCAL, up_to("admin"))


def can_own(name: str) -> bool:
    """Whether an owner can have this name."""
    return 0 < len(name) <= LONGEST_OWNER and name.isprintable()


def user(name: str) -> Principal:
    """The principal for a user that a trusted proxy names; a visitor where no owner can have that name.

    Nobody becomes the owner at the machine by being called `local`.
    """
    return Principal(name, up_to("teach")) if can_own(name) and name != LOCAL else VISITOR


# ---- Credentials ----


def new_token(tokens: Tokens, scope: str, owner: str, period: timedelta, quota: Quota | None = None) -> str:
    """Makes a token and returns its secret.

    Raises:
        StoreError: it cannot be stored.
    """
    return _new(tokens, "token", scope, owner, period, quota=quota)[0]


def new_link(tokens: Tokens) -> str:
    """Makes the secret of a link by which the owner of this machine can sign in once.

    Raises:
        StoreError: it cannot be stored.
    """
    return _new(tokens, "link", "admin", LOCAL, LINK_PERIOD)[0]


def sign_in(tokens: Tokens, secret: str) -> tuple[str, Credential] | None:
    """Makes a session for a browser that sends a token or a link; None if it is not valid. It uses the link up.

    Returns:
        the secret of the session, and the session.

    Raises:
        StoreError: the session cannot be stored.
    """
    token = tokens.find(_hashed(secret), "token")
    given = token or tokens.take(_hashed(secret), "link")
    return _new(tokens, "session", given.scope, given.owner, SESSION_PERIOD, token) if given else None


def bearer(tokens: Tokens, secret: str) -> Principal | None:
    """The principal of a token; None if it is not valid.

    Raises:
        StoreError: the tokens cannot be read.
    """
    return _principal(tokens, secret, "token")


def session(tokens: Tokens, secret: str) -> Principal | None:
    """The principal of a session; None if it is not valid.

    Raises:
        StoreError: the sessions cannot be read.
    """
    return _principal(tokens, secret, "session")


def sign_out(tokens: Tokens, secret: str) -> None:
    """Ends a session, so that copies of its cookie are worthless too.

    Raises:
        StoreError: the session cannot be deleted.
    """
    tokens.take(_hashed(secret), "session")


def use_today(tokens: Tokens, token: int, points: int) -> tuple[int, int]:
    """Charges points to a token's day, which ends at midnight UTC.

    Where the database cannot be written, they are not counted: the service goes on.

    Args:
        token: its id, as `Credential.payer`.

    Returns:
        the points that it had used today before, and the seconds until tomorrow.
    """
    left = DAY - int(datetime.now(UTC).timestamp()) % DAY
    try:
        return tokens.use(token, points), left
    except StoreError as error:
        log.warning("the points of token %d are not counted: %s", token, error)
        return 0, left


def _new(
    tokens: Tokens,
    kind: str,
    scope: str,
    owner: str,
    period: timedelta,
    parent: Credential | None = None,
    quota: Quota | None = None,
) -> tuple[str, Credential]:
    secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
    return secret, tokens.add(_hashed(secret), kind, scope, owner, period, parent, quota)


def _principal(tokens: Tokens, secret: str, kind: str) -> Principal | None:
    found = tokens.find(_hashed(secret), kind)
    return Principal(found.owner, up_to(found.scope), found) if found else None


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


# ---- The key that signs cookies ----


def signed(settings: Settings, secret: str) -> str:
    """The secret of a session as its cookie holds it.

    Raises:
        OSError: the signing key can be neither read nor made.
    """
    return _cookies(settings).dumps(secret)


def unsigned(settings: Settings, cookie: str) -> str | None:
    """The secret in a session's cookie; None if this server did not sign it.

    Raises:
        OSError: the signing key can be neither read nor made.
    """
    try:
        return _cookies(settings).loads(cookie)
    except BadSignature:
        return None


def _cookies(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(signing_key(settings), salt="inkling-sign-in")


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
    private.make_folder(path.parent)
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
