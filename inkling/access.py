"""The key that signs cookies: a setting, or made once and stored in the data folder."""

import os
import secrets
from pathlib import Path

from inkling.config import Settings
from inkling.storage.blobs import SIGNING_KEY

KEY_BYTES = 32


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
