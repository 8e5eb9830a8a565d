"""gunicorn's settings for `gunicorn app:app`, as inkling/web/server.py defines them."""

from inkling.config import BadSetting, Settings
from inkling.web import server

try:
    globals().update(server.options(Settings.from_env()))
except BadSetting as error:
    raise SystemExit(f"Inkling did not start. {error}") from None
