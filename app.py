"""The WSGI application, for gunicorn and `flask run`."""

from inkling.config import BadSetting
from inkling.web.app import create_app

try:
    app = create_app()
except BadSetting as error:
    raise SystemExit(f"Inkling did not start. {error}") from None
