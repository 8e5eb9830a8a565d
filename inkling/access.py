"""The key that cookies are signed with: a setting, or made once and kept beside the pictures."""

import os
import secrets
from pathlib import Path

from inkling.config import Settings

NAME = ".secret-key"  # in the pictures' folder, readable by its owner alone
KEY_BYTES = 32


def signing_key(settings: Settings) -> str:
    """The same for all workers and after a restart, whichever of them asks first."""
    if settings.secret_key:
        return settings.secret_key
    path = settings.pictures / NAME
    if path.exists() and not path.stat().st_size:  # what a power cut left: every cookie would be refused
        path.unlink(missing_ok=True)
    if not path.exists():
        _make(path)
    return path.read_text("ascii")


def _make(path: Path) -> None:
    """Writes a new key whole under a name of its own, then links it: of several at once, the first one's stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{NAME}.{secrets.token_hex(8)}")
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
